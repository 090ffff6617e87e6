//! The ledger as it is written: a line that says how it stands, and a row for each record.

use super::super::html::Html;
use super::{badge, many, span};
use crate::app::Gateway;
use serde::Deserialize;
use std::borrow::Cow;
use std::time::Duration;

/// Where the ledger is and how it stands. The table below it holds the rows.
pub(super) fn part(gateway: &Gateway) -> Html {
    let mut html = Html::default();
    html.raw("<p>");
    match gateway.egress.ledger().stats() {
        None => html.raw(
            "The ledger is off (<code>HAUSKI_LEDGER=off</code>): nothing is recorded, and there is nothing to show.",
        ),
        Some(stats) if stats.up => html.text(format_args!(
            "{} written since the start. The newest are shown as they are written; `{}` has them all.",
            many(stats.records, "record"),
            gateway.egress.ledger().path().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy()
        )),
        Some(stats) => html.text(format_args!(
            "The ledger can't be written: no request to a provider is let out. {} refused so far.",
            many(stats.refused, "request")
        )),
    };
    html.raw("</p>");
    html
}

/// A line of the ledger; what another version may write besides is left out.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    request: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    adapter: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    verdict: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    scheme: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    host: Option<Cow<'a, str>>,
    port: Option<u16>,
    #[serde(borrow, default)]
    path: Option<Cow<'a, str>>,
    #[serde(default)]
    path_cut: bool,
    #[serde(borrow, default)]
    shown: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    end: Option<Cow<'a, str>>,
    status: Option<u16>,
    bytes_out: Option<u64>,
    bytes_in: Option<u64>,
    duration_us: Option<u64>,
    repeated: Option<u64>,
}

/// The row of the line with this number.
pub(in super::super) fn row(number: u64, line: &str) -> Html {
    let mut html = Html::default();
    html.raw("<tr id=\"ledger-").text(number).raw("\"><th scope=\"row\">").text(number).raw("</th>");
    match serde_json::from_str::<Record<'_>>(line) {
        Ok(record) => cells(&mut html, &record),
        Err(_) => {
            html.raw("<td colspan=\"8\">a line that can't be read</td>");
        }
    }
    html.raw("</tr>");
    html
}

fn cells(html: &mut Html, record: &Record<'_>) {
    // Hours, minutes and seconds of `2027-01-31T12:34:56.123456Z`.
    html.element("<td>", record.time.get(11..19).unwrap_or(&record.time), "</td>");
    let text = |value: &Option<Cow<'_, str>>| value.as_deref().unwrap_or("–").to_owned();
    if record.kind != "request" {
        html.element("<td>", text(&record.adapter), "</td><td>");
        badge(html, if record.repeated.is_some() { "bad" } else { "mute" }, &record.kind);
        html.raw("</td><td colspan=\"4\">").text(told(record)).raw("</td>");
        html.element("<td class=\"id\">", text(&record.request), "</td>");
        return;
    }
    html.element("<td>", text(&record.adapter), "");
    if let Some(model) = &record.model {
        html.element("<small>", model, "</small>");
    }
    html.raw("</td><td>");
    let kind = match record.verdict.as_deref() {
        Some("allowed") if record.end.as_deref() == Some("complete") => "good",
        Some("denied") => "bad",
        _ => "warn",
    };
    badge(html, kind, &text(&record.verdict));
    html.element("</td><td class=\"place\"><code>", place(record), "</code></td>");
    let outcome = match (record.status, record.end.as_deref()) {
        (Some(status), Some("complete") | None) => status.to_string(),
        (Some(status), Some(end)) => format!("{status}, {end}"),
        (None, Some(end)) => end.to_owned(),
        (None, None) => text(&record.reason),
    };
    html.element("<td>", outcome, "</td>");
    let bytes = match (record.bytes_out, record.bytes_in) {
        (None, None) => "–".to_owned(),
        (out, back) => format!("{} / {}", out.unwrap_or_default(), back.unwrap_or_default()),
    };
    html.element("<td class=\"number\">", bytes, "</td>");
    let took = record.duration_us.map(|micros| span(Duration::from_micros(micros)));
    html.element("<td class=\"number\">", took.unwrap_or("–".to_owned()), "</td>");
    html.element("<td class=\"id\">", text(&record.request), "</td>");
}

/// Method and URL, or the text that is none.
fn place(record: &Record<'_>) -> String {
    let (Some(scheme), Some(host)) = (&record.scheme, &record.host) else {
        return record.shown.as_deref().unwrap_or("–").to_owned();
    };
    let method = record.method.as_deref().unwrap_or_default();
    let port = record.port.map(|port| format!(":{port}")).unwrap_or_default();
    let more = if record.path_cut { "…" } else { "" };
    format!("{method} {scheme}://{host}{port}{}{more}", record.path.as_deref().unwrap_or_default())
}

/// What the ledger says of itself, or of what it counts.
fn told(record: &Record<'_>) -> String {
    match (record.repeated, &*record.kind) {
        (Some(more), _) => format!("{} more denied, in one request of a client", many(more, "request")),
        (None, "opened") => "the gateway has opened the ledger".to_owned(),
        (None, "recovered") => "the gateway has opened a ledger that was not closed".to_owned(),
        (None, "closed") => "the gateway has closed the ledger".to_owned(),
        (None, _) => String::new(),
    }
}
