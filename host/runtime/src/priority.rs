//! The priorities of threads: those that load adapters take less of the processor than those that serve requests.

/// The nice value of threads and processes that load adapters, above that of the gateway. Beside a busy program each has a quarter of
/// that one's share, so that a start does not take forever.
const LOADING: i32 = 5;

/// Lowers the priority of this thread, and of those that it starts, below that of the threads that serve requests.
pub(crate) fn below_requests() {
    // On Linux, a thread's own. Where it can't be had, it is as quick as the others.
    let _ = rustix::process::nice(LOADING);
}

/// Gives this thread a tenth of what one that serves requests has.
pub(crate) fn with_a_share() {
    let _ = rustix::process::setpriority_process(None, 10);
}

/// Lets this thread run when nobody else wants to. A core that only it uses counts as idle: whoever wakes goes there, and at once.
/// Below that, priorities are about shares, and a wake-up may wait for the end of a turn.
pub(crate) fn when_idle() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let own = thread_priority::thread_native_id();
        let _ = thread_priority::set_thread_priority_and_policy(own, ThreadPriority::Min, idle);
    }
    // Where there is no such policy, and for those who look.
    below_requests();
}
