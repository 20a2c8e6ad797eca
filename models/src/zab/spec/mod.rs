//! What must be true of ZAB, and the worlds and mutants it is checked with.
//!
//! Verified here: the six properties of primary-order atomic broadcast (DSN 2011, §III.B), the
//! claims that their proof rests on, that nothing is promised which a crash could undo, that
//! each command is done once, and linearizability of writes and synced reads; that every state is
//! what the delivered transactions come to by a machine of the specification's own (`replay`); that
//! each message is so when it is said (`promises`, `transfers`) and heeded where it is heard
//! (`duties`, `again`), unless it cannot be (`reach`); that what a node keeps of others is what they
//! have said (`counts`), and who asks is answered once (`answers`); all under an election that may name
//! anybody to anybody at any time ([`Oracle`]). Not verified here: time, and that a local read is
//! recent, for it need not be.

mod again;
mod answers;
pub mod bully;
mod catalogue;
mod contact;
mod contradictions;
mod counts;
mod drawn;
mod duties;
mod features;
mod inert;
mod invariants;
mod labels;
mod laws;
mod linearizability;
mod live;
mod liveness;
mod messages;
mod mutants;
mod oracle;
mod pings;
mod prologue;
mod promises;
mod reach;
mod reachable;
mod replay;
mod sampled;
mod scenarios;
mod snapshots;
mod timers;
mod told;
mod transfers;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Debug;

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

pub use self::catalogue::MODELS;
pub use self::linearizability::is_linearizable;
pub use self::mutants::MUTANTS;
pub use self::oracle::{Names, Nominations, Oracle, Silence};
pub use self::sampled::{DRAWN, FUZZED};
pub use self::scenarios::{
    at_large, broadcast, cluster, contact, deposed, diff, discovery, establish, everything,
    given_up, handover, join, reads, recency, request, snap, start, succession, tail, trunc,
    two_epochs, writes,
};

use super::election::Election;
use super::history::{Content, History, Recency, Transaction};
use super::message::Message;
use super::state::{Leading, Persistent, Primary, Role};
use super::zxid::{Epoch, Zxid};
use super::{Command, Event, Timer, Zab};
use crate::machine::StateMachine;
use crate::protocol::{Effect, Node, NodeId};
use crate::specification::{
    Answer, Apart, Feature, Invariant, Law, Liveness, Reachable, Specification,
};
use crate::world::{Envelope, Host};

/// What the properties remember.
#[derive_where(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Ghost<M: StateMachine> {
    /// Every epoch for which a leader had the promises of a quorum.
    pub reigns: BTreeMap<Epoch, Reign>,
    /// Every transaction that an established leader has broadcast, by its id.
    pub broadcast: BTreeMap<Zxid, Content<M::Command>>,
    /// Every transaction ever delivered anywhere, in the order of its first delivery.
    pub delivered: Vec<Delivered<M::Command>>,
    /// What each node has delivered, in order, since it was last started; what its snapshot
    /// holds counts as delivered before. A node that is down keeps what it had delivered.
    pub sequences: BTreeMap<NodeId, Vec<Zxid>>,
    /// Every node that has ever halted.
    pub halted: BTreeSet<NodeId>,
}

/// An epoch's leader.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reign {
    /// The leader.
    pub leader: NodeId,
    /// The last transaction of the epoch's initial history (`I_e`).
    pub initial: Zxid,
    /// Whether a quorum has taken the initial history over.
    pub established: bool,
    /// What the leader had delivered of earlier epochs when it first broadcast.
    pub had_delivered: Option<Vec<Zxid>>,
}

/// A transaction that some node has delivered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Delivered<C> {
    /// The epoch of the node that delivered it first: the leader of every later one must have
    /// it.
    pub in_epoch: Epoch,
    /// The transaction.
    pub transaction: Transaction<C>,
}

/// What makes ZAB's state space finite. Histories are bounded by what the clients ask.
#[derive_where(Clone, Debug)]
pub struct Bounds<E: Bounded> {
    /// What the election may do.
    pub election: E::Bounds,
    /// Whether leaders ping.
    pub pings: bool,
    /// Whether nodes may lose patience with each other. Without it they still change leaders
    /// when the election says so.
    pub impatient: bool,
}

/// An election that can be kept from going on for ever.
pub trait Bounded: Election {
    /// What makes it finite.
    type Bounds: Clone + Debug + Send + Sync + 'static;

    /// Whether the bounds let a node lose patience with its leader, so that it looks for another.
    fn may_look(bounds: &Self::Bounds, state: &Self::State) -> bool;

    /// Whether the election will name a leader to a node that looks for one, as long as time
    /// goes on: a timer runs, as `runs` says.
    fn goes_on(state: &Self::State, runs: impl Fn(Self::Timer) -> bool) -> bool;

    /// Whether one of the election's timers is set so much longer than another that the other
    /// runs out first.
    fn outlasts(timer: &Self::Timer, other: &Self::Timer) -> bool {
        let _ = (timer, other);
        false
    }

    /// How recent the sender's history is, if the message says so.
    fn rank(message: &Self::Message) -> Option<Recency> {
        let _ = message;
        None
    }

    /// Whether the bounds let the timer run out now on node `id`, which has accepted this epoch.
    fn permits(
        bounds: &Self::Bounds,
        id: NodeId,
        accepted: Epoch,
        state: &Self::State,
        timer: &Self::Timer,
    ) -> bool;
}

impl<M: StateMachine, E: Bounded> Specification for Zab<M, E> {
    type Ghost = Ghost<M>;
    type Bounds = Bounds<E>;

    const INVARIANTS: &'static [Invariant<Self>] = Self::STATE_PROPERTIES;
    const LAWS: &'static [Law<Self>] = Self::TRANSITION_PROPERTIES;
    const REACHABLE: &'static [Reachable<Self>] = Self::WITNESSES;
    const LIVENESS: &'static [Liveness<Self>] = Self::PROGRESS;
    const FEATURES: &'static [Feature<Self>] = Self::ALL_FEATURES;
    const APART: &'static [Apart] = Self::FEATURES_APART;

    fn observe(ghost: &mut Ghost<M>, id: NodeId, node: &Node<Self>, effects: &[Effect<Self>]) {
        ghost.note_reign(id, node);
        ghost.note_broadcasts(id, node);
        // Before what the step has delivered is noted, or what a boot has: a node may have crashed
        // within the step in which it first broadcast.
        ghost.note_first_broadcast(id, node.durable().accepted_epoch);
        for effect in effects {
            match effect {
                Effect::Emit(Event::Delivered { transaction }) => {
                    ghost.note_delivery(id, node.durable().current_epoch, transaction);
                }
                Effect::Emit(Event::Restored { zxid }) => ghost.note_snapshot(id, *zxid),
                Effect::Emit(Event::Halted { .. }) => {
                    ghost.halted.insert(id);
                }
                Effect::Send { .. }
                | Effect::SendEarly { .. }
                | Effect::Arm(_)
                | Effect::Disarm(_)
                | Effect::Emit(_) => {}
            }
        }
    }

    fn permits(bounds: &Bounds<E>, id: NodeId, node: &Node<Self>, timer: &Timer<E>) -> bool {
        match timer {
            Timer::Init | Timer::Sync => {
                bounds.impatient && E::may_look(&bounds.election, &node.volatile.election)
            }
            Timer::Ping => bounds.pings,
            Timer::Election(timer) => {
                let accepted = node.durable().accepted_epoch;
                E::permits(
                    &bounds.election,
                    id,
                    accepted,
                    &node.volatile.election,
                    timer,
                )
            }
        }
    }

    fn outlasts(timer: &Timer<E>, other: &Timer<E>) -> bool {
        match (timer, other) {
            (Timer::Init | Timer::Sync, Timer::Ping) => true,
            (Timer::Election(timer), Timer::Election(other)) => E::outlasts(timer, other),
            (Timer::Init | Timer::Sync | Timer::Ping | Timer::Election(_), _) => false,
        }
    }

    fn is_inert(
        envelope: &Envelope<Message<M, E>>,
        _sender: &Host<Self>,
        receiver: &Host<Self>,
    ) -> bool {
        inert::is_inert(envelope, receiver)
    }

    fn answer(command: &Command<M>, event: &Event<M>) -> Option<Answer> {
        let asked = command.request();
        match event {
            Event::Reply { request, .. } if *request == asked => Some(Answer::Done),
            Event::Refused { request } if *request == asked => Some(Answer::Refused),
            Event::Reply { .. }
            | Event::Refused { .. }
            | Event::Delivered { .. }
            | Event::Restored { .. }
            | Event::Abandoned { .. }
            | Event::Superseded { .. }
            | Event::Leading { .. }
            | Event::Following { .. }
            | Event::Halted { .. }
            | Event::Looking => None,
        }
    }

    fn message_label(message: &Message<M, E>) -> String {
        message.to_string()
    }

    fn node_label(node: &Node<Self>) -> String {
        labels::node(node)
    }

    fn command_label(command: &Command<M>) -> String {
        labels::command(command)
    }
}

impl<M: StateMachine> Ghost<M> {
    fn note_reign<E: Election>(&mut self, id: NodeId, node: &Node<Zab<M, E>>) {
        let Role::Leading(Leading::Primary(primary)) = &node.volatile.role else {
            return;
        };
        let reign = self.reigns.entry(node.durable().accepted_epoch);
        let reign = reign.or_insert(Reign {
            leader: id,
            initial: node.durable().history.last_zxid(),
            established: false,
            had_delivered: None,
        });
        reign.established |= primary.established;
    }

    /// What is of a primary's epoch and on its disk, it has broadcast; even if it crashed
    /// before anybody heard.
    fn note_broadcasts<E: Election>(&mut self, id: NodeId, node: &Node<Zab<M, E>>) {
        for transaction in node.durable().history.transactions() {
            let reign = self.reigns.get(&transaction.zxid.epoch);
            if reign.is_some_and(|reign| reign.leader == id) {
                let content = || transaction.content.clone();
                self.broadcast
                    .entry(transaction.zxid)
                    .or_insert_with(content);
            }
        }
    }

    fn note_delivery(&mut self, id: NodeId, epoch: Epoch, transaction: &Transaction<M::Command>) {
        self.sequences.entry(id).or_default().push(transaction.zxid);
        let mut known = self.delivered.iter();
        if !known.any(|delivered| delivered.transaction == *transaction) {
            self.delivered.push(Delivered {
                in_epoch: epoch,
                transaction: transaction.clone(),
            });
        }
    }

    /// A snapshot stands for all that was delivered up to it: that its state is the state that
    /// these make is checked on its own.
    fn note_snapshot(&mut self, id: NodeId, zxid: Zxid) {
        let delivered = self.delivered.iter();
        let delivered = delivered.map(|delivered| delivered.transaction.zxid);
        let delivered = delivered
            .take_while(|&delivered| delivered <= zxid)
            .collect();
        self.sequences.insert(id, delivered);
    }

    fn note_first_broadcast(&mut self, id: NodeId, epoch: Epoch) {
        let reign = self
            .reigns
            .get_mut(&epoch)
            .filter(|reign| reign.leader == id);
        let Some(reign) = reign.filter(|reign| reign.had_delivered.is_none()) else {
            return;
        };
        if self.broadcast.keys().any(|zxid| zxid.epoch == epoch) {
            let delivered = self.sequences.get(&id).into_iter().flatten();
            let earlier = delivered.filter(|zxid| zxid.epoch < epoch);
            reign.had_delivered = Some(earlier.copied().collect());
        }
    }

    /// Whether a history that ends with `last` has `zxid` in it, by what the primaries have
    /// broadcast: before an epoch's first transaction comes its initial history.
    fn leads_to(&self, zxid: Zxid, mut last: Zxid) -> bool {
        while last > zxid {
            last = if last.counter > 1 {
                let counter = last.counter - 1;
                Zxid { counter, ..last }
            } else if let Some(reign) = self.reigns.get(&last.epoch) {
                reign.initial
            } else {
                return false;
            };
        }
        last == zxid
    }

    /// The last transaction that the leader of the epoch has had.
    fn last_of(&self, epoch: Epoch, reign: &Reign) -> Zxid {
        let own = self.broadcast.keys().filter(|zxid| zxid.epoch == epoch);
        own.max().copied().unwrap_or(reign.initial)
    }

    /// The last transaction ever delivered.
    pub fn last_delivered(&self) -> Zxid {
        let last = self.delivered.last();
        last.map_or(Zxid::default(), |last| last.transaction.zxid)
    }
}

/// The office of a host that runs and has the promises of a quorum, with its epoch.
fn primary<M: StateMachine, E: Election>(host: &Host<Zab<M, E>>) -> Option<(Epoch, &Primary)> {
    let node = host.node()?;
    match &node.volatile.role {
        Role::Leading(Leading::Primary(primary)) => Some((node.durable().accepted_epoch, primary)),
        Role::Looking | Role::Following(_) | Role::Leading(_) => None,
    }
}

/// Whether so many nodes, the node itself included, are a quorum: more than half of the ensemble (DSN
/// 2011, §III.A: "any two quorums intersect").
fn is_quorum<M: StateMachine, E: Election>(zab: &Zab<M, E>, count: usize) -> bool {
    2 * count > zab.voters().len()
}

/// The transactions of the history that come behind this one.
fn behind<M: StateMachine>(
    history: &History<M>,
    zxid: Zxid,
) -> impl Iterator<Item = &Transaction<M::Command>> {
    let kept = history.transactions().iter();
    kept.filter(move |next| next.zxid > zxid)
}

/// Whether the history is known to go through this transaction: it is kept, or the last that is not.
fn goes_through<M: StateMachine>(history: &History<M>, zxid: Zxid) -> bool {
    let mut kept = history.transactions().iter();
    zxid == history.begins_after() || kept.any(|transaction| transaction.zxid == zxid)
}

/// Whether a node may say anything, by its disk.
fn takes_part<M: StateMachine>(disk: &Persistent<M>) -> bool {
    disk.is_member && disk.halted.is_none()
}

/// Whether the transaction is in the history, or in its snapshot.
fn holds<M: StateMachine>(history: &History<M>, transaction: &Transaction<M::Command>) -> bool {
    let is_in_snapshot = transaction.zxid <= history.begins_after();
    is_in_snapshot || history.transactions().contains(transaction)
}
