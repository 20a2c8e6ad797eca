//! The set of visited states: their fingerprints, eight bytes each or sixteen, and little else.
//!
//! Open addressing with linear probing, in order (Amble and Knuth 1974, "Ordered hash tables"): a
//! fingerprint's first place is proportional to its value, and where places are taken the least
//! come first. So a search ends at the first that is not less, whether it finds or not, the table is
//! sorted but for its gaps, and it grows by one pass from front to back. It is split into shards
//! that grow one by one, so that growing needs little memory beside what is there.

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
const WORTH_A_THREAD: usize = 1 << 14;

/// A shard has so many places more than fingerprints have first places, or some more: whoever is
/// pushed on from the last ones goes there.
const MARGIN: usize = 32;

/// An empty place: greater than any fingerprint's lower half.
const EMPTY: u64 = u64::MAX;

/// The fingerprint of a state: 64 bits, or 128. The lower half is never all ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    low: u64,
    /// Zero where there are no more than 64 bits.
    high: u64,
}

impl Fingerprint {
    /// No state's.
    pub(super) const NONE: Self = Self {
        low: EMPTY,
        high: 0,
    };

    /// The fingerprint with these 64 bits, or one less, if they are all ones.
    pub fn new(value: u64) -> Self {
        Self::of([value, 0])
    }

    /// The fingerprint with these bits, the lower half first; that may not be all ones, and is one
    /// less then.
    pub fn of([low, high]: [u64; 2]) -> Self {
        let low = low.min(EMPTY - 1);
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
        shard.contains(fingerprint)
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
    /// Lower halves, in order where they are not [`EMPTY`]; the last one is.
    places: Vec<u64>,
    /// Upper halves, in the same places; empty if they are all zero.
    highs: Vec<u64>,
    /// How many first places there are.
    homes: usize,
    taken: usize,
}

impl Shard {
    fn new(bits: Bits) -> Self {
        Self::with_room(16, bits == Bits::Wide)
    }

    /// An empty one, with so many first places.
    fn with_room(homes: usize, is_wide: bool) -> Self {
        let places = homes + MARGIN;
        Self {
            places: vec![EMPTY; places],
            highs: vec![0; if is_wide { places } else { 0 }],
            homes,
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
        ((within * self.homes as u128) >> u64::BITS) as usize
    }

    /// What is where it would be looked for first.
    fn touch(&self, fingerprint: Fingerprint) -> u64 {
        self.places[self.home(fingerprint.low)]
    }

    fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.find(fingerprint).is_ok()
    }

    /// Where it is, or where it belongs.
    fn find(&self, fingerprint: Fingerprint) -> Result<usize, usize> {
        let mut place = self.home(fingerprint.low);
        // The last place is empty, and no lower half is greater.
        while self.places[place] < fingerprint.low {
            place += 1;
        }
        while self.places[place] == fingerprint.low {
            if self.highs.is_empty() || self.highs[place] == fingerprint.high {
                return Ok(place);
            }
            place += 1;
        }
        Err(place)
    }

    fn insert(&mut self, fingerprint: Fingerprint) -> bool {
        let Err(place) = self.find(fingerprint) else {
            return false;
        };
        self.put(place, fingerprint);
        self.keep_the_last_empty();
        if self.taken * LOAD.1 > self.homes * LOAD.0 {
            self.grow();
        }
        true
    }

    /// Puts it in its place; those from there to the next gap move on by one.
    fn put(&mut self, place: usize, fingerprint: Fingerprint) {
        let mut gap = place;
        while self.places[gap] != EMPTY {
            gap += 1;
        }
        self.places.copy_within(place..gap, place + 1);
        self.places[place] = fingerprint.low;
        if !self.highs.is_empty() {
            self.highs.copy_within(place..gap, place + 1);
            self.highs[place] = fingerprint.high;
        }
        self.taken += 1;
    }

    /// There is always a place where a search ends.
    fn keep_the_last_empty(&mut self) {
        if self.places.last() != Some(&EMPTY) {
            let places = self.places.len() + MARGIN;
            self.places.resize(places, EMPTY);
            if !self.highs.is_empty() {
                self.highs.resize(places, 0);
            }
        }
    }

    fn grow(&mut self) {
        let homes = self.homes * GROWTH.0 / GROWTH.1;
        let mut larger = Self::with_room(homes, !self.highs.is_empty());
        let mut next = 0;
        // They come in order: each goes to its first place, or behind the one before.
        for fingerprint in self.all() {
            let place = larger.home(fingerprint.low).max(next);
            larger.put(place, fingerprint);
            larger.keep_the_last_empty();
            next = place + 1;
        }
        *self = larger;
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
            again in 0..40_000usize,
            cuts in prop::collection::vec(0..40_000usize, 0..4),
            threads in 1..4usize,
        ) {
            // Enough of them that threads are worth while; many of them twice.
            let values = values.iter().cycle().take(if values.is_empty() { 0 } else { again });
            let spread = |(turn, [low, _]): (usize, &[u64; 2])| {
                Fingerprint::new(low.wrapping_add(turn as u64 / 20_000))
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
