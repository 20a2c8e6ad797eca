//! What must hold of every transition.

use crate::protocol::NodeId;
use crate::raft::Raft;
use crate::raft::log::Term;
use crate::raft::machine::StateMachine;
use crate::raft::state::{Persistent, Role};
use crate::specification::Law;
use crate::world::{Action, Disk, Host, Scenario, World};

use super::contradictions::{clusters_meet, is_blank};
use super::disruption::{self, disturbs};
use super::invariants::{agree_up_to, holds_committed, logs_match};
use super::terms::{is_in_reach, is_late, made_known};
use super::{leadership, membership};

impl<M: StateMachine> Raft<M> {
    pub(super) const TRANSITION_PROPERTIES: &'static [Law<Self>] = &[
        Law {
            name: "Election Safety →",
            source: "Figure 3, §5.2: who takes office in a term is the first to do so",
            holds: |_, before, _, after| takes_office_alone(before, after),
        },
        Law {
            name: "Leader Append-Only →",
            source: "Figure 3, §5.3: a leader never overwrites or deletes entries in its log",
            holds: |_, before, _, after| each(before, after, leader_only_appends),
        },
        Law {
            name: "Log Matching →",
            source: "Figure 3, §5.3: a log that changes still matches all others",
            holds: |scenario, before, _, after| {
                changed_logs_match(before, after) || clusters_meet(scenario)
            },
        },
        Law {
            name: "Leader Completeness →",
            source: "Figure 3, §5.4: who takes office has all that was committed before",
            holds: |scenario, before, _, after| {
                takes_office_complete(before, after) || clusters_meet(scenario)
            },
        },
        Law {
            name: "State Machine Safety →",
            source: "Figure 3, §5.4.3: an applied entry never changes or vanishes",
            holds: |scenario, before, _, after| {
                let holds = |old: &_, new: &_| applied_entries_stay(scenario, old, new);
                changed(before, after).all(|(_, old, new)| holds(old, new))
            },
        },
        Law {
            name: "Terms increase",
            source: "Figure 2: currentTerm increases monotonically, crash or not, while there is a disk",
            holds: |scenario, before, _, after| {
                each_promise(scenario, before, after, |old, new| {
                    is_blank(new) || old.current_term <= new.current_term
                })
            },
        },
        Law {
            name: "One vote per term",
            source: "§5.2: each server will vote for at most one candidate in a given term",
            holds: |scenario, before, _, after| each_promise(scenario, before, after, vote_stands),
        },
        Law {
            name: "Commit index increases",
            source: "Figure 2: commitIndex increases monotonically",
            holds: |_, before, _, after| each(before, after, commit_index_increases),
        },
        Law {
            name: "Match index increases",
            source: "Figure 2: matchIndex increases monotonically",
            holds: |_, before, _, after| each(before, after, match_index_increases),
        },
        Self::COMMITTED_ENTRIES_STAY,
        Self::BLANK_NODES_ARE_SILENT,
        Self::HALTED_NODES_ARE_SILENT,
        Self::FOLLOWERS_ARE_IN_THE_LEADERS_STATE,
        Self::SNAPSHOTS_ADVANCE,
        Self::APPLIED_STATE_ADVANCES,
        Self::REFUSALS_LEAD_BACK,
        Self::APPENDS_ARE_FULL,
        Self::WINDOW_IS_WHAT_WAS_SENT,
        Self::LOST_IS_SENT_AGAIN,
        Self::NOTHING_NEW_IS_ANSWERED_AT_MOST,
        Self::CONFLICTS_ARE_TRUE,
        Self::TERMS_ARE_SKIPPED,
        Self::CHUNKS_ARE_OF_THE_BLOB,
        Self::PARTIALS_GROW,
        Self::LATE_CHUNKS_ARE_SETTLED,
        Self::SENDING_GOES_ON,
        Self::SNAPSHOTS_WAIT,
        Self::LEAST_RECENTLY_USED_EXPIRE,
        Self::ENTRIES_TRAIL,
        Self::NO_LEADER_IS_THERE,
        Self::RENEWED_BY_WHAT_IT_WAITS_FOR,
        Self::BALLOT_IS_THERE,
        Self::DISKS_DEPOSE_NOBODY,
        Law {
            name: "The larger term is adopted",
            source: "§5.1: a server whose term is smaller updates it and reverts to follower",
            holds: larger_term_is_adopted,
        },
        Law {
            name: "Voters have caught up",
            source: "thesis §4.2.1: a learner votes when it has what is committed, not before",
            holds: |scenario, before, _, after| {
                membership::voters_have_caught_up(scenario, before, after)
            },
        },
        Law {
            name: "Whoever is asked votes",
            source: "§6; thesis §4.1; etcd 12359: a vote does not depend on one's configuration",
            holds: |_, before, action, after| {
                membership::whoever_is_asked_votes(before, action, after)
            },
        },
        Law {
            name: "Servers start as followers",
            source: "§5.2",
            holds: |_, _, action, after| starts_as_follower(action, after),
        },
        Law {
            name: "A term out of reach is not heeded →",
            source: "§5.1: terms only ever increase, one for each election: nobody comes far beyond the \
                     others, and who did would leave none to come",
            holds: |_, before, action, after| out_of_reach_is_not_heeded(before, action, after),
        },
        Law {
            name: "A removed node disrupts nobody →",
            source: "§6, third issue; thesis §4.2.3",
            holds: disruption::a_removed_node_disrupts_nobody,
        },
        Law {
            name: "Who hears a leader stands by it →",
            source: "thesis §4.2.3: within the minimum election timeout no vote, and no new term",
            holds: disruption::who_hears_a_leader_stands_by_it,
        },
        Law {
            name: "A pre-vote changes nothing →",
            source: "thesis §9.6: neither term nor vote",
            holds: |_, before, action, after| {
                disruption::a_pre_vote_changes_nothing(before, action, after)
            },
        },
        Law {
            name: "A pre-vote counts for its term →",
            source: "thesis §9.6",
            holds: |_, before, action, after| {
                disruption::pre_votes_are_of_their_term(before, action, after)
            },
        },
        Law {
            name: "Who stands has a quorum behind it →",
            source: "thesis §9.6: a term is begun by who could win it",
            holds: disruption::who_stands_has_a_quorum_behind_it,
        },
        Law {
            name: "Who is behind learns so →",
            source: "§5.1; thesis §9.6: a node of an earlier term is answered, not ignored",
            holds: |_, before, action, after| {
                disruption::who_is_behind_learns_so(before, action, after)
            },
        },
        Law {
            name: "Only the leader of its term is heard →",
            source: "§5.2; thesis §4.2.3: \"a current leader\"",
            holds: |_, before, action, after| {
                disruption::only_the_leader_is_heard(before, action, after)
            },
        },
        Law {
            name: "Who has heard a leader believes in it →",
            source: "§5.2; thesis §4.2.3: by whatever the leader of its term sends it",
            holds: |scenario, before, action, after| {
                disruption::the_leader_is_heard(scenario, before, action, after)
            },
        },
        Law {
            name: "A leader without a quorum steps down →",
            source: "thesis §6.2: after an election timeout without answers of a majority",
            holds: |_, before, action, after| {
                disruption::a_leader_without_a_quorum_steps_down(before, action, after)
            },
        },
        Law {
            name: "A leader counts who answers it →",
            source: "thesis §6.2",
            holds: |_, before, action, after| {
                disruption::a_leader_counts_answers(before, action, after)
            },
        },
        Law {
            name: "A leader with a quorum stays →",
            source: "thesis §6.2: a majority has answered within an election timeout",
            holds: |_, before, action, after| {
                disruption::a_leader_with_a_quorum_stays(before, action, after)
            },
        },
        Law {
            name: "Whoever answers a leader is counted →",
            source: "thesis §6.2: \"a successful round of heartbeats\"",
            holds: disruption::answers_are_counted,
        },
        Law {
            name: "Who steps down keeps nobody waiting →",
            source: "§6; thesis §3.10, §6.2, §6.4: a client's read, change or transfer is not left \
                     to a leader that is none any more",
            holds: |scenario, before, _, after| {
                disruption::who_steps_down_keeps_nobody_waiting(scenario, before, after)
            },
        },
        Self::COMMITS_WHAT_IS_SHOWN,
        Self::QUESTIONS_ARE_REPEATED,
        Self::ROUNDS_ARE_NEEDED,
        Self::PERMISSION_IS_GIVEN,
        Self::TRANSFER_IS_COMPLETE,
        Self::TARGET_IS_TOLD,
        Self::WHO_IS_TOLD_STANDS,
        Self::NOTHING_IS_ADDED,
        Self::LEAVING_IS_TOLD,
        Self::LEFT_ARE_LEFT_ALONE,
        Self::CHANGE_IS_WAITED_FOR,
        Self::CHANGE_IS_DONE_WHEN_TOLD,
        Self::REFUSALS_ARE_TRUE,
        Self::OUTCOMES_ARE_TRUE,
        Self::HOSTS_ARE_TOLD_THE_TRUTH,
        Self::HOSTS_ARE_TOLD,
        Self::LEAVERS_TELL_THEIR_HOSTS,
        Self::HOSTS_KNOW_WHO_LEADS,
        Self::ALL_VOTERS_ARE_ASKED,
        Self::COMMANDS_ARE_ANSWERED_BY_THE_LOG,
        Self::WHO_WAITS_IS_ANSWERED,
        Self::WHO_IS_ANSWERED_HAS_ASKED,
        Self::QUESTIONS_ARE_ANSWERED,
        Self::READS_BEGIN_NOW,
        Self::READS_ARE_CONFIRMED,
        Self::MESSAGES_BEAR_THEIR_ROUND,
        Self::OFFICE_BEGINS_ANEW,
        Self::PEERS_SPEAK_FOR_THEMSELVES,
        Law {
            name: "A healthy quorum is left alone →",
            source: "thesis §9.6: a server that cannot win disrupts nobody",
            holds: |scenario, before, _, after| {
                disruption::a_healthy_quorum_is_left_alone(scenario, before, after)
            },
        },
    ];
}

/// A predicate on one host's change.
type OfHost<M> = fn(&Host<Raft<M>>, &Host<Raft<M>>) -> bool;

/// Whether `holds` is true of each host's change. Unchanged hosts are shared, and skipped.
pub(super) fn each<M: StateMachine>(
    before: &World<Raft<M>>,
    after: &World<Raft<M>>,
    holds: OfHost<M>,
) -> bool {
    changed(before, after).all(|(_, old, new)| holds(old, new))
}

/// Whether `holds` is true of the change of what each node believes as long as it runs, and of what
/// it has promised, crash or not.
pub(super) fn each_promise<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    after: &World<Raft<M>>,
    holds: fn(&Persistent<M>, &Persistent<M>) -> bool,
) -> bool {
    changed(before, after).all(|(_, old, new)| {
        let runs = old.node().is_some() && new.node().is_some();
        holds(old.promised(&scenario.disk), new.promised(&scenario.disk))
            && (!runs || holds(old.durable(), new.durable()))
    })
}

/// The hosts that the transition has touched.
pub(super) fn changed<'a, M: StateMachine>(
    before: &'a World<Raft<M>>,
    after: &'a World<Raft<M>>,
) -> impl Iterator<Item = (NodeId, &'a Host<Raft<M>>, &'a Host<Raft<M>>)> {
    before
        .all_hosts()
        .zip(after.all_hosts())
        .filter(|((_, old), (_, new))| !core::ptr::eq(*old, *new))
        .map(|((id, old), (_, new))| (id, old, new))
}

/// The nodes that lead after the transition and did not lead that term before.
fn new_leaders<'a, M: StateMachine>(
    before: &'a World<Raft<M>>,
    after: &'a World<Raft<M>>,
) -> impl Iterator<Item = (NodeId, Term, &'a Host<Raft<M>>)> {
    changed(before, after).filter_map(|(id, old, new)| {
        let (term, _) = leadership(new)?;
        let led = leadership(old).is_some_and(|(old_term, _)| old_term == term);
        (!led).then_some((id, term, new))
    })
}

/// Nobody, not even the same node before a crash, has ever led the term.
fn takes_office_alone<M: StateMachine>(before: &World<Raft<M>>, after: &World<Raft<M>>) -> bool {
    new_leaders(before, after)
        .all(|(_, term, _)| before.ghost.leaders.iter().all(|&(led, _)| led != term))
}

fn takes_office_complete<M: StateMachine>(before: &World<Raft<M>>, after: &World<Raft<M>>) -> bool {
    new_leaders(before, after)
        .all(|(_, term, host)| holds_committed(&host.durable().log, &before.ghost.committed, term))
}

fn leader_only_appends<M: StateMachine>(old: &Host<Raft<M>>, new: &Host<Raft<M>>) -> bool {
    let (Some((led, _)), Some((leads, _))) = (leadership(old), leadership(new)) else {
        return true;
    };
    let last = old.durable().log.last_index();
    let (old, new) = (&old.durable().log, &new.durable().log);
    led != leads || new.last_index() >= last && agree_up_to(old, new, last)
}

fn changed_logs_match<M: StateMachine>(before: &World<Raft<M>>, after: &World<Raft<M>>) -> bool {
    changed(before, after)
        .filter(|(_, old, new)| old.durable().log != new.durable().log)
        .all(|(_, _, new)| {
            after
                .all_hosts()
                .all(|(_, other)| logs_match(&new.durable().log, &other.durable().log))
        })
}

fn applied_entries_stay<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    old: &Host<Raft<M>>,
    new: &Host<Raft<M>>,
) -> bool {
    let Some(node) = old.node() else {
        return true;
    };
    if has_forgotten(scenario, new) {
        return true;
    }
    let applied = node.volatile.applied.last_applied;
    let (old, new) = (&old.durable().log, &new.durable().log);
    new.last_index() >= applied && agree_up_to(old, new, applied)
}

/// Whether the node has crashed, and its disk may lack what it had written: with that it has forgotten
/// what it knew of it. What is committed is on others' disks.
pub(super) fn has_forgotten<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    new: &Host<Raft<M>>,
) -> bool {
    new.node().is_none() && matches!(scenario.disk, Disk::Buffered)
}

fn term_of<M: StateMachine>(host: &Host<Raft<M>>) -> Term {
    host.durable().current_term
}

fn vote_stands<M: StateMachine>(old: &Persistent<M>, new: &Persistent<M>) -> bool {
    old.current_term != new.current_term
        || old.voted_for.is_none()
        || old.voted_for == new.voted_for
}

fn commit_index_increases<M: StateMachine>(old: &Host<Raft<M>>, new: &Host<Raft<M>>) -> bool {
    match (old.node(), new.node()) {
        (Some(old), Some(new)) => old.volatile.commit_index <= new.volatile.commit_index,
        // A crash forgets it.
        _ => true,
    }
}

fn match_index_increases<M: StateMachine>(old: &Host<Raft<M>>, new: &Host<Raft<M>>) -> bool {
    let (Some((led, old)), Some((leads, new))) = (leadership(old), leadership(new)) else {
        return true;
    };
    let match_index = |peer| new.progress.get(peer).map(|progress| progress.match_index);
    led != leads
        || old
            .progress
            .iter()
            .all(|(peer, progress)| Some(progress.match_index) <= match_index(peer))
}

fn larger_term_is_adopted<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let (Some(old), Some(new)) = (before.host(envelope.to), after.host(envelope.to)) else {
        return true;
    };
    // An answer to a question that the node no longer asks is not for it, and a candidate who
    // would depose a leader that the node hears is ignored (thesis §4.2.3).
    // Who takes no part adopts nothing.
    if is_late(&envelope.message, term_of(old))
        || disturbs(scenario, before, envelope)
        || !old.durable().takes_part()
    {
        return true;
    }
    let known = made_known(&envelope.message);
    let Some(term) = known.filter(|&term| is_in_reach(term_of(old), term)) else {
        return true;
    };
    let follows = |host: &Host<Raft<M>>| {
        host.node()
            .is_some_and(|node| matches!(node.volatile.role, Role::Follower { .. }))
    };
    term_of(old) >= term || term_of(new) == term && follows(new)
}

fn starts_as_follower<M: StateMachine>(action: &Action<Raft<M>>, after: &World<Raft<M>>) -> bool {
    let Action::Restart(id) = action else {
        return true;
    };
    after.host(*id).and_then(Host::node).is_some_and(|node| {
        matches!(node.volatile.role, Role::Follower { leader: None })
            && node.volatile.commit_index == node.durable().snapshot.last_included_index()
    })
}

/// It changes nothing, and is not answered.
fn out_of_reach_is_not_heeded<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let (Some(old), Some(new)) = (before.host(envelope.to), after.host(envelope.to)) else {
        return true;
    };
    let is_heeded = || old != new || after.network.sent().next().is_some();
    let known = made_known(&envelope.message);
    known.is_none_or(|term| is_in_reach(term_of(old), term) || !is_heeded())
}
