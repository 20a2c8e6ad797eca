//! Defects of elections (§5.1, §5.2, §5.4.1), and of what a voter must remember.

use super::{R, forget, leads, message};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::Timer;
use crate::raft::log::{Index, Term};
use crate::raft::message::{Message, VoteOutcome};
use crate::raft::spec::machine::Adder;
use crate::raft::spec::scenarios::forges_terms;
use crate::raft::state::{Record, Role, Volatile};
use crate::specification::Mutant;
use crate::world::Disk;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-JOINT-ASKS-NEW-ALONE",
        defect: "while the configuration is joint, a node that stands asks the new voters alone: it \
                 is never elected where old ones are needed",
        source: "§6: separate majorities of both configurations",
        model: "raft/transfer-amid-change",
        inject: |scenario| scenario.step = asks_new_voters_alone,
    },
    Mutant {
        id: "RAFT-TERM-BELIEVED",
        defect: "a node takes over whatever term it hears of, however far away",
        source: "§5.1: one message, and no term comes after it",
        model: "raft/forged-terms",
        inject: |scenario| scenario.step = adopts_any_term,
    },
    Mutant {
        id: "RAFT-1",
        defect: "becoming leader clears the vote",
        source: "a seed program; §5.2",
        model: "raft/election",
        inject: |scenario| scenario.step = clears_vote_in_office,
    },
    Mutant {
        id: "RAFT-5",
        defect: "term and vote are not persisted",
        source: "a seed program; Figure 2",
        model: "raft/election",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Ballot { .. })),
    },
    Mutant {
        id: "RAFT-QUORUM",
        defect: "half of the votes is enough",
        source: "§5.2",
        model: "raft/election",
        inject: |scenario| scenario.step = leads_with_half,
    },
    Mutant {
        id: "RAFT-TWO-VOTES",
        defect: "a node votes for every candidate of a term",
        source: "§5.2",
        model: "raft/election",
        inject: |scenario| scenario.step = votes_for_everybody,
    },
    Mutant {
        id: "RAFT-VOTE-BY-LENGTH",
        defect: "logs are compared by length, without their last terms",
        source: "§5.4.1",
        model: "raft/divergence",
        inject: |scenario| scenario.step = compares_length_alone,
    },
    Mutant {
        id: "RAFT-VOTE-BLIND",
        defect: "logs are not compared at all",
        source: "§5.4.1",
        model: "raft/divergence",
        inject: |scenario| scenario.step = votes_blindly,
    },
    Mutant {
        id: "RAFT-VOTE-REPEATED",
        defect: "a vote that arrives twice counts twice",
        source: "§5.2",
        model: "raft/election-5",
        inject: |scenario| {
            scenario.step = counts_votes_twice;
            // The world would drop the second copy: to the right protocol it is inert.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "RAFT-VOTE-STALE",
        defect: "a vote for an earlier term counts in the current one",
        source: "§5.2",
        model: "raft/election",
        inject: |scenario| {
            scenario.step = counts_stale_votes;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "RAFT-TERM-IN-RESPONSE",
        defect: "a higher term in a response is ignored",
        source: "§5.1",
        model: "raft/election",
        inject: |scenario| scenario.step = ignores_term_in_response,
    },
    Mutant {
        id: "RAFT-NO-STEP-DOWN",
        defect: "who votes for another remains what it was",
        source: "§5.1",
        model: "raft/election",
        inject: |scenario| scenario.step = votes_without_stepping_down,
    },
    Mutant {
        id: "RAFT-LEADS-AFTER-BOOT",
        defect: "a leader that restarts takes office again in the same term",
        source: "KAFKA-10527",
        model: "raft/election",
        inject: |scenario| scenario.boot = resumes_office,
    },
    Mutant {
        id: "RAFT-LOST-DISK",
        defect: "a voter that has lost its disk votes again",
        source: "KAFKA-12181",
        model: "raft/election",
        inject: |scenario| forget(scenario, |_| true),
    },
    Mutant {
        id: "RAFT-SEND-BEFORE-SYNC",
        defect: "the driver sends before the records are on disk",
        source: "Figure 2: \"updated on stable storage before responding to RPCs\"",
        model: "raft/election",
        inject: |scenario| scenario.disk = Disk::SendBeforeSync,
    },
    Mutant {
        id: "RAFT-RESIGNED",
        defect: "a leader that is deposed starts no election timer, and will never stand again",
        source: "§5.2: \"if a follower receives no communication over a period of time\"",
        model: "raft/election",
        inject: |scenario| scenario.step = resigns,
    },
    Mutant {
        id: "RAFT-LEADER-REMEMBERED",
        defect: "who may not stand goes on believing in a leader that it has not heard of for an \
                 election timeout",
        source: "§5.2",
        model: "raft/move",
        inject: |scenario| scenario.step = remembers_its_leader,
    },
];

fn remembers_its_leader(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let role = node.volatile.role.clone();
    let times_out = input == Input::Fire(Timer::Election);
    let follows = matches!(role, Role::Follower { leader: Some(_) });
    raft.step(node, input, out);
    if times_out && follows && matches!(node.volatile.role, Role::Follower { .. }) {
        node.volatile.role = role;
    }
}

fn clears_vote_in_office(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let led = leads(node);
    raft.step(node, input, out);
    if !led && leads(node) {
        node.write(Record::Ballot {
            term: node.durable().current_term,
            voted_for: None,
        });
    }
}

fn leads_with_half(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    if let Role::Candidate { votes } = &node.volatile.role
        && votes.len() >= raft.configuration(node).voters.len() / 2
    {
        raft.lead(node, out);
    }
}

/// Votes for `candidate` whatever the right protocol has answered it.
fn vote_anyway(node: &mut Node<R>, candidate: NodeId, term: Term, out: &mut Outbox<R>) {
    node.write(Record::Ballot {
        term,
        voted_for: Some(candidate),
    });
    out.arm(Timer::Election);
    out.send(
        candidate,
        Message::RequestVoteResponse {
            term,
            outcome: VoteOutcome::Granted,
        },
    );
}

/// The candidate of a vote request that the node's own term does not outdate, with the term
/// and the end of the candidate's log.
fn vote_request(node: &Node<R>, input: &Input<R>) -> Option<(NodeId, Term, Index)> {
    match input {
        Input::Deliver {
            from,
            message:
                Message::RequestVote {
                    term,
                    last_log_index,
                    ..
                },
        } if *term >= node.durable().current_term => Some((*from, *term, *last_log_index)),
        _ => None,
    }
}

/// Whether the node has refused its vote only because of the candidate's log.
fn vote_is_free(node: &Node<R>, term: Term) -> bool {
    node.durable().current_term == term && node.durable().voted_for.is_none()
}

fn votes_for_everybody(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let request = vote_request(node, &input);
    raft.step(node, input, out);
    if let Some((candidate, term, _)) = request
        && node.durable().voted_for != Some(candidate)
    {
        vote_anyway(node, candidate, term, out);
    }
}

fn compares_length_alone(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let request = vote_request(node, &input);
    raft.step(node, input, out);
    if let Some((candidate, term, last_log_index)) = request
        && vote_is_free(node, term)
        && last_log_index >= node.durable().log.last_index()
    {
        vote_anyway(node, candidate, term, out);
    }
}

fn votes_blindly(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let request = vote_request(node, &input);
    raft.step(node, input, out);
    if let Some((candidate, term, _)) = request
        && vote_is_free(node, term)
    {
        vote_anyway(node, candidate, term, out);
    }
}

fn counts_votes_twice(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut repeated = None;
    if let Input::Deliver {
        from,
        message:
            Message::RequestVoteResponse {
                term,
                outcome: VoteOutcome::Granted,
            },
    } = &input
        && *term == node.durable().current_term
        && let Role::Candidate { votes } = &node.volatile.role
        && votes.contains(from)
    {
        repeated = raft
            .peers(node)
            .into_iter()
            .find(|peer| !votes.contains(peer));
    }
    match (input, repeated) {
        (Input::Deliver { message, .. }, Some(from)) => {
            raft.step(node, Input::Deliver { from, message }, out);
        }
        (input, _) => raft.step(node, input, out),
    }
}

fn counts_stale_votes(raft: &R, node: &mut Node<R>, mut input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        message:
            Message::RequestVoteResponse {
                term,
                outcome: VoteOutcome::Granted,
            },
        ..
    } = &mut input
    {
        *term = node.durable().current_term;
    }
    raft.step(node, input, out);
}

fn ignores_term_in_response(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let current_term = node.durable().current_term;
    let ignored = message(&input)
        .is_some_and(|message| message.is_response() && message.sender_term() > current_term);
    if !ignored {
        raft.step(node, input, out);
    }
}

fn votes_without_stepping_down(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let role = node.volatile.role.clone();
    let is_request = vote_request(node, &input).is_some();
    raft.step(node, input, out);
    if is_request {
        node.volatile.role = role;
    }
}

fn resumes_office(
    raft: &R,
    durable: &<R as Protocol>::Durable,
    out: &mut Outbox<R>,
) -> Volatile<Adder> {
    let mut volatile = raft.boot(durable, out);
    if durable.voted_for == Some(raft.id()) {
        let mut node = Node::boot(raft, durable.clone(), &mut Outbox::new());
        raft.lead(&mut node, &mut Outbox::new());
        volatile.role = node.volatile.role;
    }
    volatile
}

fn resigns(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let led = leads(node);
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        if !led || effect != Effect::Arm(Timer::Election) {
            out.push(effect);
        }
    }
}

fn asks_new_voters_alone(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        let is_asked = match &effect {
            Effect::Send {
                to,
                message: Message::RequestVote { .. } | Message::PreVote { .. },
            } => raft.configuration(node).voters.contains(to),
            _ => true,
        };
        if is_asked {
            out.push(effect);
        }
    }
}

fn adopts_any_term(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let term = message(&input).map(Message::sender_term);
    let is_far = |term: &Term| !node.durable().current_term.may_reach(*term);
    match term.filter(is_far) {
        Some(term) => {
            node.write(Record::Ballot {
                term,
                voted_for: None,
            });
            raft.follow(node, None, out);
        }
        None => forges_terms(raft, node, input, out),
    }
}
