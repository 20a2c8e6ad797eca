//! Time, as the runtime sees it: a duration since some fixed start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::runtime::sync::Mutex;

/// Where a running node takes its time from.
pub trait Clock: Send + Sync + 'static {
    /// The time since this clock's start. Never goes back.
    fn now(&self) -> Duration;

    /// How long a thread may sleep, in real time, before it must look again whether
    /// `deadline` has come.
    fn nap(&self, deadline: Duration) -> Duration;
}

/// The monotonic clock of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn nap(&self, deadline: Duration) -> Duration {
        deadline.saturating_sub(self.now())
    }
}

/// A clock that stands still until it is told to go on. Clones share their time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Duration>>);

impl ManualClock {
    /// A clock that shows zero.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Duration::ZERO)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock() += by;
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        *self.0.lock()
    }

    /// Short, because nobody wakes a sleeping node when the clock is moved.
    fn nap(&self, _deadline: Duration) -> Duration {
        Duration::from_millis(1)
    }
}
