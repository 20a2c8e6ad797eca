//! An election that may name anybody to anybody at any time: two leaders at once, or one
//! that does not know. What holds under it holds under any election.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::protocol::NodeId;
use crate::zab::election::{Election, Output};
use crate::zab::history::Recency;
use crate::zab::zxid::Epoch;

use super::Bounded;

/// "A leader oracle" (DSN 2011, §IV) that need not be right.
#[derive(Clone, Debug)]
pub struct Oracle {
    /// Whom it may name.
    pub nodes: Vec<NodeId>,
}

/// Time to name this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Names(pub NodeId);

/// The oracle says nothing to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Silence {}

impl Election for Oracle {
    /// How often it has named somebody to this node.
    type State = u8;
    type Message = Silence;
    type Timer = Names;

    fn boot(&self, _: Recency, out: &mut Vec<Output<Self>>) -> u8 {
        let timers = self.nodes.iter().map(|&node| Output::Arm(Names(node)));
        out.extend(timers);
        0
    }

    fn look(&self, _: &mut u8, _: Recency, _: &mut Vec<Output<Self>>) {}

    fn on_message(
        &self,
        _: &mut u8,
        _: Recency,
        _: NodeId,
        message: Silence,
        _: &mut Vec<Output<Self>>,
    ) {
        match message {}
    }

    fn on_timeout(
        &self,
        named: &mut u8,
        _: Recency,
        Names(node): Names,
        out: &mut Vec<Output<Self>>,
    ) {
        *named = named.saturating_add(1);
        out.push(Output::Arm(Names(node)));
        out.push(Output::Elect(node));
    }
}

/// What the oracle may do.
#[derive(Clone, Debug)]
pub struct Nominations {
    /// Whom it may name, while the node that it tells has accepted no later epoch than this.
    /// Named to itself, a node must have accepted an earlier one: it would go beyond.
    pub leaders: BTreeMap<NodeId, Epoch>,
    /// How often it may name somebody to each node, from one crash to the next. The node's id
    /// is its position.
    pub times: Vec<u8>,
}

impl Bounded for Oracle {
    type Bounds = Nominations;

    /// That alone brings no new leader.
    fn may_look(_: &Nominations, _: &u8) -> bool {
        true
    }

    /// It names whom it likes when it likes.
    fn goes_on(_: &u8, _: impl Fn(Names) -> bool) -> bool {
        true
    }

    fn permits(
        nominations: &Nominations,
        id: NodeId,
        accepted: Epoch,
        named: &u8,
        Names(leader): &Names,
    ) -> bool {
        let last = nominations.leaders.get(leader);
        let is_in_time = last.is_some_and(|&last| {
            if *leader == id {
                accepted < last
            } else {
                accepted <= last
            }
        });
        let times = nominations.times.get(usize::from(id.0));
        is_in_time && times.is_some_and(|times| named < times)
    }
}
