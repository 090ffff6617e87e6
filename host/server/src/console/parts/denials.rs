//! Denials: what adapters asked for in vain, and the YAML that would allow it.

use super::super::denials::{Denial, List};
use super::super::html::Html;
use super::{badge, many};

pub(super) fn part(denied: &List) -> Html {
    let mut html = Html::default();
    html.raw("<p role=\"status\">");
    match denied.all {
        0 => html.raw("Nothing was denied since the start."),
        all => {
            let all = many(all, "request");
            html.text(all)
                .raw(" of adapters denied since the start, before a packet left. Each kind stands here once, the ");
            html.raw("newest first, with the entry of <code>egress.allow</code> that would allow it.")
        }
    };
    html.raw("</p>");
    if !denied.kinds.is_empty() {
        html.raw(
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Denied requests\"><ol class=\"plain\">",
        );
        denied.kinds.iter().for_each(|one| item(&mut html, one));
        html.raw("</ol></div>");
    }
    html
}

fn item(html: &mut Html, one: &Denial) {
    html.raw("<li><p>");
    badge(html, "bad", one.code);
    html.element(" <b>", &one.adapter, "</b> ").element("<code>", &one.asked, "</code> ");
    let (times, last) = (many(one.times, "time"), one.last.strftime("%H:%M:%S"));
    html.element("<span class=\"mute\">", format_args!("{times}, last at {last} UTC"), "</span>");
    // What the code says already needs no words.
    if !one.why.ends_with(one.code) {
        html.element("<br><span class=\"mute\">", &one.why, "</span>");
    }
    html.raw("</p>");
    match &one.entry {
        Some(entry) => html.element("<pre><code>", entry, "</code></pre>"),
        None => html.raw("<p class=\"mute\">No entry could allow this.</p>"),
    };
    html.raw("</li>");
}
