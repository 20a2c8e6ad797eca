//! What becomes of the locks that are held when an epoch ends.
//!
//! Verifies: that a member says what it holds, no more and no less; that the orchestrator makes of that
//! what the next epoch begins with, and tells all the same; that a holder which stays a member holds its
//! lock in the next epoch, its arbiters are locked for it, and what nobody holds any more is released. That
//! nobody else gets the lock meanwhile, and that tokens increase, the other properties say of these locks as
//! of all. Not verified: that the health check is right about who is gone.

use crate::maekawa::lock::LockName;
use crate::maekawa::message::{Epoch, Held, HeldLocks, Message};
use crate::maekawa::state::{Attempt, Membership, Volatile};
use crate::maekawa::{Maekawa, Timer};
use crate::protocol::{Node, NodeId};
use crate::specification::{Feature, Invariant, Law, Reachable};
use crate::world::{Action, Envelope, Host, Scenario, World};

use super::again::says_this;
use super::disks::is_blank;
use super::{members, membership_of, orchestrator};

pub(super) const HOLDERS_ARE_KNOWN: Invariant<Maekawa> = Invariant {
    name: "A lock that is held over a change is known to be held",
    source: "whoever holds a lock entered in the epoch in force, or that began with it; where the \
             health check does not err",
    holds: |scenario, world| {
        let Some(durable) = orchestrator(world) else {
            return true;
        };
        let entered_before = |(_, held): &(&LockName, Held)| held.token.epoch < durable.epoch;
        let all = members(world).flat_map(|(_, member)| held_by(member));
        let mut earlier = all.filter(entered_before);
        !scenario.bounds.accurate
            || earlier.all(|(lock, held)| durable.held.get(lock) == Some(&held))
    },
};

pub(super) const HOLDERS_ARE_MEMBERS: Invariant<Maekawa> = Invariant {
    name: "A lock that is held over a change is held by a member",
    source: "who is none any more releases nothing: its lock would be kept for nobody",
    holds: |_, world| {
        orchestrator(world).is_none_or(|durable| {
            let mut held = durable.held.values();
            held.all(|held| durable.members.contains(&held.request.node))
        })
    },
};

pub(super) const ARBITERS_ARE_OF_THE_QUORUM: Invariant<Maekawa> = Invariant {
    name: "A request is to the arbiters of its quorum",
    source: "§4: to every member of its set; one that is held over a change, to those of the new one",
    holds: |_, world| {
        members(world).all(|(_, member)| {
            let mut attempts = member.attempts.values();
            attempts.all(|attempt| attempt.arbiters.keys().eq(&member.quorum))
        })
    },
};

pub(super) const ARBITERS_ARE_ASKED: Invariant<Maekawa> = Invariant {
    name: "An arbiter knows no request but of those whose quorum it is in",
    source: "§4; nobody else would release it: who has no such arbiter in its set",
    holds: |_, world| {
        members(world).all(|(id, member)| {
            let arbiters = member.arbiters.values();
            let mut known = arbiters.flat_map(|arbiter| {
                let locked = arbiter.locked.iter().map(|grant| grant.request);
                locked.chain(arbiter.waiting.iter().copied())
            });
            known.all(|request| {
                let node = world.host(request.node).and_then(Host::node);
                let requester = node.and_then(membership_of);
                let requester = requester.filter(|requester| requester.epoch == member.epoch);
                requester.is_none_or(|requester| requester.quorum.contains(&id))
            })
        })
    },
};

pub(super) const WHO_FREEZES_SAYS_WHAT_IT_HOLDS: Invariant<Maekawa> = Invariant {
    name: "Who says that it has frozen has said all that it holds",
    source: "it gets no other lock in the epoch, and may release what it has said",
    holds: |_, world| {
        world.network.in_flight().iter().all(|said| {
            let Message::Frozen { epoch, held } = &said.message else {
                return true;
            };
            let sender = world.host(said.from).and_then(Host::node);
            let member = sender.and_then(membership_of);
            let member = member.filter(|member| member.epoch == *epoch);
            member.is_none_or(|member| member.frozen && is_known(member, held))
        })
    },
};

pub(super) const ALL_ARE_TOLD_THE_SAME: Invariant<Maekawa> = Invariant {
    name: "All are told of the same holders, and of those on disk",
    source: "an arbiter that is not locked for a holder might be locked for another; an Install may be \
             told again, after a crash",
    holds: |_, world| {
        let Some(durable) = orchestrator(world) else {
            return true;
        };
        world.network.in_flight().iter().all(|said| {
            let Message::Install { epoch, held, .. } = &said.message else {
                return true;
            };
            said.from != ORCHESTRATOR || *epoch != durable.epoch || *held == durable.held
        })
    },
};

pub(super) const WHAT_IS_SAID_IS_HELD: Law<Maekawa> = Law {
    name: "Nobody says that it holds what it does not hold →",
    source: "a lock that nobody holds would be kept for nobody",
    holds: |_, _, _, after| {
        after.network.sent().all(|said| {
            let Message::Frozen { epoch, held } = &said.message else {
                return true;
            };
            let node = after.host(said.from).and_then(Host::node);
            let member = node.and_then(membership_of);
            let member = member.filter(|member| member.epoch == *epoch);
            // What cannot be is forged, and not heeded.
            let mut credible =
                { held.iter() }.filter(|said_of| is_credible(*said_of, said.from, *epoch));
            credible.all(|(lock, held)| {
                let attempt = member.and_then(|member| member.attempts.get(lock));
                attempt.and_then(held_of) == Some(*held)
            })
        })
    },
};

pub(super) const WHO_IS_ASKED_TO_FREEZE_ANSWERS: Law<Maekawa> = Law {
    name: "Who is asked to freeze answers, whatever it holds →",
    source: "who holds a lock for long keeps nobody from becoming a member",
    holds: |_, before, action, after| {
        let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
            return true;
        };
        let (Message::Freeze { epoch }, ORCHESTRATOR) = (&envelope.message, envelope.from) else {
            return true;
        };
        let node = before.host(envelope.to).and_then(Host::node);
        let member = node.and_then(membership_of);
        member
            .filter(|member| member.epoch == *epoch)
            .is_none_or(|member| {
                let held = held_by(member).map(|(lock, held)| (lock.clone(), held));
                let (epoch, held) = (*epoch, held.collect());
                let frozen = Message::Frozen { epoch, held };
                says_this(after, envelope.to, ORCHESTRATOR, &frozen)
            })
    },
};

pub(super) const WHAT_IS_SAID_IS_KNOWN: Law<Maekawa> = Law {
    name: "The orchestrator knows of a member what it has said first, until it is gone or leaves →",
    source: "what a member holds when it has frozen can only become less; who has forgotten the epoch holds \
             nothing, whatever arrives late",
    holds: what_is_said_is_known,
};

pub(super) const WHAT_IS_HELD_IS_CARRIED: Law<Maekawa> = Law {
    name: "An epoch begins with the locks that are held →",
    source: "of each that members have said they hold, by the greatest token: the others have released it",
    holds: an_epoch_begins_with_what_is_held,
};

pub(super) const HOLDERS_KEEP_THEIR_LOCKS: Law<Maekawa> = Law {
    name: "A holder that stays a member keeps its lock over a change →",
    source: "§2: who has entered is in the critical section until it leaves",
    holds: |_, before, action, after| {
        begun(before, action, after).is_none_or(|begun| {
            let is_named = |(lock, held): &(&LockName, Held)| begun.held.get(*lock) == Some(held);
            let held = begun.old.and_then(membership_of).map(held_by);
            let kept = held.into_iter().flatten().filter(is_named);
            let is_older = |(_, held): &(&LockName, Held)| held.token.epoch < begun.member.epoch;
            kept.eq(held_by(begun.member).filter(is_older))
        })
    },
};

pub(super) const WHAT_IS_NOT_HELD_IS_RELEASED: Law<Maekawa> = Law {
    name: "Who is taken for a holder and is none releases the lock →",
    source: "it has released it in the epoch before, or forgotten it in a crash: the new arbiters are \
             locked for it",
    holds: |_, before, action, after| {
        begun(before, action, after).is_none_or(|begun| {
            let own = { begun.held.iter() }.filter(|(_, held)| held.request.node == begun.id);
            let mut over = own.filter(|(lock, held)| {
                let attempt = begun.member.attempts.get(*lock);
                attempt.and_then(held_of) != Some(**held)
            });
            over.all(|(lock, held)| is_released(after, &begun, lock, *held))
        })
    },
};

/// The orchestrator of these worlds.
const ORCHESTRATOR: NodeId = NodeId(0);

fn held_of(attempt: &Attempt) -> Option<Held> {
    let (request, token) = (attempt.request, attempt.held?);
    Some(Held { request, token })
}

fn held_by(member: &Membership) -> impl Iterator<Item = (&LockName, Held)> {
    let attempts = member.attempts.iter();
    attempts.filter_map(|(lock, attempt)| Some((lock, held_of(attempt)?)))
}

/// A node that becomes a member by hearing of an epoch.
struct Begun<'a> {
    id: NodeId,
    held: &'a HeldLocks,
    old: Option<&'a Node<Maekawa>>,
    member: &'a Membership,
}

fn begun<'a>(
    before: &'a World<Maekawa>,
    action: &'a Action<Maekawa>,
    after: &'a World<Maekawa>,
) -> Option<Begun<'a>> {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return None;
    };
    let Message::Install { epoch, held, .. } = &envelope.message else {
        return None;
    };
    let id = envelope.to;
    let old = before.host(id).and_then(Host::node);
    let member = after
        .host(id)
        .and_then(Host::node)
        .and_then(membership_of)?;
    let was = old.and_then(membership_of).map(|member| member.epoch);
    (member.epoch == *epoch && was != Some(*epoch)).then_some(Begun {
        id,
        held,
        old,
        member,
    })
}

/// Its own arbiter hears that within the step.
fn is_released(world: &World<Maekawa>, begun: &Begun<'_>, lock: &LockName, held: Held) -> bool {
    let release = |counter| Message::Release {
        epoch: begun.member.epoch,
        lock: lock.clone(),
        request: held.request,
        counter,
    };
    let arbiter = begun.member.arbiters.get(lock);
    let grant = arbiter.and_then(|arbiter| arbiter.locked);
    let mut quorum = begun.member.quorum.iter();
    grant.is_none_or(|grant| grant.request != held.request)
        && quorum.all(|&arbiter| says_this(world, begun.id, arbiter, &release(0)))
}

/// What the orchestrator knows, before and after a step of its own within an epoch.
fn orchestrators<'a>(
    before: &'a World<Maekawa>,
    action: &Action<Maekawa>,
    after: &'a World<Maekawa>,
) -> Option<(&'a Node<Maekawa>, &'a Node<Maekawa>)> {
    let is_its_own = action.node() == Some(ORCHESTRATOR);
    let node = |world: &'a World<Maekawa>| -> Option<&'a Node<Maekawa>> {
        world.host(ORCHESTRATOR)?.node()
    };
    let (old, new) = (node(before)?, node(after)?);
    (is_its_own && !is_blank(old.durable())).then_some((old, new))
}

/// What each member has said that it holds.
fn said_by(node: &Node<Maekawa>, member: NodeId) -> Option<&HeldLocks> {
    match &node.volatile {
        Volatile::Orchestrator(orchestration) => orchestration.frozen.get(&member),
        Volatile::Node(_) => None,
    }
}

/// The message that the orchestrator hears.
fn heard(action: &Action<Maekawa>) -> Option<&Envelope<Message>> {
    match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) if envelope.to == ORCHESTRATOR => {
            Some(envelope)
        }
        _ => None,
    }
}

/// What the member has said by the end of the step; `None` if it is still waited for.
fn said_now(
    scenario: &Scenario<Maekawa>,
    old: &Node<Maekawa>,
    action: &Action<Maekawa>,
    member: NodeId,
) -> Option<HeldLocks> {
    let (disk, nothing) = (old.durable(), HeldLocks::new);
    let known = || said_by(old, member).cloned();
    if matches!(action.fired(), Some(Timer::HealthCheck)) {
        let misses = scenario.nodes[usize::from(ORCHESTRATOR.0)].misses;
        let is_gone = silent(old, member) >= misses;
        return if is_gone { Some(nothing()) } else { known() };
    }
    let Some(envelope) = heard(action).filter(|envelope| envelope.from == member) else {
        return known();
    };
    match &envelope.message {
        Message::Register { after } if *after == disk.epoch => Some(nothing()),
        Message::Deregister { epoch } if *epoch == disk.epoch => {
            known().filter(|held| held.is_empty())
        }
        Message::Frozen { epoch, held } if disk.changing && *epoch == disk.epoch => {
            let is_true = held.is_empty() || disk.roster.contains(&member);
            let is_true = is_true && held.iter().all(|held| is_credible(held, member, *epoch));
            known().or_else(|| is_true.then(|| held.clone()))
        }
        _ => known(),
    }
}

/// Whether a member can have said so.
fn is_credible((lock, held): (&LockName, &Held), member: NodeId, epoch: Epoch) -> bool {
    lock.is_valid() && held.request.node == member && held.token.epoch <= epoch
}

fn silent(node: &Node<Maekawa>, member: NodeId) -> u8 {
    match &node.volatile {
        Volatile::Orchestrator(orchestration) => {
            orchestration.silent.get(&member).copied().unwrap_or(0)
        }
        Volatile::Node(_) => 0,
    }
}

fn what_is_said_is_known(
    scenario: &Scenario<Maekawa>,
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let Some((old, new)) = orchestrators(before, action, after) else {
        return true;
    };
    let mut members = old.durable().members.iter();
    old.durable().epoch != new.durable().epoch
        || members
            .all(|&member| said_now(scenario, old, action, member).as_ref() == said_by(new, member))
}

fn an_epoch_begins_with_what_is_held(
    scenario: &Scenario<Maekawa>,
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let Some((old, new)) = orchestrators(before, action, after) else {
        return true;
    };
    let (was, is) = (old.durable(), new.durable());
    if was.epoch == is.epoch {
        return was.held == is.held;
    }
    let said = |&member: &NodeId| said_now(scenario, old, action, member);
    let mut all = was.members.iter().filter_map(said).flatten();
    let is_said = |lock: &LockName, held: &Held| {
        let mut said = was.members.iter().filter_map(said);
        said.any(|said| said.get(lock) == Some(held))
    };
    all.all(|(lock, said)| {
        is.held
            .get(&lock)
            .is_some_and(|held| said.token <= held.token)
    }) && { is.held.iter() }
        .all(|(lock, held)| is_said(lock, held) && is.members.contains(&held.request.node))
        && living_holders_are_named(after, was.epoch)
}

/// Also of those whom nobody has asked: whoever is a member of the epoch that ends, and of the one that
/// begins, and holds a lock.
fn living_holders_are_named(after: &World<Maekawa>, ended: Epoch) -> bool {
    let Some(disk) = orchestrator(after) else {
        return true;
    };
    let ended = members(after).filter(|(_, member)| member.epoch == ended);
    let mut stay = ended.filter(|(id, _)| disk.members.contains(id));
    stay.all(|(_, member)| is_known(member, &disk.held))
}

/// Whether all that the member holds is among these.
pub(super) fn is_known(member: &Membership, known: &HeldLocks) -> bool {
    let mut held = held_by(member);
    held.all(|(lock, held)| known.get(lock) == Some(&held))
}

pub(super) const A_LOCK_IS_CARRIED: Reachable<Maekawa> = Reachable {
    name: "a lock is held over a change",
    seen: |_, world| members(world).any(|(_, member)| carried_by(member).next().is_some()),
};

pub(super) const TWO_LOCKS_ARE_CARRIED: Reachable<Maekawa> = Reachable {
    name: "two locks are held over a change",
    seen: |_, world| {
        let carried = members(world).flat_map(|(_, member)| carried_by(member));
        carried.count() > 1
    },
};

pub(super) const A_CARRIED_LOCK_IS_AWAITED: Reachable<Maekawa> = Reachable {
    name: "a node waits for a lock that is held over a change",
    seen: |_, world| {
        members(world).any(|(_, holder)| {
            carried_by(holder).any(|lock| {
                members(world).any(|(_, other)| {
                    let attempt = other.attempts.get(lock);
                    other.epoch == holder.epoch
                        && attempt.is_some_and(|attempt| attempt.held.is_none())
                })
            })
        })
    },
};

pub(super) const TWO_HAVE_SAID_THE_SAME: Reachable<Maekawa> = Reachable {
    name: "two members have said that they hold one lock",
    seen: |_, world| {
        let node = world.host(ORCHESTRATOR).and_then(Host::node);
        node.is_some_and(|node| match &node.volatile {
            Volatile::Orchestrator(orchestration) => {
                let said = || orchestration.frozen.iter();
                said().any(|(one, held)| {
                    let mut others = said().filter(|(other, _)| *other != one);
                    others.any(|(_, other)| other.keys().any(|lock| held.contains_key(lock)))
                })
            }
            Volatile::Node(_) => false,
        })
    },
};

pub(super) const THE_LATER_HAD_ASKED_BEFORE: Reachable<Maekawa> = Reachable {
    name: "who holds the lock later had asked for it before",
    seen: |_, world| {
        let node = world.host(ORCHESTRATOR).and_then(Host::node);
        node.is_some_and(|node| match &node.volatile {
            Volatile::Orchestrator(orchestration) => {
                let said = || orchestration.frozen.values().flatten();
                said().any(|(lock, one)| {
                    let mut others = said().filter(|(other, _)| *other == lock);
                    others.any(|(_, other)| one.token < other.token && other.request < one.request)
                })
            }
            Volatile::Node(_) => false,
        })
    },
};

pub(super) const A_LOCK_IS_CARRIED_IN_VAIN: Reachable<Maekawa> = Reachable {
    name: "a lock is carried over that its holder has released or forgotten",
    seen: |_, world| {
        let durable = orchestrator(world);
        let held = durable.into_iter().flat_map(|durable| {
            let held = durable.held.iter();
            held.map(|(lock, held)| (durable.epoch, lock, held.request))
        });
        let mut held = held;
        held.any(|(epoch, lock, request)| {
            members(world).any(|(id, member)| {
                let arbiter = member.arbiters.get(lock);
                let grant = arbiter.and_then(|arbiter| arbiter.locked);
                let is_locked = grant.is_some_and(|grant| grant.request == request);
                let holder = world.host(request.node).and_then(Host::node);
                let attempts = holder
                    .and_then(membership_of)
                    .map(|member| &member.attempts);
                let attempt = attempts.and_then(|attempts| attempts.get(lock));
                let is_kept = attempt.is_some_and(|attempt| attempt.request == request);
                member.epoch == epoch && is_locked && !is_kept && id != request.node
            })
        })
    },
};

/// The locks that the member holds since an earlier epoch.
fn carried_by(member: &Membership) -> impl Iterator<Item = &LockName> {
    let held = member.all_held();
    held.filter(|(_, token)| token.epoch < member.epoch)
        .map(|(lock, _)| lock)
}

pub(super) const CARRYING: Feature<Maekawa> = Feature {
    name: "a lock is carried over an epoch",
    happens: |_, before, action, after| {
        begun(before, action, after).is_some_and(|begun| held_by(begun.member).next().is_some())
    },
};
