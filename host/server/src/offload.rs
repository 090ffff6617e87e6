//! Work on large texts, off the threads that serve connections.
//!
//! A megabyte of JSON takes some ten milliseconds to read, and nobody else on the worker is served meanwhile. So large texts are read
//! by other threads: one less than there are cores, and at least one.

use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::thread::available_parallelism;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// The largest text that is read on the worker itself.
const MAX_INLINE_BYTES: usize = 256 << 10;

/// Places for work of all workers.
static PLACES: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, usize::from);
    Semaphore::new(cores.saturating_sub(1).max(1))
});

/// Runs work on a text of so many bytes: here if it is small, otherwise on another thread, when a place is free.
///
/// Work that has begun ends also where nobody waits for it any more; it keeps its place until then.
pub(crate) async fn run_sized<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= MAX_INLINE_BYTES {
        return work();
    }
    // The semaphore is never closed.
    let place = PLACES.acquire().await.ok();
    let done = spawn_blocking(move || {
        let _place = place;
        work()
    });
    match done.await {
        Ok(done) => done,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::thread;
    use std::time::Duration;

    #[tokio::test]
    async fn large_texts_are_read_on_another_thread() {
        let here = thread::current().id();
        assert_eq!(run_sized(MAX_INLINE_BYTES, || thread::current().id()).await, here);
        assert_ne!(run_sized(MAX_INLINE_BYTES + 1, || thread::current().id()).await, here);
    }

    #[tokio::test]
    async fn threads_are_no_more_than_there_are_places() {
        let places = available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = (0..3 * places).map(|_| {
            let (now, most) = (now.clone(), most.clone());
            tokio::spawn(run_sized(usize::MAX, move || {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                thread::sleep(Duration::from_millis(20));
                now.fetch_sub(1, SeqCst);
            }))
        });
        for one in all.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        assert!(most.load(SeqCst) <= places, "{most:?}");
    }

    #[tokio::test]
    async fn panic_of_the_work_is_that_of_the_request() {
        let ended = tokio::spawn(run_sized(usize::MAX, || panic!("the work"))).await;
        assert!(ended.is_err_and(|error| error.is_panic()));
        assert_eq!(run_sized(usize::MAX, || 1).await, 1, "the place is given back");
    }
}
