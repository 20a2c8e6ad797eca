//! What the search asks of a state space, and what it is told.

use std::io;
use std::mem::take;

use super::checkpoint::{Reader, Writer};
use super::visited::{Fingerprint, Visited};

/// A state space, walked by several threads. States are handed around as bytes.
pub trait Space: Sync {
    /// What a thread remembers from state to state. Must make no difference to what it finds.
    type Worker: Send;

    /// A thread begins.
    fn worker(&self) -> Self::Worker;

    /// Adds the initial state.
    fn begin(&self, worker: &mut Self::Worker, sink: &mut Sink<'_>);

    /// Takes a state off the front of `states`, and tells of its steps one after the other, in
    /// an order that depends on the state alone.
    fn expand(&self, worker: &mut Self::Worker, states: &mut &[u8], sink: &mut Sink<'_>);

    /// Writes what the bytes of states rest on.
    ///
    /// # Errors
    /// If it cannot be written.
    fn save(&self, into: &mut Writer<'_>) -> io::Result<()> {
        let _ = into;
        Ok(())
    }

    /// Reads what was written, before anything is expanded.
    ///
    /// # Errors
    /// If what is read is of another space.
    fn load(&self, from: &mut Reader) -> io::Result<()> {
        let _ = from;
        Ok(())
    }

    /// The memory taken by what all threads share.
    fn bytes(&self) -> u64 {
        0
    }
}

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Its name.
    pub property: &'static str,
    /// The message, where something panicked.
    pub panic: Option<String>,
}

/// Marks that states bear: bit `i` for what has number `i`.
pub type Marks = u128;

/// Takes what a state's steps lead to.
pub struct Sink<'a> {
    visited: &'a Visited,
    recent: &'a mut Recent,
    found: Found,
    parent: u64,
    step: u32,
    marked: Marks,
}

/// What came of some states.
#[derive(Default)]
pub struct Found {
    /// How many steps were taken.
    pub generated: u64,
    /// How many of those were not really taken.
    pub left_out: u64,
    /// The states found that had not been visited before. One may be among them twice.
    pub candidates: Vec<Candidate>,
    /// Their fingerprints.
    pub fingerprints: Vec<Fingerprint>,
    /// Those states, one behind the other.
    pub bytes: Vec<u8>,
    /// How many steps of each kind were taken, by the number of the kind.
    pub tally: Vec<u64>,
    /// What is wrong with the last step, or with the state that it led to.
    pub breach: Option<(Breach, Origin)>,
}

impl Found {
    /// The bytes of the state at this position.
    pub fn state(&self, position: usize) -> &[u8] {
        let before = position.checked_sub(1);
        let start = before.map_or(0, |before| self.candidates[before].end);
        &self.bytes[start..self.candidates[position].end]
    }

    /// Nothing, in as much room.
    fn clear(&mut self) {
        let mut kept = take(self);
        kept.candidates.clear();
        kept.fingerprints.clear();
        kept.bytes.clear();
        *self = Self {
            candidates: kept.candidates,
            fingerprints: kept.fingerprints,
            bytes: kept.bytes,
            ..Self::default()
        };
    }
}

/// From which state, by its which step.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The number of the state.
    pub parent: u64,
    /// The number of the step, from 0.
    pub step: u32,
}

/// A state found.
pub struct Candidate {
    /// How it was found.
    pub origin: Origin,
    /// Where its bytes end.
    pub end: usize,
    /// What it shows.
    pub marks: Marks,
}

impl<'a> Sink<'a> {
    /// Takes what comes of states, while these have been visited, into what held what came of
    /// others. `marked` is what has been shown: nobody needs to see it again.
    pub fn new(
        visited: &'a Visited,
        recent: &'a mut Recent,
        marked: Marks,
        mut found: Found,
    ) -> Self {
        found.clear();
        Self {
            visited,
            recent,
            found,
            parent: 0,
            step: 0,
            marked,
        }
    }

    /// What came of them.
    pub fn into_found(self) -> Found {
        self.found
    }

    /// The steps of state number `parent` are next.
    pub fn of(&mut self, parent: u64) {
        (self.parent, self.step) = (parent, 0);
    }

    /// The number of the state whose steps are told.
    pub fn parent(&self) -> u64 {
        self.parent
    }

    /// What has been shown already.
    pub fn marked(&self) -> Marks {
        self.marked
    }

    /// Whether something is wrong: nothing more is to be told.
    pub fn is_broken(&self) -> bool {
        self.found.breach.is_some()
    }

    /// The next step is of the kind with this number.
    pub fn count(&mut self, kind: usize) {
        let tally = &mut self.found.tally;
        if tally.len() <= kind {
            tally.resize(kind + 1, 0);
        }
        tally[kind] += 1;
    }

    /// The next step leads nowhere new.
    pub fn pass(&mut self) {
        self.found.generated += 1;
        self.step += 1;
    }

    /// The next step leads where another one leads that is taken.
    pub fn leave_out(&mut self) {
        self.found.left_out += 1;
        self.pass();
    }

    /// The next step, or the state it leads to, breaks a property.
    pub fn broken(&mut self, breach: Breach) {
        self.found.breach = Some((breach, self.origin()));
        self.pass();
    }

    /// States with these fingerprints are about to be asked for.
    pub fn prepare(&self, fingerprints: impl Iterator<Item = Fingerprint>) {
        self.visited.touch(fingerprints);
    }

    /// Whether a state with this fingerprint would be new.
    pub fn is_new(&self, fingerprint: Fingerprint) -> bool {
        !self.recent.contains(fingerprint) && !self.visited.contains(fingerprint)
    }

    /// The next step leads to this state. `write` appends its bytes.
    pub fn add(
        &mut self,
        fingerprint: Fingerprint,
        marks: Marks,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        write(&mut self.found.bytes);
        self.found.fingerprints.push(fingerprint);
        self.found.candidates.push(Candidate {
            origin: self.origin(),
            end: self.found.bytes.len(),
            marks,
        });
        self.recent.add(fingerprint);
        self.marked |= marks;
        self.pass();
    }

    fn origin(&self) -> Origin {
        Origin {
            parent: self.parent,
            step: self.step,
        }
    }
}

/// The states that a thread has found lately: most have several parents on one level, and only
/// the first needs to be told of it. Forgets.
pub struct Recent {
    places: Vec<Fingerprint>,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            places: vec![Fingerprint::NONE; 1 << 15],
        }
    }
}

impl Recent {
    fn place(&self, fingerprint: Fingerprint) -> usize {
        fingerprint.low_bits() as usize % self.places.len()
    }

    fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.places[self.place(fingerprint)] == fingerprint
    }

    fn add(&mut self, fingerprint: Fingerprint) {
        let place = self.place(fingerprint);
        self.places[place] = fingerprint;
    }
}
