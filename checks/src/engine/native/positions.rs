//! Some of the positions from 0 to a number, a bit each.

/// How many positions a word has room for.
const PER_WORD: usize = u64::BITS as usize;

/// Some positions.
#[derive(Debug, Default)]
pub struct Positions {
    words: Vec<u64>,
}

impl Positions {
    /// None, of so many.
    pub(super) fn none(of: usize) -> Self {
        Self {
            words: vec![0; of.div_ceil(PER_WORD)],
        }
    }

    /// There are so many positions, or more.
    pub(super) fn make_room(&mut self, of: usize) {
        let words = of.div_ceil(PER_WORD).max(self.words.len());
        self.words.resize(words, 0);
    }

    /// Whether it is among them.
    pub(super) fn contains(&self, position: usize) -> bool {
        self.words[position / PER_WORD] & 1 << (position % PER_WORD) != 0
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, position: usize) {
        self.words[position / PER_WORD] &= !(1 << (position % PER_WORD));
    }

    /// Adds one.
    pub(super) fn insert(&mut self, position: usize) {
        self.words[position / PER_WORD] |= 1 << (position % PER_WORD);
    }

    /// Adds all of the others, of as many.
    pub(super) fn add(&mut self, others: &Self) {
        for (word, other) in self.words.iter_mut().zip(&others.words) {
            *word |= other;
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        let ones = self.words.iter().map(|word| u64::from(word.count_ones()));
        ones.sum()
    }

    /// All of them, the least first.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        let words = (0..).step_by(PER_WORD).zip(&self.words);
        words.flat_map(|(first, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let next = (rest != 0).then(|| first + rest.trailing_zeros() as usize);
                rest &= rest.wrapping_sub(1);
                next
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_a_set(some in prop::collection::vec(0..500usize, 0..100), gone in 0..500usize) {
            let (mut one, mut other) = (Positions::none(500), Positions::none(500));
            let (first, second) = some.split_at(some.len() / 2);
            first.iter().for_each(|&position| one.insert(position));
            second.iter().for_each(|&position| other.insert(position));
            one.add(&other);
            one.remove(gone);
            let mut expected: BTreeSet<usize> = some.into_iter().collect();
            expected.remove(&gone);
            prop_assert_eq!(one.count(), expected.len() as u64);
            prop_assert!((0..500).all(|it| one.contains(it) == expected.contains(&it)));
            prop_assert!(one.iter().eq(expected));
        }
    }
}
