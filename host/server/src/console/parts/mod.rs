//! The parts of the page that change while one looks: each a piece of HTML, made on the server only, for the first paint and for later.

mod adapters;
mod denials;
mod latency;
mod ledger;
mod models;
mod plot;
mod status;

pub(super) use ledger::row;

use super::html::Html;
use super::pace::Step;
use crate::app::Gateway;
use std::time::Duration;

/// A part by its name: the id of its element is `part-` and this.
pub(super) type Part = (&'static str, Html);

/// All parts as they are at this moment. The ledger's rows are not among them: they come one by one.
pub(super) fn all(gateway: &Gateway) -> Vec<Part> {
    let recently = gateway.console.history.recently(&gateway.metrics.pace);
    let lately = Step::sum(recently.steps.iter());
    let view = gateway.view();
    let denied = gateway.watch.denials.list();
    vec![
        ("status", status::part(gateway, &view, &recently, &lately, &denied)),
        ("latency", latency::part(&gateway.limits().latency, &recently, &lately)),
        ("models", models::part(&view)),
        ("adapters", adapters::part(&view)),
        ("denials", denials::part(&denied)),
        ("ledger", ledger::part(gateway)),
    ]
}

/// A duration for people.
fn span(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    match ms {
        ..0.995 => format!("{ms:.2} ms"),
        ..9.95 => format!("{ms:.1} ms"),
        ..999.5 => format!("{ms:.0} ms"),
        ..99_500.0 => format!("{:.1} s", ms / 1e3),
        _ => format!("{:.0} s", ms / 1e3),
    }
}

/// A word with a mark, which says by colour what it says.
fn badge(html: &mut Html, kind: &'static str, word: &str) {
    html.raw("<span class=\"badge ").raw(kind).raw("\">").text(word).raw("</span>");
}

/// `1 request`, `2 requests`.
fn many(count: u64, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}

/// A table's beginning: in a frame that can be scrolled by keyboard, with a caption and its columns' names.
pub(super) fn table(html: &mut Html, caption: &'static str, columns: &[&'static str]) {
    html.raw("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"").text(caption).raw("\"><table>");
    html.raw("<caption>").raw(caption).raw("</caption><thead><tr>");
    for column in columns {
        html.raw("<th scope=\"col\">").raw(column).raw("</th>");
    }
    html.raw("</tr></thead>");
}

/// The end of a table.
pub(super) const TABLE_END: &str = "</table></div>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_for_people() {
        for (micros, expected) in [
            (40, "0.04 ms"),
            (994, "0.99 ms"),
            (1_040, "1.0 ms"),
            (9_949, "9.9 ms"),
            (9_960, "10 ms"),
            (999_400, "999 ms"),
            (999_600, "1.0 s"),
            (12_340_000, "12.3 s"),
            (123_000_000, "123 s"),
        ] {
            assert_eq!(span(Duration::from_micros(micros)), expected);
        }
    }
}
