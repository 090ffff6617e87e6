//! `hauski ledger verify`: whether the ledger is what the gateway has written.

use super::print_json;
use crate::failure::Failure;
use anyhow::anyhow;
use hauski_egress::ledger::{self, Head, Problem, Report};
use hauski_server::Process;
use hauski_server::environment::{self, LEDGER};
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Reads the whole ledger and tells what is wrong with it.
pub(crate) fn verify(path: Option<&Path>, head: Option<Head>, as_json: bool) -> Result<(), Failure> {
    let read = locate(path).and_then(|path| Ok((read(&path, head, &mut |_| {})?, path)));
    let (report, path) = match read {
        Err(failure) if as_json => {
            print_json(&json!({ "ok": false, "problems": failure.to_json() }))?;
            return Err(Failure::Reported(Box::new(failure)));
        }
        read => read?,
    };
    if as_json {
        print_json(&to_json(&report))?;
        return holds(&report).map_err(|failure| Failure::Reported(Box::new(failure)));
    }
    tell(&report);
    holds(&report)?;
    let mut out = io::stdout().lock();
    if let Some(bytes) = report.torn {
        writeln!(
            out,
            "note: the last line is not whole ({bytes} bytes): it is being written, or a crash has left it and the next start cuts it off"
        )?;
    }
    let records = match report.first {
        Some(first) => format!("{} records, {first} to {}", report.records, report.head.seq),
        None => "no records".to_owned(),
    };
    writeln!(out, "ok: {records}, in {}", path.display())?;
    Ok(writeln!(out, "head: {}", report.head)?)
}

/// The ledger that is meant.
pub(super) fn locate(path: Option<&Path>) -> Result<PathBuf, Failure> {
    let own =
        || environment::ledger(&Process).ok_or_else(|| anyhow!("`{LEDGER}` is `off`: name the ledger's newest file"));
    Ok(path.map(|path| Ok(path.to_owned())).unwrap_or_else(own)?)
}

/// Reads a ledger; on a terminal, with a word on the progress.
pub(super) fn read(path: &Path, head: Option<Head>, record: &mut dyn FnMut(&[u8])) -> Result<Report, Failure> {
    let mut terminal = io::stderr();
    let shown = terminal.is_terminal();
    let mut progress = |read: u64, all: u64| {
        if shown {
            // Nobody may be looking; that is no reason to stop.
            let _ = write!(terminal, "\r{} of {} MiB", read >> 20, all >> 20);
        }
    };
    let report = ledger::read(path, head, record, &mut progress);
    if shown {
        let _ = write!(io::stderr(), "\r\u{1b}[K");
    }
    report.map_err(Failure::Ledger)
}

/// A failure, unless the ledger holds.
pub(super) fn holds(report: &Report) -> Result<(), Failure> {
    let problems = u64::try_from(report.problems.len()).unwrap_or(u64::MAX);
    if report.holds() { Ok(()) } else { Err(Failure::Changed(problems.saturating_add(report.more))) }
}

/// Prints the problems to standard error, a line each.
#[expect(clippy::print_stderr, reason = "this is what the command is asked for")]
pub(super) fn tell(report: &Report) {
    for Problem { kind, file, line, seq, message } in &report.problems {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        let seq = seq.map(|seq| format!("record {seq}: ")).unwrap_or_default();
        eprintln!("{}{line} error[{}]: {seq}{message}", file.display(), kind.code());
    }
    if report.more > 0 {
        eprintln!("... and {} more", report.more);
    }
}

fn to_json(report: &Report) -> Value {
    json!({
        "ok": report.holds(),
        "files": report.files,
        "bytes": report.bytes,
        "records": report.records,
        "first": report.first,
        "last": report.head.seq,
        "head": report.head.to_string(),
        "torn_bytes": report.torn,
        "problems": report.problems,
        "more_problems": report.more,
    })
}
