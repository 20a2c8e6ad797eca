//! A node's state: what its disk remembers and what a crash forgets.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::ended::Ended;
use super::lock::LockName;
use super::message::{Epoch, Held, HeldLocks, Timestamp, Token};
use super::quorum::Construction;
use crate::protocol::{Durable, NodeId};

/// What survives a crash.
///
/// Maekawa's nodes stop when they crash (§5 of the paper): of locks and requests nothing is
/// remembered. What must be remembered is *that* it has been forgotten: a node that was in an
/// epoch and restarts must not take part in that epoch again, as an arbiter that does not know
/// whom it is locked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Persistent {
    /// Whether the disk has been set up for this node. If not, it is new, or what it held is lost.
    pub is_set_up: bool,
    /// Of the orchestrator the epoch that it has installed last; of others the latest that they
    /// were in or have heard the end of. Increases monotonically.
    pub epoch: Epoch,
    /// Whether this node is to be a member.
    pub registered: bool,
    /// The orchestrator's: the members of `epoch`.
    pub members: BTreeSet<NodeId>,
    /// The orchestrator's: the members of the epoch to come.
    pub roster: BTreeSet<NodeId>,
    /// The orchestrator's: how the members of `epoch` build their quorums.
    pub construction: Construction,
    /// The orchestrator's: the locks that were held when `epoch` began.
    pub held: HeldLocks,
    /// The orchestrator's: whether it is ending `epoch`.
    pub changing: bool,
}

/// One change of what survives a crash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Record {
    /// The disk is this node's from now on.
    Initialize,
    /// The node is a member of this epoch now, or never will be.
    Epoch(Epoch),
    /// Whether the node is to be a member.
    Registered(bool),
    /// The orchestrator makes the node a member of the epoch to come.
    Enrol(NodeId),
    /// The orchestrator makes the node none.
    Strike(NodeId),
    /// The orchestrator begins to end the epoch.
    Change,
    /// The orchestrator begins the next epoch, with the members of the roster.
    Install {
        /// How they build their quorums.
        construction: Construction,
        /// The locks that are held.
        held: HeldLocks,
    },
}

impl Durable for Persistent {
    type Record = Record;

    fn apply(&mut self, record: &Record) {
        match record {
            Record::Initialize => self.is_set_up = true,
            Record::Epoch(epoch) => self.epoch = *epoch,
            Record::Registered(registered) => self.registered = *registered,
            Record::Enrol(node) => {
                self.roster.insert(*node);
            }
            Record::Strike(node) => {
                self.roster.remove(node);
            }
            Record::Change => self.changing = true,
            Record::Install { construction, held } => {
                self.epoch = self.epoch.next();
                self.members = self.roster.clone();
                self.construction = *construction;
                self.held = held.clone();
                self.changing = false;
            }
        }
    }
}

/// What a crash forgets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Volatile {
    /// Of a node that locks and is locked.
    Node(Local),
    /// Of the orchestrator.
    Orchestrator(Orchestration),
}

/// What a node knows, a member or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Local {
    /// The logical clock: the latest time stamp seen (Lamport, 1978).
    pub clock: u64,
    /// The claims of this node's clients, of each lock that is claimed, oldest first. One at a time
    /// is made a request.
    pub claims: BTreeMap<LockName, VecDeque<Claim>>,
    /// The latest claim that is over, of each session that has not ended.
    #[serde(with = "crate::pairs")]
    pub over: BTreeMap<Session, u64>,
    /// The sessions that have ended.
    pub ended: Ended,
    /// The membership, where the node has one.
    pub membership: Option<Membership>,
}

impl Local {
    /// The claims to the lock, oldest first.
    pub fn claims_to(&self, lock: &LockName) -> impl Iterator<Item = &Claim> {
        self.claims.get(lock).into_iter().flatten()
    }

    /// All claims, of whichever locks.
    pub fn all_claims(&self) -> impl Iterator<Item = &Claim> {
        self.claims.values().flatten()
    }
}

/// A client's session with one node. Other nodes know nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Session {
    /// The node.
    pub node: NodeId,
    /// Tells the node's sessions apart. The host never gives a number out twice, crash or not:
    /// what the client of an earlier session has asked may still arrive. It counts upwards, for
    /// sessions that have ended take room where one between them has not.
    pub number: u64,
}

/// A client's claim to a lock. A client numbers the claims of a session upwards, to whichever locks,
/// and makes the next when the last is over. Asking again for the same claim is no new claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// The lock.
    pub lock: LockName,
    /// The client's session.
    pub session: Session,
    /// The number of the claim within the session, from 1.
    pub sequence: u64,
}

/// What a member of an epoch is in that epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Membership {
    /// The epoch.
    pub epoch: Epoch,
    /// Its members.
    pub members: BTreeSet<NodeId>,
    /// The arbiters that this node must lock, itself among them.
    pub quorum: BTreeSet<NodeId>,
    /// Whether the epoch is ending: the node grants nothing more, and enters no more.
    pub frozen: bool,
    /// The node as an arbiter of each lock. Of one that is not here there is nothing to know.
    pub arbiters: BTreeMap<LockName, Arbiter>,
    /// The locks of which an arbiter knows nothing but what is over, the one that has been so for
    /// longest first.
    pub idle: VecDeque<LockName>,
    /// As an arbiter: the greatest number of a grant or counter of a token that the node knows of,
    /// whichever lock it was of.
    pub number: u64,
    /// The node as a requester of each lock that it waits for or holds, for the first of the claims
    /// to it.
    pub attempts: BTreeMap<LockName, Attempt>,
    /// As a requester: the greatest counter of a token that the node has had in the epoch,
    /// whichever lock it was of.
    pub counter: u64,
}

impl Membership {
    /// The token of the lock, if the node is in its critical section.
    pub fn held(&self, lock: &LockName) -> Option<Token> {
        self.attempts.get(lock)?.held
    }

    /// All locks that the node holds, with their tokens.
    pub fn all_held(&self) -> impl Iterator<Item = (&LockName, Token)> {
        let attempts = self.attempts.iter();
        attempts.filter_map(|(lock, attempt)| Some((lock, attempt.held?)))
    }

    /// What the node holds, as it is said to others.
    pub fn held_locks(&self) -> HeldLocks {
        let attempts = self.attempts.iter();
        let held = attempts.filter_map(|(lock, attempt)| Some((lock.clone(), attempt.holds()?)));
        held.collect()
    }

    /// Whether the node holds a lock.
    pub fn holds(&self) -> bool {
        self.all_held().next().is_some()
    }

    /// Whether the node waits for a lock.
    pub fn waits(&self) -> bool {
        let mut attempts = self.attempts.values();
        attempts.any(|attempt| attempt.held.is_none())
    }

    /// Forgets the arbiter if it knows nothing, and of those that know nothing but what is over
    /// all but the latest so many. To be called when the lock's arbiter has changed, at the end of
    /// the step.
    pub(super) fn settle(&mut self, lock: &LockName, max_idle: usize) {
        let arbiter = self.arbiters.get(lock);
        if arbiter.is_some_and(Arbiter::knows_nothing) {
            self.arbiters.remove(lock);
        }
        let is_idle = self.arbiters.get(lock).is_some_and(Arbiter::is_idle);
        let place = self.idle.iter().rposition(|other| other == lock);
        match (is_idle, place) {
            (true, None) => self.idle.push_back(lock.clone()),
            (false, Some(place)) => drop(self.idle.remove(place)),
            (true, Some(_)) | (false, None) => {}
        }
        while self.idle.len() > max_idle
            && let Some(forgotten) = self.idle.pop_front()
        {
            self.arbiters.remove(&forgotten);
        }
    }
}

/// What an arbiter knows of one lock (§4 of the paper).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Arbiter {
    /// The request that it is locked for.
    pub locked: Option<Grant>,
    /// The requests that wait, the best first.
    pub waiting: BTreeSet<Timestamp>,
    /// Of each requester the latest request that is over: what arrives late is known by it.
    pub finished: BTreeMap<NodeId, u64>,
}

impl Arbiter {
    /// Whether it knows nothing but what is over.
    pub fn is_idle(&self) -> bool {
        self.locked.is_none() && self.waiting.is_empty()
    }

    /// Whether it knows as much as one that has never heard anything.
    pub fn knows_nothing(&self) -> bool {
        self.is_idle() && self.finished.is_empty()
    }

    /// Whether the request is over, as far as the arbiter knows.
    pub fn has_finished(&self, request: Timestamp) -> bool {
        let latest = self.finished.get(&request.node);
        latest.is_some_and(|&latest| request.clock <= latest)
    }
}

/// A lock that an arbiter has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// To which request.
    pub request: Timestamp,
    /// Under which number: 0 of a lock that was held when the epoch began, and greater of all others.
    pub number: u64,
    /// Whether the requester has been asked to give it back.
    pub inquired: bool,
}

/// What a requester knows of its request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The request.
    pub request: Timestamp,
    /// What it knows of each of its arbiters.
    pub arbiters: BTreeMap<NodeId, View>,
    /// The token, once all arbiters are locked: the node is in the critical section.
    pub held: Option<Token>,
}

impl Attempt {
    /// What it holds, if it is granted.
    pub fn holds(&self) -> Option<Held> {
        let (request, token) = (self.request, self.held?);
        Some(Held { request, token })
    }
}

/// What a requester knows of one arbiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct View {
    /// The number of the arbiter's latest grant to the request. 0 before the first, and where the
    /// arbiter has been locked for it since the epoch began.
    pub number: u64,
    /// How things stand.
    pub standing: Standing,
}

/// How things stand between a requester and an arbiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Standing {
    /// Nothing has been heard.
    Awaited,
    /// The request has to wait: the arbiter has said so, or has been given back.
    Failed,
    /// The arbiter is locked for the request.
    Locked,
    /// As `Locked`, and the arbiter asks whether the request would give way.
    Inquired,
}

impl Standing {
    /// Whether the arbiter is locked for the request.
    pub fn is_locked(self) -> bool {
        matches!(self, Self::Locked | Self::Inquired)
    }
}

/// What the orchestrator knows of the nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Orchestration {
    /// The members that will enter no more in the ending epoch, and what each has said that it holds.
    /// Who is to be no member of the next is among them when it holds nothing.
    pub frozen: BTreeMap<NodeId, HeldLocks>,
    /// How many health checks in a row each node has left unanswered.
    pub silent: BTreeMap<NodeId, u8>,
}
