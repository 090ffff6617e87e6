//! What a store holds for the one request that it lives for.

use crate::memory::MemoryLimit;
use crate::meter::Meter;
use crate::progress::Progress;
use crate::sends::Sends;
use crate::slots::Tenant;
use crate::wasi_http::Hooks;
use hauski_egress::{Caller, Door};
use hauski_policy::Scope;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;
use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Resources that a guest may hold at once: answers, streams, header maps, bodies. Each can cost the host 128 KiB.
const RESOURCES: usize = 512;
/// Random bytes that a guest may ask for in one call.
const RANDOM_BYTES: u64 = 64 << 10;
/// Bytes of one header map of `wasi:http`.
const HEADER_BYTES: usize = 64 << 10;

/// What a call brings along.
#[derive(Clone)]
pub struct Call {
    /// The request's id, for log lines.
    pub request_id: Arc<str>,
    /// The client that it is from, for the queue's turns and the client's share of the instances.
    pub tenant: Tenant,
    /// When the request began: its total time counts from here, however often it is tried.
    pub started: Instant,
    /// How far it has come at its providers.
    pub progress: Progress,
    /// The `config` of the model that is asked: keys and their JSON text.
    pub settings: Arc<BTreeMap<Box<str>, Box<str>>>,
    /// The model that is served: only the grants in its reach apply.
    pub scope: Scope,
    /// Whether the request may reach only what is local.
    pub local_only: bool,
    /// The way out; `None` is an instance that can reach nothing.
    pub door: Option<Arc<Door>>,
}

/// The data of a store.
pub(crate) struct State {
    pub(crate) call: Call,
    pub(crate) caller: Caller,
    pub(crate) deadline: Instant,
    pub(crate) meter: Arc<Meter>,
    pub(crate) memory: MemoryLimit,
    pub(crate) table: ResourceTable,
    pub(crate) log_lines: u32,
    pub(crate) sends: Sends,
    wasi: Option<WasiCtx>,
    http: WasiHttpCtx,
    hooks: Hooks,
}

impl State {
    pub(crate) fn new(
        call: Call,
        caller: Caller,
        deadline: Instant,
        meter: Arc<Meter>,
        memory: MemoryLimit,
        sends: Sends,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(HEADER_BYTES);
        Self {
            hooks: Hooks::new(&call, &caller, deadline, sends.clone()),
            sends,
            deadline,
            meter,
            memory,
            table,
            log_lines: 0,
            wasi: None,
            http,
            call,
            caller,
        }
    }
}

/// Adapters that never touch WASI don't pay for its context: seeding its random numbers is most of a store's cost.
impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self.wasi.get_or_insert_with(|| WasiCtx::builder().max_random_size(RANDOM_BYTES).build());
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

impl crate::bindings::hauski::adapter::model_types::Host for State {}

/// Shows `wasi:io` the table.
pub(crate) struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}
