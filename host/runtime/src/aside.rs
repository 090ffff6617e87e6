//! Where guests compute that compute for long: threads with a lower priority, so that they take no time from those who are answered
//! in a moment.
//!
//! A call begins on its worker's thread. Once its guest has computed for a tick more than its part of the time, at once or bit by bit,
//! what is left moves to these threads, with all that it has open; an adapter of which that was so several times in a row begins there.
//! Who gets no processor there for too long moves once more, to a thread that has a share, so that limits hold and instances end.

use crate::consumption::Consumption;
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
pub(crate) struct Aside {
    runtimes: Vec<Runtime>,
    places: Places,
}

/// What calls are handed to.
#[derive(Clone)]
pub(crate) struct Places {
    /// Threads that run when nobody else wants to, one a core.
    idle: Handle,
    /// One thread that has a small share in any case, for those who would starve there.
    share: Handle,
}

/// Who could have computed for so long, but had no processor, has a share from then on.
const STARVED: Duration = Duration::from_secs(1);

impl Aside {
    /// Starts the threads.
    pub(crate) fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = |count: usize, name: &str, priority: fn()| {
            let mut threads = Builder::new_multi_thread();
            threads.worker_threads(count).thread_name(name).on_thread_start(priority).build()
        };
        let idle = threads(cores, "hauski-aside", priority::when_idle)?;
        let share = threads(1, "hauski-share", priority::with_a_share)?;
        let places = Places { idle: idle.handle().clone(), share: share.handle().clone() };
        Ok(Self { runtimes: vec![idle, share], places })
    }

    /// What calls are handed to.
    pub(crate) fn places(&self) -> Places {
        self.places.clone()
    }
}

impl Places {
    /// Does what nobody waits for.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.idle.spawn(work);
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Whoever drops it may be one who must not wait.
        self.runtimes.drain(..).for_each(Runtime::shutdown_background);
    }
}

/// What a call is run with.
pub(crate) struct Run {
    pub(crate) aside: Places,
    pub(crate) consumption: Arc<Consumption>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) deadline: Instant,
    /// The most time that the request may compute.
    pub(crate) cpu: Duration,
}

impl Run {
    /// Runs metered work until the deadline or the CPU limit. Dropped, so is the work, though a moment later if it has moved.
    pub(crate) async fn run<T: Send + 'static>(self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.meter.rest();
        let mut work = Box::pin(Metered { future: Box::pin(work), meter: self.meter.clone(), cpu: self.cpu });
        if !self.consumption.is_slow() && !self.meter.is_long() {
            self.meter.set_aside(false);
            let here = poll_fn(|context| match work.as_mut().poll(context) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending if self.meter.is_long() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            match timeout_at(self.deadline, here).await {
                Ok(Some(answer)) => return answer,
                Ok(None) => {}
                Err(_) => return None,
            }
        }
        self.meter.set_aside(true);
        let moves = |work, is_idle: bool| {
            let place = if is_idle { &self.aside.idle } else { &self.aside.share };
            let (home, meter, since) = (Handle::current(), self.meter.clone(), is_idle.then(Instant::now));
            Moved(Some(place.spawn(AtHome { home, meter, since, is_idle, work: Some(work) })))
        };
        let is_idle = self.meter.starved() < STARVED;
        match timeout_at(self.deadline, moves(work, is_idle)).await.ok()? {
            Ok(answer) => answer,
            Err(work) => timeout_at(self.deadline, moves(work, false)).await.ok()?.ok().flatten(),
        }
    }
}

/// Work that has moved, and still uses the sockets and clocks of the worker that it comes from. It ends early, with itself, where it
/// starves.
struct AtHome<F> {
    home: Handle,
    meter: Arc<Meter>,
    /// Since when it waits for its first turn.
    since: Option<Instant>,
    is_idle: bool,
    work: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for AtHome<F> {
    type Output = Result<F::Output, Pin<Box<F>>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(since) = self.since.take() {
            self.meter.starve(since.elapsed());
        }
        let home = self.home.clone();
        let _at_home = home.enter();
        let Some(work) = self.work.as_mut() else { return Poll::Pending };
        if let Poll::Ready(answer) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(answer));
        }
        let starves = self.is_idle && self.meter.starved() >= STARVED;
        match starves.then(|| self.work.take()).flatten() {
            Some(work) => Poll::Ready(Err(work)),
            None => Poll::Pending,
        }
    }
}

/// A handle to moved work, which it aborts on drop. None once the threads have stopped.
struct Moved<T>(Option<JoinHandle<T>>);

impl<T> Future for Moved<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(handle) = &mut self.0 else { return Poll::Pending };
        match Pin::new(handle).poll(context) {
            Poll::Ready(Ok(answer)) => Poll::Ready(answer),
            Poll::Ready(Err(error)) => match error.try_into_panic() {
                // As if it had happened here.
                Ok(panic) => std::panic::resume_unwind(panic),
                // The threads are gone, since the gateway stops. The deadline ends the wait, and polls once more.
                Err(_) => {
                    self.0 = None;
                    Poll::Pending
                }
            },
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> Drop for Moved<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.abort();
        }
    }
}

#[cfg(test)]
mod tests;
