//! From settings to a gateway that is ready to be bound: everything that can fail from configuration fails here.
//!
//! `hauski check` is this without the socket. All that is wrong is told at once.

use crate::access::{Access, NoRandom};
use crate::app::Gateway;
use crate::approved::Approved;
pub use crate::approved::lock;
use crate::body::Room;
use crate::breakers::Breakers;
use crate::connections::Connections;
use crate::console::Console;
use crate::environment::{BIND, Environment, KEYS, KeysFrom, Process, Settings};
use crate::limits_file::LimitsFile;
use crate::metrics::Metrics;
use crate::models_file::ModelsFile;
use crate::source::{self, Seen, Source};
use crate::tls::{Tls, TlsError};
use crate::view::View;
use crate::watch::Watch;
use hauski_egress::{CertificateDer, Ledger, MissingSecret, Parts, Resolve, Shared, SystemResolver};
use hauski_policy::{Diagnostics, Keys, Limits, Lock, Parsed};
use hauski_runtime::{Compiler, EngineError, FolderError, Library, LoadOptions, OpenError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Instant, SystemTime};
use tokio::sync::watch;

/// One thing that is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A policy file can't be read.
    #[error("`{}` can't be read: {source}; {}", path.display(), remedy(source, variable))]
    File {
        /// The file.
        path: PathBuf,
        /// The variable that names it.
        variable: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A policy file says what can't hold.
    #[error(transparent)]
    Policy(Diagnostics),
    /// A secret that a grant names is not there.
    #[error("{file}: {missing}")]
    Secret {
        /// The file with the grant.
        file: String,
        /// What is missing.
        missing: MissingSecret,
    },
    /// Everybody who reaches the address could ask.
    #[error(
        "`{BIND}` is {0}, which others than this machine can reach, and there are no keys: make one with `hauski keys new` and \
         put its entry into the file of `{KEYS}`, or bind to 127.0.0.1"
    )]
    Open(SocketAddr),
    /// Keys were in force before, and there are none now.
    #[error(
        "the clients' keys are missing: the gateway asked for keys before, as `{}` shows; restore the file of `{KEYS}`, or delete \
         `{}` to let in everyone on this machine", marker.display(), marker.display()
    )]
    KeysLost {
        /// The file that shows it.
        marker: PathBuf,
    },
    /// Certificate and key can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// This machine gives no random numbers.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
    /// The adapters folder can't be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A certificate authority that is to be trusted is none.
    #[error(transparent)]
    Root(#[from] hauski_egress::InvalidRoot),
    /// This machine can't run the sandbox.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The metrics could not be registered.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

impl Problem {
    /// Where and what, without any text of the files: for those who may not read them.
    pub(crate) fn place(&self) -> String {
        let name = |file: &str| Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned();
        match self {
            Self::File { path, source, .. } => format!("{}: {}", name(&path.to_string_lossy()), source.kind()),
            Self::Policy(diagnostics) => match diagnostics.iter().find(|one| one.severity.as_str() == "error") {
                Some(one) => format!("{}:{}:{}: {}", name(&one.file), one.line, one.column, one.code),
                None => name(diagnostics.file()),
            },
            Self::Secret { file, missing } => format!("{}:{}: secret-missing", name(file), missing.line),
            Self::Tls(error) => format!("{}: {}", name(&error.path().to_string_lossy()), error.code()),
            Self::Open(_)
            | Self::KeysLost { .. }
            | Self::NoRandom(_)
            | Self::Folder(_)
            | Self::Root(_)
            | Self::Engine(_)
            | Self::Metrics(_) => "setup".to_owned(),
        }
    }
}

/// Returns the remedy for a file that cannot be read, which `variable` names.
fn remedy(error: &io::Error, variable: &str) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("create it, or set `{variable}` to where it is"),
        io::ErrorKind::PermissionDenied => "let the user that runs the gateway read it".to_owned(),
        io::ErrorKind::FileTooLarge => "shorten the file".to_owned(),
        _ => format!("replace it with a text file, or set `{variable}` to another path"),
    }
}

/// The parts of the world that tests replace.
pub struct World {
    /// Where secrets come from.
    pub env: Arc<dyn Environment>,
    /// Where addresses come from.
    pub resolver: Arc<dyn Resolve>,
    /// Certificate authorities that are trusted besides the web's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// The program that compiles adapters.
    pub compiler: Compiler,
}

impl World {
    /// The real one.
    #[must_use]
    pub fn real() -> Self {
        Self {
            env: Arc::new(Process),
            resolver: Arc::new(SystemResolver::default()),
            extra_roots: Vec::new(),
            compiler: Compiler::this_program(),
        }
    }
}

/// A gateway and what the policies' files warn of, or all that is wrong.
pub type Prepared = Result<(Gateway, Vec<Diagnostics>), Vec<Problem>>;

/// Makes the gateway, and begins to load its adapters. [`Gateway::load_adapters`] waits for them.
///
/// # Errors
/// All that is wrong with the policies, the secrets and the adapters folder. What depends on a file that is wrong is not looked at:
/// secrets need the grants.
pub fn prepare(settings: &Settings, world: World) -> Prepared {
    let mut problems = Vec::new();
    let source = Source::new(settings.routing.clone(), world.env);
    let (policy, policy_seen) = source.load();
    let policy = policy.map_err(|found| problems.extend(found)).ok();
    let is_public = !settings.bind.ip().is_loopback();
    let (keys, keys_seen) = Access::load(&settings.keys);
    let keys = keys.map_err(|problem| problems.push(problem)).ok();
    let marker = settings.ledger.as_ref().map(|ledger| ledger.with_file_name("keys-required"));
    if let (Some(None), Some(marker)) = (&keys, marker.as_ref().filter(|marker| marker.try_exists().unwrap_or(true))) {
        problems.push(Problem::KeysLost { marker: marker.clone() });
    }
    if is_public && keys.as_ref().is_some_and(Option::is_none) {
        problems.push(Problem::Open(settings.bind));
    }
    let (tls, tls_seen) = settings.tls.as_ref().map_or((Ok(None), Seen::default()), Tls::load);
    let tls = tls.map_err(|problem| problems.push(problem)).ok();
    let (limits, limits_seen) = LimitsFile::load(&settings.limits);
    let limits = limits.map_err(|problem| problems.push(problem)).ok();
    let (models, models_seen) = ModelsFile::load(&settings.models);
    let models = models.map_err(|problem| problems.push(problem)).ok();
    let Some(limits) = limits else { return Err(problems) };
    let (lock, lock_seen) =
        if limits.value.require_lock { Approved::load(&settings.lock) } else { (Ok(Lock::default()), Seen::default()) };
    let lock = lock.map_err(|problem| problems.push(problem)).ok();
    let lock = lock.filter(|_| limits.value.require_lock);
    if let Err(error) = hauski_runtime::check_folder(&settings.adapters) {
        problems.push(error.into());
    }
    let (Some(policy), Some(models), Some(keys), Some(tls), []) = (policy, models, keys, tls, &problems[..]) else {
        return Err(problems);
    };
    // Last: it begins to compile.
    let options = LoadOptions { cache: settings.cache.clone(), lock, compiler: world.compiler };
    let library = open(&settings.adapters, &limits.value, options).map_err(|problem| vec![problem])?;
    let access = Access::new(settings.keys.clone(), keys.as_ref().map(|keys| &keys.value), is_public, marker);
    let access = access.map_err(|error| vec![error.into()])?;

    let key_warnings = keys.map(|keys| keys.warnings);
    let warnings = [policy.routing.warnings, limits.warnings, models.warnings].into_iter().chain(key_warnings);
    let warnings = warnings.filter(|warnings| !warnings.is_empty()).collect();
    let (routing, limits, models) = (policy.routing.value, limits.value, models.value);
    let metrics = Arc::new(Metrics::new().map_err(|error| vec![error.into()])?);
    metrics.policy_generation.set(1);
    let watch = Arc::new(Watch::new(metrics.clone(), &routing.egress));
    // It is opened when the gateway starts: a check leaves it alone.
    let ledger = settings.ledger.as_ref().map_or_else(Ledger::off, |path| Ledger::at(path, limits.ledger));
    metrics.watch_ledger(&ledger).map_err(|error| vec![error.into()])?;
    let parts = Parts {
        resolver: world.resolver,
        observer: watch.clone(),
        egress: routing.egress.clone(),
        secrets: policy.secrets,
        ledger,
        extra_roots: world.extra_roots,
    };
    let egress = Arc::new(Shared::new(parts).map_err(|error| vec![error.into()])?);
    // The start replaces it by the address that is bound. Before, the review and `check --online` go by the setting.
    egress.set_own_addresses(vec![settings.bind]);
    let breakers = Breakers::default();
    let view = View::new(
        routing,
        Arc::new(models),
        library.adapters(),
        &breakers,
        egress.policy().generation,
        settings.dry_run_egress,
    );
    let room = Room::new(&limits.server);
    let connections = Connections::new(limits.server.connections);
    let approved = limits.require_lock.then(|| Approved::new(&settings.lock));
    let gateway = Gateway {
        limits: LimitsFile::new(&settings.limits, limits_seen, limits),
        models_file: ModelsFile::new(&settings.models),
        library,
        approved,
        metrics,
        egress,
        dry_run_egress: settings.dry_run_egress,
        expose_config: settings.expose_config && !is_public,
        started: SystemTime::now(),
        view: RwLock::new(Arc::new(view)),
        changed: watch::Sender::default(),
        remaking: Mutex::default(),
        stale: RwLock::default(),
        has_findings: AtomicBool::default(),
        looked: RwLock::new(Instant::now()),
        source,
        seen: [policy_seen, keys_seen, tls_seen, lock_seen, models_seen],
        access,
        tls,
        watch,
        otlp: settings.otlp.clone(),
        room,
        connections,
        breakers,
        console: Console::default(),
    };
    Ok((gateway, warnings))
}

/// Reads the clients' keys, if there are any; `None`: nobody is asked for one.
///
/// # Errors
/// What is wrong with them.
pub fn keys(from: &KeysFrom) -> Result<Option<Keys>, Problem> {
    Ok(Access::load(from).0?.map(|keys| keys.value))
}

type Parse<T> = fn(&str, &[u8]) -> Result<Parsed<T>, Diagnostics>;

/// Reads and parses one policy file.
pub fn read<T>(path: &Path, variable: &'static str, parse: Parse<T>, problems: &mut Vec<Problem>) -> Option<Parsed<T>> {
    read_file(path, variable, parse, &|path| Ok(source::read(path)?.to_vec()))
        .map_err(|problem| problems.push(problem))
        .ok()
}

/// Parses what `read` finds at `path`.
pub(crate) fn read_file<T>(
    path: &Path,
    variable: &'static str,
    parse: Parse<T>,
    read: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Parsed<T>, Problem> {
    match read(path) {
        Ok(text) => parse(&path.to_string_lossy(), &text).map_err(Problem::Policy),
        Err(source) => Err(Problem::File { path: path.to_owned(), variable, source }),
    }
}

/// Opens the adapters folder, and begins to load its files.
///
/// # Errors
/// If the folder can't be read or the sandbox can't be started; a single file's failure is noted in the result.
pub fn open(folder: &Path, limits: &Limits, options: LoadOptions) -> Result<Library, Problem> {
    Library::open(folder, limits, options).map_err(|error| match error {
        OpenError::Folder(error) => error.into(),
        OpenError::Engine(error) => error.into(),
    })
}
