//! A replicated counter that any node may increment without asking another: the grow-only
//! counter of Shapiro, Preguiça, Baquero and Zawirski, "A comprehensive study of Convergent
//! and Commutative Replicated Data Types" (2011, Specification 6), as a delta-state CRDT after
//! Almeida, Shoker and Baquero, "Delta State Replicated Data Types" (2018), with the push-pull
//! anti-entropy of Demers et al., "Epidemic Algorithms for Replicated Database Maintenance"
//! (1987); and beside the grand total a sliding window of time, in buckets.
//!
//! What a client may rely on: what was acknowledged is on the disk of the node that did, and is
//! never lost while that disk is not; a replica's value never decreases; it counts each request
//! at most once for each node that it was asked at; and once no more is counted, all replicas
//! that can reach each other come to the exact sum. A request that is retried at the *same*
//! node counts once, as long as the node remembers its client; retried at *another* node it
//! may count twice. (To prevent that, the nodes would have to agree before they answer.)
//!
//! A disk may be lost, any number of them, and at any time. What is promised then: what others had
//! been told of its counts stays counted, once; what nobody had been told is gone, and its clients
//! were told that it was counted; and no replica's value goes back for it. For that, a node on an
//! empty disk counts nothing before its host has drawn it an [`Incarnation`] that no node has ever
//! had: its old name stands for the old counts, and who counted under it again from zero would be
//! taken for one who is behind.
//!
//! A disk that is *set back*, to an earlier state that somebody has kept, has forgotten counts and has
//! their name still. What is promised then: no replica's value goes back, and the node counts no more under
//! that name once it hears what others know of it. What it has counted under it until then is lost where it
//! is no more than what they know: no replica can tell by what it remembers that it has forgotten something.
//!
//! Read [`g_counter`] first, which is the data type alone; then [`Counter::step`]; `increment`,
//! `anti_entropy` and `membership` hold the handlers. [`fold`] bounds what is remembered of disks and
//! nodes that are no more.

mod counted;
pub mod counts;
pub mod fold;
pub mod g_counter;
pub mod message;
pub mod recent;
pub mod spec;
pub mod state;
pub mod window;

mod anti_entropy;
mod increment;
mod membership;

use alloc::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use self::fold::message::FoldMessage;
use self::g_counter::{DataCentre, Incarnation, ReplicaId};
use self::message::Message;
use self::state::{Persistent, Volatile};
use self::window::Window;
use crate::protocol::{Input, Node, NodeId, Outbox, Protocol};
use crate::session::RequestId;

/// One replica's configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Counter {
    id: NodeId,
    data_centre: DataCentre,
    peers: BTreeSet<NodeId>,
    /// The sliding window, if any. Nodes that differ in it agree on the total alone.
    pub window: Option<Window>,
    /// How many clients a replica remembers, so that a retry counts once: at least one. When
    /// there are more, it forgets the one that has not counted for longest.
    ///
    /// A host that serves clients without ids asks in its own name: one client, and a number
    /// for each request.
    pub max_sessions: usize,
    /// Where the components of names that are dead are [folded](fold), so that memory is bounded: all
    /// nodes that there are, which agree on it. Alike on all of them, and who is not on the list is not
    /// heard. Whether this node is on it itself makes no difference.
    pub fold: Option<BTreeSet<NodeId>>,
}

/// The counter's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Runs while some member has not acknowledged something: time to send it, again or for
    /// the first time. Milliseconds: increments that come meanwhile travel together.
    Broadcast,
    /// Always runs: time to exchange whole states with somebody. Seconds.
    PushPull,
    /// Always runs where components are folded: time to propose a fold, or to ask again who has not
    /// answered. Seconds.
    Fold,
}

/// A client's wish to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Increment {
    /// Whose request, and which of theirs.
    pub request: RequestId,
    /// By how much. More than zero.
    #[serde(with = "counted")]
    pub amount: u64,
    /// The host's clock, in the units of the [`Window`].
    pub now: u64,
}

/// What a client asks, and what the host tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Command {
    /// Count. Answered by [`Event::Incremented`] or [`Event::Refused`].
    Increment(Increment),
    /// What is the value? Answered by [`Event::Value`].
    Read {
        /// Finds the way back.
        request: RequestId,
    },
    /// What was counted within the window that ends now, or within the latest part of it?
    /// Answered by [`Event::WindowValue`].
    ReadWindow {
        /// Finds the way back.
        request: RequestId,
        /// The host's clock.
        now: u64,
        /// Of how many of the window's latest buckets, the running one included. At least one;
        /// more than the window has are all that it has.
        latest: u64,
    },
    /// From the host: an incarnation that this node has never used, drawn because
    /// [`Event::IdentityNeeded`] was said.
    Identify {
        /// A number that never comes again: random, or the time at which it was drawn. Where components
        /// are [folded](fold), it is greater than all that the node has had.
        incarnation: Incarnation,
    },
    /// From the host: this node has joined the cluster, perhaps anew.
    PeerJoined(NodeId),
    /// From the host: this node has left the cluster, or was declared dead. It is the same to
    /// a counter.
    PeerGone(NodeId),
    /// From the host: this node is gone for good. Nobody ever counts on it again, or under its number;
    /// where components are [folded](fold), nobody hears it again. To one node it is enough to say so.
    PeerDeparted(NodeId),
    /// From the host: this node is to leave for good. When [`Event::Drained`] is said, its
    /// disk is not needed any more.
    Leave,
}

/// Why a request was not done. Nothing was counted for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// The client: nothing is not an amount.
    ZeroAmount,
    /// This replica's own component would overflow. Another's may not.
    Overflow,
    /// This replica has no name yet to count under. Soon, or elsewhere.
    Unidentified,
    /// This replica is about to leave. Elsewhere.
    Leaving,
    /// The client has had a later request counted here. Whether this one was is not known
    /// any more.
    Superseded,
}

/// What a replica tells its host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Event {
    /// The request is counted, and on disk.
    Incremented {
        /// Whose request.
        request: RequestId,
        /// The value here and now.
        #[serde(with = "counted")]
        value: u128,
        /// Whether it was counted before: the client has asked again.
        repeated: bool,
    },
    /// The value here and now.
    Value {
        /// Whose request.
        request: RequestId,
        /// The value.
        #[serde(with = "counted")]
        value: u128,
    },
    /// What was counted within the window.
    WindowValue {
        /// Whose request.
        request: RequestId,
        /// The value.
        #[serde(with = "counted")]
        value: u128,
        /// The start of the oldest bucket that was asked for, by the host's clock.
        since: u64,
        /// The time at which the client asked, by the host's clock.
        until: u64,
    },
    /// The request was not done.
    Refused {
        /// Whose request.
        request: RequestId,
        /// Why.
        why: Refusal,
    },
    /// Others have counted.
    Changed {
        /// The value now.
        #[serde(with = "counted")]
        value: u128,
    },
    /// Components of dead names have been folded.
    Folded {
        /// How many folds there have been.
        number: u64,
    },
    /// This disk has no name to count under. The host draws an incarnation that this node has
    /// never used, and asks [`Command::Identify`].
    IdentityNeeded {
        /// The name that others know more of than this disk, or that has counted before.
        contested: Option<ReplicaId>,
    },
    /// This disk counts under this name.
    Identified {
        /// The name.
        identity: ReplicaId,
    },
    /// This member is told of increments from now on.
    PeerAdded(NodeId),
    /// This member is told of increments no more.
    PeerRemoved(NodeId),
    /// This node wants to leave, and every member knows all that it knows. Not said while it
    /// knows of no other member.
    Drained,
}

impl Counter {
    /// The replica on node `id`, with the `peers` that are there when it starts. Whether it is
    /// among them itself makes no difference.
    pub fn new(
        id: NodeId,
        data_centre: DataCentre,
        peers: impl IntoIterator<Item = NodeId>,
    ) -> Self {
        Self {
            id,
            data_centre,
            peers: peers.into_iter().filter(|&peer| peer != id).collect(),
            window: None,
            max_sessions: 10_000,
            fold: None,
        }
    }

    /// The other members when this replica starts.
    pub fn peers(&self) -> &BTreeSet<NodeId> {
        &self.peers
    }
}

impl Protocol for Counter {
    type Durable = Persistent;
    type Volatile = Volatile;
    type Message = Message;
    type Timer = Timer;
    type Command = Command;
    type Event = Event;

    fn id(&self) -> NodeId {
        self.id
    }

    fn boot(&self, durable: &Persistent, out: &mut Outbox<Self>) -> Volatile {
        self.start(durable, out)
    }

    /// Messages of nodes that are no members are taken as well: the transport knows who is
    /// let in, membership lags behind it, and a merge is right whoever brings it. But where folds are
    /// agreed on, those of who has no voice in them are not.
    fn step(&self, node: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>) {
        match input {
            Input::Deliver { from, .. } if self.is_stranger(node.durable(), from) => {}
            Input::Deliver { from, message } => match message {
                Message::Delta { counts } => self.on_delta(node, from, counts, out),
                Message::DeltaAck { counts } => self.on_delta_ack(node, from, &counts, out),
                Message::PushPull { counts } => self.on_push_pull(node, from, &counts, out),
                Message::PushPullReply { counts } => self.learn(node, &counts, out),
                Message::Fold(_) if self.fold.is_none() => {}
                Message::Fold(FoldMessage::Prepare {
                    number,
                    ballot,
                    dead,
                }) => self.on_prepare(node, from, (number, ballot), &dead, out),
                Message::Fold(FoldMessage::Promise {
                    number,
                    ballot,
                    counts,
                    accepted,
                }) => self.on_promise(node, from, (number, ballot), (&counts, accepted), out),
                Message::Fold(FoldMessage::Accept { ballot, fold }) => {
                    self.on_accept(node, from, ballot, fold, out);
                }
                Message::Fold(FoldMessage::Accepted { number, ballot }) => {
                    self.on_accepted(node, from, (number, ballot), out);
                }
                Message::Fold(FoldMessage::Refused { number, ballot }) => {
                    Self::on_refused(node, (number, ballot));
                }
            },
            Input::Fire(Timer::Broadcast) => self.on_broadcast_timeout(node, out),
            Input::Fire(Timer::PushPull) => self.on_push_pull_timeout(node, out),
            Input::Fire(Timer::Fold) => self.on_fold_timeout(node, out),
            Input::Ask(Command::Increment(increment)) => self.on_increment(node, increment, out),
            Input::Ask(Command::Read { request }) => self.on_read(node, request, out),
            Input::Ask(Command::ReadWindow {
                request,
                now,
                latest,
            }) => {
                self.on_read_window(node, request, now, latest, out);
            }
            Input::Ask(Command::Identify { incarnation }) => {
                self.on_identify(node, incarnation, out);
            }
            Input::Ask(Command::PeerJoined(peer)) => self.on_peer_joined(node, peer, out),
            Input::Ask(Command::PeerGone(peer)) => self.on_peer_gone(node, peer, out),
            Input::Ask(Command::PeerDeparted(peer)) => self.on_peer_departed(node, peer, out),
            Input::Ask(Command::Leave) => self.on_leave(node, out),
        }
    }
}
