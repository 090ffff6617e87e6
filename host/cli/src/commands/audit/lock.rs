//! `hauski audit --lock`, `hauski audit --check` and `hauski adapters approve`: what was approved, against what is there.

use super::note;
use crate::commands::print_json;
use crate::failure::Failure;
use anyhow::Context;
use hauski_policy::{AdapterId, Digest, Drift, Egress, Lock, Routing};
use hauski_runtime::{Refused, Survey, SurveyScope};
use hauski_server::environment::{self, ADAPTERS, LOCK, ROUTING};
use hauski_server::{Process, setup};
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The places and the policy that the lock's commands work with.
struct Workplace {
    adapters: PathBuf,
    lock: PathBuf,
    egress: Egress,
}

impl Workplace {
    fn read() -> Result<Self, Failure> {
        let path = |name| environment::path(&Process, name);
        let mut problems = Vec::new();
        let routing = setup::read(&path(ROUTING), ROUTING, Routing::parse, &mut problems);
        let routing = routing.ok_or(Failure::Configuration(problems))?;
        Ok(Self { adapters: path(ADAPTERS), lock: path(LOCK), egress: routing.value.egress })
    }

    /// Reads the files of the adapters folder. None is compiled or run.
    fn survey(&self, scope: SurveyScope<'_>) -> Result<Survey, Failure> {
        Survey::of(&self.adapters, scope).map_err(|error| Failure::Configuration(vec![error.into()]))
    }
}

/// Writes the lock: all adapters, as they are now.
pub(crate) fn write() -> Result<(), Failure> {
    let place = Workplace::read()?;
    let survey = place.survey(SurveyScope::All)?;
    let _held = hold(&place.lock)?;
    let before = approved(&place.lock)?;
    let now = survey.to_lock(&place.egress, &before);
    tell_refused(&survey.refused);
    store(&place.lock, &now)?;
    tell(&place.lock, &before.drift(&now), now.adapters.len())
}

/// Prints all that is not as the lock has it, and fails where there is anything.
pub(crate) fn check(as_json: bool) -> Result<(), Failure> {
    let place = Workplace::read()?;
    let before = approved(&place.lock)?;
    let survey = place.survey(SurveyScope::ApprovedBy(&before))?;
    let now = survey.to_lock(&place.egress, &before);
    let (drift, refused, lock) = (before.drift(&now), survey.refused, place.lock);
    let count = drift.len() + refused.len();
    let failure = match count {
        // With wrong paths, neither is there, which is as nobody has approved it.
        0 if !lock.exists() => {
            let message = format!("there is no `{}` to check against: `hauski audit --lock` writes it", lock.display());
            Some(Failure::Usage(message))
        }
        0 => None,
        _ => Some(Failure::Drift { count, lock: lock.clone() }),
    };
    if as_json {
        print_json(&json!({ "ok": failure.is_none(), "drift": drift, "refused": refused }))?;
        return failure.map_or(Ok(()), |failure| Err(Failure::Reported(Box::new(failure))));
    }
    let mut out = io::stdout().lock();
    drift.iter().try_for_each(|one| writeln!(out, "{one}"))?;
    refused.iter().try_for_each(|one| writeln!(out, "{}: {}: {}", one.file, one.state, one.reason))?;
    match failure {
        Some(failure) => Err(failure),
        None => Ok(writeln!(out, "ok: {}, as in {}", counted(now.adapters.len()), lock.display())?),
    }
}

/// Takes one adapter into the lock as it is now; with `digest`, only if it has these bytes. No other file is read. With `dry_run`,
/// prints what would be different.
pub(crate) fn approve(id: &AdapterId, digest: Option<Digest>, dry_run: bool) -> Result<(), Failure> {
    let place = Workplace::read()?;
    let survey = place.survey(SurveyScope::One(id))?;
    let Some(adapter) = survey.adapters.get(id) else {
        return Err(Failure::Usage(match survey.refused.first() {
            Some(refused) => format!("`{}` can't be approved: {}", refused.file, refused.reason),
            None => format!("there is no `{id}.wasm` in the adapters folder"),
        }));
    };
    if let Some(digest) = digest.filter(|digest| *digest != adapter.digest) {
        let message = format!("`{id}.wasm` has {} and not {digest}: nothing is approved", adapter.digest);
        return Err(Failure::Usage(message));
    }
    let _held = hold(&place.lock)?;
    let before = approved(&place.lock)?;
    let mut now = before.clone();
    now.adapters.extend(survey.to_lock(&place.egress, &before).adapters);
    if dry_run {
        let mut out = io::stdout().lock();
        before.drift(&now).iter().try_for_each(|one| writeln!(out, "{one}"))?;
        return Ok(writeln!(out, "nothing was written to {}", place.lock.display())?);
    }
    store(&place.lock, &now)?;
    tell(&place.lock, &before.drift(&now), now.adapters.len())
}

/// The lock that is there; none is one that approves nothing.
fn approved(path: &Path) -> Result<Lock, Failure> {
    setup::lock(path).map_err(|problem| Failure::Configuration(vec![problem]))
}

/// Says what is different now.
fn tell(path: &Path, drift: &[Drift], adapters: usize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    drift.iter().try_for_each(|one| writeln!(out, "{one}"))?;
    let what = if drift.is_empty() { "as before" } else { "written" };
    Ok(writeln!(out, "{what}: {} in {}", counted(adapters), path.display())?)
}

fn counted(adapters: usize) -> String {
    format!("{adapters} adapter{}", if adapters == 1 { "" } else { "s" })
}

fn tell_refused(refused: &[Refused]) {
    for one in refused {
        note(&format!("`{}` is not in it: {}", one.file, one.reason));
    }
}

/// Keeps others from writing the lock between its reading and its writing, as long as what is returned lives.
fn hold(path: &Path) -> Result<File, Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let held = File::open(folder).and_then(|folder| folder.lock().map(|()| folder));
    Ok(held.with_context(|| format!("`{}` can't be locked", folder.display()))?)
}

/// Writes the file, which is there as a whole or as it was. A gateway that runs reads it in a moment. Where the path is a link, the
/// file at its end is written.
fn store(path: &Path, lock: &Lock) -> Result<(), Failure> {
    let text = lock.to_yaml();
    let name = path.display().to_string();
    if let Err(problems) = Lock::parse(&name, text.as_bytes()) {
        let message = format!("nothing is written, since it could not be read again:\n{problems}");
        return Err(Failure::Usage(message));
    }
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let part = path.with_extension(format!("lock.{}", std::process::id()));
    let written = (|| {
        let mut file = File::create_new(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    Ok(written.with_context(|| format!("`{}` can't be written", path.display()))?)
}
