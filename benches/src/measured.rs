//! What servers did for their clients, and what it cost them.

use std::time::Duration;

use crate::closed_loop::Done;
use crate::latency::{Latencies, millis};
use crate::memory;
use crate::noise::Usage;
use crate::table::grouped;

/// The headings of [`Measured::row`].
pub const HEADINGS: [&str; 8] = [
    "what, clients",
    "a second",
    "p50 ms",
    "p99 ms",
    "servers' CPU µs",
    "clients' CPU µs",
    "RSS MB",
    "foreign cores",
];

/// Some rounds of the same.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    took: Duration,
    latencies: Latencies,
    servers: Duration,
    clients: Duration,
    /// Of all servers together, after the last round.
    resident: u64,
    watched: Duration,
    foreign: Duration,
}

impl Measured {
    /// Adds a round: what was done, and what was seen meanwhile of this process and of `servers`.
    pub fn add(&mut self, done: &Done, usage: &Usage, servers: &[u32]) {
        self.took += done.took;
        self.latencies.add(&done.latencies);
        self.servers += usage.servers.unwrap_or_default();
        self.clients += usage.own.unwrap_or_default();
        self.resident = memory::resident(servers).unwrap_or_default();
        self.watched += usage.elapsed;
        self.foreign += { usage.elapsed }.mul_f64(usage.foreign_cores.unwrap_or_default());
    }

    /// How many were done.
    pub fn count(&self) -> u64 {
        self.latencies.count()
    }

    /// How many were done in a second.
    pub fn rate(&self) -> f64 {
        self.count() as f64 / self.took.as_secs_f64()
    }

    /// CPU time of all servers for each, in microseconds.
    pub fn servers_each(&self) -> f64 {
        self.each(self.servers)
    }

    fn each(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.count() as f64
    }

    /// What stands under [`HEADINGS`].
    pub fn row(&self, name: String) -> [String; 8] {
        let foreign = self.foreign.as_secs_f64() / self.watched.as_secs_f64();
        [
            name,
            grouped(self.rate()),
            millis(self.latencies.quantile(0.5)),
            millis(self.latencies.quantile(0.99)),
            grouped(self.servers_each()),
            grouped(self.each(self.clients)),
            grouped(self.resident as f64 / 1e6),
            format!("{foreign:.2}"),
        ]
    }
}
