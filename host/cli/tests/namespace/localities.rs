//! The matrix of localities: each cell with what was tried, held and told, and with every packet that was sent for it.

use crate::capture::Capture;
use crate::cells::{self, HANGS, KINDS, Kind, MODES, Mode, SECOND, STATES, State, name, port};
use crate::common;
use crate::gateway::{self, BIND, Gateway, raw};
use crate::world::{self, Names};
use hauski_policy::AdapterId;
use hauski_server::Settings;
use hauski_server::setup::{self, World};
use hauski_tests::compiler;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A client's key whose requests are local-only.
const KEY: &str = "hsk_locality-0123456789abcdefghijklmnopqrstuvwx";
const ANSWER: &str = r#"{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}"#;
const OVERLOADED: &str = r#"{"error":{"message":"overloaded","type":"server_error","code":null}}"#;

/// Everything that is tried, in the namespace.
pub(crate) fn inside() {
    gateway::bound();
    let folder = common::folder();
    world::prepare(&folder);
    for address in ["127.0.0.1", "93.184.216.34"] {
        provider(address, SECOND, "200 OK", ANSWER);
        provider(address, HANGS, "", "");
    }
    for kind in KINDS {
        let address = if kind == Kind::Cloud { "93.184.216.34" } else { "127.0.0.1" };
        for state in STATES {
            match state {
                State::Down => {}
                State::Broken => provider(address, port(kind, state), "503 Service Unavailable", OVERLOADED),
                State::Healthy | State::QueueFull | State::Canary => {
                    provider(address, port(kind, state), "200 OK", ANSWER)
                }
            }
        }
    }
    let wasm = hauski_tests::adapter("openai-compatible");
    for id in cells::full_adapters().into_iter().chain(["openai-compatible".to_owned()]) {
        fs::write(folder.path().join(format!("adapters/{id}.wasm")), &wasm).unwrap();
    }
    limits(&folder);
    common::write(&folder, "models.yml", &cells::models().to_string());
    let (names, capture) = (Names::serve(), Capture::start());
    let mut table = String::new();
    for mode in MODES {
        run(&folder, mode, &names, &capture, &mut table);
    }
    insta::assert_snapshot!("localities", table);
}

/// The limits of the shipped file, but for breakers that never open, no second tries, and adapters with one instance.
fn limits(folder: &TempDir) {
    let path = folder.path().join("limits.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let one: Vec<_> = cells::full_adapters().iter().map(|id| format!("{id}: {{ instances: 1, queue: 0 }}")).collect();
    let text = text.replace("overrides: {}", &format!("overrides: {{ {} }}", one.join(", ")));
    let text = text.replace("retries: 1 ", "retries: 0 ").replace("breaker_failures: 10 ", "breaker_failures: 1000 ");
    assert!(text.contains("retries: 0 ") && text.contains("breaker_failures: 1000 ") && text.contains("queue: 0"));
    fs::write(path, text).unwrap();
}

/// Answers each request at this address and closes; with an empty status never answers.
fn provider(address: &str, port: u16, status: &'static str, body: &'static str) {
    let listener = TcpListener::bind((address, port)).unwrap_or_else(|error| panic!("{address}:{port}: {error}"));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(&stream, status, body));
        }
    });
}

fn answer(mut stream: &TcpStream, status: &str, body: &str) {
    let (mut head, mut reader) = (String::new(), BufReader::new(stream));
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
    let length =
        head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let mut sent = vec![0; length.unwrap_or_default()];
    let _ = reader.read_exact(&mut sent);
    if status.is_empty() {
        let _ = reader.read_to_end(&mut sent);
        return;
    }
    let head = "content-type: application/json\r\nconnection: close\r\n";
    let _ = write!(stream, "HTTP/1.1 {status}\r\n{head}content-length: {}\r\n\r\n{body}", body.len());
    let _ = stream.shutdown(Shutdown::Write);
}

/// Tries all cells of a mode, and README's route.
fn run(folder: &TempDir, mode: Mode, names: &Names, capture: &Capture, table: &mut String) {
    common::write(folder, "routing.yaml", &cells::routing(mode).to_string());
    let keys = folder.path().join("keys.yaml");
    if mode == Mode::LocalOnlyKey {
        let hash: String = Sha256::digest(KEY).iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("keys:\n  - {{ name: held, models: [\"*\"], local_only: true, hash: \"sha256:{hash}\" }}\n");
        fs::write(&keys, text).unwrap();
    }
    let variables = if mode == Mode::LocalOnlyKey { vec![("HAUSKI_KEYS", "keys.yaml")] } else { vec![] };
    let explained = explained(folder, mode);
    let gateway = Gateway::start_in(folder, &variables, &["serve"]);
    let busy = busy(mode, capture);
    names.take();
    let _ = writeln!(table, "\n{mode:?}");
    for kind in KINDS {
        for state in STATES {
            let route = name(kind, state);
            let told = send(&route, mode, false);
            let flows: BTreeSet<String> = capture.take().iter().map(|flow| place(&flow.to_string())).collect();
            let asked = names.take();
            let left = flows.iter().any(|flow| flow.starts_with("cloud")) || !asked.is_empty();
            hold(kind, state, mode, &told, left, &flows);
            let tried = if flows.is_empty() { "nothing".to_owned() } else { Vec::from_iter(flows).join(", ") };
            let held = explained.get(&route).map_or("", String::as_str);
            let _ = writeln!(table, "  {route:<18} tried {tried:<40} held {held:<58} told {told}");
        }
    }
    for stream in [false, true] {
        let told = send("chat", mode, stream);
        let flows: BTreeSet<String> = capture.take().iter().map(ToString::to_string).collect();
        let asked = names.take();
        let local = ["tcp 127.0.0.1:8081", "tcp 127.0.0.1:8082"].map(str::to_owned);
        if mode != Mode::CloudFallback {
            assert_eq!((flows, asked), (BTreeSet::from(local), vec![]), "README's route, {mode:?}: {told}");
        } else {
            assert!(flows.len() > 2 && asked == [cells::CLOUD], "{flows:?}");
        }
        let _ = writeln!(
            table,
            "  README's route, its local servers down, {}: told {told}",
            if stream { "streamed" } else { "whole" }
        );
    }
    drop(busy);
    gateway.stop();
    let _ = fs::remove_file(keys);
}

/// The promises, which hold whatever the table says.
fn hold(kind: Kind, state: State, mode: Mode, told: &str, left: bool, flows: &BTreeSet<String>) {
    let cell = format!("{kind:?} {state:?} {mode:?}: {told}, {flows:?}");
    assert!(!(mode.is_local_only() && left), "a request that is local-only leaves: {cell}");
    let stays = kind != Kind::Cloud && mode == Mode::PreferLocal;
    assert!(!(stays && left), "what began local leaves without a fallback: {cell}");
    assert!(!(told.contains("local") && told.starts_with("200") && left), "what is called local has left: {cell}");
    let unreached = kind != Kind::NoGrant || !flows.iter().any(|flow| *flow == format!("local {}", port(kind, state)));
    assert!(unreached, "a model without a grant is reached: {cell}");
}

/// `local` or `cloud` and the port of a connection; the question for a name is the cloud's as well.
fn place(flow: &str) -> String {
    let (address, port) = flow.rsplit_once(':').unwrap();
    match address {
        "tcp 127.0.0.1" => format!("local {port}"),
        "tcp 93.184.216.34" => format!("cloud {port}"),
        _ => "cloud's name".to_owned(),
    }
}

/// The candidates that the plan of each route holds back, as `hauski route explain` says it.
fn explained(folder: &TempDir, mode: Mode) -> BTreeMap<String, String> {
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let variables = [
        ("HAUSKI_ROUTING", "routing.yaml"),
        ("HAUSKI_LIMITS", "limits.yaml"),
        ("HAUSKI_MODELS", "models.yml"),
        ("HAUSKI_ADAPTERS", "adapters"),
        ("HAUSKI_CACHE", "cache/compiled"),
    ];
    let env: BTreeMap<String, String> = variables.map(|(name, file)| (name.to_owned(), path(file))).into();
    let settings = Settings::read(&env).unwrap();
    let (gateway, _) = setup::prepare(&settings, World { compiler: compiler(), ..World::real() })
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    gateway.load_adapters(&mut |_| {});
    assert!(gateway.adapters().get(&"full-local".parse::<AdapterId>().unwrap()).is_some());
    let routes = KINDS.into_iter().flat_map(|kind| STATES.map(|state| name(kind, state)));
    routes
        .map(|route| {
            let plan = gateway.explain(&route, "", mode.is_local_only()).unwrap();
            let held: Vec<_> =
                plan.held.iter().map(|one| format!("{}:{}", one.model.trim_start_matches("m-"), one.code)).collect();
            (route, if held.is_empty() { "nobody".to_owned() } else { held.join(" ") })
        })
        .collect()
}

/// Requests that keep the only instance of an adapter busy, each for as long as its connection lives.
fn busy(mode: Mode, capture: &Capture) -> Vec<TcpStream> {
    let models = cells::busy_models().into_iter().filter(|model| !(mode.is_local_only() && model == "busy-cloud"));
    models
        .map(|model| {
            let mut stream = gateway::connect();
            stream.write_all(request(&model, Mode::PreferLocal, mode == Mode::LocalOnlyKey, false).as_bytes()).unwrap();
            let begun = Instant::now();
            let hangs = format!(":{HANGS}");
            while !capture.take().iter().any(|flow| flow.to_string().ends_with(&hangs)) {
                assert!(begun.elapsed() < Duration::from_secs(20), "{model} keeps nothing busy");
                thread::sleep(Duration::from_millis(20));
            }
            stream
        })
        .collect()
}

fn request(model: &str, mode: Mode, with_key: bool, stream: bool) -> String {
    let body =
        format!(r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"a prompt"}}]}}"#);
    let held = if mode == Mode::LocalOnlyHeader { "x-hauski-locality: local-only\r\n" } else { "" };
    let key = if with_key { format!("authorization: Bearer {KEY}\r\n") } else { String::new() };
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {BIND}\r\ncontent-type: application/json\r\nconnection: close\r\n{held}{key}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request for a route, and returns the status, with the model and locality that answered or the error's code.
fn send(route: &str, mode: Mode, stream: bool) -> String {
    let answer = raw(&request(route, mode, mode == Mode::LocalOnlyKey, stream));
    let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
    let said = |text: &str, from: &str, to: char| {
        let at = text.find(from)? + from.len();
        Some(text[at..].split(to).next().unwrap_or_default().to_owned())
    };
    match said(&answer, "model=\"", '"') {
        Some(model) => {
            let locality = said(&answer, "locality=", '\r').unwrap_or_default();
            format!("{status} {} {locality}", model.trim_start_matches("m-"))
        }
        None => format!("{status} {}", said(&answer, "\"code\":\"", '"').unwrap_or_default()),
    }
}
