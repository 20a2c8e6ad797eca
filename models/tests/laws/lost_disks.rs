//! The run that a lost disk is about (KAFKA-12181): the third node is away, a write is acknowledged
//! by the two others, one of which loses its disk while the other is down; the third comes back.

use models::raft::Timer;
use models::raft::spec::{MODELS, MUTANTS};
use models::raft::state::Role;
use models::world::{Action, Scenario, World};
use models::{NodeId, Specification};

use crate::support::bench::Checked;
use crate::support::runs::{apply, broken};

const N0: NodeId = NodeId(0);
const EMPTIED: NodeId = NodeId(1);
const AWAY: NodeId = NodeId(2);

fn emptied() -> Scenario<Checked> {
    let mut models = MODELS.iter().copied().flatten();
    let model = models.find(|model| model.name == "raft/emptied");
    (model.expect("a model of the catalogue").scenario)()
}

fn settle(scenario: &Scenario<Checked>, world: &mut World<Checked>) {
    let deliverable = |world: &World<Checked>| {
        let mut heads = world.network.in_flight().into_iter();
        heads.find(|envelope| {
            let deliver = Action::Deliver(envelope.clone());
            world.clone().apply(scenario, &deliver).is_ok()
        })
    };
    while let Some(envelope) = deliverable(world) {
        apply(scenario, world, &Action::Deliver(envelope));
    }
}

/// The third node comes back and stands for election, alone and then with the emptied one.
fn come_back(scenario: &Scenario<Checked>, world: &mut World<Checked>) {
    stand(scenario, world, AWAY);
    apply(scenario, world, &Action::Restart(EMPTIED));
    stand(scenario, world, AWAY);
}

fn stand(scenario: &Scenario<Checked>, world: &mut World<Checked>, node: NodeId) {
    let timer = Timer::Election;
    apply(scenario, world, &Action::Fire { node, timer });
    settle(scenario, world);
}

fn leaders(world: &World<Checked>) -> Vec<NodeId> {
    let leads = |(id, node): (NodeId, &models::Node<Checked>)| {
        matches!(node.volatile.role, Role::Leader(_)).then_some(id)
    };
    world.running().filter_map(leads).collect()
}

fn violated(scenario: &Scenario<Checked>, world: &World<Checked>) -> Vec<&'static str> {
    let invariants = Checked::INVARIANTS.iter();
    let violated = invariants.filter(|invariant| !(invariant.holds)(scenario, world));
    violated.map(|invariant| invariant.name).collect()
}

/// With the emptied node alone the third is elected by nobody. With the one that has the write it
/// comes to an election, and the write is there.
#[test]
fn nobody_is_elected_without_the_write() {
    let scenario = emptied();
    let mut world = World::initial(&scenario);
    let written = world.ghost.committed.len();
    come_back(&scenario, &mut world);
    assert_eq!(leaders(&world), []);
    apply(&scenario, &mut world, &Action::Restart(N0));
    stand(&scenario, &mut world, N0);
    stand(&scenario, &mut world, N0);
    assert_eq!(leaders(&world), [N0]);
    assert!(world.ghost.committed.len() > written);
    let before = world.clone();
    let ask = Action::Ask {
        client: 1,
        node: N0,
    };
    apply(&scenario, &mut world, &ask);
    assert_eq!(broken(&scenario, &before, &ask, &world), [""; 0]);
    settle(&scenario, &mut world);
    assert_eq!(world.clients[1].next, 1, "the cluster writes on");
}

/// A node that takes its configuration from its file, as if it were new, elects the third; and
/// the write is gone. It is not only the rule of the blank disk that says so.
#[test]
fn a_blank_node_that_takes_part_elects_one_without_the_write() {
    let mut scenario = emptied();
    let mut mutants = MUTANTS.iter().copied().flatten();
    let mutant = mutants.find(|mutant| mutant.id == "RAFT-BLANK-TAKES-PART");
    (mutant.expect("a mutant of the catalogue").inject)(&mut scenario);
    let mut world = World::initial(&scenario);
    come_back(&scenario, &mut world);
    assert_eq!(leaders(&world), [AWAY]);
    let violated = violated(&scenario, &world);
    assert!(violated.contains(&"Leader Completeness"), "{violated:?}");
}
