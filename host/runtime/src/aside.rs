//! Where guests compute that compute for long: threads with a lower priority, so that they take no time from those who are answered
//! in a moment.
//!
//! A call begins on its worker's thread. Once its guest has computed for a tick more than its part of the time, at once or bit by bit,
//! what is left moves to these threads, with all that it has open; an adapter of which that was so begins there for a while.

use crate::consumption::{Consumption, SLOW};
use crate::meter::{Meter, Metered};
use crate::priority;
use std::future::poll_fn;
use std::io;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// The threads; they end with it.
pub(crate) struct Aside(Option<Runtime>);

impl Aside {
    /// Starts the threads, one a core.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(thread::available_parallelism().map_or(1, NonZero::get))
            .thread_name("hauski-aside")
            .on_thread_start(priority::when_idle)
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// What calls are handed to.
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Whoever drops it may be one who must not wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a call is run with.
pub(crate) struct Run {
    pub(crate) aside: Handle,
    pub(crate) consumption: Arc<Consumption>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) deadline: Instant,
}

impl Run {
    /// Runs `work` with the meter on, at the longest until the deadline. Dropped, so is the work, though a moment later if it has moved.
    pub(crate) async fn run<T: Send + 'static>(self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let before = self.meter.used();
        let mut work = Box::pin(Metered { future: Box::pin(work), meter: self.meter.clone() });
        if !self.consumption.is_slow() && !self.meter.is_long() {
            let here = poll_fn(|context| match work.as_mut().poll(context) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending if self.meter.is_long() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            match timeout_at(self.deadline, here).await {
                Ok(Some(answer)) => return Some(answer),
                Ok(None) => {}
                Err(_) => return None,
            }
        }
        let _speed = Speed { before, run: &self };
        let moved = Moved(self.aside.spawn(AtHome { home: Handle::current(), work }));
        timeout_at(self.deadline, moved).await.ok()
    }
}

/// Notes how long work has computed that may have been slow, also of one that nobody waits for any more.
struct Speed<'a> {
    run: &'a Run,
    before: Duration,
}

impl Drop for Speed<'_> {
    fn drop(&mut self) {
        let Run { meter, consumption, .. } = self.run;
        let computed = meter.used().saturating_sub(self.before);
        // Pieces of an answer may each be quick.
        consumption.note_speed(if meter.is_long() { computed.max(SLOW) } else { computed });
    }
}

/// Work that has moved, and still uses the sockets and clocks of the worker that it comes from.
struct AtHome<F> {
    home: Handle,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for AtHome<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let home = self.home.clone();
        let _at_home = home.enter();
        self.work.as_mut().poll(context)
    }
}

/// Work that goes on elsewhere, and ends when nobody waits for it any more.
struct Moved<T>(JoinHandle<T>);

impl<T> Future for Moved<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match Pin::new(&mut self.0).poll(context) {
            Poll::Ready(Ok(answer)) => Poll::Ready(answer),
            Poll::Ready(Err(error)) => match error.try_into_panic() {
                // As if it had happened here.
                Ok(panic) => std::panic::resume_unwind(panic),
                // The threads are gone: nobody is to be answered any more.
                Err(_) => Poll::Pending,
            },
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> Drop for Moved<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
