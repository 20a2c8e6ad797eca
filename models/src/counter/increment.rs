//! What a replica does for its clients, alone and at once: no other replica is asked.

use super::anti_entropy::settle;
use super::counts::Counts;
use super::g_counter::{GCounter, Overflow, ReplicaId};
use super::recent::Known;
use super::state::{Persistent, Record};
use super::window::{Bucket, Buckets};
use super::{Counter, Event, Increment, Refusal};
use crate::protocol::{Node, Outbox};
use crate::session::RequestId;

impl Counter {
    /// "update increment" (Shapiro et al. 2011, Specification 6). The count is on disk before
    /// the client hears of it (the driver's law), and before any delta carries it: a delta
    /// that a crash could undo would make others remember of this component what its owner
    /// has forgotten and will count again.
    pub(super) fn on_increment(
        &self,
        node: &mut Node<Self>,
        increment: Increment,
        out: &mut Outbox<Self>,
    ) {
        let request = increment.request;
        match node.durable().recent.find(request) {
            Known::New => {}
            Known::Counted => return answer(node, request, true, out),
            Known::Superseded => return refuse(request, Refusal::Superseded, out),
        }
        self.advance(node, increment.now, out);
        match self.growth(node, &increment) {
            Ok(counts) => {
                self.count(node, request, counts, out);
                answer(node, request, false, out);
            }
            Err(why) => refuse(request, why, out),
        }
    }

    /// The components that the increment makes grow, as they will be then.
    fn growth(&self, node: &Node<Self>, increment: &Increment) -> Result<Counts, Refusal> {
        if increment.amount == 0 {
            return Err(Refusal::ZeroAmount);
        }
        if node.volatile.leaving {
            return Err(Refusal::Leaving);
        }
        let durable = node.durable();
        let identity = durable.identity.ok_or(Refusal::Unidentified)?;
        let bucket = self.window.map(|window| window.bucket_at(increment.now));
        // A bucket that has expired stays so: an increment that comes so late counts in the
        // total alone.
        let bucket = bucket.filter(|bucket| bucket.start >= durable.horizon);
        grown(durable, identity, bucket, increment.amount).map_err(|Overflow| Refusal::Overflow)
    }

    fn count(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        counts: Counts,
        out: &mut Outbox<Self>,
    ) {
        let most = self.max_sessions.max(1);
        let recent = &node.durable().recent;
        if let Some(client) = recent.in_the_way_of(request.client, most) {
            node.write(Record::Forgotten(client));
        }
        let delta = counts.clone();
        node.write(Record::Counted { request, counts });
        self.owe_everybody(node, &delta, out);
    }

    /// "query value", from what this replica knows.
    pub(super) fn on_read(&self, node: &Node<Self>, request: RequestId, out: &mut Outbox<Self>) {
        let value = node.durable().counts.value();
        out.emit(Event::Value { request, value });
    }

    /// The value of the latest buckets of the sliding window that ends now. Without a window it is
    /// empty.
    pub(super) fn on_read_window(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        now: u64,
        latest: u64,
        out: &mut Outbox<Self>,
    ) {
        self.advance(node, now, out);
        let since = self
            .window
            .map_or(now, |window| window.latest_at(now, latest));
        let buckets = &node.durable().counts.buckets;
        let value = self.window.map(|window| buckets.value(window, since, now));
        out.emit(Event::WindowValue {
            request,
            value: value.unwrap_or_default(),
            since,
            until: now,
        });
    }

    /// Lets the buckets expire that the window has left behind at `now`. The total keeps what
    /// they counted. A clock that is set back lets nothing expire, and brings nothing back.
    ///
    /// What has expired is owed to nobody either: to a member that is cut off for days a bucket
    /// more would be owed with each that passes, and none of them would be wanted.
    fn advance(&self, node: &mut Node<Self>, now: u64, out: &mut Outbox<Self>) {
        let before = self.window.map(|window| window.start_at(now));
        let Some(before) = before.filter(|&before| before > node.durable().horizon) else {
            return;
        };
        node.write(Record::Expired { before });
        let was_settled = node.volatile.is_settled();
        for peer in node.volatile.members.values_mut() {
            peer.pending.buckets.expire(before);
        }
        if !was_settled {
            settle(node, out);
        }
    }
}

fn grown(
    durable: &Persistent,
    identity: ReplicaId,
    bucket: Option<Bucket>,
    amount: u64,
) -> Result<Counts, Overflow> {
    let total = durable
        .counts
        .total
        .of(identity)
        .increment(identity, amount)?;
    let mut buckets = Buckets::default();
    if let Some(bucket) = bucket {
        let known = durable.counts.buckets.count(bucket, identity);
        let mut counter = GCounter::from_iter([(identity, known)]);
        counter.increment(identity, amount)?;
        buckets = Buckets::from_iter([(bucket, counter)]);
    }
    Ok(Counts {
        total,
        buckets,
        ..Counts::default()
    })
}

fn answer(node: &Node<Counter>, request: RequestId, repeated: bool, out: &mut Outbox<Counter>) {
    out.emit(Event::Incremented {
        request,
        value: node.durable().counts.value(),
        repeated,
    });
}

fn refuse(request: RequestId, why: Refusal, out: &mut Outbox<Counter>) {
    out.emit(Event::Refused { request, why });
}
