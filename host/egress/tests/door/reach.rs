//! The reach of a model: an adapter that serves one model cannot reach the provider of another, by no way that the client has.

use crate::upstream::{Conn, HELLO, Upstream};
use crate::world::{World, grants_as_written, scope};
use hauski_policy::Egress;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

/// A world in which the adapter `a` serves two models, each with a provider of its own. The one of `gpt` needs a key.
struct Two {
    world: World,
    llama: Upstream,
    gpt: Upstream,
}

impl Two {
    fn new() -> Self {
        let (llama, gpt) = (Upstream::answering(HELLO), Upstream::answering(HELLO));
        let world = World::new(&[]);
        set_policy(&world, &[&entry(&llama, ""), &entry(&gpt, SECRET)]);
        Self { world, llama, gpt }
    }

    /// Sends to `to` on behalf of a model with this id and the base URL of `of`.
    async fn send(&mut self, id: &str, of: Option<u16>, to: &str) -> Result<String, &'static str> {
        self.world.scope = scope(id, of.map(|port| format!("http://127.0.0.1:{port}/v1")).as_deref());
        let caller = self.world.caller("a");
        self.world.get(&caller, to).await.map_err(|error| error.code())
    }
}

/// Replaces the policy by these entries, which apply to the models that they say.
fn set_policy(world: &World, entries: &[&str]) {
    world.set_egress(Egress { grants: grants_as_written(entries), local_only: false });
}

const SECRET: &str = r#", secret: { header: authorization, value: "Bearer ${env:KEY}" }"#;

fn entry(upstream: &Upstream, rest: &str) -> String {
    format!(r#"{{ url: "http://127.0.0.1:{}/v1/", adapters: [a], methods: [GET]{rest} }}"#, upstream.port())
}

fn url(upstream: &Upstream) -> String {
    format!("GET http://127.0.0.1:{}/v1/x", upstream.port())
}

#[tokio::test]
async fn adapter_reaches_the_provider_of_the_model_that_it_serves_and_no_other() {
    let mut two = Two::new();
    let (llama, gpt) = (Some(two.llama.port()), Some(two.gpt.port()));
    let (to_llama, to_gpt) = (url(&two.llama), url(&two.gpt));
    assert_eq!(two.send("llama", llama, &to_gpt).await, Err("model-not-granted"));
    assert_eq!(two.send("bare", None, &to_gpt).await, Err("model-not-granted"));
    assert_eq!(two.gpt.connections(), 0);
    assert_eq!(two.send("gpt", gpt, &to_gpt).await, Ok("hello".to_owned()));
    assert_eq!(two.send("llama", llama, &to_llama).await, Ok("hello".to_owned()));
    assert!(!two.llama.requests()[0].contains("authorization"), "{:?}", two.llama.requests());
    // A connection that was opened for one model lies idle now, and serves no other.
    assert_eq!(two.send("llama", llama, &to_gpt).await, Err("model-not-granted"));
    assert_eq!((two.gpt.connections(), two.gpt.requests().len()), (1, 1));
    // Nor does that denial close it for the model that may use it.
    assert_eq!(two.send("gpt", gpt, &to_gpt).await, Ok("hello".to_owned()));
    assert_eq!((two.gpt.connections(), two.gpt.requests().len()), (1, 2));
}

#[tokio::test]
async fn expired_grant_of_one_model_closes_no_connection_of_another() {
    let mut two = Two::new();
    let ended = entry(&two.gpt, ", models: [llama], expires: 2026-01-01");
    set_policy(&two.world, &[&ended, &entry(&two.gpt, ", models: [gpt]")]);
    let to_gpt = url(&two.gpt);
    assert_eq!(two.send("gpt", None, &to_gpt).await, Ok("hello".to_owned()));
    assert_eq!(two.send("llama", None, &to_gpt).await, Err("grant-expired"));
    assert_eq!(two.send("gpt", None, &to_gpt).await, Ok("hello".to_owned()));
    assert_eq!((two.gpt.connections(), two.gpt.requests().len()), (1, 2));
}

#[tokio::test]
async fn headers_of_other_models_grants_are_free_to_set() {
    let two = Two::new();
    let caller = two.world.caller("a");
    let of = |id: &str, port: u16| scope(id, Some(&format!("http://127.0.0.1:{port}/v1")));
    assert!(two.world.door.attached_headers(&caller, &of("llama", two.llama.port())).is_empty());
    let attached = two.world.door.attached_headers(&caller, &of("gpt", two.gpt.port()));
    assert_eq!(attached, ["authorization".into()]);
}

/// A request under way is authorized again for the model that it is for, when the policy changes.
#[tokio::test]
async fn stream_ends_when_its_grant_is_given_to_another_model() {
    let (go, told) = mpsc::channel();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |conn: &mut Conn, _| {
        conn.request();
        conn.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\none");
        let _ = told.lock().unwrap().recv_timeout(Duration::from_secs(20));
        conn.write("two");
        conn.sees_the_end();
    });
    let mut world = World::new(&[]);
    world.scope = scope("llama", None);
    set_policy(&world, &[&entry(&upstream, ", models: [llama]")]);
    let mut body = world.send(&world.caller("a"), &url(&upstream)).await.unwrap().body;
    assert_eq!(body.read().await.unwrap().unwrap(), "one");
    set_policy(&world, &[&entry(&upstream, ", models: [gpt]")]);
    go.send(()).unwrap();
    assert_eq!(body.read().await.unwrap_err().code(), "grant-withdrawn");
}
