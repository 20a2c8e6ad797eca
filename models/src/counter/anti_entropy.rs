//! How replicas come to agree: deltas that are sent until they are acknowledged (Almeida et
//! al. 2018, Algorithm 2), and whole states that are exchanged now and then (Demers et al.
//! 1987, §1.3, "push-pull").
//!
//! A replica sends deltas of its own increments alone, to every member: each replica hears of
//! each increment from who made it, and what one hears is not passed on. Push-pull does pass
//! on, and so serves those that cannot hear each other, those whose origin is gone, and those
//! that have lost their disk.

use super::counts::Counts;
use super::message::Message;
use super::state::{Persistent, Record};
use super::{Counter, Event, Timer};
use crate::protocol::{Node, NodeId, Outbox};

impl Counter {
    /// Joins `counts` into what each member is still to be told.
    pub(super) fn owe_everybody(
        &self,
        node: &mut Node<Self>,
        counts: &Counts,
        out: &mut Outbox<Self>,
    ) {
        let was_settled = node.volatile.is_settled();
        for peer in node.volatile.members.values_mut() {
            peer.pending.merge(counts);
        }
        arm_if_owing(node, was_settled, out);
    }

    /// "Ship delta-interval or state" (Algorithm 2, `periodically`). The delta stays in the
    /// buffer until its acknowledgement comes, and is sent again.
    pub(super) fn on_broadcast_timeout(&self, node: &Node<Self>, out: &mut Outbox<Self>) {
        for (&member, peer) in &node.volatile.members {
            if !peer.pending.is_empty() {
                let counts = peer.pending.clone();
                let counts = counts.with_totals(&node.durable().counts);
                out.send(member, Message::Delta { counts });
            }
        }
        if !node.volatile.is_settled() {
            out.arm(Timer::Broadcast);
        }
    }

    /// "On receive delta": join it, then acknowledge it. What is acknowledged is on disk (the
    /// driver's law), for the sender is going to forget that it is owed.
    pub(super) fn on_delta(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        counts: Counts,
        out: &mut Outbox<Self>,
    ) {
        self.learn(node, &counts, out);
        let durable = node.durable();
        let frozen = &durable.acceptor.frozen;
        // What is frozen was not merged, and stays owed until it is folded.
        let unmerged = counts.difference(&durable.counts);
        let counts = counts.except(&unmerged.only(|name| frozen.covers(name)));
        out.send(from, Message::DeltaAck { counts });
    }

    /// "On receive ack": forget what was acknowledged, and no more. What has grown since
    /// stays.
    pub(super) fn on_delta_ack(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        counts: &Counts,
        out: &mut Outbox<Self>,
    ) {
        let was_settled = node.volatile.is_settled();
        if let Some(peer) = node.volatile.members.get_mut(&from) {
            peer.pending = peer.pending.difference(counts);
        }
        if !was_settled {
            settle(node, out);
        }
    }

    /// Push-pull with the next member, all in turn.
    pub(super) fn on_push_pull_timeout(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        out.arm(Timer::PushPull);
        let members = || node.volatile.members.keys().copied();
        let last = node.volatile.last_partner;
        let next = members().find(|&member| Some(member) > last);
        let Some(partner) = next.or_else(|| members().next()) else {
            return;
        };
        node.volatile.last_partner = Some(partner);
        let counts = node.durable().counts.clone();
        out.send(partner, Message::PushPull { counts });
    }

    /// The other's push, and its pull. The asker may have lost its disk since it asked, so each bucket
    /// is sent with its total.
    pub(super) fn on_push_pull(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        counts: &Counts,
        out: &mut Outbox<Self>,
    ) {
        self.learn(node, counts, out);
        let known = &node.durable().counts;
        let counts = known.difference(counts).with_totals(known);
        if !counts.is_empty() {
            out.send(from, Message::PushPullReply { counts });
        }
    }

    /// `merge` (Shapiro et al. 2011, Specification 6), of whatever part of a state. Only what
    /// is new is written. Who is about to leave passes it on.
    pub(super) fn learn(&self, node: &mut Node<Self>, counts: &Counts, out: &mut Outbox<Self>) {
        let news = self.news(node.durable(), counts);
        if news.is_empty() {
            return;
        }
        let durable = node.durable();
        let contested = durable
            .identity
            .filter(|&own| !news.of(own).is_empty() || news.folded.covers(own));
        if let Some(identity) = contested {
            self.retire(node, identity, out);
        }
        node.write(Record::Learned {
            counts: news.clone(),
        });
        if !news.folded.is_empty() {
            forget_folded(node, out);
        }
        Self::let_go(node, out);
        if node.volatile.leaving {
            self.owe_everybody(node, &news, out);
        }
        out.emit(Event::Changed {
            value: node.durable().counts.value(),
        });
    }

    /// The part of `counts` that is new here: of buckets, those that this window has and that
    /// have not expired; of names, those that are not frozen. (The next fold unfreezes them.)
    fn news(&self, durable: &Persistent, counts: &Counts) -> Counts {
        let mut news = counts.difference(&durable.counts);
        if news.folded.is_empty() {
            let frozen = &durable.acceptor.frozen;
            news.total.drop_where(|name| frozen.covers(name));
            news.buckets.drop_where(|name| frozen.covers(name));
        }
        news.buckets = news.buckets.only(|bucket| {
            let is_ours = self.window.is_some_and(|window| window.has(bucket));
            is_ours && bucket.start >= durable.horizon
        });
        news
    }
}

/// Starts the broadcast timer, unless it runs: to start it anew at each increment would put
/// it off for ever.
pub(super) fn arm_if_owing(node: &Node<Counter>, was_settled: bool, out: &mut Outbox<Counter>) {
    if was_settled && !node.volatile.is_settled() {
        out.arm(Timer::Broadcast);
    }
}

/// A fold has been learned: the proposal to agree on it is over, and of what it covers nothing is owed.
fn forget_folded(node: &mut Node<Counter>, out: &mut Outbox<Counter>) {
    let folded = node.durable().counts.folded.clone();
    out.emit(Event::Folded {
        number: folded.number,
    });
    node.volatile.proposal = None;
    let was_settled = node.volatile.is_settled();
    for peer in node.volatile.members.values_mut() {
        peer.pending.total.drop_where(|name| folded.covers(name));
    }
    if !was_settled {
        settle(node, out);
    }
}

/// When no member is owed anything any more, there is nothing to send; and who wants to leave
/// may, if there is a member. Who knows of nobody has told nobody: it may merely be cut off from
/// the others, and its disk the only one with what it has counted.
pub(super) fn settle(node: &Node<Counter>, out: &mut Outbox<Counter>) {
    if !node.volatile.is_settled() {
        return;
    }
    out.disarm(Timer::Broadcast);
    if node.volatile.leaving && !node.volatile.members.is_empty() {
        out.emit(Event::Drained);
    }
}
