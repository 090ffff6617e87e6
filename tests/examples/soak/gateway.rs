//! The gateway of the soak test: its files, its process, and what disturbs it while it serves.

use crate::providers::Providers;
use hauski_tests::{Client, adapter, guest};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;

/// The adapters that misbehave; each is a model of the same name.
pub(crate) const HOSTILE: [&str; 10] = [
    "spins",
    "allocates",
    "floods-log",
    "floods-handles",
    "floods-bodies",
    "streams-forever",
    "traps",
    "ends-badly",
    "speaks-nonsense",
    "long-answer",
];

/// The gateway in a process of its own.
pub(crate) struct Gateway {
    process: Child,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl Gateway {
    pub(crate) fn start(providers: &Providers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), providers);
        let (process, address) = start(folder.path());
        Self { process, address, folder }
    }

    /// Waits until all adapters are loaded.
    pub(crate) async fn until_ready(&self) {
        let ready = async || Client(self.address).get("/ready").await.json();
        while ready().await["adapters"]["loading"].as_array().is_none_or(|loading| !loading.is_empty()) {
            sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends the process without any chance to clean up, and starts it again.
    pub(crate) fn kill_and_restart(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        (self.process, self.address) = start(self.folder.path());
    }

    /// Returns whether the ledger is as the gateway has written it, or what is wrong with it.
    pub(crate) fn verify_ledger(&self) -> Result<(), String> {
        let output = command(self.folder.path()).args(["ledger", "verify"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    pub(crate) fn disturbance(&self) -> Disturbance {
        Disturbance { folder: self.folder.path().to_owned(), gateway: self.id() }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(root().join("target/release/hauski"));
    command.current_dir(folder).env_clear();
    for (name, file) in [
        ("HAUSKI_BIND", "127.0.0.1:0"),
        ("HAUSKI_ROUTING", "routing.yaml"),
        ("HAUSKI_MODELS", "models.yml"),
        ("HAUSKI_LIMITS", "limits.yaml"),
        ("HAUSKI_ADAPTERS", "adapters"),
        ("HAUSKI_CACHE", "cache"),
        ("HAUSKI_LEDGER", "ledger/egress.jsonl"),
    ] {
        command.env(name, file);
    }
    command
}

fn start(folder: &Path) -> (Child, SocketAddr) {
    let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let mut process =
        command(folder).arg("serve").env("HAUSKI_LOG", "error").stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("://").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap().parse().unwrap();
    (process, address)
}

/// Writes adapters and policies. Requests have little time, so that those that hang end within the test.
fn fill(folder: &Path, providers: &Providers) {
    let adapters = folder.join("adapters");
    fs::create_dir(&adapters).unwrap();
    fs::create_dir(folder.join("ledger")).unwrap();
    for id in ["echo", "openai-compatible"] {
        fs::write(adapters.join(id).with_extension("wasm"), adapter(id)).unwrap();
    }
    fs::write(adapters.join("wrong.wasm"), adapter("openai-compatible")).unwrap();
    let mut models = format!(
        "models:\n  - {{ id: echo, adapter: echo }}\n\
         \x20 - {{ id: good, adapter: openai-compatible, config: {{ base_url: \"http://{}/v1\" }} }}\n\
         \x20 - {{ id: wrong, adapter: wrong, config: {{ base_url: \"http://{}/v1\" }} }}\n",
        providers.good, providers.hostile
    );
    for id in HOSTILE {
        fs::write(adapters.join(id).with_extension("wasm"), guest(&id.replace('-', "_"))).unwrap();
        models.push_str(&format!("  - {{ id: {id}, adapter: {id} }}\n"));
    }
    fs::write(folder.join("models.yml"), models).unwrap();
    fs::write(folder.join("routing.yaml"), routing(providers)).unwrap();
    let limits = fs::read_to_string(root().join("policies/limits.yaml")).unwrap();
    let limits = limits.replace("cpu_ms: 5000", "cpu_ms: 1000").replace("total_ms: 600000", "total_ms: 10000");
    fs::write(folder.join("limits.yaml"), limits).unwrap();
}

fn routing(providers: &Providers) -> String {
    let entry =
        |address, id| format!("    - {{ url: \"http://{address}/v1/\", adapters: [{id}], methods: [GET, POST] }}\n");
    format!(
        "egress:\n  default: deny\n  allow:\n{}{}routing: {{ prefer_local: true, cloud_fallback: {{ enabled: false }} }}\n",
        entry(providers.good, "openai-compatible"),
        entry(providers.hostile, "wrong")
    )
}

/// Changes of the gateway's files, and kills of its compiler processes.
pub(crate) struct Disturbance {
    folder: PathBuf,
    gateway: u32,
}

impl Disturbance {
    /// Replaces a file every two seconds: policies with other comments, adapters with other bytes and files that are none.
    pub(crate) async fn disturb(self) {
        for number in 0_u32.. {
            sleep(Duration::from_secs(2)).await;
            match number % 5 {
                0 => self.replace("routing.yaml", |text| comment(text, number)),
                1 => self.replace("models.yml", |text| comment(text, number)),
                2 => self.replace("adapters/echo.wasm", |_| version(adapter("echo"), number)),
                3 => self.replace("adapters/broken.wasm", |_| version(b"\0asm\x0d\0\x01\0".to_vec(), number)),
                _ => {
                    self.replace("adapters/traps.wasm", |_| version(guest("traps"), number));
                    sleep(Duration::from_millis(300)).await;
                    self.kill_compilers();
                }
            }
        }
    }

    fn replace(&self, name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let (path, part) = (self.folder.join(name), self.folder.join("part"));
        fs::write(&part, change(fs::read(&path).unwrap_or_default())).unwrap();
        fs::rename(part, path).unwrap();
    }

    fn kill_compilers(&self) {
        let parent = format!(" {} ", self.gateway);
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let is_child = stat.rsplit_once(')').is_some_and(|(_, rest)| rest[2..].starts_with(&parent));
            if let Some(pid) = rustix::process::Pid::from_raw(pid).filter(|_| is_child) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// Replaces the comment at the end of a policy.
fn comment(text: Vec<u8>, number: u32) -> Vec<u8> {
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("# ")).collect();
    format!("{}\n# {number}\n", lines.join("\n")).into_bytes()
}

/// Returns a component with other bytes for each number: a custom section follows it.
fn version(mut component: Vec<u8>, number: u32) -> Vec<u8> {
    component.extend([0, 5, 0]);
    component.extend(number.to_le_bytes());
    component
}
