//! Defects of what a leader owes to those whom a change of membership concerns (§6).

use alloc::vec::Vec;

use super::R;
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::membership::Refusal;
use crate::raft::spec::machine::Adder;
use crate::raft::state::{Leadership, Role};
use crate::raft::{Command, Event, Timer};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-CHANGE-ABANDONED",
        defect: "a leader that steps down lets who asked for a change wait",
        source: "§6, §8: the client retries with the leader that there is",
        model: "raft/move",
        inject: |scenario| scenario.step = abandons_changes,
    },
    Mutant {
        id: "RAFT-CHANGE-RETRY-REFUSED",
        defect: "who asks again for the change under way is refused, because one is under way",
        source: "§6, §8",
        model: "raft/move",
        inject: |scenario| scenario.step = refuses_retries,
    },
    Mutant {
        id: "RAFT-LEFT-UNTOLD",
        defect: "a node that has left is not told so",
        source: "thesis §4.2.2",
        model: "raft/last-but-one",
        inject: |scenario| scenario.step = tells_members_alone,
    },
    Mutant {
        id: "RAFT-LEFT-HEARTENED",
        defect: "a leader goes on sending heartbeats to who has left",
        source: "thesis §4.2.2",
        model: "raft/overruled",
        inject: |scenario| scenario.step = heartens_all,
    },
];

fn leadership(node: &Node<R>) -> Option<&Leadership<Adder>> {
    match &node.volatile.role {
        Role::Leader(leadership) => Some(leadership),
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => None,
    }
}

fn abandons_changes(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let pending = leadership(node).and_then(|leadership| leadership.change);
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    let refuses = |effect: &Effect<R>| match effect {
        Effect::Emit(Event::Redirect { request, .. }) => pending == Some(*request),
        _ => false,
    };
    for effect in right.drain().filter(|effect| !refuses(effect)) {
        out.push(effect);
    }
}

fn refuses_retries(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let pending = leadership(node).and_then(|leadership| leadership.change);
    match input {
        Input::Ask(Command::ChangeMembership { request, .. }) if pending == Some(request) => {
            let refusal = Refusal::ChangeInProgress;
            out.emit(Event::Refused { request, refusal });
        }
        input => raft.step(node, input, out),
    }
}

fn tells_members_alone(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let was_changing = leadership(node).is_some() && raft.is_changing(node);
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    let settles = was_changing && !raft.is_changing(node);
    let members = raft.configuration(node).members();
    for effect in right.drain() {
        match effect {
            Effect::Send { to, .. } if settles && !members.contains(&to) => {}
            effect => out.push(effect),
        }
    }
}

fn heartens_all(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_heartbeat = input == Input::Fire(Timer::Heartbeat);
    raft.step(node, input, out);
    let known: Vec<NodeId> = match &node.volatile.role {
        Role::Leader(leadership) if is_heartbeat => leadership.progress.keys().copied().collect(),
        _ => Vec::new(),
    };
    let peers = raft.peers(node);
    for former in known.into_iter().filter(|peer| !peers.contains(peer)) {
        raft.send_heartbeat(node, former, out);
    }
}
