//! The thread that writes: takes records from the queue, makes them lines of the chain, writes, rotates and syncs.
//!
//! What can't be written is kept and tried again each second, and no request is let out meanwhile. After a failed sync nobody
//! knows what the disk has, so the ledger stays shut until it is opened anew.

#[cfg(test)]
mod tests;

use super::chain::Head;
use super::error::LedgerError;
use super::files::{Begin, Ends, Files, Lock};
use super::inspect::{self, Written};
use super::record::{Event, Record};
use super::recover::{self, Recovery};
use super::repeats::{Repeated, Repeats};
use super::state::{Condition, State};
use hauski_policy::LedgerLimits;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Records that are taken from the queue at once.
const BATCH: usize = 1024;
/// How long records gather before they are written: senders need not wake the thread meanwhile.
const PACE: Duration = Duration::from_millis(5);
/// How long a record may be written without being synced.
const SYNC: Duration = Duration::from_secs(1);
/// How long to wait before what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often the files are inspected, and what requests that are over were denied is counted.
const TICK: Duration = Duration::from_secs(1);
/// How long requests that are under way may still hand in their records when the ledger is closed.
const LAST_CALL: Duration = Duration::from_millis(250);

/// All that the thread has.
pub(crate) struct Writer {
    files: Files,
    limits: LedgerLimits,
    state: Arc<State>,
    stop: watch::Receiver<bool>,
    /// Held as long as the thread runs.
    _lock: Lock,
    /// The file that is written to; `None` before its first record.
    file: Option<File>,
    length: u64,
    /// Whether lines may stand behind `length` that were written in part.
    partial: bool,
    /// Whether names were made or changed that may not be on the disk.
    names: bool,
    begin: Begin,
    full: VecDeque<Begin>,
    /// Lines that are to be written, and the last record among them.
    buffer: Vec<u8>,
    head: Head,
    /// The last record that is written, and the last that is on the disk.
    written: Head,
    synced: Head,
    sync_at: Option<Instant>,
    repeats: Repeats,
}

impl Writer {
    /// Takes the ledger: locks it, recovers it, and writes its first record.
    pub(crate) fn start(
        files: Files,
        limits: LedgerLimits,
        state: Arc<State>,
        stop: watch::Receiver<bool>,
    ) -> Result<(Self, Recovery), LedgerError> {
        files.make_folder()?;
        let lock = files.lock()?;
        let ready = recover::recover(&files)?;
        let (file, begin, length) = match ready.active {
            Some(active) => (Some(active.file), active.begin, active.length),
            None => (None, Begin::after(ready.head), 0),
        };
        let (head, full) = (ready.head, ready.full);
        let mut writer = Self {
            files,
            limits,
            state,
            stop,
            _lock: lock,
            file,
            length,
            partial: false,
            names: false,
            begin,
            full,
            buffer: Vec::new(),
            head,
            written: head,
            synced: head,
            sync_at: None,
            repeats: Repeats::default(),
        };
        let first = writer.first(&ready.recovery).and_then(|()| writer.sync());
        first.map_err(LedgerError::file("written", writer.files.active()))?;
        writer.note_oldest();
        Ok((writer, ready.recovery))
    }

    fn first(&mut self, recovery: &Recovery) -> io::Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        let kept = recovery.torn.as_ref().and_then(|torn| torn.kept.file_name()).map(|name| name.to_string_lossy());
        let torn_bytes = recovery.torn.as_ref().map_or(0, |torn| torn.bytes);
        let event = if recovery.unclosed || recovery.torn.is_some() {
            Event::Recovered { version, torn_bytes, kept: kept.as_deref() }
        } else {
            Event::Opened { version }
        };
        event.write(&mut self.buffer, &mut self.head);
        self.flush()
    }

    /// Writes what comes until the queue ends or the ledger is closed.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Record>) {
        // Dropped before the queue is.
        let _guard = Guard(Arc::clone(&self.state));
        let (mut batch, mut stop) = (Vec::with_capacity(BATCH), self.stop.clone());
        let mut tick_at = Instant::now() + TICK;
        loop {
            let sync_at = self.sync_at;
            tokio::select! {
                n = queue.recv_many(&mut batch, BATCH) => match n {
                    0 => break,
                    _ => self.append(&mut batch).await,
                },
                () = sleep_until(sync_at.unwrap_or_else(Instant::now)), if sync_at.is_some() => self.sync_or_fail(),
                () = sleep_until(tick_at) => {
                    self.inspect();
                    if self.repeats.is_counting() {
                        self.append(&mut batch).await;
                    }
                    tick_at = Instant::now() + TICK;
                }
                _ = stop.wait_for(|stop| *stop) => break,
            }
            if queue.len() < BATCH {
                sleep(PACE).await;
            }
        }
        self.state.set(Condition::Closed);
        queue.close();
        let last_call = async { while queue.recv_many(&mut batch, BATCH).await > 0 {} };
        let _ = timeout(LAST_CALL, last_call).await;
        self.append(&mut batch).await;
        self.count(true).await;
        self.close(queue.max_capacity() - queue.capacity());
    }

    /// Makes lines of the records and writes them, over as many files as they need.
    async fn append(&mut self, batch: &mut Vec<Record>) {
        for record in batch.drain(..) {
            if self.repeats.take(&record) {
                self.line(|buffer, head| record.write(buffer, head)).await;
            }
        }
        self.count(false).await;
        if self.written != self.synced && self.sync_at.is_none() {
            self.sync_at = Some(Instant::now() + SYNC);
        }
    }

    /// Writes what is ready, and behind it how much the requests that are over, or `all`, had denied without a record each.
    async fn count(&mut self, all: bool) {
        for Repeated { request, caller, count } in self.repeats.over(all) {
            let (adapter, digest) = (caller.id().as_str(), caller.digest().to_string());
            let event = Event::Repeated { request: &request, adapter, digest: &digest, repeated: count };
            self.line(|buffer, head| event.write(buffer, head)).await;
        }
        self.persist(Self::flush).await;
    }

    /// Makes one line ready, in a new file where this one is full.
    async fn line(&mut self, write: impl FnOnce(&mut Vec<u8>, &mut Head)) {
        let (start, before) = (self.buffer.len(), self.head);
        write(&mut self.buffer, &mut self.head);
        let held = self.length + start as u64;
        if held > 0 && self.length + self.buffer.len() as u64 > self.limits.file_bytes {
            let (line, head) = (self.buffer.split_off(start), self.head);
            self.head = before;
            self.persist(Self::rotate).await;
            self.buffer.extend_from_slice(&line);
            self.head = head;
        }
    }

    /// Does `step` until it succeeds. While it does not, no request is let out.
    async fn persist(&mut self, step: fn(&mut Self) -> io::Result<()>) {
        let mut failed = false;
        while let Err(error) = step(self) {
            failed = true;
            self.down(&error);
            if timeout(RETRY, self.stop.wait_for(|stop| *stop)).await.is_ok() {
                return;
            }
        }
        // Where something else has failed, such as a sync, that it succeeds is what counts.
        if failed {
            self.up();
        }
    }

    fn down(&self, error: &io::Error) {
        if self.state.set(Condition::Down) {
            let path = self.files.active().display();
            tracing::error!(%path, %error, "the ledger can't be written: no request to a provider is let out until it can");
        }
    }

    fn up(&self) {
        if self.state.is(Condition::Down) && self.state.set(Condition::Up) {
            tracing::info!(path = %self.files.active().display(), "the ledger can be written again");
        }
    }

    /// Writes the lines that are ready. Of lines that are written in part, nothing stays.
    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.file.is_none() {
            self.file = Some(self.files.create_active()?);
            self.names = true;
            (self.begin, self.length) = (Begin::after(self.written), 0);
        }
        self.sync_names()?;
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.partial {
            file.set_len(self.length)?;
        }
        self.partial = true;
        file.write_all(&self.buffer)?;
        self.partial = false;
        self.length += self.buffer.len() as u64;
        self.state.count(self.head.seq - self.written.seq);
        self.state.recent.push(self.head.seq, &self.buffer);
        self.written = self.head;
        self.buffer.clear();
        Ok(())
    }

    /// Gives the file that is written to a name of its own, and deletes the oldest beyond the limit. Each step can be repeated.
    fn rotate(&mut self) -> io::Result<()> {
        self.flush()?;
        if self.file.is_some() {
            self.sync()?;
            self.files.retire(self.begin.first)?;
            self.full.push_back(self.begin);
            self.file = None;
            self.names = true;
            (self.begin, self.length) = (Begin::after(self.written), 0);
            tracing::info!(head = %self.written, "the ledger goes on in a new file");
        }
        self.sync_names()?;
        while self.full.len() >= self.limits.files.max(2) {
            // Noted first: a file that is older than the oldest is a leftover, one that is missing is a loss.
            let oldest = self.full.get(1).copied().unwrap_or(self.begin);
            self.files.write_head(&Ends { synced: self.synced, oldest })?;
            self.files.sync_folder()?;
            if let Some(gone) = self.full.front() {
                self.files.delete(gone.first)?;
            }
            self.full.pop_front();
            self.note_oldest();
        }
        Ok(())
    }

    /// Notes the time of the oldest record that is kept.
    fn note_oldest(&self) {
        let oldest =
            self.full.front().map_or_else(|| self.files.active().to_owned(), |begin| self.files.full(begin.first));
        if let Some(time) = inspect::first_time(&oldest) {
            self.state.set_oldest(time.as_second());
        }
    }

    /// Looks whether the files are still in their places. What is written goes into the open file, wherever that is by now.
    fn inspect(&self) {
        let length = (!self.partial).then_some(self.length);
        let written = self.file.as_ref().map(|file| Written { file, length });
        match inspect::find_change(&self.files, written, &self.full) {
            Some(change) if self.state.set_changed(true) => {
                let do_this = "keep all its files as they are, and run `hauski ledger verify`";
                tracing::error!(%change, "the ledger's files were changed while the gateway runs: {do_this}");
            }
            None if self.state.set_changed(false) => tracing::info!("the ledger's files are in their places again"),
            Some(_) | None => {}
        }
    }

    /// Brings names that were made or changed to the disk; tried again until it succeeds.
    fn sync_names(&mut self) -> io::Result<()> {
        if self.names {
            self.files.sync_folder()?;
            self.names = false;
        }
        Ok(())
    }

    /// Brings what is written to the disk, then notes the head.
    fn sync(&mut self) -> io::Result<()> {
        if self.state.is(Condition::Failed) {
            return Err(io::Error::other("a sync before this one failed"));
        }
        if let Some(file) = &self.file
            && let Err(error) = file.sync_data()
        {
            // The system may drop what it could not write, and says so only once.
            self.state.set(Condition::Failed);
            let path = self.files.active().display();
            tracing::error!(%path, %error, "the disk has not kept the ledger: no request to a provider is let out any more");
            return Err(error);
        }
        self.sync_names()?;
        self.synced = self.written;
        let oldest = self.full.front().copied().unwrap_or(self.begin);
        self.files.write_head(&Ends { synced: self.synced, oldest })?;
        self.sync_at = None;
        self.up();
        Ok(())
    }

    fn sync_or_fail(&mut self) {
        if let Err(error) = self.sync() {
            self.sync_at = Some(Instant::now() + RETRY);
            self.down(&error);
        }
    }

    /// Writes the last record. `unfinished` requests have none.
    fn close(mut self, unfinished: usize) {
        let waiting = self.head.seq - self.written.seq;
        Event::Closed { unfinished }.write(&mut self.buffer, &mut self.head);
        let (path, head) = (self.files.active().to_owned(), self.head);
        match self.flush().and_then(|()| self.sync()) {
            Ok(()) => tracing::info!(%head, unfinished, "the ledger is closed"),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, waiting, "the ledger can't be closed: records are lost");
            }
        }
    }
}

/// Shuts the ledger where the thread ends by a panic.
struct Guard(Arc<State>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() && self.0.set(Condition::Failed) {
            tracing::error!("the ledger's thread has panicked: no request to a provider is let out any more");
        }
    }
}
