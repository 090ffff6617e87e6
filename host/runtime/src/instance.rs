//! A fresh instance for each call: made within limits, run within limits, gone afterwards.

use crate::AdapterError;
use crate::aside::{Places, Run};
use crate::consumption::Consumption;
use crate::engine::TICK;
use crate::error::{self, CallError, Full};
use crate::memory::{Hit, MemoryLimit};
use crate::meter::Meter;
use crate::reply::AnswerPlace;
use crate::sends::Sends;
use crate::slots::{Slot, Slots};
use crate::state::{Call, State};
use hauski_egress::Caller;
use hauski_policy::{AdapterLimits, Limits};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, UpdateDeadline};

/// How long a guest that has moved aside goes on before others there have their turn.
const ASIDE: Duration = Duration::from_millis(10);
/// What an instance may hold for its end to take next to no time.
const SMALL: usize = 2 << 20;
/// Component handles that a guest may have at once.
const HANDLES: usize = 4_096;

/// What instances of one adapter are made from.
pub(crate) struct Template {
    pub(crate) pre: InstancePre<State>,
    pub(crate) caller: Caller,
    pub(crate) limits: AdapterLimits,
    pub(crate) slots: Slots,
    /// Where it goes on if it computes for long.
    pub(crate) aside: Places,
    pub(crate) host_memory: HostMemoryLimits,
}

/// Bounds on the host's memory for what guests hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostMemoryLimits {
    /// Bytes that a guest may hand over in one call: what the largest request or answer needs.
    pub(crate) in_one_call: usize,
    /// Bytes of the adapter's request bodies that providers have not yet taken: as much as the bodies of clients may take.
    pub(crate) outbound: usize,
    /// Bytes of bodies that one request may send in all: several times the largest request or answer.
    pub(crate) sent: u64,
}

impl HostMemoryLimits {
    /// Returns the bounds of an adapter under `limits`.
    pub(crate) fn for_adapter(all: &Limits, limits: &AdapterLimits) -> Self {
        let response_bytes = usize::try_from(limits.response_bytes).unwrap_or(usize::MAX);
        let in_one_call = all.server.request_bytes.max(response_bytes).saturating_add(1 << 20);
        let sent = (in_one_call as u64).saturating_mul(8);
        Self { in_one_call, outbound: all.server.buffered_bytes.max(in_one_call), sent }
    }
}

/// A fresh instance with the store that holds its memory.
pub(crate) struct Fresh {
    pub(crate) store: Store<State>,
    instance: Instance,
    limits: AdapterLimits,
    aside: Places,
    consumption: Arc<Consumption>,
    /// Given back when the instance is gone.
    _slot: Slot,
}

/// What a call of an instance gives: the instance again, and what the guest has answered.
pub(crate) type Called<T> = (Box<Fresh>, wasmtime::Result<Result<T, AdapterError>>);

impl Template {
    /// Returns the same template under other limits; the queue is shared and follows them by itself.
    pub(crate) fn with_limits(&self, all: &Limits) -> Self {
        let limits = *all.adapter(self.caller.id());
        Self {
            pre: self.pre.clone(),
            caller: Caller::new(self.caller.id().clone(), *self.caller.digest(), limits),
            limits,
            slots: self.slots.clone(),
            aside: self.aside.clone(),
            host_memory: HostMemoryLimits::for_adapter(all, &limits),
        }
    }

    /// Returns whether these limits are in force for it.
    pub(crate) fn is_under(&self, all: &Limits) -> bool {
        let limits = all.adapter(self.caller.id());
        self.limits == *limits && self.host_memory == HostMemoryLimits::for_adapter(all, limits)
    }

    /// Makes an instance that lives for one call. Waiting for a slot is part of the call's total time.
    pub(crate) async fn instantiate(&self, call: Call) -> Result<Box<Fresh>, CallError> {
        let deadline = call.started + self.limits.total;
        let consumption = self.slots.consumption();
        let slot = self.slots.acquire(&call.tenant, deadline, self.limits.queue_wait).await;
        let slot = slot.inspect_err(|error| consumption.note(error))?;
        let memory = MemoryLimit::new(consumption.memory().clone(), self.limits.memory_bytes);
        let meter = Meter::new(consumption.clone());
        let sends = Sends::new(self.limits.memory_bytes, self.host_memory, consumption.clone());
        let state = State::new(call, self.caller.clone(), deadline, meter.clone(), memory, sends);
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(self.host_memory.in_one_call);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        let cpu = self.limits.cpu;
        store.epoch_deadline_callback(move |store| tick(&store.data().meter, cpu));
        let (aside, meter) = (self.aside.clone(), meter.clone());
        let run = Run { aside, consumption: consumption.clone(), meter: meter.clone(), deadline, cpu };
        let pre = self.pre.clone();
        let made = run.run(async move {
            let instance = pre.instantiate_async(&mut store).await;
            // The slot goes with the store, wherever that ends.
            (store, instance, slot)
        });
        let error = match made.await {
            Some((store, Ok(instance), slot)) => {
                let (aside, consumption) = (self.aside.clone(), consumption.clone());
                return Ok(Box::new(Fresh { store, instance, limits: self.limits, aside, consumption, _slot: slot }));
            }
            Some((store, Err(error), _slot)) => explain(&error, &store, &self.limits),
            None => to_limit_error(&meter, &self.limits),
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

    /// Runs a call of the instance within the request's limits, and gives the instance back with the answer.
    pub(crate) async fn run<T, W>(
        self: Box<Self>,
        call: impl FnOnce(Box<Self>) -> W,
    ) -> Result<(Box<Self>, T), CallError>
    where
        T: Send + 'static,
        W: Future<Output = Called<T>> + Send + 'static,
    {
        let State { deadline, meter, .. } = self.store.data();
        let (deadline, limits, consumption) = (*deadline, self.limits, self.consumption.clone());
        let (aside, cpu, meter) = (self.aside.clone(), limits.cpu, meter.clone());
        let run = Run { aside, consumption: consumption.clone(), meter: meter.clone(), deadline, cpu };
        let answer = match run.run(call(self)).await {
            // The door's clock and this one end at the same moment.
            Some((_, Ok(Err(AdapterError::Timeout(_))))) if Instant::now() >= deadline => {
                Err(CallError::TotalTimeout(limits.total))
            }
            Some((fresh, Ok(Ok(answer)))) => Ok((fresh, answer)),
            Some((fresh, Ok(Err(error)))) => {
                fresh.end();
                Err(CallError::Adapter(error::bound(error)))
            }
            Some((fresh, Err(error))) => {
                let error = explain(&error, &fresh.store, &limits);
                fresh.end();
                Err(error)
            }
            None => Err(to_limit_error(&meter, &limits)),
        };
        answer.inspect_err(|error| consumption.note(error))
    }

    /// Takes a place for an answer of so many bytes that the instance has given.
    pub(crate) fn take_place(&self, bytes: usize) -> Result<AnswerPlace, CallError> {
        AnswerPlace::take(&self.consumption, bytes).inspect_err(|error| self.consumption.note(error))
    }

    /// Ends the instance. To give much memory back takes its time, so that is done aside.
    pub(crate) fn end(self: Box<Self>) {
        if self.store.data().memory.used() > SMALL {
            let aside = self.aside.clone();
            aside.spawn(async move { drop(self) });
        }
    }
}

/// Called when the engine's clock has moved while the guest computes: ends it, or lets its neighbours go first.
fn tick(meter: &Meter, cpu: Duration) -> wasmtime::Result<UpdateDeadline> {
    meter.tick();
    if meter.used() > cpu {
        return Err(TooLong.into());
    }
    // Once it has moved aside, nobody quick waits for it, and it is let on for longer; but not where it is not let on.
    let goes_on = if meter.is_aside() { meter.turn() < ASIDE } else { meter.running() < TICK };
    if goes_on {
        // The clock moved while it waited; it has only just begun to compute again.
        return Ok(UpdateDeadline::Continue(1));
    }
    // tokio's own, which is woken only after sockets and timers have been looked at; any other starves them.
    Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
}

/// Returns the limit that ended an instance from outside.
fn to_limit_error(meter: &Meter, limits: &AdapterLimits) -> CallError {
    match meter.finished() > limits.cpu {
        true => CallError::ComputedTooLong(limits.cpu),
        false => CallError::TotalTimeout(limits.total),
    }
}

/// Says in the limits' words why an instance ended.
fn explain(error: &wasmtime::Error, store: &Store<State>, limits: &AdapterLimits) -> CallError {
    if error.is::<TooLong>() {
        return CallError::ComputedTooLong(limits.cpu);
    }
    match store.data().memory.hit() {
        Some(Hit::Own(limit)) => return CallError::OutOfMemory(limit),
        Some(Hit::Total(total)) => return CallError::Busy(Full::Memory { total }),
        None => {}
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
