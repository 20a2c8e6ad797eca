//! Which of the counter's messages are inert, and why.
//!
//! The argument rests on two facts: on a disk that is not lost no component ever decreases,
//! and a bucket that has expired stays so. (Models in which disks are lost drop nothing.)
//!
//! A reply is inert when its receiver's disk has all that is in it: it has nothing to learn,
//! then or ever. The same goes for a delta, but a delta is also answered; it is inert when the
//! acknowledgement would be inert as well.
//!
//! An acknowledgement is inert when, component by component, the receiver's disk is ahead of
//! it, and so is what the receiver still owes, if anything: what it comes to owe later is
//! taken from its disk.
//!
//! A push-pull is never inert: it asks for what its receiver will have come to know.

use crate::counter::Counter;
use crate::counter::counts::Counts;
use crate::counter::message::Message;
use crate::protocol::NodeId;
use crate::world::{Envelope, Host};

pub(super) fn is_inert(
    envelope: &Envelope<Message>,
    sender: &Host<Counter>,
    receiver: &Host<Counter>,
) -> bool {
    match &envelope.message {
        Message::Delta { counts } => {
            teaches_nothing(counts, receiver) && settles_nothing(counts, sender, envelope.to)
        }
        Message::DeltaAck { counts } => settles_nothing(counts, receiver, envelope.from),
        Message::PushPull { .. } => false,
        Message::PushPullReply { counts } => teaches_nothing(counts, receiver),
    }
}

/// Whether the host's disk has all this, or has let it expire. That this node may be made
/// with another window is left out: it would make more messages inert, and no matter.
fn teaches_nothing(counts: &Counts, host: &Host<Counter>) -> bool {
    let disk = host.on_disk();
    counts.components().all(|(bucket, replica, count)| {
        let has_expired = bucket.is_some_and(|bucket| bucket.start < disk.horizon);
        has_expired || count <= disk.counts.count(bucket, replica)
    })
}

/// Whether `member`'s acknowledgement of this can never settle anything that the host owes.
fn settles_nothing(counts: &Counts, host: &Host<Counter>, member: NodeId) -> bool {
    let disk = host.on_disk();
    let peer = host
        .node()
        .and_then(|node| node.volatile.members.get(&member));
    counts.components().all(|(bucket, replica, count)| {
        let owed = peer.map_or(0, |peer| peer.pending.count(bucket, replica));
        let has_expired = bucket.is_some_and(|bucket| bucket.start < disk.horizon);
        let is_ahead = has_expired || count < disk.counts.count(bucket, replica);
        is_ahead && (owed == 0 || count < owed)
    })
}
