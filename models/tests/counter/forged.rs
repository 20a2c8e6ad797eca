//! Whatever arrives, from whomever, wherever a node has come to: nothing panics or overflows, no
//! count goes back, and none is made that is neither the node's own nor in what it was told.

use models::counter::counts::Counts;
use models::counter::fold::ballot::{Ballot, Vote};
use models::counter::fold::dead::DeadNames;
use models::counter::fold::folded::Folded;
use models::counter::fold::message::FoldMessage;
use models::counter::g_counter::{DataCentre, GCounter, Incarnation, ReplicaId};
use models::counter::message::Message;
use models::counter::spec::{at_large, request};
use models::counter::window::{Bucket, Buckets};
use models::counter::{Command, Counter, Increment, Timer};
use models::world::{Delivery, World};
use models::{Input, Node, NodeId, Outbox, Protocol};
use proptest::prelude::*;

use crate::support::runs::{choices, walk};

/// Numbers at the edges, and near what is really in use.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..40u64,
        1 => Just(u64::MAX),
        1 => Just(u64::MAX - 9),
        1 => any::<u64>(),
    ]
}

fn names() -> impl Strategy<Value = ReplicaId> {
    (0..3u16, 0..6u16, 0..3u64).prop_map(|(data_centre, node, incarnation)| ReplicaId {
        data_centre: DataCentre(data_centre),
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
    })
}

fn counters() -> impl Strategy<Value = GCounter> {
    proptest::collection::vec((names(), numbers()), 0..4).prop_map(GCounter::from_iter)
}

fn counts() -> impl Strategy<Value = Counts> {
    let widths = prop_oneof![Just(10u64), numbers()];
    let bucket = (numbers(), widths).prop_map(|(start, width)| Bucket { start, width });
    let buckets = proptest::collection::vec((bucket, counters()), 0..3);
    let buckets = buckets.prop_map(Buckets::from_iter);
    (counters(), buckets).prop_map(|(total, buckets)| Counts {
        total,
        buckets,
        ..Counts::default()
    })
}

fn dead_names() -> impl Strategy<Value = DeadNames> {
    let entry = (0..6u16, numbers());
    let entry = entry.prop_map(|(node, up_to)| (NodeId(node), Incarnation(up_to)));
    proptest::collection::vec(entry, 0..3).prop_map(DeadNames::from_iter)
}

fn folds() -> impl Strategy<Value = Folded> {
    (numbers(), any::<u128>(), dead_names()).prop_map(|(number, sum, names)| Folded {
        number,
        sum,
        names,
    })
}

fn ballots() -> impl Strategy<Value = Ballot> {
    (numbers(), names()).prop_map(|(round, proposer)| Ballot { round, proposer })
}

fn fold_messages() -> impl Strategy<Value = Message> {
    let about = (prop_oneof![0..3u64, numbers()], ballots(), folds());
    (0..6u8, about, dead_names(), counters()).prop_map(
        |(kind, (number, ballot, fold), dead, counts)| {
            let accepted = (ballot.round % 2 == 0).then(|| Vote {
                ballot,
                fold: fold.clone(),
            });
            let message = match kind {
                0 => FoldMessage::Prepare {
                    number,
                    ballot,
                    dead,
                },
                1 => FoldMessage::Promise {
                    number,
                    ballot,
                    counts,
                    accepted,
                },
                2 => FoldMessage::Accept { ballot, fold },
                3 => FoldMessage::Accepted { number, ballot },
                4 => FoldMessage::Refused { number, ballot },
                _ => {
                    let folded = fold;
                    let departed = dead.iter().map(|(node, _)| node).collect();
                    let counts = Counts {
                        folded,
                        departed,
                        ..Counts::default()
                    };
                    return Message::PushPull { counts };
                }
            };
            Message::Fold(message)
        },
    )
}

fn messages() -> impl Strategy<Value = Message> {
    (0..4u8, counts()).prop_map(|(kind, counts)| match kind {
        0 => Message::Delta { counts },
        1 => Message::DeltaAck { counts },
        2 => Message::PushPull { counts },
        _ => Message::PushPullReply { counts },
    })
}

fn commands() -> impl Strategy<Value = Command> {
    let parts = (0..8u8, 0..3usize, 0..3usize, numbers(), numbers());
    parts.prop_map(|(kind, client, sequence, amount, now)| {
        let request = request(client, sequence);
        let peer = NodeId((amount % 7) as u16);
        match kind {
            0 | 1 => Command::Increment(Increment {
                request,
                amount,
                now,
            }),
            2 => Command::ReadWindow {
                request,
                now,
                latest: amount,
            },
            3 => Command::Identify {
                incarnation: Incarnation(amount),
            },
            4 => Command::PeerJoined(peer),
            5 => Command::PeerGone(peer),
            6 => Command::PeerDeparted(peer),
            _ => Command::Leave,
        }
    })
}

fn inputs() -> impl Strategy<Value = Input<Counter>> {
    prop_oneof![
        6 => (0..7u16, messages()).prop_map(|(from, message)| {
            let from = NodeId(from);
            Input::Deliver { from, message }
        }),
        2 => (0..4u16, fold_messages()).prop_map(|(from, message)| {
            let from = NodeId(from);
            Input::Deliver { from, message }
        }),
        1 => Just(Input::Fire(Timer::Broadcast)),
        1 => Just(Input::Fire(Timer::Fold)),
        1 => Just(Input::Fire(Timer::PushPull)),
        3 => commands().prop_map(Input::Ask),
    ]
}

/// What a component may be after the input: what it was or what was told, and of the node's own
/// name also as much more as was asked.
fn is_accounted_for(before: &Node<Counter>, input: &Input<Counter>, after: &Node<Counter>) -> bool {
    let told = match input {
        Input::Deliver { message, .. } => message.counts().clone(),
        Input::Fire(_) | Input::Ask(_) => Counts::default(),
    };
    let asked = match input {
        Input::Ask(Command::Increment(increment)) => increment.amount,
        _ => 0,
    };
    let mut components = after.durable().counts.components();
    components.all(|(bucket, name, count)| {
        let known = before.durable().counts.count(bucket, name);
        let is_own = before.durable().identity == Some(name);
        count == known
            || count == told.count(bucket, name)
            || is_own && Some(count) == known.checked_add(asked)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_breaks_a_replica(
        choices in choices(80),
        forged in proptest::collection::vec(inputs(), 1..60),
    ) {
        let scenario = at_large(3, Delivery::Bag);
        let mut last = World::initial(&scenario);
        walk(&scenario, &choices, |_, _, world| last = world.clone());
        for (id, node) in last.running() {
            let mut node = node.clone();
            let protocol = &scenario.nodes[usize::from(id.0)];
            for input in &forged {
                let before = node.clone();
                protocol.step(&mut node, input.clone(), &mut Outbox::new());
                let (old, new) = (&before.durable().counts, &node.durable().counts);
                let mut known = old.total.components();
                let is_kept = |(name, count)| {
                    new.folded.covers(name) || count <= new.total.count(name)
                };
                prop_assert!(known.all(is_kept), "{input:?}");
                prop_assert!(is_accounted_for(&before, input, &node), "{input:?}");
            }
        }
    }

    /// The same where folds are agreed on: no fold goes back, what is folded is forgotten, and nobody
    /// counts under a dead name.
    #[test]
    fn nothing_breaks_a_replica_that_folds(
        choices in choices(40),
        forged in proptest::collection::vec(inputs(), 1..60),
    ) {
        let mut scenario = at_large(3, Delivery::Bag);
        for node in &mut scenario.nodes {
            node.fold = Some((0..3).map(NodeId).collect());
        }
        let mut last = World::initial(&scenario);
        walk(&scenario, &choices, |_, _, world| last = world.clone());
        for (id, node) in last.running() {
            let mut node = node.clone();
            let protocol = &scenario.nodes[usize::from(id.0)];
            for input in &forged {
                let before = node.durable().clone();
                protocol.step(&mut node, input.clone(), &mut Outbox::new());
                let Counts { folded, total, .. } = &node.durable().counts;
                prop_assert!(*folded >= before.counts.folded, "{input:?}");
                prop_assert!(total.components().all(|(name, _)| !folded.covers(name)), "{input:?}");
                let identity = node.durable().identity;
                prop_assert!(identity.is_none_or(|name| !folded.covers(name)), "{input:?}");
                if *folded == before.counts.folded {
                    let (was, is) = (&before.acceptor, &node.durable().acceptor);
                    prop_assert!(is.promised >= was.promised, "{input:?}");
                    prop_assert!(is.frozen.includes(&was.frozen), "{input:?}");
                }
            }
        }
    }
}
