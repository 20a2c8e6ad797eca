//! A state: a core and what is under way; as bytes, and as a number that tells it from others.

use models::Specification;
use models::world::{Delivery, Flight, Travels as _};

use super::memory::{CoreId, Memory};
use super::tables::{Core, Handle, Hashed, Tables};
use crate::engine::native::bytes;

/// Nodes, and two more.
pub(super) const MOST_PARTS: usize = 66;

/// The messages that need not be delivered in a state: bit `i` for the `i`-th that may arrive
/// next. Those behind the 64th are always delivered.
pub(super) type Asleep = u64;

/// A state in a thread's memory.
pub(super) struct State {
    /// Its core.
    pub(super) core: CoreId,
    /// What is under way.
    pub(super) flight: Flight<Handle>,
}

impl State {
    /// The state at the front of the bytes, whose core has so many parts, and which messages need
    /// not be delivered there.
    pub(super) fn read<P: Specification>(
        memory: &mut Memory<P>,
        tables: &Tables<P>,
        parts: usize,
        states: &mut &[u8],
    ) -> (Self, Asleep) {
        let mut numbers = [0; MOST_PARTS];
        let numbers = &mut numbers[..parts];
        numbers.fill_with(|| bytes::read(states) as u32);
        let core = memory.place_at(tables, numbers);
        let messages = bytes::read(states);
        let handles = (0..messages).map(|_| {
            let number = bytes::read(states) as u32;
            memory.handle(tables, number)
        });
        // They were written in their order.
        let flight = Flight::in_order(tables.delivery, handles.collect());
        (Self { core, flight }, bytes::read(states))
    }
}

/// A state as bytes.
pub(super) fn write(core: &Core, flight: &Flight<Handle>, asleep: Asleep, into: &mut Vec<u8>) {
    for &number in &*core.numbers {
        bytes::write(into, number.into());
    }
    bytes::write(into, flight.iter().len() as u64);
    for handle in flight.iter() {
        bytes::write(into, handle.number.into());
    }
    bytes::write(into, asleep);
}

/// The hash of a state: of its core, and of the sum of what is under way. Its second half only if
/// it is to be `wide`, else zero.
pub(super) fn hash(core: Hashed, sum: Hashed, wide: bool) -> Hashed {
    let both = |half: usize| {
        let core = core[half] ^ 0x2545_f491_4f6c_dd1d;
        fold(core, sum[half] ^ 0xd6e8_feb8_6659_fd93)
    };
    [both(0), if wide { both(1) } else { 0 }]
}

/// The sum of what is under way: of messages, whose hashes `of` tells; of those of one channel in
/// their order.
pub(super) fn sum(flight: &Flight<Handle>, mut of: impl FnMut(&Handle) -> Hashed) -> Hashed {
    let mut sum = Hashed::default();
    let (mut last, mut place) = (None, 0u64);
    for handle in flight.iter() {
        if flight.delivery() == Delivery::Fifo {
            let same = last.replace(handle.link()) == Some(handle.link());
            place = if same { place + 1 } else { 0 };
        }
        add(&mut sum, weight(of(handle), place));
    }
    sum
}

/// What a message with this hash adds to the sum, in this place of its channel. In another place the
/// same message counts as another one altogether; in a bag it is always in place 0.
pub(super) fn weight([low, high]: Hashed, place: u64) -> Hashed {
    let place = place.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    [
        fold(low, 0x9e37_79b9_7f4a_7c15 ^ place),
        fold(high, 0xc2b2_ae3d_27d4_eb4f ^ place),
    ]
}

/// Adds to a sum.
pub(super) fn add(sum: &mut Hashed, [low, high]: Hashed) {
    *sum = [sum[0].wrapping_add(low), sum[1].wrapping_add(high)];
}

/// Takes off a sum what was added.
pub(super) fn subtract(sum: &mut Hashed, [low, high]: Hashed) {
    *sum = [sum[0].wrapping_sub(low), sum[1].wrapping_sub(high)];
}

/// Mixes two numbers: the product's halves.
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
