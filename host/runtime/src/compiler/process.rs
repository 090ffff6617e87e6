//! The compiler process: takes away from itself what it does not need, compiles its input, and ends.

use super::{CPU, MAX_INPUT, MAX_MESSAGE, MEMORY, REJECTED};
use crate::{engine, priority};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::{fs, thread};

/// Allocations fail above this. The parent looks at the memory in use, which is less than what is allocated, now and then.
const MAX_ALLOCATED: u64 = 2 * MEMORY;

/// Compiles the component on standard input to standard output, in a process that has been started for that.
///
/// The exit code is 0 with the code, or 65 with the reason why the component was rejected. Any other end is a failure of the process.
#[must_use]
pub fn compile_stdin() -> ExitCode {
    match try_compile() {
        Ok(Ok(code)) => write(&code, ExitCode::SUCCESS),
        Ok(Err(error)) => {
            let message = format!("{error:#}");
            let end = message.floor_char_boundary(MAX_MESSAGE);
            write(&message.as_bytes()[..end], ExitCode::from(REJECTED))
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn try_compile() -> io::Result<wasmtime::Result<Vec<u8>>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    restrict()?;
    // Before the first thread, and so for all of them.
    priority::below_requests();
    // The threads in which wasmtime compiles.
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(io::Error::other)?;
    let mut component = Vec::new();
    io::stdin().lock().take(MAX_INPUT + 1).read_to_end(&mut component)?;
    Ok(engine::for_compilation().and_then(|engine| engine.precompile_component(&component)))
}

fn write(bytes: &[u8], code: ExitCode) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Gives up what compiling does not need: files, the network, signals to others, core dumps, and more time and memory than the limits.
fn restrict() -> io::Result<()> {
    // The first to go when the machine runs out of memory.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let limits = [
        (Resource::Core, 0),
        (Resource::Cpu, CPU.as_secs()),
        (Resource::Data, MAX_ALLOCATED),
        (Resource::Fsize, 0),
        (Resource::Nofile, 16),
    ];
    for (resource, most) in limits {
        let maximum = getrlimit(resource).maximum;
        let at_most = |limit: u64| Some(maximum.map_or(limit, |maximum| maximum.min(limit)));
        // The kernel signals at the first number, which tells the parent why, and kills at the second.
        let second = if matches!(resource, Resource::Cpu) { most + 1 } else { most };
        setrlimit(resource, Rlimit { current: at_most(most), maximum: at_most(second) })?;
    }
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        lock_out().map_err(io::Error::other)?;
    }
    Ok(())
}

/// Has the kernel refuse all files and all TCP ports. Kernels without Landlock do not, which leaves the limits.
#[cfg(target_os = "linux")]
fn lock_out() -> Result<landlock::RestrictionStatus, landlock::RulesetError> {
    use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V6))?
        .handle_access(AccessNet::from_all(ABI::V6))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .restrict_self()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::ErrorKind::PermissionDenied;
    use std::net::{TcpListener, TcpStream};
    use std::process::{Command, Stdio};

    const LOCKED_OUT: &str = "no file and no port could be opened";
    const NO_LANDLOCK: &str = "the kernel has no Landlock with rules for ports";

    #[test]
    #[ignore = "restricts its process: the test below has it run in one of its own"]
    #[expect(clippy::disallowed_methods, reason = "it shows that no connection can be opened")]
    fn restricted() {
        let mut port = String::new();
        io::stdin().read_line(&mut port).unwrap();
        let port: u16 = port.trim().parse().unwrap();
        assert!(File::open("/etc/passwd").is_ok() && TcpStream::connect(("127.0.0.1", port)).is_ok());
        restrict().unwrap();
        let reached = [
            File::open("/etc/passwd").map(drop),
            fs::read_dir("/").map(drop),
            TcpStream::connect(("127.0.0.1", port)).map(drop),
            TcpListener::bind(("127.0.0.1", 0)).map(drop),
        ];
        if matches!(lock_out().unwrap().landlock, landlock::LandlockStatus::Available { effective_abi, .. } if effective_abi >= landlock::ABI::V4)
        {
            let denied = |one: &io::Result<()>| one.as_ref().is_err_and(|error| error.kind() == PermissionDenied);
            assert!(reached.iter().all(denied), "{reached:?}");
            println!("{LOCKED_OUT}");
        } else {
            println!("{NO_LANDLOCK}");
        }
    }

    #[test]
    fn restricted_process_opens_no_file_and_no_port() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut run = Command::new(std::env::current_exe().unwrap());
        run.args(["compiler::process::tests::restricted", "--exact", "--ignored", "--nocapture"]);
        let mut child = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{}", listener.local_addr().unwrap().port()).unwrap();
        let ran = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && told.contains("1 passed"), "{told}");
        assert!(told.contains(LOCKED_OUT) || told.contains(NO_LANDLOCK), "{told}");
    }
}
