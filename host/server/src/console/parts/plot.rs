//! The plot of one measure: a line for p50, one for p95, the budget, and how many requests were measured.
//!
//! Plain SVG with places across as parts of a hundred, so that it fits any width while its letters keep their size, and no style of its
//! own: the page's policy allows none. Durations stand on a logarithmic scale, since they spread from a local echo to a long answer.

use super::super::html::Html;
use super::super::pace::{STEPS, Step};
use super::latency::Judged;
use super::span;
use std::time::Duration;

/// The plot's height in pixels. There are two, one below the other.
const HEIGHT: f64 = 110.0;
/// The tallest bar of a count.
const BAR: f64 = 28.0;

/// Maps durations to places.
struct Scale {
    /// The powers of ten, in milliseconds, at bottom and top.
    low: i32,
    high: i32,
}

impl Scale {
    /// One that holds all of `durations`.
    fn of(durations: impl Iterator<Item = Duration>) -> Self {
        let powers: Vec<f64> = durations.map(power).collect();
        let least = powers.iter().copied().fold(f64::INFINITY, f64::min).floor();
        let most = powers.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
        // Budgets are never nothing, so there is always one.
        let (low, high) = (clamp(least), clamp(most));
        Self { low, high: high.max(low + 1) }
    }

    fn y(&self, duration: Duration) -> f64 {
        self.y_of(power(duration))
    }

    fn y_of(&self, power: f64) -> f64 {
        HEIGHT * (f64::from(self.high) - power) / f64::from(self.high - self.low)
    }
}

/// The power of ten of a duration in milliseconds, from a hundredth of one on.
fn power(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).max(0.01).log10()
}

#[expect(clippy::cast_possible_truncation, reason = "it is small: durations are")]
fn clamp(power: f64) -> i32 {
    power.clamp(-2.0, 7.0) as i32
}

/// The plot of a measure in `steps`, the newest of which stands at the right.
pub(super) fn plot(judged: &Judged, steps: &[Step]) -> Html {
    let (budget, measure) = (judged.budget, judged.measure);
    let percentiles = |percent| steps.iter().map(move |step| step.of(measure).percentile(percent)).collect::<Vec<_>>();
    let (p50, p95) = (percentiles(50), percentiles(95));
    let scale = Scale::of(p50.iter().chain(&p95).flatten().copied().chain([budget]));
    let mut html = Html::default();
    html.raw("<figure class=\"plot\"><svg role=\"img\" aria-labelledby=\"").raw(judged.words);
    html.raw("\" width=\"100%\" height=\"132\">");
    grid(&mut html, &scale);
    bars(&mut html, &steps.iter().map(|step| step.of(measure).count()).collect::<Vec<_>>());
    line(&mut html, "p50", &scale, &p50);
    line(&mut html, "p95", &scale, &p95);
    let y = format!("{:.1}", scale.y(budget));
    html.raw("<line class=\"budget\" x1=\"0\" x2=\"100%\" y1=\"").text(&y).raw("\" y2=\"").text(&y).raw("\"></line>");
    html.raw("<text class=\"axis\" x=\"0\" y=\"128\">10 minutes ago</text>");
    html.raw("<text class=\"axis end\" x=\"100%\" y=\"128\">now</text></svg>");
    html.raw("<figcaption><span class=\"key p95\">p95</span> <span class=\"key p50\">p50</span> <span class=\"key budget\">budget, ");
    html.text(span(budget)).raw("</span> <span class=\"key count\">requests</span></figcaption></figure>");
    html
}

fn grid(html: &mut Html, scale: &Scale) {
    for power in scale.low..=scale.high {
        let y = scale.y_of(power.into());
        let line = format!("{y:.1}");
        html.raw("<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"")
            .text(&line)
            .raw("\" y2=\"")
            .text(&line)
            .raw("\"></line>");
        let label = match power {
            ..3 => format!("{} ms", 10_f64.powi(power)),
            _ => format!("{} s", 10_f64.powi(power - 3)),
        };
        html.raw("<text class=\"axis end\" x=\"-6\" y=\"").text(format_args!("{:.1}", y + 4.0)).raw("\">");
        html.text(label).raw("</text>");
    }
}

fn bars(html: &mut Html, counts: &[u64]) {
    #[expect(clippy::cast_precision_loss, reason = "a bar is a few pixels high")]
    let counts: Vec<f64> = counts.iter().map(|count| *count as f64).collect();
    let most = counts.iter().copied().fold(1.0, f64::max);
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
        let height = (BAR * count / most).max(1.0);
        html.raw("<rect class=\"count\" width=\"1.2%\" x=\"").text(percent(x(at, counts.len()) - 0.6));
        html.raw("\" y=\"").text(format_args!("{:.1}", HEIGHT - height));
        html.raw("\" height=\"").text(format_args!("{height:.1}")).raw("\"></rect>");
    }
}

/// Points, joined where two steps in a row have one.
fn line(html: &mut Html, name: &'static str, scale: &Scale, values: &[Option<Duration>]) {
    html.raw("<g class=\"").raw(name).raw("\">");
    let place = |at: usize| Some((percent(x(at, values.len())), format!("{:.1}", scale.y(values[at]?))));
    for at in 0..values.len() {
        let Some((x, y)) = place(at) else { continue };
        if let Some((x0, y0)) = at.checked_sub(1).and_then(place) {
            html.raw("<line x1=\"").text(x0).raw("\" y1=\"").text(y0);
            html.raw("\" x2=\"").text(&x).raw("\" y2=\"").text(&y).raw("\"></line>");
        }
        html.raw("<circle r=\"2\" cx=\"").text(x).raw("\" cy=\"").text(y).raw("\"></circle>");
    }
    html.raw("</g>");
}

/// Where the middle of a step is, of a hundred. The newest stands at the right, however many there are yet.
fn x(at: usize, steps: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    let from_right = (steps - at) as f64 - 0.5;
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    let width = 100.0 / (STEPS + 1) as f64;
    100.0 - from_right * width
}

fn percent(x: f64) -> String {
    format!("{x:.2}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_has_room_for_all() {
        let ms = Duration::from_millis;
        let scale = Scale::of([ms(3), ms(400), ms(1_200)].into_iter());
        assert_eq!((scale.low, scale.high), (0, 4));
        assert!(scale.y(ms(1)) == HEIGHT && scale.y(ms(10_000)) == 0.0 && scale.y(ms(3)) > scale.y(ms(400)));
        let narrow = Scale::of([ms(100)].into_iter());
        assert_eq!((narrow.low, narrow.high), (2, 3), "never nothing");
        let odd = Scale::of([Duration::ZERO, Duration::MAX].into_iter());
        assert_eq!((odd.low, odd.high), (-2, 7));
    }

    #[test]
    fn the_newest_step_stands_at_the_right() {
        assert!(x(0, 1) > 99.0 && x(STEPS, STEPS + 1) == x(0, 1) && x(0, STEPS + 1) < 1.0);
    }

    #[test]
    fn only_neighbours_are_joined() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let scale = Scale::of([Duration::from_millis(5)].into_iter());
        let mut html = Html::default();
        line(&mut html, "p95", &scale, &[ms(1), ms(2), None, ms(3), None]);
        let html = html.as_str();
        assert_eq!((html.matches("<circle").count(), html.matches("<line").count()), (3, 1), "{html}");
    }
}
