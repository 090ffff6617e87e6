//! The text of a test's `routing.yaml`.

/// What `routing` says.
#[derive(Default)]
pub(crate) struct Preferences {
    /// Whether local models don't go first.
    pub(crate) any: bool,
    pub(crate) cloud_fallback: bool,
    /// As YAML in one line.
    pub(crate) routes: String,
}

/// An entry that no test asks for. Without any grant, a model whose adapter can send is not offered.
pub const UNRELATED: &str = "{ url: \"https://unrelated.test/\", methods: [GET], models: [\"*\"] }";

/// An entry of `egress.allow` that applies to every model, unless it says to which.
pub(crate) fn for_every_model(entry: &str) -> String {
    if entry.contains("models:") || entry.contains("[telemetry]") {
        return entry.to_owned();
    }
    match entry.trim_end().strip_suffix('}') {
        Some(rest) => format!("{}, models: [\"*\"] }}", rest.trim_end().trim_end_matches(',')),
        None => format!("{{ url: \"{}\", models: [\"*\"] }}", entry.trim_matches('"')),
    }
}

/// The text of a `routing.yaml` with these entries, a line each, and nothing else of note.
pub(crate) fn routing_of(entries: &str) -> String {
    routing(entries, "", &Preferences::default())
}

/// The text of a `routing.yaml` with these entries, a line each.
pub(crate) fn routing(entries: &str, switch: &str, preferences: &Preferences) -> String {
    let allow = if entries.is_empty() { " []\n".to_owned() } else { format!("\n{entries}") };
    let Preferences { any, cloud_fallback, routes } = preferences;
    let routes = if routes.is_empty() { "[]" } else { routes };
    format!(
        "egress:\n  default: deny\n  allow:{allow}{switch}routing:\n  prefer_local: {}\n  routes: {routes}\n  \
         cloud_fallback: {{ enabled: {cloud_fallback} }}\n",
        !any
    )
}
