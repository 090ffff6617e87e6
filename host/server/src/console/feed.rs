//! `GET /console/events`: what keeps the page as the gateway is, as server-sent events.
//!
//! A part is sent when it has changed, at most once a second, and a record of the ledger when it is written. Nothing waits for who
//! looks: parts are made when they are asked for, and records are read from the few that the ledger keeps, so that who reads slowly
//! misses some and is told how many. There are few places, and whose key holds no more is sent nothing more.

use super::parts::{self, Part};
use super::{FRESH, Shown, VIEWERS, assets};
use crate::access::Client;
use crate::app::Gateway;
use crate::error::ApiError;
use crate::sse::event;
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::stream;
use http::HeaderName;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

/// Between two lots of records, so that a gateway under load does not keep the browser drawing.
const PAUSE: Duration = Duration::from_millis(100);
/// After so many looks without a change something is sent all the same: it shows whether anybody is still there.
const SILENT_LOOKS: u32 = 10;
/// Where a browser that comes again says what it has seen.
const LAST_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The events from now on, and the records after the one that `since` or `last-event-id` names.
pub(super) async fn events(
    State(app): Shown,
    client: Option<Extension<Arc<Client>>>,
    request: Request,
) -> Result<Response, ApiError> {
    let console = &app.gateway.console;
    let place = console.viewers.clone().try_acquire_owned().map_err(|_| ApiError::too_many_viewers(VIEWERS))?;
    let mut looks = interval(FRESH);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let viewer = Viewer {
        client: client.map(|Extension(client)| client),
        seen: seen(&request),
        sent: Vec::new(),
        written: app.gateway.egress.ledger().recent().map(|recent| recent.follow()),
        looks,
        silent: 0,
        closed: console.closed.subscribe(),
        _place: place,
        gateway: app.gateway,
    };
    let events = stream::unfold(viewer, async |mut viewer| {
        let events = viewer.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(events)), viewer))
    });
    Ok(assets::answer("text/event-stream", Body::from_stream(events)))
}

/// The number of the last record that who asks has seen; 0 where nothing is said.
fn seen(request: &Request) -> u64 {
    let again = request.headers().get(LAST_ID).and_then(|value| value.to_str().ok()?.parse().ok());
    let first = || request.uri().query()?.strip_prefix("since=")?.parse().ok();
    again.or_else(first).unwrap_or_default()
}

/// What a viewer waits for.
enum Happened {
    /// The gateway stops.
    Closed,
    /// It is time to look again.
    Look,
    /// The ledger has new lines.
    Written,
}

/// Somebody who looks.
struct Viewer {
    gateway: Arc<Gateway>,
    /// Whose key let them in, where keys are asked for.
    client: Option<Arc<Client>>,
    /// The last record that was sent.
    seen: u64,
    /// The parts that were sent.
    sent: Vec<Part>,
    written: Option<watch::Receiver<u64>>,
    looks: Interval,
    silent: u32,
    closed: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Viewer {
    /// Waits for what is to be sent next; `None` where nothing will be any more.
    async fn next(&mut self) -> Option<String> {
        loop {
            let events = match self.wait().await {
                Happened::Closed => return None,
                Happened::Look if self.sent.is_empty() => self.parts()? + &self.records(),
                Happened::Look => self.parts()?,
                Happened::Written => {
                    // More of them may come at once.
                    sleep(PAUSE).await;
                    self.records()
                }
            };
            if !events.is_empty() {
                return Some(events);
            }
        }
    }

    async fn wait(&mut self) -> Happened {
        let written = async {
            if let Some(written) = &mut self.written
                && written.changed().await.is_ok()
            {
                return;
            }
            std::future::pending().await
        };
        tokio::select! {
            biased;
            _ = self.closed.wait_for(|closed| *closed) => Happened::Closed,
            _ = self.looks.tick() => Happened::Look,
            () = written => Happened::Written,
        }
    }

    /// The parts that have changed.
    fn parts(&mut self) -> Option<String> {
        if !self.gateway.access.lets_look(self.client.as_deref()) {
            return None;
        }
        let (mut events, parts) = (String::new(), self.gateway.console.parts(&self.gateway));
        for (at, (name, html)) in parts.iter().enumerate() {
            if self.sent.get(at).is_none_or(|(_, sent)| sent != html) {
                event(&mut events, Some(name), html.as_str());
            }
        }
        if !events.is_empty() {
            (self.sent, self.silent) = (parts.to_vec(), 0);
            return Some(events);
        }
        self.silent += 1;
        if self.silent.is_multiple_of(SILENT_LOOKS) {
            events.push_str(":\n\n");
        }
        Some(events)
    }

    /// The records that were written since the last ones.
    fn records(&mut self) -> String {
        let mut events = String::new();
        // First, so that word of what comes after the look is not lost.
        if let Some(written) = &mut self.written {
            written.mark_unchanged();
        }
        let Some(since) = self.gateway.egress.ledger().recent().map(|recent| recent.since(self.seen)) else {
            return events;
        };
        // Of what was written before the page was, nothing is missed.
        if since.missed > 0 && self.seen > 0 {
            event(&mut events, Some("missed"), &since.missed.to_string());
        }
        for (number, line) in &since.lines {
            // Writing to memory does not fail. The browser names it when it comes again.
            let _ = writeln!(events, "id: {number}");
            event(&mut events, Some("record"), parts::row(*number, line).as_str());
            self.seen = *number;
        }
        events
    }
}
