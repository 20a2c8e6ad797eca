//! Defects of leadership transfer (thesis §3.10).

use super::{R, message};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::message::Message;
use crate::raft::spec::machine::Adder;
use crate::raft::state::{Leadership, Role};
use crate::raft::{Command, Event, Timer, Transfer};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-TRANSFER-BEHIND",
        defect: "the target is told to stand before its log is complete",
        source: "thesis §3.10, step 2",
        model: "raft/transfer",
        inject: |scenario| scenario.step = summons_at_once,
    },
    Mutant {
        id: "RAFT-TRANSFER-PROPOSALS",
        defect: "commands are taken while leadership is transferred, and the target lacks them",
        source: "thesis §3.10, step 1",
        model: "raft/transfer",
        inject: |scenario| scenario.step = takes_commands,
    },
    Mutant {
        id: "RAFT-TRANSFER-ENDLESS",
        defect: "a transfer is never given up: where the target is away, no command is taken any \
                 more. As a safety property: a pending transfer has its timer running",
        source: "thesis §3.10, last paragraph",
        model: "raft/transfer",
        inject: |scenario| scenario.step = never_gives_up,
    },
    Mutant {
        id: "RAFT-TRANSFER-UNKNOWN",
        defect: "a node that has not heard of its leader since it started does not stand when that tells it to",
        source: "thesis §3.10, step 3",
        model: "raft/transfer-to-restarted",
        inject: |scenario| scenario.step = obeys_whom_it_knows,
    },
    Mutant {
        id: "RAFT-TRANSFER-LEARNER",
        defect: "leadership is transferred to a node that has no vote and cannot be elected",
        source: "thesis §3.10, §4.2.1",
        model: "raft/transfer-to-learner",
        inject: |scenario| scenario.step = transfers_to_anybody,
    },
    Mutant {
        id: "RAFT-TRANSFER-UNPERMITTED",
        defect: "a vote request claims the leader's permission without having it",
        source: "thesis §4.2.3, last paragraph",
        model: "raft/check-quorum",
        inject: |scenario| scenario.step = claims_permission,
    },
    Mutant {
        id: "RAFT-TRANSFER-CHANGES",
        defect: "a change of membership is begun while leadership is transferred, and takes the \
                 target's vote from it",
        source: "thesis §3.10, step 1; etcd drops every proposal while it transfers",
        model: "raft/transfer-amid-change",
        inject: |scenario| scenario.step = takes_changes,
    },
    Mutant {
        id: "RAFT-TRANSFER-ENDS-CHANGE",
        defect: "C-new is appended while leadership is transferred, and the target lacks it",
        source: "thesis §3.10, step 3: its log is complete",
        model: "raft/transfer-amid-change",
        inject: |scenario| scenario.step = ends_changes,
    },
    Mutant {
        id: "RAFT-TRANSFER-EXPIRES",
        defect: "sessions are let expire while leadership is transferred, and the target lacks the \
                 entry that says so",
        source: "thesis §3.10, step 1",
        model: "raft/transfer-amid-expiry",
        inject: |scenario| scenario.step = expires_sessions,
    },
    Mutant {
        id: "RAFT-TRANSFER-TIMER-LEFT",
        defect: "the timer of a transfer that is over runs on, into the next one's time",
        source: "thesis §3.10, last paragraph: after about an election timeout",
        model: "raft/transfer",
        inject: |scenario| scenario.step = leaves_its_timer,
    },
    Mutant {
        id: "RAFT-TRANSFER-TOLD-ONCE",
        defect: "the target is told to stand once, and that may be lost",
        source: "thesis §3.10, step 3; §5.5: RPCs are retried",
        model: "raft/transfer",
        inject: |scenario| scenario.step = summons_once,
    },
    Mutant {
        id: "RAFT-TRANSFER-KEEPS-READS",
        defect: "who is told to stand lets reads wait on for an answer of the leader that it is to replace",
        source: "thesis §3.10, §6.4: the read index is the leader's to give",
        model: "raft/transfer-to-reader",
        inject: |scenario| scenario.step = keeps_reads,
    },
];

fn leadership(node: &mut Node<R>) -> Option<&mut Leadership<Adder>> {
    match &mut node.volatile.role {
        Role::Leader(leadership) => Some(leadership),
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => None,
    }
}

fn summons_at_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let target = match &input {
        Input::Ask(Command::TransferLeadership { to, .. }) => Some(*to),
        _ => None,
    };
    raft.step(node, input, out);
    let term = node.durable().current_term;
    if let Some(to) = target
        && leadership(node).is_some_and(|leadership| leadership.transfer.is_some())
    {
        out.send(to, Message::TimeoutNow { term });
    }
}

fn takes_commands(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if !matches!(input, Input::Ask(Command::Propose { .. })) {
        return raft.step(node, input, out);
    }
    unawares(raft, node, input, out);
}

fn takes_changes(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if matches!(input, Input::Ask(Command::ChangeMembership { .. })) {
        unawares(raft, node, input, out);
    } else {
        raft.step(node, input, out);
    }
}

fn ends_changes(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if matches!(input, Input::Deliver { .. }) {
        unawares(raft, node, input, out);
    } else {
        raft.step(node, input, out);
    }
}

fn expires_sessions(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    let pending = leadership(node).and_then(|leadership| leadership.transfer.take());
    raft.expire_sessions(node, out);
    if let Some(leadership) = leadership(node) {
        leadership.transfer = pending;
    }
}

/// The step of a leader that does not know that it hands its leadership over.
fn unawares(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let pending = leadership(node).and_then(|leadership| leadership.transfer.take());
    raft.step(node, input, out);
    if let Some(leadership) = leadership(node) {
        leadership.transfer = pending;
    }
}

/// Only when it is asked to.
fn summons_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_asked = matches!(input, Input::Ask(_));
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        let summons = matches!(
            effect,
            Effect::Send {
                message: Message::TimeoutNow { .. },
                ..
            }
        );
        if is_asked || !summons {
            out.push(effect);
        }
    }
}

fn keeps_reads(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_told = matches!(message(&input), Some(Message::TimeoutNow { .. }));
    let waiting = node.volatile.follower_reads.clone();
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    let redirects =
        |effect: &Effect<R>| is_told && matches!(effect, Effect::Emit(Event::Redirect { .. }));
    for effect in right.drain().filter(|effect| !redirects(effect)) {
        out.push(effect);
    }
    if is_told {
        node.volatile.follower_reads = waiting;
    }
}

fn leaves_its_timer(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    let stops = |effect: &Effect<R>| *effect == Effect::Disarm(Timer::Transfer);
    for effect in right.drain().filter(|effect| !stops(effect)) {
        out.push(effect);
    }
}

fn never_gives_up(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if input != Input::Fire(Timer::Transfer) {
        raft.step(node, input, out);
    }
}

fn transfers_to_anybody(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Ask(Command::TransferLeadership { request, to }) = input
        && let Some(leadership) = leadership(node)
    {
        leadership.transfer = Some(Transfer { request, to });
        out.arm(Timer::Transfer);
        raft.send_heartbeat(node, to, out);
    } else {
        raft.step(node, input, out);
    }
}

fn claims_permission(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    super::step_and_rewrite(raft, node, input, out, |_, mut effect| {
        if let Effect::Send {
            message:
                Message::RequestVote {
                    leadership_transfer,
                    ..
                },
            ..
        } = &mut effect
        {
            // One is enough, and the others can take office.
            *leadership_transfer |= raft.id() == NodeId(1);
        }
        effect
    });
}

fn obeys_whom_it_knows(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_told = matches!(
        input,
        Input::Deliver {
            message: Message::TimeoutNow { .. },
            ..
        }
    );
    let leader = None;
    if !is_told || node.volatile.role != (Role::Follower { leader }) {
        raft.step(node, input, out);
    }
}
