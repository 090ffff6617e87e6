//! From a file to an adapter that can serve, or to the reason why it can't.
//!
//! Each step that can fail names what is wrong and what to do. One file's failure hinders no other.

mod error;

pub use error::LoadError;

use self::error::CONTRACT;
use crate::adapter::{Adapter, Exports};
use crate::adapters::Known;
use crate::aside::Aside;
use crate::audit::{Description, Profile, plain};
use crate::bindings::exports::hauski::adapter::{about, chat, embeddings};
use crate::cache::{self, Cache};
use crate::compiler::{CompileError, Compiler};
use crate::error::CallError;
use crate::folder::{self, Stamp};
use crate::imports::{self, Named};
use crate::instance::{HostMemoryLimits, Template};
use crate::progress::Progress;
use crate::slots::{Pool, Queues, Slots, Tenant};
use crate::stamped::{Outline, OutlineError, Stamped, outline};
use crate::state::{Call, State};
use hauski_egress::Caller;
use hauski_policy::{AdapterId, AdapterLimits, Digest, Lock, Scope, Unapproved};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre};

/// The processor time that an adapter may take to describe itself.
const DESCRIBE_CPU: Duration = Duration::from_secs(5);
/// The time that it may take altogether, on a machine that is busy with other things.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// A file that is no adapter, or none that may serve.
pub(crate) struct Failed {
    pub(crate) error: LoadError,
    /// What its bytes say, where they are a component's.
    pub(crate) known: Option<Box<Known>>,
}

impl Failed {
    /// A file whose bytes nobody has approved: they are not parsed, so that nothing else is known of them.
    pub(crate) fn unapproved(error: Unapproved, digest: Digest, bytes: usize) -> Self {
        let known = Known {
            digest: digest.to_string(),
            bytes,
            contract: None,
            stamped: Stamped::default(),
            imports: None,
            grants: Vec::new(),
        };
        Self { error: LoadError::Unapproved(error), known: Some(Box::new(known)) }
    }
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

    /// Checks that its exports are an adapter's, and returns its imports.
    pub(crate) fn check_names(&self) -> Result<Vec<Named>, LoadError> {
        let imports = self.imports();
        let patch = |version: &str| version.strip_prefix(CONTRACT).is_some_and(|rest| rest.starts_with('.'));
        // Its names are all strange then, and the version is what is wrong with them.
        if let Some(version) = self.outline.contract.as_ref().filter(|version| !patch(version)) {
            return Err(LoadError::OtherContract(version.clone()));
        }
        if imports.iter().any(Named::is_refused) {
            let refused = imports.iter().filter(|import| import.is_refused());
            return Err(LoadError::Imports(refused.map(|import| import.judge(false)).collect()));
        }
        check_exports(&self.outline.exports)?;
        Ok(imports)
    }

    /// Returns the names of its imports.
    pub(crate) fn into_import_names(self) -> BTreeSet<String> {
        self.outline.imports
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
            imports: Some(self.imports().iter().map(|import| import.judge(false)).collect()),
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
    pub(crate) compiler: Compiler,
    /// The threads for guests that compute for long.
    pub(crate) aside: Aside,
}

/// Checks what can be said of a file without reading it, and returns its id.
pub(crate) fn check(name: &OsStr, stamp: &Stamp) -> Result<AdapterId, LoadError> {
    let name = Path::new(name);
    if name.extension().is_some_and(|kind| kind == "cwasm") {
        return Err(LoadError::Precompiled);
    }
    let stem = name.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let id: AdapterId = stem.parse()?;
    if id.is_reserved() {
        return Err(LoadError::Reserved(id));
    }
    if !stamp.is_file() {
        return Err(LoadError::NotAFile);
    }
    if stamp.is_writable_by_all() {
        return Err(LoadError::Writable);
    }
    if stamp.bytes() > folder::FILE_BYTES {
        return Err(LoadError::TooLarge(stamp.bytes()));
    }
    Ok(id)
}

/// Where compiled code comes from.
pub(crate) enum Compilation<'a> {
    /// Only from the cache.
    Kept,
    /// From the cache, or else from the compiler, which goes on until this says that its time is over.
    Until(&'a dyn Fn(Duration) -> bool),
}

/// Parses a component's imports and exports, and runs and compiles nothing.
pub(crate) fn open(id: AdapterId, digest: Digest, bytes: &[u8]) -> Result<Candidate<'_>, LoadError> {
    check_layer(bytes)?;
    match outline(bytes) {
        Ok(outline) => Ok(Candidate { id, bytes, digest, outline }),
        Err(OutlineError::ManyNames) => Err(LoadError::ManyNames),
        Err(OutlineError::Malformed(error)) => Err(LoadError::Compile(plain(&error.to_string()))),
    }
}

impl Loader {
    /// Makes an adapter of it. Takes as long as compiling takes. [`LoadError::Loading`] is returned where `compilation` ends before that.
    pub(crate) fn load(&self, file: Candidate<'_>, compilation: &Compilation<'_>) -> Result<Adapter, Failed> {
        let loaded = self.prepare(&file, compilation);
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

    fn prepare(
        &self,
        file: &Candidate<'_>,
        compilation: &Compilation<'_>,
    ) -> Result<(Template, Vec<Named>, Exports, Description), LoadError> {
        let imports = file.check_names()?;
        let all = self.queues.limits();
        let limits = *all.adapter(&file.id);
        let caller = Caller::new(file.id.clone(), file.digest, limits);
        let component = self.component(file, compilation)?;
        let contract = |e: wasmtime::Error| LoadError::Contract(plain(&format!("{e:#}")));
        // What is not among these imports is not linked, so it can't be instantiated.
        let linker = imports::linker(&self.engine, &imports).map_err(contract)?;
        let pre = linker.instantiate_pre(&component).map_err(contract)?;
        let exports = exports(&file.outline.exports, &pre)?;
        let slots = Slots::new(self.pool.clone(), self.queues.of(&file.id), &component);
        let host_memory = HostMemoryLimits::for_adapter(&all, &limits);
        let template = Template { pre, caller, limits, slots, aside: self.aside.places(), host_memory };
        let description = wait_for(describe(&template, &exports))?.map_err(LoadError::of_describe)?;
        Ok((template, imports, exports, description))
    }

    /// Compiles the component, unless that was done before.
    fn component(&self, file: &Candidate<'_>, compilation: &Compilation<'_>) -> Result<Component, LoadError> {
        if let Some(kept) = self.cache.as_ref().and_then(|cache| cache.get(&self.engine, file.digest)) {
            return Ok(kept);
        }
        let Compilation::Until(is_over) = compilation else { return Err(LoadError::Loading) };
        let code = self.compiler.compile(file.bytes, is_over).map_err(|error| match error {
            CompileError::Rejected(reason) => LoadError::Compile(plain(&reason)),
            CompileError::Memory => LoadError::Memory,
            CompileError::Cpu => LoadError::Slow,
            CompileError::Stopped => LoadError::Loading,
            CompileError::Crashed(status) => LoadError::Compiler(status.to_string()),
            CompileError::Io(error) => LoadError::Compiler(error.to_string()),
        })?;
        if let Some(cache) = &self.cache {
            cache.put(file.digest, &code);
        }
        cache::deserialize(&self.engine, &code).map_err(|error| LoadError::Compiler(plain(&format!("{error:#}"))))
    }
}

/// Runs a call of the sandbox on this thread.
fn wait_for<T>(call: impl Future<Output = T>) -> io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(call))
}

/// Asks the component what it is, in an instance that can reach nothing and has little time. It takes no request's place.
async fn describe(template: &Template, exports: &Exports) -> Result<Description, CallError> {
    let full = &template.limits;
    let limits = AdapterLimits { total: full.total.min(DESCRIBE_TIMEOUT), cpu: full.cpu.min(DESCRIBE_CPU), ..*full };
    let (pre, caller, slots) = (template.pre.clone(), template.caller.clone(), template.slots.aside(&limits));
    let aside = template.aside.clone();
    let host_memory = HostMemoryLimits { in_one_call: 1 << 20, outbound: 0, sent: 0 };
    let template = Template { pre, caller, limits, slots, aside, host_memory };
    let call = Call {
        request_id: "describe".into(),
        tenant: Tenant::default(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_of_the_contract_is_named_where_it_is_not_ours() {
        let check = |version: &str| {
            let names = |names: &[&str]| names.iter().map(|name| format!("hauski:adapter/{name}@{version}")).collect();
            let (imports, exports) = (names(&["log"]), names(&["about", "chat"]));
            let outline = Outline { imports, exports, contract: Some(version.to_owned()), ..Outline::default() };
            let candidate =
                Candidate { id: "a".parse().unwrap(), digest: Digest::from_bytes([0; 32]), bytes: b"", outline };
            candidate.check_names().map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(check("0.1.0"), Ok(()));
        for version in ["0.2.0", "0.10.0", "1.0.0"] {
            let error = check(version).unwrap_err();
            assert!(error.contains(&format!("built for `hauski:adapter@{version}`")), "{error}");
        }
    }
}
