//! ZAB with whole clusters: the ways a history is synchronised, controls for the mutants, and
//! what must be borne.

mod broadcast;
mod clients;
mod controls;
mod discovery;
mod forged;
mod primary_order;
mod synchronization;
mod with_bully;

use models::raft::spec::{Add, Adder};
use models::session::{ClientId, RequestId, Sequence};
use models::world::{Action, Delivery, Envelope, Scenario, World};
use models::zab::election::Election;
use models::zab::history::{Content, Transaction};
use models::zab::message::Message;
use models::zab::spec::{Bounded, Names, Oracle, at_large, cluster, establish, writes};
use models::zab::state::{Persistent, Record, Role};
use models::zab::zxid::{Epoch, Zxid};
use models::zab::{Timer, Zab};
use models::{Durable, NodeId};

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

/// `size` nodes of which n0 leads all, in a world where everything may go wrong, and often does;
/// but the election does not name leaders all the time, or nothing would ever come of it.
pub(crate) fn lively(size: u16) -> Scenario<Checked<Oracle>> {
    let mut scenario = at_large(size, Delivery::Bag);
    scenario.bounds.election.times = vec![4; usize::from(size)];
    let others: Vec<u16> = (1..size).collect();
    scenario.prologue = establish(&scenario, 0, &others);
    scenario
}

/// A cluster of `size` whose election names whom it likes, as often as it likes.
fn free(size: usize) -> Scenario<Checked<Oracle>> {
    let leaders: Vec<(u16, u64)> = (0u16..).take(size).map(|id| (id, u64::MAX)).collect();
    Scenario {
        scripts: writes(&[1, 1]),
        tries: 2,
        ..cluster(&vec![u8::MAX; size], &leaders)
    }
}

/// A disk that has accepted an epoch, and holds these transactions of its current epoch and
/// earlier ones.
fn disk(accepted: u64, current: u64, history: &[(u64, u64)]) -> Persistent<Adder> {
    let mut disk = Persistent::default();
    disk.apply(&Record::AcceptedEpoch(Epoch(accepted)));
    disk.apply(&Record::CurrentEpoch(Epoch(current)));
    for &(epoch, counter) in history {
        let request = RequestId {
            client: ClientId::new(100 + epoch),
            sequence: Sequence(counter),
        };
        let zxid = Zxid {
            epoch: Epoch(epoch),
            counter,
        };
        let command = Add(1);
        let content = Content::Command { request, command };
        disk.apply(&Record::Append(Transaction { zxid, content }));
    }
    disk
}

/// What is under way, as traces show it.
fn in_flight<E: Bounded>(world: &World<Checked<E>>) -> Vec<String> {
    let envelopes = world.network.in_flight().into_iter();
    envelopes
        .map(|envelope| format!("{}->{} {}", envelope.from, envelope.to, envelope.message))
        .collect()
}

/// Delivers the message that a trace shows so, or so begins.
fn deliver<E: Bounded>(
    scenario: &Scenario<Checked<E>>,
    world: &mut World<Checked<E>>,
    label: &str,
) {
    let mut envelopes = world.network.in_flight().into_iter();
    let is_it = |envelope: &Envelope<Message<Adder, E>>| {
        format!("{}->{} {}", envelope.from, envelope.to, envelope.message).starts_with(label)
    };
    let envelope = envelopes.find(is_it);
    let envelope = envelope.unwrap_or_else(|| panic!("no {label} in {:?}", in_flight(world)));
    act(scenario, world, &Action::Deliver(envelope));
}

/// A running node's role.
fn role(world: &World<Checked<Oracle>>, id: u16) -> &Role {
    let host = world.host(NodeId(id)).expect("a host");
    &host.node().expect("a running node").volatile.role
}

fn ask(
    scenario: &Scenario<Checked<Oracle>>,
    world: &mut World<Checked<Oracle>>,
    client: usize,
    node: u16,
) {
    let node = NodeId(node);
    act(scenario, world, &Action::Ask { client, node });
}
