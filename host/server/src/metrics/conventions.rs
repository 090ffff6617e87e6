//! Prometheus' conventions for metrics: a prefix, base units, `_total` for counters.
//!
//! Each family is checked when it is registered, so a test that starts a gateway checks all of them.

use prometheus::core::Collector;
use prometheus::proto::MetricType;
use prometheus::{Error, Registry};

/// The families without a prefix: the budget gate and others read this one under its old name.
const CONTRACT: [&str; 1] = [super::REQUEST_SECONDS];
/// The prefixes: the gateway's own, and the one that all programs share.
const PREFIXES: [&str; 2] = ["hauski_", "process_"];
/// Units that are not base units.
const UNITS: [&str; 15] = [
    "ms",
    "millis",
    "milliseconds",
    "us",
    "microseconds",
    "ns",
    "nanoseconds",
    "minutes",
    "hours",
    "kib",
    "mib",
    "gib",
    "kb",
    "mb",
    "percent",
];

/// Registers a collector.
///
/// # Errors
/// If one of its families breaks the conventions, or has a name that is taken.
pub(super) fn register(registry: &Registry, collector: Box<dyn Collector>) -> Result<(), Error> {
    for family in collector.collect() {
        check(family.name(), family.get_field_type(), family.help())
            .map_err(|rule| Error::Msg(format!("`{}` {rule}", family.name())))?;
    }
    registry.register(collector)
}

/// Returns the rule that a family breaks, as what follows its name.
fn check(name: &str, kind: MetricType, help: &str) -> Result<(), &'static str> {
    if !CONTRACT.contains(&name) && !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err("has no prefix");
    }
    if name.split('_').any(|word| UNITS.contains(&word)) {
        return Err("is not in a base unit");
    }
    if name.ends_with("_total") != (kind == MetricType::COUNTER) {
        return Err("ends with `_total` and is no counter, or the other way round");
    }
    if kind == MetricType::HISTOGRAM && !name.ends_with("_seconds") && !name.ends_with("_bytes") {
        return Err("is a histogram whose name has no unit");
    }
    if help.is_empty() { Err("has no help text") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::IntCounter;

    #[test]
    fn check_finds_broken_conventions() {
        let (counter, gauge, histogram) = (MetricType::COUNTER, MetricType::GAUGE, MetricType::HISTOGRAM);
        for (name, kind, help, expected) in [
            ("hauski_tokens_total", counter, "x", Ok(())),
            ("hauski_adapters", gauge, "x", Ok(())),
            ("hauski_added_latency_seconds", histogram, "x", Ok(())),
            ("process_cpu_seconds_total", counter, "x", Ok(())),
            ("http_request_duration_seconds", histogram, "x", Ok(())),
            ("tokens_total", counter, "x", Err("has no prefix")),
            ("http_requests_total", counter, "x", Err("has no prefix")),
            ("hauski_wait_ms", gauge, "x", Err("is not in a base unit")),
            ("hauski_memory_mib_total", counter, "x", Err("is not in a base unit")),
            ("hauski_tokens", counter, "x", Err("ends with `_total` and is no counter, or the other way round")),
            ("hauski_adapters_total", gauge, "x", Err("ends with `_total` and is no counter, or the other way round")),
            ("hauski_latency", histogram, "x", Err("is a histogram whose name has no unit")),
            ("hauski_adapters", gauge, "", Err("has no help text")),
        ] {
            assert_eq!(check(name, kind, help), expected, "{name}");
        }
    }

    #[test]
    fn register_rejects_names_that_break_the_conventions() {
        let registry = Registry::new();
        let counter = IntCounter::new("hauski_things", "Things.").unwrap();
        let error = register(&registry, Box::new(counter)).unwrap_err();
        let expected = "`hauski_things` ends with `_total` and is no counter, or the other way round";
        assert!(error.to_string().contains(expected), "{error}");
        assert!(registry.gather().is_empty());
    }
}
