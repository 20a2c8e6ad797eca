//! The network between the nodes.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::protocol::{Data, NodeId};

/// A message under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// What was sent.
    pub message: T,
}

/// In which order messages arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In any order. Messages under way are a set: one that equals another under way is the
    /// same message.
    Bag,
    /// From one node to another in the order sent; in any order between channels.
    Fifo,
}

/// The messages under way, and the links that are cut.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network<T> {
    flight: Flight<T>,
    cut: BTreeSet<(NodeId, NodeId)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Flight<T> {
    /// Shared, for worlds are cloned at every step and most messages outlive many.
    Bag(BTreeSet<Arc<Envelope<T>>>),
    Fifo(BTreeMap<(NodeId, NodeId), VecDeque<T>>),
}

impl<T: Data> Network<T> {
    pub(super) fn new(delivery: Delivery) -> Self {
        let flight = match delivery {
            Delivery::Bag => Flight::Bag(BTreeSet::new()),
            Delivery::Fifo => Flight::Fifo(BTreeMap::new()),
        };
        Self {
            flight,
            cut: BTreeSet::new(),
        }
    }

    /// Every message under way.
    pub fn in_flight(&self) -> Vec<Envelope<T>> {
        match &self.flight {
            Flight::Bag(bag) => bag.iter().map(|envelope| (**envelope).clone()).collect(),
            Flight::Fifo(channels) => channels
                .iter()
                .flat_map(|(&(from, to), queue)| {
                    queue
                        .iter()
                        .cloned()
                        .map(move |message| Envelope { from, to, message })
                })
                .collect(),
        }
    }

    /// The messages that may arrive next, were their links whole.
    pub(super) fn heads(&self) -> Vec<Envelope<T>> {
        match &self.flight {
            Flight::Bag(bag) => bag.iter().map(|envelope| (**envelope).clone()).collect(),
            Flight::Fifo(channels) => channels
                .iter()
                .filter_map(|(&(from, to), queue)| {
                    let message = queue.front()?.clone();
                    Some(Envelope { from, to, message })
                })
                .collect(),
        }
    }

    /// Whether `envelope` may be the next to arrive, were its link whole.
    pub(super) fn is_head(&self, envelope: &Envelope<T>) -> bool {
        match &self.flight {
            Flight::Bag(bag) => bag.contains(envelope),
            Flight::Fifo(channels) => channels
                .get(&(envelope.from, envelope.to))
                .and_then(VecDeque::front)
                .is_some_and(|message| *message == envelope.message),
        }
    }

    /// Whether messages from `from` reach `to`.
    pub fn connects(&self, from: NodeId, to: NodeId) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// Whether any link is cut.
    pub fn is_partitioned(&self) -> bool {
        !self.cut.is_empty()
    }

    /// Takes a message over: onto its way, or, where the link is cut, nowhere. A channel in
    /// order is a connection, and there is none to a node that is down.
    pub(super) fn send(&mut self, envelope: Envelope<T>, receiver_is_up: bool) {
        let refused = matches!(self.flight, Flight::Fifo(_)) && !receiver_is_up;
        if refused || !self.connects(envelope.from, envelope.to) {
            return;
        }
        match &mut self.flight {
            Flight::Bag(bag) => {
                bag.insert(Arc::new(envelope));
            }
            Flight::Fifo(channels) => channels
                .entry((envelope.from, envelope.to))
                .or_default()
                .push_back(envelope.message),
        }
    }

    /// Takes a head off the network.
    pub(super) fn remove(&mut self, envelope: &Envelope<T>) {
        match &mut self.flight {
            Flight::Bag(bag) => {
                bag.remove(envelope);
            }
            Flight::Fifo(channels) => {
                let link = (envelope.from, envelope.to);
                if let Some(queue) = channels.get_mut(&link) {
                    queue.pop_front();
                    if queue.is_empty() {
                        channels.remove(&link);
                    }
                }
            }
        }
    }

    /// Drops the messages that `doomed` names, wherever they are, and returns them.
    pub(super) fn discard(&mut self, doomed: impl Fn(&Envelope<T>) -> bool) -> Vec<Envelope<T>> {
        let dropped: Vec<Envelope<T>> = match &self.flight {
            Flight::Bag(bag) => {
                let dropped = bag.iter().filter(|envelope| doomed(envelope));
                dropped.map(|envelope| (**envelope).clone()).collect()
            }
            Flight::Fifo(_) => self.in_flight().into_iter().filter(&doomed).collect(),
        };
        if dropped.is_empty() {
            return dropped;
        }
        match &mut self.flight {
            Flight::Bag(bag) => bag.retain(|envelope| !dropped.contains(envelope)),
            Flight::Fifo(channels) => channels.retain(|&(from, to), queue| {
                queue.retain(|message| {
                    let message = message.clone();
                    !dropped.contains(&Envelope { from, to, message })
                });
                !queue.is_empty()
            }),
        }
        dropped
    }

    /// Breaks a crashed node's connections: a channel in order is a connection, and what is
    /// under way to or from the node is lost with it. Datagrams outlive their sender.
    pub(super) fn disconnect(&mut self, node: NodeId) {
        if let Flight::Fifo(channels) = &mut self.flight {
            channels.retain(|&(from, to), _| from != node && to != node);
        }
    }

    pub(super) fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cut.insert((from, to));
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
    }
}
