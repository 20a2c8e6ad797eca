//! Nodes that are alike: worlds in which they have changed places.
//!
//! A model may declare that some of its nodes differ in nothing but their names. Worlds that are
//! the same but for the names of such nodes make an orbit, and it is enough to look at one of
//! each (Clarke, Emerson, Jha, Sistla 1996; Ip and Dill 1996), if what may happen, where it
//! leads, and what the properties say, is the same in all of them. Whether it is, is not taken
//! from the declaration: a world in which it is not is [lopsided](is_lopsided), and a violation.

use models::specification::Specification;
use models::world::{Action, Rename, Scenario, World};
use models::{Data, NodeId};
use serde_content::{Data as Content, Deserializer, Number, Serializer, Struct, Value};

use crate::examine::{self, Outcome};

/// The name under which a world is reported where nodes that are said to be alike are not.
pub const ALIKE: &str = "Nodes that are alike may change places";

/// The most nodes that may be alike: of more there are too many orders.
pub const MOST_ALIKE: usize = 5;

/// New names for nodes that change places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renaming {
    /// The new name of each node.
    names: Vec<NodeId>,
}

impl Renaming {
    /// All ways in which the nodes that are alike may change places, but for that in which none
    /// does.
    ///
    /// # Panics
    /// If more than [`MOST_ALIKE`] nodes are alike, or one of them is not there.
    pub fn all<P: Specification>(scenario: &Scenario<P>) -> Vec<Self> {
        let (alike, nodes) = (&scenario.alike, scenario.nodes.len());
        assert!(
            alike.len() <= MOST_ALIKE,
            "{} nodes are alike: no more than {MOST_ALIKE} may be",
            alike.len()
        );
        let stay: Vec<NodeId> = (0..).map(NodeId).take(nodes).collect();
        let mut all = vec![Self { names: stay }];
        // Each node in turn changes places with itself or one of those before it.
        for (position, &node) in alike.iter().enumerate() {
            let before = &alike[..position];
            let swapped = all.iter().flat_map(|renaming| {
                before.iter().map(|&other| {
                    let mut names = renaming.names.clone();
                    names.swap(usize::from(node.0), usize::from(other.0));
                    Self { names }
                })
            });
            let swapped: Vec<Self> = swapped.collect();
            all.extend(swapped);
        }
        all.split_off(1)
    }

    /// The action, between nodes under their new names.
    pub fn action<P: Specification>(&self, action: &Action<P>) -> Action<P> {
        self.value(action)
    }

    fn rename(&self, value: Value<'_>) -> Value<'static> {
        match value {
            Value::Seq(values) => Value::Seq(self.rename_all(values)),
            Value::Tuple(values) => Value::Tuple(self.rename_all(values)),
            Value::Map(rows) => {
                let rows = rows.into_iter();
                let rows = rows.map(|(key, value)| (self.rename(key), self.rename(value)));
                Value::Map(rows.collect())
            }
            Value::Option(value) => Value::Option(value.map(|value| Box::new(self.rename(*value)))),
            Value::Struct(content) => Value::Struct(Box::new(Struct {
                data: match (&*content.name, content.data) {
                    (NODE, Content::NewType { value }) => Content::NewType {
                        value: self.name(value),
                    },
                    (_, data) => self.rename_content(data),
                },
                name: content.name,
            })),
            Value::Enum(mut content) => {
                let data = std::mem::replace(&mut content.data, Content::Unit);
                let data = self.rename_content(data);
                let mut content = content.into_owned();
                content.data = data;
                Value::Enum(Box::new(content))
            }
            plain => plain.into_owned(),
        }
    }

    fn rename_all(&self, values: Vec<Value<'_>>) -> Vec<Value<'static>> {
        values.into_iter().map(|value| self.rename(value)).collect()
    }

    fn rename_content(&self, content: Content<'_>) -> Content<'static> {
        match content {
            Content::Unit => Content::Unit,
            Content::NewType { value } => Content::NewType {
                value: self.rename(value),
            },
            Content::Tuple { values } => Content::Tuple {
                values: self.rename_all(values),
            },
            Content::Struct { fields } => {
                let fields = fields.into_iter();
                let fields = fields.map(|(name, value)| (name, self.rename(value)));
                Content::Struct {
                    fields: fields.collect(),
                }
            }
        }
    }

    /// The new name of a node, as content.
    fn name(&self, node: Value<'_>) -> Value<'static> {
        match node {
            Value::Number(Number::U16(node)) => {
                Value::Number(Number::U16(self.node(NodeId(node)).0))
            }
            other => unreachable!("a node's name is a number, not {other:?}"),
        }
    }
}

/// The type of a node's name, as `derive(Serialize)` tells it.
const NODE: &str = "NodeId";

impl Rename for Renaming {
    fn node(&self, node: NodeId) -> NodeId {
        // A message may name a node that there is not.
        let name = self.names.get(usize::from(node.0));
        name.copied().unwrap_or(node)
    }

    fn value<T: Data>(&self, value: &T) -> T {
        let content = Serializer::new().serialize(value);
        let content = self.rename(content.expect("every value can be taken apart"));
        let renamed = Deserializer::new(content).deserialize();
        renamed.expect("what was taken apart can be put together")
    }
}

/// Whether something that may happen in a world, where it leads, or what a property says, is
/// different when nodes that are alike have changed places.
pub fn is_lopsided<P: Specification>(scenario: &Scenario<P>, world: &World<P>) -> bool {
    let mut renamings = Renaming::all(scenario).into_iter();
    renamings.any(|renaming| differs(scenario, world, &renaming))
}

fn differs<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
    renaming: &Renaming,
) -> bool {
    let mirror = world.renamed(renaming);
    let broken = |world| examine::broken_invariant(scenario, world);
    if broken(world) != broken(&mirror) {
        return true;
    }
    let actions = examine::actions(scenario, world);
    let possible = examine::actions(scenario, &mirror);
    let leads_elsewhere = |action: &Action<P>| {
        let mirrored = renaming.action(action);
        let (here, there) = (
            examine::take(scenario, world, action),
            examine::take(scenario, &mirror, &mirrored),
        );
        !possible.contains(&mirrored)
            || match (here, there) {
                (Outcome::Next(here, broken), Outcome::Next(there, also_broken)) => {
                    here.renamed(renaming) != there || broken != also_broken
                }
                (Outcome::Panicked(_), Outcome::Panicked(_)) => false,
                _ => true,
            }
    };
    actions.len() != possible.len() || actions.iter().any(leads_elsewhere)
}
