//! Durations of chat requests: until the first token and in the gateway itself, against the budgets, and in all. In sentences, as
//! plots, and as a table.

use super::super::html::Html;
use super::super::pace::{Durations, Measure, Recently, STEP, Step};
use super::{TABLE_END, many, plot, span, table};
use hauski_policy::LatencyBudgets;
use std::time::Duration;

/// A measure that has a budget.
pub(super) struct Judged {
    pub(super) measure: Measure,
    /// The budget of its 95th percentile.
    pub(super) budget: Duration,
    heading: &'static str,
    /// The id of the sentence that says what the plot shows.
    pub(super) words: &'static str,
    /// The measured thing, in the singular.
    noun: &'static str,
    /// The definition of the measure, and the requests that it is of.
    note: &'static str,
}

/// Returns the measures that have a budget.
pub(super) fn judged(budgets: &LatencyBudgets) -> [Judged; 2] {
    let first_token = Judged {
        measure: Measure::FirstToken,
        budget: budgets.first_token_p95,
        heading: "Time to first token",
        words: "first-token-words",
        noun: "streamed answer",
        note: "From the last byte of a request to the first piece of its stream. Answers that come whole have no first token of their \
               own, and are left out.",
    };
    let added = Judged {
        measure: Measure::Added,
        budget: budgets.added_p95,
        heading: "Added latency",
        words: "added-words",
        noun: "answer",
        note: "What the gateway itself takes until an answer, or its first piece, is there: without the time in which providers and the \
               network are waited for, with the wait for an instance.",
    };
    [first_token, added]
}

pub(super) fn part(budgets: &LatencyBudgets, recently: &Recently, lately: &Step) -> Html {
    let mut html = Html::default();
    html.raw("<p id=\"latency-words\">");
    let whole = lately.of(Measure::Whole);
    match percentiles(whole) {
        None => html.text("No chat request was answered in the last ten minutes."),
        Some(shown) => html.text(format_args!(
            "{} answered in the last ten minutes, whole durations: {shown}. They depend on how much is said, and have no budget here.",
            many(whole.count(), "chat request"),
        )),
    };
    html.raw("</p>");
    for judged in judged(budgets) {
        html.raw("<h3>").raw(judged.heading).raw("</h3><p id=\"").raw(judged.words).raw("\">");
        html.text(words(&judged, lately.of(judged.measure)));
        html.raw("</p>").piece(&plot::plot(&judged, &recently.steps));
        html.raw("<p><small>").raw(judged.note).raw("</small></p>");
    }
    html.raw("<details><summary>The plots as a table</summary>");
    rows(&mut html, recently);
    html.raw("</details>");
    html
}

/// Says how a measure stands to its budget.
fn words(judged: &Judged, durations: &Durations) -> String {
    let budget = span(judged.budget);
    match (percentiles(durations), durations.percentile(95)) {
        (Some(shown), Some(p95)) => {
            let verdict = if p95 > judged.budget { "over" } else { "within" };
            format!("{}: {shown}; {verdict} the budget of {budget} for p95.", many(durations.count(), judged.noun))
        }
        _ => format!("Nothing to measure in the last ten minutes. The budget is {budget} for p95."),
    }
}

/// `p50 …, p95 …, p99 …`.
fn percentiles(durations: &Durations) -> Option<String> {
    let shown = |percent| Some(format!("p{percent} {}", span(durations.percentile(percent)?)));
    Some([shown(50)?, shown(95)?, shown(99)?].join(", "))
}

fn rows(html: &mut Html, recently: &Recently) {
    let columns =
        ["Began", "Answered", "Failed", "First token: p50, p95, p99", "Added: p50, p95, p99", "Whole: p50, p95, p99"];
    table(html, "Durations in steps of ten seconds", &columns);
    html.raw("<tbody>");
    let newest = recently.steps.iter().rev().enumerate();
    let mut none = true;
    for (at, step) in newest.filter(|(_, step)| **step != Step::default()) {
        none = false;
        let began = match at {
            0 => "just now".to_owned(),
            at => format!("{} s ago", at as u64 * STEP.as_secs()),
        };
        html.element("<tr><th scope=\"row\">", began, "</th>");
        for count in [step.of(Measure::Whole).count(), step.failed] {
            html.element("<td class=\"number\">", count, "</td>");
        }
        for measure in [Measure::FirstToken, Measure::Added, Measure::Whole] {
            let shown = |percent| step.of(measure).percentile(percent).map(span);
            let shown: Option<Vec<_>> = [50, 95, 99].map(shown).into_iter().collect();
            html.element("<td class=\"number\">", shown.map_or("–".to_owned(), |shown| shown.join(", ")), "</td>");
        }
        html.raw("</tr>");
    }
    if none {
        html.raw("<tr><td colspan=\"6\" class=\"none\">Nothing was asked.</td></tr>");
    }
    html.raw("</tbody>").raw(TABLE_END);
}

#[cfg(test)]
mod tests {
    use super::super::super::pace::{History, Pace};
    use super::*;

    /// The part after these durations, in milliseconds.
    fn part_of(durations: &[(Measure, u64)]) -> String {
        let (pace, history) = (Pace::default(), History::default());
        for (measure, ms) in durations {
            pace.count(*measure, Duration::from_millis(*ms));
        }
        let ms = Duration::from_millis;
        let budgets = LatencyBudgets { llm_p95: ms(400), first_token_p95: ms(2_000), added_p95: ms(10) };
        let recently = history.recently(&pace);
        part(&budgets, &recently, &Step::sum(recently.steps.iter())).as_str().to_owned()
    }

    #[test]
    fn each_measure_is_judged_by_its_own_budget() {
        // A slow model: the whole answer takes long, which is nobody's fault here.
        let slow = part_of(&[(Measure::Whole, 60_000), (Measure::FirstToken, 900), (Measure::Added, 2)]);
        for text in [
            "1 chat request answered in the last ten minutes, whole durations: p50 60.",
            "1 streamed answer: p50 9",
            "within the budget of 2.0 s for p95.",
            "1 answer: p50 2.",
            "within the budget of 10 ms for p95.",
            "Answers that come whole have no first token of their own",
        ] {
            assert!(slow.contains(text), "{text} is not in {slow}");
        }
        assert!(!slow.contains("over the budget") && !slow.contains("400 ms"), "{slow}");
        let late = part_of(&[(Measure::Whole, 100), (Measure::FirstToken, 2_500), (Measure::Added, 2)]);
        assert!(late.contains("over the budget of 2.0 s") && late.contains("within the budget of 10 ms"), "{late}");
        let busy = part_of(&[(Measure::Whole, 100), (Measure::FirstToken, 100), (Measure::Added, 20)]);
        assert!(busy.contains("within the budget of 2.0 s") && busy.contains("over the budget of 10 ms"), "{busy}");
    }

    #[test]
    fn whole_answers_have_no_first_token() {
        let html = part_of(&[(Measure::Whole, 100), (Measure::Added, 2)]);
        assert!(html.contains("Nothing to measure in the last ten minutes. The budget is 2.0 s for p95."), "{html}");
        assert!(html.contains("<td class=\"number\">–</td>"), "{html}");
        let idle = part_of(&[]);
        assert!(idle.contains("No chat request was answered") && idle.contains("Nothing was asked."), "{idle}");
    }
}
