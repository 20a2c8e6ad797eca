//! The number of each state that has been found, by its hash.

use super::graph::State;

/// An empty place. No graph has so many states.
const EMPTY: State = State::MAX;

/// Of so many places so many may be taken.
const LOAD: (usize, usize) = (3, 4);

/// How many places there are at first: a power of two.
const PLACES: usize = 1 << 10;

/// States by their hashes: of 64 bits, or 128.
///
/// Open addressing with linear probing: a place holds a state's number alone, the hashes are
/// kept in the order of the states.
pub(super) struct Numbers {
    lows: Vec<u64>,
    /// The other halves; empty if only one is to be told apart.
    highs: Vec<u64>,
    places: Vec<State>,
    wide: bool,
}

impl Numbers {
    /// None yet. Of `wide` hashes both halves are told apart, else the first alone.
    pub(super) fn new(wide: bool) -> Self {
        Self {
            lows: Vec::new(),
            highs: Vec::new(),
            places: vec![EMPTY; PLACES],
            wide,
        }
    }

    /// The number of the state with this hash; the next one, if it is new.
    pub(super) fn number(&mut self, hash: [u64; 2]) -> State {
        let mut place = self.home(hash[0]);
        while self.places[place] != EMPTY {
            let known = self.places[place];
            if self.is(known, hash) {
                return known;
            }
            place = (place + 1) % self.places.len();
        }
        let new = State::try_from(self.lows.len()).expect("fewer than 2^32 states");
        self.places[place] = new;
        self.lows.push(hash[0]);
        if self.wide {
            self.highs.push(hash[1]);
        }
        if self.lows.len() * LOAD.1 > self.places.len() * LOAD.0 {
            self.grow();
        }
        new
    }

    /// The memory taken.
    pub(super) fn memory(&self) -> u64 {
        let hashes = self.lows.capacity() + self.highs.capacity();
        (hashes * size_of::<u64>() + self.places.len() * size_of::<State>()) as u64
    }

    fn is(&self, state: State, hash: [u64; 2]) -> bool {
        let state = state as usize;
        self.lows[state] == hash[0] && self.highs.get(state).is_none_or(|high| *high == hash[1])
    }

    fn home(&self, low: u64) -> usize {
        low as usize % self.places.len()
    }

    fn grow(&mut self) {
        self.places = vec![EMPTY; 2 * self.places.len()];
        for (state, &low) in (0..).zip(&self.lows) {
            let mut place = low as usize % self.places.len();
            while self.places[place] != EMPTY {
                place = (place + 1) % self.places.len();
            }
            self.places[place] = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_met_again_has_the_number_that_it_had() {
        let mut numbers = Numbers::new(false);
        let hash = |state: u32| [u64::from(state / 2) << 20 | u64::from(state % 2), 0];
        for _ in 0..2 {
            for state in 0..5_000 {
                assert_eq!(numbers.number(hash(state)), state);
            }
        }
    }

    #[test]
    fn both_halves_count_where_they_are_kept() {
        let mut wide = Numbers::new(true);
        assert_eq!([1, 2, 1].map(|high| wide.number([7, high])), [0, 1, 0]);
        let mut narrow = Numbers::new(false);
        assert_eq!([1, 2, 1].map(|high| narrow.number([7, high])), [0, 0, 0]);
    }
}
