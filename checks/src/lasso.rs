//! A run that goes round for ever, taken again: is it one, is it fair, does it violate what it
//! is said to?
//!
//! Nothing here is the engine's: a counterexample of a liveness property is shown only if this
//! comes to the same by taking its steps.

use anyhow::{Result, bail};
use derive_where::derive_where;
use models::Specification;
use models::specification::{Formula, Liveness, OfState};
use models::world::{Action, Kind, Scenario, Withheld, World};

use crate::engine::liveness::fairness;
use crate::engine::liveness::graph::Fairness;
use crate::examine::{self, Outcome};

/// The property, if the run whose steps from `loop_start` on repeat for ever is fair and
/// violates it.
///
/// # Errors
/// If a step is not possible, the steps do not come back to where the loop begins, or there is
/// no such property.
pub fn violated<P: Specification>(
    scenario: &Scenario<P>,
    property: &str,
    actions: &[Action<P>],
    loop_start: usize,
) -> Result<Option<&'static str>> {
    let Some(row) = P::LIVENESS.iter().find(|row| row.name == property) else {
        bail!("there is no liveness property \"{property}\" in this protocol's table");
    };
    let worlds = worlds(scenario, actions)?;
    let Some(round) = worlds.get(loop_start..) else {
        bail!("the loop begins behind the trace's last step");
    };
    if round.first() != round.last() {
        bail!("the steps do not come back to where the loop begins: this is no run for ever");
    }
    let is_fair = is_fair(scenario, round, &actions[loop_start..]);
    let violates = violates(scenario, row, &worlds, round);
    Ok((is_fair && violates).then_some(row.name))
}

/// The worlds that the steps lead through, the initial one included.
fn worlds<P: Specification>(
    scenario: &Scenario<P>,
    actions: &[Action<P>],
) -> Result<Vec<World<P>>> {
    let mut worlds = vec![World::initial(scenario)];
    for (number, action) in (1..).zip(actions) {
        match examine::take(scenario, &worlds[worlds.len() - 1], action) {
            Outcome::Next(after, _) => worlds.push(after),
            Outcome::NotEnabled | Outcome::Panicked(_) => bail!("step {number} is not possible"),
        }
    }
    Ok(worlds)
}

/// Whether the formula is false of the run: through all of `worlds`, then round and round.
fn violates<P: Specification>(
    scenario: &Scenario<P>,
    row: &Liveness<P>,
    worlds: &[World<P>],
    round: &[World<P>],
) -> bool {
    let all = |worlds: &[World<P>], p: OfState<P>| worlds.iter().all(|world| p(scenario, world));
    let none = |worlds: &[World<P>], p: OfState<P>| !worlds.iter().any(|world| p(scenario, world));
    match row.formula {
        Formula::Eventually(p) => none(worlds, p),
        Formula::EventuallyAlways(p) => !all(round, p),
        Formula::InfinitelyOften(p) => none(round, p),
        Formula::LeadsTo(p, q) => none(round, q) && begins_in_vain(scenario, worlds, p, q),
    }
}

/// Whether some world satisfies `p` and none from there on `q`.
fn begins_in_vain<P: Specification>(
    scenario: &Scenario<P>,
    worlds: &[World<P>],
    p: OfState<P>,
    q: OfState<P>,
) -> bool {
    let in_vain = worlds.iter().rev().take_while(|world| !q(scenario, world));
    in_vain.into_iter().any(|world| p(scenario, world))
}

/// Whether each fair action that is enabled in the round gets what it is promised.
fn is_fair<P: Specification>(
    scenario: &Scenario<P>,
    round: &[World<P>],
    taken: &[Action<P>],
) -> bool {
    let enabled = |world: &World<P>| enabled(scenario, world);
    let everywhere: Vec<Vec<Promise<P>>> = round.iter().map(enabled).collect();
    everywhere.iter().flatten().all(|promise| {
        let is_taken = matches!(promise, Promise::Action(action) if taken.contains(action));
        let rests = || !everywhere.iter().all(|all| all.contains(promise));
        is_taken || promise.fairness() == Fairness::Weak && rests()
    })
}

/// Something to which a run must be fair.
#[derive_where(PartialEq)]
enum Promise<P: Specification> {
    /// Within the bounds it may be impossible.
    Action(Action<P>),
    /// The client has no tries left to ask once more.
    Request(usize),
}

impl<P: Specification> Promise<P> {
    fn fairness(&self) -> Fairness {
        match self {
            Self::Action(action) => fairness(action.kind()),
            Self::Request(_) => fairness(Kind::Ask),
        }
    }
}

fn enabled<P: Specification>(scenario: &Scenario<P>, world: &World<P>) -> Vec<Promise<P>> {
    let actions = examine::actions(scenario, world).into_iter();
    let promised = actions.filter(|action| fairness(action.kind()) != Fairness::None);
    let withheld = world.withheld(scenario).into_iter().map(|what| match what {
        Withheld::Timer { node, timer } => Promise::Action(Action::Fire { node, timer }),
        Withheld::Request { client } => Promise::Request(client),
    });
    promised.map(Promise::Action).chain(withheld).collect()
}
