//! What the protocols' drawn worlds have in common.
//!
//! A world is drawn from its number, and from nothing else: the same number, the same world. The
//! generator is a pure function of its seed; it has no other source.

use core::ops::RangeBounds;

use fastrand::Rng;

use crate::world::{Delivery, Duplicates, Faults, Timing};

/// What follows from a number.
pub(crate) struct Draw(Rng);

impl Draw {
    /// What follows from this number.
    pub(crate) fn from(number: u64) -> Self {
        Self(Rng::with_seed(number))
    }

    pub(crate) fn usize(&mut self, within: impl RangeBounds<usize>) -> usize {
        self.0.usize(within)
    }

    pub(crate) fn u64(&mut self, within: impl RangeBounds<u64>) -> u64 {
        self.0.u64(within)
    }

    pub(crate) fn u16(&mut self, within: impl RangeBounds<u16>) -> u16 {
        self.0.u16(within)
    }

    pub(crate) fn u8(&mut self, within: impl RangeBounds<u8>) -> u8 {
        self.0.u8(within)
    }

    pub(crate) fn bool(&mut self) -> bool {
        self.0.bool()
    }

    /// Any of these.
    pub(crate) fn any<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.usize(..of.len())]
    }

    /// In which order messages arrive.
    pub(crate) fn delivery(&mut self) -> Delivery {
        self.any(&[Delivery::Bag, Delivery::Fifo])
    }

    /// When timers may run out. Mostly at any time: little happens while messages come first.
    pub(crate) fn timing(&mut self) -> Timing {
        self.any(&[Timing::Any, Timing::Any, Timing::Quiescent])
    }

    /// How much may go wrong: of each kind nothing, little, or more than a run uses up. One disk may
    /// be lost, after a crash.
    pub(crate) fn faults(&mut self) -> Faults {
        let lost_disks = self.any(&[0, 1]);
        Faults {
            drops: self.any(&[0, 5, 30]),
            duplicates: Duplicates::UpTo(self.any(&[0, 5, 30])),
            crashes: self.any(&[0u8, 3, 10]).max(3 * lost_disks),
            crash_within_step: self.any(&[0, 1]) > 0,
            cuts: self.any(&[0, 2, 10]),
            lost_replies: self.any(&[0, 2, 5]),
            lost_disks,
        }
    }
}
