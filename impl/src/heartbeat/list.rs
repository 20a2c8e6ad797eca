//! The list of live members, as one member has it, and how it gets from the leader to that member: as
//! what has changed since the list that it has, or whole.

use std::collections::BTreeMap;

use models::NodeId;
use serde::{Deserialize, Serialize};

use super::member_info::MemberInfo;

/// Members by their ids.
pub(crate) type ById = BTreeMap<NodeId, MemberInfo>;

/// Which list: each leader counts its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Version {
    /// Of the leader.
    pub(crate) term: u64,
    pub(crate) number: u64,
}

/// What makes one list of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ListChange {
    /// The list that comes of it.
    pub(crate) version: Version,
    /// The list that it changes: the empty one, if nothing is said.
    pub(crate) base: Option<Version>,
    /// Those that have joined or say something new.
    pub(crate) updated: Vec<MemberInfo>,
    /// Those that are not there any more.
    pub(crate) left: Vec<NodeId>,
}

/// A member's list.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    pub(crate) version: Option<Version>,
    pub(crate) members: ById,
}

impl List {
    /// Takes a change, if it is of this list or of the empty one, and leads to a later one. Returns whether
    /// it did.
    pub(crate) fn apply(&mut self, change: ListChange) -> bool {
        let is_later = self.version.is_none_or(|version| version < change.version);
        let fits = change.base.is_none() || change.base == self.version;
        if !is_later || !fits {
            return false;
        }
        if change.base.is_none() {
            self.members.clear();
        }
        for id in change.left {
            self.members.remove(&id);
        }
        let updated = change.updated.into_iter();
        self.members
            .extend(updated.map(|member| (member.id, member)));
        self.version = Some(change.version);
        true
    }
}

/// How one list differs from another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Difference {
    /// Also those that have come back in another life.
    pub(crate) joined: Vec<MemberInfo>,
    pub(crate) left: Vec<MemberInfo>,
}

/// How `after` differs from `before`, as far as who is there is concerned.
pub(crate) fn difference(before: &ById, after: &ById) -> Difference {
    let missing = |member: &&MemberInfo, list: &ById| {
        let there = list.get(&member.id);
        there.is_none_or(|there| there.life != member.life)
    };
    let only = |these: &ById, those: &ById| {
        let only = these.values().filter(|member| missing(member, those));
        only.cloned().collect()
    };
    Difference {
        joined: only(after, before),
        left: only(before, after),
    }
}

#[cfg(test)]
mod tests {
    use super::super::member_info::tests::member;
    use super::*;

    fn version(term: u64, number: u64) -> Version {
        Version { term, number }
    }

    fn change(base: Option<Version>, to: Version, updated: &[u16], left: &[u16]) -> ListChange {
        ListChange {
            version: to,
            base,
            updated: updated.iter().map(|id| member(*id, 1)).collect(),
            left: left.iter().map(|id| NodeId(*id)).collect(),
        }
    }

    fn ids(list: &List) -> Vec<u16> {
        list.members.keys().map(|id| id.0).collect()
    }

    #[test]
    fn a_change_is_of_the_list_that_it_changes_and_of_no_other() {
        let mut list = List::default();
        assert!(list.apply(change(None, version(1, 1), &[1, 2], &[])));
        assert!(list.apply(change(Some(version(1, 1)), version(1, 2), &[3], &[1])));
        assert_eq!(ids(&list), [2, 3]);
        assert!(
            !list.apply(change(Some(version(1, 1)), version(1, 3), &[4], &[])),
            "of another"
        );
        assert!(
            !list.apply(change(None, version(1, 2), &[4], &[])),
            "not later"
        );
        assert!(
            !list.apply(change(None, version(0, 9), &[4], &[])),
            "of a leader that was deposed"
        );
        assert!(list.apply(change(None, version(2, 1), &[4], &[])));
        assert_eq!(ids(&list), [4]);
    }

    #[test]
    fn who_comes_back_in_another_life_has_left_and_joined() {
        let by_id = |members: &[(u16, u64)]| -> ById {
            let members = members.iter().map(|(id, life)| member(*id, *life));
            members.map(|member| (member.id, member)).collect()
        };
        let found = difference(
            &by_id(&[(1, 1), (2, 1), (3, 1)]),
            &by_id(&[(2, 1), (3, 2), (4, 1)]),
        );
        let lives = |members: &[MemberInfo]| -> Vec<(u16, u64)> {
            members
                .iter()
                .map(|member| (member.id.0, member.life))
                .collect()
        };
        assert_eq!(lives(&found.joined), [(3, 2), (4, 1)]);
        assert_eq!(lives(&found.left), [(1, 1), (3, 1)]);
    }
}
