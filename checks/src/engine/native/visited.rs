//! The set of visited states: their fingerprints, eight bytes each or sixteen, and little else.
//!
//! Open addressing with linear probing. A fingerprint's place is proportional to its value,
//! so the table is nearly sorted: it grows by one pass from front to back. It is split into
//! shards that grow one by one, so that growing needs little memory beside what is there.

use std::hint::black_box;
use std::io;
use std::thread;

use super::checkpoint::{Reader, Writer};
use super::positions::Positions;
use crate::engine::Bits;

/// How many shards there are: a power of two.
const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 8;

/// Of so many places so many may be taken. Beyond, probing gets long.
const LOAD: (usize, usize) = (13, 16);

/// By how much a shard grows when it is full. More would leave more places empty.
const GROWTH: (usize, usize) = (5, 4);

/// So many are looked up side by side: what memory takes to answer is then waited for once.
const SIDE_BY_SIDE: usize = 32;

/// For fewer than so many it is not worth while to wake another thread.
const WORTH_A_THREAD: usize = 4096;

/// An empty place. No state has this fingerprint.
const EMPTY: u64 = 0;

/// The fingerprint of a state: 64 bits, or 128. The lower half is never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    low: u64,
    /// Zero where there are no more than 64 bits.
    high: u64,
}

impl Fingerprint {
    /// No state's.
    pub(super) const NONE: Self = Self { low: 0, high: 0 };

    /// The fingerprint with these 64 bits, or one, if they are zero.
    pub fn new(value: u64) -> Self {
        Self::of([value, 0])
    }

    /// The fingerprint with these bits, the lower half first; that may not be zero, and is one
    /// then.
    pub fn of([low, high]: [u64; 2]) -> Self {
        let low = low.max(1);
        Self { low, high }
    }

    /// Bits that do not tell its shard.
    pub fn low_bits(self) -> u32 {
        self.low as u32
    }
}

/// A set of fingerprints.
pub struct Visited {
    shards: Vec<Shard>,
    len: u64,
    bits: Bits,
}

impl Visited {
    /// None yet, of so many bits each.
    pub fn new(bits: Bits) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::new(bits)).collect(),
            len: 0,
            bits,
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.len
    }

    /// The memory taken.
    pub fn bytes(&self) -> u64 {
        let of = |shard: &Shard| shard.places.len() + shard.highs.len();
        let halves: usize = self.shards.iter().map(of).sum();
        (halves * size_of::<u64>()) as u64
    }

    /// Whether it is there.
    pub fn contains(&self, fingerprint: Fingerprint) -> bool {
        let shard = &self.shards[shard(fingerprint)];
        shard.find(fingerprint).is_ok()
    }

    /// Writes all.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn save(&self, into: &mut Writer<'_>) -> io::Result<()> {
        into.number(self.len)?;
        for Fingerprint { low, high } in self.shards.iter().flat_map(Shard::all) {
            into.number(low)?;
            if self.bits == Bits::Wide {
                into.number(high)?;
            }
        }
        Ok(())
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If there is less.
    pub fn load(from: &mut Reader, bits: Bits) -> io::Result<Self> {
        let mut visited = Self::new(bits);
        for _ in 0..from.number()? {
            let low = from.number()?;
            let high = match bits {
                Bits::Narrow => 0,
                Bits::Wide => from.number()?,
            };
            visited.insert(Fingerprint::of([low, high]));
        }
        Ok(visited)
    }

    /// Adds one, and returns whether it is new.
    pub fn insert(&mut self, fingerprint: Fingerprint) -> bool {
        let is_new = self.shards[shard(fingerprint)].insert(fingerprint);
        self.len += u64::from(is_new);
        is_new
    }

    /// Adds all of these in their order, by so many threads, and returns the positions of those
    /// that are new.
    pub fn insert_all(&mut self, batches: &[&[Fingerprint]], threads: usize) -> Positions {
        let all = batches.iter().map(|batch| batch.len()).sum();
        let threads = if all < WORTH_A_THREAD { 1 } else { threads };
        let each = SHARDS.div_ceil(threads);
        let mut shares = (0..).step_by(each).zip(self.shards.chunks_mut(each));
        let mine = shares.next();
        // A fingerprint is always the same thread's, so of equals the first is the new one.
        let new = thread::scope(|scope| {
            let others = shares.map(|(first, shards)| {
                scope.spawn(move || Share { first, shards }.insert_all(batches, all))
            });
            let others: Vec<_> = others.collect();
            let mut new = Positions::none(all);
            if let Some((first, shards)) = mine {
                new.add(&Share { first, shards }.insert_all(batches, all));
            }
            for other in others {
                match other.join() {
                    Ok(others) => new.add(&others),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            new
        });
        self.len += new.count();
        new
    }

    /// Looks where these would be, so that memory has them at hand.
    pub fn touch(&self, fingerprints: impl Iterator<Item = Fingerprint>) {
        let look = |fingerprint| self.shards[shard(fingerprint)].touch(fingerprint);
        black_box(fingerprints.map(look).fold(0, u64::wrapping_add));
    }

    /// How many pairs of states with the same fingerprint are to be expected: one of each is
    /// never expanded. Of n states drawn at random and b bits that is n²/2^(b + 1).
    pub fn expected_collisions(&self) -> f64 {
        let (n, bits) = (self.len as f64, self.bits.number());
        n * n / 2f64.powi(bits as i32 + 1)
    }
}

/// The shard is told by the highest bits, the place by those below.
fn shard(fingerprint: Fingerprint) -> usize {
    (fingerprint.low >> (u64::BITS - SHARD_BITS)) as usize
}

/// Some of the shards, in one thread's hands.
struct Share<'a> {
    /// The number of the first.
    first: usize,
    shards: &'a mut [Shard],
}

impl Share<'_> {
    /// Adds those of these, `all` of them, that belong here.
    fn insert_all(mut self, batches: &[&[Fingerprint]], all: usize) -> Positions {
        let mut new = Positions::none(all);
        let mut before = 0;
        for batch in batches {
            for some in batch.chunks(SIDE_BY_SIDE) {
                self.insert_some(some, before, &mut new);
                before += some.len();
            }
        }
        new
    }

    /// Adds those of a few that belong here. `before` is the position of the first.
    fn insert_some(&mut self, some: &[Fingerprint], before: usize, new: &mut Positions) {
        // Without a branch: whose one is cannot be foreseen.
        let mut ours = [0; SIDE_BY_SIDE];
        let mut count = 0;
        for (position, &fingerprint) in some.iter().enumerate() {
            ours[count] = position;
            count += usize::from(self.place(fingerprint) < self.shards.len());
        }
        let ours = &ours[..count];
        let look = |&position: &usize| {
            let fingerprint = some[position];
            self.shards[self.place(fingerprint)].touch(fingerprint)
        };
        black_box(ours.iter().map(look).fold(0, u64::wrapping_add));
        for &position in ours {
            let shard = self.place(some[position]);
            if self.shards[shard].insert(some[position]) {
                new.insert(before + position);
            }
        }
    }

    /// The position of a fingerprint's shard here; none has it if it is elsewhere.
    fn place(&self, fingerprint: Fingerprint) -> usize {
        shard(fingerprint).wrapping_sub(self.first)
    }
}

struct Shard {
    /// Lower halves.
    places: Vec<u64>,
    /// Upper halves, in the same places; empty if they are all zero.
    highs: Vec<u64>,
    taken: usize,
}

impl Shard {
    fn new(bits: Bits) -> Self {
        let highs = match bits {
            Bits::Narrow => Vec::new(),
            Bits::Wide => vec![0; 16],
        };
        Self {
            places: vec![EMPTY; 16],
            highs,
            taken: 0,
        }
    }

    fn all(&self) -> impl Iterator<Item = Fingerprint> {
        let fingerprint = |(place, &low)| Fingerprint {
            low,
            high: self.highs.get(place).copied().unwrap_or(0),
        };
        let taken = self.places.iter().enumerate();
        let taken = taken.filter(|(_, low)| **low != EMPTY);
        taken.map(fingerprint)
    }

    /// Where to begin to look for it.
    fn home(&self, low: u64) -> usize {
        let within = u128::from(low << SHARD_BITS);
        ((within * self.places.len() as u128) >> u64::BITS) as usize
    }

    /// What is where it would be looked for first.
    fn touch(&self, fingerprint: Fingerprint) -> u64 {
        self.places[self.home(fingerprint.low)]
    }

    /// Where it is, or the empty place where it would be.
    fn find(&self, fingerprint: Fingerprint) -> Result<usize, usize> {
        let mut place = self.home(fingerprint.low);
        loop {
            let low = self.places[place];
            if low == EMPTY {
                return Err(place);
            }
            let is_it = || self.highs.is_empty() || self.highs[place] == fingerprint.high;
            if low == fingerprint.low && is_it() {
                return Ok(place);
            }
            place += 1;
            if place == self.places.len() {
                place = 0;
            }
        }
    }

    fn insert(&mut self, fingerprint: Fingerprint) -> bool {
        let Err(place) = self.find(fingerprint) else {
            return false;
        };
        self.put(place, fingerprint);
        self.taken += 1;
        if self.taken * LOAD.1 > self.places.len() * LOAD.0 {
            self.grow();
        }
        true
    }

    fn put(&mut self, place: usize, fingerprint: Fingerprint) {
        self.places[place] = fingerprint.low;
        if let Some(high) = self.highs.get_mut(place) {
            *high = fingerprint.high;
        }
    }

    fn grow(&mut self) {
        let places = self.places.len() * GROWTH.0 / GROWTH.1;
        let highs = if self.highs.is_empty() { 0 } else { places };
        let larger = Self {
            places: vec![EMPTY; places],
            highs: vec![0; highs],
            taken: self.taken,
        };
        let old = std::mem::replace(self, larger);
        for fingerprint in old.all() {
            if let Err(place) = self.find(fingerprint) {
                self.put(place, fingerprint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Values whose lower halves often are the same.
    fn values() -> impl Strategy<Value = Vec<[u64; 2]>> {
        let low = prop_oneof![any::<u64>(), 0u64..300, (u64::MAX - 300)..];
        prop::collection::vec((low, 0u64..3).prop_map(|(low, high)| [low, high]), 0..3000)
    }

    proptest! {
        /// It does what the standard library's set does, also where fingerprints crowd together.
        #[test]
        fn it_is_a_set(values in values(), wide in any::<bool>()) {
            let bits = if wide { Bits::Wide } else { Bits::Narrow };
            let mut visited = Visited::new(bits);
            let mut expected = std::collections::HashSet::new();
            for [low, high] in values {
                let fingerprint = Fingerprint::of([low, if wide { high } else { 0 }]);
                prop_assert_eq!(visited.contains(fingerprint), expected.contains(&fingerprint));
                prop_assert_eq!(visited.insert(fingerprint), expected.insert(fingerprint));
                prop_assert!(visited.contains(fingerprint));
                prop_assert_eq!(visited.count(), expected.len() as u64);
            }
        }
    }

    proptest! {
        /// All at once, on any number of threads, is one after the other.
        #[test]
        fn many_at_once_are_as_one_after_the_other(
            values in values(),
            again in 0..9000usize,
            cuts in prop::collection::vec(0..9000usize, 0..4),
            threads in 1..4usize,
        ) {
            // Enough of them that threads are worth while; many of them twice.
            let values = values.iter().cycle().take(if values.is_empty() { 0 } else { again });
            let spread = |(turn, [low, _]): (usize, &[u64; 2])| {
                Fingerprint::new(low.wrapping_add(turn as u64 / 4000))
            };
            let fingerprints: Vec<Fingerprint> = values.enumerate().map(spread).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| (*cut).min(fingerprints.len())).collect();
            cuts.extend([0, fingerprints.len()]);
            cuts.sort_unstable();
            let batches: Vec<&[Fingerprint]> =
                cuts.windows(2).map(|cut| &fingerprints[cut[0]..cut[1]]).collect();
            let (mut one, mut all) = (Visited::new(Bits::Narrow), Visited::new(Bits::Narrow));
            let new = all.insert_all(&batches, threads);
            let expected = fingerprints.iter().enumerate();
            let expected: Vec<usize> = expected
                .filter(|(_, fingerprint)| one.insert(**fingerprint))
                .map(|(position, _)| position)
                .collect();
            prop_assert_eq!(new.iter().collect::<Vec<_>>(), expected);
            prop_assert_eq!(all.count(), one.count());
        }
    }

    /// A large set takes at most 13 bytes for each fingerprint of 64 bits, and twice as many for
    /// one of 128.
    #[test]
    fn it_is_compact() {
        for (bits, most) in [(Bits::Narrow, 13), (Bits::Wide, 26)] {
            let mut visited = Visited::new(bits);
            for number in 1..=1_000_000u64 {
                let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                assert!(visited.insert(Fingerprint::new(spread)));
                let is_compact = visited.bytes() <= most * number;
                assert!(number < 100_000 || is_compact, "{number}");
            }
        }
    }
}
