//! One transition, examined: the next world, the laws it breaks, and panics caught.
//!
//! Every engine, the fuzzer and replay go through here, so that all of them mean the same
//! by a violation. A panic in a model is a violation, never the end of a run.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use models::Specification;
use models::world::{Action, Disk, Scenario, World};

/// The name under which a panic is reported.
pub const NO_PANIC: &str = "No panic";

/// What a transition came to.
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
    let attempt = caught(|| {
        let mut after = before.clone();
        if after.apply(scenario, action).is_err() {
            return Outcome::NotEnabled;
        }
        let broken = P::LAWS
            .iter()
            .find(|law| !(law.holds)(scenario, before, action, &after));
        Outcome::Next(after, broken.map(|law| law.name))
    });
    attempt.unwrap_or_else(Outcome::Panicked)
}

/// The first invariant that the world breaks; [`NO_PANIC`] if looking at it panics.
pub fn broken_invariant<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
) -> Option<&'static str> {
    let first = || {
        let mut invariants = P::INVARIANTS.iter();
        let broken = invariants.find(|invariant| !(invariant.holds)(scenario, world));
        broken.map(|invariant| invariant.name)
    };
    caught(first).unwrap_or(Some(NO_PANIC))
}

/// The initial world; the message if building it panics.
///
/// # Errors
/// The panic's message.
pub fn initial<P: Specification>(scenario: &Scenario<P>) -> Result<World<P>, String> {
    caught(|| World::initial(scenario))
}

/// What may happen in `world`.
///
/// To see what a crash could interrupt the world runs steps here. Where one of them panics,
/// the interrupted steps are left out: the step itself is listed, and panics when taken.
pub fn actions<P: Specification>(scenario: &Scenario<P>, world: &World<P>) -> Vec<Action<P>> {
    let listed = caught(|| world.actions(scenario));
    listed.unwrap_or_else(|_| {
        let mut uninterrupted = scenario.clone();
        uninterrupted.faults.crash_within_step = false;
        uninterrupted.disk = Disk::WriteThrough;
        world.actions(&uninterrupted)
    })
}

/// The names of the reachability properties that this world shows.
pub fn reached<P: Specification>(scenario: &Scenario<P>, world: &World<P>) -> Vec<&'static str> {
    let witnesses = P::REACHABLE.iter();
    witnesses
        .filter(|reachable| (reachable.seen)(scenario, world))
        .map(|reachable| reachable.name)
        .collect()
}

/// A 64-bit fingerprint of a world. The same in every run.
pub fn fingerprint<P: Specification>(world: &World<P>) -> u64 {
    foldhash::quality::FixedState::default().hash_one(world)
}

thread_local! {
    /// `Some` while a model runs on this thread: the message of its panic, once there is one.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work` and turns a panic into its message. Such a panic is not printed: it is about
/// to be reported, with its trace.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
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
