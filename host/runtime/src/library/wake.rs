//! Hears of changes in the folder from the system, so that they take effect sooner than by looking now and then.
//!
//! Only a wake-up: what has changed is found by looking. Where the system tells nothing, nothing is lost but time.

use super::Message;
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::Sender;

/// The system's word on a folder.
pub(super) struct Wake {
    messages: Sender<Message>,
    /// Whether a wake-up is under way already: a burst is one.
    is_called: Arc<AtomicBool>,
    watcher: Option<RecommendedWatcher>,
    /// The folder that is listened to.
    place: Option<(u64, u64)>,
}

impl Wake {
    pub(super) fn new(messages: &Sender<Message>) -> Self {
        Self { messages: messages.clone(), is_called: Arc::default(), watcher: None, place: None }
    }

    /// A wake-up has come; the next one is for what happens from now on.
    pub(super) fn heard(&self) {
        self.is_called.store(false, Relaxed);
    }

    /// Listens to the folder at `path`, if it is not the one that is listened to.
    pub(super) fn listen(&mut self, path: &Path, place: (u64, u64)) {
        if self.place == Some(place) {
            return;
        }
        self.place = Some(place);
        let (messages, is_called) = (self.messages.clone(), self.is_called.clone());
        let call = move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_change(event.kind)) && !is_called.swap(true, Relaxed) {
                let _ = messages.send(Message::Heard);
            }
        };
        let watcher = notify::recommended_watcher(call).and_then(|mut watcher| {
            watcher.watch(path, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        self.watcher = watcher
            .inspect_err(|error| {
                tracing::info!(%error, "the system does not tell of changes in the adapters folder: it is looked at now and then");
            })
            .ok();
    }
}

/// Whether a file may be another one now. That one was read, as it is here, is no change.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    }
}
