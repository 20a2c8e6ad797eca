//! Says in the log when the disk is slow: while it is, and when it no longer is.

use std::time::{Duration, Instant};

use crate::runtime::metrics::Metrics;
use crate::runtime::sync::Mutex;

/// No two warnings come within this time.
const QUIET: Duration = Duration::from_secs(10);

/// Watches the journal's flushes. The stepper looks while one lasts, for the journal thread,
/// which waits for it, cannot; the journal thread reports that it has ended.
#[derive(Debug)]
pub(super) struct SlowDisk {
    limit: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_warning: Option<Instant>,
    /// The flush under way has been warned of.
    is_told: bool,
    /// Slow flushes since the last warning that nobody was told of.
    untold: u64,
}

/// What to say of a flush that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Nothing,
    /// The one that was warned of.
    AtLast,
    /// It was slow, after so many others that were not told of.
    Slow {
        untold: u64,
    },
}

impl SlowDisk {
    /// A flush is slow that takes at least `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            state: Mutex::default(),
        }
    }

    /// A flush is slow from this time on.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Warns if the flush under way is slow already.
    pub(super) fn look(&self, metrics: &Metrics) {
        let Some(lasts) = metrics.flushes.in_progress() else {
            return;
        };
        if self.is_worth_a_warning(lasts, Instant::now()) {
            tracing::warn!(
                ?lasts,
                limit = ?self.limit,
                "the disk is slow: an fsync of the journal has not returned; what waits for it \
                 is answered when it does"
            );
        }
    }

    fn is_worth_a_warning(&self, lasts: Duration, now: Instant) -> bool {
        if lasts < self.limit {
            return false;
        }
        let mut state = self.state.lock();
        let warns = !state.is_told && state.may_warn(now);
        if warns {
            state.is_told = true;
            state.warned(now);
        }
        warns
    }

    /// A flush has ended.
    pub(super) fn ended(&self, took: Duration, metrics: &Metrics) {
        if took >= self.limit {
            metrics.journal_flushes_slow.inc();
        }
        match self.end(took, Instant::now()) {
            Ended::Nothing => {}
            Ended::AtLast => tracing::warn!(?took, "the slow fsync has returned"),
            Ended::Slow { untold } => tracing::warn!(
                ?took,
                untold,
                limit = ?self.limit,
                "the disk is slow: an fsync of the journal took long; `untold` others did since \
                 the last warning"
            ),
        }
    }

    fn end(&self, took: Duration, now: Instant) -> Ended {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.is_told) {
            return Ended::AtLast;
        }
        if took < self.limit {
            return Ended::Nothing;
        }
        if !state.may_warn(now) {
            state.untold += 1;
            return Ended::Nothing;
        }
        let untold = state.untold;
        state.warned(now);
        Ended::Slow { untold }
    }
}

impl State {
    fn may_warn(&self, now: Instant) -> bool {
        let since = self.last_warning.map(|last| now.duration_since(last));
        since.is_none_or(|since| since >= QUIET)
    }

    fn warned(&mut self, now: Instant) {
        self.last_warning = Some(now);
        self.untold = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_flush_is_told_of_once_while_it_lasts_and_when_it_has_ended() {
        let disk = SlowDisk::new(Duration::from_millis(150));
        let (start, millis) = (Instant::now(), Duration::from_millis);
        assert!(!disk.is_worth_a_warning(millis(149), start));
        assert!(disk.is_worth_a_warning(millis(150), start));
        assert!(!disk.is_worth_a_warning(millis(5000), start + QUIET));
        assert_eq!(disk.end(millis(6000), start + QUIET), Ended::AtLast);
        assert_eq!(disk.end(millis(10), start + QUIET), Ended::Nothing);
    }

    #[test]
    fn warnings_keep_their_distance_and_count_what_they_left_out() {
        let disk = SlowDisk::new(Duration::from_millis(150));
        let (start, slow) = (Instant::now(), Duration::from_millis(200));
        assert_eq!(disk.end(slow, start), Ended::Slow { untold: 0 });
        assert!(!disk.is_worth_a_warning(slow, start));
        assert_eq!(disk.end(slow, start), Ended::Nothing);
        assert_eq!(disk.end(slow, start), Ended::Nothing);
        assert_eq!(disk.end(slow, start + QUIET), Ended::Slow { untold: 2 });
    }
}
