//! The audit as a page of Markdown, for a report or a review: all that is known of each adapter.
//!
//! Whatever an adapter chose stands in code spans, in which nothing is marked up.

use hauski_runtime::{GrantLine, Import, ImportState, ModelReach, Refused, Stamped};
use hauski_server::listing::{Listed, Listing};
use std::fmt::Write;

/// The page.
pub(super) fn page(listing: &Listing<'_>) -> String {
    let mut page = "# Adapters\n".to_owned();
    let is_counted = listing.since.is_some();
    listing.adapters.iter().for_each(|listed| adapter(&mut page, listed, is_counted));
    listing.refused.iter().for_each(|one| refused(&mut page, one));
    match listing.since {
        Some(since) => {
            line(&mut page, format_args!("\nRequests are counted since {since:.0}, the oldest record of the ledger."))
        }
        None => line(&mut page, format_args!("\nThere is no ledger, so requests are not counted.")),
    }
    page
}

fn adapter(page: &mut String, listed: &Listed<'_>, is_counted: bool) {
    let (audit, usage) = (&listed.audit, &listed.usage);
    let profile = audit.profile;
    line(page, format_args!("\n## {}\n", code(&profile.id)));
    line(page, format_args!("- state: {}", listed.state));
    if let Some(reason) = listed.reason {
        line(page, format_args!("  - {}", code(reason)));
    }
    identity(page, &profile.digest, profile.bytes, profile.contract.as_deref());
    let description = &profile.description;
    let said = format!("{} {}: {}", description.name, description.version, description.summary);
    line(page, format_args!("- says of itself: {}", code(&said)));
    line(page, format_args!("- serves: {}", description.serves.join(", ")));
    stamped(page, &profile.stamped);
    imports(page, &audit.imports);
    list(page, "hosts wanted", description.hosts.iter().map(|host| code(host)));
    list(page, "hosts granted", audit.grants.iter().map(grant));
    list(page, "models", audit.models.iter().map(model));
    line(page, format_args!("- files: none, as for every adapter"));
    let limits = listed.limits.as_object().into_iter().flatten().map(|(name, limit)| format!("{name} {limit}"));
    line(page, format_args!("- limits: {}", limits.collect::<Vec<_>>().join(", ")));
    if !is_counted {
        return;
    }
    let last = usage.last.map_or_else(|| "never".to_owned(), |last| format!("{last:.0}"));
    line(
        page,
        format_args!(
            "- used: {} requests to providers, {} denied, {} bytes out, {} bytes in, last {last}",
            usage.requests, usage.denials, usage.bytes_out, usage.bytes_in
        ),
    );
    list(page, "reached", usage.reached.iter().map(|(origin, times)| format!("{}: {times}", code(origin))));
}

fn refused(page: &mut String, refused: &Refused) {
    line(page, format_args!("\n## {}\n", code(&refused.file)));
    line(page, format_args!("- state: {}", refused.state));
    line(page, format_args!("  - {}", code(&refused.reason)));
    if let Some(known) = &refused.known {
        identity(page, &known.digest, known.bytes, known.contract.as_deref());
        stamped(page, &known.stamped);
        if let Some(known) = &known.imports {
            imports(page, known);
        }
        list(page, "would be granted", known.grants.iter().map(grant));
    }
}

fn identity(page: &mut String, digest: &str, bytes: usize, contract: Option<&str>) {
    line(page, format_args!("- digest: {}", code(digest)));
    line(page, format_args!("- size: {bytes} bytes"));
    line(page, format_args!("- contract: {}", contract.map_or_else(|| "none".to_owned(), code)));
}

fn stamped(page: &mut String, stamped: &Stamped) {
    let fields = [
        ("version", &stamped.version),
        ("description", &stamped.description),
        ("authors", &stamped.authors),
        ("licenses", &stamped.licenses),
        ("source", &stamped.source),
        ("homepage", &stamped.homepage),
        ("revision", &stamped.revision),
    ];
    let fields = fields.into_iter().filter_map(|(name, text)| Some(format!("{name} {}", code(text.as_ref()?))));
    list(page, "stamped", fields.chain(stamped.producers.iter().map(|producer| code(producer))));
}

fn imports(page: &mut String, imports: &[Import]) {
    for (state, words) in [
        (ImportState::Granted, "imports, granted"),
        (ImportState::Empty, "imports, linked but empty"),
        (ImportState::Refused, "imports, refused"),
    ] {
        list(page, words, imports.iter().filter(|import| import.state == state).map(|import| code(&import.name)));
    }
}

fn model(model: &ModelReach) -> String {
    let mut text = format!("{}: {}", code(&model.model), model.locality);
    if let Some(base) = &model.base_url {
        let _ = write!(text, ", base URL {}", code(base));
    }
    if !model.lines.is_empty() {
        let lines: Vec<_> = model.lines.iter().map(ToString::to_string).collect();
        let _ = write!(text, ", within line {}", lines.join(" and "));
    }
    text
}

fn grant(grant: &GrantLine) -> String {
    let mut text = format!("line {}: {} {}", grant.line, grant.methods.join(" "), code(&grant.url));
    let _ = write!(text, " ({}, {})", grant.network, grant.locality);
    if let Some(header) = &grant.secret_header {
        let _ = write!(text, ", {} from {}", code(header), code(&grant.secrets.join(" and ")));
    }
    if let Some(models) = &grant.models {
        let _ = write!(text, ", for {}", models.iter().map(|model| code(model)).collect::<Vec<_>>().join(" and "));
    }
    if let Some(day) = &grant.expires {
        let _ = write!(text, ", {} {day}", if grant.expired { "expired after" } else { "until" });
    }
    text
}

/// Items below each other; without any, that there are none.
fn list(page: &mut String, what: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return line(page, format_args!("- {what}: none"));
    }
    line(page, format_args!("- {what}:"));
    items.for_each(|item| line(page, format_args!("  - {item}")));
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(page, "{text}");
}

/// A code span, which no text can leave.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'").replace(['\n', '\r'], " "))
}
