//! What predicates say of states: a bit each.

use super::graph::State;

/// The most predicates: as many as a number has bits.
pub(super) const MOST: usize = u64::BITS as usize;

/// For each state a bit for each predicate.
pub(super) struct Marks {
    /// How many bytes a state takes.
    width: usize,
    bytes: Vec<u8>,
}

impl Marks {
    /// Of no state yet, for so many predicates.
    pub(super) fn new(predicates: usize) -> Self {
        assert!(predicates <= MOST, "at most {MOST} predicates");
        Self {
            width: predicates.div_ceil(8),
            bytes: Vec::new(),
        }
    }

    /// Adds a state: bit `i` is what predicate `i` says.
    pub(super) fn push(&mut self, marks: u64) {
        self.bytes
            .extend_from_slice(&marks.to_le_bytes()[..self.width]);
    }

    /// What the predicate with this number says of a state.
    pub(super) fn get(&self, state: State, predicate: usize) -> bool {
        let byte = self.bytes[state as usize * self.width + predicate / 8];
        byte & (1 << (predicate % 8)) != 0
    }

    /// The memory taken.
    pub(super) fn memory(&self) -> u64 {
        self.bytes.capacity() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_predicate_has_a_bit_of_each_state() {
        for predicates in [0, 1, 8, 9, MOST] {
            let mut marks = Marks::new(predicates);
            let is_set = |state: u64, bit: usize| (state + bit as u64).is_multiple_of(3);
            let word = |state| {
                (0..predicates).fold(0, |word, bit| word | u64::from(is_set(state, bit)) << bit)
            };
            (0..50).for_each(|state| marks.push(word(state)));
            for state in 0..50 {
                for bit in 0..predicates {
                    assert_eq!(marks.get(state as State, bit), is_set(state, bit));
                }
            }
        }
    }
}
