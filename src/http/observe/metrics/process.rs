//! Metrics of the process, under the names that Prometheus clients of all languages share.
//!
//! The network's are left out: Linux counts those for a whole network namespace.

use std::fmt;
use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::http::observe::metrics::families::Families;

/// Start of this process. It is determined once, or a clock that is set would look like a restart.
static START: OnceLock<Option<Duration>> = OnceLock::new();

/// Resources that this process uses, as the kernel counts them.
pub(crate) struct ProcessUsage {
    cpu: Duration,
    open_files: Option<u64>,
    stat: Option<Stat>,
    start: Option<Duration>,
}

impl ProcessUsage {
    /// Reads them from `/proc`; with many open files it takes milliseconds. What cannot be read is absent.
    pub(crate) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat");
        let stat = stat.ok().and_then(|line| Stat::parse(&line));
        Self {
            cpu: since(clock_gettime(ClockId::ProcessCPUTime)),
            open_files: open_files(),
            start: *START.get_or_init(|| stat.as_ref().map(Stat::start_time)),
            stat,
        }
    }

    pub(crate) fn encode(&self, out: &mut Families<'_>) -> fmt::Result {
        out.metric(
            "process_cpu_seconds",
            "CPU time of the process, of its own and in the kernel",
            ConstCounter::new(self.cpu.as_secs_f64()),
        )?;
        out.optional(
            "process_open_fds",
            "Open file descriptors",
            self.open_files.map(ConstGauge::new),
        )?;
        out.metric(
            "process_max_fds",
            "File descriptors that the process may have open",
            ConstGauge::new(limit(Resource::Nofile)),
        )?;
        let memory = self.stat.as_ref();
        out.optional(
            "process_virtual_memory_bytes",
            "Address space in use, mapped files included",
            memory.map(|stat| ConstGauge::new(stat.virtual_bytes)),
        )?;
        out.metric(
            "process_virtual_memory_max_bytes",
            "Address space that the process may use",
            ConstGauge::new(limit(Resource::As)),
        )?;
        out.optional(
            "process_resident_memory_bytes",
            "Memory in use, mapped files included as far as they are in memory",
            memory.map(|stat| ConstGauge::new(stat.resident_bytes)),
        )?;
        out.optional(
            "process_start_time_seconds",
            "When the process started",
            self.start.map(|start| ConstGauge::new(start.as_secs_f64())),
        )
    }
}

/// Fields of `/proc/self/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// Time of the start, since the machine's.
    started: Duration,
    virtual_bytes: u64,
    resident_bytes: u64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // the second field is the program's name in brackets, which may hold anything
        let (_, fields) = line.rsplit_once(") ")?;
        let mut fields = fields
            .split_ascii_whitespace()
            .skip(19)
            .map(str::parse::<u64>);
        let mut next = || fields.next()?.ok();
        let (ticks, virtual_bytes, pages) = (next()?, next()?, next()?);
        Some(Self {
            started: Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()),
            virtual_bytes,
            resident_bytes: pages * rustix::param::page_size() as u64,
        })
    }

    /// Returns the time of the start since 1970, by the clock as it is now.
    fn start_time(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let age = since(clock_gettime(ClockId::Boottime)).saturating_sub(self.started);
        now.unwrap_or_default().saturating_sub(age)
    }
}

/// Returns the memory in use without that of files, in bytes.
pub(crate) fn memory_without_files() -> Option<u64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = pages
        .split_ascii_whitespace()
        .skip(1)
        .map(str::parse::<u64>);
    let (resident, of_files) = (pages.next()?.ok()?, pages.next()?.ok()?);
    Some(resident.saturating_sub(of_files) * rustix::param::page_size() as u64)
}

fn since(time: Timespec) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}

/// Returns the limit in force; as in other clients, one that does not exist is the largest number.
fn limit(resource: Resource) -> f64 {
    getrlimit(resource).current.unwrap_or(u64::MAX) as f64
}

fn open_files() -> Option<u64> {
    let listed = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    // one of them is open for the listing
    listed.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_may_hold_anything() {
        let rest =
            "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 200 4096000 3 18446744073709551615 1";
        for name in ["registry", "a) S 1 (b", "", ") "] {
            let stat = Stat::parse(&format!("42 ({name}) {rest}\n")).unwrap();
            assert_eq!(stat.virtual_bytes, 4_096_000);
            assert_eq!(stat.resident_bytes, 3 * rustix::param::page_size() as u64);
            assert_eq!(
                stat.started,
                Duration::from_millis(200_000 / rustix::param::clock_ticks_per_second())
            );
        }
        assert_eq!(Stat::parse("42 (registry) S 1"), None);
    }
}
