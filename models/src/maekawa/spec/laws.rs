//! What must hold of every transition.

use alloc::collections::BTreeSet;

use crate::maekawa::lock::LockName;
use crate::maekawa::message::{Message, Timestamp, Token};
use crate::maekawa::state::{Arbiter, Grant, Membership, Volatile};
use crate::maekawa::{Maekawa, Timer};
use crate::protocol::{Node, NodeId};
use crate::specification::Law;
use crate::world::{Action, Done, Envelope, Host, Scenario, World};

use super::{
    again, asked, carried, disks, endings, local_of, locks, members, membership, membership_of,
    orchestrator, requests, told,
};

pub(super) const LAWS: &[Law<Maekawa>] = &[
    disks::BLANK_NODES_ARE_SILENT,
    told::WHAT_IS_HELD_IS_TOLD,
    told::A_CLAIM_ENDS_WITH_A_WORD,
    membership::OPERATORS_ARE_HEARD,
    membership::WHO_HAS_LEFT_IS_TOLD,
    membership::LATE_WORDS_ARE_NOT_HEARD,
    membership::NO_EPOCH_IS_BELIEVED_EARLY,
    membership::WHO_KNOWS_IS_NOT_TOLD,
    membership::NOBODY_SENDS_ITSELF,
    told::CLAIMS_QUEUE,
    told::A_CLAIM_ENDS_FOR_A_REASON,
    told::OVER_IS_OVER,
    told::ONLY_WHAT_HAS_ENDED_IS_OVER,
    requests::WHAT_IS_HEARD_IS_KNOWN,
    requests::AN_EPOCH_BEGINS_WITH_NOTHING,
    requests::A_RELEASE_BEARS_THE_GREATEST_TOKEN,
    locks::WHO_GIVES_WAY_HAS_BEEN_ASKED,
    locks::WHO_WAITS_IS_NOT_PUT_OFF,
    locks::THE_LONGEST_IDLE_IS_FORGOTTEN,
    Law {
        name: "A lease begins anew by the health check that says so, and by nothing else →",
        source: "a lease is of the epoch that the node is a member of, and as long as the \
                 orchestrator counts on it",
        holds: leases_are_renewed,
    },
    Law {
        name: "Fencing tokens strictly increase",
        source: "each entry's token is greater than all before it of the same lock; where the health \
                 check errs, than all of its epoch",
        holds: |scenario, before, _, after| tokens_increase(scenario, before, after),
    },
    Law {
        name: "A grant is released exactly once",
        source: "§4: an arbiter is unlocked by RELEASE or RELINQUISH of the grant's holder alone",
        holds: |_, before, action, after| released_by_its_holder(before, action, after),
    },
    Law {
        name: "The earliest request that is known is granted",
        source: "§4: the first of the lock's waiting queue, by time stamp, then by node",
        holds: |_, before, _, after| each_arbiter(before, after, earliest_is_granted),
    },
    Law {
        name: "Grant numbers increase",
        source: "fencing tokens are made of them; an arbiter numbers those of all locks together, and \
                 so on when it has forgotten one; what was held when the epoch began bears none",
        holds: |_, before, _, after| each_member(before, after, numbers_increase),
    },
    Law {
        name: "A request is later than all that its node has seen",
        source: "§4; Lamport 1978; of two for different locks as well",
        holds: |_, before, _, after| requests_are_later(before, after),
    },
    Law {
        name: "Who is in the critical section does not give way",
        source: "§4: it returns RELEASE when it leaves",
        holds: |_, before, _, after| holders_keep_their_arbiters(before, after),
    },
    Law {
        name: "Epochs increase",
        source: "an epoch that is over is over, crash or not; the loss of a disk aside",
        holds: |_, before, action, after| {
            let mut hosts = before.all_hosts().zip(after.all_hosts());
            matches!(action, Action::LoseDisk(_))
                || hosts.all(|((_, old), (_, new))| old.durable().epoch <= new.durable().epoch)
        },
    },
    Law {
        name: "An epoch begins when the last is drained",
        source: "no member that runs enters any more in the epoch that ends, or holds what the next does \
                 not know of; where the health check does not err",
        holds: |scenario, before, _, after| drained(scenario, before, after),
    },
    Law {
        name: "The dead are expelled",
        source: "§5: the lock of a node that answers no more is not waited for for ever",
        holds: |scenario, before, action, after| {
            the_dead_are_expelled(scenario, before, action, after)
        },
    },
    Law {
        name: "An epoch ends where there is a reason",
        source: "the members are to be others, or a member has lost what it knew",
        holds: |_, before, action, after| an_epoch_ends_for_a_reason(before, action, after),
    },
    Law {
        name: "Who asks to be no member is to be none",
        source: "the orchestrator takes it at its word",
        holds: |_, _, _, after| who_leaves_is_to_leave(after),
    },
    Law {
        name: "A lease begins when the orchestrator begins to count",
        source: "a node gives up before it is given up, whatever is lost on the way",
        holds: |_, before, action, after| leases_begin_with_the_count(before, action, after),
    },
    Law {
        name: "Who is counted on and is no member says so",
        source: "a request that waits for an arbiter which is none waits for ever",
        holds: |_, before, action, after| who_is_none_says_so(before, action, after),
    },
    Law {
        name: "Who asks again is told again",
        source: "a LOCKED, FAILED, INQUIRE or RELEASE may be lost",
        holds: |_, before, action, after| {
            again::who_asks_again_is_told_again(before, action, after)
        },
    },
    Law {
        name: "Who is locked in vain is told",
        source: "a RELEASE or RELINQUISH may be lost, or overtaken",
        holds: |_, before, action, after| {
            again::who_is_locked_in_vain_is_told(before, action, after)
        },
    },
    Law {
        name: "Who waits asks again",
        source: "a REQUEST may be lost",
        holds: |_, before, action, after| again::who_waits_asks_again(before, action, after),
    },
    Law {
        name: "The health check asks again",
        source: "a Freeze, Frozen, Install or Ping may be lost",
        holds: |_, before, action, after| again::the_health_check_asks_again(before, action, after),
    },
    Law {
        name: "Who asks is answered, or waits",
        source: "an answer may be lost: then it is given again",
        holds: asked::who_asks_is_answered_or_waits,
    },
    Law {
        name: "Who is gone is forgotten",
        source: "nobody is left to release what a client holds that is gone",
        holds: asked::who_is_gone_is_forgotten,
    },
    Law {
        name: "The last holder says so",
        source: "where its node is to be no member any more the epoch waits for it, and for the last lock \
                 that it holds",
        holds: |_, before, _, after| endings::the_last_holder_says_so(before, after),
    },
    Law {
        name: "Who is gone is not waited for",
        source: "§5: an epoch ends though nodes fail, and have forgotten what they were",
        holds: endings::the_gone_are_not_waited_for,
    },
    Law {
        name: "Clocks follow what is told",
        source: "§4; Lamport 1978, IR2",
        holds: |_, before, action, after| {
            endings::clocks_follow_what_is_told(before, action, after)
        },
    },
    Law {
        name: "Nodes restart as strangers",
        source: "§5: what a crashed node was locked for is not forgotten while its epoch lives",
        holds: |_, _, action, after| restarts_as_stranger(action, after),
    },
    carried::WHO_IS_ASKED_TO_FREEZE_ANSWERS,
    carried::WHAT_IS_SAID_IS_HELD,
    carried::WHAT_IS_HELD_IS_CARRIED,
    carried::WHAT_IS_SAID_IS_KNOWN,
    carried::HOLDERS_KEEP_THEIR_LOCKS,
    carried::WHAT_IS_NOT_HELD_IS_RELEASED,
];

/// The running members that the transition has touched, as they were and as they are. Unchanged
/// hosts are shared, and skipped.
fn changed<'a>(
    before: &'a World<Maekawa>,
    after: &'a World<Maekawa>,
) -> impl Iterator<Item = (NodeId, &'a Node<Maekawa>, &'a Node<Maekawa>)> {
    let hosts = before.all_hosts().zip(after.all_hosts());
    hosts
        .filter(|((_, old), (_, new))| !core::ptr::eq(*old, *new))
        .filter_map(|((id, old), (_, new))| Some((id, old.node()?, new.node()?)))
}

/// Whether `holds` is true of each change of a member within an epoch.
fn each_member(
    before: &World<Maekawa>,
    after: &World<Maekawa>,
    holds: fn(&Membership, &Membership) -> bool,
) -> bool {
    changed(before, after).all(
        |(_, old, new)| match (membership_of(old), membership_of(new)) {
            (Some(old), Some(new)) => old.epoch != new.epoch || holds(old, new),
            _ => true,
        },
    )
}

/// Whether `holds` is true of each arbiter that is left of a change of a member within an epoch.
fn each_arbiter(
    before: &World<Maekawa>,
    after: &World<Maekawa>,
    holds: fn(Option<&Arbiter>, &Arbiter) -> bool,
) -> bool {
    changed(before, after).all(
        |(_, old, new)| match (membership_of(old), membership_of(new)) {
            (Some(old), Some(new)) => {
                let mut arbiters = new.arbiters.iter();
                old.epoch != new.epoch
                    || arbiters.all(|(lock, arbiter)| holds(old.arbiters.get(lock), arbiter))
            }
            _ => true,
        },
    )
}

/// The locks that the node holds, with their tokens.
fn all_held(node: &Node<Maekawa>) -> impl Iterator<Item = (&LockName, Token)> {
    membership_of(node)
        .into_iter()
        .flat_map(Membership::all_held)
}

fn held(node: &Node<Maekawa>, lock: &LockName) -> Option<Token> {
    membership_of(node)?.held(lock)
}

fn tokens_increase(
    scenario: &Scenario<Maekawa>,
    before: &World<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    changed(before, after).all(|(_, old, new)| {
        let mut entered = all_held(new).filter(|(lock, token)| held(old, lock) != Some(*token));
        entered.all(|(lock, token)| {
            let counter = before.ghost.counter(lock, token.epoch);
            let is_greatest = before.ghost.greatest(lock) < Some(token);
            counter.is_none_or(|counter| counter < token.counter)
                && (is_greatest || !scenario.bounds.accurate)
        })
    })
}

fn released_by_its_holder(
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    changed(before, after).all(|(id, old, new)| {
        let (Some(old), Some(new)) = (membership_of(old), membership_of(new)) else {
            return true;
        };
        let goes_on = |lock: &LockName, was: Grant| {
            let is = |grant: Grant| grant.number == was.number && grant.request == was.request;
            let arbiter = new.arbiters.get(lock);
            arbiter.and_then(|arbiter| arbiter.locked).is_some_and(is)
        };
        let mut locked =
            { old.arbiters.iter() }.filter_map(|(lock, arbiter)| Some((lock, arbiter.locked?)));
        old.epoch != new.epoch
            || locked.all(|(lock, was)| {
                // What a node says to itself is heard within the step.
                goes_on(lock, was) || was.request.node == id || gives_back(action, lock, was)
            })
    })
}

fn gives_back(action: &Action<Maekawa>, lock: &LockName, grant: Grant) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return false;
    };
    let holder = grant.request.node;
    let subject = envelope.message.subject();
    envelope.from == holder
        && subject.is_some_and(|(_, about, _)| about == lock)
        && match &envelope.message {
            // The end of a later request is the end of this one: a node has one at a time.
            Message::Release { request, .. } => *request >= grant.request,
            Message::Relinquish {
                request, number, ..
            } => (*request, *number) == (grant.request, grant.number),
            _ => false,
        }
}

fn earliest_is_granted(old: Option<&Arbiter>, new: &Arbiter) -> bool {
    let Some(grant) = new.locked else {
        return true;
    };
    let was = old.and_then(|old| old.locked);
    let is_new = was.is_none_or(|was| was.number != grant.number);
    let waiting = new.waiting.first();
    !is_new || waiting.is_none_or(|waiting| grant.request < *waiting)
}

fn numbers_increase(old: &Membership, new: &Membership) -> bool {
    let mut arbiters = new.arbiters.iter();
    let mut granted = BTreeSet::new();
    old.number <= new.number
        && arbiters.all(|(lock, arbiter)| {
            let was = old.arbiters.get(lock).and_then(|old| old.locked);
            arbiter.locked.is_none_or(|is| {
                let is_later = was.is_none_or(|was| was.number <= is.number);
                let is_new = was.is_none_or(|was| was != is && was.number != is.number);
                (is.number == 0 || granted.insert(is.number))
                    && is_later
                    && (!is_new || is.number > old.number)
            })
        })
}

fn requests_are_later(before: &World<Maekawa>, after: &World<Maekawa>) -> bool {
    changed(before, after).all(|(_, old, new)| {
        let (Some(was), Some(is)) = (membership_of(old), membership_of(new)) else {
            return true;
        };
        let known = local_of(old).map(|local| local.clock);
        let seen = |made: Timestamp| {
            let mut arbiters = was.arbiters.values();
            arbiters.all(|arbiter| {
                let locked = arbiter.locked.iter().map(|grant| &grant.request);
                let mut requests = arbiter.waiting.iter().chain(locked);
                requests.all(|seen| *seen < made)
            })
        };
        let request = |member: &Membership, lock| -> Option<Timestamp> {
            Some(member.attempts.get(lock)?.request)
        };
        let attempts = || is.attempts.iter();
        let times: BTreeSet<Timestamp> = attempts().map(|(_, made)| made.request).collect();
        let mut made = attempts().filter(|(lock, made)| request(was, lock) != Some(made.request));
        was.epoch != is.epoch
            || times.len() == is.attempts.len()
                && made.all(|(_, made)| {
                    known.is_none_or(|known| made.request.clock > known) && seen(made.request)
                })
    })
}

fn holders_keep_their_arbiters(before: &World<Maekawa>, after: &World<Maekawa>) -> bool {
    changed(before, after).all(|(_, old, new)| {
        let is_locked = |lock| {
            let attempt = membership_of(new).and_then(|member| member.attempts.get(lock));
            attempt.is_none_or(|attempt| {
                let mut views = attempt.arbiters.values();
                views.all(|view| view.standing.is_locked())
            })
        };
        all_held(old).all(|(lock, was)| held(new, lock) != Some(was) || is_locked(lock))
    })
}

fn drained(scenario: &Scenario<Maekawa>, before: &World<Maekawa>, after: &World<Maekawa>) -> bool {
    let (Some(old), Some(new)) = (orchestrator(before), orchestrator(after)) else {
        return true;
    };
    if old.epoch >= new.epoch || !scenario.bounds.accurate {
        return true;
    }
    let mut ended = members(after).filter(|(_, member)| member.epoch == old.epoch);
    ended.all(|(_, member)| member.frozen && carried::is_known(member, &new.held))
}

fn restarts_as_stranger(action: &Action<Maekawa>, after: &World<Maekawa>) -> bool {
    let Action::Restart(id) = action else {
        return true;
    };
    let node = after.host(*id).and_then(Host::node);
    node.is_some_and(|node| membership_of(node).is_none())
}

/// The health check that finds a node silent for too long strikes it off, and begins to end the
/// epoch if the node is a member.
fn the_dead_are_expelled(
    scenario: &Scenario<Maekawa>,
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let Action::Fire {
        node: id,
        timer: Timer::HealthCheck,
    } = action
    else {
        return true;
    };
    let old = before.host(*id).and_then(Host::node);
    let (Some(old), Some(new)) = (old, after.host(*id)) else {
        return true;
    };
    let (Volatile::Orchestrator(orchestration), Some(config)) =
        (&old.volatile, scenario.nodes.get(usize::from(id.0)))
    else {
        return true;
    };
    let (was, is) = (old.durable(), new.durable());
    let silent = orchestration.silent.iter();
    silent
        .filter(|(_, checks)| **checks >= config.misses)
        .all(|(dead, _)| {
            let ends = is.changing || is.epoch > was.epoch;
            !is.roster.contains(dead) && (!was.members.contains(dead) || ends)
        })
}

/// The health check begins to end an epoch whose members are not those that are to be, and no
/// other.
fn an_epoch_ends_for_a_reason(
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let Action::Fire {
        timer: Timer::HealthCheck,
        ..
    } = action
    else {
        return true;
    };
    let (Some(was), Some(is)) = (orchestrator(before), orchestrator(after)) else {
        return true;
    };
    let ends = is.changing || is.epoch > was.epoch;
    was.changing || ends == (is.roster != was.members)
}

fn who_leaves_is_to_leave(after: &World<Maekawa>) -> bool {
    after.network.sent().all(|said| {
        let leaves = matches!(said.message, Message::Deregister { .. });
        let sender = after.host(said.from);
        !leaves || sender.is_none_or(|host| !host.durable().registered)
    })
}

/// A member's lease begins with a Ping that renews it, and with the Install of its epoch, also where
/// that is told again. Its health checks are counted from there; the first of them may follow in the
/// same step.
fn leases_begin_with_the_count(
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let node = after.host(NodeId(0)).and_then(Host::node);
    let Some(node) = node.filter(|node| matches!(node.volatile, Volatile::Orchestrator(_))) else {
        return true;
    };
    let counted = |id: NodeId| match &node.volatile {
        Volatile::Orchestrator(orchestration) => orchestration.silent.get(&id).copied(),
        Volatile::Node(_) => None,
    };
    let begins = orchestrator(before).map(|durable| durable.epoch) < Some(node.durable().epoch);
    let pinged = after.network.sent().all(|envelope| match envelope.message {
        Message::Ping { renews: true, .. } => counted(envelope.to) == Some(1),
        _ => true,
    });
    let mut members = node.durable().members.iter();
    let first = u8::from(matches!(action, Action::Fire { .. }));
    let is_first = |id: NodeId| counted(id).unwrap_or(0) <= first;
    let installed = after.network.sent().all(|envelope| {
        !matches!(envelope.message, Message::Install { .. }) || is_first(envelope.to)
    });
    pinged && installed && (!begins || members.all(|&id| is_first(id)))
}

/// The health check finds a node that is no member of the epoch, although the orchestrator takes
/// it for one, and that is not to be one: the answer must not be only that it lives.
fn who_is_none_says_so(
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let (Message::Ping { epoch, .. }, id, asker) = (&envelope.message, envelope.to, envelope.from)
    else {
        return true;
    };
    let Some(node) = after.host(id).and_then(Host::node) else {
        return true;
    };
    let is_none = membership_of(node).is_none() && !node.durable().registered;
    let hears = after.host(asker).is_some_and(|host| host.node().is_some())
        && before.network.connects(id, asker);
    let says_so = |envelope: &Envelope<Message>| {
        (envelope.from, envelope.to) == (id, asker)
            && envelope.message == Message::Deregister { epoch: *epoch }
    };
    node.durable().epoch != *epoch || !is_none || !hears || after.network.under_way().any(says_so)
}

/// The orchestrator of these worlds.
const ORCHESTRATOR: NodeId = NodeId(0);

/// Of a node whose lease runs: of the epoch that it was in before.
fn leases_are_renewed(
    scenario: &Scenario<Maekawa>,
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let Some((id, Done { renewed, .. })) = before.done(scenario, action, after) else {
        return true;
    };
    let (Some(old), Some(new)) = (before.host(id), after.host(id)) else {
        return true;
    };
    let known = old.durable().epoch;
    let is_renewed = renewed.contains(&Timer::Lease);
    let says_so = match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) => match &envelope.message {
            Message::Ping { epoch, renews } => {
                *renews && *epoch == known && envelope.from == ORCHESTRATOR
            }
            _ => false,
        },
        _ => false,
    };
    let begins = new.durable().epoch > known;
    let is_member = |host: &Host<Maekawa>| host.node().and_then(membership_of).is_some();
    match says_so && is_member(old) {
        true => is_renewed,
        false => !is_renewed || begins,
    }
}
