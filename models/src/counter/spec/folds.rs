//! What must be true of folds.
//!
//! Verified here: that all have the same folds; that an increment is in a value once, and stays there,
//! in whatever way it is known; that a promise is kept, and a proposal has the most that was promised;
//! that what is folded is forgotten. Of what increments a value is the sum is seen by its digits, for in
//! the worlds of folds each increment is by another power of four: a digit of two is an increment that
//! was counted twice.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::counter::fold::folded::Folded;
use crate::counter::fold::message::FoldMessage;
use crate::counter::fold::state::{Acceptor, Proposal};
use crate::counter::g_counter::ReplicaId;
use crate::counter::message::Message;
use crate::counter::state::Persistent;
use crate::counter::{Counter, Timer};
use crate::protocol::{Node, NodeId};
use crate::specification::{Formula, Invariant, Law, Liveness, Reachable};
use crate::world::{Action, Host, Scenario, World};

use super::duties::running;
use super::exact;

type W = World<Counter>;

pub(super) const ONE_FOLD_OF_EACH_NUMBER: Invariant<Counter> = Invariant {
    name: "Two folds of one number are equal",
    source: "Lamport 2001, \"Paxos Made Simple\", §2.1: only a single value is chosen",
    holds: |_, world| {
        let folds = &world.ghost.folds;
        let mut pairs = folds.iter().zip(folds.iter().skip(1));
        pairs.all(|(one, next)| {
            let is_next = one.number < next.number && one.sum <= next.sum;
            is_next && next.names.includes(&one.names)
        })
    },
};

pub(super) const COUNTS_ONCE: Invariant<Counter> = Invariant {
    name: "Each increment counts once",
    source: "Shapiro et al. 2011, Specification 6: query value; what is folded is in the sum alone",
    holds: |scenario, world| {
        !folds(scenario) || {
            let attempted = attempted(scenario, world);
            let mut hosts = world.all_hosts();
            hosts.all(|(_, host)| {
                let value = host.durable().counts.value();
                is_of_distinct_increments(value) && value & !attempted == 0
            })
        }
    },
};

pub(super) const FOLDED_IS_OWED_TO_NOBODY: Invariant<Counter> = Invariant {
    name: "What is folded is owed to nobody",
    source: "what is kept for a member that is cut off does not grow with the disks that there were",
    holds: |_, world| {
        world.running().all(|(_, node)| {
            let folded = &node.durable().counts.folded;
            let owed = node.volatile.members.values();
            { owed }.all(|peer| {
                let mut names = peer.pending.total.components();
                names.all(|(name, _)| !folded.covers(name))
            })
        })
    },
};

pub(super) const WHO_COUNTS_IS_NOT_DEAD: Invariant<Counter> = Invariant {
    name: "Nobody counts under a name that is dead",
    source: "what is counted under a name that is folded nobody else ever hears of",
    holds: |_, world| {
        world.all_hosts().all(|(_, host)| {
            let disk = host.durable();
            disk.identity.is_none_or(|name| {
                !disk.counts.folded.covers(name) && !disk.acceptor.frozen.covers(name)
            })
        })
    },
};

pub(super) const DEPARTED_ARE_NO_MEMBERS: Invariant<Counter> = Invariant {
    name: "Who is gone for good is no member",
    source: "a node that is gone for good is told nothing any more, and has no voice",
    holds: |_, world| {
        world.running().all(|(_, node)| {
            let mut members = node.volatile.members.keys();
            members.all(|member| !has_departed(node.durable(), *member))
        })
    },
};

pub(super) const COUNTED_STAYS_COUNTED: Law<Counter> = Law {
    name: "What a replica has counted in stays counted in →",
    source: "Shapiro et al. 2011, Specification 6: a counter that only grows; a fold has all that anybody \
             has counted in",
    holds: |scenario, before, action, after| {
        !folds(scenario)
            || of_disks(before, action, after, |old, new| {
                old.counts.value() & !new.counts.value() == 0
            })
    },
};

pub(super) const FROZEN_DOES_NOT_GROW: Law<Counter> = Law {
    name: "What is frozen does not grow →",
    source: "what a promise says of a name is all that the acceptor ever brings into the fold",
    holds: |_, before, action, after| {
        of_disks(before, action, after, |old, new| {
            let is_frozen = |name| old.acceptor.frozen.covers(name);
            let mut names = new.counts.total.components();
            old.counts.folded != new.counts.folded
                || names
                    .all(|(name, count)| !is_frozen(name) || count == old.counts.total.count(name))
        })
    },
};

pub(super) const FOLDS_RISE: Law<Counter> = Law {
    name: "Folds only rise →",
    source: "Shapiro et al. 2011, §2.2.1: state is monotonically non-decreasing",
    holds: |_, before, action, after| {
        of_disks(before, action, after, |old, new| {
            let (was, is) = (&old.counts.folded, &new.counts.folded);
            let mut departed = old.counts.departed.iter();
            (was == is || was.number < is.number && was.sum <= is.sum)
                && is.names.includes(&was.names)
                && departed.all(|&node| has_departed(new, node))
        })
    },
};

pub(super) const PROMISES_ARE_KEPT: Law<Counter> = Law {
    name: "A promise is kept →",
    source: "Lamport 2001, \"Paxos Made Simple\", §2.2, P1a: an acceptor remembers the highest ballot that it \
             has promised, and what it has accepted, until its instance is over",
    holds: |_, before, action, after| {
        of_disks(before, action, after, |old, new| {
            let (was, is) = (&old.acceptor, &new.acceptor);
            let ballot = |acceptor: &Acceptor| acceptor.accepted.as_ref().map(|vote| vote.ballot);
            if old.counts.folded != new.counts.folded {
                return *is == Acceptor::default();
            }
            is.promised >= was.promised
                && ballot(is) >= ballot(was)
                && is.frozen.includes(&was.frozen)
        })
    },
};

pub(super) const VOTES_ARE_PROMISED: Law<Counter> = Law {
    name: "What is accepted is what was promised to be heeded →",
    source: "Lamport 2001, \"Paxos Made Simple\", §2.2, P1a; a disk accepts what it has promised itself",
    holds: |_, before, action, after| {
        of_disks(before, action, after, |old, new| {
            let (was, is) = (&old.acceptor.accepted, &new.acceptor.accepted);
            was == is
                || is
                    .as_ref()
                    .is_none_or(|vote| old.acceptor.promised == Some(vote.ballot))
        })
    },
};

pub(super) const PROMISES_SAY_ALL: Law<Counter> = Law {
    name: "A promise says all that the acceptor knows →",
    source: "Lamport 2001, \"Paxos Made Simple\", §2.2: with the proposal of the highest ballot that it has \
             accepted; and what it knows of the names that it freezes",
    holds: promises_say_all,
};

pub(super) const PROPOSALS_SAY_THE_MOST: Law<Counter> = Law {
    name: "A proposal has what all have promised →",
    source: "Lamport 2001, \"Paxos Made Simple\", §2.2, P2c: the value of the highest-numbered proposal that \
             was reported; else the most that anybody knows of each name",
    holds: proposals_say_the_most,
};

pub(super) const THE_FIRST_BEGINS: Law<Counter> = Law {
    name: "The first of the nodes proposes, when all can be reached →",
    source: "Lamport 2001, \"Paxos Made Simple\", §2.4: a distinguished proposer; §2.5: a higher number than \
             it has used; and who is asked for a promise learns no more of the names until all have made it",
    holds: |scenario, before, action, after| {
        running(before, action, after).is_none_or(|(position, old, new)| {
            let proposal =
                |node: &Node<Counter>| node.volatile.proposal.as_ref().map(Proposal::ballot);
            let Some(ballot) = proposal(new).filter(|ballot| proposal(old) != Some(*ballot)) else {
                return true;
            };
            let counter = &scenario.nodes[position];
            let mut others = others_that_agree(counter, position, old.durable());
            action.fired() == Some(&Timer::Fold)
                && old.durable().acceptor.promised < Some(ballot)
                && others.all(|peer| {
                    usize::from(peer.0) > position && old.volatile.members.contains_key(&peer)
                })
        })
    },
};

pub(super) const WHAT_IS_ACKNOWLEDGED_IS_KNOWN: Law<Counter> = Law {
    name: "What is acknowledged is known, or folded →",
    source: "Almeida et al. 2018, Algorithm 2: on receive delta; who is acknowledged forgets what it owed",
    holds: |_, before, action, after| {
        running(before, action, after).is_none_or(|(_, _, new)| {
            let counts = &new.durable().counts;
            let mut acknowledged = after.network.sent().filter_map(|sent| match &sent.message {
                Message::DeltaAck { counts } => Some(counts),
                _ => None,
            });
            acknowledged.all(|said| {
                let mut total = said.total.components();
                total.all(|(name, count)| {
                    counts.folded.covers(name) || count <= counts.total.count(name)
                })
            })
        })
    },
};

pub(super) const NAMES_RISE: Law<Counter> = Law {
    name: "Who takes a name knows of no later one →",
    source: "a name is dead when its node counts under a later one",
    holds: |scenario, before, action, after| {
        running(before, action, after).is_none_or(|(position, old, new)| {
            let taken = new
                .durable()
                .identity
                .filter(|_| old.durable().identity.is_none());
            let total = &old.durable().counts.total;
            taken.is_none_or(|name| {
                let is_later = |other: ReplicaId| {
                    other.node == name.node && other.incarnation > name.incarnation
                };
                scenario.nodes[position].fold.is_none()
                    || total.components().all(|(other, _)| !is_later(other))
            })
        })
    },
};

pub(super) const WHO_IS_BEHIND_IS_TOLD: Law<Counter> = Law {
    name: "Who proposes a fold that is known is told it →",
    source: "a proposer that has not heard of a fold asks for it until it does",
    holds: |scenario, before, action, after| {
        running(before, action, after).is_none_or(|(position, old, _)| {
            let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
                return true;
            };
            let Message::Fold(asked @ (FoldMessage::Prepare { .. } | FoldMessage::Accept { .. })) =
                &envelope.message
            else {
                return true;
            };
            let known = &old.durable().counts.folded;
            let is_heard = !is_stranger(&scenario.nodes[position], old.durable(), envelope.from)
                && before.network.connects(envelope.to, envelope.from)
                && after
                    .host(envelope.from)
                    .is_some_and(|host| host.node().is_some());
            let mut sent = after.network.sent();
            asked.number() > known.number
                || !is_heard
                || has_fold(after.host(envelope.from), known)
                || sent
                    .any(|sent| sent.to == envelope.from && sent.message.counts().folded == *known)
        })
    },
};

pub(super) const DEAD_NAMES_ARE_FOLDED: Liveness<Counter> = Liveness {
    name: "What is dead is folded in the end",
    source: "memory is bounded by the nodes that there are, not by the disks that they have had",
    formula: Formula::LeadsTo(
        |scenario, world| folds(scenario) && dead_names_are_known(world),
        // Who has no name waits for its host.
        |_, world| {
            let mut running = world.running();
            !dead_names_are_known(world)
                || running.any(|(_, node)| node.durable().identity.is_none())
        },
    ),
    fairness: super::liveness::FAIRNESS,
};

pub(super) const HAPPENS: Reachable<Counter> = Reachable {
    name: "all have folded what was dead",
    seen: |_, world| {
        let mut folded = world
            .running()
            .map(|(_, node)| &node.durable().counts.folded);
        let first = folded.next();
        first.is_some_and(|first| !first.is_empty() && folded.all(|other| other == first))
    },
};

pub(super) const ACCEPTED: Reachable<Counter> = Reachable {
    name: "an acceptor has accepted a fold",
    seen: |_, world| {
        let mut hosts = world.all_hosts();
        hosts.any(|(_, host)| host.durable().acceptor.accepted.is_some())
    },
};

pub(super) const SECOND: Reachable<Counter> = Reachable {
    name: "there is a second fold",
    seen: |_, world| world.ghost.folds.iter().any(|fold| fold.number >= 2),
};

pub(super) const OF_A_LOST_DISK: Reachable<Counter> = Reachable {
    name: "the name of a lost disk is folded",
    seen: |_, world| {
        let names = || world.ghost.counted.keys();
        let is_folded = |name: &ReplicaId| world.ghost.folds.iter().any(|fold| fold.covers(*name));
        world.faults.lost_disks > 0 && names().any(is_folded)
    },
};

pub(super) const OF_A_DEPARTED_NODE: Reachable<Counter> = Reachable {
    name: "the name of a node that is gone for good is folded",
    seen: |_, world| {
        let folds = || world.ghost.folds.iter();
        let mut names = world.ghost.counted.keys();
        names.any(|name| folds().any(|fold| fold.names.has_departed(name.node) && fold.sum > 0))
    },
};

pub(super) const COMES_LATE: Reachable<Counter> = Reachable {
    name: "a count of a name that is folded is under way",
    seen: |_, world| {
        world.network.under_way().any(|envelope| {
            let folded = world
                .host(envelope.to)
                .map(|host| &host.durable().counts.folded);
            let mut names = envelope.message.counts().total.components();
            folded.is_some_and(|folded| names.any(|(name, _)| folded.covers(name)))
        })
    },
};

pub(super) const IS_LOST: Reachable<Counter> = Reachable {
    name: "what nobody knew of a name that is gone for good is not in its fold",
    seen: |scenario, world| {
        let mut names = world.ghost.counted.keys();
        names.any(|name| {
            let counted = exact(scenario, world, None, *name);
            let mut folds = world.ghost.folds.iter();
            folds.any(|fold| fold.covers(*name) && counted & !fold.sum != 0)
        })
    },
};

pub(super) const IS_WITHHELD: Reachable<Counter> = Reachable {
    name: "a delta about a frozen name comes",
    seen: |_, world| {
        world.network.under_way().any(|envelope| {
            let Message::Delta { counts } = &envelope.message else {
                return false;
            };
            let disk = world.host(envelope.to).map(Host::durable);
            disk.is_some_and(|disk| {
                let mut names = counts.total.components();
                names.any(|(name, count)| {
                    disk.acceptor.frozen.covers(name) && count > disk.counts.total.count(name)
                })
            })
        })
    },
};

pub(super) const TWO_PROPOSERS: Reachable<Counter> = Reachable {
    name: "two propose a fold of one number",
    seen: |_, world| {
        let proposing = world.running().filter_map(|(_, node)| {
            node.volatile.proposal.as_ref()?;
            Some(node.durable().counts.folded.number)
        });
        let numbers: Vec<u64> = proposing.collect();
        let mut positions = numbers.iter().enumerate();
        positions.any(|(position, number)| numbers[..position].contains(number))
    },
};

pub(super) const TAKEN_OVER: Reachable<Counter> = Reachable {
    name: "what one has proposed another proposes again",
    seen: |_, world| {
        let votes = || {
            let hosts = world.all_hosts();
            hosts.filter_map(|(_, host)| host.durable().acceptor.accepted.as_ref())
        };
        votes().any(|one| {
            votes()
                .any(|other| one.fold == other.fold && one.ballot.proposer != other.ballot.proposer)
        })
    },
};

pub(super) const CRASHED_BETWEEN: Reachable<Counter> = Reachable {
    name: "an acceptor is down between promise and acceptance, and the others wait for it",
    seen: |_, world| {
        world.all_hosts().any(|(_, host)| {
            let acceptor = &host.durable().acceptor;
            let promised = acceptor.promised;
            let waits = |node: &Node<Counter>| {
                let proposal = node.volatile.proposal.as_ref();
                let is_accepting = matches!(proposal, Some(Proposal::Accepting { .. }));
                is_accepting && proposal.map(Proposal::ballot) == promised
            };
            host.node().is_none()
                && acceptor.accepted.is_none()
                && world.running().any(|(_, node)| waits(node))
        })
    },
};

pub(super) const GIVEN_UP: Reachable<Counter> = Reachable {
    name: "a node gives up a name that has been taken for dead",
    seen: |_, world| {
        world.running().any(|(id, node)| {
            let disk = node.durable();
            let mut known = disk.counts.total.components();
            let is_own_and_frozen =
                |name: ReplicaId| name.node == id && disk.acceptor.frozen.covers(name);
            disk.identity.is_none() && known.any(|(name, _)| is_own_and_frozen(name))
        })
    },
};

/// Whether names are folded in this world.
fn folds(scenario: &Scenario<Counter>) -> bool {
    scenario.nodes.iter().any(|node| node.fold.is_some())
}

/// Whether what this node says is not heard there, by the definition: the protocol has its own.
pub(super) fn is_stranger(counter: &Counter, disk: &Persistent, node: NodeId) -> bool {
    let listed = counter.fold.as_ref();
    listed.is_some_and(|listed| !listed.contains(&node) || has_departed(disk, node))
}

/// The other nodes that have to agree on a fold, as far as this one knows.
fn others_that_agree<'a>(
    counter: &'a Counter,
    position: usize,
    disk: &'a Persistent,
) -> impl Iterator<Item = NodeId> + 'a {
    let listed = counter.fold.iter().flatten().copied();
    listed.filter(move |&node| usize::from(node.0) != position && !has_departed(disk, node))
}

fn has_departed(disk: &Persistent, node: NodeId) -> bool {
    let folded = disk.counts.folded.names.iter();
    disk.counts.departed.contains(&node) || { folded }
        .any(|(of, incarnation)| of == node && incarnation.0 == u64::MAX)
}

/// Whether the node knows of a component that is no longer added to, and has not folded it.
fn has_dead_names(node: &Node<Counter>) -> bool {
    let disk = node.durable();
    let names = || disk.counts.total.components().map(|(name, _)| name);
    names().any(|name| {
        has_departed(disk, name.node)
            || names().any(|other| other.node == name.node && other.incarnation > name.incarnation)
    })
}

/// Whether a node that nobody takes to be gone for good knows of a dead name.
fn dead_names_are_known(world: &W) -> bool {
    let has_departed = |id| {
        world
            .running()
            .any(|(_, node)| has_departed(node.durable(), id))
    };
    let mut running = world.running();
    running.any(|(id, node)| !has_departed(id) && has_dead_names(node))
}

/// Each power of four at most once.
fn is_of_distinct_increments(value: u128) -> bool {
    value & (u128::MAX / 3 * 2) == 0
}

/// All that was ever counted, whether it is lost or not.
fn attempted(scenario: &Scenario<Counter>, world: &W) -> u128 {
    let known = scenario.disks.iter();
    let known = known.flat_map(|disk| disk.counts.total.components());
    let names = known.map(|(name, _)| name);
    let names = names.chain(world.ghost.counted.keys().copied());
    let folded = scenario.disks.iter().map(|disk| disk.counts.folded.sum);
    names
        .map(|name| exact(scenario, world, None, name))
        .chain(folded)
        .fold(0, |sum, counted| sum | counted)
}

/// Whether this is true of each disk's change, the loss of a disk aside.
fn of_disks(
    before: &W,
    action: &Action<Counter>,
    after: &W,
    holds: impl Fn(&Persistent, &Persistent) -> bool,
) -> bool {
    let changed = before.all_hosts().zip(after.all_hosts());
    let mut changed = changed.filter(|((_, old), (_, new))| !core::ptr::eq(*old, *new));
    matches!(action, Action::LoseDisk(_))
        || changed.all(|((_, old), (_, new))| holds(old.durable(), new.durable()))
}

fn has_fold(host: Option<&Host<Counter>>, fold: &Folded) -> bool {
    host.is_some_and(|host| host.durable().counts.folded.number >= fold.number)
}

fn promises_say_all(
    _: &Scenario<Counter>,
    before: &W,
    action: &Action<Counter>,
    after: &W,
) -> bool {
    let Some((_, old, new)) = running(before, action, after) else {
        return true;
    };
    let Some(Message::Fold(FoldMessage::Prepare { dead, ballot, .. })) = action.delivered() else {
        return true;
    };
    let mut sent = after.network.sent();
    sent.all(|sent| match &sent.message {
        Message::Fold(FoldMessage::Promise {
            counts,
            accepted,
            ballot: of,
            ..
        }) => {
            let known = &old.durable().counts.total;
            let known = known.components().filter(|(name, _)| dead.covers(*name));
            let acceptor = &new.durable().acceptor;
            known.eq(counts.components())
                && *accepted == old.durable().acceptor.accepted
                && of == ballot
                && acceptor.promised == Some(*ballot)
                && acceptor.frozen.includes(dead)
        }
        _ => true,
    })
}

fn proposals_say_the_most(
    scenario: &Scenario<Counter>,
    before: &W,
    action: &Action<Counter>,
    after: &W,
) -> bool {
    let Some((position, old, new)) = running(before, action, after) else {
        return true;
    };
    let proposal = |node: &Node<Counter>| node.volatile.proposal.clone();
    let Some(Proposal::Accepting { ballot, fold, .. }) = proposal(new) else {
        return true;
    };
    let Some(Proposal::Preparing {
        dead,
        promised,
        counts,
        accepted,
        ballot: prepared,
    }) = proposal(old)
    else {
        return true;
    };
    let Some(Message::Fold(FoldMessage::Promise {
        counts: last,
        accepted: vote,
        ..
    })) = action.delivered()
    else {
        // All others are gone for good.
        return true;
    };
    let vote = accepted.into_iter().chain(vote.clone());
    let highest = vote.max_by_key(|vote| vote.ballot);
    let most = |name: ReplicaId| u128::from(counts.count(name).max(last.count(name)));
    let names = counts.components().chain(last.components());
    let names: BTreeSet<ReplicaId> = names.map(|(name, _)| name).collect();
    let sum: u128 = names
        .into_iter()
        .filter(|name| dead.covers(*name))
        .map(most)
        .sum();
    let folded = &old.durable().counts.folded;
    let counter = &scenario.nodes[position];
    let mut others = others_that_agree(counter, position, old.durable());
    let last_to_promise = match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) => Some(envelope.from),
        _ => None,
    };
    let has_promised = |peer| promised.contains(&peer) || last_to_promise == Some(peer);
    prepared == ballot
        && others.all(has_promised)
        && highest.map_or_else(
            || {
                let is_of_them = fold.names.includes(&dead) && fold.names.includes(&folded.names);
                fold.number == folded.number + 1 && fold.sum == folded.sum + sum && is_of_them
            },
            |vote| vote.fold == fold,
        )
}
