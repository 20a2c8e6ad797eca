//! What all threads together remember of the steps from cores: each is taken once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use derive_where::derive_where;
use foldhash::fast::FixedState;
use models::Specification;

use super::lab::Step;
use super::tables::Core;

/// How many parts there are, each with a lock of its own: a power of two.
const SHARDS: usize = 64;

/// What a lesson is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// What may happen to the message with this number, if it may arrive next.
    Message(u32),
    /// What else may happen.
    Others {
        /// Whether timers may run out.
        timers: bool,
    },
}

/// What may happen from a core.
pub(super) struct Lesson<P: Specification> {
    /// Whether the message can arrive.
    pub(super) is_deliverable: bool,
    /// The steps.
    pub(super) steps: Box<[Arc<Step<P>>]>,
    /// Whether they, or the properties, are not the same where what is alike has changed places.
    pub(super) is_lopsided: bool,
}

/// Lessons, by their cores. Forgets.
pub(super) struct Lessons<P: Specification> {
    shards: Vec<Mutex<Shard<P>>>,
    /// The most steps that a shard remembers.
    most: usize,
}

/// What is known of a core.
type OfCore<P> = Vec<(Topic, Arc<Lesson<P>>)>;

#[derive_where(Default)]
struct Shard<P: Specification> {
    cores: HashMap<Arc<[u32]>, OfCore<P>, FixedState>,
    /// How many steps are remembered; a lesson of none counts as one.
    steps: usize,
}

impl<P: Specification> Lessons<P> {
    /// None yet, and never much more than so many steps.
    pub(super) fn new(most: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            most: most.div_ceil(SHARDS),
        }
    }

    /// How many steps are remembered.
    pub(super) fn steps(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).steps).sum()
    }

    /// The lesson, if it is remembered.
    pub(super) fn get(&self, core: &Core, topic: Topic) -> Option<Arc<Lesson<P>>> {
        let shard = self.shard(core);
        let mut lessons = shard.cores.get(&core.numbers)?.iter();
        let (_, lesson) = lessons.find(|(known, _)| *known == topic)?;
        Some(Arc::clone(lesson))
    }

    /// Remembers a lesson. Another thread may have had it at the same time: both say the same.
    pub(super) fn put(&self, core: &Core, topic: Topic, lesson: &Arc<Lesson<P>>) {
        let mut shard = self.shard(core);
        if shard.steps > self.most {
            *shard = Shard::default();
        }
        shard.steps += lesson.steps.len().max(1);
        let lessons = shard.cores.entry(Arc::clone(&core.numbers)).or_default();
        lessons.push((topic, Arc::clone(lesson)));
    }

    fn shard(&self, core: &Core) -> MutexGuard<'_, Shard<P>> {
        locked(&self.shards[core.hash[0] as usize % SHARDS])
    }
}

/// A panic while it is locked leaves a lesson out at worst.
fn locked<P: Specification>(shard: &Mutex<Shard<P>>) -> MutexGuard<'_, Shard<P>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
