//! `limits.yaml`: latency budgets, and what clients and adapters may use.

mod shown;

use super::grant::AdapterIdText;
use crate::diagnostics::{Diagnostics, Parsed};
use crate::id::AdapterId;
use crate::limits::{AdapterLimits, LatencyBudgets, LedgerLimits, Limits, ServerLimits};
use crate::node::{Node, Value};
use crate::raw::{Field, FromNode, raw};
use crate::reader::{Reader, Step};
use crate::scalar::{Grammar, Whole};
use crate::yaml;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

type MemoryMib = Whole<1, 4096>;
/// The default of `total_memory_mib`, in bytes.
const DEFAULT_TOTAL_MEMORY: usize = 4096 << 20;

type TotalMib = Whole<2, 1_048_576>;
type Millis = Whole<1, 86_400_000>;
type Instances = Whole<1, 100_000>;
type BodyMib = Whole<1, 4096>;
type FileMib = Whole<1, 1024>;
type Files = Whole<2, 10_000>;
type Queue = Whole<0, 100_000>;
type Retries = Whole<0, 5>;
type Failures = Whole<1, 1000>;
type ProbeSeconds = Whole<0, 86_400>;

raw! {
    /// Budgets and limits. A key is required unless it has a `default`, which applies where the key is absent.
    #[schemars(rename = "Limits")]
    pub(super) struct RawLimits {
        required {
            /// What the front takes from its clients.
            server: RawServer = "{ request_mib: 32, buffered_mib: 256, ... }",
            /// How much of the ledger is kept.
            ledger: RawLedger = "{ file_mib: 64, files: 16 }",
            /// What one request may use of an adapter and of the network behind it.
            adapters: RawAdapters = "{ require_lock: false, defaults: { ... } }",
            /// Latency budgets; nothing is cut off by them. Stands last, so that a file that was cut off is noticed.
            latency: RawLatency = "{ llm_p95_ms: 400 }",
        }
        optional {}
    }
}

// A file that was cut off says nothing less by these defaults. Every section stands before `latency`, and in the shipped file every
// budget before the required `llm_p95_ms`: such a file lacks that key and is refused. In a file with another order a cut can replace
// a budget of this section by its default. That changes a verdict of the console and no limit: nothing is cut off by a budget.
raw! {
    /// Latency budgets; nothing is cut off by them.
    #[schemars(rename = "Latency")]
    pub(super) struct RawLatency {
        required {
            /// The 95th percentile of a chat completion's whole duration with `echo`, in milliseconds: the budget of the k6 gate only.
            llm_p95_ms: Millis = "400",
        }
        defaulted {
            /// The 95th percentile of the time to the first token of a streamed answer, in milliseconds: a budget of the console.
            first_token_p95_ms: Millis = 2000,
            /// The 95th percentile of the latency that the gateway itself adds, in milliseconds: a budget of the console.
            added_p95_ms: Millis = 10,
        }
        optional {}
    }
}

raw! {
    /// What the front takes from its clients.
    #[schemars(rename = "Server")]
    pub(super) struct RawServer {
        required {
            /// The largest request body, in MiB.
            request_mib: Whole<1, 1024> = "32",
            /// The most memory that clients' request bodies may take together while they are read and wait, in MiB; no less than
            /// `request_mib`.
            buffered_mib: Whole<1, 65_536> = "256",
            /// How long a client may take to send its request, in seconds.
            request_seconds: Whole<1, 3600> = "60",
            /// The most connections at once.
            connections: Whole<1, 1_000_000> = "4096",
            /// How long running answers may go on after the signal to stop, in seconds.
            shutdown_seconds: Whole<0, 3600> = "30",
        }
        optional {}
    }
}

raw! {
    /// How much of the ledger is kept.
    #[schemars(rename = "Ledger")]
    pub(super) struct RawLedger {
        required {
            /// How large a file may become before the next one begins, in MiB.
            file_mib: FileMib = "64",
            /// The most files: when there are more, the oldest is deleted.
            files: Files = "16",
        }
        optional {}
    }
}

raw! {
    /// What one request may use of an adapter and of the network behind it.
    #[schemars(rename = "Adapters")]
    pub(super) struct RawAdapters {
        required {
            /// Whether only those adapters serve that `adapters.lock` has, with these bytes and imports.
            require_lock: bool = "false",
            /// For all adapters.
            defaults: RawDefaults = "{ ... }",
        }
        optional {
            /// The most memory of all instances together, in MiB, with request bodies on their way to providers and large answers on
            /// their way to clients; at least twice the largest `memory_mib`. Default: 4096, or that if it is more.
            total_memory_mib: TotalMib,
            /// For single adapters, by id: any of the keys of `defaults`.
            overrides: Overrides,
        }
    }
}

/// The limits of adapters: `defaults` has all of them, `overrides` any.
macro_rules! adapter_limits {
    ($($(#[$meta:meta])* $key:ident: $type:ty = $example:literal,)*) => {
        raw! {
            /// The limits of all adapters.
            #[schemars(rename = "AdapterLimits")]
            pub(super) struct RawDefaults {
                required { $($(#[$meta])* $key: $type = $example,)* }
                optional {}
            }
        }
        raw! {
            /// The limits of one adapter, where they are not those of all.
            #[schemars(rename = "AdapterOverride")]
            pub(super) struct RawOverride {
                required {}
                optional { $($(#[$meta])* $key: $type,)* }
            }
        }
    };
}
adapter_limits! {
    /// The most linear memory, in MiB.
    memory_mib: MemoryMib = "64",
    /// The most time on a processor, in milliseconds.
    cpu_ms: Millis = "5000",
    /// The most requests at once.
    instances: Instances = "256",
    /// From the dial to an established connection, TLS included, in milliseconds.
    connect_ms: Millis = "5000",
    /// From the request to the first byte of the provider's answer, in milliseconds.
    first_token_ms: Millis = "120000",
    /// Between two pieces of the provider's answer, in milliseconds.
    idle_ms: Millis = "60000",
    /// The whole request, in milliseconds.
    total_ms: Millis = "600000",
    /// The largest body of a provider's answer, in MiB.
    response_mib: BodyMib = "64",
    /// The most requests that wait for an instance.
    queue: Queue = "64",
    /// How long one of them waits, in milliseconds.
    queue_ms: Millis = "5000",
    /// How often a request is tried again at the same model while no byte of an answer has come.
    retries: Retries = "1",
    /// After how many failures in a row a model is not asked for a while.
    breaker_failures: Failures = "10",
    /// That while, in milliseconds.
    breaker_ms: Millis = "5000",
    /// Between two looks at whether the provider of a model can be used, in seconds; 0: no looks of their own.
    probe_seconds: ProbeSeconds = "0",
}

/// Single adapters and their limits.
#[derive(Debug)]
pub(super) struct Overrides(Vec<(AdapterId, RawOverride)>);

impl FromNode for Overrides {
    fn from_node(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            reader
                .wrong_type(node, "a map")
                .help("write a map of adapters' ids, such as `{ echo: { total_ms: 900000 } }`");
            return None;
        };
        let mut list = Vec::new();
        for (key, child) in entries {
            let raw = reader.within(Step::Key(key.text.clone()), |reader| RawOverride::from_node(child, reader));
            match AdapterIdText::parse(&key.text) {
                Ok(id) => list.extend(raw.map(|raw| (id.0, raw))),
                Err(fault) => {
                    reader.error(fault.code, &key.span, fault.message).help(fault.help);
                }
            }
        }
        Some(Self(list))
    }
}

impl JsonSchema for Overrides {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Overrides".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": AdapterIdText::PATTERN },
            "additionalProperties": generator.subschema_for::<RawOverride>(),
        })
    }
}

impl Limits {
    /// Parses the text of `file`, whose name is for diagnostics only.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(file: &str, text: &[u8]) -> Result<Parsed<Self>, Diagnostics> {
        let (mut reader, root) = yaml::parse(file, text);
        let value = root.and_then(|root| {
            check_order(&root, &mut reader);
            RawLimits::from_node(&root, &mut reader)?.validate(&mut reader)
        });
        reader.finish(value)
    }
}

impl RawLimits {
    fn validate(self, reader: &mut Reader) -> Option<Limits> {
        let (server, ledger, adapters) = (self.server.get()?, self.ledger.get()?, self.adapters.get()?);
        server.check_buffered(reader);
        let require_lock = adapters.require_lock.get()?;
        let defaults = adapters.defaults.get()?.validate()?;
        let overrides = adapters.overrides.get().map(|all| all.0).unwrap_or_default();
        let overrides: BTreeMap<_, _> = overrides.into_iter().map(|(id, raw)| (id, raw.over(&defaults))).collect();
        let largest =
            overrides.values().chain([&defaults]).map(|adapter| adapter.memory_bytes).max().unwrap_or_default();
        let total_memory = total_memory(adapters.total_memory_mib, 2 * largest, reader);
        Some(Limits {
            latency: self.latency.get()?.validate()?,
            server: ServerLimits {
                request_bytes: bytes(server.request_mib)?,
                buffered_bytes: bytes(server.buffered_mib)?,
                request_time: Duration::from_secs(server.request_seconds.get()?.0),
                connections: count(server.connections)?,
                shutdown: Duration::from_secs(server.shutdown_seconds.get()?.0),
            },
            ledger: LedgerLimits { file_bytes: ledger.file_mib.get()?.0 * MIB, files: count(ledger.files)? },
            require_lock,
            total_memory,
            defaults,
            overrides,
        })
    }
}

/// Returns the bytes of `total_memory_mib`, at least `least`: an instance can always have what its own limit allows if it is alone.
fn total_memory(given: Field<TotalMib>, least: usize, reader: &mut Reader) -> usize {
    if let Field::Given(total) = &given
        && total.value.0 * MIB < least as u64
    {
        let (given, least) = (total.value.0, least as u64 / MIB);
        let message = format!("`total_memory_mib` is {given}, less than twice the largest `memory_mib`");
        reader.error("total-memory-too-small", &total.span, message).help(format!("write {least} or more"));
    }
    bytes(given).unwrap_or(DEFAULT_TOTAL_MEMORY).max(least)
}

impl RawLatency {
    fn validate(self) -> Option<LatencyBudgets> {
        Some(LatencyBudgets {
            llm_p95: duration(self.llm_p95_ms)?,
            first_token_p95: duration(self.first_token_p95_ms)?,
            added_p95: duration(self.added_p95_ms)?,
        })
    }
}

impl RawServer {
    /// The largest body has to fit, or no client could ever send it.
    fn check_buffered(&self, reader: &mut Reader) {
        if let (Field::Given(request), Field::Given(buffered)) = (&self.request_mib, &self.buffered_mib)
            && buffered.value.0 < request.value.0
        {
            let (most, least) = (buffered.value.0, request.value.0);
            let message = format!("`server.buffered_mib` is {most}, so a body of `request_mib`, {least}, never fits");
            reader.error("buffered-too-small", &buffered.span, message).help(format!("write {least} or more"));
        }
    }
}

/// A file that is cut off could lack an override, or the end of a number. So the last section is one by which nothing is cut off.
fn check_order(root: &Node, reader: &mut Reader) {
    let Value::Map(entries) = &root.value else { return };
    let Some((key, _)) = entries.iter().find(|(key, _)| &*key.text == "latency") else { return };
    if entries.last().is_some_and(|(last, _)| *last.text != *key.text) {
        reader
            .warning(
                "latency-not-last",
                &key.span,
                "`latency` is not the last section, so a file that was cut off could say less",
            )
            .help("write it last: its keys show that what stands before it is whole");
    }
}

impl RawDefaults {
    fn validate(self) -> Option<AdapterLimits> {
        Some(AdapterLimits {
            memory_bytes: bytes(self.memory_mib)?,
            cpu: duration(self.cpu_ms)?,
            instances: count(self.instances)?,
            connect: duration(self.connect_ms)?,
            first_token: duration(self.first_token_ms)?,
            idle: duration(self.idle_ms)?,
            total: duration(self.total_ms)?,
            response_bytes: self.response_mib.get()?.0 * MIB,
            queue: count(self.queue)?,
            queue_wait: duration(self.queue_ms)?,
            retries: small(self.retries)?,
            breaker_failures: small(self.breaker_failures)?,
            breaker_open: duration(self.breaker_ms)?,
            probe: probe(self.probe_seconds)?,
        })
    }
}

impl RawOverride {
    fn over(self, defaults: &AdapterLimits) -> AdapterLimits {
        AdapterLimits {
            memory_bytes: bytes(self.memory_mib).unwrap_or(defaults.memory_bytes),
            cpu: duration(self.cpu_ms).unwrap_or(defaults.cpu),
            instances: count(self.instances).unwrap_or(defaults.instances),
            connect: duration(self.connect_ms).unwrap_or(defaults.connect),
            first_token: duration(self.first_token_ms).unwrap_or(defaults.first_token),
            idle: duration(self.idle_ms).unwrap_or(defaults.idle),
            total: duration(self.total_ms).unwrap_or(defaults.total),
            response_bytes: self.response_mib.get().map_or(defaults.response_bytes, |mib| mib.0 * MIB),
            queue: count(self.queue).unwrap_or(defaults.queue),
            queue_wait: duration(self.queue_ms).unwrap_or(defaults.queue_wait),
            retries: small(self.retries).unwrap_or(defaults.retries),
            breaker_failures: small(self.breaker_failures).unwrap_or(defaults.breaker_failures),
            breaker_open: duration(self.breaker_ms).unwrap_or(defaults.breaker_open),
            probe: probe(self.probe_seconds).unwrap_or(defaults.probe),
        }
    }
}

fn duration(field: Field<Millis>) -> Option<Duration> {
    field.get().map(|millis| Duration::from_millis(millis.0))
}

fn count<const MIN: u64, const MAX: u64>(field: Field<Whole<MIN, MAX>>) -> Option<usize> {
    usize::try_from(field.get()?.0).ok()
}

fn small<const MIN: u64, const MAX: u64>(field: Field<Whole<MIN, MAX>>) -> Option<u32> {
    u32::try_from(field.get()?.0).ok()
}

/// `Some(None)`: no probes.
fn probe(field: Field<ProbeSeconds>) -> Option<Option<Duration>> {
    field.get().map(|seconds| (seconds.0 > 0).then(|| Duration::from_secs(seconds.0)))
}

fn bytes<const MIN: u64, const MAX: u64>(field: Field<Whole<MIN, MAX>>) -> Option<usize> {
    usize::try_from(field.get()?.0 * MIB).ok()
}
