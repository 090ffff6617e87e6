//! Names become addresses here and nowhere else: once a request, in a bounded time, to a bounded number.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// More addresses than this for one name are an error: no honest name has them.
pub(crate) const MAX_ADDRESSES: usize = 64;

/// Look-ups at once. The system's can't be cancelled, so those that hang are counted until they end.
const MAX_LOOKUPS: usize = 64;

/// The addresses of a name, to come.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Where addresses come from. The guard bounds the time and the number.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `name`, which is a valid host name in lower case.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// The system's resolver.
#[derive(Debug)]
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let turn = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
            // A task of its own: a look-up that nobody waits for any more keeps its turn until it ends.
            let lookup = tokio::spawn(look_up(name.to_owned(), turn));
            lookup.await.map_err(io::Error::other)?
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that resolves names")]
async fn look_up(name: String, turn: tokio::sync::OwnedSemaphorePermit) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await;
    drop(turn);
    // One more than is looked at, so that the guard sees that there are too many.
    found.map(|addresses| addresses.map(|address| address.ip()).take(MAX_ADDRESSES + 1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_systems_resolver_knows_this_machine() {
        let resolver = SystemResolver::default();
        let addresses = resolver.resolve("localhost").await.unwrap();
        assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
        assert_eq!(resolver.lookups.available_permits(), MAX_LOOKUPS);
    }
}
