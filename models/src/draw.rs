//! What the protocols' drawn worlds have in common.

use fastrand::Rng;

use crate::world::{Delivery, Duplicates, Faults, Timing};

/// Any of these.
pub(crate) fn any<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

/// In which order messages arrive.
pub(crate) fn delivery(rng: &mut Rng) -> Delivery {
    any(rng, &[Delivery::Bag, Delivery::Fifo])
}

/// When timers may run out. Mostly at any time: little happens while messages come first.
pub(crate) fn timing(rng: &mut Rng) -> Timing {
    any(rng, &[Timing::Any, Timing::Any, Timing::Quiescent])
}

/// How much may go wrong: of each kind nothing, little, or more than a run uses up. One disk may be
/// lost, after a crash.
pub(crate) fn faults(rng: &mut Rng) -> Faults {
    let mut up_to = |most: &[u8]| any(rng, most);
    let lost_disks = up_to(&[0, 1]);
    Faults {
        drops: up_to(&[0, 5, 30]),
        duplicates: Duplicates::UpTo(up_to(&[0, 5, 30])),
        crashes: up_to(&[0, 3, 10]).max(3 * lost_disks),
        crash_within_step: up_to(&[0, 1]) > 0,
        cuts: up_to(&[0, 2, 10]),
        lost_replies: up_to(&[0, 2, 5]),
        lost_disks,
    }
}
