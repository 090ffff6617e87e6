//! What is known of each file of the folder, and what is to be done about it.
//!
//! In go what a look has seen, what became of jobs, and the time; out come jobs and the adapters of the moment. Nothing here reads a
//! file or asks a clock.

use super::Changes;
use crate::adapter::Adapter;
use crate::adapters::{Adapters, Known, Refused};
use crate::audit::plain;
use crate::folder::{Listing, Stamp};
use crate::jobs::{Job, JobState, Jobs, Outcome, Told};
use crate::load::LoadError;
use crate::slots::Queues;
use cap_std::fs::Dir;
use hauski_policy::{AdapterId, Digest, Limits, Lock, Unapproved};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What serves and is not approved as it is ends after so long at the latest, whatever becomes of its file.
const TRIED_WITHIN: Duration = Duration::from_secs(10);
/// It is told now and then that one takes long.
const TOLD_EVERY: Duration = Duration::from_secs(3);

/// All files of the folder.
pub(super) struct Files {
    files: BTreeMap<OsString, File>,
    dir: Option<Arc<Dir>>,
    /// What was approved, where only that may serve.
    lock: Option<Arc<Lock>>,
    jobs: Jobs,
    /// The adapters' queues, and the limits in force.
    queues: Queues,
    numbers: u64,
    news: News,
}

/// What has changed.
#[derive(Default)]
struct News {
    changes: Changes,
    /// Whether something else has changed that is shown with the adapters.
    is_more: bool,
    /// Whether it goes to the log. What is there at the start is listed by whoever starts.
    is_told: bool,
}

/// One of them.
#[derive(Default)]
struct File {
    /// What the last look saw; `None` if it was not there.
    stamp: Option<Stamp>,
    /// Since when it has seen that.
    since: Option<Instant>,
    /// What was handed in to be loaded last.
    taken: Option<Stamp>,
    job: Option<Running>,
    serving: Option<(AdapterId, Arc<Adapter>)>,
    /// Until when what serves has to be approved or replaced, where a new lock has other bytes.
    doubted: Option<Instant>,
    refused: Option<Refusal>,
}

/// Why a file is not loaded.
struct Refusal {
    state: &'static str,
    reason: String,
    known: Option<Known>,
    /// True if other limits could load it.
    depends_on_limits: bool,
}

impl Refusal {
    fn new(error: &LoadError, known: Option<Box<Known>>) -> Self {
        Self {
            state: error.state(),
            reason: error.to_string(),
            known: known.map(|known| *known),
            depends_on_limits: error.depends_on_limits(),
        }
    }
}

/// A job that is waited for.
struct Running {
    number: u64,
    state: Arc<JobState>,
    /// When its compilation began, and when that was told last.
    begun: Option<(Instant, Instant)>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.state.call_off();
    }
}

impl Files {
    pub(super) fn new(jobs: Jobs, queues: Queues, lock: Option<Arc<Lock>>) -> Self {
        let (files, news) = (BTreeMap::new(), News::default());
        Self { files, dir: None, lock, jobs, queues, numbers: 0, news }
    }

    /// Tells the log what changes from now on.
    pub(super) fn tell(&mut self) {
        self.news.is_told = true;
    }

    /// Has only those serve from now on that `lock` approves: all files are judged anew. What it does not have at all is gone at once;
    /// what it has with other bytes serves until those are tried, which takes a moment.
    pub(super) fn relock(&mut self, lock: Arc<Lock>, now: Instant) {
        if self.lock.is_none() {
            return;
        }
        for file in self.files.values_mut() {
            // What a job finds out under the lock before is nothing: the file is tried again.
            (file.job, file.taken, file.doubted) = (None, None, Some(now + TRIED_WITHIN));
            file.end_if(|why| matches!(why, Unapproved::Absent { .. }), Some(&lock), &mut self.news);
        }
        self.lock = Some(lock);
    }

    /// Puts other limits in force for all adapters. Requests under way hold the adapter that they began with, and so its limits. A file
    /// that the limits before may have kept from being loaded is tried again.
    pub(super) fn set_limits(&mut self, limits: Arc<Limits>) {
        self.queues.set_limits(limits.clone());
        for file in self.files.values_mut() {
            self.news.is_more |= file.take_limits(&limits);
            if file.refused.as_ref().is_some_and(|refusal| refusal.depends_on_limits) {
                file.taken = None;
            }
        }
    }

    /// Takes note of what a look has seen.
    pub(super) fn look(&mut self, listing: Listing, now: Instant) {
        for (name, file) in &mut self.files {
            file.see(listing.files.get(name).copied(), now);
        }
        for (name, stamp) in listing.files {
            self.files.entry(name).or_default().see(Some(stamp), now);
        }
        self.dir = Some(listing.dir);
    }

    /// When the next file has stayed the same for long enough, or there is something to be told of one.
    pub(super) fn due(&self, settle: Duration) -> Option<Instant> {
        let settled = self.files.values().filter(|file| file.is_new()).filter_map(|file| Some(file.since? + settle));
        let told = self.files.values().filter_map(|file| Some(file.job.as_ref()?.begun?.1 + TOLD_EVERY));
        settled.chain(told).min()
    }

    /// Whether any file is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.files.values().any(|file| file.job.is_some())
    }

    /// Says which files take long to load, and ends what serves unapproved for too long.
    pub(super) fn watch(&mut self, now: Instant) {
        for (name, file) in &mut self.files {
            if file.doubted.take_if(|until| now >= *until).is_some() {
                file.end_unapproved(self.lock.as_deref(), &mut self.news);
            }
            file.list_as_loading(&mut self.news);
            file.watch(name, now);
        }
    }

    /// Deals with the files that have stayed the same for as long as `settle`.
    pub(super) fn settle(&mut self, settle: Duration, now: Instant) {
        let mut gone = Vec::new();
        for (name, file) in &mut self.files {
            if !file.is_new() || file.since.is_none_or(|since| now < since + settle) {
                continue;
            }
            let (Some(stamp), Some(dir)) = (file.stamp, &self.dir) else {
                gone.push(name.clone());
                continue;
            };
            self.numbers += 1;
            let running = Running { number: self.numbers, state: JobState::new(), begun: None };
            self.jobs.submit(Job {
                number: self.numbers,
                dir: dir.clone(),
                name: name.clone(),
                stamp,
                serving: file.digest(),
                lock: self.lock.clone(),
                state: running.state.clone(),
            });
            (file.taken, file.job) = (Some(stamp), Some(running));
        }
        for name in gone {
            if let Some((id, _)) = self.files.remove(&name).and_then(|mut file| file.serving.take()) {
                tracing::info!(adapter = %id, "an adapter was removed: requests under way may end");
            }
            self.news.changes.removed += 1;
        }
    }

    /// Takes note of what is told of a job. Of one that nobody waits for any more, it is nothing.
    pub(super) fn told(&mut self, told: Told) {
        let (Told::Begun(number) | Told::Done(number, _)) = &told;
        let is_it = |file: &File| file.job.as_ref().is_some_and(|job| job.number == *number);
        let Some((name, file)) = self.files.iter_mut().find(|(_, file)| is_it(file)) else { return };
        match told {
            Told::Begun(_) => {
                let now = Instant::now();
                file.job.iter_mut().for_each(|job| job.begun = Some((now, now)));
            }
            Told::Done(_, outcome) => {
                file.done(name, outcome, self.lock.as_deref(), &mut self.news);
                file.take_limits(&self.queues.limits());
            }
        }
    }

    /// What has changed since this was asked last, if anything has.
    pub(super) fn changes(&mut self) -> Option<Changes> {
        let changes = std::mem::take(&mut self.news.changes);
        let is_more = std::mem::take(&mut self.news.is_more);
        (is_more || changes != Changes::default()).then_some(changes)
    }

    /// Something else has changed that is shown with the adapters.
    pub(super) fn touch(&mut self) {
        self.news.is_more = true;
    }

    /// The adapters of this moment; `stale` is why the folder can't be read.
    pub(super) fn adapters(&self, stale: Option<String>) -> Adapters {
        let serving = self.files.values().filter_map(|file| file.serving.clone());
        let refused = self.files.iter().filter_map(|(name, file)| file.refused(name));
        Adapters { loaded: serving.collect(), refused: refused.collect(), stale }
    }
}

impl File {
    fn see(&mut self, stamp: Option<Stamp>, now: Instant) {
        if self.since.is_none() || self.stamp != stamp {
            (self.stamp, self.since) = (stamp, Some(now));
        }
    }

    /// Whether it is not what was taken.
    fn is_new(&self) -> bool {
        self.stamp.is_none() || self.stamp != self.taken
    }

    fn digest(&self) -> Option<Digest> {
        self.serving.as_ref().map(|(_, adapter)| adapter.digest())
    }

    /// Brings what serves under the limits in force, which can have changed while it was loaded. Returns whether that changed it.
    fn take_limits(&mut self, limits: &Limits) -> bool {
        let Some((_, adapter)) = &mut self.serving else { return false };
        if adapter.is_under(limits) {
            return false;
        }
        *adapter = Arc::new(adapter.with_limits(limits));
        true
    }

    /// Why it is not loaded, if it is not.
    fn refused(&self, name: &OsStr) -> Option<Refused> {
        let serving = self.serving.as_ref().map(|(_, adapter)| adapter.profile().digest.clone());
        let Refusal { state, reason, known, .. } = self.refused.as_ref()?;
        let (file, reason, known) = (plain(&name.to_string_lossy()), reason.clone(), known.clone());
        Some(Refused { file, state, reason, known, serving })
    }

    /// Takes what became of its job.
    fn done(&mut self, name: &OsStr, outcome: Outcome, lock: Option<&Lock>, news: &mut News) {
        self.job = None;
        match outcome {
            Outcome::Loaded(id, adapter) => {
                let digest = adapter.profile().short_digest();
                match self.digest() {
                    _ if !news.is_told => {}
                    Some(_) => {
                        tracing::info!(adapter = %id, digest, "an adapter was replaced: requests under way end on its last version")
                    }
                    None => tracing::info!(adapter = %id, digest, "an adapter was loaded"),
                }
                (self.serving, self.refused) = (Some((id, Arc::from(adapter))), None);
                news.changes.loaded += 1;
            }
            Outcome::Same => {
                if self.refused.take().is_some() {
                    news.changes.loaded += 1;
                }
            }
            Outcome::Again => {
                (self.taken, self.since) = (None, Some(Instant::now()));
                self.end_unapproved(lock, news);
                if self.serving.is_none() && self.refused.is_none() {
                    self.refused = Some(Refusal::new(&LoadError::Changing, None));
                }
            }
            Outcome::Refused(error, known) => {
                self.end_unapproved(lock, news);
                self.refuse(name, &error, known, news);
            }
        }
    }

    /// Ends what serves if nobody approves it any more.
    fn end_unapproved(&mut self, lock: Option<&Lock>, news: &mut News) {
        self.end_if(|_| true, lock, news);
    }

    /// The same, if it is for such a reason.
    fn end_if(&mut self, is_reason: impl Fn(&Unapproved) -> bool, lock: Option<&Lock>, news: &mut News) {
        let (Some((id, adapter)), Some(lock)) = (&self.serving, lock) else { return };
        let Some(why) = adapter.judge(lock, id).err().filter(is_reason) else { return };
        tracing::info!(adapter = %id, "an adapter is not approved any more: requests under way may end");
        (self.serving, self.refused) = (None, Some(Refusal::new(&LoadError::Unapproved(why), None)));
        news.is_more = true;
    }

    fn refuse(&mut self, name: &OsStr, error: &LoadError, known: Option<Box<Known>>, news: &mut News) {
        let file = plain(&name.to_string_lossy());
        match &self.serving {
            _ if !news.is_told => {}
            Some((id, _)) => {
                tracing::error!(file, adapter = %id, "{}: {error}; the last good version serves on", error.state())
            }
            None => tracing::error!(file, "{}: {error}", error.state()),
        }
        self.refused = Some(Refusal::new(error, known));
        news.changes.refused += 1;
    }

    /// Lists it as being loaded, if nothing else is to be said of it.
    fn list_as_loading(&mut self, news: &mut News) {
        if self.job.is_some() && self.serving.is_none() && self.refused.is_none() {
            self.refused = Some(Refusal::new(&LoadError::Loading, None));
            news.is_more = true;
        }
    }

    /// Says that it takes long to load.
    fn watch(&mut self, name: &OsStr, now: Instant) {
        let Some((begun, told)) = self.job.as_mut().and_then(|job| job.begun.as_mut()) else { return };
        if now >= *told + TOLD_EVERY {
            *told = now;
            let (mib, took) =
                (self.taken.map_or(0, |stamp| stamp.bytes() >> 20), now.saturating_duration_since(*begun));
            tracing::info!(file = plain(&name.to_string_lossy()), mib, "still compiling, for {} s", took.as_secs());
        }
    }
}

#[cfg(test)]
mod tests;
