//! What no leader can say to a node that has kept its promises, and what a node does that hears it.
//!
//! "Once a transaction is delivered, it is in the history of every later leader" is what the proof
//! comes to (DSN 2011, §V). A leader that wants a delivered transaction truncated is of another
//! ensemble, or somebody has lost what it had promised to keep. Whoever is wrong, to truncate would
//! hide it: the node remembers why, and takes part no more, not even after a restart. (ZooKeeper's
//! server ends where it cannot truncate.)

use serde::{Deserialize, Serialize};

use super::election::Election;
use super::state::Record;
use super::zxid::Zxid;
use super::{Event, Zab};
use crate::machine::StateMachine;
use crate::protocol::{Node, Outbox};

/// Two claims of which one must be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Contradiction {
    /// What this node has delivered last.
    pub delivered: Zxid,
    /// The last transaction that its leader would let it keep.
    pub to: Zxid,
}

impl<M: StateMachine, E: Election> Zab<M, E> {
    /// Ends this node's part in the ensemble, for good.
    pub(super) fn halt(
        &self,
        node: &mut Node<Self>,
        contradiction: Contradiction,
        out: &mut Outbox<Self>,
    ) {
        node.write(Record::Halt(contradiction));
        self.leave(node, out);
        out.emit(Event::Halted { contradiction });
    }
}
