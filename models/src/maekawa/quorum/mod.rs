//! Quorums: for each member the set of arbiters that it must lock (§3 of the paper).
//!
//! What is asked of them (§2, conditions (a) to (d)): any two have a common member, each holds
//! the member that it is for, all are about equally large, and each member is in about equally
//! many. The first is what mutual exclusion rests on; the second saves a message; the others
//! share the work out.
//!
//! Members have arbitrary ids: a quorum is built over their positions in ascending order.

pub mod grid;
pub mod plane;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::protocol::NodeId;

/// How quorums are built.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Construction {
    /// A finite projective plane, folded to the number of members: about √n arbiters. Beyond
    /// the largest plane that is known here, a grid.
    #[default]
    Plane,
    /// A row and a column of a grid: about 2√n arbiters, for any number of members.
    Grid,
}

impl Construction {
    /// The quorum of `member` among `members`; `None` if it is not one of them.
    pub fn quorum(self, members: &BTreeSet<NodeId>, member: NodeId) -> Option<BTreeSet<NodeId>> {
        let ids: Vec<NodeId> = members.iter().copied().collect();
        let position = ids.binary_search(&member).ok()?;
        let positions = self.positions(ids.len(), position);
        Some(
            positions
                .into_iter()
                .map(|position| ids[position])
                .collect(),
        )
    }

    /// The quorum of the member at `position` among `count`, as positions.
    pub fn positions(self, count: usize, position: usize) -> BTreeSet<usize> {
        match self {
            Self::Plane => {
                plane::quorum(count, position).unwrap_or_else(|| grid::quorum(count, position))
            }
            Self::Grid => grid::quorum(count, position),
        }
    }
}
