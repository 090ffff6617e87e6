//! The limits of adapters as metrics: a family for each unit, in base units, labeled with the keys of `limits.yaml`.

use super::conventions::register;
use hauski_policy::AdapterLimits;
use prometheus::{Error, GaugeVec, Opts, Registry};

const MIB: f64 = 1_048_576.0;

/// The gauges of the limits.
pub(super) struct LimitMetrics {
    seconds: GaugeVec,
    bytes: GaugeVec,
    count: GaugeVec,
}

/// The unit of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Bytes,
    Count,
}

impl LimitMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let gauge = |unit: &str, help: &str| {
            let opts = Opts::new(format!("hauski_adapter_limit_{unit}"), help);
            let gauge = GaugeVec::new(opts, &["adapter", "limit"])?;
            register(registry, Box::new(gauge.clone()))?;
            Ok::<_, Error>(gauge)
        };
        Ok(Self {
            seconds: gauge("seconds", "The limits of limits.yaml that are times, by their keys there.")?,
            bytes: gauge("bytes", "The limits of limits.yaml that are sizes, by their keys there.")?,
            count: gauge("count", "The limits of limits.yaml that are numbers of things, by their keys there.")?,
        })
    }

    /// Removes the limits of all adapters.
    pub(super) fn reset(&self) {
        [&self.seconds, &self.bytes, &self.count].into_iter().for_each(GaugeVec::reset);
    }

    /// Sets the limits of the adapter `id`.
    pub(super) fn set(&self, id: &str, limits: &AdapterLimits) {
        for (key, value) in limits.to_json().as_object().into_iter().flatten() {
            let Some(value) = value.as_f64() else { continue };
            let (unit, value) = to_base_unit(key, value);
            let gauge = match unit {
                Unit::Seconds => &self.seconds,
                Unit::Bytes => &self.bytes,
                Unit::Count => &self.count,
            };
            gauge.with_label_values(&[id, key]).set(value);
        }
    }
}

/// Converts a value of `limits.yaml`, whose unit is the end of its key.
fn to_base_unit(key: &str, value: f64) -> (Unit, f64) {
    match key.rsplit('_').next() {
        Some("ms") => (Unit::Seconds, value / 1e3),
        Some("seconds") => (Unit::Seconds, value),
        Some("mib") => (Unit::Bytes, value * MIB),
        _ => (Unit::Count, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_in_base_units() {
        for (key, value, expected) in [
            ("cpu_ms", 5_000.0, (Unit::Seconds, 5.0)),
            ("queue_ms", 250.0, (Unit::Seconds, 0.25)),
            ("probe_seconds", 30.0, (Unit::Seconds, 30.0)),
            ("memory_mib", 64.0, (Unit::Bytes, 67_108_864.0)),
            ("queue", 64.0, (Unit::Count, 64.0)),
            ("breaker_failures", 10.0, (Unit::Count, 10.0)),
        ] {
            assert_eq!(to_base_unit(key, value), expected, "{key}");
        }
    }
}
