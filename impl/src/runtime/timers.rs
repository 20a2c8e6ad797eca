//! A node's named timers.
//!
//! The protocol names a timer, the service says how long it lasts, this table says which is
//! due. It belongs to the thread that steps the node, so a timer that was disarmed or armed
//! anew cannot fire late: there is no queue in which an old expiry could wait.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

/// How long a timer lasts from the moment it is armed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimerSpan {
    /// The same every time.
    Exactly(Duration),
    /// Drawn anew each time it is armed, from the node's seeded generator: as randomised
    /// election timeouts are.
    Between(RangeInclusive<Duration>),
}

impl TimerSpan {
    pub(crate) fn draw(&self, rng: &mut Rng) -> Duration {
        match self {
            Self::Exactly(span) => *span,
            Self::Between(range) => {
                let (low, high) = (as_nanos(*range.start()), as_nanos(*range.end()));
                Duration::from_nanos(rng.u64(low..=high.max(low)))
            }
        }
    }
}

/// The service's side of the timers: how long each lasts.
pub type TimerSpans<T> = Arc<dyn Fn(&T) -> TimerSpan + Send + Sync>;

/// The armed timers of one node.
pub(crate) struct Timers<T> {
    deadlines: BTreeMap<T, Duration>,
    queue: BTreeSet<(Duration, T)>,
    spans: TimerSpans<T>,
    rng: Rng,
}

impl<T: Ord + Clone> Timers<T> {
    pub(crate) fn new(spans: TimerSpans<T>, seed: u64) -> Self {
        Self {
            deadlines: BTreeMap::new(),
            queue: BTreeSet::new(),
            spans,
            rng: Rng::with_seed(seed),
        }
    }

    /// Starts `timer`, or starts it anew.
    pub(crate) fn arm(&mut self, timer: T, now: Duration) {
        self.disarm(&timer);
        let deadline = now.saturating_add((self.spans)(&timer).draw(&mut self.rng));
        self.deadlines.insert(timer.clone(), deadline);
        self.queue.insert((deadline, timer));
    }

    /// Stops `timer`, if it runs.
    pub(crate) fn disarm(&mut self, timer: &T) {
        if let Some((timer, deadline)) = self.deadlines.remove_entry(timer) {
            self.queue.remove(&(deadline, timer));
        }
    }

    /// How many timers run.
    pub(crate) fn armed(&self) -> usize {
        self.queue.len()
    }

    /// When the next timer runs out.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    /// Takes out the timer that ran out first, if one has by `now`.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<T> {
        if self.next_deadline()? > now {
            return None;
        }
        let (_, timer) = self.queue.pop_first()?;
        self.deadlines.remove(&timer);
        Some(timer)
    }
}

fn as_nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Timers named by how many seconds they last.
    fn timers() -> Timers<u64> {
        Timers::new(Arc::new(|seconds| TimerSpan::Exactly(at(*seconds))), 0)
    }

    #[test]
    fn timers_run_out_in_the_order_of_their_deadlines() {
        let mut timers = timers();
        timers.arm(5, at(0));
        timers.arm(3, at(0));
        timers.arm(9, at(0));
        assert_eq!(timers.next_deadline(), Some(at(3)));
        assert_eq!(timers.take_due(at(6)), Some(3));
        assert_eq!(timers.take_due(at(6)), Some(5));
        assert_eq!(timers.take_due(at(6)), None);
    }

    #[test]
    fn a_disarmed_timer_never_fires() {
        let mut timers = timers();
        timers.arm(3, at(0));
        timers.disarm(&3);
        assert_eq!(timers.take_due(at(100)), None);
        timers.disarm(&3);
    }

    #[test]
    fn arming_again_starts_anew() {
        let mut timers = timers();
        timers.arm(3, at(0));
        timers.arm(3, at(2));
        assert_eq!(
            timers.take_due(at(4)),
            None,
            "the first expiry is forgotten"
        );
        assert_eq!(timers.take_due(at(5)), Some(3));
        assert_eq!(timers.take_due(at(100)), None, "it fires once");
    }

    #[test]
    fn a_randomised_timer_stays_in_its_range_and_repeats_with_its_seed() {
        let span = TimerSpan::Between(at(1)..=at(2));
        let draw = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..50).map(|_| span.draw(&mut rng)).collect::<Vec<_>>()
        };
        assert!(draw(7).iter().all(|drawn| (at(1)..=at(2)).contains(drawn)));
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
