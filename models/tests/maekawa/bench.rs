//! One node on a workbench: an input goes in, records and effects come out.

use std::collections::BTreeSet;

use models::maekawa::message::{Epoch, Held, HeldLocks, Message, Timestamp, Token};
use models::maekawa::quorum::Construction;
use models::maekawa::spec::{claim, the_lock};
use models::maekawa::state::{
    Attempt, Claim, Local, Membership, Orchestration, Record, Standing, Volatile,
};
use models::maekawa::{Command, Event, Maekawa, Timer};
use models::{Durable, Effect, Input, Node, NodeId, Outbox, Protocol};

pub(super) type Effects = Vec<Effect<Maekawa>>;

/// A node, and what its latest step has written.
pub(super) struct Bench {
    pub(super) maekawa: Maekawa,
    pub(super) node: Node<Maekawa>,
    pub(super) records: Vec<Record>,
}

impl Bench {
    /// Node `id` under the orchestrator n0, started from a disk.
    pub(super) fn start(id: u16, records: &[Record]) -> Self {
        let maekawa = Maekawa::new(NodeId(id), NodeId(0));
        let mut disk = Node::formatted(&maekawa);
        for record in records {
            disk.apply(record);
        }
        let node = Node::boot(&maekawa, disk, &mut Outbox::new());
        Self {
            maekawa,
            node,
            records: Vec::new(),
        }
    }

    /// Node `id`, a member of epoch 1 with these others.
    pub(super) fn member(id: u16, members: u16) -> Self {
        let mut bench = Self::start(id, &[Record::Registered(true)]);
        bench.deliver(0, install(1, 1..=members));
        bench
    }

    /// The orchestrator, with members 1 to `count` of epoch 1.
    pub(super) fn orchestrator(count: u16) -> Self {
        let mut records: Vec<Record> = (1..=count).map(|id| Record::Enrol(NodeId(id))).collect();
        records.push(begin(Construction::Plane));
        Self::start(0, &records)
    }

    pub(super) fn feed(&mut self, input: Input<Maekawa>) -> Effects {
        let mut out = Outbox::new();
        self.maekawa.step(&mut self.node, input, &mut out);
        self.records = self.node.take_records();
        out.drain().collect()
    }

    pub(super) fn deliver(&mut self, from: u16, message: Message) -> Effects {
        let from = NodeId(from);
        self.feed(Input::Deliver { from, message })
    }

    pub(super) fn fire(&mut self, timer: Timer) -> Effects {
        self.feed(Input::Fire(timer))
    }

    pub(super) fn ask(&mut self, command: Command) -> Effects {
        self.feed(Input::Ask(command))
    }

    /// The first client of the node makes its `sequence`th claim.
    pub(super) fn acquire(&mut self, sequence: u64) -> Effects {
        let claim = self.claim(sequence);
        self.ask(Command::Acquire { claim })
    }

    /// The first client of the node gives its `sequence`th claim up.
    pub(super) fn release(&mut self, sequence: u64) -> Effects {
        let claim = self.claim(sequence);
        self.ask(Command::Release { claim })
    }

    pub(super) fn claim(&self, sequence: u64) -> Claim {
        claim(self.maekawa.id().0, 0, sequence)
    }

    /// The node crashes and starts again. What booting does is handed back.
    pub(super) fn crash(&mut self) -> Effects {
        let mut out = Outbox::new();
        let durable = self.node.durable().clone();
        self.node = Node::boot(&self.maekawa, durable, &mut out);
        out.drain().collect()
    }

    pub(super) fn local(&self) -> &Local {
        match &self.node.volatile {
            Volatile::Node(local) => local,
            Volatile::Orchestrator(_) => panic!("the orchestrator"),
        }
    }

    pub(super) fn local_mut(&mut self) -> &mut Local {
        match &mut self.node.volatile {
            Volatile::Node(local) => local,
            Volatile::Orchestrator(_) => panic!("the orchestrator"),
        }
    }

    pub(super) fn member_mut(&mut self) -> &mut Membership {
        self.local_mut().membership.as_mut().expect("a member")
    }

    pub(super) fn orchestration(&self) -> &Orchestration {
        match &self.node.volatile {
            Volatile::Node(_) => panic!("no orchestrator"),
            Volatile::Orchestrator(orchestration) => orchestration,
        }
    }

    pub(super) fn membership(&self) -> &Membership {
        self.local().membership.as_ref().expect("a member")
    }

    pub(super) fn is_member(&self) -> bool {
        self.local().membership.is_some()
    }

    pub(super) fn attempt(&self) -> &Attempt {
        let lock = the_lock();
        let attempt = self.membership().attempts.get(&lock);
        attempt.expect("a request")
    }

    pub(super) fn standing(&self, arbiter: u16) -> Standing {
        self.attempt().arbiters[&NodeId(arbiter)].standing
    }

    /// The request and number that the node is locked for.
    pub(super) fn locked(&self) -> Option<(Timestamp, u64)> {
        let grant = self.membership().arbiters.get(&the_lock())?.locked?;
        Some((grant.request, grant.number))
    }

    pub(super) fn waiting(&self) -> Vec<Timestamp> {
        let arbiter = self.membership().arbiters.get(&the_lock());
        let waiting = arbiter.into_iter().flat_map(|it| &it.waiting);
        waiting.copied().collect()
    }

    pub(super) fn held(&self) -> Option<Token> {
        self.membership().held(&the_lock())
    }
}

pub(super) fn stamp(clock: u64, node: u16) -> Timestamp {
    let node = NodeId(node);
    Timestamp { clock, node }
}

/// The message, about another lock.
pub(super) fn about(name: &str, mut message: Message) -> Message {
    match &mut message {
        Message::Request { lock, .. }
        | Message::Locked { lock, .. }
        | Message::Failed { lock, .. }
        | Message::Inquire { lock, .. }
        | Message::Relinquish { lock, .. }
        | Message::Release { lock, .. } => *lock = name.into(),
        other => panic!("about no lock: {other:?}"),
    }
    message
}

/// A request at `clock` of `node`; as all below, in epoch 1, and about the one lock of most tests.
pub(super) fn request(clock: u64, node: u16) -> Message {
    Message::Request {
        epoch: Epoch(1),
        lock: the_lock(),
        request: stamp(clock, node),
    }
}

pub(super) fn locked(clock: u64, node: u16, number: u64) -> Message {
    Message::Locked {
        epoch: Epoch(1),
        lock: the_lock(),
        request: stamp(clock, node),
        number,
        clock,
    }
}

pub(super) fn failed(clock: u64, node: u16) -> Message {
    Message::Failed {
        epoch: Epoch(1),
        lock: the_lock(),
        request: stamp(clock, node),
    }
}

pub(super) fn inquire(clock: u64, node: u16, number: u64) -> Message {
    Message::Inquire {
        epoch: Epoch(1),
        lock: the_lock(),
        request: stamp(clock, node),
        number,
    }
}

pub(super) fn relinquish(clock: u64, node: u16, number: u64) -> Message {
    Message::Relinquish {
        epoch: Epoch(1),
        lock: the_lock(),
        request: stamp(clock, node),
        number,
    }
}

pub(super) fn release(clock: u64, node: u16, counter: u64) -> Message {
    Message::Release {
        epoch: Epoch(1),
        lock: the_lock(),
        request: stamp(clock, node),
        counter,
    }
}

pub(super) fn ids(members: impl IntoIterator<Item = u16>) -> BTreeSet<NodeId> {
    members.into_iter().map(NodeId).collect()
}

pub(super) fn install(epoch: u64, members: impl IntoIterator<Item = u16>) -> Message {
    install_held(epoch, members, HeldLocks::new())
}

/// The next epoch, with quorums of this construction, and nothing that is held.
pub(super) fn begin(construction: Construction) -> Record {
    let held = HeldLocks::new();
    Record::Install { construction, held }
}

/// The lock is held by the request of this clock and node, under this token.
pub(super) fn held_by(clock: u64, node: u16, epoch: u64, counter: u64) -> HeldLocks {
    let epoch = Epoch(epoch);
    let held = Held {
        request: stamp(clock, node),
        token: Token { epoch, counter },
    };
    [(the_lock(), held)].into()
}

/// Node `node` has frozen in epoch 1, and holds the lock by its first request, under this counter.
pub(super) fn holding(node: u16, counter: u64) -> Message {
    let (epoch, held) = (Epoch(1), held_by(1, node, 1, counter));
    Message::Frozen { epoch, held }
}

/// An epoch that begins with locks that are held.
pub(super) fn install_held(
    epoch: u64,
    members: impl IntoIterator<Item = u16>,
    held: HeldLocks,
) -> Message {
    Message::Install {
        epoch: Epoch(epoch),
        members: ids(members),
        construction: Construction::Plane,
        held,
    }
}

/// A member of `epoch` has frozen, and holds nothing.
pub(super) fn frozen(epoch: u64) -> Message {
    let (epoch, held) = (Epoch(epoch), HeldLocks::new());
    Message::Frozen { epoch, held }
}

/// The health check of an orchestrator in `epoch`.
pub(super) fn ping(epoch: u64, renews: bool) -> Message {
    let epoch = Epoch(epoch);
    Message::Ping { epoch, renews }
}

/// The effect of sending `message` to node `to`.
pub(super) fn send(to: u16, message: Message) -> Effect<Maekawa> {
    let to = NodeId(to);
    Effect::Send { to, message }
}

pub(super) fn granted(claim: Claim, counter: u64) -> Effect<Maekawa> {
    let epoch = Epoch(1);
    let token = Token { epoch, counter };
    Effect::Emit(Event::Granted { claim, token })
}

pub(super) fn released(claim: Claim) -> Effect<Maekawa> {
    Effect::Emit(Event::Released { claim })
}

/// The messages among `effects`.
pub(super) fn sent(effects: &Effects) -> Vec<Effect<Maekawa>> {
    let is_send = |effect: &&Effect<Maekawa>| matches!(effect, Effect::Send { .. });
    effects.iter().filter(is_send).cloned().collect()
}
