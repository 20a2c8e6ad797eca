//! Who agrees on a fold: every node that is not gone for good.

use alloc::collections::BTreeSet;

use crate::counter::anti_entropy::settle;
use crate::counter::counts::Counts;
use crate::counter::state::{Persistent, Record};
use crate::counter::{Counter, Event};
use crate::protocol::{Node, NodeId, Outbox};

impl Counter {
    /// The nodes that have to agree: those on the list without those that are gone for good,
    /// whether they can be reached or not. Whoever has told anybody of a dead name, and may tell so
    /// again, is among them: so any two ballots have an acceptor in common.
    pub(super) fn electors(&self, durable: &Persistent) -> BTreeSet<NodeId> {
        let listed = self.fold.iter().flatten().copied();
        { listed.chain([self.id]) }
            .filter(|&node| !durable.counts.has_departed(node))
            .collect()
    }

    /// Whether what this node says is not heard where folds are agreed on: it has no voice in them,
    /// and what it knows of a dead name would be missing there.
    pub(in crate::counter) fn is_stranger(&self, durable: &Persistent, node: NodeId) -> bool {
        let listed = self.fold.as_ref();
        listed.is_some_and(|nodes| !nodes.contains(&node) || durable.counts.has_departed(node))
    }

    /// A node is gone for good, and all its names are dead. Its number is never used again. All
    /// members are told.
    pub(in crate::counter) fn on_peer_departed(
        &self,
        node: &mut Node<Self>,
        peer: NodeId,
        out: &mut Outbox<Self>,
    ) {
        if self.fold.is_some() && peer != self.id && !node.durable().counts.has_departed(peer) {
            let counts = Counts {
                departed: [peer].into(),
                ..Counts::default()
            };
            node.write(Record::Learned {
                counts: counts.clone(),
            });
            self.owe_everybody(node, &counts, out);
        }
        self.on_peer_gone(node, peer, out);
    }

    /// Tells nothing more to members that are gone for good.
    pub(in crate::counter) fn let_go(node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let (members, counts) = (&node.volatile.members, &node.durable().counts);
        let departed = members
            .keys()
            .filter(|member| counts.has_departed(**member));
        let departed: BTreeSet<NodeId> = departed.copied().collect();
        if departed.is_empty() {
            return;
        }
        let was_settled = node.volatile.is_settled();
        for member in departed {
            node.volatile.members.remove(&member);
            out.emit(Event::PeerRemoved(member));
        }
        if !was_settled {
            settle(node, out);
        }
    }
}
