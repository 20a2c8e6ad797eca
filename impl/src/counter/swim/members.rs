//! The members of a cluster, as one node knows them: for those who ask it.

use std::collections::BTreeMap;

use models::NodeId;
use models::counter::g_counter::DataCentre;
use serde::{Deserialize, Serialize};

use super::member::Member;
use crate::runtime::sync::Mutex;

/// What a node believes of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// It lives.
    Alive,
    /// It has not answered, and has not been given up yet.
    Suspect,
    /// It has left, or has been given up.
    Down,
}

impl From<foca::State> for MemberState {
    fn from(state: foca::State) -> Self {
        match state {
            foca::State::Alive => Self::Alive,
            foca::State::Suspect => Self::Suspect,
            foca::State::Down => Self::Down,
        }
    }
}

/// A member, as `/cluster` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberPage {
    /// Its number.
    pub node: NodeId,
    /// Where it stands.
    pub data_centre: DataCentre,
    /// What the node that was asked believes of it.
    pub state: MemberState,
    /// The life of its disk, in hexadecimal digits.
    pub disk_id: String,
    /// Where other nodes reach it.
    pub peer_address: String,
    /// Where clients reach it.
    pub client_address: String,
}

impl MemberPage {
    pub(crate) fn of(member: &Member, state: MemberState) -> Self {
        Self {
            node: member.node,
            data_centre: member.data_centre,
            state,
            disk_id: member.disk.to_string(),
            peer_address: member.peer_address.clone(),
            client_address: member.client_address.clone(),
        }
    }
}

/// What a node knows of the others.
#[derive(Debug, Default)]
pub(crate) struct Members {
    others: Mutex<BTreeMap<NodeId, (Member, MemberState)>>,
}

impl Members {
    /// These are the others from now on.
    pub(crate) fn set(&self, others: impl Iterator<Item = (Member, MemberState)>) {
        let others = others.map(|(member, state)| (member.node, (member, state)));
        *self.others.lock() = others.collect();
    }

    /// The others, those of this data centre first.
    pub(crate) fn nearest_first(&self, from: DataCentre) -> Vec<MemberPage> {
        let others = self.others.lock();
        let mut pages: Vec<MemberPage> = { others.values() }
            .map(|(member, state)| MemberPage::of(member, *state))
            .collect();
        drop(others);
        pages.sort_by_key(|page| (page.data_centre != from, page.data_centre, page.node));
        pages
    }

    /// How many there are in each state.
    pub(crate) fn count(&self, wanted: MemberState) -> u64 {
        let others = self.others.lock();
        others
            .values()
            .filter(|(_, state)| *state == wanted)
            .count() as u64
    }
}

#[cfg(test)]
mod tests {
    use models::DiskId;

    use super::*;

    #[test]
    fn those_of_the_same_data_centre_come_first() {
        let members = Members::default();
        let member = |node, data_centre| Member {
            node: NodeId(node),
            data_centre: DataCentre(data_centre),
            disk: DiskId::default(),
            life: 0,
            renewals: 0,
            peer_address: String::new(),
            client_address: String::new(),
        };
        let all = [(1, 0), (2, 1), (3, 2), (4, 1)];
        members.set(
            all.map(|(node, at)| (member(node, at), MemberState::Alive))
                .into_iter(),
        );
        let order = |from| -> Vec<u16> {
            let pages = members.nearest_first(DataCentre(from));
            pages.iter().map(|page| page.node.0).collect()
        };
        assert_eq!(order(1), [2, 4, 1, 3]);
        assert_eq!(order(2), [3, 1, 2, 4]);
        assert_eq!(members.count(MemberState::Alive), 4);
        assert_eq!(members.count(MemberState::Down), 0);
    }
}
