//! The set of visited states: their fingerprints, eight bytes each, and little else.
//!
//! Open addressing with linear probing. A fingerprint's place is proportional to its value,
//! so the table is nearly sorted: it grows by one pass from front to back. It is split into
//! shards that grow one by one, so that growing needs little memory beside what is there.

use std::io;

use super::checkpoint::{Reader, Writer};

/// How many shards there are: a power of two.
const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 8;

/// Of so many places so many may be taken. Beyond, probing gets long.
const LOAD: (usize, usize) = (13, 16);

/// An empty place. No state has this fingerprint.
const EMPTY: u64 = 0;

/// The fingerprint of a state. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint with this value, or one, if that is zero.
    pub fn new(value: u64) -> Self {
        Self(value.max(1))
    }

    /// Bits that do not tell its shard.
    pub fn low_bits(self) -> u32 {
        self.0 as u32
    }
}

/// A set of fingerprints.
pub struct Visited {
    shards: Vec<Shard>,
    len: u64,
}

impl Default for Visited {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::new()).collect(),
            len: 0,
        }
    }
}

impl Visited {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.len
    }

    /// The memory taken.
    pub fn bytes(&self) -> u64 {
        let places: usize = self.shards.iter().map(|shard| shard.places.len()).sum();
        (places * size_of::<u64>()) as u64
    }

    /// Whether it is there.
    pub fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.shards[shard(fingerprint)].contains(fingerprint.0)
    }

    /// Writes all.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn save(&self, into: &mut Writer<'_>) -> io::Result<()> {
        into.number(self.len)?;
        let places = self.shards.iter().flat_map(|shard| &shard.places);
        let mut taken = places.filter(|&&place| place != EMPTY);
        taken.try_for_each(|&fingerprint| into.number(fingerprint))
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If there is less.
    pub fn load(from: &mut Reader) -> io::Result<Self> {
        let mut visited = Self::default();
        for _ in 0..from.number()? {
            visited.insert(Fingerprint::new(from.number()?));
        }
        Ok(visited)
    }

    /// Adds one, and returns whether it is new.
    pub fn insert(&mut self, fingerprint: Fingerprint) -> bool {
        let is_new = self.shards[shard(fingerprint)].insert(fingerprint.0);
        self.len += u64::from(is_new);
        is_new
    }

    /// How many pairs of states with the same fingerprint are to be expected: one of each is
    /// never expanded. Of n states drawn at random that is n²/2⁶⁵.
    pub fn expected_collisions(&self) -> f64 {
        let n = self.len as f64;
        n * n / 2f64.powi(65)
    }
}

/// The shard is told by the highest bits, the place by those below.
fn shard(fingerprint: Fingerprint) -> usize {
    (fingerprint.0 >> (u64::BITS - SHARD_BITS)) as usize
}

struct Shard {
    places: Vec<u64>,
    taken: usize,
}

impl Shard {
    fn new() -> Self {
        Self {
            places: vec![EMPTY; 16],
            taken: 0,
        }
    }

    /// Where to begin to look for it.
    fn home(&self, fingerprint: u64) -> usize {
        let within = u128::from(fingerprint << SHARD_BITS);
        ((within * self.places.len() as u128) >> u64::BITS) as usize
    }

    /// Where it is, or the empty place where it would be.
    fn find(&self, fingerprint: u64) -> usize {
        let mut place = self.home(fingerprint);
        while self.places[place] != fingerprint && self.places[place] != EMPTY {
            place += 1;
            if place == self.places.len() {
                place = 0;
            }
        }
        place
    }

    fn contains(&self, fingerprint: u64) -> bool {
        self.places[self.find(fingerprint)] == fingerprint
    }

    fn insert(&mut self, fingerprint: u64) -> bool {
        let place = self.find(fingerprint);
        if self.places[place] == fingerprint {
            return false;
        }
        self.places[place] = fingerprint;
        self.taken += 1;
        if self.taken * LOAD.1 > self.places.len() * LOAD.0 {
            self.grow();
        }
        true
    }

    fn grow(&mut self) {
        let larger = vec![EMPTY; self.places.len() * 3 / 2];
        let old = std::mem::replace(&mut self.places, larger);
        for fingerprint in old.into_iter().filter(|&place| place != EMPTY) {
            let place = self.find(fingerprint);
            self.places[place] = fingerprint;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It does what the standard library's set does, also where fingerprints crowd together.
        #[test]
        fn it_is_a_set(values in prop::collection::vec(prop_oneof![any::<u64>(), 0u64..300, (u64::MAX - 300)..], 0..3000)) {
            let mut visited = Visited::default();
            let mut expected = std::collections::HashSet::new();
            for value in values {
                let fingerprint = Fingerprint::new(value);
                prop_assert_eq!(visited.contains(fingerprint), expected.contains(&fingerprint));
                prop_assert_eq!(visited.insert(fingerprint), expected.insert(fingerprint));
                prop_assert!(visited.contains(fingerprint));
                prop_assert_eq!(visited.count(), expected.len() as u64);
            }
        }
    }

    /// A large set takes at most 16 bytes for each fingerprint.
    #[test]
    fn it_is_compact() {
        let mut visited = Visited::default();
        for number in 1..=1_000_000u64 {
            let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            assert!(visited.insert(Fingerprint::new(spread)));
            assert!(
                number < 100_000 || visited.bytes() <= 16 * number,
                "{number}"
            );
        }
    }
}
