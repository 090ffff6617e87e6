//! The console: one page for operators, that shows the gateway at work and changes nothing.
//!
//! In go what the gateway knows anyway; out come a page that reads without JavaScript, and events that keep it as it is (`feed.rs`). All of
//! it is made on the server and escaped by type (`html.rs`). What it needs of the way of a request is an addition (`pace.rs`); the
//! ledger's lines come from the thread that writes them, and the rest is asked for when somebody looks.
//!
//! Who may see it is for `access` to say: who could ask the models without a key, or else an operator. It answers GET only.

mod assets;
mod denials;
mod feed;
mod html;
mod pace;
mod page;
mod parts;

pub(crate) use assets::answer;
pub(crate) use denials::Denials;
pub(crate) use pace::{Measure, Pace};

use crate::app::{App, Gateway};
use crate::router::{Entry, shows};
use parts::Part;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tokio::time::interval;

/// The most who are kept up to date at once. Reading the page takes no place.
const VIEWERS: usize = 8;
/// How old what is shown may be.
const FRESH: Duration = Duration::from_secs(1);

/// What the console keeps between looks.
pub(crate) struct Console {
    history: pace::History,
    viewers: Arc<Semaphore>,
    /// Becomes true when the gateway stops: nobody waits for those who look.
    closed: watch::Sender<bool>,
    /// What was shown last, and when it was made: all who look share it.
    shown: Mutex<Option<(Instant, Arc<Vec<Part>>)>>,
}

impl Default for Console {
    fn default() -> Self {
        let viewers = Arc::new(Semaphore::new(VIEWERS));
        Self { history: pace::History::default(), viewers, closed: watch::Sender::new(false), shown: Mutex::default() }
    }
}

impl Console {
    /// Ends the streams of those who look.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// The parts as they are, or were within the last second.
    fn parts(&self, gateway: &Gateway) -> Arc<Vec<Part>> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, parts)) = &*shown
            && made.elapsed() < FRESH / 2
        {
            return parts.clone();
        }
        let parts = Arc::new(parts::all(gateway));
        *shown = Some((Instant::now(), parts.clone()));
        parts
    }
}

/// Notes step by step how requests went, for ever.
pub(crate) async fn keep_time(gateway: Arc<Gateway>) {
    let mut steps = interval(pace::STEP);
    // The first comes at once.
    steps.tick().await;
    loop {
        steps.tick().await;
        gateway.console.history.step(&gateway.metrics.pace);
    }
}

/// The console's routes. They are no part of the API: OpenAPI has no word for pages.
pub(crate) fn routes() -> Vec<Entry> {
    vec![
        shows("/console", page::page),
        shows("/console/events", feed::events),
        shows("/console/console.css", assets::css),
        shows("/console/parts.css", assets::parts_css),
        shows("/console/console.js", assets::console_js),
        shows("/console/morph.js", assets::morph_js),
        shows("/console/chat.js", assets::chat_js),
        shows("/console/icon.svg", assets::icon),
    ]
}

/// What handlers are given.
type Shown = axum::extract::State<App>;
