//! A fresh instance for each call: made within limits, run within limits, gone afterwards.

use crate::AdapterError;
use crate::consumption::Consumption;
use crate::engine::TICK;
use crate::error::CallError;
use crate::memory::MemoryLimit;
use crate::meter::{Meter, Metered};
use crate::slots::{Slot, Slots};
use crate::state::{Call, State};
use hauski_egress::Caller;
use hauski_policy::AdapterLimits;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, UpdateDeadline};

/// Component handles that a guest may have at once.
const HANDLES: usize = 4_096;

/// What instances of one adapter are made from.
pub(crate) struct Template {
    pub(crate) pre: InstancePre<State>,
    pub(crate) caller: Caller,
    pub(crate) limits: AdapterLimits,
    pub(crate) slots: Slots,
    /// Bytes that a guest may hand over in one call: what the largest request or answer needs.
    pub(crate) hostcall_bytes: usize,
}

/// A fresh instance with the store that holds its memory.
pub(crate) struct Fresh {
    store: Store<State>,
    instance: Instance,
    limits: AdapterLimits,
    consumption: Arc<Consumption>,
    /// Given back when the instance is gone.
    _slot: Slot,
}

impl Template {
    /// Makes an instance that lives for one call. Waiting for a slot is part of the call's total time.
    pub(crate) async fn instantiate(&self, call: Call) -> Result<Fresh, CallError> {
        let deadline = call.started + self.limits.total;
        let consumption = self.slots.consumption();
        let slot = self.slots.acquire(&call.tenant, deadline).await.inspect_err(|error| consumption.note(error))?;
        let memory = MemoryLimit::new(consumption.clone(), self.limits.memory_bytes);
        let state = State::new(call, self.caller.clone(), deadline, memory);
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(self.hostcall_bytes);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        let cpu = self.limits.cpu;
        store.epoch_deadline_callback(move |store| tick(&store.data().meter, cpu));
        let meter = store.data().meter.clone();
        let instance = within(deadline, meter, self.pre.instantiate_async(&mut store)).await;
        let error = match instance {
            Some(Ok(instance)) => {
                let consumption = consumption.clone();
                return Ok(Fresh { store, instance, limits: self.limits, consumption, _slot: slot });
            }
            Some(Err(error)) => explain(&error, &store, &self.limits),
            None => CallError::TotalTimeout(self.limits.total),
        };
        consumption.note(&error);
        Err(error)
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
        call: impl AsyncFnOnce(&mut Store<State>) -> wasmtime::Result<Result<T, AdapterError>>,
    ) -> Result<T, CallError> {
        let deadline = self.store.data().deadline;
        let meter = self.store.data().meter.clone();
        let answer = match within(deadline, meter, call(&mut self.store)).await {
            // The door's clock and this one end at the same moment.
            Some(Ok(Err(AdapterError::Timeout(_)))) if Instant::now() >= deadline => {
                Err(CallError::TotalTimeout(self.limits.total))
            }
            Some(Ok(answer)) => answer.map_err(CallError::Adapter),
            Some(Err(error)) => Err(explain(&error, &self.store, &self.limits)),
            None => Err(CallError::TotalTimeout(self.limits.total)),
        };
        answer.inspect_err(|error| self.consumption.note(error))
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.consumption.computed(self.store.data().meter.used());
    }
}

/// Called when the engine's clock has moved while the guest computes: ends it, or lets its neighbours go first.
fn tick(meter: &Meter, cpu: Duration) -> wasmtime::Result<UpdateDeadline> {
    meter.tick();
    if meter.used() > cpu {
        return Err(TooLong.into());
    }
    if meter.running() < TICK {
        // The clock moved while it waited; it has only just begun to compute again.
        return Ok(UpdateDeadline::Continue(1));
    }
    // tokio's own, which is woken only after sockets and timers have been looked at; any other starves them.
    Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
}

/// Runs `work` with the meter on, at the longest until `deadline`.
async fn within<T>(deadline: Instant, meter: Arc<Meter>, work: impl Future<Output = T>) -> Option<T> {
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
    let cause = error.root_cause().to_string();
    // The engine has no public type for this.
    if cause.contains("fuel allocated for hostcalls") {
        return CallError::HandedOverTooMuch(store.hostcall_fuel());
    }
    CallError::Trapped(cause)
}

/// Ends an instance that has computed too long.
#[derive(Debug, thiserror::Error)]
#[error("computed too long")]
struct TooLong;
