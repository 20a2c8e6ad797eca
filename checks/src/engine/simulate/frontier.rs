//! Where walks begin: worlds at which something new was shown, kept by what they show.
//!
//! What a world shows is which reachability properties it satisfies. Among worlds that show the
//! same, those with different ghosts are kept, up to so many: the ghost is what the properties
//! remember of the past, and nearest to what makes one such world differ from another. A walk
//! draws first what is shown, then one of the worlds that show it, so that what is rarely come
//! to is gone on from as often as what every walk comes to.

use std::collections::HashMap;
use std::sync::Arc;

use models::Specification;
use models::world::{Action, World};

use crate::distinct::Distinct;
use crate::examine::{self, Witnesses};

/// How many worlds are kept that show the same.
const ALIKE: u64 = 32;
/// Of how many that come later one takes another's place.
const REPLACED: u64 = 4;
/// In how many walks of a hundred the start is the initial world.
const FROM_THE_START: u32 = 20;

/// A world, and the way there.
pub(super) struct Place<P: Specification> {
    pub(super) world: World<P>,
    pub(super) way: Arc<Way<P>>,
    /// What the world shows.
    pub(super) shows: Signature,
}

/// What a world shows, as fingerprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// The reachability properties.
    sights: u64,
    /// These, and the ghost.
    all: u64,
}

impl Signature {
    pub(super) fn of<P: Specification>(world: &World<P>, sights: Witnesses) -> Self {
        // By name: a property more in the table changes no walk that does not show it.
        let names: Vec<&str> = sights.names::<P>().collect();
        let sights = examine::hash(&names);
        Self {
            sights,
            all: examine::hash(&(sights, &world.ghost)),
        }
    }
}

/// The steps from the initial world, as those of one walk after another.
pub(super) struct Way<P: Specification> {
    before: Option<Arc<Way<P>>>,
    /// The last walk's steps, of which the first so many lead here.
    steps: Arc<[Action<P>]>,
    taken: usize,
    length: usize,
}

impl<P: Specification> Way<P> {
    fn none() -> Self {
        Self {
            before: None,
            steps: Arc::new([]),
            taken: 0,
            length: 0,
        }
    }

    /// The way `before`, and then the first so many of these steps.
    pub(super) fn after(before: &Arc<Self>, steps: &Arc<[Action<P>]>, taken: usize) -> Self {
        Self {
            before: Some(Arc::clone(before)),
            steps: Arc::clone(steps),
            taken,
            length: before.length + taken,
        }
    }

    /// How many steps it has.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The steps, the first one first.
    pub(super) fn actions(&self) -> Vec<Action<P>> {
        let mut walks = Vec::new();
        let mut way = Some(self);
        while let Some(last) = way {
            walks.push(&last.steps[..last.taken]);
            way = last.before.as_deref();
        }
        walks.into_iter().rev().flatten().cloned().collect()
    }
}

/// Taken apart walk by walk: nested, a long way would be too deep for the stack.
impl<P: Specification> Drop for Way<P> {
    fn drop(&mut self) {
        let mut before = self.before.take();
        while let Some(mut way) = before.and_then(Arc::into_inner) {
            before = way.before.take();
        }
    }
}

impl<P: Specification> Place<P> {
    /// How many steps it is away from the initial world.
    pub(super) fn depth(&self) -> usize {
        self.way.length()
    }
}

/// The worlds to begin at.
pub(super) struct Frontier<P: Specification> {
    initial: Place<P>,
    /// The others, by what they show, in the order in which that was first shown.
    places: Vec<Vec<Place<P>>>,
    /// Where worlds are that satisfy these reachability properties.
    sights: HashMap<u64, usize>,
    /// What has been shown.
    known: Distinct,
}

impl<P: Specification> Frontier<P> {
    pub(super) fn new(initial: World<P>) -> Self {
        Self {
            initial: Place {
                shows: Signature::of(&initial, Witnesses::default()),
                world: initial,
                way: Arc::new(Way::none()),
            },
            places: Vec::new(),
            sights: HashMap::new(),
            known: Distinct::new(),
        }
    }

    /// How many worlds there are to begin at.
    pub(super) fn len(&self) -> usize {
        1 + self.places.iter().map(Vec::len).sum::<usize>()
    }

    /// A world to begin at.
    pub(super) fn place(&self, rng: &mut fastrand::Rng) -> &Place<P> {
        if self.places.is_empty() || rng.u32(..100) < FROM_THE_START {
            return &self.initial;
        }
        let alike = &self.places[rng.usize(..self.places.len())];
        &alike[rng.usize(..alike.len())]
    }

    /// Whether the same has been shown before.
    pub(super) fn knows(&self, shows: Signature) -> bool {
        self.known.has(shows.all)
    }

    /// Keeps a world that shows something new. Where enough are kept that show nearly the same
    /// it may take the place of one, or not: which is a matter of what it shows, not of chance.
    pub(super) fn keep(&mut self, place: Place<P>) {
        let shows = place.shows;
        if !self.known.add(shows.all) {
            return;
        }
        let position = *self.sights.entry(shows.sights).or_insert_with(|| {
            self.places.push(Vec::new());
            self.places.len() - 1
        });
        let alike = &mut self.places[position];
        let slot = (shows.all >> 32) % (ALIKE * REPLACED);
        if (alike.len() as u64) < ALIKE {
            alike.push(place);
        } else if slot < ALIKE {
            alike[slot as usize] = place;
        }
    }
}
