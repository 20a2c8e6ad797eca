//! Clients at any node: what they are told, and what their hosts are (Medeiros 2012, §2).

use models::NodeId;
use models::machine::StateMachine;
use models::raft::spec::{Add, Adder, Total};
use models::session::{ClientId, RequestId, Sequence};
use models::world::{Action, Scenario, World};
use models::zab::history::{Content, Snapshot, Transaction};
use models::zab::message::Message;
use models::zab::spec::{self, Oracle, request};
use models::zab::state::{Leading, Phase, Role};
use models::zab::zxid::{Epoch, Zxid};
use models::zab::{Command, Event, Timer, Zab};
use models::{Effect, Input, Node, Outbox, Protocol};

use super::{act, ask, deliver, delivered, free, in_flight, lively, name, role, settle};
use crate::support::runs::{fixed_choices, walk};

type Z = Zab<Adder, Oracle>;

/// n0 leads all three, and pings.
fn established() -> (Scenario<Z>, World<Z>) {
    let mut scenario = free(3);
    scenario.bounds.pings = true;
    let mut world = World::initial(&scenario);
    name(&scenario, &mut world, 0, &[0, 1, 2]);
    settle(&scenario, &mut world);
    (scenario, world)
}

fn ping(scenario: &Scenario<Z>, world: &mut World<Z>) {
    let (node, timer) = (NodeId(0), Timer::Ping);
    act(scenario, world, &Action::Fire { node, timer });
}

/// A request that is lost on its way to the leader is passed on again when the leader's ping
/// shows that it knows nothing of it.
#[test]
fn a_lost_request_is_passed_on_again() {
    let (mut scenario, mut world) = established();
    scenario.faults.drops = 1;
    ask(&scenario, &mut world, 0, 2);
    let lost = world.network.in_flight().remove(0);
    act(&scenario, &mut world, &Action::Drop(lost));
    assert!(in_flight(&world).is_empty());
    ping(&scenario, &mut world);
    settle(&scenario, &mut world);
    assert_eq!(world.clients[0].next, 1);
}

/// What the leader has proposed already is not asked for again.
#[test]
fn a_request_that_is_proposed_is_not_passed_on_again() {
    let (scenario, mut world) = established();
    ask(&scenario, &mut world, 0, 2);
    deliver(&scenario, &mut world, "n2->n0 REQUEST");
    deliver(&scenario, &mut world, "n0->n2 PROPOSE");
    ping(&scenario, &mut world);
    deliver(&scenario, &mut world, "n0->n2 PING");
    let again = |message: &String| message.contains("REQUEST");
    assert!(!in_flight(&world).iter().any(again));
}

/// A read waits for a sync that has come within a snapshot: the state may be older than the
/// read, so it is synced anew.
#[test]
fn a_read_whose_sync_came_within_a_snapshot_is_synced_again() {
    let (scenario, world) = established();
    let zab = &scenario.nodes[2];
    let (_, node) = world.running().nth(2).expect("n2");
    let mut node = node.clone();
    let (client, epoch) = (ClientId::new(7), Epoch(1));
    let read = RequestId {
        client,
        sequence: Sequence(1),
    };
    let query = Total;
    let ask = Input::Ask(Command::SyncedRead {
        request: read,
        query,
    });
    step(zab, &mut node, ask);
    let zxid = Zxid { epoch, counter: 5 };
    let snapshot = Snapshot {
        zxid,
        ..Snapshot::default()
    };
    let effects = from_leader(zab, &mut node, Message::Snap { epoch, snapshot });
    assert_eq!(effects, [Effect::Emit(Event::Restored { zxid })]);
    let ping = Message::Ping {
        epoch,
        last_zxid: zxid,
        committed: zxid,
    };
    let effects = from_leader(zab, &mut node, ping);
    let again = Message::Request {
        epoch,
        content: Content::Sync { request: read },
    };
    let again = Effect::Send {
        to: NodeId(0),
        message: again,
    };
    assert!(effects.contains(&again), "{effects:?}");
    // It is answered when that is delivered.
    let zxid = Zxid { epoch, counter: 6 };
    let content = Content::Sync { request: read };
    let sync = Transaction { zxid, content };
    from_leader(zab, &mut node, Message::Propose(sync));
    let effects = from_leader(zab, &mut node, Message::Commit { zxid });
    let answered = |effect: &Effect<Z>| matches!(effect, Effect::Emit(Event::Reply { request, .. }) if *request == read);
    assert!(effects.iter().any(answered), "{effects:?}");
}

/// A follower that hears its leader begins to wait for it anew (Medeiros 2012, §3.5).
#[test]
fn a_ping_starts_the_wait_for_the_next_one() {
    let (scenario, world) = established();
    let (_, node) = world.running().nth(2).expect("n2");
    let mut node = node.clone();
    let last_zxid = node.durable().history.last_zxid();
    let ping = Message::Ping {
        epoch: Epoch(1),
        last_zxid,
        committed: last_zxid,
    };
    let effects = from_leader(&scenario.nodes[2], &mut node, ping);
    assert!(effects.contains(&Effect::Arm(Timer::Sync)), "{effects:?}");
}

fn step(zab: &Z, node: &mut Node<Z>, input: Input<Z>) -> Vec<Effect<Z>> {
    let mut out = Outbox::new();
    zab.step(node, input, &mut out);
    out.drain().collect()
}

fn from_leader(zab: &Z, node: &mut Node<Z>, message: Message<Adder, Oracle>) -> Vec<Effect<Z>> {
    let from = NodeId(0);
    step(zab, node, Input::Deliver { from, message })
}

/// A client that goes on has given up what it asked before: nobody keeps it waiting.
#[test]
fn a_request_that_is_given_up_does_not_wait() {
    let (scenario, world) = established();
    let zab = &scenario.nodes[2];
    let (_, node) = world.running().nth(2).expect("n2");
    let mut node = node.clone();
    let (first, second) = (request(0, 0), request(0, 1));
    let command = Add(1);
    let write = Command::Write {
        request: first,
        command,
    };
    step(zab, &mut node, Input::Ask(write));
    let zxid = Zxid {
        epoch: Epoch(1),
        counter: 1,
    };
    let content = Content::Command {
        request: second,
        command,
    };
    let transaction = Transaction { zxid, content };
    from_leader(zab, &mut node, Message::Propose(transaction));
    let effects = from_leader(zab, &mut node, Message::Commit { zxid });
    let told = Effect::Emit(Event::Superseded { request: first });
    assert!(effects.contains(&told), "{effects:?}");
    assert!(node.volatile.waiting.is_empty());
}

/// UPTODATE is lost; a ping says the same, for only an established leader pings.
#[test]
fn a_ping_says_what_a_lost_uptodate_did() {
    let mut scenario = free(3);
    scenario.bounds.pings = true;
    scenario.faults.drops = 1;
    let mut world = World::initial(&scenario);
    name(&scenario, &mut world, 0, &[0, 1]);
    for message in ["n1->n0", "n0->n1", "n1->n0", "n0->n1 NEWLEADER", "n1->n0"] {
        deliver(&scenario, &mut world, message);
    }
    let lost = world.network.in_flight().remove(0);
    assert!(matches!(lost.message, Message::UpToDate { .. }));
    act(&scenario, &mut world, &Action::Drop(lost));
    ping(&scenario, &mut world);
    deliver(&scenario, &mut world, "n0->n1 PING");
    let Role::Following(following) = role(&world, 1) else {
        panic!("n1 does not follow");
    };
    assert_eq!(following.phase, Phase::Broadcast);
}

/// A write that this node's client waits for has come within a snapshot: it is answered from the
/// session table.
#[test]
fn a_write_that_came_within_a_snapshot_is_answered() {
    let (scenario, world) = established();
    let zab = &scenario.nodes[2];
    let (_, node) = world.running().nth(2).expect("n2");
    let mut node = node.clone();
    let (request, command) = (request(0, 0), Add(1));
    let write = Command::Write { request, command };
    step(zab, &mut node, Input::Ask(write));
    // The leader has delivered it, and its snapshot says so.
    let mut leader_scenario = scenario.clone();
    leader_scenario.nodes[0].snapshot_every = 1;
    let mut leader = world.clone();
    ask(&leader_scenario, &mut leader, 0, 0);
    settle(&leader_scenario, &mut leader);
    let (_, at_leader) = leader.running().next().expect("n0");
    let snapshot = at_leader.volatile.delivered.clone();
    let zxid = snapshot.zxid;
    let epoch = Epoch(1);
    let effects = from_leader(zab, &mut node, Message::Snap { epoch, snapshot });
    let response = at_leader.volatile.delivered.machine.query(&Total);
    let reply = Effect::Emit(Event::Reply { request, response });
    assert_eq!(effects, [Effect::Emit(Event::Restored { zxid }), reply]);
    assert!(node.volatile.waiting.is_empty());
}

/// An acknowledgement that is lost is made up for by the next pong.
#[test]
fn a_pong_says_what_a_lost_acknowledgement_did() {
    let (mut scenario, mut world) = established();
    scenario.faults.drops = 2;
    ask(&scenario, &mut world, 0, 0);
    for follower in ["n1", "n2"] {
        deliver(&scenario, &mut world, &format!("n0->{follower} PROPOSE"));
    }
    for lost in world.network.in_flight() {
        assert!(matches!(lost.message, Message::Ack { .. }));
        act(&scenario, &mut world, &Action::Drop(lost));
    }
    ping(&scenario, &mut world);
    settle(&scenario, &mut world);
    assert_eq!(world.clients[0].next, 1);
    assert_eq!(delivered(&world).len(), 3);
}

/// A local read is answered at once from what is delivered here, though it be behind; not by a
/// node that is no part of a quorum.
#[test]
fn a_local_read_shows_what_is_delivered_here() {
    let (scenario, mut world) = established();
    ask(&scenario, &mut world, 0, 0);
    deliver(&scenario, &mut world, "n0->n1 PROPOSE");
    deliver(&scenario, &mut world, "n1->n0 ACK");
    let read = |world: &World<Z>, id: u16| {
        let node = world.host(NodeId(id)).and_then(models::world::Host::node);
        let mut node = node.expect("it runs").clone();
        let (request, query) = (request(5, 0), Total);
        let ask = Input::Ask(Command::Read { request, query });
        step(&scenario.nodes[usize::from(id)], &mut node, ask)
    };
    let request = request(5, 0);
    for (id, total) in [(0, 1), (1, 0), (2, 0)] {
        let response = Adder(total).query(&Total);
        let reply = Effect::Emit(Event::Reply { request, response });
        assert_eq!(read(&world, id), [reply], "n{id}");
    }
    let refused = Effect::Emit(Event::Refused { request });
    name(&scenario, &mut world, 1, &[2]);
    let refused = [refused];
    assert_eq!(read(&world, 2), refused, "n2 has another leader");
    let fresh = World::initial(&free(3));
    assert_eq!(read(&fresh, 0), refused, "n0 looks for one");
}

/// A leader that has not heard of a quorum since it last looked stands down; one that has goes
/// on.
#[test]
fn a_leader_that_hears_of_no_quorum_stands_down() {
    let (mut scenario, mut world) = established();
    scenario.bounds.impatient = true;
    let look = |world: &mut World<Z>| {
        let (node, timer) = (NodeId(0), Timer::Sync);
        act(&scenario, world, &Action::Fire { node, timer });
    };
    // One of two followers is enough: it counts itself.
    ping(&scenario, &mut world);
    deliver(&scenario, &mut world, "n0->n1 PING");
    deliver(&scenario, &mut world, "n1->n0 PONG");
    look(&mut world);
    assert!(matches!(role(&world, 0), Role::Leading(_)));
    look(&mut world);
    assert_eq!(role(&world, 0), &Role::Looking);
}

/// What a host can tell of its node from events alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Looking,
    Following(NodeId, Epoch),
    Leading(Epoch),
}

fn truth(node: &Node<Z>) -> Told {
    let epoch = node.durable().accepted_epoch;
    match &node.volatile.role {
        Role::Following(following) if following.phase == Phase::Broadcast => {
            Told::Following(following.leader, epoch)
        }
        Role::Leading(Leading::Primary(primary)) if primary.established => Told::Leading(epoch),
        Role::Looking | Role::Following(_) | Role::Leading(_) => Told::Looking,
    }
}

fn hear(told: &mut Told, state: &mut Snapshot<Adder>, event: &Event<Adder>) {
    match event {
        Event::Looking | Event::Halted { .. } => *told = Told::Looking,
        Event::Following { epoch, leader } => *told = Told::Following(*leader, *epoch),
        Event::Leading { epoch } => *told = Told::Leading(*epoch),
        Event::Restored { zxid } => state.zxid = *zxid,
        Event::Delivered { transaction } => state.zxid = transaction.zxid,
        Event::Reply { .. }
        | Event::Refused { .. }
        | Event::Abandoned { .. }
        | Event::Superseded { .. } => {}
    }
}

/// A host that listens knows at each moment whether its node serves, whom it follows, and how
/// far it has delivered.
#[test]
fn hosts_are_told() {
    let mut served = 0;
    for seed in 0..60 {
        let scenario = lively(3);
        walk(&scenario, &fixed_choices(seed, 150), |before, action, _| {
            let Some(id) = action.node() else {
                return;
            };
            let zab = &scenario.nodes[usize::from(id.0)];
            let Some(old) = before.host(id).and_then(models::world::Host::node) else {
                return;
            };
            let input = match action.clone() {
                Action::Deliver(envelope) | Action::Duplicate(envelope) => Input::Deliver {
                    from: envelope.from,
                    message: envelope.message,
                },
                Action::Fire { timer, .. } => Input::Fire(timer),
                Action::Ask { client, .. } => {
                    let next = before.clients[client].next;
                    Input::Ask(scenario.scripts[client][next].clone())
                }
                _ => return,
            };
            let mut told = truth(old);
            let mut state = old.volatile.delivered.clone();
            let mut node = old.clone();
            for effect in step(zab, &mut node, input) {
                if let Effect::Emit(event) = effect {
                    hear(&mut told, &mut state, &event);
                }
            }
            assert_eq!(told, truth(&node), "seed {seed}: {action:?}");
            assert_eq!(state.zxid, node.volatile.delivered.zxid, "seed {seed}");
            served += usize::from(told != Told::Looking);
        });
    }
    assert!(served > 200, "{served}");
}

/// A node that boots serves nobody, whatever it did before, and its state is its snapshot's.
#[test]
fn a_node_that_boots_says_so() {
    let scenario = spec::snap(1);
    let mut world = World::initial(&scenario);
    act(&scenario, &mut world, &Action::Crash(NodeId(0)));
    let disk = world.host(NodeId(0)).expect("a host").durable().clone();
    let zxid = disk.history.snapshot().zxid;
    assert!(zxid > Zxid::default());
    let mut out = Outbox::new();
    Node::boot(&scenario.nodes[0], disk, &mut out);
    let restored = Effect::Emit(Event::Restored { zxid });
    assert!(out.effects().contains(&restored));
    assert!(out.effects().contains(&Effect::Emit(Event::Looking)));
}
