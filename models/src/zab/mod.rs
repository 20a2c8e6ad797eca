//! ZAB, ZooKeeper's atomic broadcast, after Junqueira, Reed and Serafini, "Zab:
//! High-performance broadcast for primary-backup systems" (DSN 2011), from which the numbers
//! of steps are, and Medeiros, "ZooKeeper's atomic broadcast protocol: Theory and practice"
//! (2012).
//!
//! Implemented: discovery, synchronisation by DIFF, TRUNC or SNAP, broadcast; the fall back
//! to election; client sessions, requests taken by any node, local and synced reads. A leader
//! does not fetch a history more recent than its own, but stands down (Medeiros 2012, §4.2).
//!
//! The papers assume a connection, in order and without loss, for each attempt of a follower
//! to follow. Here messages may be lost, duplicated, delayed and reordered: each bears its
//! epoch, acknowledgements and commits stand for all up to their transaction, and who misses
//! something asks for it again.
//!
//! A quorum is made of disks that remember what they have promised. So a disk belongs to an ensemble
//! once it has been set up for it, on purpose, and a node on a disk that has not, or that is empty
//! because it was lost, takes no part: it neither follows nor leads nor is counted. What has been
//! delivered then survives the loss of any minority of the disks; of a majority, nothing goes on.
//! (An emptied ZooKeeper server joins with zxid 0, and a quorum of emptied and lagging servers
//! elects a history without what was committed.) A leader that would have a delivered transaction
//! truncated is not obeyed but contradicted: `contradiction`.
//!
//! What a host must know: a SNAP carries the whole state machine, so it is as large as that; a
//! transport that bounds its messages sends it in pieces, for it matters to nobody here before
//! it is whole, and one that is lost is asked for again. There are no observers (followers that
//! do not vote): they would add readers, not safety, and every voter reads already.
//!
//! Read it in the order of the papers: [`state`] and [`history`] are what a node remembers,
//! [`message`] what it says, `discovery`, `synchronization` and `broadcast` the three phases;
//! `contact` is what holds them together, `client` what they are for.

pub mod bully;
pub mod contradiction;
pub mod election;
pub mod history;
pub mod message;
pub mod spec;
pub mod state;
pub mod zxid;

mod broadcast;
mod client;
mod contact;
mod discovery;
mod synchronization;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::marker::PhantomData;

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

use self::contradiction::Contradiction;
use self::election::Election;
use self::history::{Content, Transaction};
use self::message::Message;
use self::state::{Persistent, Record, Role, Volatile};
use self::zxid::{Epoch, Zxid};
use crate::machine::StateMachine;
use crate::protocol::{Input, Node, NodeId, Outbox, Protocol};
use crate::session::RequestId;

/// One ZAB node's configuration.
#[derive_where(Clone, Debug)]
pub struct Zab<M: StateMachine, E: Election> {
    id: NodeId,
    voters: BTreeSet<NodeId>,
    /// The election that names leaders.
    pub election: E,
    /// A DIFF carries transactions until their [`weight`](StateMachine::weight) reaches this;
    /// one always travels, whatever its weight.
    pub max_diff_weight: usize,
    /// After how many delivered transactions a node takes a snapshot.
    pub snapshot_every: usize,
    /// How many of the transactions in a snapshot are kept beside it, lest a follower that is
    /// only a little behind need the whole snapshot.
    pub retained: usize,
    machine: PhantomData<fn() -> M>,
}

/// ZAB's timers. In ZooKeeper they are multiples of one tick: `initLimit`, `syncLimit`.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Timer<E: Election> {
    /// Runs until a node is synchronised: how long it tries with one leader, or as a leader.
    Init,
    /// Runs on a synchronised node: how long it does without a word from its leader, or, if it
    /// leads, from a quorum. Several times [`Ping`](Self::Ping).
    Sync,
    /// Runs on an established leader: time to show that it lives.
    Ping,
    /// One of the election's.
    Election(E::Timer),
}

/// What a client asks.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Command<M: StateMachine> {
    /// Broadcast and deliver a command.
    Write {
        /// Whose command, and which of theirs.
        request: RequestId,
        /// The command.
        command: M::Command,
    },
    /// Answer a query from what is delivered here.
    Read {
        /// Who asks. A read needs no session; the id only finds the way back.
        request: RequestId,
        /// The query.
        query: M::Query,
    },
    /// Answer a query from a state at least as new as every write acknowledged before it.
    SyncedRead {
        /// Who asks. Not an id that a write of theirs bears.
        request: RequestId,
        /// The query.
        query: M::Query,
    },
}

impl<M: StateMachine> Command<M> {
    /// Which request of which client this is.
    pub fn request(&self) -> RequestId {
        match self {
            Self::Write { request, .. }
            | Self::Read { request, .. }
            | Self::SyncedRead { request, .. } => *request,
        }
    }
}

/// What a node tells its host.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Event<M: StateMachine> {
    /// A transaction is delivered here: the state machine has done what it says. For hosts that
    /// let their clients watch.
    Delivered {
        /// The transaction.
        transaction: Transaction<M::Command>,
    },
    /// The state machine is what a snapshot says, this node's own when it boots or its leader's:
    /// what is in it has not been delivered one by one. Deliveries go on from there.
    Restored {
        /// The last transaction in the snapshot.
        zxid: Zxid,
    },
    /// The answer to a command that is committed and delivered here, or to a read.
    Reply {
        /// Whose request.
        request: RequestId,
        /// The state machine's answer.
        response: M::Response,
    },
    /// This node knows no leader that broadcasts. The request was not done, and may be retried,
    /// here or elsewhere.
    Refused {
        /// Whose request.
        request: RequestId,
    },
    /// This node has lost its leader while the request was under way. It may be done yet, or
    /// not: a retry, here or elsewhere, under the same id, gets the one answer.
    Abandoned {
        /// Whose request.
        request: RequestId,
    },
    /// The client has since had a later command delivered: the response is gone, or, if the
    /// client did not wait for it, the request will never be done.
    Superseded {
        /// Whose request.
        request: RequestId,
    },
    /// This node is the established leader.
    Leading {
        /// Of this epoch.
        epoch: Epoch,
    },
    /// This node is synchronised with its leader.
    Following {
        /// The leader's epoch.
        epoch: Epoch,
        /// The leader.
        leader: NodeId,
    },
    /// This node has no leader that broadcasts, and serves no client until it says otherwise.
    Looking,
    /// A leader would have a transaction truncated that this node has delivered. It takes part no
    /// more, and has written that down: its host stops it, and says so.
    Halted {
        /// What contradicts what.
        contradiction: Contradiction,
    },
}

impl<C> Transaction<C> {
    fn weight<M: StateMachine<Command = C>>(&self) -> usize {
        match &self.content {
            Content::Command { command, .. } => M::weight(command),
            Content::Sync { .. } => 1,
        }
    }
}

impl<M: StateMachine, E: Election> Zab<M, E> {
    /// The node `id` of an ensemble of `voters`, itself included.
    ///
    /// # Panics
    /// If `id` is not among the voters.
    pub fn new(id: NodeId, voters: impl IntoIterator<Item = NodeId>, election: E) -> Self {
        let voters: BTreeSet<NodeId> = voters.into_iter().collect();
        assert!(voters.contains(&id), "{id} is not among the voters");
        Self {
            id,
            voters,
            election,
            max_diff_weight: usize::MAX,
            snapshot_every: usize::MAX,
            retained: 0,
            machine: PhantomData,
        }
    }

    /// The ensemble's nodes, this one included.
    pub fn voters(&self) -> &BTreeSet<NodeId> {
        &self.voters
    }

    /// How many nodes are a quorum: a majority.
    pub fn quorum(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}

impl<M: StateMachine, E: Election> Protocol for Zab<M, E> {
    type Durable = Persistent<M>;
    type Volatile = Volatile<M, E>;
    type Message = Message<M, E>;
    type Timer = Timer<E>;
    type Command = Command<M>;
    type Event = Event<M>;

    fn id(&self) -> NodeId {
        self.id
    }

    fn format(&self) -> Vec<Record<M>> {
        Vec::from([Record::Initialize])
    }

    /// A node starts by looking for a leader. What its snapshot holds is delivered; what is
    /// behind it will be when a leader says so.
    fn boot(&self, durable: &Persistent<M>, out: &mut Outbox<Self>) -> Volatile<M, E> {
        let mut outputs = Vec::new();
        let election = self.election.boot(durable.recency(), &mut outputs);
        // Where the node takes no part, nothing is elected.
        if durable.takes_part() {
            for output in outputs {
                election::release(output, out);
            }
        }
        let delivered = durable.history.snapshot().clone();
        out.emit(Event::Looking);
        out.emit(Event::Restored {
            zxid: delivered.zxid,
        });
        Volatile {
            role: Role::Looking,
            delivered,
            waiting: BTreeMap::new(),
            election,
        }
    }

    fn step(&self, node: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>) {
        // What a disk that is lost had promised, nobody knows (KAFKA-12181; the same in ZAB).
        if !node.durable().takes_part() {
            return;
        }
        match input {
            Input::Deliver { from, message } => {
                // Nobody else has a say.
                if from == self.id || !self.voters.contains(&from) {
                    return;
                }
                match message {
                    Message::FollowerInfo { accepted_epoch } => {
                        self.on_follower_info(node, from, accepted_epoch, out);
                    }
                    Message::NewEpoch { epoch } => self.on_new_epoch(node, from, epoch, out),
                    Message::AckEpoch { epoch, ack } => {
                        self.on_ack_epoch(node, from, epoch, ack, out);
                    }
                    Message::Diff {
                        epoch,
                        after,
                        transactions,
                    } => self.on_diff(node, from, epoch, after, transactions),
                    Message::Trunc {
                        epoch,
                        from: last,
                        to,
                    } => self.on_trunc(node, from, epoch, last, to, out),
                    Message::Snap { epoch, snapshot } => {
                        self.on_snap(node, from, epoch, snapshot, out);
                    }
                    Message::NewLeader { epoch, last_zxid } => {
                        self.on_new_leader(node, from, epoch, last_zxid, out);
                    }
                    Message::AckNewLeader { epoch, last_zxid } => {
                        self.on_ack_new_leader(node, from, epoch, last_zxid, out);
                    }
                    Message::UpToDate { epoch, committed } => {
                        self.on_up_to_date(node, from, epoch, committed, out);
                    }
                    Message::Propose(transaction) => {
                        self.on_propose(node, from, transaction, out);
                    }
                    Message::Ack { zxid } => self.on_ack(node, from, zxid, out),
                    Message::Commit { zxid } => self.on_commit(node, from, zxid, out),
                    Message::Request { epoch, content } => {
                        self.on_request(node, epoch, content, out);
                    }
                    Message::Ping {
                        epoch,
                        last_zxid,
                        committed,
                    } => self.on_ping(node, from, (epoch, last_zxid, committed), out),
                    Message::Pong { epoch, last_zxid } => {
                        self.on_pong(node, from, epoch, last_zxid, out);
                    }
                    Message::Election(message) => {
                        self.elect(node, out, |election, state, recency, outputs| {
                            election.on_message(state, recency, from, message, outputs);
                        });
                    }
                }
            }
            Input::Fire(Timer::Init) => self.on_init_timeout(node, out),
            Input::Fire(Timer::Sync) => self.on_sync_timeout(node, out),
            Input::Fire(Timer::Ping) => self.on_ping_timeout(node, out),
            Input::Fire(Timer::Election(timer)) => {
                self.elect(node, out, |election, state, recency, outputs| {
                    election.on_timeout(state, recency, timer, outputs);
                });
            }
            Input::Ask(Command::Write { request, command }) => {
                self.on_write(node, request, command, out);
            }
            Input::Ask(Command::Read { request, query }) => {
                self.on_read(node, request, &query, out);
            }
            Input::Ask(Command::SyncedRead { request, query }) => {
                self.on_synced_read(node, request, query, out);
            }
        }
    }
}
