//! The priorities of threads: those that load adapters take less of the processor than those that serve requests.

/// The nice value of threads and processes that load adapters, above that of the gateway. Beside a busy program each has a quarter of
/// that one's share, so that a start does not take forever.
const LOADING: i32 = 5;

/// Lowers the priority of this thread, and of those that it starts, below that of the threads that serve requests.
pub(crate) fn below_requests() {
    // On Linux, a thread's own. Where it can't be had, it is as quick as the others.
    let _ = rustix::process::nice(LOADING);
}
