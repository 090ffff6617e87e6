//! What hostile and broken adapters do, and that it is their request's failure only.

use hauski_tests::{Builder, Log, TestHost, UNRELATED, Upstream};
use http::StatusCode;
use std::time::{Duration, Instant};

/// A guest without a test does not compile.
macro_rules! has_a_test {
    ($guest:ident) => {
        const _: fn() = $guest;
    };
}
hauski_test_guests::for_each_guest!(has_a_test);

/// A gateway with the guest and the echo adapter, which has to go on whatever the guest does.
fn beside_echo(guest: &str) -> Builder {
    TestHost::builder().guest(guest).adapter("echo").model("{ id: echo, adapter: echo }")
}

async fn echo_answers(host: &TestHost) {
    assert_eq!(host.client().chat("echo", "still here").await.content(), "still here");
}

/// Whole and in pieces, the request fails with this code while others go on; no instance is left behind.
async fn fails_alone(host: &TestHost, model: &str, status: u16, code: &str) {
    for stream in [false, true] {
        let bad = async {
            if stream { host.client().stream(model, "x").await } else { host.client().chat(model, "x").await }
        };
        let (answer, ()) = tokio::join!(bad, echo_answers(host));
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{stream} {}", answer.text);
        echo_answers(host).await;
    }
    host.client()
        .until_metric(&format!("hauski_adapter_instances{{adapter=\"{model}\"}} 0"), Duration::from_secs(5))
        .await;
}

#[tokio::test]
async fn computes() {
    let host = TestHost::builder().guest("computes").start().await;
    assert_eq!(host.client().chat("computes", "x").await.content(), "done");
}

#[tokio::test]
async fn spins() {
    let host = beside_echo("spins").override_limits("spins: { cpu_ms: 200 }").start().await;
    fails_alone(&host, "spins", 502, "adapter_cpu_limit").await;
}

/// One core for both: a guest that computes gives way, and does not take much of its neighbours' time.
#[tokio::test]
async fn others_are_quick_beside_one_that_spins() {
    let host = beside_echo("spins").override_limits("spins: { cpu_ms: 500 }").workers(1).start().await;
    let client = host.client();
    let spins = tokio::spawn(async move { client.chat("spins", "x").await });
    client.until_metric("hauski_adapter_instances{adapter=\"spins\"} 1", Duration::from_secs(10)).await;
    let mut took = Vec::new();
    while !spins.is_finished() {
        let begin = Instant::now();
        echo_answers(&host).await;
        took.push(begin.elapsed());
    }
    assert_eq!(spins.await.unwrap().code(), "adapter_cpu_limit");
    took.sort();
    let median = took[took.len() / 2];
    assert!(
        took.len() >= 5 && median < Duration::from_millis(200),
        "{} answers, median {median:?}: {took:?}",
        took.len()
    );
}

#[tokio::test]
async fn allocates() {
    let host = beside_echo("allocates").start().await;
    fails_alone(&host, "allocates", 502, "adapter_memory_limit").await;
}

#[tokio::test]
async fn sleeps() {
    let host = beside_echo("sleeps").override_limits("sleeps: { total_ms: 300 }").start().await;
    fails_alone(&host, "sleeps", 504, "total_timeout").await;
}

#[tokio::test]
async fn traps() {
    let host = beside_echo("traps").start().await;
    fails_alone(&host, "traps", 502, "adapter_trapped").await;
}

#[tokio::test]
async fn describe_traps() {
    let host = beside_echo("describe_traps").start().await;
    let answer = host.client().chat("describe-traps", "x").await;
    assert_eq!(answer.code(), "adapter_unavailable");
    assert!(
        answer.text.contains("`describe-traps.wasm` is not loaded: its `about.describe` failed"),
        "{}",
        answer.text
    );
    echo_answers(&host).await;
}

/// Loading does not wait for it for long.
#[tokio::test]
async fn describe_sleeps() {
    let begin = Instant::now();
    refused("describe_sleeps", &["its `about.describe` takes more than 5 s of processor time, or 10 s altogether"])
        .await;
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn floods_log() {
    let host = beside_echo("floods_log").override_limits("floods-log: { cpu_ms: 20000 }").start().await;
    let (answer, ()) = tokio::join!(host.client().chat("floods-log", "x"), echo_answers(&host));
    assert_eq!(answer.content(), "flooded");
    let id = answer.headers["x-request-id"].to_str().unwrap();
    let mut lines = Log::lines_with(&format!("request_id=\"{id}\""));
    lines.retain(|line| line.contains("hauski_runtime::log: ") && line.contains("adapter=\"floods-log\""));
    assert_eq!(lines.len(), 33, "32 lines, and one that says that the rest is dropped");
    assert!(lines[32].contains("wrote more than 32 lines"));
}

#[tokio::test]
async fn floods_handles() {
    let upstream = Upstream::json("{}");
    let host = beside_echo("floods_handles").grant(&upstream.url("/")).start().await;
    let url = upstream.url("/");
    let (answer, ()) = tokio::join!(host.client().chat("floods-handles", &url), echo_answers(&host));
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "adapter_failed"), "{}", answer.text);
    assert_eq!(upstream.connections(), 32);
}

/// In a process of its own, because it is about the process' memory.
#[tokio::test]
async fn floods_bodies() {
    if !alone("guests::floods_bodies") {
        return;
    }
    for what in ["bodies", "fields"] {
        let builder = beside_echo("floods_bodies").grant(UNRELATED);
        let host = builder.override_limits("floods-bodies: { cpu_ms: 20000 }").start().await;
        echo_answers(&host).await;
        let before = status_mib("VmRSS");
        for stream in [false, true] {
            let bad = async {
                let client = host.client();
                if stream {
                    client.stream("floods-bodies", what).await
                } else {
                    client.chat("floods-bodies", what).await
                }
            };
            let (answer, ()) = tokio::join!(bad, echo_answers(&host));
            let most = status_mib("VmHWM");
            assert!(most < before + 150, "{what}: {before} MiB before, {most} MiB at the most");
            assert_eq!(answer.status.as_u16(), 502, "{what}: {}", answer.text);
            assert!(["adapter_trapped", "adapter_failed"].contains(&&*answer.code()), "{what}: {}", answer.text);
        }
        host.client()
            .until_metric("hauski_adapter_instances{adapter=\"floods-bodies\"} 0", Duration::from_secs(5))
            .await;
    }
}

/// H4: bodies that a provider does not take lay uncounted in the host's memory. In a process of its own, because it is about the process'
/// memory.
#[tokio::test]
async fn floods_uploads() {
    if !alone("guests::floods_uploads") {
        return;
    }
    let upstream = Upstream::start(|conversation| {
        conversation.head()?;
        conversation.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")?;
        // Reads nothing of the body.
        std::thread::sleep(Duration::from_secs(30));
        Ok(())
    });
    let builder = beside_echo("floods_uploads").grant(&upstream.url("/"));
    let host = builder.override_limits("floods-uploads: { memory_mib: 64, response_mib: 32 }").start().await;
    echo_answers(&host).await;
    let before = status_mib("VmRSS");
    let url = upstream.url("/");
    let (answer, ()) = tokio::join!(host.client().chat("floods-uploads", &url), echo_answers(&host));
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "adapter_failed"), "{}", answer.text);
    assert!(answer.text.contains("the adapter's bodies in flight exceed 33 MiB"), "{}", answer.text);
    // As much as clients' bodies may take, or one call.
    assert_eq!(upstream.connections(), 2);
    let most = status_mib("VmHWM");
    assert!(most < before + 200, "{before} MiB before, {most} MiB at the most");
}

/// A line of `/proc/self/status`, in MiB.
fn status_mib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

/// Whether this process runs the one test only; if not, one that does has been started, and has passed.
fn alone(test: &str) -> bool {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--exact") && arguments.next().as_deref() == Some(test) {
        return true;
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap()).args(["--exact", test]).output().unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
    false
}

#[tokio::test]
async fn counts() {
    let host = beside_echo("counts").start().await;
    for _ in 0..20 {
        assert_eq!(host.client().chat("counts", "x").await.content(), "1");
    }
}

#[tokio::test]
async fn streams_forever() {
    let host = beside_echo("streams_forever").override_limits("streams-forever: { cpu_ms: 300 }").start().await;
    let (answer, ()) = tokio::join!(host.client().stream("streams-forever", "x"), echo_answers(&host));
    assert_eq!(answer.status, StatusCode::OK);
    let events = answer.events();
    assert!(events.len() > 2 && !answer.complete, "{}", events.len());
    assert!(events.last().is_some_and(|last| last.contains("adapter_cpu_limit")), "{:?}", events.last());
}

#[tokio::test]
async fn ends_badly() {
    let host = beside_echo("ends_badly").start().await;
    let answer = host.client().stream("ends-badly", "x").await;
    let events = answer.events();
    assert_eq!((answer.status, answer.complete, events.len()), (StatusCode::OK, false, 3), "{events:?}");
    assert!(events[2].starts_with("{\"error\":") && !answer.text.contains("[DONE]"), "{events:?}");
    echo_answers(&host).await;
}

/// R7: lists without a chunk kept the host at work for a multiple of the guest's own computing time.
#[tokio::test]
async fn gives_nothing() {
    let host = beside_echo("gives_nothing").start().await;
    let answer = host.client().stream("gives-nothing", "x").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "adapter_trapped"), "{}", answer.text);
    assert!(answer.text.contains("wait until there is a chunk"), "{}", answer.text);
    echo_answers(&host).await;
}

#[tokio::test]
async fn speaks_nonsense() {
    let host = beside_echo("speaks_nonsense").start().await;
    fails_alone(&host, "speaks-nonsense", 502, "adapter_broke_contract").await;
    let late = host.client().stream("speaks-nonsense", "late").await;
    assert_eq!((late.status, late.complete, late.events().len()), (StatusCode::OK, false, 2), "{}", late.text);
    assert!(late.events()[1].contains("adapter_broke_contract") && !late.text.contains("[DONE]"));
}

/// Longer than a request may be, and than an answer may be.
#[tokio::test]
async fn long_answer() {
    let host = beside_echo("long_answer").override_limits("long-answer: { memory_mib: 64 }").start().await;
    for (mib, fits) in [(3, true), (8, false)] {
        let whole = host.client().chat("long-answer", &mib.to_string()).await;
        let stream = host.client().stream("long-answer", &mib.to_string()).await;
        if fits {
            assert_eq!((whole.status, whole.content().len()), (StatusCode::OK, mib << 20), "{}", whole.code());
            assert_eq!((stream.status, stream.events().len()), (StatusCode::OK, 4), "{}", stream.code());
            assert!(stream.complete && stream.events()[1].len() > mib << 20, "{}", stream.events()[1].len());
        } else {
            let error = whole.json()["error"].clone();
            assert_eq!((whole.status.as_u16(), &error["code"]), (502, &"adapter_handover_limit".into()), "{error}");
            assert!(error["message"].as_str().unwrap().contains("(limits `request_mib`, `response_mib`)"), "{error}");
            // Its first chunk is a short one.
            assert_eq!((stream.status, stream.complete), (StatusCode::OK, false));
            assert!(stream.events()[1].contains("adapter_handover_limit"), "{}", stream.text);
        }
        echo_answers(&host).await;
    }
}

#[tokio::test]
async fn quotes_prompt() {
    let host = beside_echo("quotes_prompt").start().await;
    let prompt = "prompt-that-is-quoted-8154";
    for (stream, ask) in [(false, prompt.to_owned()), (true, prompt.to_owned()), (true, format!("{prompt} later"))] {
        let client = host.client();
        let answer =
            if stream { client.stream("quotes-prompt", &ask).await } else { client.chat("quotes-prompt", &ask).await };
        if ask.contains("later") {
            assert_eq!((answer.status, answer.complete), (StatusCode::OK, false));
            assert!(answer.events()[1].contains("\"adapter_failed\""), "{:.200}", answer.events()[1]);
        } else {
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (502, "adapter_failed"),
                "{:.200}",
                answer.text
            );
        }
        let id = answer.headers["x-request-id"].to_str().unwrap();
        let counted = format!("status={}", answer.status.as_u16().max(502));
        let begin = Instant::now();
        while !Log::lines_with(id).iter().any(|line| line.contains(&counted)) {
            assert!(begin.elapsed() < Duration::from_secs(5), "the log has a line of it: {:?}", Log::lines_with(id));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for part in [prompt, "quoted-red", "quoted-filler"] {
            assert_eq!(Log::lines_with(part).len(), 0, "{part}: {:.400}", Log::lines_with(part)[0]);
        }
    }
}

#[tokio::test]
async fn embeds_only() {
    let host = beside_echo("embeds_only").expose_config().start().await;
    let listing = host.client().get("/adapters").await.json();
    let all = listing["adapters"].as_array().unwrap();
    let serves = &all.iter().find(|one| one["id"] == "embeds-only").unwrap()["description"]["serves"];
    assert_eq!(serves, &serde_json::json!(["embeddings"]));
    assert_eq!(host.client().chat("embeds-only", "x").await.code(), "not_served");
    echo_answers(&host).await;
}

#[tokio::test]
async fn probe() {
    let host = beside_echo("probe").grant(UNRELATED).start().await;
    let answer = host.client().chat("probe", r#"{"url":"http://127.0.0.1:9/"}"#).await;
    assert_eq!(answer.content(), r#"{"err":"denied","message":""}"#);
}

#[tokio::test]
async fn probe_wasi_http() {
    let host = beside_echo("probe_wasi_http").grant(UNRELATED).start().await;
    let answer = host.client().chat("probe-wasi-http", r#"{"url":"http://127.0.0.1:9/"}"#).await;
    assert!(answer.content().contains(r#""err":"denied""#), "{}", answer.text);
}

#[tokio::test]
async fn imports_sockets() {
    refused("imports_sockets", &["it imports `wasi:sockets/", "use `hauski:adapter/upstream`"]).await;
}

#[tokio::test]
async fn imports_filesystem() {
    refused("imports_filesystem", &["it imports `wasi:filesystem/"]).await;
}

#[tokio::test]
async fn other_world() {
    refused("other_world", &["it does not export `hauski:adapter/about@0.1.0`", "build it for the world"]).await;
}

/// The guest is listed with its reason, and hinders no other.
async fn refused(guest: &str, reasons: &[&str]) {
    let host = beside_echo(guest).expose_config().start().await;
    let listing = host.client().get("/adapters").await.json();
    let entry = &listing["refused"][0];
    assert_eq!(entry["file"], format!("{}.wasm", guest.replace('_', "-")));
    for reason in reasons {
        assert!(entry["reason"].as_str().is_some_and(|text| text.contains(reason)), "{entry}");
    }
    assert_eq!(listing["adapters"].as_array().map(Vec::len), Some(1));
    echo_answers(&host).await;
}
