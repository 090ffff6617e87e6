//! How long chat requests took, against the budget: in a sentence, as a plot, and as a table.

use super::super::html::Html;
use super::super::pace::{Recently, STEP, Step};
use super::{TABLE_END, many, plot, span, table};
use std::time::Duration;

pub(super) fn part(budget: Duration, recently: &Recently, lately: &Step) -> Html {
    let mut html = Html::default();
    let shown = |percent| lately.percentile(percent).map(span).unwrap_or_default();
    html.raw("<p id=\"latency-words\">");
    match lately.percentile(95) {
        None => html.text(format_args!(
            "No chat request was answered in the last ten minutes. The budget is {} for p95.",
            span(budget)
        )),
        Some(p95) => {
            let verdict = if p95 > budget { "over" } else { "within" };
            let words = format!(
                "{} answered in the last ten minutes: p50 {}, p95 {}, p99 {}; {verdict} the budget of {} for p95.",
                many(lately.count(), "chat request"),
                shown(50),
                span(p95),
                shown(99),
                span(budget)
            );
            html.text(words)
        }
    };
    html.raw("</p>").piece(&plot::plot(budget, &recently.steps));
    html.raw("<details><summary>The plot as a table</summary>");
    rows(&mut html, recently);
    html.raw("</details>");
    html
}

fn rows(html: &mut Html, recently: &Recently) {
    table(html, "Durations in steps of ten seconds", &["Began", "Answered", "Failed", "p50", "p95", "p99"]);
    html.raw("<tbody>");
    let newest = recently.steps.iter().rev().enumerate();
    let mut none = true;
    for (at, step) in newest.filter(|(_, step)| step.count() + step.failed > 0) {
        none = false;
        let began = match at {
            0 => "just now".to_owned(),
            at => format!("{} s ago", at as u64 * STEP.as_secs()),
        };
        html.element("<tr><th scope=\"row\">", began, "</th>");
        html.element("<td class=\"number\">", step.count(), "</td>").element(
            "<td class=\"number\">",
            step.failed,
            "</td>",
        );
        for percent in [50, 95, 99] {
            html.element(
                "<td class=\"number\">",
                step.percentile(percent).map(span).unwrap_or("–".to_owned()),
                "</td>",
            );
        }
        html.raw("</tr>");
    }
    if none {
        html.raw("<tr><td colspan=\"6\" class=\"none\">Nothing was asked.</td></tr>");
    }
    html.raw("</tbody>").raw(TABLE_END);
}
