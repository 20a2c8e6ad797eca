//! Keeps what a node's process knows of the members in step with what its log says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use models::raft::configuration::Configuration;
use models::raft::message::Message;
use models::raft::state::Persistent;
use tokio::runtime::Handle;

use super::Kv;
use super::bootstrap;
use super::config::Config;
use super::forward::Forwarder;
use super::machine::Command;
use super::members::Addresses;
use crate::sync::Mutex;
use crate::transport::tcp::{Known, Peers};

/// A node that has left is told so by its last messages: it stays a peer for so long.
const FAREWELL: Duration = Duration::from_secs(10);

/// What is to be told when the members change.
#[derive(Clone)]
pub(super) struct Membership {
    id: NodeId,
    peers: Peers<Message<Command>>,
    forwarder: Arc<Forwarder>,
    /// The file's addresses, which count here where it has any.
    addresses: Arc<BTreeMap<NodeId, Addresses>>,
    initial: Arc<Mutex<Configuration>>,
    current: Arc<Mutex<Configuration>>,
    runtime: Handle,
}

impl Membership {
    /// For the node `id` of `config`. Must be called within a tokio runtime.
    pub(super) fn new(
        config: &Config,
        id: NodeId,
        peers: Peers<Message<Command>>,
        forwarder: Arc<Forwarder>,
    ) -> Self {
        let addresses = { config.nodes.iter() }.map(|node| (node.id, Addresses::of(node)));
        Self {
            id,
            peers,
            forwarder,
            addresses: Arc::new(addresses.collect()),
            initial: Arc::default(),
            current: Arc::default(),
            runtime: Handle::current(),
        }
    }

    /// Takes what the disk remembers, before anything is sent.
    pub(super) fn recover(&self, durable: &Persistent<Kv>) {
        let initial = durable.initial.clone().unwrap_or_default();
        *self.initial.lock() = initial.clone();
        let latest = durable.configuration_at(durable.log.last_index());
        self.change(latest.map_or(initial, |in_force| in_force.configuration));
    }

    /// Another configuration is in force.
    pub(super) fn change(&self, configuration: Configuration) {
        let members = configuration.members();
        let initial = self.initial.lock().clone();
        for (&node, contact) in &configuration.contacts {
            let known = Addresses::in_contact(contact);
            let addresses = self.addresses.get(&node).cloned().or(known);
            // A node that has just joined knows nobody's part yet, and hears from a leader.
            let takes_part = members.is_empty() || members.contains(&node);
            let (Some(addresses), true) = (addresses, takes_part) else {
                continue;
            };
            self.forwarder.set(node, addresses.client);
            if node != self.id {
                let invitation = bootstrap::invitation(&initial, &configuration, node);
                let disk = Some(contact.disk);
                self.peers.set_known(node, Known { disk, invitation });
                self.peers.set(node, addresses.peer);
            }
        }
        let before = std::mem::replace(&mut *self.current.lock(), configuration);
        if before.members() != members {
            self.runtime.spawn(self.clone().forget_former());
        }
    }

    /// Forgets the nodes that have left, once they have been told.
    async fn forget_former(self) {
        tokio::time::sleep(FAREWELL).await;
        let current = self.current.lock().clone();
        let members = current.members();
        for node in current.contacts.keys() {
            if !members.contains(node) && *node != self.id {
                self.peers.remove(*node);
            }
        }
    }

    /// Refuses a follower that denies what it has acknowledged.
    pub(super) fn refuse(&self, node: NodeId, reason: String) {
        self.peers.refuse(node, reason);
    }

    /// The configuration in force, as far as this node knows.
    pub(super) fn configuration(&self) -> Configuration {
        self.current.lock().clone()
    }

    /// The peers that are refused, and why.
    pub(super) fn refused(&self) -> BTreeMap<NodeId, String> {
        self.peers.refused()
    }
}

/// What in the file contradicts what the disk says of the members, if anything does.
///
/// A node that knows no configuration yet, because it has just been invited, cannot tell.
pub(super) fn contradiction(config: &Config, durable: &Persistent<Kv>) -> Option<String> {
    let latest = durable.configuration_at(durable.log.last_index());
    let latest = latest.map(|in_force| in_force.configuration);
    let members = latest.or_else(|| durable.initial.clone())?.members();
    if members.is_empty() {
        return None;
    }
    let listed = |id: NodeId| config.nodes.iter().any(|node| node.id == id);
    let has = ids(members.iter().copied());
    if let Some(missing) = members.iter().find(|&&id| !listed(id)) {
        let id = missing.0;
        return Some(format!(
            "the file does not list node {id}, which is a member: the members are {has}, by what \
             this node's disk remembers, and the file changes nothing of that any more. List every \
             member; to remove node {id}, use `lockstep members remove {id}`; if that has been done \
             while this node was away, list it with `member = false`"
        ));
    }
    let mut wanted = config.nodes.iter().filter(|node| node.member);
    let stranger = wanted.find(|node| !members.contains(&node.id))?.id.0;
    Some(format!(
        "the file lists node {stranger} as a member, and it is none: the members are {has}, by what \
         this node's disk remembers, and the file changes nothing of that any more. Write `member = \
         false` for node {stranger}, also if it has been added while this node was away; to add it, \
         use `lockstep members add {stranger}` then"
    ))
}

fn ids(nodes: impl Iterator<Item = NodeId>) -> String {
    let ids: Vec<String> = nodes.map(|node| node.0.to_string()).collect();
    ids.join(", ")
}
