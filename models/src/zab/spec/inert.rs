//! Which of ZAB's messages are inert, and why.
//!
//! Every message of a reign bears its epoch, and no handler heeds one whose epoch is not the
//! receiver's accepted epoch, but for NEWEPOCH, which must not be below it. The accepted
//! epoch on a disk never decreases, and what the node believes is never below what is on its
//! disk. So a message whose epoch is below the receiver's accepted epoch *on disk* is ignored
//! now and for ever, crash or not. It is not answered either, so its sender learns nothing
//! by it.
//!
//! A node that takes no part, because its disk is lost or because it has halted, heeds nothing, for
//! ever.
//!
//! FOLLOWERINFO belongs to no reign, and the election's messages are the election's: they
//! are called inert for no other reason.

use crate::machine::StateMachine;
use crate::world::{Envelope, Host};
use crate::zab::Zab;
use crate::zab::election::Election;
use crate::zab::message::Message;

use super::messages::epoch_of;
use super::takes_part;

pub(super) fn is_inert<M: StateMachine, E: Election>(
    envelope: &Envelope<Message<M, E>>,
    receiver: &Host<Zab<M, E>>,
) -> bool {
    let epoch = epoch_of(&envelope.message);
    let disk = receiver.on_disk();
    !takes_part(disk) || epoch.is_some_and(|epoch| epoch < disk.accepted_epoch)
}
