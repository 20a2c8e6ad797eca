//! Who a node is to SWIM.

use models::counter::g_counter::DataCentre;
use models::{DiskId, NodeId};
use serde::{Deserialize, Serialize};

/// A renewal goes no further than this power of two at a time.
const MOST_DOUBLINGS: u8 = 40;

/// A node, in one of its lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its number.
    pub node: NodeId,
    /// Where it stands.
    pub data_centre: DataCentre,
    /// The life of its disk.
    pub disk: DiskId,
    /// Which of the node's lives this is: the greater is the later. A life begins when the node is
    /// started, or finds that it has been taken for dead.
    pub life: u64,
    /// How often it has found that since it was started.
    pub renewals: u8,
    /// `host:port` at which other nodes reach it, over TCP and UDP.
    pub peer_address: String,
    /// `host:port` at which clients reach it.
    pub client_address: String,
}

impl foca::Identity for Member {
    type Addr = NodeId;

    /// Each time twice as far: a node whose clock was set back, and which begins with a life that it
    /// has lived already, gets ahead of its past in a few rounds.
    fn renew(&self) -> Option<Self> {
        let further = 1 << self.renewals.min(MOST_DOUBLINGS);
        Some(Self {
            life: self.life.saturating_add(further),
            renewals: self.renewals.saturating_add(1),
            ..self.clone()
        })
    }

    fn addr(&self) -> NodeId {
        self.node
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.life > adversary.life
    }
}

#[cfg(test)]
mod tests {
    use foca::Identity as _;

    use super::*;

    fn member(life: u64) -> Member {
        Member {
            node: NodeId(1),
            data_centre: DataCentre(0),
            disk: DiskId::default(),
            life,
            renewals: 0,
            peer_address: "a:1".into(),
            client_address: "a:2".into(),
        }
    }

    #[test]
    fn a_node_whose_clock_was_set_back_by_a_year_is_ahead_of_its_past_after_few_renewals() {
        const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;
        let past = member(1_700_000_000_000);
        let mut now = member(past.life - YEAR_MS);
        let mut renewals = 0;
        while !now.win_addr_conflict(&past) {
            now = now.renew().expect("always");
            renewals += 1;
        }
        assert!(renewals <= 36, "{renewals}");
        assert!(!past.win_addr_conflict(&now));
    }
}
