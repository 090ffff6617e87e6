//! Collectors that do not take what they are sent, or not all of it.

use super::collector::Collector;
use super::{echo, told};
use hauski_tests::Log;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use std::thread::sleep;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_is_taken_and_rejected_is_counted() {
    let collector = Collector::answering(|conversation, path| {
        let partial = ExportTracePartialSuccess { rejected_spans: 1, error_message: "canary-of-a-collector".into() };
        let said = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        let said = String::from_utf8(said).unwrap();
        conversation.answer("200 OK", "", if path == "/v1/traces" { &said } else { "" })
    });
    let host = told(echo(), &collector).start().await;
    host.client().chat("echo", "hello").await;
    host.client().until_metric("hauski_telemetry_dropped_total{kind=\"spans\"} 1", PATIENCE).await;
    assert_eq!(collector.spans().0.len(), 2);
    assert!(!Log::lines_with("rejects some of it").is_empty());
    assert_eq!(Log::lines_with("canary-of-a-collector"), Vec::<String>::new());
}

/// A stop waits two seconds at most, and the spans do not wait for the metrics.
#[tokio::test]
async fn one_signal_does_not_hold_up_the_other() {
    let collector = Collector::answering(|conversation, path| {
        if path == "/v1/metrics" {
            sleep(PATIENCE);
        }
        conversation.answer("200 OK", "", "")
    });
    let host = told(echo(), &collector).start().await;
    host.client().chat("echo", "hello").await;
    host.stop();
    assert_eq!(collector.spans().0.len(), 2);
}

#[tokio::test]
async fn a_refusal_that_goes_on_is_logged_once() {
    let collector = Collector::answering(|conversation, _| conversation.answer("418 No", "", ""));
    let host = told(echo(), &collector).start().await;
    for spans in [2, 4] {
        host.client().chat("echo", "hello").await;
        host.client()
            .until_metric(&format!("hauski_telemetry_dropped_total{{kind=\"spans\"}} {spans}"), PATIENCE)
            .await;
    }
    assert_eq!(collector.exports().len(), 2);
    assert_eq!(Log::lines_with("status=418").len(), 1);
}

#[tokio::test]
async fn each_process_has_an_id_of_its_own() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let collector = Collector::start();
        let host = told(echo(), &collector).start().await;
        host.client().chat("echo", "hello").await;
        host.stop();
        let id = collector.spans().1["service.instance.id"].clone();
        let parts: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
        assert!(id.chars().all(|c| c == '-' || c.is_ascii_digit() || ('a'..='f').contains(&c)), "{id}");
        assert!(&id[14..15] == "4" && "89ab".contains(&id[19..20]), "{id}");
        ids.push(id);
    }
    assert_ne!(ids[0], ids[1]);
}
