//! What must be true of messages under way, and of which reign each is.

use crate::machine::StateMachine;
use crate::world::World;
use crate::zab::Zab;
use crate::zab::election::Election;
use crate::zab::history::History;
use crate::zab::message::Message;
use crate::zab::zxid::{Epoch, Zxid};

use super::{Bounded, primary};

/// Whether all that is under way from leaders that are in office yet is true of their histories:
/// transactions are those that follow, ids are those of transactions that they have.
pub(super) fn are_of_their_senders_history<M: StateMachine, E: Bounded>(
    world: &World<Zab<M, E>>,
) -> bool {
    let in_flight = world.network.in_flight();
    in_flight.iter().all(|envelope| {
        let office = world
            .host(envelope.from)
            .and_then(|host| Some((host, primary(host)?)));
        let Some((host, (epoch, _))) = office else {
            return true;
        };
        epoch_of(&envelope.message) != Some(epoch)
            || is_of(&envelope.message, &host.durable().history)
    })
}

fn is_of<M: StateMachine, E: Bounded>(message: &Message<M, E>, history: &History<M>) -> bool {
    let kept = history.transactions();
    let has = |zxid: Zxid| {
        zxid <= history.begins_after() || kept.iter().any(|transaction| transaction.zxid == zxid)
    };
    match message {
        Message::Diff {
            after,
            transactions,
            ..
        } => {
            let behind = kept.iter().filter(|transaction| transaction.zxid > *after);
            let is_deleted = *after < history.begins_after();
            is_deleted || has(*after) && behind.take(transactions.len()).eq(transactions)
        }
        Message::Propose(transaction) => has(transaction.zxid),
        Message::Snap { snapshot, .. } => has(snapshot.zxid),
        Message::Trunc { to: zxid, .. }
        | Message::NewLeader {
            last_zxid: zxid, ..
        }
        | Message::UpToDate {
            committed: zxid, ..
        }
        | Message::Commit { zxid }
        | Message::Ping {
            last_zxid: zxid, ..
        } => has(*zxid),
        Message::FollowerInfo { .. }
        | Message::NewEpoch { .. }
        | Message::AckEpoch { .. }
        | Message::AckNewLeader { .. }
        | Message::Ack { .. }
        | Message::Request { .. }
        | Message::Pong { .. }
        | Message::Election(_) => true,
    }
}

/// The epoch of the reign that the message is of. A follower introduces itself before it is of any, and
/// so does the election.
pub(super) fn epoch_of<M: StateMachine, E: Election>(message: &Message<M, E>) -> Option<Epoch> {
    match message {
        Message::NewEpoch { epoch }
        | Message::AckEpoch { epoch, .. }
        | Message::Diff { epoch, .. }
        | Message::Trunc { epoch, .. }
        | Message::Snap { epoch, .. }
        | Message::NewLeader { epoch, .. }
        | Message::AckNewLeader { epoch, .. }
        | Message::UpToDate { epoch, .. }
        | Message::Request { epoch, .. }
        | Message::Ping { epoch, .. }
        | Message::Pong { epoch, .. } => Some(*epoch),
        Message::Propose(transaction) => Some(transaction.zxid.epoch),
        Message::Ack { zxid } | Message::Commit { zxid } => Some(zxid.epoch),
        Message::FollowerInfo { .. } | Message::Election(_) => None,
    }
}
