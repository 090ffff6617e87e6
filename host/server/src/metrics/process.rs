//! The process as Prometheus' clients show it: time, memory, files, threads. Read from `/proc` at scrape time.
//!
//! Where there is no `/proc`, the metrics are absent.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Error, Gauge};
use rustix::process::{Resource, getrlimit};
use std::fs;
use std::sync::{Mutex, PoisonError};

/// The collector of the `process_…` metrics.
pub(super) struct ProcessMetrics {
    cpu_seconds: Counter,
    open_fds: Gauge,
    max_fds: Gauge,
    virtual_bytes: Gauge,
    resident_bytes: Gauge,
    start_seconds: Gauge,
    threads: Gauge,
    /// Held while the counter is brought up to the system's.
    turn: Mutex<()>,
}

/// The numbers of one look at the process.
#[derive(Debug, PartialEq)]
struct Reading {
    cpu_seconds: f64,
    threads: f64,
    /// From the start of the machine to the start of the process.
    start_seconds: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

impl ProcessMetrics {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            cpu_seconds: Counter::new(
                "process_cpu_seconds_total",
                "Time on processors, of user and system, in seconds.",
            )?,
            open_fds: Gauge::new("process_open_fds", "Open file descriptors.")?,
            max_fds: Gauge::new("process_max_fds", "The most open file descriptors.")?,
            virtual_bytes: Gauge::new("process_virtual_memory_bytes", "Size of virtual memory in bytes.")?,
            resident_bytes: Gauge::new("process_resident_memory_bytes", "Size of resident memory in bytes.")?,
            start_seconds: Gauge::new("process_start_time_seconds", "Start of the process in seconds of Unix time.")?,
            threads: Gauge::new("process_threads", "Threads of the process.")?,
            turn: Mutex::default(),
        })
    }

    fn parts(&self) -> [&dyn Collector; 7] {
        [
            &self.cpu_seconds,
            &self.open_fds,
            &self.max_fds,
            &self.virtual_bytes,
            &self.resident_bytes,
            &self.start_seconds,
            &self.threads,
        ]
    }

    /// Reads the system's numbers; `None` where it has none.
    #[expect(clippy::cast_precision_loss, reason = "no count here has so many digits")]
    fn update(&self) -> Option<()> {
        let reading = Reading::parse(&fs::read_to_string("/proc/self/stat").ok()?)?;
        let booted = boot_seconds(&fs::read_to_string("/proc/stat").ok()?)?;
        self.cpu_seconds.inc_by((reading.cpu_seconds - self.cpu_seconds.get()).max(0.0));
        self.threads.set(reading.threads);
        self.start_seconds.set(booted + reading.start_seconds);
        self.virtual_bytes.set(reading.virtual_bytes);
        self.resident_bytes.set(reading.resident_bytes);
        // The look itself holds one open.
        self.open_fds.set(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64);
        self.max_fds.set(getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, |most| most as f64));
        Some(())
    }
}

impl Collector for ProcessMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = self.update().map(|()| self.parts()).into_iter().flatten();
        parts.flat_map(Collector::collect).collect()
    }
}

impl Reading {
    /// Parses `/proc/self/stat`. The name in it may hold anything, so fields are counted from its end (proc(5)).
    #[expect(clippy::cast_precision_loss, reason = "no page and no tick has so many digits")]
    fn parse(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The first field behind the name is number 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            threads: field(20)?,
            start_seconds: field(22)? / ticks,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * rustix::param::page_size() as f64,
        })
    }
}

/// Parses the start of the machine, in seconds of Unix time, from `/proc/stat`.
fn boot_seconds(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    fn stat_is_parsed_whatever_the_name_is() {
        let (ticks, page) = (rustix::param::clock_ticks_per_second(), rustix::param::page_size());
        for name in ["hauski", "a) R 1 2 (b", "a b\nc"] {
            let stat = format!(
                "7 ({name}) S 1 7 7 0 -1 4194560 100 0 0 0 {} {} 0 0 20 0 5 0 {} 4096 3 18446744073709551615 1 1",
                ticks,
                2 * ticks,
                10 * ticks
            );
            let reading = Reading::parse(&stat).unwrap();
            assert_eq!((reading.cpu_seconds, reading.threads, reading.start_seconds), (3.0, 5.0, 10.0), "{name}");
            assert_eq!((reading.virtual_bytes, reading.resident_bytes), (4096.0, 3.0 * page as f64), "{name}");
        }
        for broken in ["", "7 (x)", "7 (x) S 1 2", "7 x S"] {
            assert_eq!(Reading::parse(broken), None, "{broken}");
        }
        assert_eq!(boot_seconds("cpu 1 2\nbtime 1700000000\nprocesses 3\n"), Some(1_700_000_000.0));
        assert_eq!(boot_seconds("cpu 1 2\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn process_metrics_are_those_of_this_process() {
        let metrics = ProcessMetrics::new().unwrap();
        let value = |name: &str| {
            let families = metrics.collect();
            let family = families.iter().find(|family| family.name() == name).unwrap();
            let metric = &family.get_metric()[0];
            metric.get_gauge().get_value() + metric.get_counter().get_value()
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - value("process_start_time_seconds");
        assert!((-2.0..600.0).contains(&age), "{age}");
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(value("process_resident_memory_bytes") > 1e5);
        let before = value("process_open_fds");
        let _files: Vec<_> = (0..50).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(value("process_open_fds") >= before + 25.0, "{before}");
        assert!(value("process_max_fds") >= value("process_open_fds"));
        let begin = value("process_cpu_seconds_total");
        while value("process_cpu_seconds_total") < begin + 0.02 {}
    }
}
