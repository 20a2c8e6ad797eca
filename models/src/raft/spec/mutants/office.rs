//! Defects in what a leader knows of its peers, and they of it (Figure 2; thesis §6.4).

use alloc::collections::BTreeSet;

use super::{R, leads};
use crate::protocol::{Input, Node, NodeId, Outbox, Protocol};
use crate::raft::Timer;
use crate::raft::state::Role;
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-MATCH-PRESUMED",
        defect: "a new leader takes the others to have what it knows to be committed",
        source: "Figure 2: matchIndex, initialized to 0",
        model: "raft/grow",
        inject: |scenario| scenario.step = presumes_committed,
    },
    Mutant {
        id: "RAFT-ROUND-OF-ALL",
        defect: "one peer's answer confirms a read for all of them",
        source: "thesis §6.4, step 3: a majority of the cluster",
        model: "raft/asked-amid-change",
        inject: |scenario| scenario.step = answers_for_all,
    },
    Mutant {
        id: "RAFT-MEMBER-UNTRACKED",
        defect: "a leader knows nothing of members that were added in its term, and sends them nothing",
        source: "§6: log entries are replicated to all servers in both configurations",
        model: "raft/move",
        inject: |scenario| scenario.step = tracks_nobody_new,
    },
    Mutant {
        id: "RAFT-FOLLOWS-CANDIDATE",
        defect: "whoever makes a higher term known is taken for its leader, and clients are sent there",
        source: "§5.1, §8",
        model: "raft/divergence",
        inject: |scenario| scenario.step = follows_whoever_is_ahead,
    },
    Mutant {
        id: "RAFT-QUORUM-JOINT-NEW",
        defect: "in joint consensus a leader stays that hears from a majority of the new voters alone",
        source: "thesis §6.2; §6: \"separate majorities\"",
        model: "raft/asked-amid-change",
        inject: |scenario| scenario.step = is_content_with_the_new,
    },
];

/// Acts on the configuration that is to come when its lease runs out.
fn is_content_with_the_new(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let in_force = node.volatile.configuration.clone();
    let is_lease = input == Input::Fire(Timer::Lease);
    if let Some(in_force) = node.volatile.configuration.as_mut().filter(|_| is_lease) {
        in_force.configuration = in_force.configuration.without_outgoing();
    }
    raft.step(node, input, out);
    if is_lease {
        node.volatile.configuration = in_force;
    }
}

fn presumes_committed(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let led = leads(node);
    raft.step(node, input, out);
    let commit_index = node.volatile.commit_index;
    if let Role::Leader(leadership) = &mut node.volatile.role
        && !led
    {
        for peer in leadership.progress.values_mut() {
            peer.match_index = commit_index;
        }
    }
}

fn answers_for_all(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    if let Role::Leader(leadership) = &mut node.volatile.role {
        let latest = leadership.progress.values().map(|peer| peer.round).max();
        for peer in leadership.progress.values_mut() {
            peer.round = latest.unwrap_or_default();
        }
    }
}

fn tracks_nobody_new(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let known: Option<BTreeSet<NodeId>> = match &node.volatile.role {
        Role::Leader(leadership) => Some(leadership.progress.keys().copied().collect()),
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => None,
    };
    raft.step(node, input, out);
    if let Role::Leader(leadership) = &mut node.volatile.role
        && let Some(known) = known
    {
        leadership.progress.retain(|peer, _| known.contains(peer));
    }
}

fn follows_whoever_is_ahead(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let term = node.durable().current_term;
    let sender = match &input {
        Input::Deliver { from, .. } => Some(*from),
        Input::Fire(_) | Input::Ask(_) => None,
    };
    raft.step(node, input, out);
    if let Role::Follower { leader: None } = node.volatile.role
        && node.durable().current_term > term
    {
        node.volatile.role = Role::Follower { leader: sender };
    }
}
