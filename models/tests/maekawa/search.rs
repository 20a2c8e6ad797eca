//! Searches that carry more along than a world remembers, or look for less than all properties.

use std::collections::{BTreeSet, VecDeque};
use std::hash::Hash;

use models::maekawa::Maekawa;
use models::maekawa::spec::MUTANTS;
use models::maekawa::state::{Membership, Volatile};
use models::world::{Action, Host, Scenario, World};
use models::{Effect, Input, NodeId, Outbox};

use crate::support::runs::fingerprint;

/// The scenario with the defect of that id in it.
pub(super) fn mutant(id: &str, mut scenario: Scenario<Maekawa>) -> Scenario<Maekawa> {
    let mut all = MUTANTS.iter().copied().flatten();
    let mutant = all.find(|mutant| mutant.id == id).expect("a mutant");
    (mutant.inject)(&mut scenario);
    scenario
}

/// Walks all worlds, breadth first, each with what `fold` makes of the way to it; different ways
/// are told apart by that alone. Returns the length of the shortest way to one that `found`
/// is true of.
pub(super) fn shortest<T: Clone + Hash + Default>(
    scenario: &Scenario<Maekawa>,
    fold: impl Fn(&T, &World<Maekawa>, &Action<Maekawa>, &World<Maekawa>) -> T,
    mut found: impl FnMut(&T, &World<Maekawa>) -> bool,
) -> Option<usize> {
    let start = (T::default(), World::initial(scenario));
    let mut seen = BTreeSet::from([fingerprint(&start)]);
    let mut frontier = VecDeque::from([(0, start)]);
    while let Some((depth, (carried, world))) = frontier.pop_front() {
        if found(&carried, &world) {
            return Some(depth);
        }
        for action in world.actions(scenario) {
            let mut next = world.clone();
            next.apply(scenario, &action).expect("a listed action");
            let carried = fold(&carried, &world, &action, &next);
            let next = (carried, next);
            if seen.insert(fingerprint(&next)) {
                frontier.push_back((depth + 1, next));
            }
        }
    }
    None
}

/// The length of the shortest way to two nodes in the critical section at once.
pub(super) fn shortest_to_two_holders(scenario: &Scenario<Maekawa>) -> Option<usize> {
    shortest::<()>(
        scenario,
        |_, _, _, _| (),
        |_, world| holders(world).len() > 1,
    )
}

/// The memberships of the nodes that run.
pub(super) fn members(world: &World<Maekawa>) -> Vec<(NodeId, &Membership)> {
    let ids = world.all_hosts().map(|(id, _)| id);
    ids.filter_map(|id| match &world.host(id)?.node()?.volatile {
        Volatile::Node(local) => Some((id, local.membership.as_ref()?)),
        Volatile::Orchestrator(_) => None,
    })
    .collect()
}

pub(super) fn holders(world: &World<Maekawa>) -> Vec<NodeId> {
    let members = members(world).into_iter();
    members
        .filter(|(_, member)| member.all_held().next().is_some())
        .map(|(id, _)| id)
        .collect()
}

/// How many messages an action sends. A step is a function of its arguments, so it is taken a
/// second time, on the side.
pub(super) fn messages_sent(
    scenario: &Scenario<Maekawa>,
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
) -> usize {
    let (id, input) = match action {
        Action::Deliver(envelope) => (
            envelope.to,
            Input::Deliver {
                from: envelope.from,
                message: envelope.message.clone(),
            },
        ),
        Action::Ask { client, node } => {
            let command = scenario.scripts[*client][before.clients[*client].next].clone();
            (*node, Input::Ask(command))
        }
        other => panic!("not in these worlds: {other:?}"),
    };
    let mut node = before.host(id).and_then(Host::node).expect("runs").clone();
    let mut out = Outbox::new();
    let protocol = &scenario.nodes[usize::from(id.0)];
    (scenario.step)(protocol, &mut node, input, &mut out);
    let sends = out.effects().iter();
    sends
        .filter(|effect| matches!(effect, Effect::Send { .. }))
        .count()
}
