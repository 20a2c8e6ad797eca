//! Latencies and their percentiles.

use std::time::Duration;

use hdrhistogram::Histogram;

/// How long each of many operations took, to three digits, between 1 µs and a minute.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

const SHORTEST: u64 = 1;
const LONGEST: u64 = 60_000_000;

impl Latencies {
    /// None yet.
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(SHORTEST, LONGEST, 3);
        Self(histogram.expect("the bounds are constants, and fit each other"))
    }

    /// Adds one.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        // Beyond a minute the exact number says nothing more.
        self.0.saturating_record(micros.max(SHORTEST));
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        let added = self.0.add(&other.0);
        added.expect("both have the same bounds");
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that a share of `quantile` of the operations did not exceed.
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(quantile))
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

/// Milliseconds, as tables show them.
pub fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_all_that_was_added() {
        let (mut low, mut high) = (Latencies::new(), Latencies::new());
        for n in 1..=50 {
            low.record(Duration::from_micros(n));
            high.record(Duration::from_micros(50 + n));
        }
        low.add(&high);
        assert_eq!(low.count(), 100);
        assert_eq!(low.quantile(0.5), Duration::from_micros(50));
        assert_eq!(low.quantile(0.99), Duration::from_micros(99));
    }

    #[test]
    fn what_is_out_of_bounds_counts_as_the_bound() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::ZERO);
        latencies.record(Duration::from_secs(1000));
        assert_eq!(latencies.count(), 2);
        assert!(latencies.quantile(1.0) >= Duration::from_secs(59));
    }
}
