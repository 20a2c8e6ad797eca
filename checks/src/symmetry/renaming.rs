//! New names for what is alike.

use std::sync::Arc;

use models::specification::Specification;
use models::world::{Rename, Scenario};
use models::{Data, NodeId};
use serde_content::{Data as Content, Number, Struct, Value};

use super::content;
use super::exchange::Exchange;
use super::orders::{count, orders};

/// The most ways in which what is alike may change places.
pub const MOST_WAYS: usize = 120;

/// The type of a node's name, as `derive(Serialize)` tells it.
const NODE: &str = "NodeId";

/// New names for nodes and clients that change places.
#[derive(Clone, Debug)]
pub struct Renaming {
    /// The new name of each node.
    nodes: Vec<NodeId>,
    /// How clients change places.
    clients: Arc<Exchange>,
}

impl Renaming {
    /// All ways in which the nodes that are alike, and the clients, may change places, but for
    /// that in which nobody does.
    ///
    /// # Panics
    /// If there are more than [`MOST_WAYS`], or something that is alike is not there, or a client
    /// would then not ask what the one asks whose place it takes.
    pub fn all<P: Specification>(scenario: &Scenario<P>) -> Vec<Self> {
        let (nodes, parties) = (scenario.alike.len(), scenario.alike_clients.clients.len());
        let ways = count(nodes).saturating_mul(count(parties));
        assert!(
            ways <= MOST_WAYS,
            "{nodes} nodes and {parties} parties of clients are alike: they may change places in \
             {ways} ways, and no more than {MOST_WAYS} can be looked at"
        );
        let exchanges = Exchange::all(scenario).into_iter().map(Arc::new);
        let mut all: Vec<Self> = exchanges
            .flat_map(|clients| {
                names(scenario).into_iter().map(move |nodes| Self {
                    nodes,
                    clients: Arc::clone(&clients),
                })
            })
            .collect();
        let renamings = all.split_off(1);
        for renaming in &renamings {
            renaming.check(scenario);
        }
        renamings
    }

    /// Holds the scripts against each other: what is alike asks the same, of the same nodes. Then
    /// the names in all the scripts change places among themselves, each with one.
    fn check<P: Specification>(&self, scenario: &Scenario<P>) {
        for (client, script) in scenario.scripts.iter().enumerate() {
            let (other, renamed) = (self.client(client), self.value(script));
            assert_eq!(
                renamed, scenario.scripts[other],
                "client {client} is said to be like client {other}, and would not ask this"
            );
            for (command, renamed) in script.iter().zip(&renamed) {
                for id in scenario.nodes.iter().map(P::id) {
                    assert_eq!(
                        (scenario.asks_at)(command, id),
                        (scenario.asks_at)(renamed, self.node(id)),
                        "client {client} is said to be like client {other}, and asks elsewhere"
                    );
                }
            }
        }
    }

    /// What becomes of a part of a value.
    fn part(&self, part: &Struct<'_>) -> Option<Content<'static>> {
        match (&*part.name, &part.data) {
            (NODE, Content::NewType { value }) => Some(Content::NewType {
                value: self.name(value),
            }),
            _ => self.clients.part(part),
        }
    }

    /// The new name of a node, as content.
    fn name(&self, node: &Value<'_>) -> Value<'static> {
        match node {
            Value::Number(Number::U16(node)) => {
                Value::Number(Number::U16(self.node(NodeId(*node)).0))
            }
            other => unreachable!("a node's name is a number, not {other:?}"),
        }
    }
}

impl Rename for Renaming {
    fn node(&self, node: NodeId) -> NodeId {
        // A message may name a node that there is not.
        let name = self.nodes.get(usize::from(node.0));
        name.copied().unwrap_or(node)
    }

    fn client(&self, client: usize) -> usize {
        self.clients.client(client)
    }

    fn value<T: Data>(&self, value: &T) -> T {
        content::replaced(value, &mut |part| self.part(part))
    }
}

/// The new names of all nodes, in each of the ways in which those that are alike may change
/// places; the first is that in which none does.
fn names<P: Specification>(scenario: &Scenario<P>) -> Vec<Vec<NodeId>> {
    let alike = &scenario.alike;
    let orders = orders(alike.len()).into_iter();
    let names = orders.map(|order| {
        let mut names: Vec<NodeId> = (0..).map(NodeId).take(scenario.nodes.len()).collect();
        for (node, place) in alike.iter().zip(order) {
            names[usize::from(node.0)] = alike[place];
        }
        names
    });
    names.collect()
}
