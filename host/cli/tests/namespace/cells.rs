//! The cells of the matrix of localities: kinds of models, modes of the policy and of the request, states of the first model.
//!
//! Each cell is a route with two candidates: the first is of the cell's kind and in the cell's state, the second is a cloud model that is
//! well. One gateway serves all routes of a mode.

use serde_json::{Value, json};

/// The locality of the first candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Local,
    Cloud,
    NoGrant,
}

/// The request for locality, beside `prefer_local: true` and `cloud_fallback: { enabled: false }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing else.
    PreferLocal,
    /// `cloud_fallback: { enabled: true }`.
    CloudFallback,
    /// `x-hauski-locality: local-only`, with the cloud fallback enabled.
    LocalOnlyHeader,
    /// A key with `local_only: true`, with the cloud fallback enabled.
    LocalOnlyKey,
    /// `egress.local_only: true`, with the cloud fallback enabled.
    PolicySwitch,
}

/// The state of the first candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Healthy,
    /// Nothing listens there.
    Down,
    /// It answers with an error that allows another try.
    Broken,
    /// Its adapter has no instance left and no place in the queue.
    QueueFull,
    /// It is well, and every request falls to the second candidate as canary.
    Canary,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Local, Kind::Cloud, Kind::NoGrant];
pub(crate) const MODES: [Mode; 5] =
    [Mode::PreferLocal, Mode::CloudFallback, Mode::LocalOnlyHeader, Mode::LocalOnlyKey, Mode::PolicySwitch];
pub(crate) const STATES: [State; 5] = [State::Healthy, State::Down, State::Broken, State::QueueFull, State::Canary];

/// The place of a cloud model: a public address behind a name.
pub(crate) const CLOUD: &str = "cloud.allowed.test";
/// The port of the second candidate.
pub(crate) const SECOND: u16 = 8200;
/// The port of a provider that never answers, by which instances are kept busy.
pub(crate) const HANGS: u16 = 8300;

impl Kind {
    fn host(self) -> &'static str {
        match self {
            Self::Cloud => CLOUD,
            Self::Local | Self::NoGrant => "127.0.0.1",
        }
    }
}

impl Mode {
    pub(crate) fn is_local_only(self) -> bool {
        matches!(self, Self::LocalOnlyHeader | Self::LocalOnlyKey | Self::PolicySwitch)
    }

    fn allows_fallback(self) -> bool {
        self != Self::PreferLocal
    }
}

/// The port of the first candidate's provider.
pub(crate) fn port(kind: Kind, state: State) -> u16 {
    8100 + 10 * (kind as u16) + state as u16
}

/// The name of a cell's route, and of its first model with `m-` before it.
pub(crate) fn name(kind: Kind, state: State) -> String {
    format!("{kind:?}-{state:?}").to_lowercase()
}

/// The id of the adapter that serves the first candidate.
fn adapter(kind: Kind, state: State) -> String {
    if state == State::QueueFull { format!("full-{kind:?}").to_lowercase() } else { "openai-compatible".to_owned() }
}

/// The adapters that have one instance and no queue.
pub(crate) fn full_adapters() -> Vec<String> {
    KINDS.map(|kind| adapter(kind, State::QueueFull)).to_vec()
}

/// The model that keeps the only instance of such an adapter busy. A model without a grant keeps nothing busy.
pub(crate) fn busy_models() -> Vec<String> {
    vec!["busy-local".to_owned(), "busy-cloud".to_owned()]
}

fn cells() -> impl Iterator<Item = (Kind, State)> {
    KINDS.into_iter().flat_map(|kind| STATES.map(|state| (kind, state)))
}

fn model(id: &str, adapter: &str, host: &str, port: u16) -> Value {
    json!({ "id": id, "adapter": adapter, "config": { "base_url": format!("http://{host}:{port}/v1") } })
}

pub(crate) fn models() -> Value {
    let mut models: Vec<_> = cells()
        .map(|(kind, state)| {
            model(&format!("m-{}", name(kind, state)), &adapter(kind, state), kind.host(), port(kind, state))
        })
        .collect();
    models.push(model("second", "openai-compatible", CLOUD, SECOND));
    models.push(model("busy-local", "full-local", "127.0.0.1", HANGS));
    models.push(model("busy-cloud", "full-cloud", CLOUD, HANGS));
    // README's own example, whose local servers are down here.
    models.push(model("llama3", "openai-compatible", "127.0.0.1", 8081));
    models.push(model("llama3-b", "openai-compatible", "127.0.0.1", 8082));
    models.push(model("gpt-4o-mini", "openai-compatible", CLOUD, SECOND));
    json!({ "models": models })
}

pub(crate) fn routing(mode: Mode) -> Value {
    let entry =
        |host: &str, port: u16| json!({ "url": format!("http://{host}:{port}/v1/"), "methods": ["GET", "POST"] });
    let granted = cells().filter(|(kind, _)| *kind != Kind::NoGrant);
    let mut allow: Vec<_> = granted.map(|(kind, state)| entry(kind.host(), port(kind, state))).collect();
    let others = [(CLOUD, SECOND), ("127.0.0.1", HANGS), (CLOUD, HANGS), ("127.0.0.1", 8081), ("127.0.0.1", 8082)];
    allow.extend(others.map(|(host, port)| entry(host, port)));
    let mut routes: Vec<_> = cells()
        .map(|(kind, state)| {
            let second = match state {
                State::Canary => json!({ "model": "second", "canary_percent": 100 }),
                _ => json!({ "model": "second", "order": 2 }),
            };
            json!({ "model": name(kind, state), "candidates": [{ "model": format!("m-{}", name(kind, state)) }, second] })
        })
        .collect();
    let readme = [
        json!({ "model": "llama3", "weight": 3 }),
        json!({ "model": "llama3-b" }),
        json!({ "model": "gpt-4o-mini", "order": 2 }),
    ];
    routes.push(json!({ "model": "chat", "candidates": readme }));
    json!({
        "egress": { "default": "deny", "allow": allow, "local_only": mode == Mode::PolicySwitch },
        "routing": { "prefer_local": true, "routes": routes, "cloud_fallback": { "enabled": mode.allows_fallback() } },
    })
}
