//! Defects of membership changes (§6; thesis §4).

use super::{R, leads};
use crate::protocol::{Input, Node, NodeId, Outbox, Protocol};
use crate::raft::configuration::{Configuration, InForce};
use crate::raft::log::{Content, Entry, Index, Term};
use crate::raft::message::Message;
use crate::raft::progress::progress_of;
use crate::raft::spec::machine::Adder;
use crate::raft::state::{Role, Volatile};
use crate::raft::{Command, Event, Timer};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-CHANGE-AT-ONCE",
        defect: "C-new follows C-old without a joint configuration",
        source: "§6, Figure 10",
        model: "raft/replace",
        inject: |scenario| {
            scenario.step = changes_at_once;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "RAFT-CHANGE-EARLY",
        defect: "one server is added or removed before an entry of the leader's term is committed",
        source: "Ongaro, \"Bug in single-server membership changes\", raft-dev, 2015",
        model: "raft/single-server-change",
        inject: |scenario| scenario.step = changes_before_first_commit,
    },
    Mutant {
        id: "RAFT-CHANGE-TWICE",
        defect: "a second change begins while the first is not committed",
        source: "§6; thesis §4.1",
        model: "raft/move",
        inject: |scenario| scenario.step = changes_twice,
    },
    Mutant {
        id: "RAFT-CHANGE-LATE",
        defect: "a new configuration is used only once it is committed",
        source: "§6: \"regardless of whether the entry is committed\"",
        model: "raft/leader-leaves",
        inject: |scenario| {
            scenario.step = uses_committed_configuration;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "RAFT-CHANGE-UNDONE",
        defect: "truncation does not bring the previous configuration back",
        source: "§6; thesis §4.1",
        model: "raft/overruled",
        inject: |scenario| scenario.step = keeps_truncated_configuration,
    },
    Mutant {
        id: "RAFT-CHANGE-UNDONE-COMPACTED",
        defect: "truncation brings back what the log still holds: where the configuration before is in \
                 the snapshot alone, the one that the cluster began with",
        source: "§7: a snapshot includes the latest configuration",
        model: "raft/overruled-compacted",
        inject: |scenario| scenario.step = falls_back_to_the_log_alone,
    },
    Mutant {
        id: "RAFT-CHANGE-FORGOTTEN",
        defect: "a node that restarts uses the configuration that the cluster began with",
        source: "§6",
        model: "raft/move",
        inject: |scenario| scenario.boot = boots_from_founding_configuration,
    },
    Mutant {
        id: "RAFT-CHANGE-FORGOTTEN-COMPACTED",
        defect: "a node that restarts uses the latest configuration that its log holds: where that is in the \
                 snapshot alone, the one that the cluster began with",
        source: "§7: a snapshot includes the latest configuration",
        model: "raft/learner-leaves-compacted",
        inject: |scenario| scenario.boot = boots_from_the_log_alone,
    },
    Mutant {
        id: "RAFT-CAMPAIGN-PENDING",
        defect: "a candidate leaves a pending change out of account",
        source: "etcd 12133; §6",
        model: "raft/move",
        inject: |scenario| scenario.step = campaigns_without_pending_change,
    },
    Mutant {
        id: "RAFT-JOINT-UNION",
        defect: "a majority of all, old and new together, is enough",
        source: "§6: \"separate majorities\"",
        model: "raft/grow",
        inject: |scenario| scenario.step = counts_the_union,
    },
    Mutant {
        id: "RAFT-JOINT-NEW",
        defect: "a majority of the new voters is enough in joint consensus",
        source: "§6: \"separate majorities\"",
        model: "raft/grow",
        inject: |scenario| scenario.step = counts_the_new_alone,
    },
    Mutant {
        id: "RAFT-JOINT-NEW-LEARNER",
        defect: "a majority of the new voters is enough in joint consensus, where somebody learns",
        source: "§6: \"separate majorities\"; thesis §4.2.1",
        model: "raft/joint-with-learner",
        inject: |scenario| scenario.step = counts_the_new_alone_beside_a_learner,
    },
    Mutant {
        id: "RAFT-JOINT-EARLY",
        defect: "C-new is appended before the joint configuration is committed",
        source: "§6: \"once C-old,new has been committed\"",
        model: "raft/leader-leaves",
        inject: |scenario| scenario.step = leaves_joint_early,
    },
    Mutant {
        id: "RAFT-JOINT-STUCK",
        defect: "a leader does not end the change that its predecessor has begun",
        source: "etcd 12136",
        model: "raft/inherited",
        inject: |scenario| scenario.step = leaves_inherited_change,
    },
    Mutant {
        id: "RAFT-LEFT-COUNTS",
        defect: "a leader that is no member counts itself",
        source: "§6; thesis §4.2.2",
        model: "raft/leader-leaves",
        inject: |scenario| scenario.step = counts_itself,
    },
    Mutant {
        id: "RAFT-LEFT-LEADS",
        defect: "a leader that has left remains in office",
        source: "§6",
        model: "raft/move",
        inject: |scenario| scenario.step = remains_in_office,
    },
    Mutant {
        id: "RAFT-LEFT-EARLY",
        defect: "a node retires as soon as its log has a configuration without it",
        source: "thesis §4.2.2; CCF, premature retirement",
        model: "raft/last-but-one",
        inject: |scenario| scenario.step = retires_early,
    },
    Mutant {
        id: "RAFT-LEARNER-COUNTS",
        defect: "what a learner acknowledges counts",
        source: "thesis §4.2.1",
        model: "raft/grow",
        inject: |scenario| scenario.step = counts_learners,
    },
    Mutant {
        id: "RAFT-LEARNER-VOTES",
        defect: "a candidate asks learners, and counts their votes",
        source: "thesis §4.2.1",
        model: "raft/grow",
        inject: |scenario| scenario.step = asks_learners,
    },
    Mutant {
        id: "RAFT-LEARNER-STANDS",
        defect: "a learner stands for election",
        source: "thesis §4.2.1",
        model: "raft/move",
        inject: |scenario| scenario.step = stands_as_learner,
    },
    Mutant {
        id: "RAFT-LEARNER-REFUSES",
        defect: "a node that takes itself for a learner refuses its vote, and may be needed",
        source: "etcd 12359; thesis §4.1",
        model: "raft/grow",
        inject: |scenario| scenario.step = refuses_as_learner,
    },
    Mutant {
        id: "RAFT-LEARNER-REMAINS",
        defect: "who is promoted to vote goes on learning as well",
        source: "thesis §4.2.1",
        model: "raft/grow",
        inject: |scenario| scenario.step = keeps_learning,
    },
    Mutant {
        id: "RAFT-CHANGE-TOLD-EARLY",
        defect: "a client is told that its change is made when the leader has begun it",
        source: "§6; thesis §4.1",
        model: "raft/grow",
        inject: |scenario| scenario.step = tells_early,
    },
    Mutant {
        id: "RAFT-LEARNER-BEHIND",
        defect: "a learner votes although it is behind",
        source: "thesis §4.2.1",
        model: "raft/move",
        inject: |scenario| scenario.step = promotes_whoever_is_behind,
    },
];

/// Takes a step in which the node acts on another configuration than the one in its log. One
/// that the step itself enters stays.
pub(super) fn step_acting_on(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
    act_on: impl FnOnce(&InForce) -> InForce,
) {
    let in_force = node.volatile.configuration.clone();
    let acted_on = in_force.as_ref().map(act_on);
    node.volatile.configuration.clone_from(&acted_on);
    raft.step(node, input, out);
    if node.volatile.configuration == acted_on {
        node.volatile.configuration = in_force;
    }
    raft.settle_configuration(node, out);
}

/// Appends a configuration to a leader's log and sends it.
pub(super) fn append_configuration(
    raft: &R,
    node: &mut Node<R>,
    configuration: Configuration,
    out: &mut Outbox<R>,
) {
    let entry = Entry {
        term: node.durable().current_term,
        content: Content::Configuration(configuration),
    };
    raft.append_entry(node, entry, out);
    raft.send_all_appends(node, out);
    raft.advance_commit_index(node, out);
}

/// What a leader is asked to change the configuration to, where it can be; the request is
/// answered when it has come to that.
fn target(raft: &R, node: &mut Node<R>, input: &Input<R>) -> Option<Configuration> {
    let Input::Ask(Command::ChangeMembership { request, change }) = input else {
        return None;
    };
    let current = raft.configuration(node).without_outgoing();
    let target = change.applied_to(&current).ok()?;
    if let Role::Leader(leadership) = &mut node.volatile.role {
        leadership.change = Some(*request);
        return Some(target);
    }
    None
}

fn is_established(node: &Node<R>) -> bool {
    match &node.volatile.role {
        Role::Leader(leadership) => node.volatile.commit_index >= leadership.term_start,
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => false,
    }
}

/// Whether a leader knows all others to have all that it has.
fn has_caught_up(node: &Node<R>) -> bool {
    match &node.volatile.role {
        Role::Leader(leadership) => { leadership.progress.values() }
            .all(|peer| peer.match_index == node.volatile.commit_index),
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => false,
    }
}

fn changes_at_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    match target(raft, node, &input) {
        Some(target) if has_caught_up(node) && !raft.is_changing(node) => {
            append_configuration(raft, node, target, out);
        }
        _ => raft.step(node, input, out),
    }
}

fn changes_before_first_commit(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    match target(raft, node, &input) {
        Some(target) if !raft.is_changing(node) => {
            append_configuration(raft, node, target, out);
        }
        _ => raft.step(node, input, out),
    }
}

fn changes_twice(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    match target(raft, node, &input) {
        Some(target) if is_established(node) && has_caught_up(node) => {
            let outgoing = raft.configuration(node).voters.clone();
            append_configuration(raft, node, Configuration { outgoing, ..target }, out);
        }
        _ => raft.step(node, input, out),
    }
}

fn keeps_learning(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let Configuration {
        voters, learners, ..
    } = raft.configuration(node).clone();
    if !is_established(node) || !has_caught_up(node) || raft.is_changing(node) {
        return raft.step(node, input, out);
    }
    if let Some(target) = target(raft, node, &input) {
        let both = Configuration {
            outgoing: voters,
            learners,
            ..target
        };
        append_configuration(raft, node, both, out);
    } else {
        raft.step(node, input, out);
    }
}

fn tells_early(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    let configuration = raft.configuration(node).clone();
    if let Role::Leader(leadership) = &mut node.volatile.role
        && let Some(request) = leadership.change.take()
    {
        out.emit(Event::Changed {
            request,
            configuration,
        });
    }
}

fn uses_committed_configuration(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
) {
    let log = &node.durable().log;
    let committed = log.configuration_at(node.volatile.commit_index);
    node.volatile.configuration = committed;
    raft.step(node, input, out);
    let log = &node.durable().log;
    node.volatile.configuration = log.configuration_at(log.last_index());
    raft.settle_configuration(node, out);
}

fn keeps_truncated_configuration(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
) {
    let before = node.volatile.configuration.clone();
    raft.step(node, input, out);
    if index(&node.volatile.configuration) < index(&before) {
        node.volatile.configuration = before;
    }
}

fn index(in_force: &Option<InForce>) -> Option<Index> {
    in_force.as_ref().map(|in_force| in_force.index)
}

fn falls_back_to_the_log_alone(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let before = index(&node.volatile.configuration);
    raft.step(node, input, out);
    if index(&node.volatile.configuration) < before {
        let log = &node.durable().log;
        node.volatile.configuration = log.configuration_at(log.last_index());
    }
}

fn boots_from_founding_configuration(
    raft: &R,
    durable: &<R as Protocol>::Durable,
    out: &mut Outbox<R>,
) -> Volatile<Adder> {
    Volatile {
        configuration: None,
        ..raft.boot(durable, out)
    }
}

fn boots_from_the_log_alone(
    raft: &R,
    durable: &<R as Protocol>::Durable,
    out: &mut Outbox<R>,
) -> Volatile<Adder> {
    Volatile {
        configuration: durable.log.configuration_at(durable.log.last_index()),
        ..raft.boot(durable, out)
    }
}

fn campaigns_without_pending_change(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
) {
    let stands = matches!(node.volatile.role, Role::Candidate { .. })
        || input == Input::Fire(Timer::Election);
    if stands {
        uses_committed_configuration(raft, node, input, out);
    } else {
        raft.step(node, input, out);
    }
}

fn counts_the_union(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_acting_on(raft, node, input, out, |in_force| InForce {
        configuration: Configuration {
            voters: in_force.configuration.all_voters(),
            outgoing: [].into(),
            ..in_force.configuration.clone()
        },
        ..in_force.clone()
    });
}

fn counts_the_new_alone(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_acting_on(raft, node, input, out, |in_force| InForce {
        configuration: in_force.configuration.without_outgoing(),
        ..in_force.clone()
    });
}

fn counts_the_new_alone_beside_a_learner(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
) {
    match raft.configuration(node).learners.is_empty() {
        true => raft.step(node, input, out),
        false => counts_the_new_alone(raft, node, input, out),
    }
}

fn leaves_joint_early(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    if leads(node) && raft.configuration(node).is_joint() {
        let next = raft.configuration(node).without_outgoing();
        append_configuration(raft, node, next, out);
    }
}

/// The configuration in force seems never to be committed.
fn leaves_inherited_change(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let in_force = node.volatile.configuration.clone();
    let inherited = in_force.filter(|in_force| {
        let entry = node.durable().log.get(in_force.index);
        in_force.configuration.is_joint()
            && entry.is_some_and(|entry| entry.term < node.durable().current_term)
    });
    let Some(in_force) = inherited else {
        return raft.step(node, input, out);
    };
    let masked = Some(InForce {
        index: Index(u64::MAX),
        ..in_force.clone()
    });
    node.volatile.configuration.clone_from(&masked);
    raft.step(node, input, out);
    if node.volatile.configuration == masked {
        node.volatile.configuration = Some(in_force);
    }
}

fn counts_itself(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if !leads(node) {
        return raft.step(node, input, out);
    }
    step_acting_on(raft, node, input, out, |in_force| {
        let mut counted = in_force.clone();
        counted.configuration.voters.insert(raft.id());
        counted
    });
}

fn remains_in_office(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let role = leads(node).then(|| node.volatile.role.clone());
    let term = node.durable().current_term;
    raft.step(node, input, out);
    if let Some(role) = role
        && node.durable().current_term == term
        && !leads(node)
    {
        node.volatile.role = role;
    }
}

fn retires_early(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if input == Input::Fire(Timer::Election) && !raft.configuration(node).is_voter(raft.id()) {
        return;
    }
    raft.step(node, input, out);
}

/// A configuration in which the learners vote.
pub(super) fn with_learners(in_force: &InForce) -> InForce {
    let mut counted = in_force.clone();
    let learners = core::mem::take(&mut counted.configuration.learners);
    counted.configuration.voters.extend(learners);
    counted
}

fn counts_learners(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if leads(node) {
        step_acting_on(raft, node, input, out, with_learners);
    } else {
        raft.step(node, input, out);
    }
}

fn asks_learners(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let votes = raft.configuration(node).is_voter(raft.id());
    if votes && !leads(node) {
        step_acting_on(raft, node, input, out, with_learners);
    } else {
        raft.step(node, input, out);
    }
}

fn stands_as_learner(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if input == Input::Fire(Timer::Election) {
        step_acting_on(raft, node, input, out, with_learners);
    } else {
        raft.step(node, input, out);
    }
}

fn refuses_as_learner(raft: &R, node: &mut Node<R>, mut input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        message:
            Message::RequestVote {
                last_log_index,
                last_log_term,
                ..
            },
        ..
    } = &mut input
        && !raft.configuration(node).is_voter(raft.id())
    {
        (*last_log_index, *last_log_term) = (Index(0), Term(0));
    }
    raft.step(node, input, out);
}

/// For as long as it is asked, the leader takes every learner to have all.
fn promotes_whoever_is_behind(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_change = matches!(input, Input::Ask(Command::ChangeMembership { .. }));
    let last_index = node.durable().log.last_index();
    let learners = raft.configuration(node).learners.clone();
    let known =
        |node: &mut Node<R>, learner: NodeId| progress_of(node, learner).map(|it| it.clone());
    let before: alloc::vec::Vec<_> = learners
        .into_iter()
        .filter(|_| is_change)
        .filter_map(|learner| Some((learner, known(node, learner)?)))
        .collect();
    for &(learner, _) in &before {
        if let Some(progress) = progress_of(node, learner) {
            progress.match_index = last_index;
        }
    }
    raft.step(node, input, out);
    for (learner, before) in before {
        if let Some(progress) = progress_of(node, learner) {
            progress.match_index = before.match_index;
        }
    }
}
