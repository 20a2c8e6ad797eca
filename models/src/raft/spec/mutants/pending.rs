//! Defects in what a node knows of those who wait for its answer (§6, §8; thesis §6.4): one client's
//! doings spoil another's.

use super::{R, leads, message, step_and_rewrite};
use crate::machine::StateMachine;
use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::raft::message::{Message, ReadIndexOutcome, Round};
use crate::raft::spec::machine::Adder;
use crate::raft::state::{Leadership, Reader, Role};
use crate::raft::{Command, Event};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-READ-HERE-OF-CLIENT",
        defect: "a follower takes a client's next read for the one that waits, asked again",
        source: "thesis §6.4: each read is answered",
        model: "raft/follower-reads-given-up",
        inject: |scenario| scenario.step = takes_reads_of_a_client_for_one,
    },
    Mutant {
        id: "RAFT-TRANSFER-CHANGE-UNTOLD",
        defect: "who hands its leadership over tells so who asked for that, and not who waits for a \
                 change",
        source: "§6; thesis §3.10",
        model: "raft/transfer-asked-twice",
        inject: |scenario| scenario.step = tells_one_of_two,
    },
    Mutant {
        id: "RAFT-READS-BY-NUMBER",
        defect: "a read that is answered takes those of other clients with it that have its number",
        source: "§8: a request is its client's",
        model: "raft/reads-together",
        inject: |scenario| scenario.step = forgets_by_number,
    },
    Mutant {
        id: "RAFT-CHANGE-OVERWRITTEN",
        defect: "who asks for a change while another's is under way is refused, and has its answer in \
                 the end: the other has none",
        source: "§6, §8",
        model: "raft/asked-amid-change",
        inject: |scenario| scenario.step = takes_anothers_place,
    },
    Mutant {
        id: "RAFT-QUESTIONS-REDIRECTED",
        defect: "a leader that steps down sends followers' clients elsewhere, as if they were its own",
        source: "thesis §6.4",
        model: "raft/follower-reads-deposed",
        inject: |scenario| scenario.step = redirects_questions,
    },
    Mutant {
        id: "RAFT-QUESTIONS-DROPPED",
        defect: "once a follower is told an index, what it has asked for other reads is forgotten",
        source: "thesis §6.4",
        model: "raft/follower-reads",
        inject: |scenario| scenario.step = forgets_by_follower,
    },
    Mutant {
        id: "RAFT-READ-JOINS-ROUND",
        defect: "a read that comes while a round is under way is confirmed by that",
        source: "thesis §6.4, step 3: heartbeats sent since",
        model: "raft/reads-together",
        inject: |scenario| scenario.step = joins_round,
    },
    Mutant {
        id: "RAFT-READ-JOINT-NEW",
        defect: "in joint consensus a read is confirmed by a majority of the new voters alone",
        source: "thesis §6.4; §6: \"separate majorities\"",
        model: "raft/asked-amid-change",
        inject: |scenario| scenario.step = confirms_by_the_new,
    },
    Mutant {
        id: "RAFT-ROUND-AHEAD",
        defect: "who answers an append confirms the round that follows, too",
        source: "thesis §6.4, step 3",
        model: "raft/reads-together",
        inject: |scenario| scenario.step = answers_ahead,
    },
];

fn led(node: &mut Node<R>) -> Option<&mut Leadership<Adder>> {
    match &mut node.volatile.role {
        Role::Leader(leadership) => Some(leadership),
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => None,
    }
}

fn forgets_by_number(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        if let Effect::Emit(Event::Reply { request, .. }) = &effect
            && let Some(leadership) = led(node)
        {
            let number = request.sequence;
            leadership
                .reads
                .retain(|read| read.request.sequence != number);
        }
        out.push(effect);
    }
}

fn takes_anothers_place(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let asks = match &input {
        Input::Ask(Command::ChangeMembership { request, .. }) => Some(*request),
        _ => None,
    };
    let pending = led(node).and_then(|leadership| leadership.change);
    raft.step(node, input, out);
    if let Some(leadership) = led(node)
        && pending.is_some()
        && asks.is_some()
    {
        leadership.change = asks;
    }
}

fn forgets_by_follower(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        if let Effect::Send {
            to,
            message:
                Message::ReadIndexResponse {
                    outcome: ReadIndexOutcome::Confirmed { .. },
                    ..
                },
        } = &effect
            && let Some(leadership) = led(node)
        {
            let told = Reader::Follower { node: *to };
            leadership.reads.retain(|read| read.reader != told);
        }
        out.push(effect);
    }
}

fn redirects_questions(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let asked = led(node).map(|leadership| leadership.reads.clone());
    raft.step(node, input, out);
    let questions = asked.filter(|_| !leads(node)).into_iter().flatten();
    for read in questions.filter(|read| matches!(read.reader, Reader::Follower { .. })) {
        out.emit(Event::Redirect {
            request: read.request,
            leader: None,
        });
    }
}

fn joins_round(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let before = led(node).map(|leadership| (leadership.round, leadership.reads.len()));
    raft.step(node, input, out);
    if let (Some((round, waited)), Some(leadership)) = (before, led(node))
        && round > Round(0)
        && leadership.reads.len() > waited
        && let Some(read) = leadership.reads.last_mut()
    {
        read.round = round;
    }
}

fn confirms_by_the_new(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    let new = raft.configuration(node).without_outgoing();
    let applied = node.volatile.applied.clone();
    let Some(leadership) = led(node).filter(|_| !new.voters.is_empty()) else {
        return;
    };
    let confirmed = new.reached_by_quorum(|voter| match leadership.progress.get(&voter) {
        Some(peer) => peer.round,
        None => leadership.round,
    });
    leadership.reads.retain(|read| {
        let Reader::Client { query } = &read.reader else {
            return true;
        };
        let is_ready = read.round <= confirmed && read.read_index <= applied.last_applied;
        if is_ready {
            out.emit(Event::Reply {
                request: read.request,
                response: applied.machine.query(query),
            });
        }
        !is_ready
    });
}

fn answers_ahead(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_answer = matches!(message(&input), Some(Message::AppendEntries { .. })) && !leads(node);
    step_and_rewrite(raft, node, input, out, |_, mut effect| {
        if let Effect::Send {
            message: Message::AppendEntriesResponse { round, .. },
            ..
        } = &mut effect
            && is_answer
        {
            *round = round.next();
        }
        effect
    });
}

fn takes_reads_of_a_client_for_one(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
) {
    if let Input::Ask(Command::ReadHere { request, .. }) = &input
        && let mut reads = node.volatile.follower_reads.iter()
        && reads.any(|read| read.request.client == request.client)
    {
        return;
    }
    raft.step(node, input, out);
}

fn tells_one_of_two(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let waits = match &node.volatile.role {
        Role::Leader(leads) if leads.transfer.is_some() => leads.change,
        _ => None,
    };
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        let is_its = match &effect {
            Effect::Emit(Event::Redirect { request, .. }) => waits == Some(*request),
            _ => false,
        };
        if leads(node) || !is_its {
            out.push(effect);
        }
    }
}
