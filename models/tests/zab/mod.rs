//! ZAB with whole clusters: the ways a history is synchronised, controls for the mutants, and
//! what must be borne.

mod controls;
mod forged;
mod synchronization;

use models::NodeId;
use models::raft::spec::Adder;
use models::world::{Action, Scenario, World};
use models::zab::election::Election;
use models::zab::spec::{Bounded, Names, Oracle};
use models::zab::zxid::Zxid;
use models::zab::{Timer, Zab};

use crate::support::runs::{apply, broken};

/// The ZAB that the tests run: its state machine adds up bytes.
type Checked<E> = Zab<Adder, E>;

/// Makes an action happen; no property may be broken.
fn act<E: Bounded>(
    scenario: &Scenario<Checked<E>>,
    world: &mut World<Checked<E>>,
    action: &Action<Checked<E>>,
) {
    let before = world.clone();
    apply(scenario, world, action);
    let broken = broken(scenario, &before, action, world);
    assert!(broken.is_empty(), "{broken:?} after {action:?}");
}

/// Delivers all that is under way, and what comes of it.
fn settle<E: Bounded>(scenario: &Scenario<Checked<E>>, world: &mut World<Checked<E>>) {
    while let Some(envelope) = world.network.in_flight().into_iter().next() {
        act(scenario, world, &Action::Deliver(envelope));
    }
}

/// The election names `leader` to each of `nodes`.
fn name(
    scenario: &Scenario<Checked<Oracle>>,
    world: &mut World<Checked<Oracle>>,
    leader: u16,
    nodes: &[u16],
) {
    for &node in nodes {
        let timer = Timer::Election(Names(NodeId(leader)));
        let node = NodeId(node);
        act(scenario, world, &Action::Fire { node, timer });
    }
}

/// Each node's transactions, by id.
fn histories<E: Bounded>(world: &World<Checked<E>>) -> Vec<Vec<String>> {
    let ids = |host: &models::world::Host<Checked<E>>| {
        let transactions = host.durable().history.transactions();
        transactions
            .iter()
            .map(|next| next.zxid.to_string())
            .collect()
    };
    world.all_hosts().map(|(_, host)| ids(host)).collect()
}

/// How far each running node has delivered.
fn delivered<E: Election + Bounded>(world: &World<Checked<E>>) -> Vec<Zxid> {
    let nodes = world.running();
    nodes
        .map(|(_, node)| node.volatile.delivered.zxid)
        .collect()
}
