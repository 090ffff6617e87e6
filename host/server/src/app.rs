//! What handlers share: the parts of a running gateway, and the view of its policy at this moment.

use crate::access::Access;
use crate::approved::Approved;
use crate::body::Room;
use crate::breakers::Breakers;
use crate::connections::Connections;
use crate::console::Console;
use crate::limits_file::LimitsFile;
use crate::metrics::Metrics;
use crate::models_file::ModelsFile;
use crate::setup::Problem;
use crate::source::{Loaded, Seen, Source};
use crate::telemetry::{Endpoint, Telemetry};
use crate::tls::Tls;
use crate::view::View;
use crate::watch::Watch;
use hauski_egress::{Door, today};
use hauski_policy::{Diagnostics, Limits, Locality, Model, Models, Review, Route};
use hauski_runtime::{Adapters, Library};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;
use tokio::time::timeout;

/// What is wrong where a look at the policy's files does not come back.
const SILENCE: &str = "the files do not answer";
/// A look at the policy's files that takes longer is no look.
const UNANSWERED: Duration = Duration::from_secs(10);

/// The state of one worker: what all workers share, and its own door.
#[derive(Clone)]
pub(crate) struct App {
    /// Policies, adapters and metrics.
    pub(crate) gateway: Arc<Gateway>,
    /// The worker's way out, with its own connections.
    pub(crate) door: Arc<Door>,
    /// Becomes true when the gateway stops and waits no longer for running answers.
    pub(crate) cut: watch::Receiver<bool>,
    /// What takes note of requests for a collector, if one is named.
    pub(crate) telemetry: Option<Arc<Telemetry>>,
}

/// Everything that a running gateway consists of.
pub struct Gateway {
    /// `limits.yaml`.
    pub(crate) limits: LimitsFile,
    /// Where `models.yml` is, and whether what holds is what it says.
    pub(crate) models_file: ModelsFile,
    /// The adapters folder.
    pub(crate) library: Library,
    /// Where only what was approved serves, the file that says so.
    pub(crate) approved: Option<Approved>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// What all doors share: policy, name resolution, TLS.
    pub egress: Arc<hauski_egress::Shared>,
    /// See [`crate::environment::Settings::dry_run_egress`].
    pub(crate) dry_run_egress: bool,
    /// Whether `/config/…` and `/adapters` answer: asked for, and bound to loopback only.
    pub expose_config: bool,
    /// When the gateway started.
    pub started: SystemTime,
    pub(crate) view: RwLock<Arc<View>>,
    /// A notification that there is another view.
    pub(crate) changed: watch::Sender<()>,
    /// Held while a view is made of another: the policy and the adapters change each in its own time.
    pub(crate) remaking: Mutex<()>,
    pub(crate) stale: RwLock<Option<Stale>>,
    /// True if the last logged review had findings.
    pub(crate) has_findings: AtomicBool,
    /// When the policy's files were looked at last.
    pub(crate) looked: RwLock<Instant>,
    pub(crate) source: Source,
    /// What the policy's files, the keys', TLS', the lock and the models held when they were read at the start.
    pub(crate) seen: [Seen; 5],
    /// Who may ask.
    pub(crate) access: Access,
    /// What the gateway shows who it is with, where it speaks TLS.
    pub(crate) tls: Option<Tls>,
    pub(crate) watch: Arc<Watch>,
    /// The collector of telemetry, if one is named.
    pub(crate) otlp: Option<Endpoint>,
    /// The memory for request bodies.
    pub(crate) room: Room,
    /// The connections that may be open at once.
    pub(crate) connections: Arc<Connections>,
    pub(crate) breakers: Breakers,
    /// What the console keeps of the last minutes, and who looks at it.
    pub(crate) console: Console,
}

/// The policy's files say something else than what holds, because what they say can't hold.
#[derive(Clone, Debug)]
pub(crate) struct Stale {
    pub(crate) since: SystemTime,
    /// Where and what, without the files' text.
    pub(crate) problem: String,
}

impl Stale {
    /// From now on, or since `before` already.
    pub(crate) fn now(before: Option<&Self>, problem: String) -> Self {
        Self { since: before.map_or_else(SystemTime::now, |before| before.since), problem }
    }

    /// Whether nothing is known of the files.
    pub(crate) fn is_silence(&self) -> bool {
        self.problem == SILENCE
    }
}

impl Gateway {
    /// What the policy of this moment makes of models and adapters.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the limits in force.
    #[must_use]
    pub fn limits(&self) -> Arc<Limits> {
        self.limits.current()
    }

    /// Has all that is bounded follow the limits in force. Adapters and breakers do so a moment later.
    pub(crate) fn apply_limits(&self) {
        let limits = self.limits();
        self.room.resize(&limits.server);
        self.connections.resize(limits.server.connections);
        self.library.set_limits(limits);
    }

    /// The adapters of this moment.
    #[must_use]
    pub fn adapters(&self) -> Arc<Adapters> {
        self.view().adapters.clone()
    }

    /// Returns what an operator should know of the adapters folder and of what depends on it. Files that are being loaded are left out.
    #[must_use]
    pub fn adapters_to_review(&self) -> Vec<String> {
        let adapters = self.adapters();
        let refused = adapters.refused().iter().filter(|refused| !refused.is_loading());
        let mut notes: Vec<_> =
            refused.map(|refused| format!("`{}` is not loaded: {}", refused.file, refused.reason)).collect();
        let unavailable = self.models_unavailable().into_iter();
        notes.extend(unavailable.map(|(model, reason)| format!("the model `{model}` can't be asked: {reason}")));
        notes.extend(self.routes_to_review());
        notes
    }

    /// The models whose adapter is there and can't serve them, each with the reason, in the order of `models.yml`. What
    /// [`Gateway::review`] reports is not among them.
    #[must_use]
    pub fn models_unavailable(&self) -> Vec<(Box<str>, String)> {
        let view = self.view();
        let files = view.adapters.files();
        let reason = |model: &Model| {
            let is_there = files.iter().any(|file| Some(file.id()) == model.adapter.as_ref());
            let reason = view.unavailable(&model.id).filter(|_| is_there);
            reason.filter(|_| view.locality(&model.id) != Some(Locality::NoGrant)).map(str::to_owned)
        };
        view.models.iter().filter_map(|model| Some((model.id.clone(), reason(model)?))).collect()
    }

    /// Waits until all files of the adapters folder are loaded or refused. `progress` is called about once a second meanwhile.
    pub fn load_adapters(&self, progress: &mut dyn FnMut(&Adapters)) {
        self.library.load_all(progress);
        self.serve_by(self.library.adapters());
    }

    /// Returns the findings about `models.yml` and `routing.yaml` in view of each other and of the adapters folder. The gateway runs
    /// in spite of them: a model without a grant is not offered.
    #[must_use]
    pub fn review(&self) -> Review {
        let view = self.view();
        let own = self.egress.own_addresses();
        hauski_policy::review(&view.models, &view.routing, &view.adapters.files(), &own, today())
    }

    /// How many keys there are, if clients need one.
    #[must_use]
    pub fn keys(&self) -> Option<usize> {
        self.access.keyring().map(|keyring| keyring.clients().count())
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// What an operator should know of the keys: those that hold no more, and names of models that are none.
    #[must_use]
    pub fn keys_to_review(&self) -> Vec<String> {
        let (view, today) = (self.view(), hauski_egress::today());
        let known = |name: &str| view.models.get(name).is_some() || view.route(name).is_some();
        self.access.keyring().map(|keyring| keyring.review(today, &known)).unwrap_or_default()
    }

    /// What an operator should know of the routes: candidates that never take part.
    #[must_use]
    pub fn routes_to_review(&self) -> Vec<String> {
        let view = self.view();
        let told = |(route, model, why): (&Route, &str, &str)| {
            format!("the route `{}` never asks its candidate `{model}`: {why}", route.name)
        };
        view.idle_candidates().map(told).collect()
    }

    /// Why telemetry would stay here, where a collector is named and the policy lets nothing go there.
    #[must_use]
    pub fn telemetry_denied(&self) -> Option<String> {
        self.otlp.as_ref()?.denied(&self.view().routing.egress)
    }

    /// Why what holds is not what the policy's files say, if that is so or can't be known.
    pub(crate) fn stale(&self) -> Option<Stale> {
        let looked = *self.looked.read().unwrap_or_else(PoisonError::into_inner);
        if looked.elapsed() > UNANSWERED {
            let (since, problem) = (SystemTime::now() - looked.elapsed(), SILENCE.to_owned());
            return Some(Stale { since, problem });
        }
        self.stale.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the first stale policy file: grants, keys, limits, models or the lock.
    pub(crate) fn any_stale(&self) -> Option<Stale> {
        let lock = || self.approved.as_ref().and_then(Approved::stale);
        let of_keys = || self.access.stale();
        self.stale().or_else(of_keys).or_else(|| self.limits.stale()).or_else(|| self.models_file.stale()).or_else(lock)
    }

    /// Notes that the files were looked at.
    pub(crate) fn looked(&self) {
        *self.looked.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Puts a policy in the place of the one that holds: first at the door, then in what is shown of it.
    pub(crate) fn apply(&self, loaded: Loaded) -> Diagnostics {
        let routing = loaded.routing.value;
        let _remaking = self.remaking.lock().unwrap_or_else(PoisonError::into_inner);
        self.watch.list(&routing.egress);
        self.egress.set_policy(routing.egress.clone(), loaded.secrets);
        let generation = self.egress.policy().generation;
        let before = self.view();
        let view = View::new(
            routing,
            before.models.clone(),
            before.adapters.clone(),
            &self.breakers,
            generation,
            self.dry_run_egress,
        );
        self.set_view(view);
        self.set_stale(None);
        // Last: who sees the number sees the policy.
        self.metrics.policy_generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        loaded.routing.warnings
    }

    /// Has other adapters serve from now on. What a request has begun with, it ends with.
    pub(crate) fn serve_by(&self, adapters: Arc<Adapters>) {
        let _remaking = self.remaking.lock().unwrap_or_else(PoisonError::into_inner);
        self.remake(&self.view(), None, Some(adapters));
    }

    /// Puts other models in the place of those that hold. What a request has begun with, it ends with.
    pub(crate) fn apply_models(&self, models: Models) {
        let _remaking = self.remaking.lock().unwrap_or_else(PoisonError::into_inner);
        self.remake(&self.view(), Some(models), None);
    }

    /// Makes the view anew on another day: grants have expired.
    pub(crate) fn follow_calendar(&self) {
        if self.view().day != today() {
            let _remaking = self.remaking.lock().unwrap_or_else(PoisonError::into_inner);
            self.remake(&self.view(), None, None);
        }
    }

    /// Waits until no file of the adapters folder is being loaded for the first time.
    pub async fn loaded(&self) {
        self.view_that(&|view| view.adapters.loading().next().is_none()).await;
    }

    /// Returns the view in which no adapter that requests to `name` may need is being loaded, or the one at the end of their queue time.
    pub(crate) async fn view_for(&self, name: &str) -> Arc<View> {
        let view = self.view();
        let limits = self.limits();
        let waits = view.loading_for(name).map(|id| limits.adapter(id).queue_wait).max();
        let Some(wait) = waits else { return view };
        let is_loaded = |view: &View| view.loading_for(name).next().is_none();
        match timeout(wait, self.view_that(&is_loaded)).await {
            Ok(view) => view,
            Err(_) => self.view(),
        }
    }

    /// Waits for a view of which `holds` is true.
    async fn view_that(&self, holds: &(dyn Fn(&View) -> bool + Sync)) -> Arc<View> {
        // Before the first look, so that no change is missed.
        let mut changed = self.changed.subscribe();
        loop {
            let view = self.view();
            if holds(&view) || changed.changed().await.is_err() {
                return view;
            }
        }
    }

    /// Replaces the view by one with other models or adapters and the same policy.
    fn remake(&self, before: &View, models: Option<Models>, adapters: Option<Arc<Adapters>>) {
        let models = models.map_or_else(|| before.models.clone(), Arc::new);
        let adapters = adapters.unwrap_or_else(|| before.adapters.clone());
        let mut view =
            View::new(before.routing.clone(), models, adapters, &self.breakers, before.generation, self.dry_run_egress);
        view.loaded = before.loaded;
        self.breakers.retain(&|model| view.has_model(model));
        self.set_view(view);
    }

    fn set_view(&self, view: View) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
        self.changed.send_replace(());
    }

    /// Keeps the policy that holds, and says so.
    pub(crate) fn keep(&self, problems: &[Problem]) {
        let problem = problems.first().map(Problem::place).unwrap_or_default();
        self.set_stale(Some(Stale::now(self.stale().as_ref(), problem)));
    }

    fn set_stale(&self, stale: Option<Stale>) {
        *self.stale.write().unwrap_or_else(PoisonError::into_inner) = stale;
    }
}
