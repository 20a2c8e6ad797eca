//! Defects of what a leader owes to those whom a change of membership concerns (§6).

use alloc::vec::Vec;

use super::{R, step_and_rewrite};
use crate::machine::StateMachine;
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::membership::Refusal;
use crate::raft::message::Message;
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
        id: "RAFT-LEFT-UNTOLD-AT-ONCE",
        defect: "a leader that commits a change in the step in which it begins it tells nobody that it has \
                 left by it",
        source: "thesis §4.2.1, §4.2.2: a learner that is removed waits for a leader for ever",
        model: "raft/learner-leaves",
        inject: |scenario| scenario.step = tells_nobody_at_once,
    },
    Mutant {
        id: "RAFT-LEFT-UNTOLD-IN-OFFICE",
        defect: "a leader that commits in the step in which it is elected tells nobody that it has left",
        source: "thesis §4.2.1, §4.2.2: a learner that is removed waits for a leader for ever",
        model: "raft/learner-leaves",
        inject: |scenario| scenario.step = tells_nobody_when_elected,
    },
    Mutant {
        id: "RAFT-LEFT-UNTOLD-COMPACTED",
        defect: "who leaves is looked up in the log alone: where the configuration before is in the snapshot \
                 alone, it is not told",
        source: "§7: a snapshot includes the latest configuration; thesis §4.2.2",
        model: "raft/learner-leaves-compacted",
        inject: |scenario| scenario.step = looks_up_leavers_in_the_log,
    },
    Mutant {
        id: "RAFT-LEARNER-LEFT-UNTOLD",
        defect: "a learner that has left is not told so, and a voter is",
        source: "thesis §4.2.1, §4.2.2: a learner that is removed waits for a leader for ever",
        model: "raft/learner-of-two-leaves",
        inject: |scenario| scenario.step = tells_voters_alone,
    },
    Mutant {
        id: "RAFT-LEFT-HEARTENED",
        defect: "a leader goes on sending heartbeats to who has left",
        source: "thesis §4.2.2",
        model: "raft/overruled",
        inject: |scenario| scenario.step = heartens_all,
    },
    Mutant {
        id: "RAFT-LEFT-TOLD-UNAPPLIED",
        defect: "who leaves is told how far the log is committed with the checksum of what was applied \
                 before: it takes its leader to contradict it, and halts",
        source: "thesis §4.2.2; \"If commitIndex > lastApplied\" (Figure 2, \"All Servers\") comes first",
        model: "raft/learner-leaves-with-a-write",
        inject: |scenario| scenario.step = tells_before_it_applies,
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

/// Lets the protocol take its step, and leaves out what it says, once a configuration is committed, to
/// those of whom `is_left_out` is true and who are no members.
fn step_and_tell_members(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
    is_left_out: impl Fn(NodeId) -> bool,
) {
    let committed = node.volatile.commit_index;
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    let commit_index = node.volatile.commit_index;
    let members = raft.configuration(node).members();
    for effect in right.drain() {
        match effect {
            Effect::Send {
                to,
                message: Message::AppendEntries { leader_commit, .. },
            } if leader_commit == commit_index
                && commit_index > committed
                && !members.contains(&to)
                && is_left_out(to) => {}
            effect => out.push(effect),
        }
    }
}

fn tells_nobody_at_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let begins = matches!(input, Input::Ask(Command::ChangeMembership { .. }));
    step_and_tell_members(raft, node, input, out, |_| begins);
}

fn tells_nobody_when_elected(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let stands = input == Input::Fire(Timer::Election);
    step_and_tell_members(raft, node, input, out, |_| stands);
}

fn looks_up_leavers_in_the_log(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let log = &node.durable().log;
    let is_in_log = log.configuration_at(log.last_index()).is_some();
    step_and_tell_members(raft, node, input, out, |_| !is_in_log);
}

fn tells_voters_alone(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let voters = raft.configuration(node).all_voters();
    step_and_tell_members(raft, node, input, out, |peer| !voters.contains(&peer));
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

fn tells_before_it_applies(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let before = node.volatile.applied.machine.checksum();
    step_and_rewrite(raft, node, input, out, |node, mut effect| {
        if let Effect::Send {
            to,
            message: Message::AppendEntries { checksum, .. },
        } = &mut effect
            && !raft.peers(node).contains(to)
        {
            *checksum = before;
        }
        effect
    });
}
