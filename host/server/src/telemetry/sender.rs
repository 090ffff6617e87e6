//! The thread's part of an export: in go spans and metrics from their queues; out they go to the collector, each kind by a link of its own.
//!
//! So a collector that takes only one of them is sent that one as if it took both. What is not delivered is counted.

use super::link::Link;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::trace::SpanData;
use prometheus::IntCounter;
use prost::Message;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// The most spans that are sent at once.
const BATCH: usize = 512;
/// How long a span waits for others at most.
const SPANS_EVERY: Duration = Duration::from_secs(5);
/// The time for what is left at a stop.
pub(super) const LAST: Duration = Duration::from_secs(2);

/// Whether the export is to stop.
pub(super) type Stop = watch::Receiver<bool>;

/// Sends until it is `stopped`, and then what is under way and what is left.
pub(super) async fn run(mut spans: Spans, mut metrics: Metrics, stopped: Stop) {
    let mut last = stopped.clone();
    let patience = async {
        is_set(&mut last).await;
        sleep(LAST).await;
    };
    tokio::select! {
        () = patience => {}
        _ = futures_util::future::join(spans.run(stopped.clone()), metrics.run(stopped)) => {}
    }
}

/// Waits until it is, or nobody is left who could say so.
async fn is_set(stop: &mut Stop) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Where one kind of things goes, and what of it was not delivered.
pub(super) struct Lane {
    link: Link,
    dropped: IntCounter,
    /// How much is being sent.
    under_way: u64,
}

impl Lane {
    pub(super) fn new(link: Link, dropped: IntCounter) -> Self {
        Self { link, dropped, under_way: 0 }
    }

    /// Sends a body with so many things in it.
    async fn send(&mut self, body: Vec<u8>, count: u64) {
        self.under_way = count;
        let taken = self.link.send(body).await;
        self.under_way = 0;
        self.dropped.inc_by(taken.map_or(count, |rejected| rejected.min(count)));
    }

    /// Leaves the collector alone as long as it needs, or until it is `stopped`.
    async fn rest(&self, stopped: &mut Stop) {
        tokio::select! {
            () = is_set(stopped) => {}
            () = self.link.rest() => {}
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // What was cut off may have arrived or not.
        self.dropped.inc_by(self.under_way);
    }
}

/// The spans' part.
pub(super) struct Spans {
    lane: Lane,
    resource: ResourceAttributesWithSchema,
    to_send: mpsc::Receiver<SpanData>,
    batch: Vec<SpanData>,
    /// When the batch is sent, whatever is in it.
    due: Option<Instant>,
}

impl Spans {
    pub(super) fn new(lane: Lane, resource: ResourceAttributesWithSchema, to_send: mpsc::Receiver<SpanData>) -> Self {
        Self { lane, resource, to_send, batch: Vec::with_capacity(BATCH), due: None }
    }

    async fn run(&mut self, mut stopped: Stop) {
        while self.gather(&mut stopped).await {
            self.send().await;
            self.lane.rest(&mut stopped).await;
        }
        loop {
            while let (true, Ok(span)) = (self.batch.len() < BATCH, self.to_send.try_recv()) {
                self.batch.push(span);
            }
            if self.batch.is_empty() {
                return;
            }
            self.send().await;
        }
    }

    /// Waits until there is a batch; false if it is `stopped` first.
    async fn gather(&mut self, stopped: &mut Stop) -> bool {
        while self.batch.len() < BATCH && self.due.is_none_or(|due| due > Instant::now()) {
            let room = BATCH - self.batch.len();
            let due = self.due.unwrap_or_else(|| Instant::now() + SPANS_EVERY);
            tokio::select! {
                () = is_set(stopped) => return false,
                1.. = self.to_send.recv_many(&mut self.batch, room) => {
                    self.due.get_or_insert_with(|| Instant::now() + SPANS_EVERY);
                }
                () = sleep_until(due) => {}
            }
        }
        true
    }

    async fn send(&mut self) {
        self.due = None;
        let count = self.batch.len() as u64;
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        self.lane.send(ExportTraceServiceRequest { resource_spans }.encode_to_vec(), count).await;
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        self.lane.dropped.inc_by((self.batch.len() + self.to_send.len()) as u64);
    }
}

/// The metrics' part: bodies that are ready to be sent.
pub(super) struct Metrics {
    lane: Lane,
    metered: mpsc::Receiver<Vec<u8>>,
}

impl Metrics {
    pub(super) fn new(lane: Lane, metered: mpsc::Receiver<Vec<u8>>) -> Self {
        Self { lane, metered }
    }

    async fn run(&mut self, mut stopped: Stop) {
        loop {
            tokio::select! {
                () = is_set(&mut stopped) => break,
                Some(body) = self.metered.recv() => self.lane.send(body, 1).await,
            }
            self.lane.rest(&mut stopped).await;
        }
        while let Ok(body) = self.metered.try_recv() {
            self.lane.send(body, 1).await;
        }
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.lane.dropped.inc_by(self.metered.len() as u64);
    }
}
