//! Defects of what is sent early, and of what is made of it.

use super::super::buffered::standing;
use super::{R, step_and_rewrite};
use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::raft::Timer;
use crate::raft::log::Index;
use crate::raft::message::{HeartbeatOutcome, Message, Round};
use crate::raft::state::Role;
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-EARLY-ALL",
        defect: "whatever is sent leaves before what it tells of is on disk",
        source: "§5.2, §5.3: \"before responding to RPCs\" (Figure 2)",
        model: "raft/buffered-election",
        inject: |scenario| scenario.step = sends_all_early,
    },
    Mutant {
        id: "RAFT-EARLY-VOTE",
        defect: "a vote leaves before it is on disk",
        source: "§5.2; Figure 2: \"updated on stable storage before responding to RPCs\"",
        model: "raft/buffered-election",
        inject: |scenario| scenario.step = votes_early,
    },
    Mutant {
        id: "RAFT-EARLY-STAND",
        defect: "a candidate asks for votes before its own is on disk",
        source: "§5.2: it votes for itself",
        model: "raft/buffered-election",
        inject: |scenario| scenario.step = stands_early,
    },
    Mutant {
        id: "RAFT-EARLY-OWN-LOG",
        defect: "appends leave before the leader has their entries on disk, and it counts itself \
                 among those that have",
        source: "§5.3; thesis §10.2.1: it must not, \"until it is durable\"",
        model: "raft/buffered-replication",
        inject: |scenario| scenario.step = appends_early,
    },
    Mutant {
        id: "RAFT-EARLY-ACKNOWLEDGEMENT",
        defect: "a follower acknowledges entries before they are on disk",
        source: "§5.3; Figure 2: \"updated on stable storage before responding to RPCs\"",
        model: "raft/buffered-replication",
        inject: |scenario| scenario.step = acknowledges_early,
    },
    Mutant {
        id: "RAFT-EARLY-MATCH",
        defect: "who answers a heartbeat counts as having what it was sent",
        source: "Figure 2: matchIndex is known to be replicated",
        model: "raft/buffered-replication",
        inject: |scenario| {
            scenario.step = matches_by_heartbeat;
            // To the right protocol the second answer of a round is inert.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "RAFT-EARLY-COMMIT",
        defect: "a heartbeat carries the commit index, and whoever gets it commits so far, whatever \
                 its log holds (the mutant's carries it in place of the round)",
        source: "§5.3: leaderCommit means the log that the append has matched",
        model: "raft/buffered-divergence",
        inject: |scenario| scenario.step = commits_by_heartbeat,
    },
    Mutant {
        id: "RAFT-EARLY-ROUND",
        defect: "an answer to a heartbeat counts for the round under way, whichever it answers",
        source: "thesis §6.4: a round of heartbeats that begins after the read",
        model: "raft/buffered-reads",
        inject: |scenario| {
            // To the right protocol the answer to a round that has been confirmed is inert.
            scenario.drop_inert = false;
            scenario.prologue.clear();
            scenario.prologue = standing(scenario);
            scenario.step = counts_for_any_round;
        },
    },
    Mutant {
        id: "RAFT-EARLY-STALE",
        defect: "a node of a later term answers a heartbeat as if it were in the leader's",
        source: "§5.1; thesis §6.4",
        model: "raft/buffered-reads-deposed",
        inject: |scenario| scenario.step = hears_stale_leaders,
    },
    Mutant {
        id: "RAFT-EARLY-BALLOT",
        defect: "a candidate shows that it leads as soon as it stands: its ballot is on nobody's disk",
        source: "§5.2",
        model: "raft/buffered-election",
        inject: |scenario| scenario.step = beats_before_its_ballot,
    },
    Mutant {
        id: "RAFT-HEARTBEAT-UNCOUNTED",
        defect: "who answers a heartbeat does not count as heard",
        source: "thesis §6.2: \"a successful round of heartbeats\"",
        model: "raft/buffered-check-quorum",
        inject: |scenario| scenario.step = counts_nobody,
    },
    Mutant {
        id: "RAFT-HEARTBEAT-HELD",
        defect: "heartbeats wait for the leader's disk like everything else",
        source: "§5.2: heartbeats are there to prevent elections",
        model: "raft/live-slow-disk",
        inject: |scenario| scenario.step = holds_heartbeats,
    },
    Mutant {
        id: "RAFT-HEARTBEAT-ANSWER-HELD",
        defect: "answers to heartbeats wait for the follower's disk",
        source: "thesis §6.2: a leader that hears nobody steps down",
        model: "raft/live-slow-disk",
        inject: |scenario| scenario.step = holds_answers,
    },
];

type Sent = Message<crate::raft::spec::machine::Add>;

/// Lets the protocol take its step, and sends such messages early.
fn step_early(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
    is_such: fn(&Sent) -> bool,
) {
    step_and_rewrite(raft, node, input, out, |_, effect| match effect {
        Effect::Send { to, message } if is_such(&message) => Effect::SendEarly { to, message },
        effect => effect,
    });
}

/// Lets the protocol take its step, and holds such messages back.
fn step_late(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
    is_such: fn(&Sent) -> bool,
) {
    step_and_rewrite(raft, node, input, out, |_, effect| match effect {
        Effect::SendEarly { to, message } if is_such(&message) => Effect::Send { to, message },
        effect => effect,
    });
}

fn sends_all_early(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_early(raft, node, input, out, |_| true);
}

fn votes_early(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_early(raft, node, input, out, |message| {
        matches!(message, Message::RequestVoteResponse { .. })
    });
}

fn stands_early(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_early(raft, node, input, out, |message| {
        matches!(message, Message::RequestVote { .. })
    });
}

fn appends_early(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_early(raft, node, input, out, |message| {
        matches!(message, Message::AppendEntries { .. })
    });
}

fn acknowledges_early(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_early(raft, node, input, out, |message| {
        matches!(message, Message::AppendEntriesResponse { .. })
    });
}

/// But for the first, by which all have heard the leader.
fn holds_heartbeats(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if input != Input::Fire(Timer::Heartbeat) {
        return raft.step(node, input, out);
    }
    step_late(raft, node, input, out, |message| {
        matches!(message, Message::Heartbeat { .. })
    });
}

fn holds_answers(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_late(raft, node, input, out, |message| {
        matches!(message, Message::HeartbeatResponse { .. })
    });
}

/// The answer that the input delivers to a node that leads the term of it, and its sender.
fn answer(node: &Node<R>, input: &Input<R>) -> Option<crate::protocol::NodeId> {
    match input {
        Input::Deliver {
            from,
            message:
                Message::HeartbeatResponse {
                    term,
                    outcome: HeartbeatOutcome::Heard,
                    ..
                },
        } if super::leads(node) && *term == node.durable().current_term => Some(*from),
        _ => None,
    }
}

fn matches_by_heartbeat(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let answers = answer(node, &input);
    raft.step(node, input, out);
    if let Some(follower) = answers {
        let last_index = node.durable().log.last_index();
        raft.accepted(node, follower, last_index, out);
        raft.advance_commit_index(node, out);
    }
}

fn commits_by_heartbeat(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let told = match &input {
        Input::Deliver {
            message: Message::Heartbeat { round, .. },
            ..
        } => Index(round.0),
        _ => Index(0),
    };
    let commits = |node: &Node<R>| Round(node.volatile.commit_index.0);
    step_and_rewrite(raft, node, input, out, |node, effect| match effect {
        Effect::SendEarly {
            to,
            message: Message::Heartbeat { term, .. },
        } => Effect::SendEarly {
            to,
            message: Message::Heartbeat {
                term,
                round: commits(node),
            },
        },
        effect => effect,
    });
    let last_index = node.durable().log.last_index();
    raft.commit_up_to(node, told.min(last_index), out);
}

fn counts_for_any_round(raft: &R, node: &mut Node<R>, mut input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        message: Message::HeartbeatResponse { round, .. },
        ..
    } = &mut input
        && let Role::Leader(leadership) = &node.volatile.role
    {
        *round = leadership.round;
    }
    raft.step(node, input, out);
}

fn hears_stale_leaders(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_and_rewrite(raft, node, input, out, |_, effect| match effect {
        Effect::SendEarly {
            to,
            message: Message::HeartbeatResponse { term, round, .. },
        } => Effect::SendEarly {
            to,
            message: Message::HeartbeatResponse {
                term,
                round,
                outcome: HeartbeatOutcome::Heard,
            },
        },
        effect => effect,
    });
}

fn beats_before_its_ballot(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let stood = node.durable().current_term;
    raft.step(node, input, out);
    let term = node.durable().current_term;
    if matches!(node.volatile.role, Role::Candidate { .. }) && term > stood {
        for peer in raft.peers(node) {
            let round = Round(0);
            out.send_early(peer, Message::Heartbeat { term, round });
        }
    }
}

fn counts_nobody(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let answers = answer(node, &input);
    let was_heard = match (&node.volatile.role, answers) {
        (Role::Leader(leadership), Some(follower)) => leadership.heard.contains(&follower),
        _ => false,
    };
    raft.step(node, input, out);
    if let (Role::Leader(leadership), Some(follower)) = (&mut node.volatile.role, answers)
        && !was_heard
    {
        leadership.heard.remove(&follower);
    }
}
