//! The parts of the contract that no endpoint asks for yet, called as the server would call them.

use hauski_egress::{Decision, Door, Exchange, Ledger, Observer, Parts, Secrets, Shared, SystemResolver};
use hauski_policy::{AdapterId, Limits, ModelScope, Routing, Scope};
use hauski_runtime::{Adapter, AdapterError, Call, CallError, Library, LoadOptions, Progress, Tenant};
use hauski_tests::{Upstream, compiler};
use std::path::Path;
use std::sync::Arc;

struct Nobody;

impl Observer for Nobody {
    fn decided(&self, _: &Decision<'_>) {}
    fn finished(&self, _: &Exchange<'_>) {}
}

/// The adapter `openai-compatible` with a grant for `upstream`, and a call with its settings. The library has the threads of its calls.
fn adapter(upstream: &Upstream) -> (Library, Arc<Adapter>, Call) {
    let folder = tempfile::TempDir::new().unwrap();
    let built = Path::new(env!("HAUSKI_TEST_ADAPTERS")).join("openai_compatible.wasm");
    std::fs::copy(built, folder.path().join("openai-compatible.wasm")).unwrap();
    let routing = format!(
        "egress: {{ default: deny, allow: [{{ url: \"{}\", adapters: [openai-compatible], methods: [GET, POST] }}] }}\n\
         routing: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n",
        upstream.url("/v1/")
    );
    let egress = Routing::parse("routing.yaml", routing.as_bytes()).unwrap().value.egress;
    let limits = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/limits.yaml")).unwrap();
    let limits = Limits::parse("limits.yaml", &limits).unwrap().value;
    let options = LoadOptions { cache: None, lock: None, compiler: compiler() };
    let library = Library::open(folder.path(), &limits, options).unwrap();
    library.load_all(&mut |_| {});
    let adapters = library.adapters();
    let id: AdapterId = "openai-compatible".parse().unwrap();
    let parts = Parts {
        resolver: Arc::new(SystemResolver::default()),
        observer: Arc::new(Nobody),
        egress,
        secrets: Secrets::default(),
        ledger: Ledger::off(),
        extra_roots: Vec::new(),
    };
    let door = Door::new(Arc::new(Shared::new(parts).unwrap()));
    let base_url = format!("\"{}\"", upstream.url("/v1"));
    let settings = Arc::new([("base_url".into(), base_url.into())].into());
    (
        library,
        adapters.get(&id).unwrap().clone(),
        Call {
            request_id: "test".into(),
            tenant: Tenant::default(),
            started: tokio::time::Instant::now(),
            progress: Progress::default(),
            settings,
            scope: Scope::Model(Arc::new(ModelScope { id: "m".into(), base_url: upstream.url("/v1").parse().ok() })),
            local_only: false,
            door: Some(Arc::new(door)),
        },
    )
}

#[tokio::test]
async fn a_providers_models_are_listed_one_by_one() {
    let upstream = Upstream::json(r#"{"object":"list","data":[{"id":"a","object":"model"},{"id":"b","x":1.0}]}"#);
    let (_library, adapter, call) = adapter(&upstream);
    let models = adapter.models(call).await.unwrap();
    assert_eq!(models, [r#"{"id":"a","object":"model"}"#, r#"{"id":"b","x":1.0}"#]);
    assert!(upstream.requests()[0].starts_with("GET /v1/models HTTP/1.1\r\n"));
}

#[tokio::test]
async fn embeddings_go_through_byte_for_byte() {
    let answer = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10,-1e-400]}],"new":1.0}"#;
    let upstream = Upstream::json(answer);
    let (_library, adapter, call) = adapter(&upstream);
    let request = r#"{"model":"m","input":["a","b"],"dimensions":2.0}"#;
    assert_eq!(adapter.embed(call, request.to_owned().into()).await.unwrap().text, answer);
    let sent = upstream.requests().pop().unwrap();
    assert!(sent.starts_with("POST /v1/embeddings HTTP/1.1\r\n") && sent.ends_with(request), "{sent}");
}

#[tokio::test]
async fn a_probe_of_a_provider_that_is_not_there_fails() {
    let upstream = Upstream::json("{}");
    let (_library, adapter, call) = adapter(&upstream);
    drop(upstream);
    let error = adapter.models(call).await.unwrap_err();
    assert!(matches!(error, CallError::Adapter(AdapterError::Unreachable(_))), "{error}");
}
