//! What a leader keeps of its followers and of their requests is what they have said to it, and
//! nothing that one says changes what it keeps of another.

use crate::machine::StateMachine;
use crate::protocol::NodeId;
use crate::specification::{Invariant, Law};
use crate::world::{Action, Host, World};
use crate::zab::message::Message;
use crate::zab::state::{Leading, Role};
use crate::zab::zxid::{Epoch, Zxid};
use crate::zab::{Timer, Zab};

use super::laws::changed;
use super::messages::epoch_of;
use super::{Bounded, goes_through, primary};

type W<M, E> = World<Zab<M, E>>;

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const COUNTS_WHAT_IS_SAID: Law<Self> = Law {
        name: "A leader counts what each follower says →",
        source: "DSN 2011, §IV.B, steps l.2.2 and l.3.2: acknowledgements are counted, each of its \
                 own follower; Medeiros 2012, §3.5: and who shows that it lives is heard of",
        holds: |_, before, action, after| counts_what_is_said(before, action, after),
    };

    pub(super) const COUNTS_PROMISES: Law<Self> = Law {
        name: "A promise stands →",
        source: "DSN 2011, §IV.B, steps f.1.2 and l.1.2: an acknowledged epoch is promised for good",
        holds: |_, before, action, after| {
            changed(before, after).all(|(id, old, new)| counts_promises(id, old, action, new))
        },
    };

    pub(super) const UNDER_WAY_IS_OUTSTANDING: Invariant<Self> = Invariant {
        name: "What is under way is outstanding",
        source: "DSN 2011, §III.B, Integrity: who asks again for what is under way gets no second \
                 transaction",
        holds: |_, world| {
            world
                .all_hosts()
                .all(|(_, host)| under_way_is_outstanding(host))
        },
    };
}

/// What a follower says of itself to the leader of its epoch.
struct Said {
    follower: NodeId,
    /// What it has on disk, if it says so.
    has: Option<Zxid>,
    /// Whether it answers a ping.
    lives: bool,
}

fn said<M: StateMachine, E: Bounded>(
    leader: NodeId,
    epoch: Epoch,
    action: &Action<Zab<M, E>>,
) -> Option<Said> {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return None;
    };
    let message = &envelope.message;
    let has = match message {
        Message::Ack { zxid } => Some(*zxid),
        Message::AckNewLeader { last_zxid, .. } | Message::Pong { last_zxid, .. } => {
            Some(*last_zxid)
        }
        Message::AckEpoch { .. } => None,
        _ => return None,
    };
    (envelope.to == leader && epoch_of(message) == Some(epoch)).then_some(Said {
        follower: envelope.from,
        has,
        lives: matches!(message, Message::Pong { .. }),
    })
}

/// Until its reign begins a leader keeps what each has said of itself, and that it has promised the
/// epoch: that stands, even if the follower has since started anew. Then it synchronises them all.
fn counts_promises<M: StateMachine, E: Bounded>(
    id: NodeId,
    old: &Host<Zab<M, E>>,
    action: &Action<Zab<M, E>>,
    new: &Host<Zab<M, E>>,
) -> bool {
    let (Some(was), Some(is)) = (old.node(), new.node()) else {
        return true;
    };
    let Role::Leading(Leading::Prospective { acks: had }) = &was.volatile.role else {
        return true;
    };
    let epoch = was.durable().accepted_epoch;
    let now = match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) if envelope.to == id => {
            match &envelope.message {
                Message::AckEpoch { epoch: of, ack } if *of == epoch => Some((envelope.from, *ack)),
                _ => None,
            }
        }
        _ => None,
    };
    let knows =
        |follower| had.contains_key(follower) || now.is_some_and(|(sender, _)| sender == *follower);
    match &is.volatile.role {
        Role::Leading(Leading::Prospective { acks: has }) => {
            had.keys().all(|follower| has.contains_key(follower))
                && has.iter().all(|(follower, ack)| {
                    let before = had.get(follower);
                    match now.filter(|(sender, _)| sender == follower) {
                        Some((_, said)) => {
                            let promised = before.is_some_and(|before| before.promises);
                            ack.recency == said.recency
                                && ack.promises == (promised || said.promises)
                        }
                        None => before == Some(ack),
                    }
                })
        }
        Role::Leading(Leading::Primary(leads)) => {
            had.keys()
                .all(|follower| leads.learners.contains_key(follower))
                && leads.learners.keys().all(knows)
        }
        Role::Looking | Role::Following(_) | Role::Leading(Leading::Elected { .. }) => true,
    }
}

fn counts_what_is_said<M: StateMachine, E: Bounded>(
    before: &W<M, E>,
    action: &Action<Zab<M, E>>,
    after: &W<M, E>,
) -> bool {
    changed(before, after).all(|(id, old, new)| {
        let (Some((epoch, was)), Some((still, is))) = (primary(old), primary(new)) else {
            return true;
        };
        if epoch != still {
            return true;
        }
        let said = said(id, epoch, action);
        let said_by = |follower| said.as_ref().filter(|said| said.follower == follower);
        let looks = matches!(action, Action::Fire { node, timer: Timer::Sync } if *node == id);
        let mut learners = is.learners.iter();
        let mut known = was.learners.keys();
        let mut heard = is.heard.iter();
        known.all(|follower| is.learners.contains_key(follower))
            && learners.all(|(&follower, &has)| {
                let said = said_by(follower);
                match was.learners.get(&follower) {
                    Some(&had) => {
                        let news = said.and_then(|said| said.has);
                        let news = news.filter(|&zxid| goes_through(&old.durable().history, zxid));
                        has == had.max(news)
                    }
                    // It asks to be synchronised.
                    None => has.is_none() && said.is_some_and(|said| said.has.is_none()),
                }
            })
            && heard.all(|&follower| {
                !looks
                    && (was.heard.contains(&follower)
                        || said_by(follower).is_some_and(|said| said.lives))
            })
            && (looks || was.heard.is_subset(&is.heard))
            && said.is_none_or(|said| {
                !said.lives
                    || !was.learners.contains_key(&said.follower)
                    || is.heard.contains(&said.follower)
            })
    })
}

/// Each transaction that an established leader has and has not delivered is of a request that is
/// outstanding, and no request has two.
fn under_way_is_outstanding<M: StateMachine, E: Bounded>(host: &Host<Zab<M, E>>) -> bool {
    let (Some((_, leads)), Some(node)) = (primary(host), host.node()) else {
        return true;
    };
    if !leads.established {
        return true;
    }
    let delivered = node.volatile.delivered.zxid;
    let transactions = node.durable().history.transactions().iter();
    let mut due = 0;
    let mut under_way = transactions.filter(|transaction| transaction.zxid > delivered);
    under_way.all(|transaction| {
        due += 1;
        leads.outstanding.contains(&transaction.content.request())
    }) && due == leads.outstanding.len()
}
