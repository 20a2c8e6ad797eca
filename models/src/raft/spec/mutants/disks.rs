//! Defects of what a node does on a lost disk, or when it is contradicted.

use super::{R, forget, leads, message};
use crate::machine::StateMachine;
use crate::protocol::{Input, Node, NodeId, Outbox, Protocol};
use crate::raft::contradiction::Contradiction;
use crate::raft::log::{Index, Term};
use crate::raft::membership::Change;
use crate::raft::message::{AppendOutcome, Message, VoteOutcome};
use crate::raft::spec::machine::Adder;
use crate::raft::state::{Record, Volatile};
use crate::raft::{Command, Timer};
use crate::specification::Mutant;
use crate::world::Scenario;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-BLANK-TAKES-PART",
        defect: "a node on an empty disk takes its configuration from its file, and goes on",
        source: "KAFKA-12181",
        model: "raft/emptied",
        inject: |scenario| {
            believe_blank_disks(scenario);
            scenario.boot = waits_for_a_leader_all_the_same;
            scenario.step = begins_anew;
        },
    },
    Mutant {
        id: "RAFT-BLANK-VOTES",
        defect: "a node on an empty disk votes, for it has no log that could be ahead",
        source: "KAFKA-12181",
        model: "raft/emptied",
        inject: |scenario| {
            believe_blank_disks(scenario);
            scenario.step = votes_blank;
        },
    },
    Mutant {
        id: "RAFT-BLANK-ACKNOWLEDGES",
        defect: "a node on an empty disk takes what its leader sends, and says so",
        source: "KAFKA-12181",
        model: "raft/lost-disk",
        inject: |scenario| {
            believe_blank_disks(scenario);
            scenario.step = acknowledges_blank;
        },
    },
    Mutant {
        id: "RAFT-OTHER-DISK-ADMITTED",
        defect: "a node is added under the id that it had before it lost its disk",
        source: "KIP-853, voters by disk",
        model: "raft/lost-and-readmitted",
        inject: |scenario| scenario.step = admits_other_disks,
    },
    Mutant {
        id: "RAFT-TRUNCATES-COMMITTED",
        defect: "a follower truncates whatever conflicts, also what it knows to be committed",
        source: "§5.3, taken by the letter",
        model: "raft/two-clusters",
        inject: |scenario| scenario.step = truncates_committed,
    },
    Mutant {
        id: "RAFT-HALT-FORGOTTEN",
        defect: "that it has halted a node keeps in memory alone",
        source: "what a node must not forget is on its disk (Figure 2)",
        model: "raft/two-clusters",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Halt(_))),
    },
    Mutant {
        id: "RAFT-HALT-SPEAKS",
        defect: "a node that has halted still votes",
        source: "nothing that a contradicted node says counts",
        model: "raft/two-states",
        inject: |scenario| {
            scenario.step = votes_halted;
            scenario.drop_inert = false;
            scenario.bounds.candidates.insert(NodeId(1), Term(3));
        },
    },
    Mutant {
        id: "RAFT-CHECKSUM-IGNORED",
        defect: "a follower does not compare its state with its leader's",
        source: "State Machine Safety, as replicas can check it",
        model: "raft/two-states",
        inject: |scenario| scenario.step = ignores_checksums,
    },
    Mutant {
        id: "RAFT-CHECKSUM-MISALIGNED",
        defect: "a follower compares its state with its leader's, whichever entries they have applied",
        source: "states are comparable after the same entries alone",
        model: "raft/replication",
        inject: |scenario| {
            scenario.step = compares_any_states;
            scenario.drop_inert = false;
        },
    },
];

/// To a node that goes on without its disk no message is inert.
fn believe_blank_disks(scenario: &mut Scenario<R>) {
    scenario.drop_inert = false;
}

fn is_blank(node: &Node<R>) -> bool {
    node.durable().initial.is_none()
}

fn waits_for_a_leader_all_the_same(
    raft: &R,
    durable: &<R as Protocol>::Durable,
    out: &mut Outbox<R>,
) -> Volatile<Adder> {
    if durable.initial.is_none() {
        out.arm(Timer::Election);
    }
    raft.boot(durable, out)
}

fn begins_anew(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if is_blank(node) {
        let configuration = raft.initial().clone();
        node.write(Record::Initialize { configuration });
    }
    raft.step(node, input, out);
}

fn votes_blank(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        from,
        message: Message::RequestVote { term, .. },
    } = input
        && is_blank(node)
        && term > node.durable().current_term
    {
        node.write(Record::Ballot {
            term,
            voted_for: Some(from),
        });
        let outcome = VoteOutcome::Granted;
        return out.send(from, Message::RequestVoteResponse { term, outcome });
    }
    raft.step(node, input, out);
}

fn acknowledges_blank(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        from,
        message:
            Message::AppendEntries {
                term,
                prev_log_index,
                entries,
                round,
                ..
            },
    } = &input
        && is_blank(node)
        && *prev_log_index == node.durable().log.last_index()
    {
        entries
            .iter()
            .for_each(|entry| node.write(Record::Append(entry.clone())));
        let match_index = node.durable().log.last_index();
        let answer = Message::AppendEntriesResponse {
            term: *term,
            outcome: AppendOutcome::Accepted { match_index },
            round: *round,
        };
        return out.send(*from, answer);
    }
    raft.step(node, input, out);
}

/// What the leader knows of the node's progress it keeps.
fn admits_other_disks(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Ask(Command::ChangeMembership { change, .. }) = &input
        && !change.contacts.is_empty()
        && leads(node)
        && !raft.is_changing(node)
        && let Ok(mut target) = (Change {
            contacts: [].into(),
            ..change.clone()
        })
        .applied_to(raft.configuration(node))
    {
        target.contacts.extend(change.contacts.clone());
        return super::membership::append_configuration(raft, node, target, out);
    }
    raft.step(node, input, out);
}

fn truncates_committed(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let commit_index = node.volatile.commit_index;
    if matches!(message(&input), Some(Message::AppendEntries { .. })) {
        node.volatile.commit_index = Index(0);
    }
    raft.step(node, input, out);
    node.volatile.commit_index = node.volatile.commit_index.max(commit_index);
}

fn votes_halted(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        from,
        message: Message::RequestVote { term, .. },
    } = input
        && node.durable().halted.is_some()
    {
        let outcome = VoteOutcome::Granted;
        return out.send(from, Message::RequestVoteResponse { term, outcome });
    }
    raft.step(node, input, out);
}

fn ignores_checksums(raft: &R, node: &mut Node<R>, mut input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        message: Message::AppendEntries { checksum, .. },
        ..
    } = &mut input
    {
        *checksum = None;
    }
    raft.step(node, input, out);
}

fn compares_any_states(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let own = node.volatile.applied.machine.checksum();
    if let Some(&Message::AppendEntries {
        term,
        leader_commit: index,
        checksum: Some(leader),
        ..
    }) = message(&input)
        && term == node.durable().current_term
        && let Some(own) = own.filter(|own| *own != leader)
    {
        let contradiction = Contradiction::State { index, own, leader };
        return raft.halt(node, contradiction, out);
    }
    raft.step(node, input, out);
}
