//! Defects of reads that wait, and of those that followers answer (thesis §6.4).

use alloc::vec::Vec;

use super::{R, message};
use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::raft::Event;
use crate::raft::message::{Message, ReadIndexOutcome};
use crate::raft::state::{Reader, Role};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-READS-UNBOUNDED",
        defect: "a leader lets any number of reads wait",
        source: "thesis §6.4, and a leader that is cut off",
        model: "raft/pending-reads",
        inject: |scenario| scenario.step = lets_all_wait,
    },
    Mutant {
        id: "RAFT-READ-INDICES-UNBOUNDED",
        defect: "a leader lets any number of followers' questions wait",
        source: "thesis §6.4, and a leader that is cut off",
        model: "raft/follower-reads-busy",
        inject: |scenario| scenario.step = lets_all_wait,
    },
    Mutant {
        id: "RAFT-READ-INDEX-SHARED",
        defect: "a follower takes the index of one read for all that wait",
        source: "etcd 10392: a read index that others share",
        model: "raft/follower-reads",
        inject: |scenario| scenario.step = shares_read_indices,
    },
    Mutant {
        id: "RAFT-READ-INDEX-UNAPPLIED",
        defect: "a follower answers as soon as it has the index, with whatever it has applied",
        source: "thesis §6.4: the state machine must have advanced as far as the read index",
        model: "raft/follower-reads-deposed",
        inject: |scenario| scenario.step = answers_unapplied,
    },
    Mutant {
        id: "RAFT-READ-INDEX-EARLY",
        defect: "a new leader gives followers an index before its term's first entry commits",
        source: "§8; thesis §6.4",
        model: "raft/follower-reads-deposed",
        inject: |scenario| scenario.step = gives_early_indices,
    },
    Mutant {
        id: "RAFT-READ-INDEX-UNCONFIRMED",
        defect: "a leader gives followers an index without confirming that it still leads",
        source: "§8; thesis §6.4: a quorum must answer before the index is told",
        model: "raft/follower-reads-cut-off",
        inject: |scenario| scenario.step = gives_unconfirmed_indices,
    },
    Mutant {
        id: "RAFT-READ-TWICE",
        defect: "a read that is asked again waits a second time, and takes another's place",
        source: "thesis §6.4",
        model: "raft/follower-reads-again",
        inject: |scenario| scenario.step = waits_twice,
    },
    Mutant {
        id: "RAFT-READ-OVERLOOKED",
        defect: "who installs a snapshot does not look whether it makes up what a read waits for",
        source: "thesis §6.4",
        model: "raft/install-reads",
        inject: |scenario| scenario.step = overlooks_reads,
    },
    Mutant {
        id: "RAFT-READ-ONCE-AMID-CHUNKS",
        defect: "what a follower has asked is not asked again while it is sent a snapshot",
        source: "thesis §6.4; §5.5: RPCs are retried",
        model: "raft/install-reads",
        inject: |scenario| scenario.step = asks_once,
    },
    Mutant {
        id: "RAFT-ROUND-NEEDLESS",
        defect: "a leader begins another confirmation round though the last read waits for none",
        source: "thesis §6.4",
        model: "raft/pending-reads",
        inject: |scenario| scenario.step = confirms_on,
    },
    Mutant {
        id: "RAFT-ROUNDS-PILED",
        defect: "each read begins a confirmation round of its own, while others are under way",
        source: "thesis §6.4",
        model: "raft/reads-together",
        inject: |scenario| scenario.step = piles_rounds,
    },
    Mutant {
        id: "RAFT-READ-INDEX-SURVIVES",
        defect: "what a follower has asked its leader survives the leader",
        source: "etcd 10392: reads that survive a change of leader",
        model: "raft/follower-reads-deposed",
        inject: |scenario| scenario.step = keeps_asking,
    },
];

fn lets_all_wait(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut patient = raft.clone();
    patient.max_pending_reads = usize::MAX;
    patient.step(node, input, out);
}

fn shares_read_indices(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if let Some(Message::ReadIndexResponse {
        outcome: ReadIndexOutcome::Confirmed { read_index },
        ..
    }) = message(&input)
    {
        for read in &mut node.volatile.follower_reads {
            read.read_index.get_or_insert(*read_index);
        }
    }
    raft.step(node, input, out);
}

fn answers_unapplied(raft: &R, node: &mut Node<R>, mut input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        message:
            Message::ReadIndexResponse {
                outcome: ReadIndexOutcome::Confirmed { read_index },
                ..
            },
        ..
    } = &mut input
    {
        *read_index = node.volatile.applied.last_applied;
    }
    raft.step(node, input, out);
}

fn gives_early_indices(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let asks = matches!(message(&input), Some(Message::ReadIndex { .. }));
    raft.step(node, input, out);
    let commit_index = node.volatile.commit_index;
    if asks
        && let Role::Leader(leadership) = &mut node.volatile.role
        && let Some(read) = leadership.reads.last_mut()
    {
        read.read_index = commit_index;
    }
}

fn gives_unconfirmed_indices(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let asked = match message(&input) {
        Some(Message::ReadIndex { request, .. }) => Some(*request),
        _ => None,
    };
    raft.step(node, input, out);
    let term = node.durable().current_term;
    if let Some(request) = asked
        && let Role::Leader(leadership) = &mut node.volatile.role
        && let Some(read) = leadership.reads.pop_if(|read| read.request == request)
        && let Reader::Follower { node: reader } = read.reader
    {
        let read_index = read.read_index;
        let outcome = ReadIndexOutcome::Confirmed { read_index };
        out.send(
            reader,
            Message::ReadIndexResponse {
                term,
                request,
                outcome,
            },
        );
    }
}

/// Begins a confirmation round.
fn begin_round(raft: &R, node: &mut Node<R>, out: &mut Outbox<R>) {
    if let Role::Leader(leadership) = &mut node.volatile.role {
        leadership.round = leadership.round.next();
    }
    raft.send_heartbeats(node, out);
}

fn confirms_on(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let answers = message(&input).is_some_and(Message::is_response);
    let waited = waiting(node);
    raft.step(node, input, out);
    if answers && waited > 0 && waiting(node) == 0 {
        begin_round(raft, node, out);
    }
}

fn piles_rounds(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let waited = waiting(node);
    raft.step(node, input, out);
    if waited > 0 && waiting(node) > waited {
        begin_round(raft, node, out);
    }
}

/// How many reads wait at a leader.
fn waiting(node: &Node<R>) -> usize {
    match &node.volatile.role {
        Role::Leader(leadership) => leadership.reads.len(),
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => 0,
    }
}

fn waits_twice(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let waited = node.volatile.follower_reads.clone();
    if matches!(input, Input::Ask(_)) {
        node.volatile.follower_reads.clear();
    }
    let is_asked = matches!(input, Input::Ask(_));
    raft.step(node, input, out);
    if is_asked {
        node.volatile.follower_reads.extend(waited);
    }
}

fn overlooks_reads(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let waiting = node.volatile.follower_reads.clone();
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    let effects: Vec<_> = right.drain().collect();
    let installs = |effect: &Effect<R>| matches!(effect, Effect::Emit(Event::Installed { .. }));
    let installs = effects.iter().any(installs);
    for effect in effects {
        if !(installs && matches!(effect, Effect::Emit(Event::Reply { .. }))) {
            out.push(effect);
        }
    }
    if installs {
        node.volatile.follower_reads = waiting;
    }
}

fn asks_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_chunk = matches!(message(&input), Some(Message::InstallSnapshot { .. }));
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        let asks = matches!(
            effect,
            Effect::Send {
                message: Message::ReadIndex { .. },
                ..
            }
        );
        if !(is_chunk && asks) {
            out.push(effect);
        }
    }
}

fn keeps_asking(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let asked = node.volatile.follower_reads.clone();
    let term = node.durable().current_term;
    raft.step(node, input, out);
    if node.durable().current_term > term {
        node.volatile.follower_reads = asked;
    }
}
