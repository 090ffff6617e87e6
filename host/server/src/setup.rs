//! From settings to a gateway that is ready to be bound: everything that can fail from configuration fails here.
//!
//! `hauski check` is this without the socket. All that is wrong is told at once.

use crate::app::{self, Gateway};
use crate::environment::{Environment, LIMITS, MODELS, ROUTING, Settings};
use crate::metrics::Metrics;
use crate::watch::Watch;
use hauski_egress::{CertificateDer, MissingSecret, Parts, Resolve, Secrets, Shared, SystemResolver};
use hauski_policy::{Diagnostics, Limits, Models, Parsed, Routing};
use hauski_runtime::{Adapters, EngineError, FolderError, Runtime};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

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

/// The parts of the world that tests replace.
pub struct World<'a> {
    /// Where secrets come from.
    pub env: &'a dyn Environment,
    /// Where addresses come from.
    pub resolver: Arc<dyn Resolve>,
    /// Certificate authorities that are trusted besides the web's.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

impl<'a> World<'a> {
    /// The real one.
    #[must_use]
    pub fn real(env: &'a dyn Environment) -> Self {
        Self { env, resolver: Arc::new(SystemResolver::default()), extra_roots: Vec::new() }
    }
}

/// Makes the gateway.
///
/// # Errors
/// All that is wrong with the policies, the secrets and the adapters folder. What depends on a file that is wrong is not looked
/// at: secrets need the grants, and the folder needs grants and limits.
pub async fn prepare(settings: &Settings, world: World<'_>) -> Result<(Gateway, Vec<Diagnostics>), Vec<Problem>> {
    let mut problems = Vec::new();
    let routing = read(&settings.routing, ROUTING, Routing::parse, &mut problems);
    let limits = read(&settings.limits, LIMITS, Limits::parse, &mut problems);
    let models = read(&settings.models, MODELS, Models::parse, &mut problems);
    let secrets = routing.as_ref().and_then(|routing| secrets(settings, &routing.value, world.env, &mut problems));
    let adapters = match (&routing, &limits) {
        (Some(routing), Some(limits)) => load(&settings.adapters, &routing.value, &limits.value).await,
        _ => return Err(problems),
    };
    let adapters = adapters.map_err(|problem| problems.push(problem)).ok();
    let (Some(routing), Some(limits), Some(models), Some(secrets), Some(adapters)) =
        (routing, limits, models, secrets, adapters)
    else {
        return Err(problems);
    };
    let warnings = [routing.warnings, limits.warnings, models.warnings];
    let warnings = warnings.into_iter().filter(|warnings| !warnings.is_empty()).collect();
    let (routing, limits, models) = (routing.value, limits.value, models.value);
    let metrics = Arc::new(Metrics::new().map_err(|error| vec![error.into()])?);
    let observer = Arc::new(Watch::new(metrics.clone(), &routing));
    let parts = Parts { resolver: world.resolver, observer, secrets, extra_roots: world.extra_roots };
    let egress = Arc::new(Shared::new(parts).map_err(|error| vec![error.into()])?);
    let serving = app::serving(&models, &adapters);
    let expose_config = settings.expose_config && settings.bind.ip().is_loopback();
    let started = SystemTime::now();
    let gateway = Gateway { routing, limits, models, adapters, metrics, egress, expose_config, started, serving };
    Ok((gateway, warnings))
}

type Parse<T> = fn(&str, &[u8]) -> Result<Parsed<T>, Diagnostics>;

/// Reads and parses one policy file.
pub fn read<T>(path: &Path, variable: &'static str, parse: Parse<T>, problems: &mut Vec<Problem>) -> Option<Parsed<T>> {
    let parsed = match std::fs::read(path) {
        Ok(text) => parse(&path.to_string_lossy(), &text).map_err(Problem::Policy),
        Err(source) => Err(Problem::File { path: path.to_owned(), variable, source }),
    };
    parsed.map_err(|problem| problems.push(problem)).ok()
}

/// Fetches the secrets of all grants. A variable that is not UTF-8 is a missing secret.
fn secrets(
    settings: &Settings,
    routing: &Routing,
    env: &dyn Environment,
    problems: &mut Vec<Problem>,
) -> Option<Secrets> {
    let env = |name: &str| env.var(name)?.into_string().ok();
    let fetched = Secrets::load(&routing.grants, &env, &|path| std::fs::read(path));
    let file = || settings.routing.to_string_lossy().into_owned();
    let missing = |missing| Problem::Secret { file: file(), missing };
    fetched.map_err(|all| problems.extend(all.into_iter().map(missing))).ok()
}

/// Loads the adapters folder.
///
/// # Errors
/// If the folder can't be read or the sandbox can't be started; a single file's failure is noted in the result.
pub async fn load(folder: &Path, routing: &Routing, limits: &Limits) -> Result<Adapters, Problem> {
    Ok(Runtime::new(limits)?.load(folder, &routing.grants, limits).await?)
}
