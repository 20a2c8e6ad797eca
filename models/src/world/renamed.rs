//! A world in which nodes, or clients, have changed their names.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::action::Action;
use super::network::Envelope;
use super::{Client, Host, World};
use crate::protocol::{Data, NodeId, Protocol};
use crate::specification::Specification;

/// New names for nodes, and new places for clients.
pub trait Rename {
    /// The node's new name.
    fn node(&self, node: NodeId) -> NodeId;

    /// The client's new position among the scripts.
    fn client(&self, client: usize) -> usize;

    /// The value, with every node in it under its new name, and what clients go by and write.
    fn value<T: Data>(&self, value: &T) -> T;
}

impl<P: Specification> World<P> {
    /// The world in which each node and each client is at the place, and goes by the name, that
    /// `names` gives it.
    pub fn renamed(&self, names: &impl Rename) -> Self {
        let mut hosts = self.hosts.clone();
        for (id, host) in self.all_hosts() {
            hosts[usize::from(names.node(id).0)] = Arc::new(host.renamed(names));
        }
        Self {
            hosts,
            network: self.network.renamed(names),
            faults: self.faults,
            clients: renamed_clients(&self.clients, names),
            pace: self.pace.renamed(names),
            history: self.history.renamed(names),
            ghost: names.value(&self.ghost),
            last_step: None,
        }
    }
}

/// The clients at their new places, of nodes under their new names.
pub fn renamed_clients(clients: &[Client], names: &impl Rename) -> Vec<Client> {
    let mut renamed = clients.to_vec();
    for (position, client) in clients.iter().enumerate() {
        renamed[names.client(position)] = client.renamed(names);
    }
    renamed
}

impl<P: Protocol> Action<P> {
    /// The same action, of nodes and clients under their new names.
    pub fn renamed(&self, names: &impl Rename) -> Self {
        match self {
            Self::Ask { client, node } => Self::Ask {
                client: names.client(*client),
                node: names.node(*node),
            },
            Self::AskUnheard { client, node } => Self::AskUnheard {
                client: names.client(*client),
                node: names.node(*node),
            },
            without_client => names.value(without_client),
        }
    }
}

impl Client {
    /// The same client, of nodes under their new names.
    fn renamed(&self, names: &impl Rename) -> Self {
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
                held,
            } => Self::Up {
                node: names.value(node),
                armed: names.value(armed),
                on_disk: names.value(on_disk),
                held: names.value(held),
            },
            Self::Down { durable } => Self::Down {
                durable: names.value(durable),
            },
        }
    }
}
