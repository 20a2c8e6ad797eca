//! Defects of PreVote (thesis §9.6) and CheckQuorum (thesis §4.2.3, §6.2): leaders that are
//! deposed for nothing, and leaders that nothing deposes.

use super::membership::{step_acting_on, with_learners};
use super::{R, leads, message};
use alloc::vec::Vec;

use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::message::{AppendOutcome, Message, VoteOutcome};
use crate::raft::spec::machine::{Adder, Sum};
use crate::raft::state::{Leadership, Record, Role};
use crate::raft::{Command, Event, Timer};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-PREVOTE-SKIPPED",
        defect: "one of the nodes stands for election without asking for pre-votes",
        source: "thesis §9.6",
        model: "raft/disruption",
        inject: |scenario| scenario.step = stands_at_once,
    },
    Mutant {
        id: "RAFT-PREVOTE-NEW",
        defect: "in joint consensus a node asks only the new voters for pre-votes",
        source: "§6: agreement takes \"separate majorities\"; thesis §9.6",
        model: "raft/last-but-one-asks",
        inject: |scenario| scenario.step = asks_the_new_alone,
    },
    Mutant {
        id: "RAFT-PREVOTE-STALE",
        defect: "a pre-vote for an earlier term counts for the next one",
        source: "thesis §9.6",
        model: "raft/pre-vote",
        inject: |scenario| {
            scenario.step = counts_stale_pre_votes;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "RAFT-PREVOTE-ADOPTS",
        defect: "who is asked for a pre-vote takes the term over",
        source: "thesis §9.6",
        model: "raft/pre-vote",
        inject: |scenario| scenario.step = adopts_the_term_asked_for,
    },
    Mutant {
        id: "RAFT-PREVOTE-BLIND",
        defect: "a pre-vote is given by a node that hears its leader",
        source: "thesis §9.6",
        model: "raft/disruption",
        inject: |scenario| scenario.step = pre_votes_against_its_leader,
    },
    Mutant {
        id: "RAFT-PREVOTE-SILENCE",
        defect: "a pre-vote for a term that has begun is not answered: two nodes that need each \
                 other ask for ever. As a safety property: who is behind learns so",
        source: "etcd: clusters of mixed terms stand still",
        model: "raft/mixed-terms",
        inject: |scenario| scenario.step = ignores_who_is_behind,
    },
    Mutant {
        id: "RAFT-LEASE-IGNORED",
        defect: "a node that hears its leader votes for another",
        source: "thesis §4.2.3",
        model: "raft/check-quorum",
        inject: |scenario| scenario.step = votes_against_its_leader,
    },
    Mutant {
        id: "RAFT-REMOVED-HEARD",
        defect: "a node that hears its leader votes for one that has been removed",
        source: "§6, third issue; thesis §4.2.3",
        model: "raft/removed",
        inject: |scenario| scenario.step = hears_former_members,
    },
    Mutant {
        id: "RAFT-REMOVED-FOLLOWED",
        defect: "a leader follows a node that it has removed into a higher term",
        source: "thesis §4.2.3",
        model: "raft/removed",
        inject: |scenario| scenario.step = follows_former_members,
    },
    Mutant {
        id: "RAFT-LEASE-OLD-LEADER",
        defect: "what a deposed leader sends counts as hearing from a leader",
        source: "openraft 2080: an old leader's heartbeats hold a quorum",
        model: "raft/returning",
        inject: |scenario| scenario.step = hears_old_leaders,
    },
    Mutant {
        id: "RAFT-CHECK-QUORUM-OFF",
        defect: "a leader that nobody answers remains one, and those that hear it vote for nobody",
        source: "thesis §6.2",
        model: "raft/check-quorum",
        inject: |scenario| scenario.step = never_steps_down,
    },
    Mutant {
        id: "RAFT-CHECK-QUORUM-LEARNER",
        defect: "a learner that answers is counted as one who votes: a leader whom no other voter \
                 hears leads on",
        source: "thesis §6.2, §4.2.1: a majority of its cluster; a learner counts for nothing",
        model: "raft/check-quorum-learner",
        inject: |scenario| scenario.step = counts_learners_that_answer,
    },
    Mutant {
        id: "RAFT-CHECK-QUORUM-ONCE",
        defect: "who has answered once counts for ever",
        source: "thesis §6.2: within an election timeout",
        model: "raft/check-quorum",
        inject: |scenario| scenario.step = never_counts_anew,
    },
    Mutant {
        id: "RAFT-CHECK-QUORUM-DEAF",
        defect: "a leader does not count who answers it, and steps down in the best of health",
        source: "thesis §6.2",
        model: "raft/disruption",
        inject: |scenario| scenario.step = hears_nobody,
    },
    Mutant {
        id: "RAFT-CHECK-QUORUM-HASTY",
        defect: "a leader steps down whenever an election timeout has elapsed",
        source: "thesis §6.2: without answers of a majority",
        model: "raft/returning",
        inject: |scenario| scenario.step = always_steps_down,
    },
    Mutant {
        id: "RAFT-LEASE-UNASKED",
        defect: "a node that has neither PreVote nor CheckQuorum keeps a lease",
        source: "thesis §4.2.3, §9.6: they are extensions",
        model: "raft/catch-up",
        inject: |scenario| scenario.step = keeps_a_lease,
    },
    Mutant {
        id: "RAFT-STUCK-TERM",
        defect: "an append of an earlier term is ignored: a node that was left behind in a higher \
                 term never rejoins. As a safety property: who is behind learns so",
        source: "etcd: CheckQuorum and a node stuck in a higher term",
        model: "raft/returning",
        inject: |scenario| scenario.step = ignores_old_appends,
    },
    Mutant {
        id: "RAFT-READ-ABANDONED",
        defect: "a leader that steps down lets its readers wait",
        source: "thesis §6.2, §6.4",
        model: "raft/check-quorum",
        inject: |scenario| scenario.step = abandons_reads,
    },
    Mutant {
        id: "RAFT-READ-LEASE",
        defect: "a leader answers reads at once as long as its lease timer runs, and pauses",
        source: "etcd 20418; thesis §6.4.1",
        model: "raft/check-quorum",
        inject: |scenario| scenario.step = reads_by_lease,
    },
    Mutant {
        id: "RAFT-CHECK-QUORUM-STOPS",
        defect: "a leader checks once whether a quorum answers, and then never again",
        source: "thesis §6.2: whenever an election timeout elapses",
        model: "raft/check-quorum",
        inject: |scenario| scenario.step = checks_once,
    },
];

fn hears_nobody(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    if let Role::Leader(leadership) = &mut node.volatile.role {
        leadership.heard.clear();
    }
}

fn always_steps_down(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if input == Input::Fire(Timer::Lease)
        && let Role::Leader(leadership) = &mut node.volatile.role
    {
        leadership.heard.clear();
    }
    raft.step(node, input, out);
}

fn keeps_a_lease(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    if matches!(node.volatile.role, Role::Follower { leader: Some(_) }) {
        node.volatile.hears_leader = true;
        out.arm(Timer::Lease);
    }
}

fn stands_at_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    // One is enough, and the others can take office.
    let skips = raft.id() == NodeId(2);
    if skips && input == Input::Fire(Timer::Election) && !leads(node) {
        raft.stand(node, false, out);
    } else {
        raft.step(node, input, out);
    }
}

fn counts_stale_pre_votes(raft: &R, node: &mut Node<R>, mut input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        message:
            Message::PreVoteResponse {
                term,
                outcome: VoteOutcome::Granted,
            },
        ..
    } = &mut input
    {
        *term = node.durable().current_term.next();
    }
    raft.step(node, input, out);
}

fn adopts_the_term_asked_for(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let asked = match message(&input) {
        Some(Message::PreVote { term, .. }) => Some(*term),
        _ => None,
    };
    raft.step(node, input, out);
    if let Some(term) = asked.filter(|&term| term > node.durable().current_term) {
        node.write(Record::Ballot {
            term,
            voted_for: None,
        });
    }
}

/// Takes the step as a node that hears no leader.
fn step_unled(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let term = node.durable().current_term;
    let heard = core::mem::take(&mut node.volatile.hears_leader);
    raft.step(node, input, out);
    node.volatile.hears_leader |= heard && node.durable().current_term == term;
}

fn pre_votes_against_its_leader(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
) {
    match message(&input) {
        Some(Message::PreVote { .. }) => step_unled(raft, node, input, out),
        _ => raft.step(node, input, out),
    }
}

fn votes_against_its_leader(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    match message(&input) {
        Some(Message::RequestVote { .. }) => step_unled(raft, node, input, out),
        _ => raft.step(node, input, out),
    }
}

/// Whether a node that is no member, and will not be one again, has sent the input.
fn is_outsiders(raft: &R, node: &Node<R>, input: &Input<R>) -> bool {
    match input {
        Input::Deliver { from, .. } => !raft.peers(node).contains(from),
        Input::Fire(_) | Input::Ask(_) => false,
    }
}

fn hears_former_members(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    match message(&input) {
        Some(Message::RequestVote { .. }) if is_outsiders(raft, node, &input) => {
            step_unled(raft, node, input, out);
        }
        _ => raft.step(node, input, out),
    }
}

fn follows_former_members(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let told = message(&input).map(Message::sender_term);
    let higher = told.filter(|&term| term > node.durable().current_term);
    match (message(&input), higher) {
        (Some(Message::AppendEntriesResponse { .. }), Some(term))
            if leads(node) && is_outsiders(raft, node, &input) =>
        {
            node.write(Record::Ballot {
                term,
                voted_for: None,
            });
            raft.follow(node, None, out);
        }
        _ => raft.step(node, input, out),
    }
}

fn ignores_who_is_behind(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let current_term = node.durable().current_term;
    match message(&input) {
        Some(Message::PreVote { term, .. }) if *term <= current_term => {}
        _ => raft.step(node, input, out),
    }
}

fn hears_old_leaders(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let current_term = node.durable().current_term;
    let is_old = matches!(
        message(&input),
        Some(Message::AppendEntries { term, .. }) if *term < current_term
    );
    raft.step(node, input, out);
    if is_old && matches!(node.volatile.role, Role::Follower { .. }) {
        raft.hear_leader(node, out);
    }
}

fn leadership(node: &mut Node<R>) -> Option<&mut Leadership<Adder>> {
    match &mut node.volatile.role {
        Role::Leader(leadership) => Some(leadership),
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => None,
    }
}

fn never_steps_down(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if input == Input::Fire(Timer::Lease)
        && let Some(leadership) = leadership(node)
    {
        let peers: Vec<NodeId> = leadership.progress.keys().copied().collect();
        leadership.heard.extend(peers);
    }
    raft.step(node, input, out);
}

fn counts_learners_that_answer(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if input == Input::Fire(Timer::Lease) && leads(node) {
        step_acting_on(raft, node, input, out, with_learners);
    } else {
        raft.step(node, input, out);
    }
}

fn never_counts_anew(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let heard = leadership(node).map(|leadership| leadership.heard.clone());
    raft.step(node, input, out);
    if let Some(leadership) = leadership(node) {
        leadership.heard.extend(heard.unwrap_or_default());
    }
}

fn ignores_old_appends(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_refusal = |effect: &Effect<R>| {
        matches!(
            effect,
            Effect::Send {
                message: Message::AppendEntriesResponse {
                    outcome: AppendOutcome::StaleTerm { .. },
                    ..
                },
                ..
            }
        )
    };
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain().filter(|effect| !is_refusal(effect)) {
        out.push(effect);
    }
}

fn abandons_reads(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if input == Input::Fire(Timer::Lease)
        && let Some(leadership) = leadership(node)
    {
        leadership.reads.clear();
    }
    raft.step(node, input, out);
}

fn reads_by_lease(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let committed = node.volatile.commit_index;
    match (&input, leadership(node)) {
        (Input::Ask(Command::Read { request, .. }), Some(leadership))
            if 2 * (leadership.heard.len() + 1) > leadership.progress.len() + 1
                && committed >= leadership.term_start =>
        {
            let response = Sum(node.volatile.applied.machine.0);
            let request = *request;
            out.emit(Event::Reply { request, response });
        }
        _ => raft.step(node, input, out),
    }
}

fn checks_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let checks = input == Input::Fire(Timer::Lease) && leads(node);
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        if !checks || effect != Effect::Arm(Timer::Lease) {
            out.push(effect);
        }
    }
}

fn asks_the_new_alone(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    let voters = &raft.configuration(node).voters;
    let is_old = |effect: &Effect<R>| match effect {
        Effect::Send {
            to,
            message: Message::PreVote { .. },
        } => !voters.contains(to),
        _ => false,
    };
    for effect in right.drain().filter(|effect| !is_old(effect)) {
        out.push(effect);
    }
}
