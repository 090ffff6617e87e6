//! What an adapter imports, and what becomes of it: each import is granted, linked but empty, or refused.
//!
//! Not linking is the enforcement: a component whose import is not in this table can't be instantiated.

use crate::audit::plain;
use crate::bindings::hauski::adapter;
use crate::outgoing_handler;
use crate::state::{Io, State};
use serde::Serialize;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, Result};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::{cli, clocks, random};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi_http::p2::bindings::http;
use wasmtime_wasi_http::{WasiHttp, WasiHttpView};
use wasmtime_wasi_io::bindings::wasi::io;

/// What becomes of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportState {
    /// It is there and does what it says.
    Granted,
    /// It is there, and there is nothing behind it: no variable, no argument, no terminal, no host that may be reached.
    Empty,
    /// It is not there, so the component is not loaded.
    Refused,
}

/// One import of an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import {
    /// The interface's name with its version, as the component has it.
    pub name: String,
    /// What becomes of it.
    pub state: ImportState,
}

/// The kinds of interface that can be linked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Harmless and useful.
    Plain,
    /// A way out: granted as far as the adapter holds grants.
    Way,
    /// Standard libraries import it whether they need it or not.
    Hollow,
}

type Link = fn(&mut Linker<State>) -> Result<()>;

/// All that can be linked: the interface's name, the versions it stands for, its kind, how it is linked.
const TABLE: &[(&str, &str, Kind, Link)] = &[
    ("hauski:adapter/model-types", "0.1.", Kind::Plain, |l| adapter::model_types::add_to_linker::<_, Own>(l, |s| s)),
    ("hauski:adapter/settings", "0.1.", Kind::Plain, |l| adapter::settings::add_to_linker::<_, Own>(l, |s| s)),
    ("hauski:adapter/log", "0.1.", Kind::Plain, |l| adapter::log::add_to_linker::<_, Own>(l, |s| s)),
    ("hauski:adapter/upstream", "0.1.", Kind::Way, |l| adapter::upstream::add_to_linker::<_, Own>(l, |s| s)),
    ("wasi:http/types", "0.2.", Kind::Way, |l| {
        http::types::add_to_linker::<_, WasiHttp>(l, &http::types::LinkOptions::default(), State::http)
    }),
    ("wasi:http/outgoing-handler", "0.2.", Kind::Way, outgoing_handler::add_to_linker),
    ("wasi:io/error", "0.2.", Kind::Plain, |l| io::error::add_to_linker::<_, Io>(l, |s| s.ctx().table)),
    ("wasi:io/poll", "0.2.", Kind::Plain, |l| io::poll::add_to_linker::<_, Io>(l, |s| s.ctx().table)),
    ("wasi:io/streams", "0.2.", Kind::Plain, |l| io::streams::add_to_linker::<_, Io>(l, |s| s.ctx().table)),
    ("wasi:clocks/wall-clock", "0.2.", Kind::Plain, |l| {
        clocks::wall_clock::add_to_linker::<_, WasiClocks>(l, State::clocks)
    }),
    ("wasi:clocks/monotonic-clock", "0.2.", Kind::Plain, |l| {
        clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(l, State::clocks)
    }),
    ("wasi:random/random", "0.2.", Kind::Plain, |l| {
        random::random::add_to_linker::<_, WasiRandom>(l, |s| s.ctx().ctx.random())
    }),
    ("wasi:random/insecure", "0.2.", Kind::Plain, |l| {
        random::insecure::add_to_linker::<_, WasiRandom>(l, |s| s.ctx().ctx.random())
    }),
    ("wasi:random/insecure-seed", "0.2.", Kind::Plain, |l| {
        random::insecure_seed::add_to_linker::<_, WasiRandom>(l, |s| s.ctx().ctx.random())
    }),
    ("wasi:cli/environment", "0.2.", Kind::Hollow, |l| cli::environment::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/exit", "0.2.", Kind::Hollow, |l| cli::exit::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/stdin", "0.2.", Kind::Hollow, |l| cli::stdin::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/stdout", "0.2.", Kind::Hollow, |l| cli::stdout::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/stderr", "0.2.", Kind::Hollow, |l| cli::stderr::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/terminal-input", "0.2.", Kind::Hollow, |l| {
        cli::terminal_input::add_to_linker::<_, WasiCli>(l, State::cli)
    }),
    ("wasi:cli/terminal-output", "0.2.", Kind::Hollow, |l| {
        cli::terminal_output::add_to_linker::<_, WasiCli>(l, State::cli)
    }),
    ("wasi:cli/terminal-stdin", "0.2.", Kind::Hollow, |l| {
        cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, State::cli)
    }),
    ("wasi:cli/terminal-stdout", "0.2.", Kind::Hollow, |l| {
        cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, State::cli)
    }),
    ("wasi:cli/terminal-stderr", "0.2.", Kind::Hollow, |l| {
        cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, State::cli)
    }),
];

type Own = HasSelf<State>;

/// An import by its name, and what it is for; `None` where nothing can be linked for it.
#[derive(Clone)]
pub(crate) struct Named {
    name: String,
    kind: Option<Kind>,
}

impl Named {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), kind: find(name).map(|(kind, _)| kind) }
    }

    /// What becomes of it; `has_grants` says whether the adapter holds any.
    pub(crate) fn judge(&self, has_grants: bool) -> Import {
        let state = match self.kind {
            Some(Kind::Plain) => ImportState::Granted,
            Some(Kind::Way) if has_grants => ImportState::Granted,
            Some(Kind::Way | Kind::Hollow) => ImportState::Empty,
            None => ImportState::Refused,
        };
        Import { name: plain(&self.name), state }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the import sends requests.
    pub(crate) fn is_way_out(&self) -> bool {
        self.kind == Some(Kind::Way)
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.kind.is_none()
    }
}

/// A linker with what these imports name, and nothing else.
pub(crate) fn linker(engine: &Engine, imports: &[Named]) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    for import in imports {
        if let Some((_, link)) = find(&import.name) {
            link(&mut linker)?;
        }
    }
    Ok(linker)
}

fn find(import: &str) -> Option<(Kind, Link)> {
    let (name, version) = import.split_once('@')?;
    TABLE
        .iter()
        .find(|(own, versions, ..)| *own == name && version.starts_with(versions))
        .map(|(_, _, kind, link)| (*kind, *link))
}
