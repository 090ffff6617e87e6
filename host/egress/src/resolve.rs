//! Names become addresses here and nowhere else: once a request, in a bounded time, to a bounded number.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, watch};

/// More addresses than this for one name are an error: no honest name has them.
pub(crate) const MAX_ADDRESSES: usize = 64;

/// Where the system has names of its own.
const HOSTS: &str = "/etc/hosts";

/// Look-ups at once. The system's can't be cancelled, so those that hang are counted until they end.
const MAX_LOOKUPS: usize = 64;

/// The addresses of a name, to come.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Where addresses come from. The guard bounds the time and the number.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `name`, which is a valid host name in lower case.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// The system's resolver. Who asks for a name that is being looked up gets that answer: a name takes one turn, however many ask.
#[derive(Debug)]
pub struct SystemResolver {
    turns: Arc<Semaphore>,
    under_way: Arc<UnderWay>,
}

/// What look-ups come to, by name, while they are under way.
type UnderWay = Mutex<HashMap<String, watch::Receiver<Option<Found>>>>;
type Found = Result<Vec<IpAddr>, Arc<io::Error>>;

impl Default for SystemResolver {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(MAX_LOOKUPS)), under_way: Arc::default() }
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let mut found = self.join(name);
            let found = found.wait_for(Option::is_some).await.map_err(io::Error::other)?;
            let found = found.clone().unwrap_or_else(|| Ok(Vec::new()));
            found.map_err(|error| io::Error::new(error.kind(), error))
        })
    }
}

impl SystemResolver {
    /// The look-up of `name` that is under way, or a new one.
    fn join(&self, name: &str) -> watch::Receiver<Option<Found>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = under_way.get(name).filter(|found| found.has_changed().is_ok()) {
            return found.clone();
        }
        let (tell, found) = watch::channel(None);
        under_way.insert(name.to_owned(), found.clone());
        let (turns, entries, name) = (Arc::clone(&self.turns), Arc::clone(&self.under_way), name.to_owned());
        // A task of its own: a look-up that nobody waits for any more keeps its turn until it ends.
        tokio::spawn(async move {
            let answer = look_up(&turns, name.clone()).await.map_err(Arc::new);
            entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            tell.send_replace(Some(answer));
        });
        found
    }
}

async fn look_up(turns: &Semaphore, name: String) -> io::Result<Vec<IpAddr>> {
    let turn = turns.acquire().await.map_err(io::Error::other)?;
    let found = if name.contains('.') { look_up_whole(name).await } else { ask(&name).await };
    drop(turn);
    found
}

/// The addresses of a name that has dots, as it stands.
///
/// Asked for such a name the system's resolver would go through its search list as well: a granted name that does not exist, or
/// does not for a moment, would be asked for, and could be found, below a domain that nobody has granted. A dot at the end
/// prevents that, and hides the name from the system's own file, which is read here for that reason.
async fn look_up_whole(name: String) -> io::Result<Vec<IpAddr>> {
    let absolute = format!("{name}.");
    let file = move || std::fs::read(HOSTS).map(|text| listed(&String::from_utf8_lossy(&text), &name));
    match tokio::task::spawn_blocking(file).await.map_err(io::Error::other)? {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => ask(&absolute).await,
    }
}

/// The addresses that a file like `/etc/hosts` has for `name`.
fn listed(text: &str, name: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    let of_name = lines.filter_map(|mut words| {
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    });
    of_name.take(MAX_ADDRESSES + 1).collect()
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that resolves names")]
async fn ask(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((name, 0)).await?;
    // One more than is looked at, so that the guard sees that there are too many.
    Ok(found.map(|address| address.ip()).take(MAX_ADDRESSES + 1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_systems_resolver_knows_this_machine() {
        let resolver = SystemResolver::default();
        let addresses = resolver.resolve("localhost").await.unwrap();
        assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
        assert_eq!(resolver.turns.available_permits(), MAX_LOOKUPS);
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_however_many_ask() {
        let resolver = SystemResolver::default();
        let turns = resolver.turns.clone().acquire_many_owned(u32::try_from(MAX_LOOKUPS).unwrap()).await.unwrap();
        let mut asking = [resolver.resolve("localhost"), resolver.resolve("localhost")];
        for one in &mut asking {
            assert!(tokio::time::timeout(std::time::Duration::from_millis(1), one).await.is_err());
        }
        assert_eq!(resolver.under_way.lock().unwrap().len(), 1);
        drop(turns);
        for one in asking {
            assert!(one.await.unwrap().iter().all(IpAddr::is_loopback));
        }
        assert!(resolver.under_way.lock().unwrap().is_empty());
        assert!(!resolver.resolve("localhost").await.unwrap().is_empty(), "asked again, it is looked up again");
    }

    #[test]
    fn names_of_the_systems_file() {
        let text = "# 10.0.0.9 gpu.example.com\n127.0.0.1 localhost\n\n10.0.0.1\tgpu GPU.example.com # gpu2.example.com\n\
                    fd00::1 gpu.example.com\nfe80::1%eth0 gpu.example.com\n10.0.0.2 gpu.example.com.au xgpu.example.com\n";
        let check = |name, expected: &[&str]| {
            let found: Vec<_> = listed(text, name).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{name}");
        };
        check("gpu.example.com", &["10.0.0.1", "fd00::1"]);
        check("gpu2.example.com", &[]);
        check("example.com", &[]);
        check("10.0.0.1", &[]);
    }
}
