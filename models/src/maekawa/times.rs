//! What the durations of a host's timers must be for the health check to be right.

use core::fmt::{self, Display};
use core::time::Duration;

use super::Maekawa;

/// What a host knows of time: the durations that it gives the timers, and the bounds that it
/// trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// From one health check to the next, on the orchestrator's clock.
    pub health_check: Duration,
    /// How long a node's [`Lease`](super::Timer::Lease) runs, on its own clock.
    pub lease: Duration,
    /// How long a message takes at most, from the step that sends it to the step that it is
    /// handed to: all queues and a pause of either process included.
    pub delay: Duration,
    /// By how much a clock runs too fast or too slow at most, in millionths.
    pub drift: u32,
}

/// Durations with which two living nodes may be in the critical section at once, or no node for
/// long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTimes {
    /// [`Maekawa::misses`] is less than 2: a node is taken for dead as soon as one health check
    /// or its answer is late.
    TooFewMisses,
    /// A health check may be over before its answer arrives.
    HealthCheckTooShort {
        /// The shortest that leaves time for an answer.
        shortest: Duration,
    },
    /// A lease may outlast the orchestrator's patience.
    LeaseTooLong {
        /// The longest lease that does not.
        longest: Duration,
    },
    /// A lease may run out between one health check and the next, though nothing is lost.
    LeaseTooShort {
        /// The shortest lease that does not.
        shortest: Duration,
    },
}

impl Display for BadTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewMisses => f.write_str(
                "a node that misses one health check would be taken for dead; allow it two",
            ),
            Self::HealthCheckTooShort { shortest } => write!(
                f,
                "the next health check may come before the answer to the last one; there must be \
                 {shortest:?} between them at least"
            ),
            Self::LeaseTooLong { longest } => write!(
                f,
                "the lease is so long that a holder may be given up while it has it, and another \
                 enter; it may be {longest:?} at most"
            ),
            Self::LeaseTooShort { shortest } => write!(
                f,
                "the lease is so short that it may run out before the next health check; it must \
                 be {shortest:?} at least"
            ),
        }
    }
}

impl core::error::Error for BadTimes {}

/// The unit of [`Times::drift`].
const MILLION: u128 = 1_000_000;

impl Times {
    /// Whether with these durations no node is given up that has not given up before, and none
    /// gives up while it and the orchestrator hear each other.
    ///
    /// A lease begins when a message arrives that the orchestrator has sent when it began to
    /// count: a delay later at most. From there it counts [`Maekawa::misses`] health checks.
    ///
    /// # Errors
    /// [`BadTimes`], with what would be right. Where [`BadTimes::LeaseTooLong`] and
    /// [`BadTimes::LeaseTooShort`] answer each other, messages are too slow for so few misses.
    pub fn check(&self, maekawa: &Maekawa) -> Result<(), BadTimes> {
        if maekawa.misses < 2 {
            return Err(BadTimes::TooFewMisses);
        }
        let shortest = self.round_trip();
        if self.health_check < shortest {
            return Err(BadTimes::HealthCheckTooShort { shortest });
        }
        let (longest, shortest) = (self.longest(maekawa.misses), self.shortest());
        if self.lease > longest {
            return Err(BadTimes::LeaseTooLong { longest });
        }
        if self.lease < shortest {
            return Err(BadTimes::LeaseTooShort { shortest });
        }
        Ok(())
    }

    /// What a health check and its answer take, on a fast clock.
    fn round_trip(&self) -> Duration {
        let both = self.delay.as_nanos() * 2;
        nanoseconds((both * (MILLION + u128::from(self.drift))).div_ceil(MILLION) + 1)
    }

    /// The lease, on a slow clock, is over when the health checks, on a fast one, are through.
    fn longest(&self, misses: u8) -> Duration {
        let drift = u128::from(self.drift);
        let patience = self.health_check.as_nanos() * u128::from(misses);
        let patience = patience * MILLION.saturating_sub(drift);
        let rest = patience.saturating_sub(self.delay.as_nanos() * MILLION);
        // One less: at the very moment it may be too late.
        nanoseconds((rest / (MILLION + drift)).saturating_sub(1))
    }

    /// The lease, on a fast clock, lasts from a health check that comes at once to the next, on
    /// a slow one, that takes as long as can be.
    fn shortest(&self) -> Duration {
        let drift = u128::from(self.drift);
        let pause = self.health_check.as_nanos() * (MILLION + drift);
        let pause = pause + self.delay.as_nanos() * MILLION;
        nanoseconds(pause.div_ceil(MILLION.saturating_sub(drift).max(1)) + 1)
    }
}

fn nanoseconds(count: u128) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(u64::MAX))
}
