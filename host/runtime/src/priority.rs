//! What threads do that nobody is to wait for: they take less of the processor than those that serve requests.

/// Gives this thread the lowest priority that still has a share: for work that is to get on beside requests.
pub(crate) fn below_requests() {
    // On Linux, a thread's own. Where it can't be had, it is as quick as the others.
    let _ = rustix::process::setpriority_process(None, 19);
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
