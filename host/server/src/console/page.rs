//! `GET /console`: the page as it stands at this moment, whole, so that it can be read without JavaScript.

use super::html::Html;
use super::{Shown, assets, parts};
use crate::app::Gateway;
use axum::extract::State;
use axum::response::Response;

/// The page's sections: name, heading.
const SECTIONS: [(&str, &str); 6] = [
    ("latency", "Latency"),
    ("chat", "Try a model"),
    ("models", "Models and routes"),
    ("adapters", "Adapters"),
    ("denials", "Denials"),
    ("ledger", "Ledger"),
];

/// The page.
pub(super) async fn page(State(app): Shown) -> Response {
    assets::answer("text/html; charset=utf-8", render(&app.gateway).as_str().to_owned())
}

fn render(gateway: &Gateway) -> Html {
    let mut html = Html::default();
    html.raw(include_str!("assets/head.html"));
    html.raw("<nav aria-label=\"Sections\"><ul>");
    for (name, heading) in SECTIONS {
        html.raw("<li><a href=\"#").raw(name).raw("\">").raw(heading).raw("</a></li>");
    }
    html.raw("</ul></nav></header><main id=\"main\" tabindex=\"-1\">");
    let parts = gateway.console.parts(gateway);
    let part = |html: &mut Html, name: &'static str| {
        html.raw("<div id=\"part-").raw(name).raw("\">");
        parts.iter().filter(|(own, _)| *own == name).for_each(|(_, made)| {
            html.piece(made);
        });
        html.raw("</div>");
    };
    html.raw("<section aria-label=\"Overview\">");
    part(&mut html, "status");
    html.raw("</section>");
    for (name, heading) in SECTIONS {
        html.raw("<section id=\"").raw(name).raw("\" aria-labelledby=\"h-").raw(name).raw("\"><h2 id=\"h-").raw(name);
        html.raw("\">").raw(heading).raw("</h2>");
        match name {
            "chat" => chat(&mut html, gateway),
            _ => part(&mut html, name),
        }
        if name == "ledger" {
            ledger(&mut html, gateway);
        }
        html.raw("</section>");
    }
    html.raw("</main><footer><p>HausKI ").text(env!("CARGO_PKG_VERSION"));
    html.raw(
        ". This page changes nothing, and loads nothing from elsewhere. Times are UTC.</p></footer></body></html>",
    );
    html
}

/// The table of the ledger's newest records, the newest first.
fn ledger(html: &mut Html, gateway: &Gateway) {
    let since = gateway.egress.ledger().recent().map(|recent| recent.since(0)).unwrap_or_default();
    let newest = since.lines.last().map_or(0, |(number, _)| *number);
    html.raw("<p id=\"missed\" class=\"mute\" hidden></p>");
    let columns = ["No.", "Time", "Adapter, model", "Verdict", "What", "Outcome", "Bytes out / in", "Took", "Request"];
    parts::table(html, "Records, the newest first", &columns);
    html.raw("<tbody id=\"records\" data-seen=\"").text(newest).raw("\">");
    for (number, line) in since.lines.iter().rev() {
        html.piece(&parts::row(*number, line));
    }
    html.raw("</tbody>").raw(parts::TABLE_END);
}

/// The box to try a model, which asks by the page's script as any client would.
fn chat(html: &mut Html, gateway: &Gateway) {
    html.raw("<p id=\"chat-off\" class=\"mute\">To try a model here, the browser has to run this page's script.</p>");
    html.raw("<form id=\"chat-form\" hidden><div class=\"fields\"><label for=\"chat-model\">Model</label>");
    html.raw("<select id=\"chat-model\">");
    let view = gateway.view();
    for name in view.names_served() {
        html.raw("<option value=\"").text(name).raw("\">").text(name).raw("</option>");
    }
    html.raw("</select>");
    if gateway.access.keyring().is_some() {
        html.raw("<label for=\"chat-key\">Key</label><input id=\"chat-key\" type=\"password\" autocomplete=\"off\" ");
        html.raw("spellcheck=\"false\" aria-describedby=\"chat-key-note\"><small id=\"chat-key-note\">Kept in this ");
        html.raw("page's memory only.</small>");
    }
    html.raw(include_str!("assets/chat.html"));
}
