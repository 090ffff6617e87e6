//! Names become addresses here and nowhere else: once a request, in a bounded time, to a bounded number.

use hauski_policy::AdapterId;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};

/// More addresses than this for one name are an error: no honest name has them.
pub(crate) const MAX_ADDRESSES: usize = 64;

/// Where the system has names of its own.
const HOSTS: &str = "/etc/hosts";

/// Look-ups at once. The system's can't be cancelled, so those that hang are counted until they end.
const MAX_LOOKUPS: usize = 64;

/// The most concurrent look-ups of one adapter, so that a silent name server delays only that adapter.
const MAX_LOOKUPS_OF_ADAPTER: usize = 8;

/// The most attempts to join a look-up that is given up at that moment.
const MAX_JOINS: usize = 4;

/// The addresses of a name, to come.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Where addresses come from. The guard bounds the time and the number.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `name`, which is a valid host name in lower case, for the adapter `adapter`.
    fn resolve<'a>(&'a self, adapter: &'a AdapterId, name: &'a str) -> Resolving<'a>;
}

/// The system's resolver, with request coalescing.
///
/// Requests of one adapter share a pending look-up of the same name.
#[derive(Debug, Default)]
pub struct SystemResolver(Lookups);

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, adapter: &'a AdapterId, name: &'a str) -> Resolving<'a> {
        Box::pin(self.0.find(adapter, name, look_up))
    }
}

/// Look-ups that wait for their turn or are under way.
#[derive(Debug)]
struct Lookups {
    turns: Arc<Semaphore>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Look-ups that are pending, by adapter and name.
    pending: HashMap<Key, watch::Sender<Option<Found>>>,
    /// The semaphores that bound each adapter's look-ups.
    turns: HashMap<AdapterId, Arc<Semaphore>>,
}

type Key = (AdapterId, String);
type Found = Result<Vec<IpAddr>, Arc<io::Error>>;

impl Default for Lookups {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(MAX_LOOKUPS)), state: Arc::default() }
    }
}

impl Lookups {
    /// Returns what `look` finds for `name`, or what a look-up of it finds that is under way for this adapter.
    async fn find<F>(&self, adapter: &AdapterId, name: &str, look: fn(String) -> F) -> io::Result<Vec<IpAddr>>
    where
        F: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        for _ in 0..MAX_JOINS {
            let mut found = self.join(adapter, name, look);
            // One that was given up just now is begun again.
            let Ok(found) = found.wait_for(Option::is_some).await else { continue };
            let found = found.clone().unwrap_or_else(|| Ok(Vec::new()));
            return found.map_err(|error| io::Error::new(error.kind(), error));
        }
        Err(io::Error::other("the look-up was given up again and again"))
    }

    /// Returns the look-up that is under way, or a new one.
    fn join<F>(&self, adapter: &AdapterId, name: &str, look: fn(String) -> F) -> watch::Receiver<Option<Found>>
    where
        F: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        let key = (adapter.clone(), name.to_owned());
        let mut state = lock(&self.state);
        if let Some(tell) = state.pending.get(&key) {
            return tell.subscribe();
        }
        let (tell, found) = watch::channel(None);
        state.pending.insert(key.clone(), tell.clone());
        let own = || Arc::new(Semaphore::new(MAX_LOOKUPS_OF_ADAPTER));
        let own = state.turns.entry(adapter.clone()).or_insert_with(own).clone();
        let all = self.turns.clone();
        let pending = Pending { key, state: self.state.clone() };
        // A runtime that has ended drops the task at once, which locks the state again.
        drop(state);
        // A separate task: a started look-up keeps its turn until it ends.
        tokio::spawn(async move {
            let turn = async { (own.acquire_owned().await, all.acquire_owned().await) };
            let turn = tokio::select! {
                turn = turn => turn,
                // All receivers are gone before the system was asked.
                () = tell.closed() => return,
            };
            let answer = look(pending.key.1.clone()).await.map_err(Arc::new);
            drop(turn);
            drop(pending);
            tell.send_replace(Some(answer));
        });
        found
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A look-up's entry among those that are pending; taken out on drop.
struct Pending {
    key: Key,
    state: Arc<Mutex<State>>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        lock(&self.state).pending.remove(&self.key);
    }
}

async fn look_up(name: String) -> io::Result<Vec<IpAddr>> {
    if name.contains('.') { look_up_whole(name).await } else { ask(&name).await }
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

    fn id(text: &str) -> AdapterId {
        text.parse().unwrap()
    }

    async fn silence(_: String) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }

    async fn here(_: String) -> io::Result<Vec<IpAddr>> {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }

    #[tokio::test]
    async fn system_resolver_resolves_localhost() {
        let resolver = SystemResolver::default();
        for _ in 0..2 {
            let addresses = resolver.resolve(&id("a"), "localhost").await.unwrap();
            assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
        }
        assert_eq!(resolver.0.turns.available_permits(), MAX_LOOKUPS);
        assert!(lock(&resolver.0.state).pending.is_empty());
    }

    #[tokio::test]
    async fn concurrent_look_ups_of_one_name_are_coalesced() {
        let lookups = Lookups::default();
        let turns = lookups.turns.clone().acquire_many_owned(u32::try_from(MAX_LOOKUPS).unwrap()).await.unwrap();
        let one = id("a");
        let asking = [lookups.join(&one, "n", here), lookups.join(&one, "n", here)];
        assert_eq!(lock(&lookups.state).pending.len(), 1);
        drop(turns);
        for mut one in asking {
            assert!(one.wait_for(Option::is_some).await.is_ok());
        }
        assert!(lock(&lookups.state).pending.is_empty());
    }

    /// M7: an adapter with a wildcard, whose names nobody answers, held up all names of all adapters.
    #[tokio::test]
    async fn silent_names_of_one_adapter_hold_up_no_other() {
        let lookups = Lookups::default();
        let names: Vec<_> = (0..1_000).map(|n| lookups.join(&id("a"), &format!("n{n}"), silence)).collect();
        tokio::task::yield_now().await;
        assert_eq!(lookups.find(&id("b"), "n", here).await.unwrap().len(), 1);
        assert_eq!(lookups.turns.available_permits(), MAX_LOOKUPS - MAX_LOOKUPS_OF_ADAPTER);
        // Those that were given up before their turn are never begun, and leave nothing.
        drop(names);
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(lock(&lookups.state).pending.len(), MAX_LOOKUPS_OF_ADAPTER);
    }

    /// A guest may ask while its worker's runtime has ended.
    #[tokio::test]
    async fn look_up_on_a_runtime_that_has_ended_holds_no_lock() {
        let lookups = Arc::new(Lookups::default());
        let ended = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let handle = ended.handle().clone();
        ended.shutdown_background();
        let joining = lookups.clone();
        let joined = std::thread::spawn(move || {
            let _home = handle.enter();
            drop(joining.join(&id("a"), "n", here));
        });
        joined.join().unwrap();
        assert_eq!(lookups.find(&id("a"), "n", here).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn look_up_that_was_given_up_is_begun_again_for_the_next() {
        let lookups = Lookups::default();
        let turns = lookups.turns.clone().acquire_many_owned(u32::try_from(MAX_LOOKUPS).unwrap()).await.unwrap();
        let one = id("a");
        drop(lookups.join(&one, "n", here));
        let next = lookups.find(&one, "n", here);
        drop(turns);
        assert_eq!(next.await.unwrap().len(), 1);
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
