//! For how long a member may be believed: until its lease runs out.

use std::time::{Duration, Instant};

use models::maekawa::Timer;

use crate::locks::config::Timing;
use crate::runtime::sync::Mutex;
use crate::runtime::timers::TimerSpan;

/// Watches the lease as it is begun anew.
#[derive(Debug)]
pub(crate) struct Lease {
    lasts: Duration,
    begun: Mutex<Option<Instant>>,
}

impl Lease {
    pub(crate) fn new(timing: &Timing) -> Self {
        Self {
            lasts: timing.lease(),
            begun: Mutex::new(None),
        }
    }

    /// How long it goes on for sure, if the node is a member; nothing once it has run out.
    pub(crate) fn left(&self) -> Duration {
        let begun = *self.begun.lock();
        begun.map_or(Duration::ZERO, |begun| {
            self.lasts.saturating_sub(begun.elapsed())
        })
    }

    /// How long the timers last. The lease is seen to begin as its timer is armed, on the thread
    /// that steps the node.
    pub(crate) fn span(&self, timing: &Timing, timer: &Timer) -> TimerSpan {
        TimerSpan::Exactly(match timer {
            Timer::Retry | Timer::Register => timing.retry(),
            Timer::HealthCheck => timing.health_check(),
            Timer::Lease => {
                *self.begun.lock() = Some(Instant::now());
                timing.lease()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_before_a_lease_begins_and_less_and_less_after() {
        let timing = Timing::default();
        let lease = Lease::new(&timing);
        assert_eq!(lease.left(), Duration::ZERO);
        let span = lease.span(&timing, &Timer::Lease);
        assert_eq!(span, TimerSpan::Exactly(timing.lease()));
        let first = lease.left();
        assert!(first > Duration::ZERO && first <= timing.lease());
        std::thread::sleep(Duration::from_millis(2));
        assert!(lease.left() < first);
        // Other timers have nothing to do with it.
        lease.span(&timing, &Timer::Retry);
        assert!(lease.left() < first);
    }
}
