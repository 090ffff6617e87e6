//! The reasons why a file of the adapters folder is no adapter.

use crate::adapters::LOADING;
use crate::compiler;
use crate::error::CallError;
use crate::imports::Import;
use crate::load::{DESCRIBE_CPU, DESCRIBE_TIMEOUT};
use crate::stamped::{MAX_NAME_BYTES, MAX_NAMES};
use hauski_policy::{AdapterId, Unapproved};

/// Why a file is no adapter.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file's name gives no id.
    #[error("its name gives no adapter id: {0}; rename the file")]
    Name(#[from] hauski_policy::InvalidAdapterId),
    /// The gateway's own name.
    #[error(
        "`{0}` is the name under which the gateway sends its own telemetry, so no adapter can have it: rename the file"
    )]
    Reserved(AdapterId),
    /// A folder, link, device, ..
    #[error("it is not a regular file: put the component itself into the folder")]
    NotAFile,
    /// Anyone on the machine could put other code in its place.
    #[error("everyone may write to it: take that right away with `chmod o-w`")]
    Writable,
    /// Code that was compiled elsewhere would run unchecked.
    #[error("compiled code is never loaded: put the `.wasm` component into the folder instead")]
    Precompiled,
    /// Over the size limit.
    #[error("it has {0} bytes, and the limit is {limit}", limit = crate::folder::FILE_BYTES)]
    TooLarge(u64),
    /// It could not be read.
    #[error("it can't be read: {0}")]
    Read(#[from] std::io::Error),
    /// Other bytes than WebAssembly's.
    #[error("it is not WebAssembly: build the adapter for the target `wasm32-wasip2`")]
    NotWasm,
    /// A core module.
    #[error("it is a core module, not a component: build the adapter for the target `wasm32-wasip2`")]
    CoreModule,
    /// More than is looked at, or shown.
    #[error(
        "it has more than {MAX_NAMES} imports and exports, or their names have more than {MAX_NAME_BYTES} bytes: build it for the world \
         `adapter` alone"
    )]
    ManyNames,
    /// The compiler refused it.
    #[error("it can't be compiled: {0}")]
    Compile(String),
    /// It is built for a version of the contract that this gateway does not speak.
    #[error(
        "it is built for `hauski:adapter@{0}`, and this gateway speaks {CONTRACT}: build it for `hauski:adapter@0.1.0`, or use another gateway"
    )]
    OtherContract(String),
    /// It imports what can't be linked.
    #[error("it imports {}, which adapters are not given: use `hauski:adapter/upstream` or `wasi:http` to reach hosts, and no files or sockets", names(.0))]
    Imports(Vec<Import>),
    /// It is a component for another world.
    #[error(
        "it does not export {0}: build it for the world `chat-adapter`, `embedding-adapter` or `adapter` of `hauski:adapter@0.1.0`"
    )]
    Exports(&'static str),
    /// Its imports or exports have other types than the contract's.
    #[error("it does not fit the contract: {0}")]
    Contract(String),
    /// `about.describe` failed.
    #[error("its `about.describe` failed: {0}")]
    Describe(CallError),
    /// `about.describe` does not end.
    #[error(
        "its `about.describe` takes more than {} s of processor time, or {} s altogether: have it return constants only",
        DESCRIBE_CPU.as_secs(),
        DESCRIBE_TIMEOUT.as_secs()
    )]
    DescribeSlow,
    /// Nobody has approved it.
    #[error(transparent)]
    Unapproved(Unapproved),
    /// It changed while it was read.
    #[error("it is being written, or replaced: it is loaded when it stays the same")]
    Changing,
    /// It waits for its turn to be compiled, or is.
    #[error("it is being compiled, or waits for that: it serves as soon as that is done")]
    Loading,
    /// Compiling it takes too long.
    #[error(
        "compiling it takes more than {} s of processor time: build it smaller, or with fewer optimisations that make functions large",
        compiler::CPU.as_secs()
    )]
    Slow,
    /// Compiling it takes too much memory.
    #[error(
        "compiling it takes more than {} MiB of memory: build it smaller, or with fewer optimisations that make functions large",
        compiler::MEMORY >> 20
    )]
    Memory,
    /// The compiler process failed.
    #[error("the compiler process failed: {0}; put the file there again to have it tried again")]
    Compiler(String),
}

impl LoadError {
    /// Returns the error of a file whose `about.describe` failed so. Its time has limits of its own.
    pub(crate) fn of_describe(error: CallError) -> Self {
        match error {
            CallError::TotalTimeout(_) | CallError::ComputedTooLong(_) => Self::DescribeSlow,
            error => Self::Describe(error),
        }
    }

    /// What it makes of a file: `quarantined` until somebody approves it, `loading`, or else `refused`.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Self::Unapproved(_) => "quarantined",
            Self::Loading => LOADING,
            _ => "refused",
        }
    }

    /// Returns whether other limits could load the file: it ran within those in force, and failed.
    pub(crate) fn depends_on_limits(&self) -> bool {
        matches!(self, Self::Describe(_) | Self::DescribeSlow)
    }

    /// Whether it says nothing of the file, and may be gone in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Describe(CallError::Busy(_)))
    }
}

/// The version of the contract that adapters are built for, patches aside.
pub(super) const CONTRACT: &str = "0.1";

/// How many of them a message names.
const NAMED: usize = 16;

fn names(imports: &[Import]) -> String {
    let mut names: Vec<_> = imports.iter().take(NAMED).map(|import| format!("`{}`", import.name)).collect();
    if imports.len() > NAMED {
        names.push(format!("{} more", imports.len() - NAMED));
    }
    names.join(", ")
}
