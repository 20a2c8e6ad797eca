//! Which of Raft's messages are inert, and why.
//!
//! The argument rests on four facts. A disk's term never decreases but by its loss. Who has lost
//! its disk, or has halted, takes no part any more: nothing that it is told matters, and no answer
//! is awaited. Within a term a node
//! goes from follower to candidate to leader or back to follower, never the other way, for
//! standing again takes a new term; so a node whose disk holds term `t` and which is not a
//! candidate (leader) now will not be a candidate (leader) *of term `t`* again, crash or not.
//! A leader's `match_index`, and the round a peer has answered, never decrease.
//!
//! A pre-vote is another matter: a node asks for the same term again and again, also after a
//! crash, and counts what was given to an earlier question. But it asks for the term after its
//! own, so once its term has reached the one asked for, it neither asks nor listens any more;
//! and being asked changes nothing. A refusal teaches nobody anything at any time.
//!
//! While leadership is transferred an answer that teaches nothing is no idle talk: the leader then
//! tells the target again to stand. Where that may come, and no CheckQuorum counts each answer
//! anyway, scenarios drop no message ([`Scenario::drop_inert`](crate::world::Scenario)).
//!
//! Terms are judged by what is on disk, not by what the node believes: a crash on a broken
//! disk takes a node back, and a message that it had outgrown matters again.
//!
//! A request is inert when *both* ends have left its term. Its receiver would refuse it,
//! and its sender would ignore the refusal, for an answer bears its request's term. While
//! the sender is still in the term it may learn from the refusal, so it is not enough that
//! the receiver has moved on.

use crate::protocol::NodeId;
use crate::raft::log::Term;
use crate::raft::machine::StateMachine;
use crate::raft::message::{
    AppendOutcome, HeartbeatOutcome, InstallOutcome, Message, Round, VoteOutcome,
};
use crate::raft::progress::Progress;
use crate::raft::state::Role;
use crate::raft::{Raft, Timer};
use crate::world::{Envelope, Host};

pub(super) fn is_inert<M: StateMachine>(
    envelope: &Envelope<Message<M::Command>>,
    sender: &Host<Raft<M>>,
    receiver: &Host<Raft<M>>,
) -> bool {
    let term = envelope.message.term();
    let receiver_term = receiver.on_disk().current_term;
    if !receiver.on_disk().takes_part() {
        return true;
    }
    // The sender, should it still wait for an answer, would ignore it.
    let has_left = |term| {
        let sender = sender.on_disk();
        !sender.takes_part() || term < sender.current_term
    };
    match &envelope.message {
        // A read is asked for in the term of the leader that is asked.
        Message::RequestVote { .. }
        | Message::ReadIndex { .. }
        | Message::Heartbeat { .. }
        | Message::AppendEntries { .. }
        | Message::InstallSnapshot { .. } => term < receiver_term && has_left(term),
        Message::RequestVoteResponse { outcome, .. } => {
            term < receiver_term
                || term == receiver_term
                    && !teaches_candidate(envelope.from, term, outcome, receiver)
        }
        // Its receiver stands for the term after, and then it is of an earlier one.
        Message::TimeoutNow { .. } => term < receiver_term,
        Message::PreVote { .. } => {
            !sender.on_disk().takes_part() || term <= sender.on_disk().current_term
        }
        Message::PreVoteResponse { outcome, .. } => {
            term <= receiver_term || *outcome == VoteOutcome::Refused
        }
        // In its own term the same read may be asked for again, and wait.
        Message::ReadIndexResponse { .. } => term < receiver_term,
        Message::AppendEntriesResponse { outcome, round, .. } => {
            term < receiver_term
                || term == receiver_term
                    && !teaches_leader(envelope.from, term, outcome, *round, receiver)
        }
        Message::HeartbeatResponse { outcome, round, .. } => {
            term < receiver_term
                || term == receiver_term
                    && !teaches_of_life(envelope.from, term, outcome, *round, receiver)
        }
        Message::InstallSnapshotResponse { outcome, round, .. } => {
            term < receiver_term
                || term == receiver_term
                    && !teaches_sender(envelope.from, term, outcome, *round, receiver)
        }
    }
}

/// Whether the answer tells the host's node of a higher term, or that it has a vote in
/// `term` which it does not count yet.
fn teaches_candidate<M: StateMachine>(
    voter: NodeId,
    term: Term,
    outcome: &VoteOutcome,
    host: &Host<Raft<M>>,
) -> bool {
    match outcome {
        VoteOutcome::StaleTerm { .. } => true,
        VoteOutcome::Refused => false,
        VoteOutcome::Granted => host.node().is_some_and(|node| match &node.volatile.role {
            Role::Candidate { votes } => {
                node.durable().current_term == term && !votes.contains(&voter)
            }
            Role::Follower { .. } | Role::PreCandidate { .. } | Role::Leader(_) => false,
        }),
    }
}

/// Whether the answer tells the host's node of a higher term, or, while it leads `term`,
/// more of the follower than it knows.
fn teaches_leader<M: StateMachine>(
    follower: NodeId,
    term: Term,
    outcome: &AppendOutcome,
    round: Round,
    host: &Host<Raft<M>>,
) -> bool {
    match outcome {
        AppendOutcome::StaleTerm { .. } => true,
        AppendOutcome::Accepted { match_index } => leads(host, term, follower, |progress| {
            *match_index > progress.match_index || round > progress.round
        }),
        // What matches cannot be refused any more: such a conflict is from before.
        AppendOutcome::Conflict { prev_log_index, .. } => leads(host, term, follower, |progress| {
            *prev_log_index > progress.match_index || round > progress.round
        }),
    }
}

/// Whether the answer tells the host's node of a higher term, or, while it leads `term`, that the
/// follower has answered a later round.
fn teaches_of_life<M: StateMachine>(
    follower: NodeId,
    term: Term,
    outcome: &HeartbeatOutcome,
    round: Round,
    host: &Host<Raft<M>>,
) -> bool {
    match outcome {
        HeartbeatOutcome::StaleTerm { .. } => true,
        HeartbeatOutcome::Heard => leads(host, term, follower, |progress| round > progress.round),
    }
}

/// Whether the answer tells the host's node of a higher term, or, while it leads `term`,
/// more of what the follower has of a snapshot than it knows. A snapshot is sent only to a
/// follower that is not known to have what it includes.
fn teaches_sender<M: StateMachine>(
    follower: NodeId,
    term: Term,
    outcome: &InstallOutcome,
    round: Round,
    host: &Host<Raft<M>>,
) -> bool {
    match outcome {
        InstallOutcome::StaleTerm { .. } => true,
        InstallOutcome::Installed {
            last_included_index,
        }
        | InstallOutcome::Received {
            last_included_index,
            ..
        } => leads(host, term, follower, |progress| {
            *last_included_index > progress.match_index || round > progress.round
        }),
    }
}

/// Whether the host's node leads `term`, and `is_news` is true of what it knows of the
/// follower; or any answer is news to it, because it counts who answers (CheckQuorum): then its
/// lease timer runs as long as it leads.
fn leads<M: StateMachine>(
    host: &Host<Raft<M>>,
    term: Term,
    follower: NodeId,
    is_news: impl FnOnce(&Progress) -> bool,
) -> bool {
    match super::leadership(host) {
        Some((led, leadership)) if led == term => {
            let counts = matches!(host, Host::Up { armed, .. } if armed.contains(&Timer::Lease));
            let progress = leadership.progress.get(&follower);
            progress.is_some_and(|progress| counts || is_news(progress))
        }
        _ => false,
    }
}
