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
//!
//! A component that is folded at the receiver is nothing to learn, and nothing that it owes. A promise
//! or an acceptance is inert when its fold is known to the proposer, or when the proposer's disk has
//! promised a higher ballot since: its own proposal is over then.

use crate::counter::Counter;
use crate::counter::counts::Counts;
use crate::counter::fold::message::FoldMessage;
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
        Message::Fold(
            message @ (FoldMessage::Promise { .. }
            | FoldMessage::Accepted { .. }
            | FoldMessage::Refused { .. }),
        ) => {
            let disk = receiver.on_disk();
            message.number() <= disk.counts.folded.number
                || disk.acceptor.promised > Some(message.ballot())
                    && message.number() == disk.counts.folded.number + 1
        }
        Message::Fold(FoldMessage::Prepare { .. } | FoldMessage::Accept { .. }) => false,
    }
}

/// Whether the host's disk has all this, or has let it expire. That this node may be made
/// with another window is left out: it would make more messages inert, and no matter.
fn teaches_nothing(counts: &Counts, host: &Host<Counter>) -> bool {
    let disk = host.on_disk();
    let mut departed = counts.departed.iter();
    let has_fold = counts.folded.number <= disk.counts.folded.number
        && departed.all(|&node| disk.counts.has_departed(node));
    has_fold
        && counts.components().all(|(bucket, replica, count)| {
            let has_expired = bucket.is_some_and(|bucket| bucket.start < disk.horizon);
            let is_folded = bucket.is_none() && disk.counts.folded.covers(replica);
            has_expired || is_folded || count <= disk.counts.count(bucket, replica)
        })
}

/// Whether `member`'s acknowledgement of this can never settle anything that the host owes.
fn settles_nothing(counts: &Counts, host: &Host<Counter>, member: NodeId) -> bool {
    let disk = host.on_disk();
    let peer = host
        .node()
        .and_then(|node| node.volatile.members.get(&member));
    let mut departed = counts.departed.iter();
    let is_outdated = (counts.folded.is_empty()
        || counts.folded.number < disk.counts.folded.number)
        && departed.all(|&node| disk.counts.folded.names.has_departed(node));
    is_outdated
        && counts.components().all(|(bucket, replica, count)| {
            let owed = peer.map_or(0, |peer| peer.pending.count(bucket, replica));
            let has_expired = bucket.is_some_and(|bucket| bucket.start < disk.horizon);
            let is_folded = bucket.is_none() && disk.counts.folded.covers(replica);
            let is_ahead = has_expired || is_folded || count < disk.counts.count(bucket, replica);
            is_ahead && (owed == 0 || count < owed)
        })
}
