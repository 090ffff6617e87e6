//! Tests of what is in a model's reach, and of the locality that follows from it.

use super::*;
use crate::egress::Denial;
use crate::files::Routing;
use crate::id::{AdapterId, Digest};

const LLAMA: (&str, Option<&str>) = ("llama", Some("http://127.0.0.1:8081/v1"));
const GPT: (&str, Option<&str>) = ("gpt", Some("https://api.openai.test/v1"));

fn scope((id, base_url): (&str, Option<&str>)) -> ModelScope {
    ModelScope { id: id.into(), base_url: base_url.map(|url| url.parse().unwrap()) }
}

fn egress(entries: &[&str]) -> Egress {
    let entries: String = entries.iter().map(|entry| format!("    - {entry}\n")).collect();
    let allow = if entries.is_empty() { " []".to_owned() } else { format!("\n{entries}") };
    let text = format!(
        "egress:\n  default: deny\n  allow:{allow}\nrouting:\n  prefer_local: true\n  cloud_fallback: {{ enabled: false }}\n"
    );
    Routing::parse("routing.yaml", text.as_bytes()).unwrap().value.egress
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// What `a` may send on behalf of `model`.
fn decide(entries: &[&str], model: (&str, Option<&str>), request: &str) -> Result<(), Denial> {
    let (id, digest): (AdapterId, _) = ("a".parse().unwrap(), Digest::from_bytes([1; 32]));
    let (method, url) = request.split_once(' ').unwrap();
    let target = Target::parse(method, url).unwrap();
    let holder = Holder { id: &id, digest: &digest };
    let scope = Scope::Model(Arc::new(scope(model)));
    egress(entries).decide(holder, &scope, &target, day("2026-11-30"), false).map(drop)
}

fn reach(entries: &[&str], model: (&str, Option<&str>)) -> Reach {
    let (id, digest): (AdapterId, _) = ("a".parse().unwrap(), Digest::from_bytes([1; 32]));
    egress(entries).reach(Holder { id: &id, digest: &digest }, &scope(model))
}

const LOOPBACK: &str = "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [a] }";
const OPENAI: &str = "{ url: \"https://api.openai.test/v1/\", adapters: [a], methods: [GET, POST] }";

#[test]
fn adapter_that_serves_one_model_cannot_reach_the_provider_of_another() {
    let entries = [LOOPBACK, OPENAI];
    let (local, cloud) =
        ("POST http://127.0.0.1:8081/v1/chat/completions", "POST https://api.openai.test/v1/chat/completions");
    assert_eq!(decide(&entries, LLAMA, local), Ok(()));
    assert_eq!(decide(&entries, LLAMA, cloud), Err(Denial::Model));
    assert_eq!(decide(&entries, GPT, cloud), Ok(()));
    assert_eq!(decide(&entries, GPT, local), Err(Denial::Model));
    assert_eq!(decide(&entries, ("none", None), local), Err(Denial::Model));
}

#[test]
fn entry_without_models_applies_at_the_base_url_and_below() {
    let wide = ["{ url: \"https://*.openai.test/\", adapters: [a] }"];
    for (url, expected) in [
        ("https://api.openai.test/v1/chat/completions", Ok(())),
        ("https://api.openai.test/v1", Ok(())),
        ("https://api.openai.test/v10", Err(Denial::Model)),
        ("https://api.openai.test/", Err(Denial::Model)),
        ("https://api.openai.test/V1/x", Err(Denial::Model)),
        ("https://other.openai.test/v1/chat/completions", Err(Denial::Model)),
        ("https://api.openai.test:8443/v1/x", Err(Denial::Port)),
    ] {
        assert_eq!(decide(&wide, GPT, &format!("POST {url}")), expected, "{url}");
    }
}

#[test]
fn entry_that_names_models_applies_to_these_whatever_their_base_url() {
    let named = |models: &str| format!("{{ url: \"https://images.test/\", adapters: [a], models: {models} }}");
    for (models, expected) in
        [("[gpt]", Ok(())), ("[llama, gpt]", Ok(())), ("[\"*\"]", Ok(())), ("[llama]", Err(Denial::Model))]
    {
        let entry = named(models);
        assert_eq!(decide(&[&entry], GPT, "GET https://images.test/cat.png"), expected, "{models}");
        let grants = reach(&[&entry], GPT).grants.len();
        assert_eq!(grants, usize::from(expected.is_ok()), "{models}");
    }
    // A named entry does not apply at the base URL of another model.
    let pinned = "{ url: \"https://api.openai.test/v1/\", adapters: [a], models: [gpt-b] }";
    assert_eq!(decide(&[pinned], GPT, "POST https://api.openai.test/v1/x"), Err(Denial::Model));
}

#[test]
fn no_model_at_all_reaches_nothing() {
    let any = "{ url: \"https://images.test/\", adapters: [a], models: [\"*\"] }";
    assert_eq!(decide(&[any, LOOPBACK], ("", None), "GET https://images.test/x"), Err(Denial::Model));
    assert!(reach(&[any, LOOPBACK], ("", None)).grants.is_empty());
    assert_eq!(Scope::Model(Arc::default()).model(), None);
    assert_eq!((Scope::Model(Arc::new(scope(GPT))).model(), Scope::Gateway.model()), (Some("gpt"), None));
}

#[test]
fn gateway_itself_uses_only_entries_that_name_no_models() {
    let (id, digest) = (AdapterId::telemetry(), Digest::from_bytes([0; 32]));
    let target = Target::parse("POST", "http://127.0.0.1:4318/v1/traces").unwrap();
    for (models, expected) in [("", Ok(())), (", models: [\"*\"]", Err(Denial::Model))] {
        let entry = format!("{{ url: \"http://127.0.0.1:4318/v1/\", adapters: [telemetry], methods: [POST]{models} }}");
        let holder = Holder { id: &id, digest: &digest };
        let decided = egress(&[&entry]).decide(holder, &Scope::Gateway, &target, day("2026-11-30"), false).map(drop);
        assert_eq!(decided, expected, "{models}");
    }
}

/// An entry is in a model's reach exactly if it covers some request that applies to the model.
#[test]
fn entry_is_in_reach_where_it_overlaps_the_base_url() {
    for (entry, base, expected) in [
        ("http://127.0.0.1:8081/", "http://127.0.0.1:8081/v1", true),
        ("http://127.0.0.1:8081/v1", "http://127.0.0.1:8081/v1", true),
        ("http://127.0.0.1:8081/v1/", "http://127.0.0.1:8081/v1/", true),
        ("http://127.0.0.1:8081/v1/chat/completions", "http://127.0.0.1:8081/v1", true),
        ("http://127.0.0.1:8081/v1/", "http://127.0.0.1:8081", true),
        ("http://127.0.0.1:8081/v10/", "http://127.0.0.1:8081/v1", false),
        ("http://127.0.0.1:8081/v1/", "http://127.0.0.1:8081/v10", false),
        ("http://127.0.0.1:8081/v2/", "http://127.0.0.1:8081/v1", false),
        ("http://127.0.0.1:8082/v1/", "http://127.0.0.1:8081/v1", false),
        ("http://localhost:8081/v1/", "http://127.0.0.1:8081/v1", false),
        ("https://127.0.0.1:8081/v1/", "http://127.0.0.1:8081/v1", false),
    ] {
        let line = format!("{{ url: \"{entry}\", adapters: [a] }}");
        let found = !reach(&[&line], ("m", Some(base))).grants.is_empty();
        assert_eq!(found, expected, "{entry} for {base}");
    }
}

#[test]
fn locality_follows_from_the_grants_in_reach() {
    let home = "{ url: \"http://gpu.home.test/v1/\", adapters: [a], network: private, local: true }";
    let office = "{ url: \"http://gpu.home.test/v1/\", adapters: [a], network: private }";
    let image = "{ url: \"https://images.test/\", adapters: [a], models: [llama], methods: [GET] }";
    let ended = "{ url: \"http://127.0.0.1:8081/v1/\", adapters: [a], expires: 2026-11-29 }";
    let cloud_ended = "{ url: \"https://images.test/\", adapters: [a], models: [llama], expires: 2026-11-29 }";
    let gpu = ("llama", Some("http://gpu.home.test/v1"));
    for (entries, model, expected, has_local) in [
        (&[][..], LLAMA, Locality::NoGrant, false),
        (&[LOOPBACK, OPENAI], LLAMA, Locality::Local, true),
        (&[LOOPBACK, OPENAI], GPT, Locality::Cloud, false),
        (&[LOOPBACK, OPENAI], ("none", None), Locality::NoGrant, false),
        (&[OPENAI], LLAMA, Locality::NoGrant, false),
        (&[LOOPBACK, image], LLAMA, Locality::Cloud, true),
        (&[home], gpu, Locality::Local, true),
        (&[office], gpu, Locality::Cloud, false),
        (&[ended], LLAMA, Locality::NoGrant, false),
        (&[ended, OPENAI], GPT, Locality::Cloud, false),
        (&[LOOPBACK, cloud_ended], LLAMA, Locality::Local, true),
        (&[cloud_ended], LLAMA, Locality::NoGrant, false),
    ] {
        let reach = reach(entries, model);
        let found = (reach.locality(day("2026-11-30")), reach.has_local(day("2026-11-30")));
        assert_eq!(found, (expected, has_local), "{entries:?} for {model:?}");
    }
}

/// Under `egress.local_only`, a model with a local grant is local, since its other grants do not apply.
#[test]
fn standing_follows_from_grants_and_the_switch_of_the_policy() {
    let image = "{ url: \"https://images.test/\", adapters: [a], models: [llama], methods: [GET] }";
    let (id, digest): (AdapterId, _) = ("a".parse().unwrap(), Digest::from_bytes([1; 32]));
    let standing = |entries: &[&str], model, local_only, can_send| {
        let egress = Egress { local_only, ..egress(entries) };
        let facts = AdapterFacts {
            holder: Holder { id: &id, digest: &digest },
            base_url: None,
            config_keys: Vec::new(),
            can_send,
        };
        let Standing { granted, has_local, locality, .. } = egress.standing(&facts, &scope(model), day("2026-11-30"));
        (granted, has_local, locality)
    };
    use Locality::{Cloud, Local, NoGrant};
    for (entries, model, local_only, expected) in [
        (&[LOOPBACK, image][..], LLAMA, false, (Cloud, true, Cloud)),
        (&[LOOPBACK, image], LLAMA, true, (Cloud, true, Local)),
        (&[OPENAI], GPT, false, (Cloud, false, Cloud)),
        (&[OPENAI], GPT, true, (Cloud, false, Cloud)),
        (&[LOOPBACK], LLAMA, false, (Local, true, Local)),
        (&[], LLAMA, true, (NoGrant, false, NoGrant)),
    ] {
        assert_eq!(standing(entries, model, local_only, true), expected, "{entries:?} {local_only}");
        assert_eq!(standing(entries, model, local_only, false), (Local, true, Local), "what cannot send is local");
    }
}
