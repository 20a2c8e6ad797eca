//! Defects of pipelined appends and their flow control (thesis §10.2).

use alloc::vec::Vec;

use super::{R, leads, message, step_and_rewrite};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::Timer;
use crate::raft::log::Index;
use crate::raft::message::{AppendOutcome, Message};
use crate::raft::progress::{InFlight, Mode, progress_of};
use crate::raft::state::Role;
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-PIPE-OPTIMISTIC",
        defect: "what has been sent counts as acknowledged",
        source: "Figure 2: nextIndex is a guess, matchIndex is known",
        model: "raft/pipelining",
        inject: |scenario| scenario.step = counts_what_is_sent,
    },
    Mutant {
        id: "RAFT-PIPE-HOLE",
        defect: "entries that follow a lost append are appended in its place",
        source: "§5.3, the consistency check",
        model: "raft/pipelining",
        inject: |scenario| scenario.step = closes_holes,
    },
    Mutant {
        id: "RAFT-PIPE-HOLE-ACKED",
        defect: "an append behind a hole is ignored and acknowledged",
        source: "§5.3, the consistency check",
        model: "raft/pipelining",
        inject: |scenario| scenario.step = acknowledges_behind_holes,
    },
    Mutant {
        id: "RAFT-PIPE-WINDOW-SHUT",
        defect: "an acknowledgement does not open the window",
        source: "thesis §10.2",
        model: "raft/pipelining",
        inject: |scenario| scenario.step = never_reopens_window,
    },
    Mutant {
        id: "RAFT-PIPE-WINDOW-IGNORED",
        defect: "appends are sent whether the window has room or not",
        source: "thesis §10.2",
        model: "raft/pipelining",
        inject: |scenario| scenario.step = ignores_window,
    },
    Mutant {
        id: "RAFT-PIPE-FREED-TWICE",
        defect: "an acknowledgement frees one append more than it acknowledges: more are under way \
                 than the window admits",
        source: "thesis §10.2: the leader limits what it sends without an answer",
        model: "raft/pipelining",
        inject: |scenario| {
            scenario.step = frees_one_more;
            // An answer to what the window has forgotten is inert only if it has not.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "RAFT-PIPE-HOPES-FOR-EVER",
        defect: "that something was acknowledged is noted once and for all: what is lost after that is \
                 never sent again, though heartbeats are answered",
        source: "§5.3: the leader retries indefinitely",
        model: "raft/pipelining",
        inject: |scenario| scenario.step = hopes_for_ever,
    },
    Mutant {
        id: "RAFT-PIPE-WEIGHTLESS",
        defect: "the window counts appends, and not what they weigh",
        source: "thesis §10.2.2: the leader limits what it sends without an answer",
        model: "raft/pipelining-by-weight",
        inject: |scenario| scenario.step = weighs_nothing,
    },
    Mutant {
        id: "RAFT-APPEND-UNBOUNDED",
        defect: "an append carries all that its receiver lacks, whatever that weighs",
        source: "thesis §10.2.2: the limit on an append",
        model: "raft/catch-up",
        inject: |scenario| scenario.step = fills_boundlessly,
    },
    Mutant {
        id: "RAFT-APPEND-SINGLY",
        defect: "an append carries one entry, whatever it may: catching up takes a round trip for \
                 each",
        source: "thesis §10.2.2: batching",
        model: "raft/skipped-terms",
        inject: |scenario| scenario.step = sends_singly,
    },
    Mutant {
        id: "RAFT-PIPE-NO-FALLBACK",
        defect: "a refusal while appends are pipelined is ignored: what was lost stays lost",
        source: "§5.3: after a rejection the leader decrements nextIndex and retries",
        model: "raft/pipelining",
        inject: |scenario| scenario.step = ignores_refusals,
    },
    Mutant {
        id: "RAFT-HEARTBEAT-ONCE",
        defect: "the heartbeat timer is not armed again",
        source: "§5.2: the leader sends periodic heartbeats",
        model: "raft/pipelining",
        inject: |scenario| scenario.step = beats_once,
    },
];

fn counts_what_is_sent(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    if let Role::Leader(leadership) = &mut node.volatile.role {
        for progress in leadership.progress.values_mut() {
            progress.match_index = progress.next_index.previous();
        }
    }
    raft.advance_commit_index(node, out);
}

fn closes_holes(raft: &R, node: &mut Node<R>, mut input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        message:
            Message::AppendEntries {
                prev_log_index,
                prev_log_term,
                ..
            },
        ..
    } = &mut input
        && *prev_log_index > node.durable().log.last_index()
    {
        *prev_log_index = node.durable().log.last_index();
        *prev_log_term = node.durable().log.last_term();
    }
    raft.step(node, input, out);
}

fn acknowledges_behind_holes(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let end = match message(&input) {
        Some(Message::AppendEntries {
            prev_log_index,
            entries,
            ..
        }) => entries
            .iter()
            .fold(*prev_log_index, |index, _| index.next()),
        _ => Index(0),
    };
    step_and_rewrite(raft, node, input, out, |_, mut effect| {
        if let Effect::Send {
            message:
                Message::AppendEntriesResponse {
                    outcome:
                        outcome @ AppendOutcome::Conflict {
                            conflict_term: None,
                            ..
                        },
                    ..
                },
            ..
        } = &mut effect
        {
            *outcome = AppendOutcome::Accepted { match_index: end };
        }
        effect
    });
}

/// The follower whose answer the input delivers.
fn answering(input: &Input<R>) -> Option<(NodeId, &AppendOutcome)> {
    match input {
        Input::Deliver {
            from,
            message: Message::AppendEntriesResponse { outcome, .. },
        } => Some((*from, outcome)),
        _ => None,
    }
}

fn in_flight_to(node: &mut Node<R>, follower: NodeId) -> Vec<InFlight> {
    match progress_of(node, follower).map(|progress| &progress.mode) {
        Some(Mode::Replicate { in_flight, .. }) => in_flight.clone(),
        _ => Vec::new(),
    }
}

fn never_reopens_window(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let follower = answering(&input).map(|(follower, _)| follower);
    let before = follower.map(|follower| in_flight_to(node, follower));
    raft.step(node, input, out);
    if let (Some(follower), Some(before)) = (follower, before)
        && let Some(progress) = progress_of(node, follower)
        && let Mode::Replicate { in_flight, .. } = &mut progress.mode
    {
        let gone = before
            .into_iter()
            .filter(|append| !in_flight.contains(append));
        *in_flight = gone.chain(in_flight.clone()).collect();
    }
}

fn frees_one_more(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let follower = answering(&input).map(|(follower, _)| follower);
    let before = follower.map_or(0, |follower| in_flight_to(node, follower).len());
    raft.step(node, input, out);
    let Some(follower) = follower else { return };
    if let Some(progress) = progress_of(node, follower)
        && let Mode::Replicate { in_flight, .. } = &mut progress.mode
        && before > 1
        && in_flight.len() > 1
    {
        in_flight.remove(0);
        raft.send_appends(node, follower, out);
    }
}

fn hopes_for_ever(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut hopeful = Vec::new();
    if input == Input::Fire(Timer::Heartbeat)
        && let Role::Leader(leadership) = &node.volatile.role
    {
        hopeful.extend(leadership.progress.iter().filter_map(|(&peer, progress)| {
            let hopes = matches!(
                progress.mode,
                Mode::Replicate {
                    advancing: true,
                    ..
                }
            );
            hopes.then_some(peer)
        }));
    }
    raft.step(node, input, out);
    for peer in hopeful {
        if let Some(progress) = progress_of(node, peer)
            && let Mode::Replicate { advancing, .. } = &mut progress.mode
        {
            *advancing = true;
        }
    }
}

fn ignores_window(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut boundless = raft.clone();
    boundless.window.appends = usize::MAX;
    boundless.step(node, input, out);
}

fn weighs_nothing(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut boundless = raft.clone();
    boundless.window.weight = usize::MAX;
    boundless.step(node, input, out);
}

fn fills_boundlessly(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut boundless = raft.clone();
    boundless.max_append_weight = usize::MAX;
    boundless.step(node, input, out);
}

fn sends_singly(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut timid = raft.clone();
    timid.max_append_weight = 1;
    timid.step(node, input, out);
}

fn ignores_refusals(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if let Some((follower, AppendOutcome::Conflict { .. })) = answering(&input)
        && leads(node)
        && !in_flight_to(node, follower).is_empty()
    {
        return;
    }
    raft.step(node, input, out);
}

fn beats_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_heartbeat = input == Input::Fire(Timer::Heartbeat);
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        if !is_heartbeat || effect != Effect::Arm(Timer::Heartbeat) {
            out.push(effect);
        }
    }
}
