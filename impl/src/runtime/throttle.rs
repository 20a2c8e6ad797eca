//! One log line a while, however often the same happens.

use std::time::{Duration, Instant};

use crate::runtime::sync::Mutex;

/// Lets one line pass in each period, and counts those that it holds back.
#[derive(Debug)]
pub(crate) struct Throttle {
    period: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    held_back: u64,
}

impl Throttle {
    pub(crate) fn new(period: Duration) -> Self {
        Self {
            period,
            state: Mutex::default(),
        }
    }

    /// Whether a line may be written now, and if so, how many like it were held back since
    /// the last one.
    pub(crate) fn pass(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if state.is_open(now, self.period) {
            return Some(state.open(now));
        }
        state.held_back += 1;
        None
    }

    /// How many lines are held back with nothing after them to tell of it, once the period is
    /// over: they are to be told of now.
    pub(crate) fn overdue(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        (state.held_back > 0 && state.is_open(now, self.period)).then(|| state.open(now))
    }
}

impl State {
    fn is_open(&self, now: Instant, period: Duration) -> bool {
        self.last
            .is_none_or(|last| now.saturating_duration_since(last) >= period)
    }

    fn open(&mut self, now: Instant) -> u64 {
        self.last = Some(now);
        std::mem::take(&mut self.held_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(1);

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn the_first_line_passes_and_the_rest_of_a_period_is_counted() {
        let (throttle, start) = (Throttle::new(PERIOD), Instant::now());
        assert_eq!(throttle.pass(start), Some(0));
        for millis in [0, 1, 500, 999] {
            assert_eq!(throttle.pass(at(start, millis)), None);
        }
        assert_eq!(throttle.pass(at(start, 1000)), Some(4));
        assert_eq!(throttle.pass(at(start, 1999)), None);
        assert_eq!(throttle.pass(at(start, 2000)), Some(1));
    }

    #[test]
    fn what_is_held_back_is_told_of_once_when_the_period_is_over() {
        let (throttle, start) = (Throttle::new(PERIOD), Instant::now());
        assert_eq!(throttle.overdue(start), None);
        throttle.pass(start);
        assert_eq!(
            throttle.overdue(at(start, 5000)),
            None,
            "nothing is held back"
        );
        throttle.pass(at(start, 5000));
        throttle.pass(at(start, 5001));
        throttle.pass(at(start, 5002));
        assert_eq!(throttle.overdue(at(start, 5999)), None, "too early");
        assert_eq!(throttle.overdue(at(start, 6000)), Some(2));
        assert_eq!(throttle.overdue(at(start, 9000)), None, "told already");
    }

    /// Telling of what was held back is a line too: it takes the period's place.
    #[test]
    fn a_reminder_counts_as_a_line() {
        let (throttle, start) = (Throttle::new(PERIOD), Instant::now());
        throttle.pass(start);
        throttle.pass(at(start, 1));
        assert_eq!(throttle.overdue(at(start, 1000)), Some(1));
        assert_eq!(throttle.pass(at(start, 1500)), None);
        assert_eq!(throttle.pass(at(start, 2000)), Some(1));
    }

    #[test]
    fn a_clock_that_goes_back_holds_lines_back_and_harms_nothing() {
        let (throttle, start) = (Throttle::new(PERIOD), Instant::now());
        assert_eq!(throttle.pass(at(start, 1000)), Some(0));
        assert_eq!(throttle.pass(start), None);
        assert_eq!(throttle.pass(at(start, 2000)), Some(1));
    }
}
