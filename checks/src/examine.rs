//! One transition, examined: the next world, the laws it breaks, and panics caught.
//!
//! Every engine, the fuzzer and replay go through here, so that all of them mean the same
//! by a violation. A panic in a model is a violation, never the end of a run.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hash};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use models::Specification;
use models::specification::OfState;
use models::world::{Action, Envelope, Scenario, World};

use crate::engine::Violation;
use crate::veiled;

/// The name under which a panic is reported.
pub const NO_PANIC: &str = "No panic";

/// The name under which a message is reported that was dropped as inert and was not. The
/// protocol's claim that it is rests on an argument; this holds each instance of it against
/// the step function that actually runs.
pub const INERT_IS_INERT: &str = "Inert messages are inert";

/// What a transition came to.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and hardly ever anything but a world"
)]
pub enum Outcome<P: Specification> {
    /// The action cannot happen here.
    NotEnabled,
    /// The next world, and the first law that the transition breaks.
    Next(World<P>, Option<&'static str>),
    /// The model panicked, with this message.
    Panicked(String),
}

/// Takes one transition and holds it against the laws.
pub fn take<P: Specification>(
    scenario: &Scenario<P>,
    before: &World<P>,
    action: &Action<P>,
) -> Outcome<P> {
    match caught(|| before.is_enabled(scenario, action)) {
        Ok(true) => take_listed(scenario, before, action),
        Ok(false) => Outcome::NotEnabled,
        Err(panic) => Outcome::Panicked(panic),
    }
}

/// As [`take`], where the action is possible: it has just been listed, for this scenario or for one
/// with fewer faults.
pub fn take_listed<P: Specification>(
    scenario: &Scenario<P>,
    before: &World<P>,
    action: &Action<P>,
) -> Outcome<P> {
    enact(scenario, before, action, |after, dropped| {
        broken_law(scenario, before, action, after, dropped)
    })
}

/// Takes a transition that [`take_listed`] has taken before, and that broke no law then.
pub fn take_again<P: Specification>(
    scenario: &Scenario<P>,
    before: &World<P>,
    action: &Action<P>,
) -> Outcome<P> {
    enact(scenario, before, action, |_, _| None)
}

/// Takes a transition that is possible. `broken` tells the law that it breaks, by the world after it
/// and the messages that were dropped as inert.
fn enact<P: Specification>(
    scenario: &Scenario<P>,
    before: &World<P>,
    action: &Action<P>,
    broken: impl FnOnce(&World<P>, &[Envelope<P::Message>]) -> Option<&'static str>,
) -> Outcome<P> {
    let attempt = caught(|| {
        let mut after = before.clone();
        let dropped = after.apply_listed(scenario, action);
        let broken = broken(&after, &dropped);
        Outcome::Next(after, broken)
    });
    attempt.unwrap_or_else(Outcome::Panicked)
}

/// The first law that the transition breaks, after which these messages were `dropped` as inert.
fn broken_law<P: Specification>(
    scenario: &Scenario<P>,
    before: &World<P>,
    action: &Action<P>,
    after: &World<P>,
    dropped: &[Envelope<P::Message>],
) -> Option<&'static str> {
    let mut laws = P::LAWS.iter();
    let broken = laws.find(|law| !(law.holds)(scenario, before, action, after));
    broken.map(|law| law.name).or_else(|| {
        let acts = |envelope| after.would_act_on(scenario, envelope);
        dropped.iter().any(acts).then_some(INERT_IS_INERT)
    })
}

/// The first invariant that the world breaks; [`NO_PANIC`] if looking at it panics, also for what is
/// to be reached.
pub fn broken_invariant<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
) -> Option<&'static str> {
    match look(scenario, world) {
        Sight::Broken(property) => Some(property),
        Sight::Sound(_) => None,
    }
}

fn invariant_broken<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
) -> Option<&'static str> {
    let mut invariants = P::INVARIANTS.iter();
    let broken = invariants.find(|row| !(row.holds)(scenario, world));
    broken.map(|row| row.name)
}

/// What is to be seen in a world.
pub enum Sight {
    /// Every invariant holds, and these reachability properties are shown.
    Sound(Witnesses),
    /// This invariant does not hold; [`NO_PANIC`] if looking at the world panics.
    Broken(&'static str),
}

/// Reachability properties, each a bit in the order of their table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Witnesses(u128);

impl Witnesses {
    /// Those that the world shows.
    fn of<P: Specification>(scenario: &Scenario<P>, world: &World<P>) -> Self {
        const { assert!(P::REACHABLE.len() <= 128, "a property for each bit") };
        let rows = (0..).zip(P::REACHABLE);
        let seen = rows.filter(|(_, row)| (row.seen)(scenario, world));
        Self(seen.fold(0, |bits, (position, _)| bits | 1 << position))
    }

    /// These and those.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Their names, for the protocol whose they are.
    pub fn names<P: Specification>(self) -> impl Iterator<Item = &'static str> {
        let rows = (0..).zip(P::REACHABLE);
        let shown = rows.filter(move |(position, _)| self.0 >> position & 1 == 1);
        shown.map(|(_, row)| row.name)
    }
}

/// Looks at a world: holds it against the invariants and the reachability properties.
pub fn look<P: Specification>(scenario: &Scenario<P>, world: &World<P>) -> Sight {
    let sight = || match invariant_broken(scenario, world) {
        Some(broken) => Sight::Broken(broken),
        None => Sight::Sound(Witnesses::of(scenario, world)),
    };
    caught(sight).unwrap_or(Sight::Broken(NO_PANIC))
}

/// As [`look`], where it is known what is to be seen whatever is under way.
pub(crate) fn look_again<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
    known: &veiled::Sight,
) -> Sight {
    let broken = known
        .invariants
        .look_again(|row| (P::INVARIANTS[row].holds)(scenario, world));
    let shown = || {
        let seen = |row: &&u16| (P::REACHABLE[usize::from(**row)].seen)(scenario, world);
        let rows = known.look.iter().filter(seen);
        Witnesses(rows.fold(known.marks, |marks, row| marks | 1 << row))
    };
    match broken {
        Ok(Some(row)) => Sight::Broken(P::INVARIANTS[row].name),
        Ok(None) => caught(shown).map_or(Sight::Broken(NO_PANIC), Sight::Sound),
        Err(_) => Sight::Broken(NO_PANIC),
    }
}

/// The initial world; the message if building it panics.
///
/// # Errors
/// The panic's message.
pub fn initial<P: Specification>(scenario: &Scenario<P>) -> Result<World<P>, String> {
    caught(|| World::initial(scenario))
}

/// The initial world, if nothing is wrong with it.
///
/// # Errors
/// What is violated before the first step.
pub fn start<P: Specification>(scenario: &Scenario<P>) -> Result<World<P>, Violation<P>> {
    let at_start = |property, panic| Violation {
        property,
        panic,
        actions: Vec::new(),
        loop_start: None,
    };
    let world = initial(scenario).map_err(|panic| at_start(NO_PANIC, Some(panic)))?;
    match broken_invariant(scenario, &world) {
        Some(property) => Err(at_start(property, None)),
        None => Ok(world),
    }
}

/// Whether the world satisfies a predicate.
///
/// # Errors
/// The message, if looking at it panics.
pub fn satisfies<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
    predicate: OfState<P>,
) -> Result<bool, String> {
    caught(|| predicate(scenario, world))
}

/// What may happen in `world`.
///
/// To see what a crash could interrupt the world runs steps here. Where one of them panics,
/// the interrupted steps are left out: the step itself is listed, and panics when taken.
pub fn actions<P: Specification>(scenario: &Scenario<P>, world: &World<P>) -> Vec<Action<P>> {
    let listed = caught(|| world.actions(scenario));
    listed.unwrap_or_else(|_| {
        let uninterrupted = scenario.uninterrupted();
        caught(|| world.actions(&uninterrupted)).unwrap_or_default()
    })
}

/// A 64-bit fingerprint of a world. The same in every run.
pub fn fingerprint<P: Specification>(world: &World<P>) -> u64 {
    hash(world)
}

/// A 64-bit fingerprint of anything. The same in every run.
pub fn hash(value: &impl Hash) -> u64 {
    foldhash::quality::FixedState::default().hash_one(value)
}

thread_local! {
    /// `Some` while a model runs on this thread: the message of its panic, once there is one.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work` and turns a panic into its message. Such a panic is not printed: it is about
/// to be reported, with its trace.
///
/// # Errors
/// The panic's message.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let modelled = PANIC.with_borrow_mut(|message| match message {
                Some(message) => {
                    *message = info.to_string();
                    true
                }
                None => false,
            });
            if !modelled {
                default(info);
            }
        }));
    });
    PANIC.set(Some(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    let message = PANIC.take().unwrap_or_default();
    result.map_err(|_| message)
}
