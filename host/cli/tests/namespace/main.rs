//! No packet without a permit: the binary in a network of its own, where every packet is captured.
//!
//! The test runs itself once more in a new network namespace (`unshare`, as root or by way of a user namespace). There every
//! address leads to `lo`, so that whatever is sent is seen and can even be answered. Two probing adapters try what
//! the matrix has, with and without `--os-egress-lock`; after each row, what was seen has to be exactly what the row says.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests: what fails here has failed")]
#![expect(clippy::print_stdout, reason = "whoever asks for it (`--nocapture`) is shown what was seen")]
#![expect(clippy::disallowed_methods, reason = "these are the providers and the name server")]

mod capture;
mod cells;
#[path = "../common/mod.rs"]
mod common;
mod gateway;
mod localities;
mod matrix;
mod world;

use capture::{Capture, kernels_counts};
use gateway::{Gateway, NO_ANSWER, WAYS, probe, raw};
use matrix::{BY_CLIENTS, GRANTS, PROVIDERS, Row, VARIABLES, rows};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::Command;
use tempfile::TempDir;
use world::Names;

const INSIDE: &str = "HAUSKI_TEST_NAMESPACE";

#[test]
fn nothing_is_sent_that_is_not_granted() {
    in_namespace("nothing_is_sent_that_is_not_granted", inside);
}

/// The promises of locality, model by model and cell by cell.
#[test]
fn prompts_leave_only_where_the_route_allows_it() {
    in_namespace("prompts_leave_only_where_the_route_allows_it", localities::inside);
}

/// Runs `inside` in a network namespace of its own: there, this process runs again with only the test of this name.
fn in_namespace(test: &str, inside: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let Some(unshare) = unshare() else {
        let why = "no network namespace here: that takes `unshare`, `ip`, and to be root or to have user namespaces";
        assert!(!on_ci(), "{why}");
        let skipped = format!("SKIPPED, NO PACKET WAS LOOKED AT: {why}\n");
        return std::io::stderr().write_all(skipped.as_bytes()).unwrap();
    };
    let this = std::env::current_exe().unwrap();
    let mut again = Command::new(unshare[0]);
    again.args(&unshare[1..]).arg("env").arg(format!("{INSIDE}=1")).arg(this).args(["--exact", test, "--nocapture"]);
    let output = again.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    println!("{text}");
    assert!(
        output.status.success() && text.contains("test result: ok. 1 passed"),
        "it failed in its namespace: {text}"
    );
}

fn on_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// The first way to a namespace that works here.
fn unshare() -> Option<Vec<&'static str>> {
    let plain = vec!["unshare", "--net", "--mount"];
    let mapped = vec!["unshare", "--user", "--map-root-user", "--net", "--mount"];
    // Some systems give user namespaces to nobody but root. Only on CI: a test does not make itself root elsewhere.
    let sudo = vec!["sudo", "--non-interactive", "unshare", "--net", "--mount"];
    let ways = [Some(plain), Some(mapped), on_ci().then_some(sudo)];
    let works = |way: &Vec<&str>| {
        let tried = Command::new(way[0]).args(&way[1..]).args(["ip", "link", "set", "lo", "up"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    ways.into_iter().flatten().find(works)
}

fn inside() {
    gateway::bound();
    let folder = common::folder();
    world::prepare(&folder);
    PROVIDERS.into_iter().for_each(world::provider);
    let seen = Seen { names: Names::serve(), capture: Capture::start() };
    let runs = [&["serve"][..], &["serve", "--os-egress-lock"]];
    let wrong = runs.map(|arguments| run(&folder, arguments, &seen));
    // Packets that the capture missed would be missing in its count.
    let (captured, kernels) = (seen.capture.counts(), kernels_counts());
    println!(
        "\nconnections and datagrams, the test's own included: {captured:?} captured, {kernels:?} by the kernel's count"
    );
    assert!(wrong.iter().all(String::is_empty), "{}", wrong.concat());
    assert_eq!(captured, kernels);
}

/// What is looked at.
struct Seen {
    names: Names,
    capture: Capture,
}

impl Seen {
    fn take(&self, outcome: &str) -> Sight {
        let flows = self.capture.take().iter().map(ToString::to_string).collect();
        Sight { outcome: outcome.to_owned(), flows, names: self.names.take() }
    }
}

/// What was seen of one thing that was tried: how it ended, what was sent, and which names were asked for.
#[derive(Debug, Default, PartialEq)]
struct Sight {
    outcome: String,
    flows: BTreeSet<String>,
    names: Vec<String>,
}

/// Tries everything with one gateway, and returns what was wrong.
fn run(folder: &TempDir, arguments: &[&str], seen: &Seen) -> String {
    println!("\n== hauski {}\n", arguments.join(" "));
    let (mut flows, mut names, mut wrong) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let mut check = |what: &str, outcome: &str, expected: &Sight| {
        let sight = seen.take(outcome);
        println!("{what}\n    {outcome}; sent: {:?}; asked for: {:?}", sight.flows, sight.names);
        flows.extend(sight.flows.iter().cloned());
        names.extend(sight.names.iter().cloned());
        if sight != *expected {
            wrong.push(format!("{what}\n    {sight:?}\n    expected {expected:?}"));
        }
    };
    let nothing = |outcome: &str| Sight { outcome: outcome.to_owned(), ..Sight::default() };
    let gateway = Gateway::start(folder, GRANTS, &VARIABLES, arguments);
    check("(start)", "up", &nothing("up"));
    for row in rows() {
        for way in WAYS {
            let outcome = probe(way, &row.order);
            check(&format!("{way}: {}", row.order), &outcome, &expected(&row, way, &outcome));
        }
    }
    for (head, status) in BY_CLIENTS {
        let answer = raw(&format!("{head}connection: close\r\n\r\n"));
        check(&format!("(client) {head:?}"), answer.split(' ').nth(1).unwrap_or_default(), &nothing(status));
    }
    let log = gateway.stop();
    check("(stop)", "down", &nothing("down"));
    println!("\nall that was sent: {flows:#?}\nall names that were asked for: {names:#?}");
    println!("{}", log.lines().find(|line| line.contains("os-egress-lock")).unwrap_or("no lock was asked for"));
    if wrong.is_empty() { String::new() } else { format!("{log}\nWRONG: {arguments:?}\n{}\n", wrong.join("\n")) }
}

/// What has to be seen of a row over this way. Which error an error is, is not looked at.
fn expected(row: &Row, way: &str, outcome: &str) -> Sight {
    if row.only.is_some_and(|only| only != way) {
        return Sight { outcome: "denied".to_owned(), ..Sight::default() };
    }
    let answered = outcome.parse::<u16>().is_ok() || outcome.starts_with(NO_ANSWER);
    let failed = || if answered { "an error" } else { outcome }.to_owned();
    let outcome = row.status.map_or_else(failed, |status| status.to_string());
    Sight { outcome, flows: row.flows.iter().cloned().collect(), names: row.names.clone() }
}
