//! What must hold of every transition.

use alloc::collections::BTreeSet;

use crate::counter::Counter;
use crate::counter::counts::Counts;
use crate::counter::fold::folded::Folded;
use crate::counter::g_counter::ReplicaId;
use crate::counter::message::Message;
use crate::counter::recent::Known;
use crate::counter::window::Bucket;
use crate::protocol::NodeId;
use crate::session::RequestId;
use crate::specification::Law;
use crate::world::{Action, Envelope, Host, Scenario, World};

use super::{duties, folds, has, turns};

pub(super) const LAWS: &[Law<Counter>] = &[
    Law {
        name: "The value never goes back →",
        source: "Shapiro et al. 2011, Specification 6: a counter that only grows",
        holds: |_, before, action, after| {
            each(before, action, after, |old, new| {
                let value = |host: &Host<Counter>| host.durable().counts.value();
                value(old) <= value(new)
            })
        },
    },
    Law {
        name: "A component never goes back →",
        source: "Shapiro et al. 2011, §2.2.1: state is monotonically non-decreasing, restart or \
                 not",
        holds: |_, before, action, after| each(before, action, after, never_goes_back),
    },
    Law {
        name: "What has expired stays so →",
        source: "a bucket that came back would be counted in a window that it has left",
        holds: |_, before, action, after| {
            each(before, action, after, |old, new| {
                let horizon = new.durable().horizon;
                let mut buckets = new.durable().counts.buckets.iter();
                old.durable().horizon <= horizon
                    && buckets.all(|(bucket, _)| bucket.start >= horizon)
            })
        },
    },
    Law {
        name: "A merge is the least upper bound →",
        source: "Shapiro et al. 2011, Specification 6: merge takes the maximum",
        holds: merge_is_the_least_upper_bound,
    },
    Law {
        name: "No component grows but by its owner →",
        source: "Shapiro et al. 2011, Specification 6: P[g] := P[g] + 1 where g = myID()",
        holds: |_, before, _, after| grows_by_its_owner(before, after),
    },
    Law {
        name: "A push-pull leaves nothing unsaid →",
        source: "Demers et al. 1987, §1.3: push-pull makes both equal",
        holds: push_pull_is_complete,
    },
    Law {
        name: "Who has just counted is remembered →",
        source: "a retry at the same node counts once, as long as the node remembers its client",
        holds: |_, before, _, after| the_latest_are_remembered(before, after),
    },
    Law {
        name: "Who leaves counts no more →",
        source: "what it counts after it has been drained nobody has; the client asks elsewhere",
        holds: |_, before, action, after| {
            each(before, action, after, |old, new| {
                let leaves = old.node().is_some_and(|node| node.volatile.leaving);
                // A bucket may expire.
                let (was, own) = (old.durable().own(), new.durable().own());
                let mut counted = own.components();
                !leaves
                    || new.durable().identity != old.durable().identity
                    || counted.all(|one| was.components().any(|other| one == other))
            })
        },
    },
    Law {
        name: "A name is kept with its counts →",
        source: "a replica counts under one name, restart or not, until it gives it up",
        holds: |_, before, action, after| {
            each(before, action, after, |old, new| {
                let (old, new) = (old.durable().identity, new.durable().identity);
                old.is_none() || new.is_none() || old == new
            })
        },
    },
    Law {
        name: "Who takes a name knows of nobody who has counted under it →",
        source: "Shapiro et al. 2011, Specification 6: myID() is unique; exactly one disk ever counts under it",
        holds: |_, before, action, after| {
            each(before, action, after, |old, new| {
                let (was, is) = (old.durable().identity, new.durable().identity);
                let mut known = old.durable().counts.components();
                is == was || is.is_none_or(|name| known.all(|(_, other, _)| other != name))
            })
        },
    },
    duties::NAMES_ARE_CONTESTED,
    duties::WHO_ASKS_IS_ANSWERED,
    duties::WHO_JOINS_IS_OWED_ALL,
    duties::LONGEST_SILENT_IS_FORGOTTEN,
    duties::WINDOWS_MOVE_WITH_TIME,
    duties::ANSWERS_ARE_NOT_ANSWERED,
    duties::WHO_WAS_COUNTED_IS_TOLD,
    turns::WINDOW_IS_AS_ASKED,
    turns::WHO_MAY_LEAVE_IS_TOLD,
    turns::PUSH_PULL_GOES_ROUND,
    folds::COUNTED_STAYS_COUNTED,
    folds::FROZEN_DOES_NOT_GROW,
    folds::FOLDS_RISE,
    folds::PROMISES_ARE_KEPT,
    folds::VOTES_ARE_PROMISED,
    folds::PROMISES_SAY_ALL,
    folds::PROPOSALS_SAY_THE_MOST,
    folds::THE_FIRST_BEGINS,
    folds::WHAT_IS_ACKNOWLEDGED_IS_KNOWN,
    folds::NAMES_RISE,
    folds::WHO_IS_BEHIND_IS_TOLD,
];

/// No fold.
static NONE: Folded = Folded::none();

/// A predicate on one host's change.
type OfHost = fn(&Host<Counter>, &Host<Counter>) -> bool;

/// Whether `holds` is true of each host's change, the loss of a disk aside.
fn each(
    before: &World<Counter>,
    action: &Action<Counter>,
    after: &World<Counter>,
    holds: OfHost,
) -> bool {
    matches!(action, Action::LoseDisk(_))
        || changed(before, after).all(|(_, old, new)| holds(old, new))
}

/// The hosts that the transition has touched. Others are shared.
fn changed<'a>(
    before: &'a World<Counter>,
    after: &'a World<Counter>,
) -> impl Iterator<Item = (NodeId, &'a Host<Counter>, &'a Host<Counter>)> {
    before
        .all_hosts()
        .zip(after.all_hosts())
        .filter(|((_, old), (_, new))| !core::ptr::eq(*old, *new))
        .map(|((id, old), (_, new))| (id, old, new))
}

fn never_goes_back(old: &Host<Counter>, new: &Host<Counter>) -> bool {
    let new = new.durable();
    let mut known = old.durable().counts.components();
    known.all(|(bucket, name, count)| {
        let has_expired = bucket.is_some_and(|bucket| bucket.start < new.horizon);
        // What it is in the sum then is another law's.
        let is_folded = bucket.is_none() && new.counts.folded.covers(name);
        has_expired || is_folded || new.counts.count(bucket, name) >= count
    })
}

/// What is more than anybody knew before, its owner knows now.
fn grows_by_its_owner(before: &World<Counter>, after: &World<Counter>) -> bool {
    changed(before, after).all(|(id, old, new)| {
        let (old, new) = (&old.durable().counts, &new.durable().counts);
        let is_news = |&(bucket, name, count): &(Option<Bucket>, ReplicaId, u64)| {
            count > old.count(bucket, name)
        };
        let mut news = new.components().filter(is_news);
        news.all(|(bucket, name, count)| name.node == id || was_known(before, bucket, name, count))
    })
}

fn was_known(world: &World<Counter>, bucket: Option<Bucket>, name: ReplicaId, count: u64) -> bool {
    let mut hosts = world.all_hosts();
    let under_way = || world.network.under_way();
    hosts.any(|(_, host)| host.durable().counts.count(bucket, name) >= count)
        || under_way().any(|envelope| envelope.message.counts().count(bucket, name) >= count)
}

fn merge_is_the_least_upper_bound(
    scenario: &Scenario<Counter>,
    before: &World<Counter>,
    action: &Action<Counter>,
    after: &World<Counter>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let (Some(old), Some(new)) = (before.host(envelope.to), after.host(envelope.to)) else {
        return true;
    };
    let (old, new) = (old.durable(), new.durable());
    let nothing = Counts::default();
    let said = match &envelope.message {
        // What the last acceptance makes known is said by the laws of folds.
        Message::Fold(_) => return true,
        Message::DeltaAck { .. } => &nothing,
        message => message.counts(),
    };
    let window = scenario.nodes[usize::from(envelope.to.0)].window;
    let is_wanted = |bucket: Option<Bucket>| {
        bucket.is_none_or(|bucket| {
            bucket.start >= old.horizon && window.is_some_and(|window| has(window, bucket))
        })
    };
    let all = || {
        let known = old.counts.components().chain(new.counts.components());
        known.chain(said.components())
    };
    let is_heard = !folds::is_stranger(
        &scenario.nodes[usize::from(envelope.to.0)],
        old,
        envelope.from,
    );
    let folded = (&old.counts.folded).max(if is_heard { &said.folded } else { &NONE });
    let is_frozen = |name| folded == &old.counts.folded && old.acceptor.frozen.covers(name);
    new.counts.folded == *folded
        && all().all(|(bucket, name, _)| {
            let was = old.counts.count(bucket, name);
            let told = if is_heard && is_wanted(bucket) && !is_frozen(name) {
                said.count(bucket, name)
            } else {
                0
            };
            let is_folded = bucket.is_none() && folded.covers(name);
            let expected = if is_folded { 0 } else { was.max(told) };
            new.counts.count(bucket, name) == expected
        })
}

/// Whoever receives a push knows then all that is in it; and who sent it knows, or is under
/// way to be told, all that the receiver knows. (Unless it is down, or cut off.)
fn push_pull_is_complete(
    scenario: &Scenario<Counter>,
    before: &World<Counter>,
    action: &Action<Counter>,
    after: &World<Counter>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let (Message::PushPull { counts }, from, to) = (&envelope.message, envelope.from, envelope.to)
    else {
        return true;
    };
    let (Some(asker), Some(receiver)) = (after.host(from), after.host(to)) else {
        return true;
    };
    let is_heard =
        !folds::is_stranger(&scenario.nodes[usize::from(to.0)], receiver.durable(), from);
    let can_answer = before.network.connects(to, from) && asker.node().is_some() && is_heard;
    if !can_answer {
        return true;
    }
    let mut told = counts.clone();
    let replies = after.network.in_flight().into_iter();
    for reply in replies.filter(|reply| answers(reply, from, to)) {
        told.merge(reply.message.counts());
    }
    told.merge(&asker.on_disk().counts);
    let known = &receiver.durable().counts;
    let disk = receiver.durable();
    let is_left_out = |name| known.folded.covers(name) || disk.acceptor.frozen.covers(name);
    let mut pushed = counts.total.components();
    let has_learned =
        pushed.all(|(name, count)| is_left_out(name) || count <= known.total.count(name));
    // A bucket that the asker has let expire is not worth a word.
    let horizon = asker.on_disk().horizon;
    has_learned
        && known.folded == told.folded
        && known.components().all(|(bucket, name, count)| {
            let has_expired = bucket.is_some_and(|bucket| bucket.start < horizon);
            has_expired || count <= told.count(bucket, name)
        })
}

fn answers(reply: &Envelope<Message>, asker: NodeId, receiver: NodeId) -> bool {
    let is_reply = matches!(reply.message, Message::PushPullReply { .. });
    is_reply && reply.from == receiver && reply.to == asker
}

/// What has been acknowledged in this transition is known when it is asked again.
fn the_latest_are_remembered(before: &World<Counter>, after: &World<Counter>) -> bool {
    let nothing = BTreeSet::new();
    after.ghost.counted.iter().all(|(name, requests)| {
        let known = before.ghost.counted.get(name).unwrap_or(&nothing);
        let disk = after.host(name.node).map(Host::durable);
        let is_remembered = |request: &RequestId| {
            disk.is_some_and(|disk| disk.recent.find(*request) == Known::Counted)
        };
        requests.difference(known).all(is_remembered)
    })
}
