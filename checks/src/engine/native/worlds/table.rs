//! Parts of one kind, each kept once and known by a number.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::quality::FixedState;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::native::checkpoint::{Reader, Writer};

/// A number for each different `T`. Who has a number looks at the part without waiting for anybody.
pub(super) struct Table<T> {
    numbers: Mutex<HashMap<Key<T>, u32, foldhash::fast::FixedState>>,
    /// By their numbers.
    parts: boxcar::Vec<Part<T>>,
}

/// A part, with its hash: the same in every run.
pub(super) struct Part<T> {
    /// What it is.
    pub(super) content: Arc<T>,
    /// Its hash.
    pub(super) hash: Hashed,
}

/// A hash of 128 bits: two of 64 that have nothing to do with each other.
pub(super) type Hashed = [u64; 2];

/// A part to be looked up. It is hashed before, while nobody waits.
struct Key<T> {
    hash: u64,
    content: Arc<T>,
}

impl<T: Hash> Key<T> {
    fn new(content: Arc<T>) -> Self {
        let hash = half(0, &content);
        Self { hash, content }
    }
}

impl<T: PartialEq> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.content == other.content
    }
}

impl<T: Eq> Eq for Key<T> {}

impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<T: Hash + Eq> Table<T> {
    /// Without parts.
    pub(super) fn new() -> Self {
        Self {
            numbers: Mutex::default(),
            parts: boxcar::Vec::new(),
        }
    }

    /// The part's number and its hash.
    pub(super) fn number(&self, content: Arc<T>) -> (u32, Hashed) {
        let key = Key::new(content);
        // A panic while it is locked leaves a part without a number at worst.
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let number = numbers.get(&key).copied().unwrap_or_else(|| {
            let number = self.parts.push(Part {
                content: Arc::clone(&key.content),
                hash: [key.hash, half(1, &key.content)],
            });
            let number = u32::try_from(number).expect("fewer than 2³² different parts");
            numbers.insert(key, number);
            number
        });
        drop(numbers);
        (number, self.part(number).hash)
    }

    /// The part with this number.
    pub(super) fn part(&self, number: u32) -> &Part<T> {
        &self.parts[number as usize]
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.parts.count()
    }

    /// Writes all parts, in the order of their numbers.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) fn save(&self, into: &mut Writer<'_>) -> io::Result<()>
    where
        T: Serialize,
    {
        let parts: Vec<&T> = self.parts.iter().map(|(_, part)| &*part.content).collect();
        into.value(&parts)
    }

    /// Reads what was written: the parts get the numbers that they had.
    ///
    /// # Errors
    /// If what is read is of another kind, or begins with other parts than there are already.
    pub(super) fn load(&self, from: &mut Reader) -> io::Result<()>
    where
        T: Serialize + DeserializeOwned,
    {
        let parts: Vec<T> = from.value()?;
        for (number, part) in (0..).zip(parts) {
            // What has a number already has the same one: the search began with it then, too.
            if self.number(Arc::new(part)).0 != number {
                return Err(io::Error::other("it began with another world"));
            }
        }
        Ok(())
    }
}

/// A hash that is the same in every run.
pub(super) fn hash(content: &impl Hash) -> Hashed {
    [half(0, content), half(1, content)]
}

fn half(seed: u64, content: &impl Hash) -> u64 {
    FixedState::with_seed(seed).hash_one(content)
}
