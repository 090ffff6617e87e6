//! The engine: how components are compiled, where their memory lies, and what ticks while they run.

use hauski_policy::Limits;
use std::io;
use std::time::Duration;
use wasmtime::{Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Linear memories that the pool holds for all adapters together. Address space, not memory.
pub(crate) const SLOTS: u32 = 2_000;
/// Tables for each memory slot.
pub(crate) const TABLES_PER_SLOT: u32 = 8;
/// Elements of one table; adapters made from Python and JavaScript have the largest.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;
/// Core instances of one component; those made from Python have about 20.
pub(crate) const CORE_INSTANCES: u32 = 64;
/// Memories of one component.
pub(crate) const MAX_MEMORIES: u32 = 8;
/// Tables of one component.
pub(crate) const MAX_TABLES: u32 = 64;
/// Between two epochs. A guest that computes gives way to its neighbours this often, the first time by moving aside.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// Makes the engine and starts its clock, without which no limit on computing would hold. The clock ends with the last handle
/// to the engine.
pub(crate) fn build(limits: &Limits) -> wasmtime::Result<Engine> {
    let pooled = Engine::new(base().allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits))));
    let engine = match pooled {
        Ok(engine) => engine,
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "no address space for the instance pool; instances will start slower"
            );
            Engine::new(base().allocation_strategy(InstanceAllocationStrategy::OnDemand))?
        }
    };
    tick(engine.weak())?;
    Ok(engine)
}

/// Makes an engine that compiles for those of [`build`], and runs nothing: it needs no address space for instances.
pub(crate) fn for_compilation() -> wasmtime::Result<Engine> {
    Engine::new(base().allocation_strategy(InstanceAllocationStrategy::OnDemand))
}

fn base() -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .wasm_memory64(false)
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20);
    config
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        // Only counted: no place is set aside for them.
        .total_core_instances(SLOTS * CORE_INSTANCES)
        .total_memories(SLOTS)
        .total_tables(SLOTS * TABLES_PER_SLOT)
        .total_stacks(SLOTS)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(limits.largest_memory())
        // What an adapter touches on each request is reset in place, which is cheaper than giving the pages back.
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(64 << 10)
        .max_unused_warm_slots(256)
        // An open bug: a page that was swapped out can survive into the next instance.
        .pagemap_scan(Enabled::No);
    pool
}

fn tick(engine: EngineWeak) -> io::Result<()> {
    let clock = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new().name("hauski-epochs".into()).spawn(clock).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{DefaultHasher, Hash, Hasher};

    #[test]
    fn compiler_engine_is_compatible_with_the_pooled_one() {
        let text = include_str!("../../../policies/limits.yaml");
        let hash = |engine: &Engine| {
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        let compiler = for_compilation().unwrap();
        for memory in ["memory_mib: 64", "memory_mib: 512"] {
            let text = text.replace("memory_mib: 64", memory);
            let limits = Limits::parse("limits.yaml", text.as_bytes()).unwrap().value;
            let pooled = base().allocation_strategy(InstanceAllocationStrategy::Pooling(pool(&limits))).clone();
            assert_eq!(hash(&Engine::new(&pooled).unwrap()), hash(&compiler), "{memory}");
        }
        // What is compared is not nothing.
        assert_ne!(hash(&Engine::default()), hash(&compiler));
    }
}
