//! The worlds in which Raft's liveness is decided, and the mutants that nothing else refutes:
//! they do nothing wrong, and come to nothing.

use alloc::vec;
use alloc::vec::Vec;

use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::log::{Content, Entry};
use crate::raft::message::{AppendOutcome, Message, VoteOutcome};
use crate::raft::progress::{Mode, progress_of};
use crate::raft::state::Role;
use crate::raft::{Raft, Timer};
use crate::specification::{LiveModel, Model, Mutant, Size};
use crate::world::{Delivery, Faults, Scenario, Timing};

use super::buffered;
use super::compacted;
use super::machine::{Add, Adder};
use super::prologue::Prologue;
use super::scenarios;

type R = Raft<Adder>;

/// Every model in which Raft's liveness is decided.
pub const MODELS: &[LiveModel<R>] = &[
    LiveModel {
        model: Model {
            name: "raft/live-crash",
            size: Size::Gate,
            purpose: "who leads fails, another is elected, and the client is answered",
            faults: "1 crash",
            bounds: "time-outs that are chosen well, channels in order; terms ≤ 2, 1 command, \
                     asked up to 2 times",
            states: Some(148_042),
            reaches: &[
                "a leader is elected",
                "the leader changes",
                "a command is answered",
                "a crashed node recovers and catches up",
            ],
            scenario: || synchronous(3, 2, 1, 0, 2),
        },
        decides: ALL,
    },
    LiveModel {
        model: Model {
            name: "raft/live-loss",
            size: Size::Gate,
            purpose: "messages are lost, and what they said is said again",
            faults: "2 messages lost",
            bounds: "time-outs that are chosen well, channels in order; 2 nodes, terms ≤ 4, \
                     1 command, asked up to 2 times",
            states: Some(9_164),
            reaches: &["a leader is elected", "a command is answered"],
            scenario: || synchronous(2, 4, 0, 2, 2),
        },
        decides: ALL,
    },
    LiveModel {
        model: Model {
            name: "raft/live-pre-vote",
            size: Size::Gate,
            purpose: "questions and answers of nodes that need each other's leave to stand are lost",
            faults: "2 messages lost",
            bounds: "time-outs that are chosen well, channels in order; PreVote and CheckQuorum; 2 nodes, \
                     terms ≤ 4",
            states: Some(3_310),
            reaches: &["a leader is elected"],
            scenario: pre_votes,
        },
        decides: &[
            "Eventually one leader for ever",
            "Every node catches up",
            SILENT,
        ],
    },
    LiveModel {
        model: Model {
            name: "raft/live-retransmission",
            size: Size::Gate,
            purpose: "messages are lost, and no client asks again: it is for the leader to repeat them",
            faults: "2 messages lost",
            bounds: "time-outs that are chosen well, channels in order; 2 nodes, n0 \
                     stands, terms ≤ 4; 1 command, asked once",
            states: Some(294),
            reaches: &[
                "a leader is elected",
                "a command is answered",
                "a lost append is noticed",
            ],
            scenario: retransmission,
        },
        decides: ALL,
    },
    LiveModel {
        model: Model {
            name: "raft/live-straggler",
            size: Size::Gate,
            purpose: "a message is lost that the others do not need: who needs it gets it again",
            faults: "1 message lost",
            bounds: "time-outs that are chosen well, channels in order; 3 nodes, n0 stands, terms \
                     ≤ 3; 1 command, asked once",
            states: Some(956),
            reaches: &[
                "a leader is elected",
                "a command is answered",
                "a lost append is noticed",
            ],
            scenario: straggler,
        },
        decides: ALL,
    },
    LiveModel {
        model: Model {
            name: "raft/live-change",
            size: Size::Gate,
            purpose: "a change of membership that one leader has begun is ended by the next, \
                      though messages are lost",
            faults: "2 messages lost",
            bounds: "time-outs that are chosen well, channels in order; 2 nodes, terms ≤ 4; \
                     from a prepared state",
            states: Some(255),
            reaches: &[
                "a leader is elected",
                "a joint configuration is committed",
                "a change of voters is done",
                "one leader begins a change, another ends it",
                "a lost append is noticed",
            ],
            scenario: || lossy(2, scenarios::begun()),
        },
        decides: &[
            "Eventually one leader for ever",
            "A started membership change ends",
            "Every node catches up",
            SILENT,
        ],
    },
    LiveModel {
        model: Model {
            name: "raft/live-follower-reads",
            size: Size::Gate,
            purpose: "what a follower asks of its leader is lost, or the answer: it asks again",
            faults: "2 messages lost",
            bounds: "time-outs that are chosen well, channels in order; 2 nodes, n0 stands, terms \
                     ≤ 2; n1 follows from the start; 1 read there, asked once",
            states: Some(167),
            reaches: &["a leader is elected", "a follower answers a read"],
            scenario: follower_reads,
        },
        decides: ALL,
    },
    LiveModel {
        model: Model {
            name: "raft/live-install",
            size: Size::Gate,
            purpose: "chunks of a snapshot are lost, and sent again",
            faults: "2 messages lost",
            bounds: "time-outs that are chosen well, channels in order; n0, the only voter, leads \
                     term 2 from the start, its log compacted; n1 learns; 16 bytes a chunk",
            states: Some(38),
            reaches: &[
                "a leader is elected",
                "a part of a snapshot has arrived",
                "a leader's snapshot is installed",
            ],
            scenario: install,
        },
        decides: &[
            "Eventually one leader for ever",
            "Every node catches up",
            SILENT,
        ],
    },
    LiveModel {
        model: Model {
            name: "raft/live-slow-disk",
            size: Size::Gate,
            purpose: "disks take longer than election time-outs: who leads stays, and all is done \
                      when they are done",
            faults: "disks as slow as they will",
            bounds: "time-outs that are chosen well, channels in order; PreVote and CheckQuorum; \
                     n0 leads term 1 from the start, terms ≤ 3; 1 command",
            states: Some(37_264),
            reaches: &[
                "a heartbeat overtakes what waits for the disk",
                "a command is answered",
            ],
            scenario: buffered::slow_disks,
        },
        decides: ALL,
    },
];

const ALL: &[&str] = &[
    "Eventually one leader for ever",
    "Every request is answered",
    "Every node catches up",
    SILENT,
];

const SILENT: &str = "The network falls silent again and again";

/// Mutants that only liveness refutes.
pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-STANDS-ONCE",
        defect: "a candidate does not start its election timer anew: after a split vote nobody stands",
        source: "§5.2: \"each candidate will time out and start a new election\"",
        model: "raft/live-loss",
        inject: |scenario| scenario.step = stands_once,
    },
    Mutant {
        id: "RAFT-STANDS-NO-MORE",
        defect: "a candidate starts its election timer anew, and does not stand when it runs out",
        source: "§5.2: \"each candidate will time out and start a new election\"",
        model: "raft/live-loss",
        inject: |scenario| scenario.step = stands_no_more,
    },
    Mutant {
        id: "RAFT-PREVOTE-RIVALS",
        defect: "who asks for pre-votes gives none: two that need each other refuse each other for ever",
        source: "thesis §9.6: a pre-vote is no promise, and who has asked for some gives its own to others",
        model: "raft/live-pre-vote",
        inject: |scenario| scenario.step = gives_rivals_no_pre_vote,
    },
    Mutant {
        id: "RAFT-SENDS-ONCE",
        defect: "what a lost append carried is not sent again",
        source: "§5.3: \"the leader retries AppendEntries RPCs indefinitely\"",
        model: "raft/live-retransmission",
        inject: |scenario| scenario.step = sends_once,
    },
    Mutant {
        id: "RAFT-STRAGGLER-LEFT-BEHIND",
        defect: "what a lost append carried is not sent again, and a majority has it",
        source: "§5.3: the leader retries \"until all followers eventually store all log entries\"",
        model: "raft/live-straggler",
        inject: |scenario| scenario.step = sends_once,
    },
    Mutant {
        id: "RAFT-CHANGE-SENT-ONCE",
        defect: "a configuration that was lost on its way is not sent again",
        source: "§6: it is replicated as every entry is",
        model: "raft/live-change",
        inject: |scenario| scenario.step = sends_changes_once,
    },
    Mutant {
        id: "RAFT-READ-ASKED-ONCE",
        defect: "a follower asks its leader once for a read index: what is lost is never answered",
        source: "thesis §6.4; §5.5: RPCs are retried indefinitely",
        model: "raft/live-follower-reads",
        inject: |scenario| scenario.step = asks_once,
    },
    Mutant {
        id: "RAFT-SNAP-SENT-ONCE",
        defect: "while a snapshot is sent the heartbeat is not a chunk: one that was lost is not \
                 sent again",
        source: "§7, Figure 13: \"wait for more data chunks if done is false\"",
        model: "raft/live-install",
        inject: |scenario| scenario.step = sends_chunks_once,
    },
    Mutant {
        id: "RAFT-PROBES-FOR-EVER",
        defect: "an acknowledgement of all that there is, which brings nothing new, makes the leader \
                 probe, or replicate again if it did: the two never fall silent, and no time-out is ever due",
        source: "§5.6: what a time-out has set off ends before the next",
        model: "raft/live-straggler",
        inject: |scenario| {
            scenario.step = probes_for_ever;
            // An answer that brings nothing new is inert.
            scenario.drop_inert = false;
        },
    },
];

/// `size` nodes in the synchronous period: terms up to `max_term`, a client with one command, which
/// it asks up to `tries` times.
fn synchronous(size: u16, max_term: u64, crashes: u8, drops: u8, tries: u8) -> Scenario<R> {
    let mut scenario = lossy(drops, scenarios::replication(size, max_term, crashes, &[1]));
    scenario.faults.crashes = crashes;
    scenario.tries = tries;
    scenario
}

/// The scenario in the synchronous period, in which `drops` messages may still be lost.
fn lossy(drops: u8, scenario: Scenario<R>) -> Scenario<R> {
    Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Synchronous,
        faults: Faults {
            drops,
            ..Faults::default()
        },
        ..scenario
    }
}

/// Two nodes with PreVote and CheckQuorum, neither of which is elected without the other.
fn pre_votes() -> Scenario<R> {
    let mut scenario = scenarios::leadership::guarded(synchronous(2, 4, 0, 2, 1));
    scenario.scripts.clear();
    scenario
}

/// Two nodes, of which n0 leads sooner or later and remains the leader; messages are lost, and the
/// client does not ask again.
fn retransmission() -> Scenario<R> {
    let mut scenario = synchronous(2, 4, 0, 2, 1);
    scenarios::candidates(&mut scenario, &[(0, 4)]);
    scenario
}

/// Three nodes, of which n0 leads sooner or later and remains the leader; whatever is lost, one of
/// the others has heard all.
fn straggler() -> Scenario<R> {
    let mut scenario = synchronous(3, 3, 0, 1, 1);
    scenarios::candidates(&mut scenario, &[(0, 3)]);
    scenario
}

/// n0 leads n1, which hears it and is asked to read; what the two say to each other is lost.
fn follower_reads() -> Scenario<R> {
    let (n0, n1) = (NodeId(0), NodeId(1));
    let mut scenario = lossy(2, scenarios::election(2, 2, 0));
    scenario.scripts = vec![scenarios::read_here(0)];
    scenario.asks_at = |_, node| node == NodeId(1);
    scenarios::candidates(&mut scenario, &[(0, 2)]);
    scenario.prologue = Prologue::of(&scenario)
        .fire(n0, Timer::Election)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .steps;
    scenario
}

/// n0 leads and has compacted its log, before anything that it has said has reached n1.
fn install() -> Scenario<R> {
    let (n0, n1) = (NodeId(0), NodeId(1));
    let mut scenario = lossy(2, compacted::learning());
    // A learner that misses its leader waits on, and its timer may run out as often as it will.
    scenarios::candidates(&mut scenario, &[(0, 2), (1, 3)]);
    // Two are lost before the start.
    scenario.faults.drops += 2;
    scenario.prologue = Prologue::of(&scenario)
        .fire(n0, Timer::Election)
        .lose(n0, n1)
        .fire(n0, Timer::Heartbeat)
        .lose(n0, n1)
        .fire(n0, Timer::Snapshot)
        .steps;
    scenario
}

fn asks_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_asked = matches!(input, Input::Ask(_));
    step_and_drop(raft, node, input, out, |message| {
        !is_asked && matches!(message, Message::ReadIndex { .. })
    });
}

fn sends_chunks_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let beats = input == Input::Fire(Timer::Heartbeat);
    step_and_drop(raft, node, input, out, |message| {
        beats && matches!(message, Message::InstallSnapshot { .. })
    });
}

fn probes_for_ever(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let acknowledged = match &input {
        Input::Deliver {
            from,
            message:
                Message::AppendEntriesResponse {
                    outcome: AppendOutcome::Accepted { match_index },
                    ..
                },
        } => Some((*from, *match_index)),
        Input::Deliver { .. } | Input::Fire(_) | Input::Ask(_) => None,
    };
    let known = acknowledged.filter(|&(follower, match_index)| {
        progress_of(node, follower).is_some_and(|known| known.match_index == match_index)
    });
    raft.step(node, input, out);
    let last_index = node.durable().log.last_index();
    if let Some((follower, _)) = known.filter(|&(_, known)| known == last_index)
        && let Some(progress) = progress_of(node, follower)
    {
        progress.mode = match &progress.mode {
            Mode::Replicate { in_flight, .. } if in_flight.is_empty() => Mode::Probe,
            Mode::Replicate { .. } | Mode::Snapshot(_) => return,
            Mode::Probe => Mode::Replicate {
                in_flight: Vec::new(),
                advancing: false,
            },
        };
        raft.send_heartbeat(node, follower, out);
    }
}

/// Lets the protocol take its step, and does not send what it says of which `is_dropped` is true.
fn step_and_drop(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
    is_dropped: impl Fn(&Message<Add>) -> bool,
) {
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    let drops = |effect: &Effect<R>| match effect {
        Effect::Send { message, .. } | Effect::SendEarly { message, .. } => is_dropped(message),
        Effect::Arm(_) | Effect::Disarm(_) | Effect::Emit(_) => false,
    };
    for effect in right.drain().filter(|effect| !drops(effect)) {
        out.push(effect);
    }
}

fn gives_rivals_no_pre_vote(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let asks = matches!(node.volatile.role, Role::PreCandidate { .. });
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for mut effect in right.drain() {
        if let Effect::Send {
            message: Message::PreVoteResponse { outcome, .. },
            ..
        } = &mut effect
            && asks
            && *outcome == VoteOutcome::Granted
        {
            *outcome = VoteOutcome::Refused;
        }
        out.push(effect);
    }
}

fn stands_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let stands = input == Input::Fire(Timer::Election);
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        if !stands || effect != Effect::Arm(Timer::Election) {
            out.push(effect);
        }
    }
}

fn stands_no_more(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_candidate = matches!(
        node.volatile.role,
        Role::PreCandidate { .. } | Role::Candidate { .. }
    );
    if is_candidate && input == Input::Fire(Timer::Election) {
        return out.arm(Timer::Election);
    }
    raft.step(node, input, out);
}

/// The heartbeat shows that the leader is up, and no more.
fn sends_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_and_curtail_heartbeats(raft, node, input, out, |_| false);
}

fn sends_changes_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_sent_again = |entry: &Entry<Add>| !matches!(entry.content, Content::Configuration(_));
    step_and_curtail_heartbeats(raft, node, input, out, is_sent_again);
}

/// Lets the protocol take its step; a heartbeat carries no more than the first entries of which
/// `is_sent_again` is true.
fn step_and_curtail_heartbeats(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
    is_sent_again: fn(&Entry<Add>) -> bool,
) {
    let beats = input == Input::Fire(Timer::Heartbeat);
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for mut effect in right.drain() {
        if let Effect::Send {
            message: Message::AppendEntries { entries, .. },
            ..
        } = &mut effect
            && beats
        {
            let kept = entries.iter().position(|entry| !is_sent_again(entry));
            entries.truncate(kept.unwrap_or(entries.len()));
        }
        out.push(effect);
    }
}
