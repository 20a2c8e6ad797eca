//! `std`'s primitives, or loom's under `--cfg lockstep_loom`.
//!
//! Every hand-written concurrent piece takes its primitives from here, so that loom can
//! explore its interleavings. Lock poisoning is ignored: no critical section in this crate
//! leaves its data half-changed, and a thread that panics stops its node by other means.

#[cfg(lockstep_loom)]
use loom::sync as imp;
#[cfg(not(lockstep_loom))]
use std::sync as imp;

use std::sync::PoisonError;
use std::time::Duration;

pub(crate) use imp::MutexGuard;

/// A mutex whose lock always succeeds.
#[derive(Debug)]
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// A condition variable for [`Mutex`].
#[derive(Debug)]
pub(crate) struct Condvar(imp::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(imp::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits no longer than `span`. loom knows no time: there it waits for a notification.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        span: Duration,
    ) -> MutexGuard<'a, T> {
        let waited = self.0.wait_timeout(guard, span);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
