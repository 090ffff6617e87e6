//! From settings to a gateway that is ready to be bound: everything that can fail from configuration fails here.
//!
//! `hauski check` is this without the socket. All that is wrong is told at once.

use crate::app::{Breakers, Gateway};
use crate::body::Room;
use crate::environment::{Environment, LIMITS, MODELS, Process, Settings};
use crate::metrics::Metrics;
use crate::source::{self, Source};
use crate::view::View;
use crate::watch::Watch;
use hauski_egress::{CertificateDer, Ledger, MissingSecret, Parts, Resolve, Shared, SystemResolver};
use hauski_policy::{Diagnostics, Limits, Models, Parsed};
use hauski_runtime::{Adapters, EngineError, FolderError, Runtime};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Instant, SystemTime};

/// One thing that is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A policy file can't be read.
    #[error("`{}` can't be read: {source}; create it, or set `{variable}` to where it is", path.display())]
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
            Self::Folder(_) | Self::Root(_) | Self::Engine(_) | Self::Metrics(_) => "setup".to_owned(),
        }
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
}

impl World {
    /// The real one.
    #[must_use]
    pub fn real() -> Self {
        Self { env: Arc::new(Process), resolver: Arc::new(SystemResolver::default()), extra_roots: Vec::new() }
    }
}

/// Makes the gateway.
///
/// # Errors
/// All that is wrong with the policies, the secrets and the adapters folder. What depends on a file that is wrong is not looked
/// at: secrets need the grants, and the folder needs the limits.
pub async fn prepare(settings: &Settings, world: World) -> Result<(Gateway, Vec<Diagnostics>), Vec<Problem>> {
    let mut problems = Vec::new();
    let source = Source::new(settings.routing.clone(), world.env);
    let (policy, seen) = source.load();
    let policy = policy.map_err(|found| problems.extend(found)).ok();
    let limits = read(&settings.limits, LIMITS, Limits::parse, &mut problems);
    let models = read(&settings.models, MODELS, Models::parse, &mut problems);
    let Some(limits) = limits else { return Err(problems) };
    let adapters = load(&settings.adapters, &limits.value).await.map_err(|problem| problems.push(problem)).ok();
    let (Some(policy), Some(models), Some(adapters)) = (policy, models, adapters) else { return Err(problems) };

    let warnings = [policy.routing.warnings, limits.warnings, models.warnings];
    let warnings = warnings.into_iter().filter(|warnings| !warnings.is_empty()).collect();
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
    let breakers = Breakers::default();
    let view = View::new(routing, &models, &adapters, &breakers, egress.policy().generation);
    let room = Room::new(&limits.server);
    let gateway = Gateway {
        limits,
        models,
        adapters,
        metrics,
        egress,
        expose_config: settings.expose_config && settings.bind.ip().is_loopback(),
        started: SystemTime::now(),
        view: RwLock::new(Arc::new(view)),
        stale: RwLock::default(),
        looked: RwLock::new(Instant::now()),
        source,
        seen,
        watch,
        room,
        breakers,
    };
    Ok((gateway, warnings))
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

/// Loads the adapters folder.
///
/// # Errors
/// If the folder can't be read or the sandbox can't be started; a single file's failure is noted in the result.
pub async fn load(folder: &Path, limits: &Limits) -> Result<Adapters, Problem> {
    Ok(Runtime::new(limits)?.load(folder, limits).await?)
}
