//! `hauski keys`: makes clients' keys, and lists whose there are. No file is changed, and no hash is listed.

use super::print_json;
use crate::failure::Failure;
use crate::table;
use hauski_policy::{Key, Keys, ModelNames};
use hauski_server::environment::{self, KEYS, KEYS_TEXT};
use hauski_server::{FreshKey, Process, setup};
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// What a new key is for.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct NewKey {
    /// Whose key it is, for listings, logs and the fair turn: `a-z`, `0-9`, `-`, `_`, `.`
    #[arg(value_parser = name)]
    name: String,
    /// The models and routes that may be asked; all, without this
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = model, default_value = "*", hide_default_value = true)]
    models: Vec<String>,
    /// Hold each request to what is local
    #[arg(long)]
    local_only: bool,
    /// Let its holder see the console
    #[arg(long)]
    operator: bool,
    /// The most requests in a minute; no limit, without this
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// The most requests at once, streams until their end; no limit, without this
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrent: Option<u32>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Makes a key and prints it with its entry.
pub(crate) fn new(wanted: &NewKey) -> Result<(), Failure> {
    let key = FreshKey::make().map_err(anyhow::Error::from)?;
    let entry = wanted.entry(&key.hash());
    check(&Value::Object(entry.clone())).map_err(|wrong| Failure::Usage(format!("no file would take it: {wrong}")))?;
    if wanted.json {
        return print_json(&json!({ "key": key.text(), "entry": entry }));
    }
    let mut out = io::stdout().lock();
    writeln!(out, "# The key of `{}`. It is shown this once, and kept nowhere:", wanted.name)?;
    writeln!(out, "{}", key.text())?;
    writeln!(
        out,
        "\n# The entry for `keys` in keys.yaml. The hash is last, so that a file that was cut off is refused."
    )?;
    let mut dash = '-';
    for (name, value) in &entry {
        writeln!(out, "  {dash} {name}: {value}")?;
        dash = ' ';
    }
    Ok(())
}

/// Lists whose keys there are, and what each is for. Needs no other file, and starts nothing.
pub(crate) fn ls(as_json: bool) -> Result<(), Failure> {
    let from = environment::keys(&Process).map_err(|error| Failure::Settings(vec![error]))?;
    let keys = setup::keys(&from).map_err(|problem| Failure::Configuration(vec![problem]))?;
    if as_json {
        return print_json(&keys.map(|keys| keys.to_json()["keys"].clone()));
    }
    let Some(keys) = keys else {
        let none =
            format!("there are no keys, neither in the file of `{KEYS}` nor in `{KEYS_TEXT}`: nobody is asked for one");
        return Ok(writeln!(io::stdout(), "{none}")?);
    };
    let head = ["NAME", "MODELS", "A MINUTE", "AT ONCE", "LOCAL ONLY", "OPERATOR", "LAST DAY"];
    Ok(table::print(&head, keys.iter().map(row).collect())?)
}

fn row(key: &Key) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or("-".to_owned());
    let models = match &key.models {
        ModelNames::All => "*".to_owned(),
        ModelNames::These(names) => names.iter().map(|name| &**name).collect::<Vec<_>>().join(","),
    };
    vec![
        key.name.to_string(),
        models,
        or_dash(key.requests_per_minute.map(|number| number.to_string())),
        or_dash(key.concurrent.map(|number| number.to_string())),
        key.local_only.to_string(),
        key.operator.to_string(),
        or_dash(key.expires.map(|day| day.to_string())),
    ]
}

impl NewKey {
    /// The key's entry in the file, in the order in which it is to be written.
    fn entry(&self, hash: &str) -> Map<String, Value> {
        let mut entry = Map::new();
        let mut put = |name: &str, value: Value| entry.insert(name.to_owned(), value);
        put("name", self.name.as_str().into());
        put("models", json!(self.models));
        if let Some(rate) = self.rate {
            put("requests_per_minute", rate.into());
        }
        if let Some(concurrent) = self.concurrent {
            put("concurrent", concurrent.into());
        }
        if self.local_only {
            put("local_only", true.into());
        }
        if self.operator {
            put("operator", true.into());
        }
        put("hash", hash.into());
        entry
    }
}

/// What the file's own rules say of a name.
fn name(text: &str) -> Result<String, String> {
    accepted(text, &json!({ "name": text, "models": ["*"] }))
}

fn model(text: &str) -> Result<String, String> {
    accepted(text, &json!({ "name": "a", "models": [text] }))
}

fn accepted(text: &str, entry: &Value) -> Result<String, String> {
    let mut entry = entry.clone();
    entry["hash"] = format!("sha256:{:064}", 0).into();
    check(&entry).map(|()| text.to_owned())
}

/// What the file's own rules say of an entry.
fn check(entry: &Value) -> Result<(), String> {
    let file = json!({ "keys": [entry] }).to_string();
    match Keys::parse("", file.as_bytes()) {
        Ok(_) => Ok(()),
        Err(diagnostics) => Err(diagnostics.iter().next().map(|one| one.message.clone()).unwrap_or_default()),
    }
}
