//! What must be true of Raft, and the worlds and mutants it is checked with.
//!
//! Verified here: Figure 3's five properties, each on states and on transitions; that
//! nothing is promised which a crash could undo; exactly-once commands; linearizability of
//! the clients' history. Not verified here: time. How long an election takes is a matter of
//! the timeouts that a host chooses.

mod buffered;
mod catalogue;
mod compacted;
mod conflicts;
mod contradictions;
mod disruption;
mod drawn;
mod features;
mod inert;
mod invariants;
mod labels;
mod laws;
mod leaving;
mod linearizability;
mod live;
mod liveness;
mod machine;
mod membership;
mod mutants;
mod office;
mod pending;
mod pipelining;
mod prologue;
mod quorums;
mod reachable;
mod reads;
mod scenarios;
mod sessions;
mod shown;
mod silence;
mod snapshots;
mod standing;
mod terms;
mod timers;
mod told;
mod transfer;

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use self::catalogue::{DRAWN, FUZZED, MODELS};
pub use self::compacted::{
    compaction, install, install_chunks, install_deposed, pipelining as pipelined,
};
pub use self::linearizability::is_linearizable;
pub use self::live::MODELS as LIVE;
pub use self::machine::{Add, Adder, Sum, Total, parties};
pub use self::mutants::MUTANTS;
pub use self::scenarios::leadership::{
    check_quorum, disruption, guarded, mixed_terms, pre_vote, returning, transfer,
};
pub use self::scenarios::{
    at_large, catch_up, client_commands, clients, connected, divergence, election,
    election_of_five, figure_8, from_the_start, reads, reads_deposed, replication, request,
    torn_frames,
};

use super::log::{Content, Entry, Index, Term};
use super::machine::StateMachine;
use super::message::Message;
use super::state::{Leadership, Role};
use super::{Command, Event, Raft, Timer};
use crate::protocol::{Data, Effect, Node, NodeId};
use crate::specification::{
    Answer, Apart, Feature, Invariant, Law, Liveness, Reachable, Specification,
};
use crate::world::{Action, Envelope, Host, Scenario, World};

/// What the properties remember: who ever led, what was ever committed, and who has halted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ghost<C> {
    /// Every leader there ever was, with its term.
    pub leaders: BTreeSet<(Term, NodeId)>,
    /// Every entry ever known to be committed, in the order of the log.
    pub committed: Vec<Committed<C>>,
    /// Every node that has ever halted.
    pub halted: BTreeSet<NodeId>,
}

/// A committed entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Committed<C> {
    /// The term of the node that first knew it to be committed: every leader of a later
    /// term must have the entry.
    pub in_term: Term,
    /// The entry.
    pub entry: Entry<C>,
}

impl<C> Default for Ghost<C> {
    fn default() -> Self {
        Self {
            leaders: BTreeSet::new(),
            committed: Vec::new(),
            halted: BTreeSet::new(),
        }
    }
}

/// What makes Raft's state space finite. The log is bounded by the terms (a no-op each) and
/// by what the clients ask.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The nodes that stand for election, and the highest term that each stands for.
    pub candidates: BTreeMap<NodeId, Term>,
    /// The nodes that hear from each other in time: their leases never run out.
    pub in_time: BTreeSet<NodeId>,
}

impl<M: StateMachine> Specification for Raft<M> {
    type Ghost = Ghost<M::Command>;
    type Bounds = Bounds;

    const INVARIANTS: &'static [Invariant<Self>] = Self::STATE_PROPERTIES;
    const LAWS: &'static [Law<Self>] = Self::TRANSITION_PROPERTIES;
    const REACHABLE: &'static [Reachable<Self>] = Self::WITNESSES;
    const LIVENESS: &'static [Liveness<Self>] = Self::PROGRESS;
    const FEATURES: &'static [Feature<Self>] = Self::ALL_FEATURES;
    const APART: &'static [Apart] = Self::FEATURES_APART;

    fn observe(ghost: &mut Self::Ghost, id: NodeId, node: &Node<Self>, effects: &[Effect<Self>]) {
        let durable = node.durable();
        if effects
            .iter()
            .any(|effect| matches!(effect, Effect::Emit(Event::Halted { .. })))
        {
            ghost.halted.insert(id);
        }
        if let Role::Leader(_) = node.volatile.role {
            ghost.leaders.insert((durable.current_term, id));
        }
        // A step that commits discards nothing: a snapshot waits for its timer.
        let first = Index(ghost.committed.len() as u64).next();
        let indices = (first.0..=node.volatile.commit_index.0).map(Index);
        let news = indices.map_while(|index| durable.log.get(index).cloned());
        ghost.committed.extend(news.map(|entry| Committed {
            in_term: durable.current_term,
            entry,
        }));
    }

    fn permits(bounds: &Bounds, id: NodeId, node: &Node<Self>, timer: &Timer) -> bool {
        match timer {
            Timer::Election => bounds
                .candidates
                .get(&id)
                .is_some_and(|&last| node.durable().current_term < last),
            Timer::Heartbeat | Timer::Transfer | Timer::Snapshot => true,
            Timer::Lease => !bounds.in_time.contains(&id),
        }
    }

    /// "The broadcast time should be an order of magnitude less than the election timeout"
    /// (§5.6); a lease and a transfer last as long as an election timeout.
    fn outlasts(timer: &Timer, other: &Timer) -> bool {
        *timer != Timer::Heartbeat && *other == Timer::Heartbeat
    }

    fn is_inert(
        envelope: &Envelope<Message<M::Command>>,
        sender: &Host<Self>,
        receiver: &Host<Self>,
    ) -> bool {
        inert::is_inert(envelope, sender, receiver)
    }

    fn answer(command: &Command<M>, event: &Event<M>) -> Option<Answer> {
        let asked = command.request();
        match event {
            Event::Reply { request, .. }
            | Event::Superseded { request }
            | Event::SessionExpired { request, .. }
            | Event::Changed { request, .. }
            | Event::Transfer { request, .. }
                if *request == asked =>
            {
                Some(Answer::Done)
            }
            Event::Redirect { request, .. }
            | Event::Overloaded { request }
            | Event::Refused { request, .. }
                if *request == asked =>
            {
                Some(Answer::Refused)
            }
            Event::Reply { .. }
            | Event::Redirect { .. }
            | Event::Overloaded { .. }
            | Event::Superseded { .. }
            | Event::SessionExpired { .. }
            | Event::Changed { .. }
            | Event::Refused { .. }
            | Event::MembershipChanged { .. }
            | Event::MembershipCommitted { .. }
            | Event::Retired
            | Event::Transfer { .. }
            | Event::Installed { .. }
            | Event::Halted { .. }
            | Event::Denied { .. }
            | Event::Leading { .. }
            | Event::Following { .. } => None,
        }
    }

    fn message_label(message: &Message<M::Command>) -> String {
        message.to_string()
    }

    fn node_label(node: &Node<Self>) -> String {
        labels::node(node)
    }

    fn command_label(command: &Command<M>) -> String {
        labels::command(command)
    }
}

/// The leadership of a host that runs and leads.
fn leadership<M: StateMachine>(host: &Host<Raft<M>>) -> Option<(Term, &Leadership<M>)> {
    let node = host.node()?;
    match &node.volatile.role {
        Role::Leader(leadership) => Some((node.durable().current_term, leadership)),
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => None,
    }
}

/// Something that a node has said.
#[derive(Debug)]
struct Said<'a, C> {
    /// Who.
    from: NodeId,
    /// To whom.
    to: NodeId,
    /// What.
    message: &'a Message<C>,
}

/// What the transition has made nodes say: whether it is under way or waits for their disks. What
/// leaves with a sync was said before.
fn said<'a, M: StateMachine>(
    before: &'a World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &'a World<Raft<M>>,
) -> impl Iterator<Item = Said<'a, M::Command>> {
    let is_sync = matches!(action, Action::Sync(_));
    let sent = after.network.sent().map(|envelope| Said {
        from: envelope.from,
        to: envelope.to,
        message: &envelope.message,
    });
    let hosts = before.all_hosts().zip(after.all_hosts());
    let held = hosts.flat_map(|((_, old), (from, new))| {
        let new = new.held().skip(old.held().count());
        new.map(move |(to, message)| Said { from, to, message })
    });
    sent.chain(held).filter(move |_| !is_sync)
}

/// What the transition has made nodes say, and what waits for their disks already: who says again
/// what waits already has said it, and it waits once.
fn told<M: StateMachine>(after: &World<Raft<M>>) -> impl Iterator<Item = Said<'_, M::Command>> {
    let sent = after.network.sent().map(|envelope| Said {
        from: envelope.from,
        to: envelope.to,
        message: &envelope.message,
    });
    let held = after.all_hosts().flat_map(|(from, host)| {
        host.held()
            .map(move |(to, message)| Said { from, to, message })
    });
    sent.chain(held)
}

/// A step that a node has taken, and lived through.
struct Step<'a, M: StateMachine> {
    /// The node.
    id: NodeId,
    /// What it was before.
    old: &'a Node<Raft<M>>,
    /// What it has said to its host, at once or when its disk is done.
    emitted: Cow<'a, [Event<M>]>,
    /// What it is after.
    new: &'a Node<Raft<M>>,
}

impl<'a, M: StateMachine> Step<'a, M> {
    /// The step that the action is, if it is one. Who takes no part takes none.
    fn taken(
        scenario: &'a Scenario<Raft<M>>,
        before: &'a World<Raft<M>>,
        action: &Action<Raft<M>>,
        after: &'a World<Raft<M>>,
    ) -> Option<Self> {
        let id = action.node()?;
        let (old, new) = (before.host(id)?.node()?, after.host(id)?.node()?);
        let emitted = match &after.last_step {
            Some(done) => Cow::Borrowed(done.emitted.as_slice()),
            None => Cow::Owned(before.done_again(scenario, action)?.1.emitted),
        };
        old.durable().takes_part().then_some(Self {
            id,
            old,
            emitted,
            new,
        })
    }

    /// What it knew as a leader, what it knows as the same term's, and that term.
    fn leads_on(&self) -> Option<(&'a Leadership<M>, &'a Leadership<M>, Term)> {
        let term = self.old.durable().current_term;
        match (&self.old.volatile.role, &self.new.volatile.role) {
            (Role::Leader(was), Role::Leader(is)) if self.new.durable().current_term == term => {
                Some((was, is, term))
            }
            _ => None,
        }
    }
}

/// Whether `entry` is a client's.
fn is_command<C: Data>(entry: &Entry<C>) -> bool {
    matches!(entry.content, Content::Command { .. })
}
