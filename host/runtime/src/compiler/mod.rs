//! Compilation in a child process per file, so that its memory and its time can be bounded and taken back.
//!
//! A component of some kilobytes can make the compiler take any amount of both, and a compiler thread cannot be stopped. The child reads
//! the component from its standard input and writes the compiled code to its standard output. It has an empty environment, no other
//! descriptors, and limits that the kernel enforces. This process watches its memory and ends it when it is over the limit, or when the
//! file has changed. Code counts only if the child has ended successfully.

mod process;

pub use process::compile_stdin;

use crate::folder;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The memory that the compilation of one file may take. Adapters made from Python take about half of it.
pub(crate) const MEMORY: u64 = 1 << 30;
/// The processor time that the compilation of one file may take, over all threads. Adapters made from Python take about 20 s.
pub(crate) const CPU: Duration = Duration::from_secs(120);
/// The time after which a file lets others go first, once.
pub(crate) const FIRST_TURN: Duration = Duration::from_secs(10);
/// The interval at which the child is looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(10);
/// The longest explanation of a rejected file that is read.
const MAX_MESSAGE: usize = 4 << 10;
/// The exit code of a child that has rejected the file, and written why.
const REJECTED: u8 = 65;
/// The argument that makes the program a compiler. `hauski` takes it as a subcommand.
const SUBCOMMAND: &str = "compile-component";

/// The program that is started to compile a file. It calls [`compile_stdin`] when its only argument is `compile-component`.
#[derive(Clone, Debug)]
pub struct Compiler {
    program: PathBuf,
}

/// A reason why a file has no compiled code.
#[derive(Debug)]
pub(crate) enum CompileError {
    /// The compiler has rejected the file, for this reason.
    Rejected(String),
    /// It took more memory than [`MEMORY`].
    Memory,
    /// It took more processor time than [`CPU`].
    Cpu,
    /// Its turn was over, or nobody waits for it any longer.
    Stopped,
    /// The child ended in another way.
    Crashed(ExitStatus),
    /// The child could not be started or read.
    Io(io::Error),
}

impl Compiler {
    /// Returns the running program as compiler.
    #[must_use]
    pub fn this_program() -> Self {
        // The link leads to the running file, also when another one has taken its place.
        let program =
            if cfg!(target_os = "linux") { Some("/proc/self/exe".into()) } else { std::env::current_exe().ok() };
        Self { program: program.unwrap_or_default() }
    }

    /// Returns another program as compiler, for processes that are no gateways.
    #[must_use]
    pub fn at(program: PathBuf) -> Self {
        Self { program }
    }

    /// Compiles `component` in a child process. `is_over` is asked now and then, with the time since the start, whether to stop.
    pub(crate) fn compile(
        &self,
        component: &[u8],
        is_over: &dyn Fn(Duration) -> bool,
    ) -> Result<Vec<u8>, CompileError> {
        let begin = Instant::now();
        let child = Command::new(&self.program)
            .arg(SUBCOMMAND)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = Guarded(child.map_err(CompileError::Io)?);
        let pipes = (child.0.stdin.take(), child.0.stdout.take());
        let (Some(mut stdin), Some(stdout)) = pipes else {
            return Err(CompileError::Io(io::ErrorKind::BrokenPipe.into()));
        };
        let (done, is_done) = channel();
        let mut memory = 0;
        let mut stopped = None;
        let written = thread::scope(|scope| {
            scope.spawn(move || {
                // A child that is gone leaves a broken pipe; how it ended says more.
                let _ = stdin.write_all(component);
                drop(stdin);
                let mut written = Vec::new();
                let read = stdout.take(MEMORY).read_to_end(&mut written);
                let _ = done.send(read.map(|_| written));
            });
            loop {
                match is_done.recv_timeout(WATCH_INTERVAL) {
                    Ok(read) => return read.map_err(CompileError::Io),
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(CompileError::Io(io::ErrorKind::BrokenPipe.into()));
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                }
                memory = resident(&child.0).unwrap_or(memory);
                if memory > MEMORY {
                    stopped = Some(CompileError::Memory);
                } else if is_over(begin.elapsed()) {
                    stopped = Some(CompileError::Stopped);
                }
                if stopped.is_some() {
                    // The pipes end with it.
                    let _ = child.0.kill();
                }
            }
        });
        let status = child.0.wait().map_err(CompileError::Io)?;
        if let Some(error) = stopped {
            return Err(error);
        }
        let written = written?;
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(written),
            (Some(code), _) if code == i32::from(REJECTED) => {
                let message = &written[..written.len().min(MAX_MESSAGE)];
                Err(CompileError::Rejected(String::from_utf8_lossy(message).into_owned()))
            }
            (_, Some(signal)) if signal == rustix::process::Signal::XCPU.as_raw() => Err(CompileError::Cpu),
            // The kernel has refused it more, or has ended it for want of memory.
            (_, Some(_)) if memory > MEMORY / 2 => Err(CompileError::Memory),
            _ => Err(CompileError::Crashed(status)),
        }
    }
}

/// A child that is ended and waited for in any case.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the resident memory of `child` in bytes, where the system shows it.
fn resident(child: &Child) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", child.id())).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The most bytes that a child reads.
const MAX_INPUT: u64 = folder::FILE_BYTES;
