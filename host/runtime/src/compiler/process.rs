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
fn lock_out() -> Result<(), landlock::RulesetError> {
    use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V6))?
        .handle_access(AccessNet::from_all(ABI::V6))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .restrict_self()?;
    Ok(())
}
