//! Raft after "In Search of an Understandable Consensus Algorithm (Extended Version)"
//! (Ongaro and Ousterhout, 2014), from which the section numbers are; "thesis" is Ongaro's
//! "Consensus: Bridging Theory and Practice".
//!
//! Implemented: leader election (§5.2, §5.4.1), log replication with conflict hints (§5.3),
//! pipelined (thesis §10.2), the current-term commit rule (§5.4.2), a no-op at the start of each
//! term, log compaction by snapshots that are sent in chunks (§7), client sessions that expire by
//! the log, and linearizable reads by read-index, which followers answer too (§8; thesis §6.3,
//! §6.4), membership changes by joint consensus (§6) with learners (thesis §4.2.1); PreVote
//! (thesis §9.6) and CheckQuorum (thesis §6.2), where the configuration says so; leadership
//! transfer (thesis §3.10).
//!
//! Read it in the order of the paper: [`state`] is Figure 2's "State", [`message`] its RPCs,
//! [`Raft::step`] its "Rules for Servers"; `election`, `pre_vote`, `check_quorum`, `transfer`,
//! `replication`, `heartbeat`, `snapshot`, `install`, `client`, `follower_reads` and `membership`
//! hold the handlers; what a leader knows of its peers is [`progress`].

pub mod configuration;
pub mod contradiction;
pub mod install;
pub mod log;
pub mod membership;
pub mod message;
pub mod progress;
pub mod snapshot;
pub mod spec;
pub mod state;

mod check_quorum;
mod client;
mod election;
mod follower_reads;
mod heartbeat;
mod pre_vote;
mod replication;
mod transfer;

pub use crate::{machine, session};

use alloc::vec::Vec;
use core::marker::PhantomData;

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

use self::configuration::{Configuration, NOBODY};
use self::contradiction::Contradiction;
use self::log::{Index, Term};
use self::machine::StateMachine;
use self::membership::{Change, Refusal};
use self::message::Message;
use self::progress::Window;
use self::session::{Position, RequestId};
use self::state::{Persistent, Record, Role, Volatile};
pub use self::transfer::{Transfer, TransferOutcome};
use crate::protocol::{Input, Node, NodeId, Outbox, Protocol};

/// One Raft node's configuration.
#[derive_where(Clone, Debug)]
pub struct Raft<M: StateMachine> {
    id: NodeId,
    initial: Configuration,
    /// An append carries entries until their [`weight`](StateMachine::weight) reaches this;
    /// one entry always travels, whatever its weight.
    pub max_append_weight: usize,
    /// A leader lets sessions expire when there are more than so many, the least recently used
    /// first (thesis §6.3). Entries under way come on top. What the others have here makes no
    /// difference while they follow.
    pub max_sessions: usize,
    /// So many reads wait at this node, its own and, while it leads, its followers' together;
    /// more are refused. A leader that is cut off answers none until it finds out.
    pub max_pending_reads: usize,
    /// Before this node stands for election it asks whether a quorum would vote for it
    /// (PreVote, thesis §9.6): a node that cannot win does not raise anybody's term.
    ///
    /// Use it together with `check_quorum`. Alone it lets a leader that cannot hear hold on to
    /// followers that hear it, for these refuse every pre-vote.
    pub pre_vote: bool,
    /// A leader that has not heard from a quorum for an election timeout steps down
    /// (CheckQuorum, thesis §6.2); and a node that has heard from a leader within the minimum
    /// election timeout ignores who asks for a vote (thesis §4.2.3).
    pub check_quorum: bool,
    /// The messages of one node to another arrive in the order in which they were sent, as over
    /// TCP. A follower that refuses what it has acknowledged in this term has lost it then, and is
    /// [denied](Event::Denied). The model does not rely on it: elsewhere the refusal may be late.
    pub ordered_delivery: bool,
    /// While it leads, this node shows that it lives by messages that wait for no disk, here or
    /// there ([`Message::Heartbeat`]), beside the appends that do: a slow disk then delays what is
    /// written, and deposes nobody. How a follower answers does not depend on its own setting; but
    /// it must know the message. Off in the paper's Raft.
    pub early_heartbeats: bool,
    /// How many appends may be under way to a peer at a time.
    pub window: Window,
    /// When the log is compacted.
    pub compaction: Compaction,
    /// A chunk of a snapshot has at most so many bytes, and at least one.
    pub max_chunk_bytes: usize,
    machine: PhantomData<fn() -> M>,
}

/// When the log is compacted (§7). Weights are in the units of
/// [`max_append_weight`](Raft::max_append_weight).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// A snapshot is taken once what has been applied since the last one weighs so much.
    /// `usize::MAX` for never.
    pub snapshot_after: usize,
    /// Of the entries that a snapshot replaces the last ones stay in the log, as many as weigh
    /// no more than this: followers that are behind by less need no snapshot.
    pub trailing: usize,
}

/// Raft's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Runs on followers and candidates: no leader has been heard of for so long that this
    /// node stands for election. To be randomised anew each time it is armed (§5.2).
    Election,
    /// Runs on leaders: time to show that they live. Much shorter than an election timeout.
    Heartbeat,
    /// Lasts exactly the minimum election timeout. Runs on a follower from each time that it
    /// hears from its leader: until it runs out, there is a leader to stand by. Runs on a
    /// leader all the time: whenever it runs out, a quorum must have answered meanwhile. Only
    /// with [`Raft::pre_vote`] or [`Raft::check_quorum`].
    Lease,
    /// Lasts an election timeout. Runs on a leader while it transfers its leadership: a target
    /// that has not taken over by then is not waited for (thesis §3.10).
    Transfer,
    /// Runs once enough has been applied: time to take a snapshot. As short as can be; it only
    /// lets what waits go first.
    Snapshot,
}

/// What a client asks.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Command<M: StateMachine> {
    /// Replicate and apply a command.
    Propose {
        /// Whose command, and which of theirs.
        request: RequestId,
        /// The command.
        command: M::Command,
    },
    /// Answer a query from a state at least as new as every write acknowledged before it.
    Read {
        /// Who asks. A read needs no session; the id only finds the way back.
        request: RequestId,
        /// The query.
        query: M::Query,
    },
    /// As [`Read`](Self::Read), but answered by this very node, whether it leads or follows:
    /// from its own state, once that includes all that the leader knows to be committed (thesis
    /// §6.4). Spares the leader the answer, not the confirmation.
    ReadHere {
        /// Who asks. Not to be used for another read: a late answer to the leader's question
        /// finds its way by it.
        request: RequestId,
        /// The query.
        query: M::Query,
    },
    /// Change who the members of the cluster are (§6).
    ChangeMembership {
        /// Who asks. As with a read, the id only finds the way back: asking twice does no
        /// harm.
        request: RequestId,
        /// What shall change.
        change: Change,
    },
    /// Make another node the leader (thesis §3.10). Answered by [`Event::Transfer`].
    TransferLeadership {
        /// Who asks. Needs no session; the id only finds the way back.
        request: RequestId,
        /// The node that is to lead: a voter.
        to: NodeId,
    },
}

impl<M: StateMachine> Command<M> {
    /// Which request of which client this is.
    pub fn request(&self) -> RequestId {
        match self {
            Self::Propose { request, .. }
            | Self::Read { request, .. }
            | Self::ReadHere { request, .. }
            | Self::ChangeMembership { request, .. }
            | Self::TransferLeadership { request, .. } => *request,
        }
    }
}

/// What a node tells its host.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Event<M: StateMachine> {
    /// The answer to a command that is committed and applied, or to a read.
    Reply {
        /// Whose request.
        request: RequestId,
        /// The state machine's answer.
        response: M::Response,
    },
    /// This node does not lead, or is handing its leadership over. The request was not done
    /// here, and may be retried there; a change of membership may have begun here, and may be
    /// retried all the same.
    Redirect {
        /// Whose request.
        request: RequestId,
        /// The leader, if this node knows it.
        leader: Option<NodeId>,
    },
    /// The client has since had a later command applied, so the response is gone.
    Superseded {
        /// Whose request.
        request: RequestId,
    },
    /// The session that the request belongs to has expired: it has been used less recently than
    /// as many others as the leader keeps. This try has changed nothing and will not. Whether an
    /// earlier try did is forgotten: a client that has made none may ask again in another
    /// session.
    SessionExpired {
        /// Whose request.
        request: RequestId,
        /// A session that begins at this position is new
        /// ([`ClientId::anew`](session::ClientId::anew)).
        since: Position,
    },
    /// Too many reads wait already ([`Raft::max_pending_reads`]). Nothing has changed; to be
    /// asked again later, or elsewhere.
    Overloaded {
        /// Whose request.
        request: RequestId,
    },
    /// The membership is as the request wanted it, and committed.
    Changed {
        /// Whose request.
        request: RequestId,
        /// The configuration.
        configuration: Configuration,
    },
    /// A change of membership was not begun.
    Refused {
        /// Whose request.
        request: RequestId,
        /// Why.
        refusal: Refusal,
    },
    /// This node acts on another configuration from now on, committed or not: its host
    /// connects it to the members. May go back to an earlier one.
    MembershipChanged {
        /// The configuration.
        configuration: Configuration,
    },
    /// The configuration that this node acts on is committed, and never goes back from now on:
    /// whoever it adds may be told.
    MembershipCommitted {
        /// The configuration.
        configuration: Configuration,
    },
    /// This node has left the cluster, and that is committed: its host may stop it.
    Retired,
    /// This node has heard what contradicts its own committed log or state. It takes part no
    /// more, and has written that down: its host stops it, and says so.
    Halted {
        /// What contradicts what.
        contradiction: Contradiction,
    },
    /// A follower refuses an append as one that lacks an entry which it has acknowledged in this
    /// term. Said only with [`Raft::ordered_delivery`]: that follower has lost what it had
    /// promised to keep, and its host refuses it from now on.
    Denied {
        /// The follower.
        follower: NodeId,
        /// It has acknowledged the entries up to here,
        acknowledged: Index,
        /// and now says to lack the one here, or to have another.
        prev_log_index: Index,
    },
    /// What came of a transfer of leadership.
    Transfer {
        /// Whose request.
        request: RequestId,
        /// What came of it.
        outcome: TransferOutcome,
    },
    /// This node's state is now that of the leader's snapshot: it has skipped what came before.
    Installed {
        /// The index of the last entry that the snapshot replaces.
        last_included_index: Index,
    },
    /// This node leads from now on.
    Leading {
        /// In this term.
        term: Term,
    },
    /// This node follows from now on.
    Following {
        /// In this term.
        term: Term,
        /// The leader, if this node knows it.
        leader: Option<NodeId>,
    },
}

impl<M: StateMachine> Raft<M> {
    /// The node `id` of a cluster of `voters`, itself included: the paper's Raft, without
    /// PreVote and CheckQuorum.
    ///
    /// # Panics
    /// If `id` is not among the voters.
    pub fn new(id: NodeId, voters: impl IntoIterator<Item = NodeId>) -> Self {
        let initial = Configuration::new(voters);
        assert!(initial.is_voter(id), "{id} is not among the voters");
        Self::with_initial(id, initial)
    }

    /// The node `id`, which joins a cluster: it knows no configuration until a leader sends it
    /// one, and does not stand for election.
    pub fn joining(id: NodeId) -> Self {
        Self::with_initial(id, Configuration::default())
    }

    /// The node `id`, whose disk is set up with the configuration `initial`.
    pub fn with_initial(id: NodeId, initial: Configuration) -> Self {
        Self {
            id,
            initial,
            max_append_weight: usize::MAX,
            max_sessions: usize::MAX,
            max_pending_reads: usize::MAX,
            pre_vote: false,
            check_quorum: false,
            ordered_delivery: false,
            early_heartbeats: false,
            window: Window {
                appends: 16,
                weight: usize::MAX,
            },
            compaction: Compaction {
                snapshot_after: usize::MAX,
                trailing: 0,
            },
            max_chunk_bytes: 1 << 20,
            machine: PhantomData,
        }
    }

    /// The configuration that an empty disk of this node is set up with; nobody's on a node that
    /// joins. What the disk remembers is what counts from then on.
    pub fn initial(&self) -> &Configuration {
        &self.initial
    }

    /// The configuration that `node` starts from while its log and its snapshot hold none.
    fn founding<'a>(&self, node: &'a Node<Self>) -> &'a Configuration {
        node.durable().initial.as_ref().unwrap_or(&NOBODY)
    }

    /// The configuration that `node` acts on: "a server always uses the latest configuration
    /// in its log, regardless of whether the entry is committed" (§6).
    pub fn configuration<'a>(&self, node: &'a Node<Self>) -> &'a Configuration {
        let in_force = node.volatile.configuration.as_ref();
        in_force.map_or_else(|| self.founding(node), |in_force| &in_force.configuration)
    }

    /// "If RPC request or response contains term T > currentTerm: set currentTerm = T,
    /// convert to follower" (Figure 2, "Rules for Servers"; §5.1). Runs before every handler
    /// of a message.
    ///
    /// The vote goes with the term: a node that kept its old vote would have none to give in
    /// the new term.
    fn adopt_higher_term(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        message: &Message<M::Command>,
        out: &mut Outbox<Self>,
    ) {
        let term = message.sender_term();
        if term > node.durable().current_term {
            node.write(Record::Ballot {
                term,
                voted_for: None,
            });
            let leads = matches!(
                message,
                Message::AppendEntries { .. }
                    | Message::InstallSnapshot { .. }
                    | Message::Heartbeat { .. }
            );
            self.follow(node, leads.then_some(from), out);
        }
    }
}

impl<M: StateMachine> Protocol for Raft<M> {
    type Durable = Persistent<M>;
    type Volatile = Volatile<M>;
    type Message = Message<M::Command>;
    type Timer = Timer;
    type Command = Command<M>;
    type Event = Event<M>;

    fn id(&self) -> NodeId {
        self.id
    }

    fn format(&self) -> Vec<Record<M>> {
        let configuration = self.initial.clone();
        Vec::from([Record::Initialize { configuration }])
    }

    /// "When servers start up, they begin as followers" (§5.2), with the state of their
    /// snapshot (§7). What else is committed is learned anew from the leader, and applied
    /// anew.
    fn boot(&self, durable: &Persistent<M>, out: &mut Outbox<Self>) -> Volatile<M> {
        if durable.takes_part() {
            out.arm(Timer::Election);
        }
        let applied = durable.snapshot.state.clone();
        Volatile {
            role: Role::Follower { leader: None },
            hears_leader: false,
            commit_index: applied.last_applied,
            applied,
            follower_reads: Vec::new(),
            configuration: self.latest_configuration(durable),
            unsaved: 0,
            partial: None,
        }
    }

    fn step(&self, node: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>) {
        // A disk that has lost what it held must not vote or acknowledge anew: who was promised
        // something by it before could not tell (KAFKA-12181).
        if !node.durable().takes_part() {
            return;
        }
        match input {
            Input::Deliver { from, message } => {
                let current_term = node.durable().current_term;
                if message.is_late_at(current_term)
                    || !current_term.may_reach(message.sender_term())
                    || self.is_disruptive(node, from, &message)
                {
                    return;
                }
                self.adopt_higher_term(node, from, &message, out);
                match message {
                    Message::RequestVote {
                        term,
                        last_log_index,
                        last_log_term,
                        leadership_transfer: _,
                    } => {
                        let last = (last_log_term, last_log_index);
                        self.on_request_vote(node, from, term, last, out);
                    }
                    Message::RequestVoteResponse { outcome, .. } => {
                        self.on_request_vote_response(node, from, outcome, out);
                    }
                    Message::PreVote {
                        term,
                        last_log_index,
                        last_log_term,
                    } => {
                        let last = (last_log_term, last_log_index);
                        self.on_pre_vote(node, from, term, last, out);
                    }
                    Message::PreVoteResponse { term, outcome } => {
                        self.on_pre_vote_response(node, from, term, outcome, out);
                    }
                    Message::AppendEntries {
                        term,
                        prev_log_index,
                        prev_log_term,
                        entries,
                        leader_commit,
                        checksum,
                        round,
                    } => {
                        let append = replication::Append {
                            prev_log_index,
                            prev_log_term,
                            entries,
                            leader_commit,
                            checksum,
                            round,
                        };
                        self.on_append_entries(node, from, term, append, out);
                    }
                    Message::TimeoutNow { term } => {
                        if term == node.durable().current_term {
                            self.on_timeout_now(node, from, out);
                        }
                    }
                    Message::Heartbeat { term, round } => {
                        self.on_heartbeat(node, from, term, round, out);
                    }
                    Message::HeartbeatResponse { outcome, round, .. } => {
                        self.on_heartbeat_response(node, from, outcome, round, out);
                    }
                    Message::ReadIndex { term, request } => {
                        self.on_read_index(node, from, term, request, out);
                    }
                    Message::ReadIndexResponse {
                        request, outcome, ..
                    } => {
                        self.on_read_index_response(node, request, outcome, out);
                    }
                    Message::AppendEntriesResponse { outcome, round, .. } => {
                        self.on_append_entries_response(node, from, outcome, round, out);
                    }
                    Message::InstallSnapshot {
                        term,
                        last_included_index,
                        last_included_term,
                        offset,
                        data,
                        done,
                        round,
                    } => {
                        let chunk = install::Chunk {
                            last_included: (last_included_index, last_included_term),
                            offset,
                            data,
                            done,
                            round,
                        };
                        self.on_install_snapshot(node, from, term, chunk, out);
                    }
                    Message::InstallSnapshotResponse { outcome, round, .. } => {
                        self.on_install_snapshot_response(node, from, outcome, round, out);
                    }
                }
            }
            Input::Fire(Timer::Election) => self.on_election_timeout(node, out),
            Input::Fire(Timer::Heartbeat) => self.on_heartbeat_timeout(node, out),
            Input::Fire(Timer::Lease) => self.on_lease_timeout(node, out),
            Input::Fire(Timer::Transfer) => self.on_transfer_timeout(node, out),
            Input::Fire(Timer::Snapshot) => self.on_snapshot_timeout(node),
            Input::Ask(Command::Propose { request, command }) => {
                self.on_propose(node, request, command, out);
            }
            Input::Ask(Command::Read { request, query }) => self.on_read(node, request, query, out),
            Input::Ask(Command::ReadHere { request, query }) => {
                self.on_read_here(node, request, query, out);
            }
            Input::Ask(Command::ChangeMembership { request, change }) => {
                self.on_change_membership(node, request, &change, out);
            }
            Input::Ask(Command::TransferLeadership { request, to }) => {
                self.on_transfer_leadership(node, request, to, out);
            }
        }
    }
}
