//! A network within a process: for tests and benchmarks of running nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastrand::Rng;
use models::NodeId;

use super::{Deliver, Transport};
use crate::runtime::sync::Mutex;

type Receiver<M> = Arc<dyn Fn(NodeId, M) + Send + Sync>;

/// Joins running nodes of one process. Loses what it is told to lose: which messages that
/// are, is drawn from a seed, but depends on the order in which threads send.
pub struct LocalNetwork<M>(Arc<Mutex<State<M>>>);

struct State<M> {
    nodes: BTreeMap<NodeId, Receiver<M>>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    loss: f64,
    rng: Rng,
}

impl<M> Clone for LocalNetwork<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Send + 'static> LocalNetwork<M> {
    /// A network that loses nothing yet.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            nodes: BTreeMap::new(),
            cuts: BTreeSet::new(),
            loss: 0.0,
            rng: Rng::with_seed(seed),
        })))
    }

    /// Joins a node, or replaces it after a restart, and returns its way out.
    pub fn join(&self, id: NodeId, deliver: impl Deliver<M>) -> LocalTransport<M> {
        let receive = Arc::new(move |from, message| deliver.deliver(from, message));
        self.0.lock().nodes.insert(id, receive);
        LocalTransport {
            id,
            network: self.clone(),
        }
    }

    /// Loses each message with this probability.
    pub fn set_loss(&self, probability: f64) {
        self.0.lock().loss = probability;
    }

    /// Loses everything from `from` to `to`, in this direction.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.0.lock().cuts.insert((from, to));
    }

    /// Mends every cut.
    pub fn heal(&self) {
        self.0.lock().cuts.clear();
    }
}

/// One node's way out into a [`LocalNetwork`].
pub struct LocalTransport<M> {
    id: NodeId,
    network: LocalNetwork<M>,
}

impl<M: Send + 'static> Transport<M> for LocalTransport<M> {
    fn send(&mut self, to: NodeId, message: M) {
        let receiver = self.network.0.lock().route(self.id, to);
        if let Some(receive) = receiver {
            receive(self.id, message);
        }
    }
}

impl<M> State<M> {
    fn route(&mut self, from: NodeId, to: NodeId) -> Option<Receiver<M>> {
        let lost = self.cuts.contains(&(from, to)) || self.rng.f64() < self.loss;
        if lost {
            None
        } else {
            self.nodes.get(&to).cloned()
        }
    }
}
