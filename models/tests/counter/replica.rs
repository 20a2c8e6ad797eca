//! What one replica does, input by input.

use models::counter::counts::Counts;
use models::counter::g_counter::{GCounter, Incarnation, ReplicaId};
use models::counter::message::Message;
use models::counter::spec::{Limits, cluster, replica, request};
use models::counter::window::{Bucket, Buckets, Window};
use models::counter::{Command, Counter, Event, Increment, Refusal, Timer};
use models::{Effect, Input, Node, NodeId, Outbox, Protocol};

/// Node 0 of three, on a disk that has a name.
struct Bench {
    counter: Counter,
    node: Node<Counter>,
}

impl Bench {
    fn new() -> Self {
        let mut scenario = cluster(3, Limits::ALL);
        let counter = scenario.nodes.remove(0);
        let disk = scenario.disks.remove(0);
        let node = Node::boot(&counter, disk, &mut Outbox::new());
        Self { counter, node }
    }

    fn feed(&mut self, input: Input<Counter>) -> Vec<Effect<Counter>> {
        let mut out = Outbox::new();
        self.counter.step(&mut self.node, input, &mut out);
        self.node.take_records();
        out.drain().collect()
    }

    fn ask(&mut self, command: Command) -> Vec<Effect<Counter>> {
        self.feed(Input::Ask(command))
    }

    fn count(&mut self, client: usize, sequence: usize, amount: u64, now: u64) -> Event {
        let effects = self.ask(Command::Increment(Increment {
            request: request(client, sequence),
            amount,
            now,
        }));
        let mut events = effects.into_iter().filter_map(|effect| match effect {
            Effect::Emit(event) => Some(event),
            _ => None,
        });
        events.next().expect("an answer")
    }

    fn deliver(&mut self, from: u16, message: Message) -> Vec<Effect<Counter>> {
        let from = NodeId(from);
        self.feed(Input::Deliver { from, message })
    }

    fn crash(&mut self) {
        let disk = self.node.durable().clone();
        self.node = Node::boot(&self.counter, disk, &mut Outbox::new());
    }

    fn value(&self) -> u128 {
        self.node.durable().counts.total.value()
    }
}

fn of(name: ReplicaId, count: u64) -> Counts {
    Counts {
        total: GCounter::from_iter([(name, count)]),
        ..Counts::default()
    }
}

fn counted(sequence: usize, value: u128, repeated: bool) -> Event {
    Event::Incremented {
        request: request(0, sequence),
        value,
        repeated,
    }
}

fn refused(sequence: usize, why: Refusal) -> Event {
    let request = request(0, sequence);
    Event::Refused { request, why }
}

/// Specification 6: "update increment: P[g] := P[g] + 1", here by any amount.
#[test]
fn an_increment_is_counted_and_survives_a_crash() {
    let mut bench = Bench::new();
    assert_eq!(bench.count(0, 0, 5, 0), counted(0, 5, false));
    bench.crash();
    assert_eq!(bench.count(0, 1, 2, 0), counted(1, 7, false));
    assert_eq!(bench.node.durable().identity, Some(replica(0)));
}

/// A retry counts once, after a crash as well, and an older request is not guessed about.
#[test]
fn a_retry_is_not_counted_again() {
    let mut bench = Bench::new();
    bench.count(0, 0, 5, 0);
    assert_eq!(bench.count(0, 0, 5, 0), counted(0, 5, true));
    bench.crash();
    assert_eq!(bench.count(0, 0, 5, 0), counted(0, 5, true));
    bench.count(0, 1, 1, 0);
    assert_eq!(bench.count(0, 0, 5, 0), refused(0, Refusal::Superseded));
    assert_eq!(bench.value(), 6);
}

/// There is room for so many clients; who has not counted for longest is forgotten.
#[test]
fn clients_are_forgotten_in_the_order_in_which_they_counted() {
    let mut bench = Bench::new();
    bench.counter.max_sessions = 2;
    for client in [0, 1, 2] {
        bench.count(client, 0, 1, 0);
    }
    assert_eq!(bench.node.durable().recent.len(), 2);
    assert_eq!(bench.count(0, 0, 1, 0), counted(0, 4, false));
}

#[test]
fn what_cannot_be_counted_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    assert_eq!(bench.count(0, 0, 0, 0), refused(0, Refusal::ZeroAmount));
    bench.count(0, 1, u64::MAX, 0);
    assert_eq!(bench.count(0, 2, 1, 0), refused(2, Refusal::Overflow));
    assert_eq!(bench.value(), u128::from(u64::MAX));
    bench.ask(Command::Leave);
    assert_eq!(bench.count(0, 3, 1, 0), refused(3, Refusal::Leaving));
}

/// Algorithm 2: deltas are sent until acknowledged, increments that come meanwhile travel
/// with them, and an acknowledgement settles what it names.
#[test]
fn a_delta_is_sent_until_it_is_acknowledged() {
    let mut bench = Bench::new();
    bench.count(0, 0, 1, 0);
    let sent = |count| {
        let counts = of(replica(0), count);
        let send = |to| Effect::Send {
            to: NodeId(to),
            message: Message::Delta {
                counts: counts.clone(),
            },
        };
        vec![send(1), send(2), Effect::Arm(Timer::Broadcast)]
    };
    let fire = Input::Fire(Timer::Broadcast);
    assert_eq!(bench.feed(fire.clone()), sent(1));
    assert_eq!(bench.feed(fire.clone()), sent(1));
    bench.count(0, 1, 2, 0);
    let ack = |count| Message::DeltaAck {
        counts: of(replica(0), count),
    };
    bench.deliver(1, ack(1));
    assert_eq!(
        bench.feed(fire.clone()),
        sent(3),
        "the first is no longer all"
    );
    assert_eq!(bench.deliver(1, ack(3)), []);
    assert_eq!(bench.deliver(2, ack(3)), [Effect::Disarm(Timer::Broadcast)]);
    assert_eq!(bench.feed(fire), []);
    bench.crash();
    assert!(
        !bench.node.volatile.is_settled(),
        "who starts owes everything"
    );
}

/// A delta is acknowledged with what it said, news or not.
#[test]
fn a_delta_is_merged_and_acknowledged() {
    let mut bench = Bench::new();
    let counts = of(replica(1), 4);
    let delta = Message::Delta {
        counts: counts.clone(),
    };
    let ack = Effect::Send {
        to: NodeId(1),
        message: Message::DeltaAck { counts },
    };
    let changed = Effect::Emit(Event::Changed { value: 4 });
    assert_eq!(bench.deliver(1, delta.clone()), [changed, ack.clone()]);
    assert_eq!(bench.deliver(1, delta), [ack]);
}

/// Demers et al. 1987, §1.3: each tells the other what it lacks, with all members in turn.
#[test]
fn push_pull_leaves_both_equal() {
    let mut bench = Bench::new();
    bench.count(0, 0, 1, 0);
    let reply = bench.deliver(
        2,
        Message::PushPull {
            counts: of(replica(2), 8),
        },
    );
    let told = Effect::Send {
        to: NodeId(2),
        message: Message::PushPullReply {
            counts: of(replica(0), 1),
        },
    };
    assert_eq!(reply[1], told);
    assert_eq!(bench.value(), 9);
    let mut partner = || {
        let effects = bench.feed(Input::Fire(Timer::PushPull));
        assert_eq!(effects[0], Effect::Arm(Timer::PushPull));
        bench.node.volatile.last_partner
    };
    let partners = [partner(), partner(), partner()];
    assert_eq!(partners, [1, 2, 1].map(|node| Some(NodeId(node))));
}

/// The total outlives its buckets; what is late counts in the total alone; what has expired
/// does not come back; other widths are not mixed in.
#[test]
fn buckets_expire_and_the_total_stays() {
    let mut bench = Bench::new();
    bench.counter.window = Some(Window::new(10, 2));
    bench.count(0, 0, 1, 5);
    bench.count(0, 1, 2, 15);
    let latest = |bench: &mut Bench, now, latest| {
        let request = request(1, 0);
        let asked = Command::ReadWindow {
            request,
            now,
            latest,
        };
        bench.ask(asked)[0].clone()
    };
    let window = |bench: &mut Bench, now| latest(bench, now, 2);
    let value = |value, since, until| {
        Effect::Emit(Event::WindowValue {
            request: request(1, 0),
            value,
            since,
            until,
        })
    };
    assert_eq!(window(&mut bench, 19), value(3, 0, 19));
    // Of a part of it; and of no more than there is.
    for (asked, sum, since) in [(0, 2, 10), (1, 2, 10), (3, 3, 0), (u64::MAX, 3, 0)] {
        assert_eq!(latest(&mut bench, 19, asked), value(sum, since, 19));
    }
    assert_eq!(window(&mut bench, 20), value(2, 10, 20));
    bench.count(0, 2, 4, 5);
    let late = [(0, 10), (20, 10), (20, 5)].map(|(start, width)| {
        let bucket = Bucket { start, width };
        (bucket, GCounter::from_iter([(replica(1), 8)]))
    });
    let mut counts = of(replica(1), 24);
    counts.buckets = Buckets::from_iter(late);
    bench.deliver(1, Message::PushPullReply { counts });
    assert_eq!(window(&mut bench, 21), value(10, 10, 21));
    assert_eq!(bench.value(), 31);
}

/// A disk that was taken back to an earlier state counts no more under its name, and learns
/// what it had counted.
#[test]
fn a_name_that_others_know_more_of_is_given_up() {
    let mut bench = Bench::new();
    bench.count(0, 0, 3, 0);
    let counts = of(replica(0), 5);
    let effects = bench.deliver(1, Message::PushPullReply { counts });
    let needed = Event::IdentityNeeded {
        contested: Some(replica(0)),
    };
    assert_eq!(effects[0], Effect::Emit(needed.clone()));
    assert_eq!(bench.count(0, 1, 1, 0), refused(1, Refusal::Unidentified));
    let identify = |incarnation| Command::Identify {
        incarnation: Incarnation(incarnation),
    };
    assert_eq!(bench.ask(identify(1)), [Effect::Emit(needed)]);
    bench.ask(identify(2));
    assert_eq!(bench.count(0, 1, 1, 0), counted(1, 6, false));
}

/// Whatever comes, from whomever: nothing overflows, and nothing is lost.
#[test]
fn absurd_messages_do_no_harm() {
    let mut bench = Bench::new();
    bench.counter.window = Some(Window::new(10, 2));
    bench.count(0, 0, 1, u64::MAX);
    let stranger = ReplicaId {
        node: NodeId(77),
        ..ReplicaId::default()
    };
    let bucket = Bucket {
        start: u64::MAX,
        width: 0,
    };
    for name in [stranger, replica(1)] {
        let mut counts = of(name, u64::MAX);
        counts.buckets = Buckets::from_iter([(bucket, counts.total.clone())]);
        for from in [0, 1, 99] {
            let counts = || counts.clone();
            bench.deliver(from, Message::Delta { counts: counts() });
            bench.deliver(from, Message::DeltaAck { counts: counts() });
            bench.deliver(from, Message::PushPull { counts: counts() });
            bench.deliver(from, Message::PushPullReply { counts: counts() });
        }
    }
    assert_eq!(bench.value(), 2 * u128::from(u64::MAX) + 1);
    assert_eq!(bench.count(0, 1, 1, 0), counted(1, bench_value(2), false));
}

fn bench_value(own: u128) -> u128 {
    2 * u128::from(u64::MAX) + own
}

/// No component is dropped: not of who is gone. And a node may leave when all know what it
/// knows.
#[test]
fn a_component_outlives_its_node() {
    let mut bench = Bench::new();
    let counts = of(replica(1), 4);
    bench.deliver(1, Message::Delta { counts });
    bench.ask(Command::PeerGone(NodeId(1)));
    assert_eq!(bench.value(), 4);
    let effects = bench.ask(Command::Leave);
    assert!(!effects.contains(&Effect::Emit(Event::Drained)));
    let counts = of(replica(1), 4);
    let effects = bench.deliver(2, Message::DeltaAck { counts });
    assert!(effects.contains(&Effect::Emit(Event::Drained)));
}

/// Who knows of nobody has told nobody: it may merely be cut off, and its disk be the only one with
/// what it has counted.
#[test]
fn who_knows_of_nobody_may_not_leave() {
    let mut bench = Bench::new();
    bench.count(0, 0, 1, 0);
    bench.ask(Command::Leave);
    let gone = |bench: &mut Bench, peer| bench.ask(Command::PeerGone(NodeId(peer)));
    let drained = Effect::Emit(Event::Drained);
    assert!(!gone(&mut bench, 1).contains(&drained));
    assert!(!gone(&mut bench, 2).contains(&drained));
    assert!(!bench.ask(Command::Leave).contains(&drained));
    bench.ask(Command::PeerJoined(NodeId(2)));
    let counts = of(replica(0), 1);
    let effects = bench.deliver(2, Message::DeltaAck { counts });
    assert!(effects.contains(&drained));
}

/// Whoever comes then is told that there is nothing to tell.
#[test]
fn who_has_nothing_to_tell_may_leave_when_somebody_comes() {
    let mut bench = Bench::new();
    for peer in [1, 2] {
        bench.ask(Command::PeerGone(NodeId(peer)));
    }
    let drained = Effect::Emit(Event::Drained);
    assert!(!bench.ask(Command::Leave).contains(&drained));
    let effects = bench.ask(Command::PeerJoined(NodeId(2)));
    let added = Effect::Emit(Event::PeerAdded(NodeId(2)));
    let [added, drained] = [added, drained].map(|it| effects.iter().position(|one| *one == it));
    assert!(added.is_some() && added < drained);
}

/// Its disk was taken back to an earlier state, and others know more of its name.
#[test]
fn who_leaves_and_loses_its_name_passes_on_what_it_has_learned() {
    let mut bench = Bench::new();
    bench.count(0, 0, 1, 0);
    bench.ask(Command::Leave);
    let counts = of(replica(0), 5);
    bench.deliver(1, Message::PushPull { counts });
    assert_eq!(bench.node.durable().identity, None);
    let members = bench.node.volatile.members.values();
    let mut owed = members.map(|peer| peer.pending.total.count(replica(0)));
    assert!(owed.all(|count| count == 5));
}

/// What has expired is not owed to a member that has not acknowledged it: its total is.
#[test]
fn what_has_expired_is_owed_to_nobody() {
    let mut bench = Bench::new();
    bench.counter.window = Some(Window::new(10, 2));
    for bucket in 0..5 {
        bench.count(0, bucket, 1, bucket as u64 * 10);
    }
    let pending = &bench.node.volatile.members[&NodeId(1)].pending;
    let owed: Vec<u64> = pending
        .buckets
        .iter()
        .map(|(bucket, _)| bucket.start)
        .collect();
    assert_eq!(owed, [30, 40]);
    assert_eq!(pending.total.value(), 5);
}
