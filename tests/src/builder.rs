//! What a test wants of its gateway, and the files and settings that it becomes.

use crate::TestHost;
use crate::compiler::compiler;
use crate::routing::{Preferences, for_every_model, routing};
use hauski_egress::{CertificateDer, Resolve, SystemResolver};
use hauski_server::environment::{KeysFrom, TlsFiles};
use hauski_server::setup::{self, Prepared, World};
use hauski_server::{Endpoint, Settings, StartError};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// What a test wants of its gateway.
pub struct Builder {
    folder: TempDir,
    grants: String,
    models: String,
    limits: String,
    overrides: String,
    total_memory: String,
    env: BTreeMap<String, String>,
    resolver: Arc<dyn Resolve>,
    roots: Vec<CertificateDer<'static>>,
    expose_config: bool,
    local_only: bool,
    routing: Preferences,
    bind: SocketAddr,
    workers: usize,
    request_seconds: u64,
    ledger: bool,
    lock: Option<String>,
    keys_text: Option<String>,
    tls: Option<TlsFiles>,
    otlp: Option<Endpoint>,
    /// The texts of `routing.yaml` and `models.yml`, where they are not made of the parts.
    files: Option<[String; 2]>,
}

/// Limits that are wide enough for tests and short enough to fail in them.
const LIMITS: &str = "{ memory_mib: 16, cpu_ms: 1000, instances: 8, queue: 64, queue_ms: 5000, retries: 1, \
                      breaker_failures: 10, breaker_ms: 1000, probe_seconds: 0, connect_ms: 2000, first_token_ms: 5000, \
                      idle_ms: 5000, total_ms: 20000, response_mib: 4 }";

impl Builder {
    /// A gateway that reaches nothing and has no models.
    #[expect(clippy::expect_used, reason = "a test without its files has failed")]
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder for the test");
        fs::create_dir(folder.path().join("adapters")).expect("a folder for the adapters");
        Self {
            folder,
            grants: String::new(),
            models: String::new(),
            limits: LIMITS.to_owned(),
            overrides: String::new(),
            total_memory: String::new(),
            env: BTreeMap::new(),
            resolver: Arc::new(SystemResolver::default()),
            roots: Vec::new(),
            expose_config: false,
            local_only: false,
            routing: Preferences::default(),
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 2,
            request_seconds: 5,
            ledger: false,
            lock: None,
            keys_text: None,
            tls: None,
            otlp: None,
            files: None,
        }
    }

    /// Puts one of the project's adapters into the folder.
    #[must_use]
    pub fn adapter(self, id: &str) -> Self {
        self.adapter_as(id, id)
    }

    /// Puts one of the project's adapters into the folder under another name.
    #[must_use]
    pub fn adapter_as(self, built: &str, id: &str) -> Self {
        self.file(&format!("{id}.wasm"), &adapter(built))
    }

    /// Puts a test guest into the folder, under its own name with dashes, and names it as a model.
    #[must_use]
    pub fn guest(self, name: &str) -> Self {
        let id = name.replace('_', "-");
        self.guest_as(name, &id)
    }

    /// Puts a test guest into the folder under another name.
    #[must_use]
    pub fn guest_as(self, name: &str, id: &str) -> Self {
        self.file(&format!("{id}.wasm"), &guest(name)).model(&format!("{{ id: {id}, adapter: {id} }}"))
    }

    /// Puts any file into the adapters folder.
    ///
    /// # Panics
    /// If it can't be written.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test without its files has failed")]
    pub fn file(self, name: &str, bytes: &[u8]) -> Self {
        fs::write(self.adapters().join(name), bytes).expect("a file of the adapters folder");
        self
    }

    /// The adapters folder, for what is no plain file.
    #[must_use]
    pub fn adapters(&self) -> PathBuf {
        self.folder.path().join("adapters")
    }

    /// Adds an entry to `egress.allow`, as YAML in one line. One that names no models applies to every model, so that a test need not
    /// say which; [`Builder::grant_as_written`] leaves that alone.
    #[must_use]
    pub fn grant(self, entry: &str) -> Self {
        self.grant_as_written(&for_every_model(entry))
    }

    /// Adds an entry to `egress.allow`, as YAML in one line. One that names no models applies at the base URL of each model.
    #[must_use]
    pub fn grant_as_written(mut self, entry: &str) -> Self {
        let _ = writeln!(self.grants, "    - {entry}");
        self
    }

    /// Adds a model, as YAML in one line.
    #[must_use]
    pub fn model(mut self, entry: &str) -> Self {
        let _ = writeln!(self.models, "  - {entry}");
        self
    }

    /// Replaces values in the default limits of adapters: `name: value` each.
    #[must_use]
    pub fn limit(mut self, name: &str, value: u64) -> Self {
        let start = self.limits.find(&format!("{name}:")).unwrap_or(self.limits.len() - 2);
        let end = self.limits[start..].find([',', '}']).map_or(self.limits.len(), |at| start + at);
        self.limits.replace_range(start..end, &format!("{name}: {value} "));
        self
    }

    /// Sets the memory of all adapters together.
    #[must_use]
    pub fn total_memory_mib(mut self, mib: u64) -> Self {
        self.total_memory = format!("  total_memory_mib: {mib}\n");
        self
    }

    /// Sets limits of one adapter.
    #[must_use]
    pub fn override_limits(mut self, entry: &str) -> Self {
        let _ = write!(self.overrides, "{entry}, ");
        self
    }

    /// Sets a variable of the environment that secrets come from.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Resolves names by `resolver`.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Trusts a certificate authority.
    #[must_use]
    pub fn root(mut self, root: CertificateDer<'static>) -> Self {
        self.roots.push(root);
        self
    }

    /// Asks for `/config/…` and `/adapters`.
    #[must_use]
    pub fn expose_config(mut self) -> Self {
        self.expose_config = true;
        self
    }

    /// Holds all requests to what is local.
    #[must_use]
    pub fn local_only(mut self) -> Self {
        self.local_only = true;
        self
    }

    /// Sets `routing.routes`, as YAML in one line.
    #[must_use]
    pub fn routes(mut self, routes: &str) -> Self {
        self.routing.routes = routes.to_owned();
        self
    }

    /// Lets requests that began local leave.
    #[must_use]
    pub fn cloud_fallback(mut self) -> Self {
        self.routing.cloud_fallback = true;
        self
    }

    /// Lets no model go first because it is local.
    #[must_use]
    pub fn prefer_any(mut self) -> Self {
        self.routing.any = true;
        self
    }

    /// Listens on another address.
    #[must_use]
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.bind = address;
        self
    }

    /// Serves with another number of workers: with one, all requests share a core and a door.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets how long a client may take to send its request, and to read its answer.
    #[must_use]
    pub fn request_seconds(mut self, seconds: u64) -> Self {
        self.request_seconds = seconds;
        self
    }

    /// Keeps a ledger, at `ledger/egress.jsonl` in the folder.
    #[must_use]
    pub fn ledger(mut self) -> Self {
        self.ledger = true;
        self
    }

    /// Serves only what this `adapters.lock` approves; an empty text is no file.
    #[must_use]
    pub fn lock(mut self, text: &str) -> Self {
        self.lock = Some(text.to_owned());
        self
    }

    /// Asks clients for the keys of this `keys.yaml`.
    #[must_use]
    pub fn keys(self, text: &str) -> Self {
        self.write("keys.yaml", text);
        self
    }

    /// The same by a variable of the environment.
    #[must_use]
    pub fn keys_text(mut self, text: &str) -> Self {
        self.keys_text = Some(text.to_owned());
        self
    }

    /// Speaks TLS with this certificate and key, both as PEM, in `cert.pem` and `key.pem`.
    #[must_use]
    pub fn tls(mut self, cert: &str, key: &str) -> Self {
        self.tls = Some(TlsFiles { cert: self.write("cert.pem", cert), key: self.write("key.pem", key) });
        self
    }

    /// Takes these texts for `routing.yaml` and `models.yml`.
    #[must_use]
    pub fn files(mut self, routing: &str, models: &str) -> Self {
        self.files = Some([routing.to_owned(), models.to_owned()]);
        self
    }

    /// Sends telemetry to the collector at this URL, if a grant for `telemetry` lets it.
    ///
    /// # Panics
    /// If it is no such URL.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test with a malformed URL is wrong")]
    pub fn otlp(mut self, url: &str) -> Self {
        self.otlp = Some(url.parse().expect("the URL of a collector"));
        self
    }

    /// Prepares and binds.
    ///
    /// # Panics
    /// If anything is wrong with the configuration, or the port is taken.
    #[expect(clippy::panic, reason = "a test without its gateway has failed")]
    pub async fn start(self) -> TestHost {
        self.try_start().await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, where the port may be taken.
    ///
    /// # Errors
    /// If it is.
    ///
    /// # Panics
    /// If anything is wrong with the configuration.
    #[expect(clippy::panic, reason = "a test without its gateway has failed")]
    pub async fn try_start(self) -> Result<TestHost, StartError> {
        let (bind, workers) = (self.bind, self.workers);
        let prepare = tokio::task::spawn_blocking(move || self.prepare());
        let (prepared, folder) = prepare.await.unwrap_or_else(|error| panic!("{error}"));
        let (gateway, _) = prepared.unwrap_or_else(|problems| panic!("{problems:#?}"));
        let running = hauski_server::start(gateway, bind, workers)?;
        Ok(TestHost::running(running, folder))
    }

    /// Does what `hauski check` does.
    ///
    /// # Panics
    /// If its files can't be written.
    pub fn prepare(self) -> (Prepared, TempDir) {
        let models = if self.models.is_empty() { " []\n" } else { &format!("\n{}", self.models) };
        let switch = if self.local_only { "  local_only: true\n" } else { "" };
        let [routing, models] = self
            .files
            .clone()
            .unwrap_or_else(|| [routing(&self.grants, switch, &self.routing), format!("models:{models}")]);
        let limits = format!(
            "server: {{ request_mib: 1, buffered_mib: 8, request_seconds: {}, connections: 64, shutdown_seconds: 2 }}\n\
             ledger: {{ file_mib: 1, files: 4 }}\n\
             adapters:\n  require_lock: {}\n{}  defaults: {}\n  overrides: {{ {} }}\n\
             latency: {{ llm_p95_ms: 400 }}\n",
            self.request_seconds,
            self.lock.is_some(),
            self.total_memory,
            self.limits,
            self.overrides
        );
        let settings = Settings {
            bind: self.bind,
            routing: self.write("routing.yaml", &routing),
            limits: self.write("limits.yaml", &limits),
            models: self.write("models.yml", &models),
            keys: match &self.keys_text {
                Some(text) => KeysFrom::Text(text.clone()),
                None => KeysFrom::File { path: self.folder.path().join("keys.yaml"), named: false },
            },
            tls: self.tls.clone(),
            adapters: self.adapters(),
            lock: match self.lock.as_deref() {
                None | Some("") => self.folder.path().join("adapters.lock"),
                Some(text) => self.write("adapters.lock", text),
            },
            cache: Some(Path::new(env!("HAUSKI_TEST_ADAPTERS")).join("compiled")),
            ledger: self.ledger.then(|| self.folder.path().join("ledger/egress.jsonl")),
            expose_config: self.expose_config,
            otlp: self.otlp.clone(),
            dry_run_egress: false,
        };
        let world = World {
            env: Arc::new(self.env.clone()),
            resolver: self.resolver.clone(),
            extra_roots: self.roots.clone(),
            compiler: compiler(),
        };
        let prepared = setup::prepare(&settings, world);
        let _ = prepared.as_ref().map(|(gateway, _)| gateway.load_adapters(&mut |_| {}));
        (prepared, self.folder)
    }

    #[expect(clippy::expect_used, reason = "a test without its files has failed")]
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

/// The bytes of one of the project's adapters.
#[must_use]
pub fn adapter(id: &str) -> Vec<u8> {
    read(&Path::new(env!("HAUSKI_TEST_ADAPTERS")).join(format!("{}.wasm", id.replace('-', "_"))))
}

/// The bytes of a test guest, for a gateway in a process of its own.
#[must_use]
pub fn guest(name: &str) -> Vec<u8> {
    read(&Path::new(env!("HAUSKI_TEST_GUESTS")).join(format!("{name}.wasm")))
}

#[expect(clippy::panic, reason = "a test without its guest has failed")]
fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
