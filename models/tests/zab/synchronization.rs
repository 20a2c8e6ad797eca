//! Phase 2 (DSN 2011, §IV.B): NEWLEADER and UPTODATE; DIFF, TRUNC and SNAP (Medeiros 2012, §4.2).

use models::machine::StateMachine;
use models::raft::spec::Adder;
use models::world::{Action, Scenario, World};
use models::zab::contradiction::Contradiction;
use models::zab::history::{Content, Recency, Transaction};
use models::zab::message::{AckEpoch, Message};
use models::zab::spec::{self, Names, Oracle, Reign};
use models::zab::state::{Leading, Persistent, Phase, Record, Role};
use models::zab::zxid::{Epoch, Zxid};
use models::zab::{Event, Timer, Zab};
use models::{Durable, Effect, Input, Node, NodeId, Outbox, Protocol};

use super::{act, deliver, delivered, disk, free, histories, in_flight, name, role, settle};

type Z = Zab<Adder, Oracle>;

/// n0 has the promises of a quorum of `size`, itself and `n1`, and n1 two transactions to get,
/// each in a DIFF of its own.
fn synchronizing(size: u16) -> (Scenario<Z>, World<Z>) {
    let mut scenario = free(usize::from(size));
    for node in &mut scenario.nodes {
        node.max_diff_weight = 1;
    }
    scenario.faults.drops = 4;
    scenario.disks = vec![disk(1, 0, &[(1, 1), (1, 2)])];
    let mut world = World::initial(&scenario);
    was_broadcast(&mut world);
    let followers: Vec<u16> = (1..size).collect();
    let quorum = usize::from(size / 2);
    name(&scenario, &mut world, 0, &[0]);
    name(&scenario, &mut world, 0, &followers[..quorum]);
    for phase in ["FOLLOWERINFO", "NEWEPOCH", "ACKEPOCH"] {
        for &follower in &followers[..quorum] {
            let link = match phase {
                "NEWEPOCH" => format!("n0->n{follower}"),
                _ => format!("n{follower}->n0"),
            };
            deliver(&scenario, &mut world, &format!("{link} {phase}"));
        }
    }
    (scenario, world)
}

/// What is on the disks at the start, n0 has broadcast in epoch 1.
fn was_broadcast(world: &mut World<Z>) {
    let reign = Reign {
        leader: NodeId(0),
        initial: Zxid::default(),
        established: false,
        had_delivered: None,
    };
    world.ghost.reigns.insert(Epoch(1), reign);
    let broadcast = world.hosts[0].durable().history.transactions().iter();
    let broadcast = broadcast.map(|next| (next.zxid, next.content.clone()));
    world.ghost.broadcast.extend(broadcast);
}

fn lose(scenario: &Scenario<Z>, world: &mut World<Z>, label: &str) {
    let in_flight = world.network.in_flight().into_iter();
    let mut lost = in_flight.filter(|message| message.message.to_string().starts_with(label));
    let lost = lost.next().expect("a message to lose");
    act(scenario, world, &Action::Drop(lost));
}

fn phase(world: &World<Z>, id: u16) -> Option<Phase> {
    match role(world, id) {
        Role::Following(following) => Some(following.phase),
        Role::Looking | Role::Leading(_) => None,
    }
}

fn is_established(world: &World<Z>) -> bool {
    matches!(role(world, 0), Role::Leading(Leading::Primary(primary)) if primary.established)
}

/// "If f.p = e', the follower sets f.a to e' and accepts the history" (f.2.1): history first, and
/// the epoch with NEWLEADER alone.
#[test]
fn the_current_epoch_is_written_behind_the_history() {
    let (scenario, mut world) = synchronizing(3);
    let current = |world: &World<Z>| {
        let host = world.host(NodeId(1)).expect("a host");
        host.on_disk().current_epoch
    };
    deliver(&scenario, &mut world, "n0->n1 DIFF e2 after=0.0");
    deliver(&scenario, &mut world, "n0->n1 DIFF e2 after=1.1");
    assert_eq!(histories(&world)[1], ["1.1", "1.2"]);
    assert_eq!(current(&world), Epoch(0));
    deliver(&scenario, &mut world, "n0->n1 NEWLEADER");
    assert_eq!(current(&world), Epoch(2));
    assert_eq!(in_flight(&world), ["n1->n0 ACK of NEWLEADER e2 last=1.2"]);
}

/// NEWLEADER is not acknowledged by a follower that lacks part of the history; it asks for that.
#[test]
fn newleader_is_not_acknowledged_without_the_history() {
    let (scenario, mut world) = synchronizing(3);
    deliver(&scenario, &mut world, "n0->n1 DIFF e2 after=0.0");
    lose(&scenario, &mut world, "DIFF e2 after=1.1");
    deliver(&scenario, &mut world, "n0->n1 NEWLEADER");
    assert_eq!(
        in_flight(&world),
        ["n1->n0 ACKEPOCH e2 current=e0 last=1.1, no promise"]
    );
    settle(&scenario, &mut world);
    assert!(is_established(&world));
    assert_eq!(histories(&world)[1], ["1.1", "1.2"]);
}

/// "Upon receiving acknowledgements to NEWLEADER from a quorum of followers" (l.2.2), and no
/// sooner: one of five is not enough, with the leader two are.
#[test]
fn uptodate_takes_a_quorum() {
    let (scenario, mut world) = synchronizing(5);
    for follower in ["n1", "n2"] {
        assert!(!is_established(&world));
        let to = format!("n0->{follower}");
        for message in ["DIFF e2 after=0.0", "DIFF e2 after=1.1", "NEWLEADER"] {
            deliver(&scenario, &mut world, &format!("{to} {message}"));
        }
        deliver(&scenario, &mut world, &format!("{follower}->n0 ACK of"));
    }
    assert!(is_established(&world));
    assert_eq!(delivered(&world)[0].counter, 2, "it delivers its history");
    assert_eq!(
        in_flight(&world),
        [
            "n0->n1 UPTODATE e2 committed=1.2",
            "n0->n2 UPTODATE e2 committed=1.2"
        ]
    );
}

/// "Upon receiving COMMIT-LD, the follower delivers the initial history" (f.2.2), and no sooner.
#[test]
fn uptodate_delivers_the_initial_history() {
    let (scenario, mut world) = synchronizing(3);
    for message in ["DIFF e2 after=0.0", "DIFF e2 after=1.1", "NEWLEADER"] {
        deliver(&scenario, &mut world, &format!("n0->n1 {message}"));
    }
    deliver(&scenario, &mut world, "n1->n0 ACK of");
    assert_eq!(delivered(&world)[1].counter, 0);
    assert_eq!(phase(&world, 1), Some(Phase::Synchronization));
    deliver(&scenario, &mut world, "n0->n1 UPTODATE");
    assert_eq!(delivered(&world)[1].counter, 2);
    assert_eq!(phase(&world, 1), Some(Phase::Broadcast));
}

/// A follower that comes later is told at once, when it has acknowledged (l.3.4).
#[test]
fn who_comes_later_is_up_to_date_at_once() {
    let (scenario, mut world) = synchronizing(3);
    settle(&scenario, &mut world);
    name(&scenario, &mut world, 0, &[2]);
    for message in ["n2->n0", "n0->n2", "n2->n0"] {
        deliver(&scenario, &mut world, message);
    }
    for message in ["DIFF e2 after=0.0", "DIFF e2 after=1.1", "NEWLEADER"] {
        deliver(&scenario, &mut world, &format!("n0->n2 {message}"));
    }
    deliver(&scenario, &mut world, "n2->n0 ACK of");
    assert_eq!(in_flight(&world), ["n0->n2 UPTODATE e2 committed=1.2"]);
}

/// The leader fails in the middle: the follower has a part of its history and its own epoch of
/// old, so that another, which has all of it, is the more recent.
#[test]
fn a_leader_that_fails_while_it_synchronizes_leaves_a_beginning() {
    let (scenario, mut world) = synchronizing(3);
    deliver(&scenario, &mut world, "n0->n1 DIFF e2 after=0.0");
    let recency =
        |world: &World<Z>, id| world.host(NodeId(id)).expect("a host").on_disk().recency();
    assert_eq!(histories(&world)[1], ["1.1"]);
    assert!(recency(&world, 1) < recency(&world, 0));
    // n1 may lead all the same, with n2: nothing was committed.
    name(&scenario, &mut world, 1, &[1, 2]);
    for message in ["n2->n1", "n1->n2", "n2->n1"] {
        deliver(&scenario, &mut world, message);
    }
    settle(&scenario, &mut world);
    assert_eq!(world.ghost.reigns[&Epoch(3)].leader, NodeId(1));
    // n0 loses what nobody has; its second transaction was never committed.
    name(&scenario, &mut world, 1, &[0]);
    settle(&scenario, &mut world);
    assert_eq!(histories(&world), [["1.1"]; 3]);
}

/// The old leader's transaction, which nobody else has heard of, is truncated.
#[test]
fn trunc_takes_what_was_never_committed() {
    let scenario = spec::trunc(2, 0);
    let mut world = World::initial(&scenario);
    assert_eq!(histories(&world), [vec!["1.1"], vec![], vec![]]);
    name(&scenario, &mut world, 1, &[1, 2]);
    settle(&scenario, &mut world);
    let ask = Action::Ask {
        client: 0,
        node: NodeId(1),
    };
    act(&scenario, &mut world, &ask);
    settle(&scenario, &mut world);
    assert_eq!(histories(&world), [vec!["1.1"], vec!["2.1"], vec!["2.1"]]);
}

/// n1 with 1.1 and 1.3 in its history, which has promised epoch 2 to n0.
fn promised() -> (Z, Node<Z>) {
    let ids = [0, 1].map(NodeId);
    let nodes = ids.to_vec();
    let zab: Z = Zab::new(ids[1], ids, Oracle { nodes });
    let disk = disk(1, 1, &[(1, 1), (1, 3)]);
    let disk = Node::format(&zab, disk);
    let mut node = Node::boot(&zab, disk, &mut Outbox::new());
    zab.step(
        &mut node,
        Input::Fire(Timer::Election(Names(ids[0]))),
        &mut Outbox::new(),
    );
    let epoch = Epoch(2);
    hear(&zab, &mut node, Message::NewEpoch { epoch });
    (zab, node)
}

/// What n1 does when n0 says this.
fn hear(zab: &Z, node: &mut Node<Z>, message: Message<Adder, Oracle>) -> Vec<Effect<Z>> {
    let (from, mut out) = (NodeId(0), Outbox::new());
    zab.step(node, Input::Deliver { from, message }, &mut out);
    out.drain().collect()
}

fn zxid(epoch: u64, counter: u64) -> Zxid {
    let epoch = Epoch(epoch);
    Zxid { epoch, counter }
}

/// A leader that would have a follower keep what it does not have is given up at once. To ask again
/// would bring the same again, as fast as messages go.
#[test]
fn a_leader_whose_history_cannot_be_taken_over_is_given_up() {
    let (zab, mut node) = promised();
    let (epoch, before) = (Epoch(2), node.durable().clone());
    let (from, to) = (zxid(1, 3), zxid(1, 2));
    let effects = hear(&zab, &mut node, Message::Trunc { epoch, from, to });
    assert!(effects.contains(&Effect::Emit(Event::Looking)));
    assert_says_nothing(&effects);
    assert_eq!(node.volatile.role, Role::Looking);
    assert_eq!(*node.durable(), before);
    let last_zxid = zxid(1, 2);
    let new_leader = Message::NewLeader { epoch, last_zxid };
    assert_eq!(hear(&zab, &mut node, new_leader), []);
}

fn assert_says_nothing(effects: &[Effect<Z>]) {
    let says = |effect: &Effect<Z>| matches!(effect, Effect::Send { .. });
    assert!(!effects.iter().any(says), "{effects:?}");
}

/// A leader that would have a follower undo what it has delivered contradicts it: the follower
/// truncates nothing, and takes part no more, not even after a restart.
#[test]
fn nothing_that_is_delivered_is_truncated() {
    let (zab, mut node) = promised();
    node.volatile.delivered.zxid = zxid(1, 3);
    let (epoch, from, to) = (Epoch(2), zxid(1, 3), zxid(1, 1));
    let delivered = zxid(1, 3);
    let effects = hear(&zab, &mut node, Message::Trunc { epoch, from, to });
    let contradiction = Contradiction { delivered, to };
    assert!(effects.contains(&Effect::Emit(Event::Halted { contradiction })));
    assert_says_nothing(&effects);
    assert_eq!(node.durable().history.last_zxid(), from);
    assert_eq!(node.durable().halted, Some(contradiction));
    let mut node = Node::boot(&zab, node.into_durable(), &mut Outbox::new());
    zab.step(
        &mut node,
        Input::Fire(Timer::Election(Names(NodeId(0)))),
        &mut Outbox::new(),
    );
    assert_eq!(node.volatile.role, Role::Looking);
}

/// A node on a disk that was never set up, or has been lost, follows nobody and promises nothing,
/// whoever is named.
#[test]
fn a_node_on_a_blank_disk_takes_no_part() {
    let ids = [0, 1].map(NodeId);
    let nodes = ids.to_vec();
    let zab: Z = Zab::new(ids[1], ids, Oracle { nodes });
    let mut out = Outbox::new();
    let mut node = Node::boot(&zab, Persistent::default(), &mut out);
    let arms = |effect: &Effect<Z>| matches!(effect, Effect::Arm(_));
    assert!(!out.effects().iter().any(arms), "{:?}", out.effects());
    let mut out = Outbox::new();
    zab.step(
        &mut node,
        Input::Fire(Timer::Election(Names(ids[0]))),
        &mut out,
    );
    assert!(out.effects().is_empty());
    let epoch = Epoch(1);
    assert_eq!(hear(&zab, &mut node, Message::NewEpoch { epoch }), []);
    assert_eq!(*node.durable(), Persistent::default());
}

/// A TRUNC is of the history that the leader was told of: one that comes when this has changed is
/// late, and takes nothing.
#[test]
fn a_late_trunc_takes_nothing() {
    let (zab, mut node) = promised();
    let (epoch, to) = (Epoch(2), zxid(0, 0));
    let late = |from| Message::Trunc { epoch, from, to };
    let before = node.clone();
    assert_eq!(hear(&zab, &mut node, late(zxid(1, 2))), []);
    assert_eq!(node, before);
    assert_eq!(hear(&zab, &mut node, late(zxid(1, 3))), []);
    assert_eq!(node.durable().history.last_zxid(), to);
}

/// A follower that lacks two transactions gets just these.
#[test]
fn diff_brings_what_is_missing() {
    let scenario = spec::diff(0);
    let mut world = World::initial(&scenario);
    assert_eq!(histories(&world)[2], [""; 0]);
    name(&scenario, &mut world, 0, &[2]);
    settle(&scenario, &mut world);
    assert_eq!(histories(&world)[2], ["1.1", "1.2"]);
    assert_eq!(delivered(&world)[2], delivered(&world)[0]);
}

/// A follower that lacks what the leader has deleted gets a snapshot, and the rest behind it.
#[test]
fn snap_takes_the_place_of_what_is_deleted() {
    let scenario = spec::snap(0);
    let mut world = World::initial(&scenario);
    name(&scenario, &mut world, 0, &[2]);
    settle(&scenario, &mut world);
    assert_eq!(histories(&world)[2], ["1.3"]);
    assert_eq!(delivered(&world)[2], delivered(&world)[0]);
}

/// Found by checking: a follower that broadcasts hears a new epoch from the leader that it
/// follows, for that has started anew. It must give it only so long, as with any new leader.
#[test]
fn a_leader_that_starts_anew_is_given_only_so_long() {
    let scenario = spec::discovery(&[2, 2, 2], &[(0, 2)], 1);
    let mut world = World::initial(&scenario);
    name(&scenario, &mut world, 0, &[0, 1]);
    settle(&scenario, &mut world);
    name(&scenario, &mut world, 0, &[2]);
    act(&scenario, &mut world, &Action::Crash(NodeId(0)));
    act(&scenario, &mut world, &Action::Restart(NodeId(0)));
    name(&scenario, &mut world, 0, &[0, 1]);
    // Every step holds "Nobody waits in vain" against the timers that run.
    settle(&scenario, &mut world);
    assert_eq!(world.ghost.reigns.len(), 2);
}

/// A state machine whose commands weigh what they say.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
struct Heavy;

impl StateMachine for Heavy {
    type Command = u16;
    type Query = ();
    type Response = ();

    fn apply(&mut self, _: &u16) {}

    fn query(&self, (): &()) {}

    fn weight(command: &u16) -> usize {
        usize::from(*command)
    }
}

/// A DIFF is full when its commands' weight reaches the limit; one always travels, and nothing
/// is left out.
#[test]
fn a_diff_carries_so_much() {
    let ids = [NodeId(0), NodeId(1)];
    let nodes = ids.to_vec();
    let mut zab: Zab<Heavy, Oracle> = Zab::new(ids[0], ids, Oracle { nodes });
    zab.max_diff_weight = 10;
    let mut disk: Persistent<Heavy> = Persistent::default();
    for (counter, weight) in (1u64..).zip([4, 5, 6, 100, 9, 1, 1]) {
        let request = spec::request(0, usize::try_from(counter).expect("small"));
        let (epoch, command) = (Epoch(1), weight);
        let zxid = Zxid { epoch, counter };
        let content = Content::Command { request, command };
        disk.apply(&Record::Append(Transaction { zxid, content }));
    }
    disk.apply(&Record::AcceptedEpoch(Epoch(1)));
    let disk = Node::format(&zab, disk);
    let mut node = Node::boot(&zab, disk, &mut Outbox::new());
    let from = ids[1];
    let recency = Recency::default();
    let promises = true;
    let epoch = Epoch(2);
    let ack = AckEpoch { recency, promises };
    let accepted_epoch = Epoch(1);
    let mut out = Outbox::new();
    for input in [
        Input::Fire(Timer::Election(Names(ids[0]))),
        Input::Deliver {
            from,
            message: Message::FollowerInfo { accepted_epoch },
        },
        Input::Deliver {
            from,
            message: Message::AckEpoch { epoch, ack },
        },
    ] {
        zab.step(&mut node, input, &mut out);
    }
    let carried = out.drain().filter_map(|effect| match effect {
        Effect::Send {
            message: Message::Diff { transactions, .. },
            ..
        } => Some(transactions.len()),
        _ => None,
    });
    // Full with 4 + 5 + 6, with 100 alone, and with 9 + 1; the rest is what is left.
    assert_eq!(carried.collect::<Vec<_>>(), [3, 1, 2, 1]);
}
