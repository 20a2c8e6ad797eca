//! Cluster membership changes (§6; thesis §4): by joint consensus, learners first.
//!
//! A change is two entries of the log. The first is the joint configuration "C-old,new", the
//! second, which the leader appends as soon as the first is committed, is "C-new". A node acts
//! on the latest configuration in its log, "regardless of whether the entry is committed"
//! (§6), and on the one before when that entry is truncated away. A change that touches
//! learners alone changes no quorum, and is one entry.
//!
//! A cluster starts with the configuration that its nodes are given; a node that joins is
//! given none ([`Raft::joining`]) and learns it from the log.

use alloc::collections::{BTreeMap, BTreeSet, btree_map};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::client::redirect;
use super::configuration::{Configuration, Contact, InForce};
use super::log::{Content, Entry, Index};
use super::machine::StateMachine;
use super::progress::Progress;
use super::session::RequestId;
use super::state::{Leadership, Persistent, Record, Role};
use super::{Event, Raft};
use crate::protocol::{Node, NodeId, Outbox, Protocol};

/// A change of membership, made as a whole or not at all. It names what is to be, so that
/// asking for it again does no harm: who is there already, or gone already, stays so.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Change {
    /// Nodes that shall receive the log, and not vote yet.
    pub add: BTreeSet<NodeId>,
    /// Learners that shall vote.
    pub promote: BTreeSet<NodeId>,
    /// Voters or learners that shall leave.
    pub remove: BTreeSet<NodeId>,
    /// How those that are added are known.
    pub contacts: BTreeMap<NodeId, Contact>,
}

impl Change {
    /// Adds `node` as a learner.
    pub fn add(node: NodeId) -> Self {
        Self {
            add: BTreeSet::from([node]),
            ..Self::default()
        }
    }

    /// Adds `node`, which is known so, as a learner.
    pub fn add_with(node: NodeId, contact: Contact) -> Self {
        Self {
            contacts: BTreeMap::from([(node, contact)]),
            ..Self::add(node)
        }
    }

    /// Lets the learner `node` vote.
    pub fn promote(node: NodeId) -> Self {
        Self {
            promote: BTreeSet::from([node]),
            ..Self::default()
        }
    }

    /// Removes `node`.
    pub fn remove(node: NodeId) -> Self {
        Self {
            remove: BTreeSet::from([node]),
            ..Self::default()
        }
    }

    /// Lets the learner `new` vote in the place of `old`, at once.
    pub fn replace(old: NodeId, new: NodeId) -> Self {
        Self {
            promote: BTreeSet::from([new]),
            ..Self::remove(old)
        }
    }

    /// What `current`, which is not joint, becomes by this change.
    ///
    /// # Errors
    /// If the change contradicts itself or does not fit. Nothing depends on who has caught up.
    pub fn applied_to(&self, current: &Configuration) -> Result<Configuration, Refusal> {
        let parts = [&self.add, &self.promote, &self.remove];
        for (part, other) in [(0, 1), (0, 2), (1, 2)] {
            if let Some(&node) = parts[part].intersection(parts[other]).next() {
                return Err(Refusal::Contradiction { node });
            }
        }
        if let Some(&node) = self.add.intersection(&current.voters).next() {
            return Err(Refusal::AlreadyVotes { node });
        }
        if let Some(&node) = self.promote.difference(&current.members()).next() {
            return Err(Refusal::NotAMember { node });
        }
        for (&node, contact) in &self.contacts {
            if !self.add.contains(&node) {
                return Err(Refusal::NotAMember { node });
            }
            // Nor may who has left: what is still under way from it would be taken for the
            // other's, and what it has acknowledged for what the other has.
            if { current.contacts.get(&node) }.is_some_and(|known| known.disk != contact.disk) {
                return Err(Refusal::OtherDisk { node });
            }
        }
        let mut next = current.clone();
        next.contacts.extend(self.contacts.clone());
        next.voters.extend(&self.promote);
        next.learners.extend(&self.add);
        next.voters.retain(|node| !self.remove.contains(node));
        next.learners
            .retain(|node| !self.remove.contains(node) && !self.promote.contains(node));
        if next.voters.is_empty() {
            return Err(Refusal::NoVoters);
        }
        Ok(next)
    }
}

/// Why a change was not begun. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// The leader has not committed an entry of its own term yet, and so does not know
    /// whether a change is under way elsewhere. To be asked again shortly.
    NotEstablished,
    /// Another change is under way: there is never more than one. To be asked again when it
    /// is done.
    ChangeInProgress,
    /// The learner has not caught up: as a voter it would hold commitment up. To be asked
    /// again when it has.
    Behind {
        /// The learner.
        node: NodeId,
    },
    /// The node is to be promoted, and is no member: it must be added first.
    NotAMember {
        /// The node.
        node: NodeId,
    },
    /// The node is to be added as a learner, and votes already.
    AlreadyVotes {
        /// The node.
        node: NodeId,
    },
    /// The node is known, as a member or a former one, with another disk: what it has promised
    /// is lost with that. It must come back under an id that nobody has had.
    OtherDisk {
        /// The node.
        node: NodeId,
    },
    /// The change wants two things of one node.
    Contradiction {
        /// The node.
        node: NodeId,
    },
    /// Nobody would vote any more: the cluster would have ended.
    NoVoters,
}

impl<M: StateMachine> Raft<M> {
    /// Begins a change, or refuses it. Answered when the last configuration of the change is
    /// committed.
    pub(super) fn on_change_membership(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        change: &Change,
        out: &mut Outbox<Self>,
    ) {
        let Role::Leader(leadership) = &mut node.volatile.role else {
            return redirect(node, request, out);
        };
        // A retry of what is under way waits with it.
        if leadership.change == Some(request) {
            return;
        }
        // A change is an entry that the target would lack, and may take its vote from it.
        if leadership.transfer.is_some() {
            return redirect(node, request, out);
        }
        match self.next_configuration(node, change) {
            Err(refusal) => out.emit(Event::Refused { request, refusal }),
            Ok(None) => out.emit(Event::Changed {
                request,
                configuration: self.configuration(node).clone(),
            }),
            Ok(Some(next)) => {
                if let Role::Leader(leadership) = &mut node.volatile.role {
                    leadership.change = Some(request);
                }
                self.propose_configuration(node, next, out);
            }
        }
    }

    /// The first configuration on the way to what `change` asks for; none if it is so already.
    fn next_configuration(
        &self,
        node: &Node<Self>,
        change: &Change,
    ) -> Result<Option<Configuration>, Refusal> {
        let Role::Leader(leadership) = &node.volatile.role else {
            return Ok(None);
        };
        // Until then this leader may act on a configuration that others have overruled, and
        // a change begun from it could meet one begun elsewhere (Ongaro, "Bug in
        // single-server membership changes", raft-dev, 2015). That joint consensus bears it
        // is no reason to begin what is likely to be overwritten.
        if node.volatile.commit_index < leadership.term_start {
            return Err(Refusal::NotEstablished);
        }
        let current = self.configuration(node);
        if current.is_joint() || self.is_changing(node) {
            return Err(Refusal::ChangeInProgress);
        }
        let target = change.applied_to(current)?;
        if let Some(&node) = { target.voters.difference(&current.voters) }
            .find(|&&voter| !has_caught_up(node, leadership, voter))
        {
            return Err(Refusal::Behind { node });
        }
        if target == *current {
            return Ok(None);
        }
        let outgoing = if target.voters == current.voters {
            BTreeSet::new()
        } else {
            current.voters.clone()
        };
        Ok(Some(Configuration { outgoing, ..target }))
    }

    /// Whether the configuration in force is not known to be committed.
    pub(super) fn is_changing(&self, node: &Node<Self>) -> bool {
        let commit_index = node.volatile.commit_index;
        let in_force = node.volatile.configuration.as_ref();
        in_force.is_some_and(|in_force| in_force.index > commit_index)
    }

    fn propose_configuration(
        &self,
        node: &mut Node<Self>,
        configuration: Configuration,
        out: &mut Outbox<Self>,
    ) {
        let entry = Entry {
            term: node.durable().current_term,
            content: Content::Configuration(configuration),
        };
        self.append_entry(node, entry, out);
        self.send_all_appends(node, out);
        self.advance_commit_index(node, out);
    }

    /// Puts an entry at the end of the log. "Once a given server adds the new configuration
    /// entry to its log, it uses that configuration for all future decisions" (§6).
    pub(super) fn append_entry(
        &self,
        node: &mut Node<Self>,
        entry: Entry<M::Command>,
        out: &mut Outbox<Self>,
    ) {
        let configuration = match &entry.content {
            Content::Configuration(configuration) => Some(configuration.clone()),
            Content::Noop | Content::Command { .. } | Content::ExpireSessions { .. } => None,
        };
        node.write(Record::Append(entry));
        if let Some(configuration) = configuration {
            let index = node.durable().log.last_index();
            self.enter(
                node,
                Some(InForce {
                    index,
                    configuration,
                }),
                out,
            );
        }
    }

    /// Removes the entry at `from` and all that follow it, and with them the configurations
    /// that they hold.
    pub(super) fn truncate_log(&self, node: &mut Node<Self>, from: Index, out: &mut Outbox<Self>) {
        node.write(Record::Truncate { from });
        let in_force = node.volatile.configuration.as_ref();
        if in_force.is_some_and(|in_force| in_force.index >= from) {
            self.enter(node, self.latest_configuration(node.durable()), out);
        }
    }

    /// The latest configuration that the disk remembers.
    pub(super) fn latest_configuration(&self, durable: &Persistent<M>) -> Option<InForce> {
        durable.configuration_at(durable.log.last_index())
    }

    /// Acts on another configuration from now on.
    pub(super) fn enter(
        &self,
        node: &mut Node<Self>,
        in_force: Option<InForce>,
        out: &mut Outbox<Self>,
    ) {
        node.volatile.configuration = in_force;
        let last_index = node.durable().log.last_index();
        for peer in self.peers(node) {
            if let Role::Leader(leadership) = &mut node.volatile.role
                && let btree_map::Entry::Vacant(entry) = leadership.progress.entry(peer)
            {
                entry.insert(Progress::unknown(last_index));
                // Who joins need not wait for a heartbeat.
                self.send_probe(node, peer, out);
            }
        }
        out.emit(Event::MembershipChanged {
            configuration: self.configuration(node).clone(),
        });
    }

    /// The other nodes that a leader replicates to: the members, and until the configuration
    /// in force is committed those of the one before. A node that leaves thus learns of it.
    pub fn peers(&self, node: &Node<Self>) -> Vec<NodeId> {
        let mut members = self.configuration(node).members();
        if self.is_changing(node) {
            members.extend(self.previous_configuration(node).members());
        }
        let others = members.into_iter().filter(|&peer| peer != self.id());
        others.collect()
    }

    /// The configuration before the one in force.
    fn previous_configuration(&self, node: &Node<Self>) -> Configuration {
        let in_force = node.volatile.configuration.as_ref();
        let before = in_force.and_then(|in_force| {
            let durable = node.durable();
            durable.configuration_at(in_force.index.previous())
        });
        before.map_or_else(
            || self.founding(node).clone(),
            |before| before.configuration,
        )
    }

    /// Whether this node may stand for election. A voter may, and so may a node that has
    /// ceased to be one until it knows this to be committed: it "should still start new
    /// elections, as it might still be needed until the C-new entry is committed" (thesis
    /// §4.2.2). It may hold the only log that is up to date. A learner and a node that knows
    /// no configuration never do.
    pub(super) fn may_stand(&self, node: &Node<Self>) -> bool {
        self.configuration(node).is_voter(self.id())
            || self.is_changing(node) && self.previous_configuration(node).is_voter(self.id())
    }

    /// Whether this node is a member by what it knows to be committed.
    pub(super) fn belongs(&self, node: &Node<Self>) -> bool {
        let committed = node.durable().configuration_at(node.volatile.commit_index);
        let committed = committed.as_ref().map(|latest| &latest.configuration);
        let committed = committed.unwrap_or_else(|| self.founding(node));
        committed.is_member(self.id())
    }

    /// The configuration in force is committed from now on. Those that it leaves out are told
    /// so, once: whoever misses it is a former member that asks in vain. A node that joins hears
    /// of configurations without it first: it has not left, unless it `belonged`.
    pub(super) fn on_configuration_committed(
        &self,
        node: &mut Node<Self>,
        belonged: bool,
        out: &mut Outbox<Self>,
    ) {
        out.emit(Event::MembershipCommitted {
            configuration: self.configuration(node).clone(),
        });
        let members = self.configuration(node).members();
        let former = self.previous_configuration(node).members();
        for peer in former.difference(&members) {
            self.send_rest(node, *peer, out);
        }
        let has_been = belonged || former.contains(&self.id());
        if has_been && !members.contains(&self.id()) {
            out.emit(Event::Retired);
        }
    }

    /// What follows from the commitment of the configuration in force. Runs whenever a leader
    /// may have committed something, and when it takes office: a change that one leader has
    /// begun is ended by the next.
    pub(super) fn settle_configuration(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Role::Leader(leadership) = &node.volatile.role else {
            return;
        };
        if self.is_changing(node) {
            return;
        }
        let is_transferring = leadership.transfer.is_some();
        let configuration = self.configuration(node);
        // "Once C-old,new has been committed, neither C-old nor C-new can make decisions
        // without approval of the other [...]. It is now safe for the leader to create a log
        // entry describing C-new" (§6).
        if configuration.is_joint() {
            // The target would lack it (thesis §3.10): it, or this leader, ends the change.
            if is_transferring {
                return;
            }
            return self.propose_configuration(node, configuration.without_outgoing(), out);
        }
        let (configuration, votes) = (configuration.clone(), configuration.is_voter(self.id()));
        if let Role::Leader(leadership) = &mut node.volatile.role
            && let Some(request) = leadership.change.take()
        {
            out.emit(Event::Changed {
                request,
                configuration,
            });
        }
        // "The leader steps down (returns to follower state) once it has committed the C-new
        // log entry" (§6).
        if !votes {
            self.follow(node, None, out);
        }
    }
}

/// Whether the leader knows `learner` to hold all that is committed.
fn has_caught_up<M: StateMachine>(
    node: &Node<Raft<M>>,
    leadership: &Leadership<M>,
    learner: NodeId,
) -> bool {
    let progress = leadership.progress.get(&learner);
    progress.is_some_and(|learner| learner.match_index >= node.volatile.commit_index)
}
