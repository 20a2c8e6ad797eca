//! Maekawa's mutual exclusion after "A √N algorithm for mutual exclusion in decentralized
//! systems" (ACM TOCS 3(2), 1985), from which the section numbers are, with the correction of
//! Sanders, "The information structure of distributed mutual exclusion algorithms" (ACM TOCS
//! 5(3), 1987).
//!
//! A node that wants to enter the critical section locks all arbiters of its quorum; any two
//! quorums share an arbiter, and an arbiter is locked for one request at a time. Implemented
//! beyond the paper: any order of delivery, loss and duplicates; clients that queue at their
//! node; fencing tokens; and members that come, go and die, under an *orchestrator* that moves
//! them all from one epoch to the next.
//!
//! There are as many locks as somebody names. They have the members and their quorums in common, the
//! logical clock and the numbers of grants, and otherwise nothing: a node is another arbiter and
//! another requester for each, and who holds one keeps nobody of another waiting. An epoch ends for
//! all of them at once, and who holds a lock then and stays a member holds it in the next.
//!
//! Read it in this order: [`state`] and [`message`]; `requester` and `arbiter`, the two halves
//! of the paper's §4; `client`; then `member` and `orchestrator`, the two ends of an epoch
//! change, and `carried`, which locks outlive it. [`quorum`] is the paper's §3.
//!
//! # Fencing tokens
//!
//! An arbiter numbers its grants upwards, those of all locks together. A token is the epoch with the
//! greatest number among the grants of the holder's quorum, and a RELEASE tells the greatest that its
//! node has had to the arbiters, which number on from there. Of two successive holders of a lock in an
//! epoch the quorums share an arbiter. It was locked for the first until that one's RELEASE, so its
//! grant to the second bears a greater number than the first token's counter, and the second token is
//! at least that. Between epochs the epoch decides: who holds a lock over a change keeps the token of
//! the epoch in which it entered, which is less than all of the new one. So the tokens of a lock strictly increase in the
//! order of entering, also when all else about it has been forgotten meanwhile.
//!
//! # Idle locks
//!
//! Of a lock that nobody wants, an arbiter remembers which request of each node is over, so that what
//! comes late is not taken for new. Where locks are named and given up for ever that would grow, and so
//! of these locks it remembers the [`Maekawa::max_idle_locks`] latest. A REQUEST that comes
//! after its lock is forgotten locks the arbiter, though it is over. That is as if its RELEASE were
//! lost, which is borne in any case:
//!
//! - *Exclusion.* The arbiter is locked for nobody who could enter: a requester heeds a LOCKED for its
//!   current request alone. And nobody else has the arbiter meanwhile. A lock that is locked or waited
//!   for is not forgotten, so it is never given to a second while the first may have it.
//! - *Liveness.* Whoever hears LOCKED or INQUIRE for a request of its own that is over answers with
//!   RELEASE; if that word or this is lost, whoever waits asks again, the arbiter tells the one that it
//!   is locked for again, and that one answers again. Until somebody waits such a lock takes room, as
//!   one whose RELEASE is lost does; at the end of the epoch at the latest it is forgotten.
//! - *Tokens.* The number of grants is not forgotten with the lock.
//!
//! A RELINQUISH or RELEASE that comes late does nothing either: the one bears the number of a grant, of
//! which each is given once, and the other ends only what its node has asked before it.
//!
//! # Crashes
//!
//! A crashed node has left: what it was locked for, what it held and what it waited for is
//! forgotten, of every lock. Restarted it registers anew, and takes no part until the next epoch, for its disk
//! remembers the last. A node that has been silent for too long is taken for crashed, and its
//! locks for free. If it crashes when it has said which locks it holds over an epoch change they are
//! carried over, and it releases them when it is in the next epoch; if it does not come back, they are
//! free in the one after that.
//!
//! So exclusion between *living* holders rests on the health check being right. No protocol can
//! do without in an asynchronous system: a slow holder cannot be told from a dead one. In real
//! time it is right if a node gives up its membership sooner ([`Timer::Lease`]) than the
//! orchestrator gives up the node: [`Times::check`] tells a host whether its durations are such.
//! What holds even where it errs: exclusion within each epoch, and that a living holder of an
//! earlier epoch has a lesser token, by which the resource can refuse it.
//!
//! # Lost disks
//!
//! A node that does not remember that it was in an epoch would join it again, and know nothing of
//! the locks that it has given; an orchestrator that does not remember its epochs would number them
//! again. So a node on a blank disk takes no part: a disk is set up once, for a new id. What is
//! promised: exclusion, and tokens that increase, whichever disks are lost. A member that has lost
//! its own is expelled as one that is dead, and its host comes back under another id; without the
//! orchestrator's there is no next epoch. (That a disk is *set back* to an earlier state is not
//! noticed: no protocol can, by what it remembers.)
//!
//! And there is one orchestrator: while it is down no epoch begins or ends, and when it is down for
//! longer than a lease all members give up, and nobody enters until it is back.

pub mod ended;
pub mod lock;
pub mod message;
pub mod quorum;
pub mod spec;
pub mod state;

mod arbiter;
mod carried;
mod client;
mod member;
mod orchestrator;
mod requester;
mod times;

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use self::carried::Installation;
use self::lock::LockName;
use self::message::{Epoch, Message, Timestamp, Token};
use self::quorum::Construction;
use self::state::{Claim, Local, Membership, Orchestration, Persistent, Record, Session, Volatile};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};

pub use self::times::{BadTimes, Times};

/// One node's configuration: of a node that locks and is locked, or of the orchestrator.
#[derive(Clone, Debug)]
pub struct Maekawa {
    id: NodeId,
    orchestrator: NodeId,
    /// The orchestrator's: how quorums are built from the next epoch on. It tells the members.
    pub construction: Construction,
    /// How many health checks in a row a node leaves unanswered before it is taken for dead.
    pub misses: u8,
    /// How many claims may wait at a node, or hold, to all locks together.
    pub max_claims: usize,
    /// How many locks that nobody wants an arbiter remembers.
    pub max_idle_locks: usize,
}

/// The timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Runs while a request waits, for whichever lock: time to ask again the arbiters that are not
    /// locked, lest a lost message stops a request.
    Retry,
    /// Runs while a node is not what it is to be, a member or none: time to tell the
    /// orchestrator again.
    Register,
    /// Runs on members, anew with each health check that says that the last one's answer has
    /// arrived: the two have not heard each other for so long that the orchestrator may have
    /// given this node up. To be shorter than [`Maekawa::misses`] health checks, by more than
    /// clocks drift apart and a message takes: see [`Times::check`].
    Lease,
    /// Runs on the orchestrator: time for a health check.
    HealthCheck,
}

/// What a client asks of its node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Command {
    /// Enter the critical section. Asked again it is the same claim.
    Acquire {
        /// The claim.
        claim: Claim,
    },
    /// Leave the critical section, or give the claim up. Asked again it changes nothing.
    Release {
        /// The claim.
        claim: Claim,
    },
    /// The client is gone: what it claims is over, also what it has claimed and the node has not
    /// heard of yet.
    End {
        /// The session.
        session: Session,
    },
    /// Make this node a member, now and whenever it starts.
    Register,
    /// Make this node none.
    Deregister,
}

/// What a node tells its host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Event {
    /// The claim has its lock.
    Granted {
        /// The claim.
        claim: Claim,
        /// Its fencing token.
        token: Token,
    },
    /// The claim is over.
    Released {
        /// The claim.
        claim: Claim,
    },
    /// The node has not done what was asked, and will not.
    Refused {
        /// What was asked.
        command: Command,
        /// Why not.
        why: Refusal,
    },
    /// The claim has lost its lock: others may have it by now, with greater tokens.
    Revoked {
        /// The claim.
        claim: Claim,
        /// Its fencing token.
        token: Token,
    },
    /// The session is over, and nothing is claimed in it any more.
    Ended {
        /// The session.
        session: Session,
    },
    /// This node is a member.
    Joined {
        /// Of this epoch.
        epoch: Epoch,
        /// With these others, itself included.
        members: BTreeSet<NodeId>,
    },
    /// This node is no member.
    Left {
        /// Since this epoch.
        epoch: Epoch,
    },
    /// The orchestrator has begun an epoch.
    Installed {
        /// The epoch.
        epoch: Epoch,
        /// Its members.
        members: BTreeSet<NodeId>,
    },
    /// The orchestrator takes a node for dead.
    Suspected {
        /// The node.
        node: NodeId,
    },
}

/// Why a node does not do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// The session is with another node.
    WrongNode,
    /// This is the orchestrator, which has nothing to lock.
    Orchestrator,
    /// This node is not to be a member.
    NotAMember,
    /// The claim is over: it was released or revoked, or its session has ended.
    Over,
    /// The session has another claim that is not over.
    Busy,
    /// Too many claims wait at this node.
    Full,
    /// No lock may have this name: it is empty, or longer than
    /// [`LONGEST_NAME`](lock::LONGEST_NAME).
    InvalidName,
}

impl Maekawa {
    /// The node `id` under `orchestrator`; the orchestrator itself, if they are the same.
    pub fn new(id: NodeId, orchestrator: NodeId) -> Self {
        Self {
            id,
            orchestrator,
            construction: Construction::default(),
            misses: 3,
            max_claims: 1024,
            max_idle_locks: 4096,
        }
    }

    /// The orchestrator's identity.
    pub fn orchestrator(&self) -> NodeId {
        self.orchestrator
    }

    /// Whether this is the orchestrator.
    pub fn is_orchestrator(&self) -> bool {
        self.id == self.orchestrator
    }
}

/// A node that locks and is locked; `None` of the orchestrator.
fn local(node: &mut Node<Maekawa>) -> Option<&mut Local> {
    match &mut node.volatile {
        Volatile::Node(local) => Some(local),
        Volatile::Orchestrator(_) => None,
    }
}

/// The orchestrator's view; `None` of other nodes.
fn orchestration(node: &mut Node<Maekawa>) -> Option<&mut Orchestration> {
    match &mut node.volatile {
        Volatile::Node(_) => None,
        Volatile::Orchestrator(orchestration) => Some(orchestration),
    }
}

/// The lock of which an arbiter hears something.
fn lock_of(input: &Input<Maekawa>) -> Option<&LockName> {
    match input {
        Input::Deliver { message, .. } => message.subject().map(|(_, lock, _)| lock),
        Input::Fire(_) | Input::Ask(_) => None,
    }
}

/// What a message of the paper is about, and who has sent it.
#[derive(Clone)]
struct About {
    from: NodeId,
    epoch: Epoch,
    lock: LockName,
    request: Timestamp,
}

/// A member's logical clock and membership, if it takes a message about this: sender and receiver are
/// members of its epoch, and that is not ending. What was said in another epoch means nothing in
/// this one.
fn in_epoch<'a>(
    node: &'a mut Node<Maekawa>,
    about: &About,
) -> Option<(&'a mut u64, &'a mut Membership)> {
    let local = local(node)?;
    let membership = local.membership.as_mut()?;
    let is_current = membership.epoch == about.epoch && !membership.frozen;
    let is_of_a_member = membership.members.contains(&about.from);
    (is_current && is_of_a_member).then_some((&mut local.clock, membership))
}

impl Protocol for Maekawa {
    type Durable = Persistent;
    type Volatile = Volatile;
    type Message = Message;
    type Timer = Timer;
    type Command = Command;
    type Event = Event;

    fn id(&self) -> NodeId {
        self.id
    }

    fn format(&self) -> Vec<Record> {
        Vec::from([Record::Initialize])
    }

    fn boot(&self, durable: &Persistent, out: &mut Outbox<Self>) -> Volatile {
        if self.is_orchestrator() {
            if durable.is_set_up {
                // What was begun goes on with the next health check.
                out.arm(Timer::HealthCheck);
            }
            return Volatile::Orchestrator(Orchestration::default());
        }
        if durable.registered {
            self.register(durable.epoch, out);
        }
        Volatile::Node(Local::default())
    }

    /// A node is its own arbiter, and an ordinary one. What it says to itself is heard within the
    /// same step: that is one of the orders in which it could arrive, and nothing between could
    /// tell the difference, for no other node sees these messages.
    fn step(&self, node: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>) {
        // Whom a lost disk had given its lock, nobody knows.
        if !node.durable().is_set_up {
            return;
        }
        let mut inputs = VecDeque::from([input]);
        let mut said = Outbox::new();
        let mut changed = BTreeSet::new();
        while let Some(input) = inputs.pop_front() {
            changed.extend(lock_of(&input).cloned());
            self.handle(node, input, &mut said);
            for effect in said.drain() {
                match effect {
                    Effect::Send { to, message } if to == self.id => {
                        inputs.push_back(Input::Deliver { from: to, message });
                    }
                    effect => out.push(effect),
                }
            }
        }
        // Not before the end: a lock may be idle for a moment, between two claims.
        if let Some(membership) = local(node).and_then(|local| local.membership.as_mut()) {
            for lock in &changed {
                membership.settle(lock, self.max_idle_locks);
            }
        }
    }
}

impl Maekawa {
    fn handle(&self, node: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>) {
        match input {
            Input::Deliver { from, message } => self.on_message(node, from, message, out),
            Input::Fire(Timer::Retry) => self.on_retry_timeout(node, out),
            Input::Fire(Timer::Register) => self.on_register_timeout(node, out),
            Input::Fire(Timer::Lease) => self.on_lease_timeout(node, out),
            Input::Fire(Timer::HealthCheck) => self.on_health_check(node, out),
            Input::Ask(Command::Acquire { claim }) => self.on_acquire(node, claim, out),
            Input::Ask(Command::Release { claim }) => self.on_release_claim(node, claim, out),
            Input::Ask(Command::End { session }) => self.on_end(node, session, out),
            Input::Ask(Command::Register) => self.on_register_command(node, out),
            Input::Ask(Command::Deregister) => self.on_deregister_command(node, out),
        }
    }

    fn on_message(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        message: Message,
        out: &mut Outbox<Self>,
    ) {
        let subject = message.subject();
        if subject.is_some_and(|(_, lock, _)| !lock.is_valid()) {
            return;
        }
        let about = |epoch, lock, request| About {
            from,
            epoch,
            lock,
            request,
        };
        match message {
            Message::Request {
                epoch,
                lock,
                request,
            } => self.on_request(node, &about(epoch, lock, request), out),
            Message::Locked {
                epoch,
                lock,
                request,
                number,
                clock,
            } => self.on_locked(node, &about(epoch, lock, request), number, clock, out),
            Message::Failed {
                epoch,
                lock,
                request,
            } => self.on_failed(node, &about(epoch, lock, request), out),
            Message::Inquire {
                epoch,
                lock,
                request,
                number,
            } => self.on_inquire(node, &about(epoch, lock, request), number, out),
            Message::Relinquish {
                epoch,
                lock,
                request,
                number,
            } => self.on_relinquish(node, &about(epoch, lock, request), number, out),
            Message::Release {
                epoch,
                lock,
                request,
                counter,
            } => self.on_release(node, &about(epoch, lock, request), counter, out),
            Message::Register { after } => self.on_register(node, from, after, out),
            Message::Deregister { epoch } => self.on_deregister(node, from, epoch, out),
            Message::Freeze { epoch } => self.on_freeze(node, from, epoch, out),
            Message::Frozen { epoch, held } => self.on_frozen(node, from, epoch, held, out),
            Message::Install {
                epoch,
                members,
                construction,
                held,
            } => {
                let begun = Installation {
                    epoch,
                    members,
                    construction,
                    held,
                };
                self.on_install(node, from, begun, out);
            }
            Message::Ping { epoch, renews } => self.on_ping(node, from, epoch, renews, out),
            Message::Pong { epoch } => self.on_pong(node, from, epoch, out),
        }
    }
}
