//! What else the machine does while a bench runs: a noisy run must be rejected.
//!
//! The reason is not pride. On a machine whose cores are all busy a single-threaded
//! `fdatasync` takes a kernel tick of 4 ms instead of a tenth of one.

use std::fs;
use std::time::{Duration, Instant};

/// The kernel counts CPU time in ticks of this length, for user space on every architecture.
const TICK: Duration = Duration::from_millis(10);
/// With fewer ticks than these the share is chance.
const FEWEST_TICKS: u128 = 10;
/// From here on a run is to be rejected.
const LIMIT: f64 = 0.2;

/// Watches the machine while something is measured.
#[derive(Clone, Debug)]
pub struct Watch {
    since: Instant,
    ticks: Option<Ticks>,
    servers: Vec<u32>,
}

/// Ticks so far: all that were not idle, this process's own, and those of servers.
#[derive(Clone, Copy, Debug)]
struct Ticks {
    busy: u64,
    own: u64,
    servers: u64,
}

/// What a [`Watch`] has seen.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// How long the watch lasted.
    pub elapsed: Duration,
    /// CPU time of this process and of its children that have ended, if the system tells.
    pub own: Option<Duration>,
    /// CPU time of the servers that are measured, if the system tells.
    pub servers: Option<Duration>,
    /// How many cores everything else kept busy, if the system tells and the watch lasted
    /// long enough. Includes the kernel's own work, also that on behalf of this process.
    pub foreign_cores: Option<f64>,
}

impl Watch {
    /// Begins to watch.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Begins to watch, with servers that belong to what is measured, by their process ids.
    pub fn start_with(servers: &[u32]) -> Self {
        Self {
            since: Instant::now(),
            ticks: Ticks::now(servers),
            servers: servers.to_vec(),
        }
    }

    /// What was seen so far.
    pub fn usage(&self) -> Usage {
        let elapsed = self.since.elapsed();
        let now = Ticks::now(&self.servers);
        let passed = self.ticks.zip(now).map(|(before, after)| Ticks {
            busy: after.busy.saturating_sub(before.busy),
            own: after.own.saturating_sub(before.own),
            servers: after.servers.saturating_sub(before.servers),
        });
        let long_enough = elapsed.as_nanos() >= FEWEST_TICKS * TICK.as_nanos();
        Usage {
            elapsed,
            own: passed.map(|ticks| in_time(ticks.own)),
            servers: passed.map(|ticks| in_time(ticks.servers)),
            foreign_cores: passed.filter(|_| long_enough).map(|ticks| {
                let foreign = in_time(ticks.busy.saturating_sub(ticks.own + ticks.servers));
                foreign.as_secs_f64() / elapsed.as_secs_f64()
            }),
        }
    }
}

impl Usage {
    /// Prints what others did, and a warning where that spoils the figure of `what`.
    pub fn report(&self, what: &str) {
        println!("{}", self.line(what));
    }

    /// The foreign share as a cell of a table.
    pub fn foreign(&self) -> String {
        self.foreign_cores
            .map_or_else(|| "unknown".to_owned(), |cores| format!("{cores:.2}"))
    }

    fn line(&self, what: &str) -> String {
        match self.foreign_cores {
            None => format!("noise: {what}: what other processes did is unknown"),
            Some(cores) if cores > LIMIT => format!(
                "noise: {what}: WARNING: other processes kept {cores:.2} cores busy; above \
                 {LIMIT} the figure is to be rejected"
            ),
            Some(cores) => format!("noise: {what}: other processes kept {cores:.2} cores busy"),
        }
    }
}

/// Runs `work` under watch, and prints what else the machine did meanwhile.
pub fn watched<R>(what: &str, work: impl FnOnce() -> R) -> R {
    let watch = Watch::start();
    let result = work();
    watch.usage().report(what);
    result
}

impl Ticks {
    fn now(servers: &[u32]) -> Option<Self> {
        let machine = fs::read_to_string("/proc/stat").ok()?;
        let of = |process: &str| process_ticks(&fs::read_to_string(process).ok()?);
        let servers = servers.iter().map(|pid| of(&format!("/proc/{pid}/stat")));
        Some(Self {
            busy: busy_ticks(&machine)?,
            own: of("/proc/self/stat")?,
            servers: servers.sum::<Option<u64>>()?,
        })
    }
}

/// Everything on the first line of `/proc/stat` but idle and iowait. Guests' time is in
/// user time already.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let &[user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = ticks.as_slice() else {
        return None;
    };
    Some(user + nice + system + irq + softirq + steal)
}

/// utime, stime, cutime and cstime of `/proc/{pid}/stat`: fields 14 to 17. The name before
/// them may contain anything, also spaces and brackets.
fn process_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let times = fields.split_whitespace().skip(11).take(4);
    let times: Vec<u64> = times.map_while(|field| field.parse().ok()).collect();
    (times.len() == 4).then(|| times.iter().sum())
}

fn in_time(ticks: u64) -> Duration {
    TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_waiting_are_not_busy() {
        let stat = "cpu  1 2 3 1000 2000 4 5 6 100 200\ncpu0 1 2 3\n";
        assert_eq!(busy_ticks(stat), Some(21));
        assert_eq!(busy_ticks("intr 1 2 3"), None);
    }

    #[test]
    fn a_name_with_brackets_confuses_nobody() {
        let stat = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 100 200 30 4 20 0";
        assert_eq!(process_ticks(stat), Some(334));
        assert_eq!(process_ticks("42 (cut"), None);
    }

    #[test]
    fn what_cannot_be_found_is_unknown() {
        assert!(Ticks::now(&[]).is_some());
        assert!(
            Ticks::now(&[u32::MAX]).is_none(),
            "there is no such process"
        );
    }

    #[test]
    fn a_busy_machine_is_warned_of() {
        let usage = |cores| Usage {
            elapsed: Duration::from_secs(1),
            own: None,
            servers: None,
            foreign_cores: cores,
        };
        assert!(usage(Some(0.5)).line("it").contains("WARNING"));
        assert!(!usage(Some(0.1)).line("it").contains("WARNING"));
        assert!(usage(None).line("it").contains("unknown"));
    }
}
