//! A world in which nodes have changed their names.

use alloc::sync::Arc;

use super::network::Envelope;
use super::{Client, Host, World};
use crate::protocol::{Data, NodeId};
use crate::specification::Specification;

/// New names for nodes.
pub trait Rename {
    /// The node's new name.
    fn node(&self, node: NodeId) -> NodeId;

    /// The value, with every node in it under its new name.
    fn value<T: Data>(&self, value: &T) -> T;
}

impl<P: Specification> World<P> {
    /// The world in which each node is at the place, and goes by the name, that `names` gives it.
    pub fn renamed(&self, names: &impl Rename) -> Self {
        let mut hosts = self.hosts.clone();
        for (id, host) in self.all_hosts() {
            hosts[usize::from(names.node(id).0)] = Arc::new(host.renamed(names));
        }
        let clients = self.clients.iter();
        Self {
            hosts,
            network: self.network.renamed(names),
            faults: self.faults,
            clients: clients.map(|client| client.renamed(names)).collect(),
            pace: self.pace.renamed(names),
            history: names.value(&self.history),
            ghost: names.value(&self.ghost),
        }
    }
}

impl Client {
    /// The same client, of nodes under their new names.
    pub fn renamed(&self, names: &impl Rename) -> Self {
        let waits_at = self.waits_at.iter();
        Self {
            waits_at: waits_at
                .map(|(&node, &times)| (names.node(node), times))
                .collect(),
            ..self.clone()
        }
    }
}

impl<T: Data> Envelope<T> {
    /// The same message, between nodes under their new names.
    pub fn renamed(&self, names: &impl Rename) -> Self {
        Self {
            from: names.node(self.from),
            to: names.node(self.to),
            message: names.value(&self.message),
        }
    }
}

impl<P: Specification> Host<P> {
    /// The same host, with every node in it under its new name.
    pub fn renamed(&self, names: &impl Rename) -> Self {
        match self {
            Self::Up {
                node,
                armed,
                on_disk,
            } => Self::Up {
                node: names.value(node),
                armed: names.value(armed),
                on_disk: names.value(on_disk),
            },
            Self::Down { durable } => Self::Down {
                durable: names.value(durable),
            },
        }
    }
}
