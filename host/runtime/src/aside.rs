//! A pool of threads for guests that compute for long, so that they do not hold up the requests that are answered in a moment.
//!
//! A call begins on its worker's thread. Once its guest has computed for a tick more than its part of the time, at once or bit by bit,
//! what is left moves to the pool, with all that it has open; an adapter of which that was so several times in a row begins there. The
//! pool has one thread less than there are cores, so that a core is left to the workers, and its threads have the priority of any
//! program: a model on the same machine that keeps all cores busy takes a share of them, not all.

use crate::consumption::Consumption;
use crate::meter::{Meter, Metered};
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

/// The pool. Its threads end with it.
pub(crate) struct Aside {
    runtime: Option<Runtime>,
    places: Places,
}

/// A handle to the pool, to which calls are moved.
#[derive(Clone)]
pub(crate) struct Places(Handle);

impl Aside {
    /// Starts the threads.
    pub(crate) fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.saturating_sub(1).max(1);
        let runtime = Builder::new_multi_thread().worker_threads(threads).thread_name("hauski-aside").build()?;
        let places = Places(runtime.handle().clone());
        Ok(Self { runtime: Some(runtime), places })
    }

    /// Returns the handle to which calls are moved.
    pub(crate) fn places(&self) -> Places {
        self.places.clone()
    }
}

impl Places {
    /// Runs work that nobody waits for.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(work);
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Whoever drops it may be one who must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The parts with which a call is run.
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
        let moved = Moved(Some(self.aside.0.spawn(AtHome { home: Handle::current(), work })));
        timeout_at(self.deadline, moved).await.ok().flatten()
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
