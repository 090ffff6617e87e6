//! A loaded adapter: everything a request needs to get a fresh instance, and the calls it can make.

use crate::audit::Audit;
use crate::bindings::exports::hauski::adapter::{about, chat, embeddings};
use crate::error::CallError;
use crate::meter::{Meter, Metered};
use crate::reply::Reply;
use crate::slots::{Slot, Slots};
use crate::state::{Call, State};
use hauski_egress::Caller;
use hauski_policy::{AdapterLimits, Locality};
use std::sync::Arc;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Engine, Store, UpdateDeadline};

/// An adapter that can serve.
pub struct Adapter {
    pub(crate) audit: Audit,
    pub(crate) caller: Caller,
    pub(crate) limits: AdapterLimits,
    pub(crate) exports: Exports,
    pub(crate) pre: InstancePre<State>,
    pub(crate) slots: Slots,
    pub(crate) hostcall_bytes: usize,
}

/// Where the component's exports are; `about` is always there, and one of the others.
pub(crate) struct Exports {
    pub(crate) about: about::GuestIndices,
    pub(crate) chat: Option<chat::GuestIndices>,
    pub(crate) embeddings: Option<embeddings::GuestIndices>,
}

/// A fresh instance with the store that holds its memory.
pub(crate) struct Fresh {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
    pub(crate) limits: AdapterLimits,
    /// Given back when the instance is gone.
    _slot: Slot,
}

impl Adapter {
    /// What the adapter is, imports, and may reach.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The adapter's limits.
    #[must_use]
    pub fn limits(&self) -> &AdapterLimits {
        &self.limits
    }

    /// Whether what it is sent can leave this machine.
    #[must_use]
    pub fn locality(&self) -> Locality {
        self.caller.grants().locality()
    }

    /// Requests that it serves at this moment.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.slots.in_use()
    }

    /// Answers a chat request as a whole. `request` and answer are JSON in OpenAI's dialect.
    ///
    /// # Errors
    /// If the adapter gives none; see [`CallError`].
    pub async fn complete(&self, call: Call, request: String) -> Result<String, CallError> {
        let indices = self.exports.chat.as_ref().ok_or(CallError::NotServed("chat"))?;
        let mut fresh = self.instantiate(call).await?;
        let chat = fresh.load(|store, instance| indices.load(store, instance))?;
        fresh.run(async |store| chat.call_complete(store, &request).await).await
    }

    /// Answers a chat request piece by piece.
    ///
    /// # Errors
    /// If the provider or the adapter refuses it; what breaks later is an error of [`Reply::next`].
    pub async fn start(&self, call: Call, request: String) -> Result<Reply, CallError> {
        let indices = self.exports.chat.as_ref().ok_or(CallError::NotServed("chat"))?;
        let mut fresh = self.instantiate(call).await?;
        let chat = fresh.load(|store, instance| indices.load(store, instance))?;
        let reply = fresh.run(async |store| chat.call_start(store, &request).await).await?;
        Ok(Reply::new(fresh, chat, reply))
    }

    /// Answers an embeddings request.
    ///
    /// # Errors
    /// If the adapter gives no answer; see [`CallError`].
    pub async fn embed(&self, call: Call, request: String) -> Result<String, CallError> {
        let indices = self.exports.embeddings.as_ref().ok_or(CallError::NotServed("embeddings"))?;
        let mut fresh = self.instantiate(call).await?;
        let embeddings = fresh.load(|store, instance| indices.load(store, instance))?;
        fresh.run(async |store| embeddings.call_embed(store, &request).await).await
    }

    /// What the provider serves now, as JSON objects of OpenAI's `GET /v1/models`; also the health probe.
    ///
    /// # Errors
    /// If the provider can't be used at present.
    pub async fn models(&self, call: Call) -> Result<Vec<String>, CallError> {
        let mut fresh = self.instantiate(call).await?;
        let about = fresh.load(|store, instance| self.exports.about.load(store, instance))?;
        fresh.run(async |store| about.call_models(store).await).await
    }

    async fn instantiate(&self, call: Call) -> Result<Fresh, CallError> {
        let slot = self.slots.acquire(self.limits.total).await?;
        let engine = self.pre.component().engine();
        instantiate(engine, &self.pre, call, self.caller.clone(), &self.limits, self.hostcall_bytes, slot).await
    }
}

/// Makes an instance that lives for one call.
pub(crate) async fn instantiate(
    engine: &Engine,
    pre: &InstancePre<State>,
    call: Call,
    caller: Caller,
    limits: &AdapterLimits,
    hostcall_bytes: usize,
    slot: Slot,
) -> Result<Fresh, CallError> {
    let state = State::new(call, caller, limits.total, limits.memory_bytes);
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(hostcall_bytes);
    store.set_max_component_handles(4_096);
    store.set_epoch_deadline(1);
    let cpu = limits.cpu;
    store.epoch_deadline_callback(move |store| {
        if store.data().meter.used() > cpu { Err(TooLong.into()) } else { Ok(UpdateDeadline::Yield(1)) }
    });
    let deadline = store.data().deadline;
    let meter = store.data().meter.clone();
    match within(deadline, meter, pre.instantiate_async(&mut store)).await {
        Some(Ok(instance)) => Ok(Fresh { store, instance, limits: *limits, _slot: slot }),
        Some(Err(error)) => Err(explain(&error, &store, limits)),
        None => Err(CallError::TotalTimeout(limits.total)),
    }
}

impl Fresh {
    /// Looks up an export.
    pub(crate) fn load<T>(
        &mut self,
        lookup: impl FnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        lookup(&mut self.store, &self.instance).map_err(|error| explain(&error, &self.store, &self.limits))
    }

    /// Runs a call of the instance within the request's limits.
    pub(crate) async fn run<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut Store<State>) -> wasmtime::Result<Result<T, crate::AdapterError>>,
    ) -> Result<T, CallError> {
        let deadline = self.store.data().deadline;
        let meter = self.store.data().meter.clone();
        match within(deadline, meter, call(&mut self.store)).await {
            Some(Ok(answer)) => answer.map_err(CallError::Adapter),
            Some(Err(error)) => Err(explain(&error, &self.store, &self.limits)),
            None => Err(CallError::TotalTimeout(self.limits.total)),
        }
    }
}

/// Runs `work` with the meter on, at the longest until `deadline`.
async fn within<T>(deadline: tokio::time::Instant, meter: Arc<Meter>, work: impl Future<Output = T>) -> Option<T> {
    let work = std::pin::pin!(work);
    tokio::time::timeout_at(deadline, Metered { future: work, meter }).await.ok()
}

/// Says in the limits' words why an instance ended.
fn explain(error: &wasmtime::Error, store: &Store<State>, limits: &AdapterLimits) -> CallError {
    if error.is::<TooLong>() {
        return CallError::ComputedTooLong(limits.cpu);
    }
    if let Some(limit) = store.data().memory.hit() {
        return CallError::OutOfMemory(limit);
    }
    CallError::Trapped(error.root_cause().to_string())
}

/// Ends an instance that has computed too long.
#[derive(Debug, thiserror::Error)]
#[error("computed too long")]
struct TooLong;
