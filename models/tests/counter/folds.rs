//! Folds: merging with them, as laws over any counters; and what one replica does to agree on them, after
//! Lamport 2001, "Paxos Made Simple".

use models::counter::counts::Counts;
use models::counter::fold::ballot::{Ballot, Vote};
use models::counter::fold::dead::DeadNames;
use models::counter::fold::folded::Folded;
use models::counter::fold::message::FoldMessage;
use models::counter::g_counter::{DataCentre, GCounter, Incarnation, ReplicaId};
use models::counter::message::Message;
use models::counter::spec::{Limits, cluster, replica};
use models::counter::state::Record;
use models::counter::{Command, Counter, Event, Timer};
use models::{Effect, Input, Node, NodeId, Outbox, Protocol};
use proptest::prelude::*;

const NODES: u16 = 3;
const INCARNATIONS: u64 = 3;

fn name(node: u16, incarnation: u64) -> ReplicaId {
    ReplicaId {
        data_centre: DataCentre(node % 2),
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
    }
}

fn all_names() -> impl Iterator<Item = ReplicaId> {
    (0..NODES).flat_map(|node| (0..INCARNATIONS).map(move |number| name(node, number)))
}

/// What was counted in the end, and the folds of it: a chain, each with all that anybody knows.
#[derive(Clone, Debug)]
struct Past {
    counted: GCounter,
    folds: Vec<Folded>,
}

/// Some way into a past: so many folds, and of the other names at most what was counted.
fn known(past: &Past, folds: usize, parts: &[u64]) -> Counts {
    let folded = past.folds[folds % past.folds.len()].clone();
    let total = all_names()
        .zip(parts)
        .filter(|(name, _)| !folded.covers(*name))
        .map(|(name, part)| (name, (*part).min(past.counted.count(name))));
    Counts {
        total: total.collect(),
        folded,
        ..Counts::default()
    }
}

fn pasts() -> impl Strategy<Value = Past> {
    let counts = proptest::collection::vec(0..6u64, usize::from(NODES) * 3);
    let deaths = proptest::collection::vec((0..NODES, 0..4u64), 0..4);
    (counts, deaths).prop_map(|(counts, deaths)| {
        let counted: GCounter = all_names().zip(counts).collect();
        let mut folds = vec![Folded::none()];
        for (node, up_to) in deaths {
            let last = folds.last().expect("the first");
            let up_to = if up_to == 3 {
                DeadNames::FOR_GOOD
            } else {
                Incarnation(up_to)
            };
            let dead = DeadNames::from_iter([(NodeId(node), up_to)]);
            let new = counted.only(|name| dead.covers(name) && !last.covers(name));
            folds.push(last.next(&dead, &new));
        }
        Past { counted, folds }
    })
}

/// So many replicas of one past.
fn replicas<const N: usize>() -> impl Strategy<Value = [Counts; N]> {
    let parts = proptest::collection::vec(0..6u64, usize::from(NODES) * 3);
    let places = proptest::collection::vec((0..8usize, parts), N);
    (pasts(), places).prop_map(|(past, places)| {
        let mut places = places.into_iter();
        std::array::from_fn(|_| {
            let (folds, parts) = places.next().expect("as many");
            known(&past, folds, &parts)
        })
    })
}

fn merged(a: &Counts, b: &Counts) -> Counts {
    let mut both = a.clone();
    both.merge(b);
    both
}

proptest! {
    #[test]
    fn merge_is_a_join([a, b, c] in replicas()) {
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&a, &a), a);
    }

    #[test]
    fn merge_is_the_least_upper_bound([a, b, c] in replicas()) {
        let both = merged(&a, &b);
        prop_assert!(both.includes(&a) && both.includes(&b));
        let bound = merged(&both, &c);
        prop_assert!(bound.includes(&both));
        prop_assert_eq!(both == a, a.includes(&b));
    }

    /// No value goes back, whoever is behind; and none is ever more than what was counted.
    #[test]
    fn merge_never_lowers_the_value(past in pasts(), a in 0..8usize, b in 0..8usize,
        parts in proptest::collection::vec(proptest::collection::vec(0..6u64, 9), 2)) {
        let (a, b) = (known(&past, a, &parts[0]), known(&past, b, &parts[1]));
        let value = merged(&a, &b).value();
        prop_assert!(value >= a.value() && value >= b.value());
        prop_assert!(value <= past.counted.value());
    }

    #[test]
    fn a_difference_does_what_the_state_would([a, b] in replicas()) {
        let difference = a.difference(&b);
        prop_assert_eq!(merged(&b, &difference), merged(&b, &a));
        prop_assert_eq!(difference.is_empty(), b.includes(&a));
    }

    /// What is folded is forgotten, in whatever way it is heard of.
    #[test]
    fn what_is_folded_is_forgotten([a, b] in replicas(), gone in 0..NODES) {
        let mut both = merged(&a, &b);
        both.merge(&Counts { departed: [NodeId(gone)].into(), ..Counts::default() });
        both.merge(&a);
        prop_assert!(both.total.components().all(|(name, _)| !both.folded.covers(name)));
        prop_assert!(both.has_departed(NodeId(gone)));
        prop_assert_eq!(
            both.departed.contains(&NodeId(gone)),
            !both.folded.names.has_departed(NodeId(gone))
        );
    }

    #[test]
    fn dead_names_are_a_join(
        a in proptest::collection::vec((0..3u16, 0..4u64), 0..4),
        b in proptest::collection::vec((0..3u16, 0..4u64), 0..4),
    ) {
        let dead = |of: Vec<(u16, u64)>| -> DeadNames {
            of.into_iter().map(|(node, up_to)| (NodeId(node), Incarnation(up_to))).collect()
        };
        let (a, b) = (dead(a), dead(b));
        let mut both = a.clone();
        both.merge(&b);
        prop_assert!(both.includes(&a) && both.includes(&b));
        let covers = |name| a.covers(name) || b.covers(name);
        prop_assert!(all_names().all(|name| both.covers(name) == covers(name)));
        prop_assert_eq!(both == a, a.includes(&b));
    }
}

/// A node of three that folds.
struct Bench {
    counter: Counter,
    node: Node<Counter>,
}

/// n1 has had another name before.
const FORMER: u64 = 0;

impl Bench {
    /// Node `id`, which knows so much of n1's former name.
    fn new(id: u16, former: u64) -> Self {
        let scenario = cluster(3, Limits::ALL);
        let mut counter = scenario.nodes[usize::from(id)].clone();
        counter.fold = Some((0..3).map(NodeId).collect());
        let disk = scenario.disks[usize::from(id)].clone();
        let mut node = Node::boot(&counter, disk, &mut Outbox::new());
        let counts = of([(name(1, FORMER), former), (replica(1), 7)]);
        node.write(Record::Learned { counts });
        Self { counter, node }
    }

    fn feed(&mut self, input: Input<Counter>) -> Vec<Effect<Counter>> {
        let mut out = Outbox::new();
        self.counter.step(&mut self.node, input, &mut out);
        self.node.take_records();
        out.drain().collect()
    }

    fn deliver(&mut self, from: u16, message: Message) -> Vec<Effect<Counter>> {
        let from = NodeId(from);
        self.feed(Input::Deliver { from, message })
    }

    fn say(&mut self, from: u16, message: FoldMessage) -> Vec<Message> {
        sent(self.deliver(from, Message::Fold(message)))
    }

    fn crash(&mut self) {
        let disk = self.node.durable().clone();
        self.node = Node::boot(&self.counter, disk, &mut Outbox::new());
    }

    fn counts(&self) -> &Counts {
        &self.node.durable().counts
    }
}

fn of<const N: usize>(components: [(ReplicaId, u64); N]) -> Counts {
    Counts {
        total: GCounter::from_iter(components),
        ..Counts::default()
    }
}

fn sent(effects: Vec<Effect<Counter>>) -> Vec<Message> {
    let sent = effects.into_iter().filter_map(|effect| match effect {
        Effect::Send { message, .. } => Some(message),
        _ => None,
    });
    sent.collect()
}

fn ballot(round: u64) -> Ballot {
    Ballot {
        round,
        proposer: replica(0),
    }
}

/// The names before the present ones.
fn dead() -> DeadNames {
    [(NodeId(0), Incarnation(0)), (NodeId(1), Incarnation(0))]
        .into_iter()
        .collect()
}

fn prepare(number: u64, round: u64) -> FoldMessage {
    FoldMessage::Prepare {
        number,
        ballot: ballot(round),
        dead: dead(),
    }
}

fn promise(round: u64, former: u64, accepted: Option<Vote>) -> FoldMessage {
    FoldMessage::Promise {
        number: 1,
        ballot: ballot(round),
        counts: GCounter::from_iter([(name(1, FORMER), former)]),
        accepted,
    }
}

fn accept(round: u64, sum: u64) -> FoldMessage {
    let counts = GCounter::from_iter([(name(1, FORMER), sum)]);
    FoldMessage::Accept {
        ballot: ballot(round),
        fold: Folded::none().next(&dead(), &counts),
    }
}

fn accepted(round: u64) -> FoldMessage {
    FoldMessage::Accepted {
        number: 1,
        ballot: ballot(round),
    }
}

/// §2.2: prepare, promise, accept, accepted; and the fold has the most that anybody knew.
#[test]
fn a_fold_has_the_most_that_anybody_knows() {
    let mut bench = Bench::new(0, 1);
    let asked = sent(bench.feed(Input::Fire(Timer::Fold)));
    assert_eq!(
        asked,
        [Message::Fold(prepare(1, 1)), Message::Fold(prepare(1, 1))]
    );
    assert_eq!(bench.say(1, promise(1, 5, None)), []);
    let asked = bench.say(2, promise(1, 0, None));
    assert_eq!(
        asked,
        [Message::Fold(accept(1, 5)), Message::Fold(accept(1, 5))]
    );
    assert_eq!(bench.say(1, accepted(1)), []);
    assert_eq!(bench.counts().folded, Folded::none());
    let told = bench.deliver(2, Message::Fold(accepted(1)));
    assert!(told.contains(&Effect::Emit(Event::Folded { number: 1 })));
    assert_eq!(bench.counts().value(), 12);
    assert_eq!(bench.counts().total, of([(replica(1), 7)]).total);
    let owed = bench.node.volatile.members.values();
    assert!({ owed }.all(|peer| peer.pending.folded.number == 1));
}

/// §2.2: "the value of the highest-numbered proposal among the responses".
#[test]
fn what_may_have_been_chosen_is_proposed_again() {
    let mut bench = Bench::new(0, 1);
    bench.feed(Input::Fire(Timer::Fold));
    let vote = |round, sum| {
        let FoldMessage::Accept { ballot, fold } = accept(round, sum) else {
            unreachable!("it is one")
        };
        Some(Vote { ballot, fold })
    };
    bench.say(1, promise(1, 5, vote(0, 2)));
    let asked = bench.say(2, promise(1, 0, None));
    assert_eq!(asked[0], Message::Fold(accept(1, 2)));
}

/// A promise freezes what it says: on disk, until the fold is learned.
#[test]
fn what_is_frozen_is_neither_learned_nor_acknowledged() {
    let mut bench = Bench::new(2, 1);
    assert_eq!(
        bench.say(0, prepare(1, 1)),
        [Message::Fold(promise(1, 1, None))]
    );
    bench.crash();
    let counts = of([(name(1, FORMER), 5), (replica(1), 9)]);
    let told = bench.deliver(1, Message::Delta { counts });
    let counts = of([(replica(1), 9)]);
    assert_eq!(sent(told), [Message::DeltaAck { counts }]);
    assert_eq!(bench.counts().total.count(name(1, FORMER)), 1);
    assert_eq!(bench.say(0, accept(1, 5)), [Message::Fold(accepted(1))]);
    let FoldMessage::Accept { fold, .. } = accept(1, 5) else {
        unreachable!("it is one")
    };
    let counts = Counts {
        folded: fold,
        ..Counts::default()
    };
    bench.deliver(0, Message::Delta { counts });
    assert_eq!(bench.counts().value(), 14);
    let late = of([(name(1, FORMER), 5)]);
    let told = sent(bench.deliver(
        1,
        Message::Delta {
            counts: late.clone(),
        },
    ));
    assert_eq!(
        told,
        [Message::DeltaAck { counts: late }],
        "nobody needs it any more"
    );
    assert_eq!(bench.counts().value(), 14);
}

/// §2.2, P1a: no lower ballot is heeded, and no other than what was promised; a crash changes nothing.
#[test]
fn an_acceptor_heeds_what_it_has_promised() {
    let mut bench = Bench::new(2, 1);
    let refused = |round| {
        let (number, ballot) = (1, ballot(round));
        [Message::Fold(FoldMessage::Refused { number, ballot })]
    };
    assert_eq!(
        bench.say(0, accept(1, 5)),
        refused(1),
        "nothing was promised"
    );
    bench.say(0, prepare(1, 2));
    bench.crash();
    assert_eq!(bench.say(0, prepare(1, 1)), refused(1));
    assert_eq!(bench.say(0, accept(1, 5)), refused(1));
    assert_eq!(bench.say(0, accept(3, 5)), refused(3));
    assert_eq!(bench.say(0, accept(2, 5)), [Message::Fold(accepted(2))]);
    assert_eq!(
        bench.say(0, prepare(2, 4)),
        [],
        "of the first it has not heard"
    );
}

/// §2.3: a proposer that is refused abandons its proposal, and begins anew with a higher ballot.
#[test]
fn a_proposer_that_is_refused_begins_anew() {
    let mut bench = Bench::new(0, 1);
    bench.feed(Input::Fire(Timer::Fold));
    bench.say(1, promise(1, 5, None));
    let (number, ballot) = (1, ballot(1));
    bench.say(2, FoldMessage::Refused { number, ballot });
    assert_eq!(bench.say(2, promise(1, 0, None)), []);
    let asked = sent(bench.feed(Input::Fire(Timer::Fold)));
    assert_eq!(asked[0], Message::Fold(prepare(1, 2)));
}

/// No fold begins while a node cannot be reached; where it is gone for good, the others go on.
#[test]
fn a_node_that_is_gone_is_waited_for_unless_it_is_gone_for_good() {
    let mut bench = Bench::new(0, 1);
    bench.feed(Input::Ask(Command::PeerGone(NodeId(2))));
    assert_eq!(sent(bench.feed(Input::Fire(Timer::Fold))), []);
    bench.feed(Input::Ask(Command::PeerDeparted(NodeId(2))));
    bench.crash();
    assert!(!bench.node.volatile.members.contains_key(&NodeId(2)));
    assert_eq!(sent(bench.feed(Input::Fire(Timer::Fold))).len(), 1);
    let counts = of([(replica(2), 3)]);
    assert_eq!(bench.deliver(2, Message::Delta { counts }), []);
    let removed = Effect::Emit(Event::PeerRemoved(NodeId(2)));
    let joined = Input::Ask(Command::PeerJoined(NodeId(2)));
    assert_eq!(bench.feed(joined), [removed]);
}

/// Incarnations rise: an earlier one would be taken for dead.
#[test]
fn an_earlier_name_is_not_taken() {
    let mut bench = Bench::new(1, 1);
    let dead: DeadNames = [(NodeId(1), Incarnation(3))].into_iter().collect();
    let asked = FoldMessage::Prepare {
        number: 1,
        ballot: ballot(1),
        dead,
    };
    let effects = bench.deliver(0, Message::Fold(asked));
    let contested = Some(replica(1));
    assert_eq!(
        effects[0],
        Effect::Emit(Event::IdentityNeeded { contested })
    );
    let identify = |bench: &mut Bench, incarnation| {
        let incarnation = Incarnation(incarnation);
        bench.feed(Input::Ask(Command::Identify { incarnation }))
    };
    for earlier in [0, 1, 3] {
        let contested = Some(name(1, earlier));
        let needed = Effect::Emit(Event::IdentityNeeded { contested });
        assert_eq!(identify(&mut bench, earlier), [needed]);
    }
    let identity = name(1, 4);
    let taken = Effect::Emit(Event::Identified { identity });
    assert_eq!(identify(&mut bench, 4), [taken]);
}

/// Who does not fold hears nothing of folds.
#[test]
fn a_replica_that_does_not_fold_promises_nothing() {
    let mut bench = Bench::new(2, 1);
    bench.counter.fold = None;
    assert_eq!(bench.say(0, prepare(1, 1)), []);
}
