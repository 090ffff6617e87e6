//! From a file to an adapter that can serve, or to the reason why it can't.
//!
//! Each step that can fail names what is wrong and what to do. One file's failure hinders no other.

use crate::adapter::{Adapter, Exports};
use crate::adapters::Known;
use crate::aside::Aside;
use crate::audit::{Description, Profile, plain};
use crate::bindings::exports::hauski::adapter::{about, chat, embeddings};
use crate::cache::Cache;
use crate::error::CallError;
use crate::imports::{self, Import, Named};
use crate::instance::{HostMemoryLimits, Template};
use crate::progress::Progress;
use crate::slots::{Pool, Queues, Slots};
use crate::stamped::{MAX_NAME_BYTES, MAX_NAMES, Outline, OutlineError, outline};
use crate::state::{Call, State};
use hauski_egress::Caller;
use hauski_policy::{AdapterId, AdapterLimits, Digest, Lock, Scope, Unapproved};
use sha2::Digest as _;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre};

/// How long an adapter may take to say what it is; all files wait for it.
const DESCRIBE: Duration = Duration::from_secs(5);

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
    /// Nobody has approved it.
    #[error(transparent)]
    Unapproved(Unapproved),
    /// It changed while it was read.
    #[error("it is being written, or replaced: it is loaded when it stays the same")]
    Changing,
    /// It waits for its turn to be compiled, or is.
    #[error("it is being compiled, or waits for that: it serves as soon as that is done")]
    Loading,
    /// Compiling it does not end.
    #[error(
        "compiling it takes longer than {} s: build it smaller, or with fewer optimisations that make functions large",
        .0.as_secs()
    )]
    Slow(Duration),
}

impl LoadError {
    /// What it makes of a file: `quarantined` until somebody approves it, `loading`, or else `refused`.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Self::Unapproved(_) => "quarantined",
            Self::Loading => "loading",
            _ => "refused",
        }
    }

    /// Returns whether other limits could load the file: it ran within those in force, and failed.
    pub(crate) fn depends_on_limits(&self) -> bool {
        matches!(self, Self::Describe(_))
    }

    /// Whether it says nothing of the file, and may be gone in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Describe(CallError::Busy(_)))
    }
}

/// How many of them a message names.
const NAMED: usize = 16;

fn names(imports: &[Import]) -> String {
    let mut names: Vec<_> = imports.iter().take(NAMED).map(|import| format!("`{}`", import.name)).collect();
    if imports.len() > NAMED {
        names.push(format!("{} more", imports.len() - NAMED));
    }
    names.join(", ")
}

/// A file that is no adapter, or none that may serve.
pub(crate) struct Failed {
    pub(crate) error: LoadError,
    /// What its bytes say, where they are a component's.
    pub(crate) known: Option<Box<Known>>,
}

impl From<LoadError> for Failed {
    fn from(error: LoadError) -> Self {
        Self { error, known: None }
    }
}

/// A component that may become an adapter.
pub(crate) struct Candidate<'a> {
    pub(crate) id: AdapterId,
    pub(crate) digest: Digest,
    bytes: &'a [u8],
    outline: Outline,
}

impl Candidate<'_> {
    /// Whether `lock` approves it.
    pub(crate) fn check(&self, lock: &Lock) -> Result<(), Failed> {
        lock.judge(&self.id, &self.digest, &self.outline.imports)
            .map_err(|error| Failed { error: LoadError::Unapproved(error), known: Some(Box::new(self.known())) })
    }

    fn imports(&self) -> Vec<Named> {
        self.outline.imports.iter().map(|name| Named::new(name)).collect()
    }

    fn known(&self) -> Known {
        Known {
            digest: self.digest.to_string(),
            bytes: self.bytes.len(),
            contract: self.outline.contract.clone(),
            stamped: self.outline.stamped.clone(),
            imports: self.imports().iter().map(|import| import.judge(false)).collect(),
            grants: Vec::new(),
        }
    }
}

/// What loading needs besides the bytes.
pub(crate) struct Loader {
    pub(crate) engine: Engine,
    pub(crate) pool: Pool,
    /// The adapters' queues, and the limits in force.
    pub(crate) queues: Queues,
    pub(crate) cache: Option<Cache>,
    /// The threads that compile.
    pub(crate) compilers: rayon::ThreadPool,
    /// The threads for guests that compute for long.
    pub(crate) aside: Aside,
}

impl Loader {
    /// Looks at a component's bytes, and runs none of them.
    pub(crate) fn open<'a>(&self, id: AdapterId, bytes: &'a [u8]) -> Result<Candidate<'a>, LoadError> {
        check_layer(bytes)?;
        let digest = Digest::from_bytes(sha2::Sha256::digest(bytes).into());
        match outline(bytes) {
            Ok(outline) => Ok(Candidate { id, bytes, digest, outline }),
            Err(OutlineError::ManyNames) => Err(LoadError::ManyNames),
            Err(OutlineError::Malformed(error)) => Err(LoadError::Compile(plain(&error.to_string()))),
        }
    }

    /// Makes an adapter of it. Takes as long as compiling takes.
    pub(crate) fn load(&self, file: Candidate<'_>) -> Result<Adapter, Failed> {
        let loaded = self.compile(&file);
        let known = file.known();
        match loaded {
            Ok((template, imports, exports, description)) => {
                let Known { digest, bytes, contract, stamped, .. } = known;
                let profile = Profile { id: file.id.to_string(), digest, bytes, contract, stamped, description };
                let (profile, imports, exports) = (Arc::new(profile), imports.into(), Arc::new(exports));
                Ok(Adapter { profile, imports, exports, template })
            }
            Err(error) => Err(Failed { error, known: Some(Box::new(known)) }),
        }
    }

    fn compile(&self, file: &Candidate<'_>) -> Result<(Template, Vec<Named>, Exports, Description), LoadError> {
        let imports = file.imports();
        if imports.iter().any(Named::is_refused) {
            let refused = imports.iter().filter(|import| import.is_refused());
            return Err(LoadError::Imports(refused.map(|import| import.judge(false)).collect()));
        }
        check_exports(&file.outline.exports)?;
        let all = self.queues.limits();
        let limits = *all.adapter(&file.id);
        let caller = Caller::new(file.id.clone(), file.digest, limits);
        let component =
            self.component(file.bytes, file.digest).map_err(|e| LoadError::Compile(plain(&format!("{e:#}"))))?;
        let contract = |e: wasmtime::Error| LoadError::Contract(plain(&format!("{e:#}")));
        // What is not among these imports is not linked, so it can't be instantiated.
        let linker = imports::linker(&self.engine, &imports).map_err(contract)?;
        let pre = linker.instantiate_pre(&component).map_err(contract)?;
        let exports = exports(&file.outline.exports, &pre)?;
        let slots = Slots::new(self.pool.clone(), self.queues.of(&file.id), &component);
        let host_memory = HostMemoryLimits::for_adapter(&all, &limits);
        let template = Template { pre, caller, limits, slots, aside: self.aside.places(), host_memory };
        let description = wait_for(describe(&template, &exports))?.map_err(LoadError::Describe)?;
        Ok((template, imports, exports, description))
    }

    /// Compiles the component, unless that was done before.
    fn component(&self, bytes: &[u8], digest: Digest) -> wasmtime::Result<Component> {
        let compile = || self.compilers.install(|| Component::from_binary(&self.engine, bytes));
        match &self.cache {
            Some(cache) => cache.component(&self.engine, digest, compile),
            None => compile(),
        }
    }
}

/// Runs a call of the sandbox on this thread.
fn wait_for<T>(call: impl Future<Output = T>) -> io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(call))
}

/// Asks the component what it is, in an instance that can reach nothing and has little time. It takes no request's place.
async fn describe(template: &Template, exports: &Exports) -> Result<Description, CallError> {
    let full = &template.limits;
    let limits = AdapterLimits { total: full.total.min(DESCRIBE), cpu: full.cpu.min(DESCRIBE), ..*full };
    let (pre, caller, slots) = (template.pre.clone(), template.caller.clone(), template.slots.aside(&limits));
    let aside = template.aside.clone();
    let host_memory = HostMemoryLimits { in_one_call: 1 << 20, outbound: 0, sent: 0 };
    let template = Template { pre, caller, limits, slots, aside, host_memory };
    let call = Call {
        request_id: "describe".into(),
        tenant: Arc::default(),
        started: Instant::now(),
        progress: Progress::default(),
        settings: Arc::default(),
        scope: Scope::Model(Arc::default()),
        local_only: true,
        door: None,
    };
    let mut fresh = template.instantiate(call).await?;
    let about = fresh.load(|store, instance| exports.about.load(store, instance))?;
    let said = fresh.run(|mut fresh| async move {
        let said = about.call_describe(&mut fresh.store).await.map(Ok);
        (fresh, said)
    });
    let (_, said) = said.await?;
    let chat = exports.chat.as_ref().map(|_| "chat");
    let embeddings = exports.embeddings.as_ref().map(|_| "embeddings");
    Ok(Description::new(said, chat.into_iter().chain(embeddings).collect()))
}

/// Tells components from other files by their first eight bytes.
fn check_layer(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes {
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', ..] => Err(LoadError::CoreModule),
        _ => Err(LoadError::NotWasm),
    }
}

const ABOUT: &str = "hauski:adapter/about@0.1.0";
const CHAT: &str = "hauski:adapter/chat@0.1.0";
const EMBEDDINGS: &str = "hauski:adapter/embeddings@0.1.0";

/// Whether these exports are an adapter's.
fn check_exports(exports: &BTreeSet<String>) -> Result<(), LoadError> {
    if !exports.contains(ABOUT) {
        return Err(LoadError::Exports("`hauski:adapter/about@0.1.0`"));
    }
    if !exports.contains(CHAT) && !exports.contains(EMBEDDINGS) {
        return Err(LoadError::Exports("`hauski:adapter/chat@0.1.0` or `hauski:adapter/embeddings@0.1.0`"));
    }
    Ok(())
}

/// Where the exports are.
fn exports(names: &BTreeSet<String>, pre: &InstancePre<State>) -> Result<Exports, LoadError> {
    let has = |name| names.contains(name);
    let contract = |e: wasmtime::Error| LoadError::Contract(plain(&format!("{e:#}")));
    let chat = has(CHAT).then(|| chat::GuestIndices::new(pre)).transpose().map_err(contract)?;
    let embeddings = has(EMBEDDINGS).then(|| embeddings::GuestIndices::new(pre)).transpose().map_err(contract)?;
    Ok(Exports { about: about::GuestIndices::new(pre).map_err(contract)?, chat, embeddings })
}
