//! Who the peers are, changed while the node runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use derive_where::derive_where;
use models::NodeId;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::admission::Known;
use super::handshake::Caller;
use super::resolver::Resolver;
use super::{Peer, Shared, outgoing};

/// The peers of a node. Cheap to clone; of no use once the connections are shut down.
#[derive_where(Clone)]
pub struct Peers<M> {
    shared: Arc<Shared<M>>,
    stop: watch::Sender<bool>,
    runtime: Handle,
}

impl<M> Peers<M> {
    /// Says what is known of a peer. To be said before it is set: without a word any disk will
    /// do.
    pub fn set_known(&self, id: NodeId, known: Known) {
        self.shared.admission.set(id, known);
    }

    /// Refuses a peer from now on, for `reason`, and closes its connection to this node.
    pub fn refuse(&self, id: NodeId, reason: String) {
        if self.shared.admission.refuse(id, reason.clone()) {
            tracing::error!(peer = %id, reason, "a peer is refused from now on");
            self.shared.readers.cancel(id);
        }
    }

    /// The peers that are refused, and why.
    pub fn refused(&self) -> BTreeMap<NodeId, String> {
        self.shared.admission.refusals()
    }

    /// The peers whose connections are read now.
    pub fn heard(&self) -> Vec<NodeId> {
        self.shared.readers.reading()
    }

    /// Forgets a peer and closes its connections.
    pub fn remove(&self, id: NodeId) {
        let removed = self.shared.peers.lock().remove(&id);
        if let Some(peer) = removed {
            peer.writer.abort();
        }
        self.shared.readers.cancel(id);
    }
}

impl<M: Serialize + Send + 'static> Peers<M> {
    pub(super) fn new(shared: Arc<Shared<M>>, stop: watch::Sender<bool>) -> Self {
        Self {
            shared,
            stop,
            runtime: Handle::current(),
        }
    }

    /// Makes a caller a peer that is none yet: it was added while this node was away, and this
    /// node's log will say so. Or it has left, and has not heard so: until somebody has set it, it
    /// is a peer for as long as it calls.
    pub(super) fn introduce(&self, caller: Caller) -> Option<Guest<M>> {
        let (id, address) = (caller.node, caller.address?);
        let mut guests = self.shared.guests.lock();
        match guests.get_mut(&id) {
            Some(calls) => *calls += 1,
            None if self.shared.peers.lock().contains_key(&id) => return None,
            None => {
                guests.insert(id, 1);
                tracing::info!(peer = %id, address, "a member calls that is not known here yet");
                let disk = Some(caller.disk);
                let invitation = None;
                self.set_known(id, Known { disk, invitation });
                self.connect(id, address);
            }
        }
        Some(Guest {
            id,
            peers: self.clone(),
        })
    }

    /// Adds a peer, or gives it another address.
    pub fn set(&self, id: NodeId, address: impl Into<String>) {
        self.shared.guests.lock().remove(&id);
        self.connect(id, address.into());
    }

    fn connect(&self, id: NodeId, address: String) {
        let mut peers = self.shared.peers.lock();
        if peers.get(&id).is_some_and(|peer| peer.address == address) {
            return;
        }
        let (queue, messages) = mpsc::channel(self.shared.config.queue_messages.max(1));
        let writer = outgoing::Writer {
            peer: id,
            resolver: Resolver::new(id, address.clone()),
            messages,
            shared: self.shared.clone(),
            stop: self.stop.subscribe(),
        };
        let peer = Peer {
            address,
            queue,
            writer: self.runtime.spawn(writer.run()),
        };
        let replaced = peers.insert(id, peer);
        drop(peers);
        if let Some(replaced) = replaced {
            replaced.writer.abort();
        }
    }
}

/// A peer that has introduced itself. Forgotten when its last connection has ended, unless it has
/// been set meanwhile.
pub(super) struct Guest<M> {
    id: NodeId,
    peers: Peers<M>,
}

impl<M> Drop for Guest<M> {
    fn drop(&mut self) {
        let mut guests = self.peers.shared.guests.lock();
        let Some(calls) = guests.get_mut(&self.id) else {
            return;
        };
        *calls -= 1;
        if *calls == 0 {
            guests.remove(&self.id);
            self.peers.remove(self.id);
        }
    }
}
