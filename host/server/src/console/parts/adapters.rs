//! Adapters: who each is, whether it serves, what it may reach, and how busy it is.

use super::super::html::Html;
use super::{TABLE_END, badge, table};
use crate::view::View;
use hauski_runtime::{Adapter, GrantLine, Import, ImportState, Refused};

pub(super) fn part(view: &View) -> Html {
    let mut html = Html::default();
    let (adapters, egress) = (&view.adapters, &view.routing.egress);
    table(&mut html, "Adapters", &["Adapter", "State", "May reach", "In flight", "Waiting"]);
    html.raw("<tbody>");
    for (id, adapter) in adapters.iter() {
        let audit = adapter.audit(egress, &view.models);
        who(&mut html, adapter, &audit.imports);
        html.raw("<td>");
        let file = format!("{id}.wasm");
        match adapters.refused().iter().find(|refused| refused.file == file) {
            // Its file has changed, and the new one can't be loaded.
            Some(refused) => {
                badge(&mut html, "warn", "last good version");
                html.element("<small>", &refused.reason, "</small>");
            }
            None => badge(&mut html, "good", "serving"),
        }
        html.raw("</td><td class=\"place\">");
        reach(&mut html, &audit.grants);
        let limits = adapter.limits();
        html.raw("</td>");
        html.element("<td class=\"number\">", format_args!("{} / {}", adapter.in_flight(), limits.instances), "</td>");
        html.element("<td class=\"number\">", format_args!("{} / {}", adapter.waiting(), limits.queue), "</td></tr>");
    }
    let lost = adapters.refused().iter().filter(|refused| refused.serving.is_none());
    lost.for_each(|refused| not_loaded(&mut html, refused));
    if adapters.iter().next().is_none() && adapters.refused().is_empty() {
        html.raw("<tr><td colspan=\"5\" class=\"none\">The adapters folder is empty.</td></tr>");
    }
    html.raw("</tbody>").raw(TABLE_END);
    html
}

fn who(html: &mut Html, adapter: &Adapter, imports: &[Import]) {
    let profile = adapter.profile();
    let said = &profile.description;
    html.element("<tr><th scope=\"row\">", &profile.id, "");
    html.element("<small>", &said.summary, "</small>");
    html.element("<small><code>", profile.short_digest(), "</code></small>");
    let granted = imports.iter().filter(|import| import.state == ImportState::Granted).count();
    let others = imports.len() - granted;
    html.element(
        "<details><summary>",
        format_args!("{granted} imports granted, {others} empty"),
        "</summary><ul class=\"plain\">",
    );
    for import in imports {
        let word = match import.state {
            ImportState::Granted => "granted",
            ImportState::Empty => "empty",
            ImportState::Refused => "refused",
        };
        html.element("<li><code>", &import.name, "</code> ").element("<span class=\"mute\">", word, "</span></li>");
    }
    html.raw("</ul></details></th>");
}

fn reach(html: &mut Html, grants: &[GrantLine]) {
    if grants.is_empty() {
        html.raw("<span class=\"mute\">nothing outside</span> ");
        return;
    }
    html.raw("<ul class=\"plain\">");
    for grant in grants {
        html.element("<li><code>", grant.methods.join(" "), " ").element(
            "",
            &grant.url,
            "</code> <span class=\"mute\">",
        );
        html.text(grant.network);
        if let Some(header) = &grant.secret_header {
            html.text(format_args!(", sets {header} from {}", grant.secrets.join(" and ")));
        }
        if let Some(day) = &grant.expires {
            html.text(format_args!(", {} {day}", if grant.expired { "expired after" } else { "until" }));
        }
        if let Some(models) = &grant.models {
            html.text(format_args!(", for {}", models.join(" and ")));
        }
        html.text(format_args!(", line {}", grant.line)).raw("</span></li>");
    }
    html.raw("</ul>");
}

fn not_loaded(html: &mut Html, refused: &Refused) {
    html.element("<tr><th scope=\"row\">", &refused.file, "</th><td>");
    let quarantined = refused.state == "quarantined";
    badge(html, if quarantined { "warn" } else { "bad" }, if quarantined { refused.state } else { "not loaded" });
    html.element("</td><td colspan=\"3\"><small>", &refused.reason, "</small></td></tr>");
}
