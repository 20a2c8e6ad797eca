//! What must be true of the store and of those who watch it, and the worlds and mutants it is checked
//! with.
//!
//! Verified here: whatever clients ask, in whichever order, the store is what its commands come to by a
//! definition that shares nothing with it; each revision that is not compacted can be read as it was; what
//! is changed is told whole and in order; a lease's keys go together, and a transaction is done whole or not
//! at all; and a watcher sees each change once, in order, or is told what it missed, whatever is lost, late,
//! repeated or crashes, and comes to see all there is. Not verified here: that replicas agree on the order of commands, which is a matter
//! of the log's protocol, and when a lease runs out, which is a matter of its host's clock.

mod catalogue;
mod drawn;
mod features;
mod invariants;
mod labels;
mod laws;
mod live;
mod liveness;
mod mutants;
mod reachable;
mod reference;
mod scenarios;
mod transacting;

use alloc::collections::BTreeSet;
use alloc::string::String;

use serde::{Deserialize, Serialize};

pub use self::catalogue::{DRAWN, FUZZED, MODELS};
pub use self::live::MODELS as LIVE;
pub use self::mutants::MUTANTS;

use self::reference::Reference;
use super::standalone::{Answered, Asked, Message, Request, Standalone, Timer};
use crate::protocol::{Effect, Node, NodeId};
use crate::specification::{
    Answer, Apart, Feature, Invariant, Law, Liveness, Reachable, Specification,
};
use crate::world::{Envelope, Host, World};

/// What the properties remember.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ghost {
    /// The requests that were answered with something else than what their commands come to.
    pub(crate) misanswered: BTreeSet<u8>,
}

impl Specification for Standalone {
    type Ghost = Ghost;
    /// Clients' scripts are finite, and a watcher that asks again says nothing new.
    type Bounds = ();

    const INVARIANTS: &'static [Invariant<Self>] = invariants::INVARIANTS;
    const LAWS: &'static [Law<Self>] = laws::LAWS;
    const REACHABLE: &'static [Reachable<Self>] = reachable::REACHABLE;
    const LIVENESS: &'static [Liveness<Self>] = liveness::LIVENESS;
    const FEATURES: &'static [Feature<Self>] = features::FEATURES;
    const APART: &'static [Apart] = &[];

    fn observe(ghost: &mut Ghost, _: NodeId, node: &Node<Self>, effects: &[Effect<Self>]) {
        for effect in effects {
            let Effect::Emit(Answered { request, response }) = effect else {
                continue;
            };
            let log = &node.durable().log;
            let expected = match &request.asked {
                Asked::Tell(query) => Reference::of(log).query(query),
                Asked::Do(command) => {
                    let before = log.split_last().map_or(&[][..], |(_, before)| before);
                    Reference::of(before).apply(command)
                }
            };
            if *response != expected {
                ghost.misanswered.insert(request.number);
            }
        }
    }

    fn permits((): &(), _: NodeId, _: &Node<Self>, _: &Timer) -> bool {
        true
    }

    /// A page that a watcher does not wait for any more: it never goes back.
    fn is_inert(envelope: &Envelope<Message>, _: &Host<Self>, receiver: &Host<Self>) -> bool {
        let from = match &envelope.message {
            Message::Page(page) => page.from,
            Message::Compacted { from, .. } => *from,
            Message::Changes(_) => return false,
        };
        let next = receiver.on_disk().seen_up_to;
        next.is_some_and(|next| from < next)
    }

    fn answer(command: &Request, event: &Answered) -> Option<Answer> {
        (command.number == event.request.number).then_some(Answer::Done)
    }

    fn message_label(message: &Message) -> String {
        labels::message(message)
    }

    fn node_label(node: &Node<Self>) -> String {
        labels::node(node)
    }

    fn command_label(command: &Request) -> String {
        labels::request(command)
    }
}

/// The store's node.
fn store(world: &World<Standalone>) -> Option<&Host<Standalone>> {
    world.host(NodeId(0))
}
