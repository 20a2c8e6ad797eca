//! Which names nobody counts under any more.

use alloc::collections::BTreeMap;
use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::counter::g_counter::{Incarnation, ReplicaId};
use crate::protocol::NodeId;

/// Names that are dead: of each node all up to an incarnation. A version vector (Parker et al.
/// 1983) of incarnations, for these only rise: one entry for each node, however many names the node
/// has had.
///
/// A node that is gone for good has the last incarnation that there is: all its names are dead, also
/// those that nobody has heard of.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeadNames {
    up_to: BTreeMap<NodeId, Incarnation>,
}

impl FromIterator<(NodeId, Incarnation)> for DeadNames {
    fn from_iter<I: IntoIterator<Item = (NodeId, Incarnation)>>(names: I) -> Self {
        let mut dead = Self::default();
        for (node, incarnation) in names {
            dead.raise(node, incarnation);
        }
        dead
    }
}

impl DeadNames {
    /// The entry of a node that is gone for good.
    pub const FOR_GOOD: Incarnation = Incarnation(u64::MAX);

    /// No name.
    pub const fn none() -> Self {
        Self {
            up_to: BTreeMap::new(),
        }
    }

    /// Whether this name is dead.
    pub fn covers(&self, name: ReplicaId) -> bool {
        let up_to = self.up_to.get(&name.node);
        up_to.is_some_and(|up_to| name.incarnation <= *up_to)
    }

    /// Whether this node is gone for good.
    pub fn has_departed(&self, node: NodeId) -> bool {
        self.up_to.get(&node) == Some(&Self::FOR_GOOD)
    }

    /// The nodes that are gone for good.
    pub fn departed(&self) -> impl Iterator<Item = NodeId> + '_ {
        let nodes = self.up_to.keys().copied();
        nodes.filter(|&node| self.has_departed(node))
    }

    /// Of each node, up to which incarnation its names are dead.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, Incarnation)> + '_ {
        let entries = self.up_to.iter();
        entries.map(|(&node, &incarnation)| (node, incarnation))
    }

    /// The least upper bound.
    pub fn merge(&mut self, other: &Self) {
        for (node, incarnation) in other.iter() {
            self.raise(node, incarnation);
        }
    }

    /// Whether all that is dead in `other` is dead here.
    pub fn includes(&self, other: &Self) -> bool {
        let mut entries = other.iter();
        entries.all(|(node, incarnation)| self.up_to.get(&node) >= Some(&incarnation))
    }

    fn raise(&mut self, node: NodeId, incarnation: Incarnation) {
        let entry = self.up_to.entry(node).or_insert(incarnation);
        *entry = incarnation.max(*entry);
    }
}

impl Display for DeadNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (position, (node, incarnation)) in self.iter().enumerate() {
            let space = if position == 0 { "" } else { " " };
            write!(f, "{space}{node}")?;
            if incarnation != Self::FOR_GOOD {
                write!(f, "#{}", incarnation.0)?;
            }
        }
        f.write_str("}")
    }
}
