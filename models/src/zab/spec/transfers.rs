//! What a leader sends a follower that it synchronises makes that follower's history equal to its
//! own, and is no more than that takes.

use crate::machine::StateMachine;
use crate::protocol::NodeId;
use crate::specification::Law;
use crate::world::{Action, Host, Scenario, World};
use crate::zab::Zab;
use crate::zab::history::{Content, History, Transaction};
use crate::zab::message::Message;
use crate::zab::state::{Leading, Role};
use crate::zab::zxid::Zxid;

use super::laws::changed;
use super::{Bounded, primary};

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const COMES_TO_THE_LEADERS_HISTORY: Law<Self> = Law {
        name: "A synchronisation comes to the leader's history →",
        source: "DSN 2011, §IV.B, step l.2.1; Medeiros 2012, §4.2: TRUNC where the follower has \
                 what the leader lacks, SNAP where the leader has deleted what the follower lacks, \
                 DIFF of what is missing then, and NEWLEADER",
        holds: comes_to_the_leaders_history,
    };

    pub(super) const PROPOSED_TO_ALL: Law<Self> = Law {
        name: "A proposal goes to all that are synchronised →",
        source: "DSN 2011, §IV.B, step l.3.1: to all followers, also to those that have not \
                 acknowledged the initial history yet: what they were sent ends before it",
        holds: |_, before, _, after| {
            changed(before, after).all(|(id, old, new)| is_proposed_to_all(id, old, new, after))
        },
    };
}

/// What a leader has more in its history than before the step, every follower is sent that it had
/// sent its history, and that can be reached.
fn is_proposed_to_all<M: StateMachine, E: Bounded>(
    leader: NodeId,
    old: &Host<Zab<M, E>>,
    new: &Host<Zab<M, E>>,
    after: &World<Zab<M, E>>,
) -> bool {
    let (Some((epoch, was)), Some((still, _))) = (primary(old), primary(new)) else {
        return true;
    };
    let last = old.durable().history.last_zxid();
    if epoch != still || new.durable().history.last_zxid() == last {
        return true;
    }
    let history = new.durable().history.transactions().iter();
    let mut proposed = history.filter(|next| next.zxid > last);
    proposed.all(|next| {
        was.learners.keys().all(|&follower| {
            let mut sent = after.network.sent();
            !reaches(after, leader, follower)
                || sent.any(|sent| {
                    (sent.from, sent.to) == (leader, follower)
                        && matches!(&sent.message, Message::Propose(proposal) if proposal == next)
                })
        })
    })
}

/// Whether what one node sends the other gets under way.
fn reaches<M: StateMachine, E: Bounded>(
    world: &World<Zab<M, E>>,
    from: NodeId,
    to: NodeId,
) -> bool {
    let is_up = world.host(to).is_some_and(|host| host.node().is_some());
    is_up && world.network.connects(from, to)
}

/// Everybody who has acknowledged the epoch is synchronised when the reign begins; and from then on
/// whoever acknowledges it.
fn comes_to_the_leaders_history<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    before: &World<Zab<M, E>>,
    action: &Action<Zab<M, E>>,
    after: &World<Zab<M, E>>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let (Message::AckEpoch { epoch, ack }, leader) = (&envelope.message, envelope.to) else {
        return true;
    };
    let office = after.host(leader).and_then(primary);
    let old = before.host(leader).and_then(Host::node);
    let (Some((reign, _)), Some(old)) = (office, old) else {
        return true;
    };
    if reign != *epoch {
        return true;
    }
    let earlier = match &old.volatile.role {
        Role::Leading(Leading::Prospective { acks }) => Some(acks),
        Role::Looking | Role::Following(_) | Role::Leading(_) => None,
    };
    let earlier = earlier.into_iter().flatten();
    let earlier = earlier.filter(|(follower, _)| **follower != envelope.from);
    let now = core::iter::once((&envelope.from, ack));
    let limit = scenario.nodes[usize::from(leader.0)].max_diff_weight;
    let mut synchronised = earlier.chain(now);
    synchronised.all(|(&follower, ack)| {
        let sent = after.network.sent();
        let sent = sent.filter(|sent| (sent.from, sent.to) == (leader, follower));
        let mut sent = sent.map(|sent| &sent.message);
        let has = ack.recency.last_zxid;
        !reaches(after, leader, follower) || comes_to(&old.durable().history, has, limit, &mut sent)
    })
}

/// Whether the messages lead from a history that ends with `has` to this one.
fn comes_to<M: StateMachine, E: Bounded>(
    history: &History<M>,
    has: Zxid,
    limit: usize,
    sent: &mut dyn Iterator<Item = &Message<M, E>>,
) -> bool {
    let kept = history.transactions();
    let begin = history.begins_after();
    let common = kept
        .iter()
        .rev()
        .map(|next| next.zxid)
        .find(|&zxid| zxid <= has);
    let common = common.unwrap_or(begin);
    let mut end = has;
    if has < begin {
        let Some(Message::Snap { snapshot, .. }) = sent.next() else {
            return false;
        };
        if snapshot != history.snapshot() {
            return false;
        }
        end = snapshot.zxid;
    } else if common != has {
        let Some(Message::Trunc { from, to, .. }) = sent.next() else {
            return false;
        };
        if (*from, *to) != (has, common) {
            return false;
        }
        end = common;
    }
    let mut is_full = true;
    for message in sent {
        match message {
            Message::Diff {
                after,
                transactions,
                ..
            } => {
                let missing = kept.iter().filter(|next| next.zxid > end);
                let follows = missing.take(transactions.len()).eq(transactions);
                let (Some((last, others)), true) = (transactions.split_last(), follows) else {
                    return false;
                };
                if *after != end || !is_full || weight::<M>(others) >= limit && !others.is_empty() {
                    return false;
                }
                is_full = weight::<M>(transactions) >= limit;
                end = last.zxid;
            }
            Message::NewLeader { last_zxid, .. } => {
                return *last_zxid == end && end == kept.last().map_or(begin, |last| last.zxid);
            }
            _ => return false,
        }
    }
    false
}

/// What transactions weigh in a DIFF: none is for nothing.
fn weight<M: StateMachine>(transactions: &[Transaction<M::Command>]) -> usize {
    let weights = transactions.iter().map(|next| match &next.content {
        Content::Command { command, .. } => M::weight(command).max(1),
        Content::Sync { .. } => 1,
    });
    weights.fold(0, usize::saturating_add)
}
