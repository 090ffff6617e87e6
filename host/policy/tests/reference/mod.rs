//! What the policy's parsers have to hold to, whatever they read: checked against the `url` crate and slow, plain code.
//!
//! Used by the property tests, by the test over the fuzzers' corpus, and by the fuzzers themselves. Each check panics where
//! something does not hold.

pub(crate) mod lock;

use hauski_policy::address::canonical;
use hauski_policy::{
    AdapterId, Diagnostics, Digest, Egress, Grant, Holder, Host, HostPattern, Keys, Limits, Locality, Model,
    ModelNames, ModelScope, Models, Parsed, Routing, Scope, SecretPart, Target,
};
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use url::Url;

/// A day on which the entry of [`POLICY`] that has one still holds.
const TODAY: &str = "2026-12-31";

/// Some of each kind of entry.
pub(crate) const POLICY: &str = r#"egress:
  default: deny
  allow:
    - https://api.matrix.example
    - { url: "https://api.a.test/v1", adapters: [a], methods: [POST] }
    - { url: "https://api.a.test/v1/x/", adapters: [b], methods: [GET, HEAD] }
    - { url: "http://127.0.0.1:11434/api/", adapters: [a], methods: [GET, POST] }
    - { url: "http://[::1]:8080/", adapters: [a], models: [m, n] }
    - { url: "https://*.b.test:8443/m%C3%A4/", adapters: [a, b], methods: [DELETE], expires: 2026-12-31 }
    - { url: "https://gpu.test/", network: private, methods: [GET], expires: 2026-12-30 }
    - url: https://api.c.test/v1/
      adapters: [b]
      methods: [PUT]
      secret: { header: x-api-key, value: "${env:KEY}" }
routing:
  prefer_local: true
  routes:
    - model: chat
      candidates:
        - { model: llama3, weight: 3 }
        - { model: gpt, order: 2 }
        - model: llama4
          canary_percent: 5
  cloud_fallback: { enabled: false }
"#;

/// Takes a method and a URL, or a method, scheme, authority and path, each a line.
pub(crate) fn fuzz_url(data: &[u8]) {
    static ROUTING: LazyLock<Routing> = LazyLock::new(|| {
        Routing::parse("routing.yaml", POLICY.as_bytes())
            .unwrap_or_else(|errors| panic!("{}", errors.render(false)))
            .value
    });
    let Ok(text) = std::str::from_utf8(data) else { return };
    let accepted = match *text.splitn(4, '\n').collect::<Vec<_>>() {
        [method, url] => check_url(method, url),
        [method, scheme, authority, path] => check_parts(method, scheme, authority, path),
        _ => return check_host(text),
    };
    if let Some((target, url)) = accepted {
        check_guard(&ROUTING.egress, &target, &url);
    }
}

/// Takes a file, and cuts it off here and there.
pub(crate) fn fuzz_policy(data: &[u8]) {
    let (step, last) = (data.len() / 4 + 1, data.len().saturating_sub(2));
    check_files(data, (data.len() % step..data.len()).step_by(step).chain(last..data.len()));
}

/// Reads a request's target; what is accepted prints as a text that means the same, and the `url` crate reads the same in it.
pub(crate) fn check_url(method: &str, text: &str) -> Option<(Target, Url)> {
    let target = Target::parse(method, text).ok()?;
    let (scheme, authority) = (target.scheme().as_str(), target.authority());
    let printed = format!("{scheme}://{authority}{}", target.path_and_query());
    assert_eq!(Target::parse(method, &printed).as_ref(), Ok(&target), "{text:?} prints as {printed:?}");
    let parts = Target::from_parts(method, scheme, &authority, target.path_and_query());
    assert_eq!(parts.as_ref(), Ok(&target), "{text:?} in parts");
    check_host(&target.host().to_string());

    let url = Url::parse(text).unwrap_or_else(|error| panic!("{text:?} is no URL to others: {error}"));
    assert_eq!(url.scheme(), scheme, "{text:?}");
    assert_eq!(url.port_or_known_default(), Some(target.port()), "{text:?}");
    assert_eq!(url.path(), target.path(), "{text:?}");
    assert!(is_host_of(target.host(), &url), "{text:?}: {:?} and {:?}", target.host(), url.host());
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{text:?}");
    // Others encode the apostrophe.
    let query = target.path_and_query().split_once('?').map(|(_, query)| query.replace('\'', "%27"));
    assert_eq!(url.query(), query.as_deref(), "{text:?}");
    Some((target, url))
}

/// Reads a target in parts; what is accepted means the same in one text.
pub(crate) fn check_parts(method: &str, scheme: &str, authority: &str, path_and_query: &str) -> Option<(Target, Url)> {
    let target = Target::from_parts(method, scheme, authority, path_and_query).ok()?;
    let text = format!("{scheme}://{authority}{path_and_query}");
    let same = check_url(method, &text);
    assert_eq!(same.as_ref().map(|(target, _)| target), Some(&target), "{text:?}");
    same
}

/// Reads a host; what is accepted prints as a text that means the same.
pub(crate) fn check_host(text: &str) {
    if let Ok(host) = text.parse::<Host>() {
        assert_eq!(host.to_string().parse(), Ok(host), "{text:?}");
    }
}

fn is_host_of(host: &Host, url: &Url) -> bool {
    match (host, url.host()) {
        (Host::Name(name), Some(url::Host::Domain(other))) => **name == *other,
        (Host::Address(address), Some(url::Host::Ipv4(other))) => *address == other,
        (Host::Address(address), Some(url::Host::Ipv6(other))) => *address == canonical(other.into()),
        _ => false,
    }
}

/// Decides over a target for two adapters: it is permitted by exactly the first entry that covers it, read naively.
pub(crate) fn check_guard(egress: &Egress, target: &Target, url: &Url) {
    let today = TODAY.parse().unwrap_or_else(|_| panic!("{TODAY}"));
    for name in ["a", "b"] {
        let (id, digest): (AdapterId, _) = (name.parse().unwrap(), Digest::from_bytes([7; 32]));
        for (local_only, scope) in [false, true].into_iter().flat_map(|local| scopes(url).map(|scope| (local, scope))) {
            let holder = Holder { id: &id, digest: &digest };
            let permitted = egress.decide(holder, &scope, target, today, local_only).ok();
            let covers = |grant: &&Arc<Grant>| {
                let local = grant.locality() == Locality::Local || !(local_only || egress.local_only);
                let held = grant
                    .adapters
                    .as_ref()
                    .is_none_or(|all| all.iter().any(|one| one.id == id && one.digest.is_none_or(|own| own == digest)));
                local && held && applies(grant, &scope, url) && covers(grant, target.method().as_str(), url, TODAY)
            };
            let expected = egress.grants.iter().find(covers);
            assert_eq!(permitted.map(|grant| grant.line), expected.map(|grant| grant.line), "{name}: {target}");
        }
    }
}

/// The gateway itself, a model without a base URL, and models whose base URL is the root of the target, its path, and a path beside it.
fn scopes(url: &Url) -> [Scope; 5] {
    let origin = url.origin().ascii_serialization();
    let bases = [Some(origin.clone()), Some(format!("{origin}{}", url.path())), Some(format!("{origin}/beside"))];
    let model = |base_url: Option<String>| {
        let base_url = base_url.and_then(|text| text.parse().ok());
        Scope::Model(Arc::new(ModelScope { id: "m".into(), base_url }))
    };
    let [root, path, beside] = bases.map(model);
    [Scope::Gateway, model(None), root, path, beside]
}

fn applies(grant: &Grant, scope: &Scope, url: &Url) -> bool {
    match (scope, &grant.models) {
        (Scope::Gateway, names) => names.is_none(),
        (Scope::Model(_), Some(ModelNames::All)) => true,
        (Scope::Model(model), Some(ModelNames::These(names))) => names.contains(&model.id),
        (Scope::Model(model), None) => model.base_url.as_ref().is_some_and(|base| {
            let base = Url::parse(&base.to_string()).unwrap_or_else(|error| panic!("{base}: {error}"));
            let segments =
                |url: &Url| url.path().trim_end_matches('/').split('/').map(str::to_owned).collect::<Vec<_>>();
            base.origin() == url.origin() && segments(url).starts_with(&segments(&base))
        }),
    }
}

fn covers(grant: &Grant, method: &str, url: &Url, today: &str) -> bool {
    let host = match &grant.host {
        HostPattern::Exact(host) => is_host_of(host, url),
        HostPattern::OneLabelBelow(suffix) => url.domain().is_some_and(|domain| {
            let (labels, below): (Vec<_>, Vec<_>) = (domain.split('.').collect(), suffix.split('.').collect());
            labels.len() == below.len() && labels[1..] == below[1..] && !labels[0].is_empty()
        }),
    };
    let (mut prefix, path): (Vec<_>, Vec<_>) =
        (grant.path.as_str().split('/').collect(), url.path().split('/').collect());
    let below = prefix.last() == Some(&"");
    if below {
        prefix.pop();
    }
    host && url.scheme() == grant.scheme.as_str()
        && url.port_or_known_default() == Some(grant.port)
        && path.starts_with(&prefix)
        && path.len() >= prefix.len() + usize::from(below)
        && grant.methods.iter().any(|one| one.as_str() == method)
        && grant.expires.is_none_or(|last| *today <= *last.to_string())
}

/// Reads a text as each of the policy files. `cuts` are the places at which it is cut off as well, and must mean nothing else then.
pub(crate) fn check_files(text: &[u8], cuts: impl Iterator<Item = usize>) {
    let cuts: Vec<_> = cuts.filter(|cut| *cut < text.len()).collect();
    if let Some((routing, notices_cuts)) = shown("routing.yaml", text, Routing::parse) {
        // Of a secret's value only the references are shown: entries that differ in the rest look the same.
        if let Some(again) = again(&routing.to_json(), "duplicate-entry", Routing::parse) {
            assert_eq!(meaning(&again, false), meaning(&routing, false));
        }
        routing.egress.grants.iter().for_each(|grant| check_grant(&routing.egress, grant));
        for &cut in cuts.iter().filter(|_| notices_cuts) {
            if let Ok(part) = Routing::parse("routing.yaml", &text[..cut]) {
                assert_eq!(
                    meaning(&part.value, true),
                    meaning(&routing, true),
                    "cut off at {cut}: {}",
                    text.escape_ascii()
                );
            }
        }
    }
    if let Some((limits, notices_cuts)) = shown("limits.yaml", text, Limits::parse) {
        let again = again(&limits.to_json(), "", Limits::parse);
        assert_eq!(again.map(|limits| format!("{limits:?}")), Some(format!("{limits:?}")));
        for &cut in cuts.iter().filter(|_| notices_cuts) {
            // The budget stands last: its number may lose its end, and cuts nothing off.
            if let Ok(Parsed { value: mut part, .. }) = Limits::parse("limits.yaml", &text[..cut]) {
                part.latency = limits.latency;
                assert_eq!(format!("{part:?}"), format!("{limits:?}"), "cut off at {cut}: {}", text.escape_ascii());
            }
        }
    }
    if let Some((keys, _)) = shown("keys.yaml", text, Keys::parse) {
        let shown = keys.to_json();
        let shown = shown["keys"].as_array().unwrap_or_else(|| panic!("{shown}"));
        assert!(shown.iter().all(|key| key.get("hash").is_none()) && shown.len() == keys.iter().count());
    }
    if let Some((models, _)) = shown("models.yml", text, Models::parse) {
        let again = again(&models.to_json(), "", Models::parse);
        let all = |models: &Models| models.iter().map(values).collect::<Vec<_>>();
        assert_eq!(again.as_ref().map(all), Some(all(&models)));
    }
}

/// All that a policy says, but for the lines of its entries and candidates and, unless `whole`, what of them is not shown.
fn meaning(routing: &Routing, whole: bool) -> String {
    let mut routing = routing.clone();
    for grant in &mut routing.egress.grants {
        let grant = Arc::make_mut(grant);
        grant.line = 0;
        if let Some(secret) = grant.secret.as_mut().filter(|_| !whole) {
            secret.parts.retain(|part| !matches!(part, SecretPart::Text(_)));
        }
    }
    routing.routes.iter_mut().for_each(|route| route.line = 0);
    let candidates = routing.routes.iter_mut().flat_map(|route| &mut route.candidates);
    candidates.for_each(|candidate| candidate.line = 0);
    format!("{routing:?}")
}

/// All that is said of a model, with its settings as values: their numbers may be written in another way.
fn values(model: &Model) -> String {
    let (mut model, mut config) = (model.clone(), Vec::new());
    for (key, text) in std::mem::take(&mut model.config) {
        config.push((key, serde_json::from_str::<Value>(&text).unwrap_or_default()));
    }
    format!("{model:?} {config:?}")
}

/// What a grant shows as is a target that it covers.
fn check_grant(egress: &Egress, grant: &Grant) {
    let text = grant.to_string().replace('*', "x");
    for method in &grant.methods {
        let Some((target, url)) = check_url(method.as_str(), &text) else {
            panic!("{text:?} is granted and no target")
        };
        assert!(covers(grant, method.as_str(), &url, "0000-01-01"), "{text:?}");
        check_guard(egress, &target, &url);
    }
}

type Parse<T> = fn(&str, &[u8]) -> Result<Parsed<T>, Diagnostics>;

/// The value, if there is one; in any case what is found can be shown, and is not endless.
fn shown<T>(file: &str, text: &[u8], parse: Parse<T>) -> Option<(T, bool)> {
    let (value, found) = match parse(file, text) {
        Ok(Parsed { value, warnings }) => (Some(value), warnings),
        Err(errors) => (None, errors),
    };
    assert_eq!(value.is_none(), found.errors() > 0);
    assert!(found.iter().count() <= 200);
    assert!(found.render(text.len().is_multiple_of(2)).len() < 1 << 20);
    // Files in another order are warned of: a cut in them can't be noticed.
    let notices_cuts = !found.iter().any(|one| matches!(one.code, "routes-last" | "latency-not-last"));
    value.map(|value| (value, notices_cuts))
}

/// Reads what was printed; `known` is the only reason for which that may fail.
fn again<T>(json: &Value, known: &str, parse: Parse<T>) -> Option<T> {
    // What can't be seen has to be written as an escape.
    let escape = |c: char| match u32::from(c) {
        code @ 0x7f..=0xffff => format!("\\u{code:04x}"),
        _ => c.to_string(),
    };
    let text: String = json.to_string().chars().map(escape).collect();
    match parse("again", text.as_bytes()) {
        Ok(parsed) => Some(parsed.value),
        Err(errors) if errors.iter().all(|error| error.code == known || error.severity.as_str() == "warning") => None,
        Err(errors) => panic!("{text}\n{}", errors.render(false)),
    }
}
