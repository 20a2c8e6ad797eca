//! Messages that no right node sends are ignored, or believed as far as a peer must be, and
//! never the end of a node.
//!
//! Not shown: that forged messages do no harm. Peers are believed.

use models::bully::{self, Number};
use models::raft::spec::{Add, Adder, Total};
use models::session::{ClientId, RequestId, Sequence};
use models::world::Scenario;
use models::zab::bully::Bully;
use models::zab::history::{Content, Recency, Snapshot, Transaction};
use models::zab::message::{AckEpoch, Message};
use models::zab::spec::{Bounded, Names, Oracle, bully as with_bully};
use models::zab::zxid::{Epoch, Zxid};
use models::zab::{Command, Timer, Zab};
use models::{Input, Node, NodeId, Outbox, Protocol};
use proptest::prelude::*;

use super::lively;
use crate::support::runs::{choices, walk};

type Checked<E> = Zab<Adder, E>;

/// Small numbers, which may be right, and absurd ones.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0..5u64,
        1 => Just(Epoch::FURTHEST_AHEAD),
        1 => prop_oneof![Just(u64::MAX - 1), Just(u64::MAX)],
        1 => any::<u64>(),
    ]
}

fn epoch() -> impl Strategy<Value = Epoch> {
    number().prop_map(Epoch)
}

fn zxid() -> impl Strategy<Value = Zxid> {
    (epoch(), number()).prop_map(|(epoch, counter)| Zxid { epoch, counter })
}

fn request() -> impl Strategy<Value = RequestId> {
    (0..4u64, number()).prop_map(|(client, sequence)| RequestId {
        client: ClientId::new(client),
        sequence: Sequence(sequence),
    })
}

fn content() -> impl Strategy<Value = Content<Add>> {
    let command = (request(), any::<u8>()).prop_map(|(request, byte)| Content::Command {
        request,
        command: Add(byte),
    });
    prop_oneof![
        command,
        request().prop_map(|request| Content::Sync { request })
    ]
}

fn transaction() -> impl Strategy<Value = Transaction<Add>> {
    (zxid(), content()).prop_map(|(zxid, content)| Transaction { zxid, content })
}

fn snapshot() -> impl Strategy<Value = Snapshot<Adder>> {
    zxid().prop_map(|zxid| Snapshot {
        zxid,
        ..Snapshot::default()
    })
}

fn recency() -> impl Strategy<Value = Recency> {
    (epoch(), zxid()).prop_map(|(current_epoch, last_zxid)| Recency {
        current_epoch,
        last_zxid,
    })
}

fn ack_epoch() -> impl Strategy<Value = AckEpoch> {
    (recency(), any::<bool>()).prop_map(|(recency, promises)| AckEpoch { recency, promises })
}

/// Any message but the election's.
fn message<E: Bounded>() -> impl Strategy<Value = Message<Adder, E>> {
    let diff = (
        epoch(),
        zxid(),
        proptest::collection::vec(transaction(), 0..4),
    );
    let ping = (epoch(), zxid(), zxid());
    prop_oneof![
        epoch().prop_map(|accepted_epoch| Message::FollowerInfo { accepted_epoch }),
        epoch().prop_map(|epoch| Message::NewEpoch { epoch }),
        (epoch(), ack_epoch()).prop_map(|(epoch, ack)| Message::AckEpoch { epoch, ack }),
        (epoch(), zxid(), zxid()).prop_map(|(epoch, from, to)| Message::Trunc { epoch, from, to }),
        (epoch(), snapshot()).prop_map(|(epoch, snapshot)| Message::Snap { epoch, snapshot }),
        diff.prop_map(|(epoch, after, transactions)| Message::Diff {
            epoch,
            after,
            transactions
        }),
        (epoch(), zxid()).prop_map(|(epoch, last_zxid)| Message::NewLeader { epoch, last_zxid }),
        (epoch(), zxid()).prop_map(|(epoch, last_zxid)| Message::AckNewLeader { epoch, last_zxid }),
        (epoch(), zxid()).prop_map(|(epoch, committed)| Message::UpToDate { epoch, committed }),
        transaction().prop_map(Message::Propose),
        zxid().prop_map(|zxid| Message::Ack { zxid }),
        zxid().prop_map(|zxid| Message::Commit { zxid }),
        (epoch(), content()).prop_map(|(epoch, content)| Message::Request { epoch, content }),
        ping.prop_map(|(epoch, last_zxid, committed)| Message::Ping {
            epoch,
            last_zxid,
            committed
        }),
        (epoch(), zxid()).prop_map(|(epoch, last_zxid)| Message::Pong { epoch, last_zxid }),
    ]
}

fn ballot() -> impl Strategy<Value = Message<Adder, Bully>> {
    let election = || number().prop_map(Number);
    prop_oneof![
        (election(), recency())
            .prop_map(|(election, rank)| bully::Message::Election { election, rank }),
        election().prop_map(|election| bully::Message::Okay { election }),
        (election(), recency())
            .prop_map(|(election, rank)| bully::Message::Coordinator { election, rank }),
        (election(), election())
            .prop_map(|(election, current)| bully::Message::Stale { election, current }),
    ]
    .prop_map(Message::Election)
}

fn ask() -> impl Strategy<Value = Command<Adder>> {
    let query = Total;
    prop_oneof![
        (request(), any::<u8>()).prop_map(|(request, byte)| Command::Write {
            request,
            command: Add(byte)
        }),
        request().prop_map(move |request| Command::Read { request, query }),
        request().prop_map(move |request| Command::SyncedRead { request, query }),
    ]
}

/// Whatever may be handed to a node, messages from anybody first of all.
fn inputs<E: Bounded>(
    messages: BoxedStrategy<Message<Adder, E>>,
    timers: Vec<Timer<E>>,
) -> impl Strategy<Value = Vec<Input<Checked<E>>>> {
    let sender = prop_oneof![9 => 0..4u16, 1 => any::<u16>()].prop_map(NodeId);
    let deliver = (sender, messages).prop_map(|(from, message)| Input::Deliver { from, message });
    let input = prop_oneof![
        8 => deliver,
        1 => proptest::sample::select(timers).prop_map(Input::Fire),
        1 => ask().prop_map(Input::Ask),
    ];
    proptest::collection::vec(input, 1..40)
}

fn timers<E: Bounded>(election: Vec<E::Timer>) -> Vec<Timer<E>> {
    let election = election.into_iter().map(Timer::Election);
    [Timer::Init, Timer::Sync, Timer::Ping]
        .into_iter()
        .chain(election)
        .collect()
}

/// Walks somewhere, and hands every node all of the inputs. Strangers change nothing; epochs
/// go up at most as far as one believes; the node can be started again from its disk.
fn bear<E: Bounded>(
    scenario: &Scenario<Checked<E>>,
    choices: &[u16],
    inputs: &[Input<Checked<E>>],
) {
    let world = walk(scenario, choices, |_, _, _| {});
    for (id, node) in world.running() {
        let zab = &scenario.nodes[usize::from(id.0)];
        let mut node = node.clone();
        for input in inputs {
            let before = node.clone();
            let mut out = Outbox::new();
            zab.step(&mut node, input.clone(), &mut out);
            let is_stranger = matches!(input, Input::Deliver { from, .. }
                if *from == id || !zab.voters().contains(from));
            if is_stranger {
                assert_eq!(node, before, "{input:?}");
                assert!(out.effects().is_empty(), "{input:?}: {:?}", out.effects());
            }
            let epochs = [&before, &node].map(|node| node.durable().accepted_epoch.0);
            let furthest = epochs[0].saturating_add(Epoch::FURTHEST_AHEAD);
            assert!(epochs[1] <= furthest.saturating_add(1), "{input:?}");
        }
        Node::boot(zab, node.into_durable(), &mut Outbox::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn anything_from_anybody_is_borne(
        choices in choices(150),
        inputs in inputs::<Oracle>(
            message().boxed(),
            timers((0..4).map(|id| Names(NodeId(id))).collect()),
        ),
    ) {
        bear(&lively(3), &choices, &inputs);
    }

    #[test]
    fn anything_from_anybody_is_borne_with_bully(
        choices in choices(150),
        inputs in inputs::<Bully>(
            prop_oneof![2 => message(), 1 => ballot()].boxed(),
            timers(vec![bully::election::Timer::Okay, bully::election::Timer::Coordinator]),
        ),
    ) {
        bear(&with_bully::at_large(), &choices, &inputs);
    }
}
