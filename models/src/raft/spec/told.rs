//! What is said of the membership and of who leads: to clients that change or transfer it, and to
//! hosts, which connect, admit and stop nodes by what they are told (§6; thesis §3.10, §4).
//!
//! Verifies: of each step, that what it says is so when it is said, and that a host is told of each
//! configuration. That no client is left without an answer is [`pending`](super::pending)'s.

use crate::machine::StateMachine;
use crate::protocol::{Node, NodeId};
use crate::raft::configuration::{Configuration, InForce};
use crate::raft::log::{Index, Term};
use crate::raft::membership::{Change, Refusal};
use crate::raft::session::RequestId;
use crate::raft::state::Role;
use crate::raft::{Command, Event, Raft, Timer, TransferOutcome};
use crate::specification::Law;
use crate::world::{Occurrence, Scenario, World};

use super::Step;
use super::membership::{committed, committed_up_to, founding};
use super::quorums::{in_force, latest_at, members};

impl<M: StateMachine> Raft<M> {
    pub(super) const CHANGE_IS_DONE_WHEN_TOLD: Law<Self> = Law {
        name: "A change is done when its client is told so →",
        source: "§6, §8: C-new is committed, and no later configuration overrules it",
        holds: |scenario, before, action, after| {
            Step::taken(scenario, before, action, after)
                .is_none_or(|step| changes_are_done(scenario, after, &step))
        },
    };

    pub(super) const REFUSALS_ARE_TRUE: Law<Self> = Law {
        name: "A change is refused for what is so, and nothing is begun by it →",
        source: "§6; thesis §4.1, §4.2.1: one at a time, of members, who have caught up",
        holds: |scenario, before, action, after| {
            Step::taken(scenario, before, action, after).is_none_or(|step| {
                let asked = before.asked(scenario, action);
                step.emitted.iter().all(|event| match event {
                    Event::Refused { request, refusal } => {
                        is_refused_by_right(before, &step, asked, *request, *refusal)
                    }
                    _ => true,
                })
            })
        },
    };

    pub(super) const OUTCOMES_ARE_TRUE: Law<Self> = Law {
        name: "What is said of a transfer is so →",
        source: "thesis §3.10: the leader is none any more, or resumes, or has refused",
        holds: |scenario, before, action, after| {
            Step::taken(scenario, before, action, after).is_none_or(|step| {
                let asked = before.asked(scenario, action);
                let has_waited = action.fired() == Some(&Timer::Transfer);
                step.emitted.iter().all(|event| match event {
                    Event::Transfer { request, outcome } => {
                        came_to(before, &step, asked, has_waited, *request, *outcome)
                    }
                    _ => true,
                })
            })
        },
    };

    pub(super) const HOSTS_ARE_TOLD_THE_TRUTH: Law<Self> = Law {
        name: "What a host is told of the members is so →",
        source: "§6; thesis §4.2.2: a configuration never goes back once it is committed, and a \
                 server that leaves is needed until then",
        holds: |scenario, before, action, after| {
            Step::taken(scenario, before, action, after)
                .is_none_or(|step| step.emitted.iter().all(|event| is_so(after, &step, event)))
        },
    };
}

impl<M: StateMachine> Raft<M> {
    pub(super) const HOSTS_ARE_TOLD: Law<Self> = Law {
        name: "A host is told when the configuration changes, and when it is committed →",
        source: "§6: it connects its node to who the members are, and tells those who were added",
        holds: |scenario, before, action, after| {
            Step::taken(scenario, before, action, after)
                .is_none_or(|step| hosts_are_told(after, &step))
        },
    };
}

impl<M: StateMachine> Raft<M> {
    pub(super) const LEAVERS_TELL_THEIR_HOSTS: Law<Self> = Law {
        name: "A host is told when its node has left →",
        source: "thesis §4.2.2: a server that is removed is needed no more once that is committed, \
                 however it hears of it",
        holds: |scenario, before, action, after| {
            Step::taken(scenario, before, action, after).is_none_or(|step| {
                let leaves =
                    was_member(before, step.old, step.id) && has_left(after, step.new, step.id);
                !leaves || step.emitted.contains(&Event::Retired)
            })
        },
    };
}

impl<M: StateMachine> Raft<M> {
    pub(super) const HOSTS_KNOW_WHO_LEADS: Law<Self> = Law {
        name: "A host is told when its node leads, and whom it follows →",
        source: "§8: clients are sent to \"the most recent leader it has heard from\"",
        holds: |scenario, before, action, after| {
            Step::taken(scenario, before, action, after).is_none_or(|step| {
                let (was, is) = (office(step.old), office(step.new));
                let said = step.emitted.iter().filter_map(said_of_office).last();
                is.is_none() || said.or(was) == is
            })
        },
    };
}

/// The term, and who leads in it as far as the node knows: nothing of who asks for votes.
type Office = (Term, Option<NodeId>, bool);

fn office<M: StateMachine>(node: &Node<Raft<M>>) -> Option<Office> {
    let term = node.durable().current_term;
    match &node.volatile.role {
        Role::Follower { leader } => Some((term, *leader, false)),
        Role::Leader(_) => Some((term, None, true)),
        Role::PreCandidate { .. } | Role::Candidate { .. } => None,
    }
}

fn said_of_office<M: StateMachine>(event: &Event<M>) -> Option<Office> {
    match event {
        Event::Leading { term } => Some((*term, None, true)),
        Event::Following { term, leader } => Some((*term, *leader, false)),
        _ => None,
    }
}

/// Last, of what holds at the end of the step. A configuration that is in force again for another
/// was truncated has been committed before.
fn hosts_are_told<M: StateMachine>(after: &World<Raft<M>>, step: &Step<'_, M>) -> bool {
    let was_known = |index: Index| index <= step.old.volatile.commit_index;
    let (was, is) = (
        &step.old.volatile.configuration,
        &step.new.volatile.configuration,
    );
    let is_news = was != is;
    let commits = |it: &InForce| it.index <= step.new.volatile.commit_index;
    let is_committed = is.as_ref().filter(|it| commits(it) && !was_known(it.index));
    if !is_news && is_committed.is_none() {
        return true;
    }
    let (in_force, _) = in_force(after, step.new);
    let changed = step.emitted.iter().filter_map(|event| match event {
        Event::MembershipChanged { configuration } => Some(configuration),
        _ => None,
    });
    let committed = step.emitted.iter().filter_map(|event| match event {
        Event::MembershipCommitted { configuration } => Some(configuration),
        _ => None,
    });
    (!is_news || changed.last() == Some(in_force))
        && (is_committed.is_none() || committed.last() == Some(in_force))
}

/// The change that a client asks for by this request.
fn change_of<M: StateMachine>(scenario: &Scenario<Raft<M>>, wanted: RequestId) -> Option<&Change> {
    let mut commands = scenario.scripts.iter().flatten();
    commands.find_map(|command| match command {
        Command::ChangeMembership { request, change } if *request == wanted => Some(change),
        _ => None,
    })
}

/// Whether the configuration is what the change asks for.
fn is_made(change: &Change, made: &Configuration) -> bool {
    let members = members(made);
    change.add.is_subset(&members)
        && change.promote.is_subset(&made.voters)
        && change.remove.is_disjoint(&members)
}

/// What a client is told of a change that it has asked for is committed, not joint, and what it
/// has asked for.
pub(super) fn changes_are_made<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    world.history.occurrences().iter().all(|occurrence| {
        let Occurrence::Return {
            event:
                Event::Changed {
                    request,
                    configuration: made,
                },
            ..
        } = occurrence
        else {
            return true;
        };
        change_of(scenario, *request).is_none_or(|change| {
            made.outgoing.is_empty()
                && is_made(change, made)
                && (committed(world).any(|it| it == made) || made == founding(scenario))
        })
    })
}

fn changes_are_done<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    after: &World<Raft<M>>,
    step: &Step<'_, M>,
) -> bool {
    step.emitted.iter().all(|event| {
        let Event::Changed {
            request,
            configuration: told,
        } = event
        else {
            return true;
        };
        let asked = change_of(scenario, *request);
        let (last, is_changing) = in_force(after, step.new);
        !is_changing
            && told.outgoing.is_empty()
            && told == last
            && asked.is_some_and(|change| is_made(change, told))
    })
}

/// As the leader knew things when it was asked.
fn is_refused_by_right<M: StateMachine>(
    before: &World<Raft<M>>,
    step: &Step<'_, M>,
    asked: Option<&Command<M>>,
    refused: RequestId,
    refusal: Refusal,
) -> bool {
    let Some(Command::ChangeMembership { request, change }) = asked else {
        return false;
    };
    let Role::Leader(leads) = &step.old.volatile.role else {
        return false;
    };
    let durable = step.old.durable();
    let commit_index = step.old.volatile.commit_index;
    let (current, is_changing) = in_force(before, step.old);
    let is_true = match refusal {
        Refusal::NotEstablished => durable.log.term_at(commit_index) != Some(durable.current_term),
        Refusal::ChangeInProgress => !current.outgoing.is_empty() || is_changing,
        Refusal::Behind { node } => {
            let known = leads.progress.get(&node);
            let is_behind = known.is_none_or(|it| it.match_index < commit_index);
            is_behind && change.promote.contains(&node) && !current.voters.contains(&node)
        }
        refusal => does_not_fit(change, current, refusal),
    };
    *request == refused
        && is_true
        && durable.log.last_index() == step.new.durable().log.last_index()
}

/// Whether the change does not fit the configuration for this reason.
fn does_not_fit(change: &Change, current: &Configuration, refusal: Refusal) -> bool {
    let Change {
        add,
        promote,
        remove,
        contacts,
    } = change;
    match refusal {
        Refusal::NotAMember { node } => {
            promote.contains(&node) && !members(current).contains(&node)
                || contacts.contains_key(&node) && !add.contains(&node)
        }
        Refusal::AlreadyVotes { node } => add.contains(&node) && current.voters.contains(&node),
        Refusal::OtherDisk { node } => {
            let disks = [contacts, &current.contacts].map(|all| Some(all.get(&node)?.disk));
            disks[0].is_some() && disks[1].is_some() && disks[0] != disks[1]
        }
        Refusal::Contradiction { node } => {
            let wishes = [add, promote, remove];
            wishes.iter().filter(|wish| wish.contains(&node)).count() > 1
        }
        Refusal::NoVoters => {
            let mut voters = current.voters.union(promote);
            voters.all(|voter| remove.contains(voter))
        }
        Refusal::NotEstablished | Refusal::ChangeInProgress | Refusal::Behind { .. } => false,
    }
}

/// Whether the transfer that `request` asks for, now or some time ago, has come to this.
fn came_to<M: StateMachine>(
    before: &World<Raft<M>>,
    step: &Step<'_, M>,
    asked: Option<&Command<M>>,
    has_waited: bool,
    request: RequestId,
    outcome: TransferOutcome,
) -> bool {
    let Role::Leader(leads) = &step.old.volatile.role else {
        return false;
    };
    let waited = leads.transfer.filter(|pending| pending.request == request);
    let wanted = asked.and_then(|asked| match asked {
        Command::TransferLeadership { request: it, to } if *it == request => Some(*to),
        _ => None,
    });
    let leads_on = step.leads_on();
    match outcome {
        TransferOutcome::SteppedDown => waited.is_some() && leads_on.is_none(),
        TransferOutcome::TimedOut => {
            let resumes = leads_on.is_some_and(|(_, is, _)| is.transfer.is_none());
            waited.is_some() && has_waited && resumes
        }
        TransferOutcome::AlreadyLeads => wanted == Some(step.id) && leads_on.is_some(),
        TransferOutcome::NotAVoter => {
            wanted.is_some_and(|to| !in_force(before, step.old).0.voters.contains(&to))
        }
        TransferOutcome::Busy { to } => {
            let goes_on = leads_on.is_some_and(|(was, is, _)| was.transfer == is.transfer);
            wanted.is_some() && goes_on && leads.transfer.is_some_and(|pending| pending.to == to)
        }
    }
}

/// Whether the node is a member by what it knows to be committed.
fn was_member<M: StateMachine>(world: &World<Raft<M>>, node: &Node<Raft<M>>, id: NodeId) -> bool {
    let durable = node.durable();
    let committed = latest_at(world, durable, node.volatile.commit_index);
    let committed = committed
        .map(|(_, latest)| latest)
        .or(durable.initial.as_ref());
    committed.is_some_and(|latest| members(latest).contains(&id))
}

/// Whether the node, which was a member once, is none any more, and knows that to be committed. One
/// that joins hears of configurations from before its time.
fn has_left<M: StateMachine>(world: &World<Raft<M>>, node: &Node<Raft<M>>, id: NodeId) -> bool {
    let (last, is_changing) = in_force(world, node);
    let durable = node.durable();
    let founders = durable.initial.iter();
    let mut known = founders.chain(committed_up_to(world, node.volatile.commit_index));
    !is_changing && !members(last).contains(&id) && known.any(|it| members(it).contains(&id))
}

fn is_so<M: StateMachine>(after: &World<Raft<M>>, step: &Step<'_, M>, event: &Event<M>) -> bool {
    let durable = step.new.durable();
    match event {
        // Another may follow in the same step.
        Event::MembershipCommitted { configuration } => {
            let committed = latest_at(after, durable, step.new.volatile.commit_index);
            committed.map_or_else(
                || durable.initial.as_ref() == Some(configuration),
                |(index, latest)| {
                    let earlier = || latest_at(after, durable, index.previous());
                    latest == configuration
                        || latest.outgoing.is_empty()
                            && earlier().is_some_and(|(_, earlier)| earlier == configuration)
                },
            )
        }
        Event::Retired => has_left(after, step.new, step.id),
        Event::Leading { term } => {
            matches!(step.new.volatile.role, Role::Leader(_)) && durable.current_term == *term
        }
        _ => true,
    }
}
