//! What is suggested, as a fragment of `routing.yaml` with the reasons in comments, or as JSON.

use super::{Hopeless, Seen, Suggested};
use serde_json::{Value, json};
use std::fmt;

/// Lines about what can't be granted, and paths of an entry, that are shown.
const SHOWN: usize = 20;
const PATHS: usize = 5;

/// Entries to review, and what there is no entry for.
#[derive(Clone, Debug, Default)]
pub struct Fragment {
    /// The entries, by adapter and origin.
    pub entries: Vec<Suggested>,
    /// What no entry can allow.
    pub hopeless: Vec<(Hopeless, Seen)>,
    /// Denials that the policy would allow by now.
    pub allowed: u64,
    /// Denials of which there are too many different ones for entries that can be reviewed.
    pub left: u64,
    /// Denials that were not looked at, because there are too many different ones.
    pub beyond: u64,
    /// Requests of which the ledger has only how many there were.
    pub counted: u64,
}

impl Fragment {
    /// The `n` that were wanted most; of many that have nothing in common, the rest is left to the reader.
    pub(super) fn most_wanted(&mut self, mut suggested: Vec<Suggested>, n: usize) -> Vec<Suggested> {
        suggested.sort_by_key(|one| std::cmp::Reverse(one.seen.count));
        let left = suggested.split_off(suggested.len().min(n));
        self.left += left.iter().map(|one| one.seen.count).sum::<u64>();
        suggested
    }

    /// The same for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let hopeless = |(one, seen): &(Hopeless, Seen)| {
            let mut value = seen_to_json(seen);
            value["adapter"] = json!(one.adapter);
            value["asked"] = json!(one.asked);
            value["why"] = json!(one.why);
            value
        };
        json!({
            "entries": self.entries.iter().map(Suggested::to_json).collect::<Vec<_>>(),
            "not_grantable": self.hopeless.iter().map(hopeless).collect::<Vec<_>>(),
            "allowed_by_now": self.allowed,
            "too_scattered": self.left,
            "not_looked_at": self.beyond,
            "only_counted": self.counted,
        })
    }
}

impl Suggested {
    fn to_json(&self) -> Value {
        let mut value = seen_to_json(&self.seen);
        value["url"] = json!(self.entry.url);
        value["adapters"] = json!([self.entry.adapter]);
        value["models"] = json!(self.entry.model.as_ref().map(|model| [model]));
        value["methods"] = self.entry.methods.iter().map(|method| method.as_str()).collect();
        value["network"] = json!(self.entry.network.map(hauski_policy::Network::as_str));
        value["makes_cloud"] = json!(self.makes_cloud);
        value["paths"] = json!(self.paths);
        value["yaml"] = json!(self.entry.to_string());
        value
    }
}

fn seen_to_json(seen: &Seen) -> Value {
    json!({
        "count": seen.count,
        "first": seen.first.to_string(),
        "last": seen.last.to_string(),
        "reasons": seen.reasons,
    })
}

/// The fragment as it stands in the file: a whole `egress` section, which lacks only the file's other sections.
impl fmt::Display for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("egress:\n  default: deny\n")?;
        f.write_str(if self.entries.is_empty() { "  allow: []\n" } else { "  allow:\n" })?;
        for one in &self.entries {
            writeln!(f, "    # {}", Words(&one.seen))?;
            let shown: Vec<_> = one.paths.iter().take(PATHS).map(|path| comment(path)).collect();
            let more = more(one.paths.len(), PATHS);
            writeln!(f, "    # covers all below it; asked for: {}{more}", shown.join(" "))?;
            if let Some(model) = &one.makes_cloud {
                writeln!(f, "    # makes the local model {model} cloud: its prompts may leave then")?;
            }
            writeln!(f, "    {}", one.entry)?;
        }
        for (one, seen) in self.hopeless.iter().take(SHOWN) {
            let (adapter, asked) = (&one.adapter, comment(&one.asked));
            writeln!(f, "# can't be granted to {adapter}: {asked}: {}; {}", one.why, Words(seen))?;
        }
        if self.hopeless.len() > SHOWN {
            writeln!(f, "# ... and {} more that can't be granted; `--json` has them all", self.hopeless.len() - SHOWN)?;
        }
        for (count, what) in [
            (self.allowed, "denied then, and allowed by the policy now"),
            (self.left, "left out: they have too little in common"),
            (self.beyond, "not looked at: too many different ones; narrow them by `--adapter` or `--since`"),
            (self.counted, "more that the ledger has only counted"),
        ] {
            if count > 0 {
                writeln!(f, "# {count} {what}")?;
            }
        }
        Ok(())
    }
}

struct Words<'a>(&'a Seen);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { count, first, last, reasons } = self.0;
        let reasons = reasons.iter().copied().collect::<Vec<_>>().join(", ");
        match count {
            1 => write!(f, "once, {first:.0}: {reasons}"),
            _ => write!(f, "{count} times, {first:.0} to {last:.0}: {reasons}"),
        }
    }
}

fn more(all: usize, shown: usize) -> String {
    if all > shown { format!(" and {} more", all - shown) } else { String::new() }
}

/// A text that a comment can hold: it can't end it, and shows what can't be seen.
fn comment(text: &str) -> String {
    let plain = |c: char| c == ' ' || c == '…' || c.is_ascii_graphic();
    text.chars().flat_map(|c| if plain(c) { vec![c] } else { c.escape_unicode().collect() }).collect()
}
