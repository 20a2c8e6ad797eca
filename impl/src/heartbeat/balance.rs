//! Whom to give work: the member with the least load, as the members say it.
//!
//! What a member says is as old as its last heartbeat, so whoever gives out many jobs in between would give
//! all of them to the same one. Each job that is given out here therefore counts as load of its member,
//! until that says anew how loaded it is.

use std::collections::BTreeMap;

use models::NodeId;

use super::config::Balance;
use super::list::ById;
use super::member_info::MemberInfo;

/// What was given out.
#[derive(Debug, Default)]
pub(crate) struct Balancer {
    given: BTreeMap<NodeId, Given>,
    /// Counts what was given out.
    turns: u64,
}

/// What was given to a member since it last said how loaded it is.
#[derive(Clone, Copy, Debug)]
struct Given {
    life: u64,
    reports: u64,
    load: f64,
    /// When it was last given something: of equals, whoever waits longest comes next.
    turn: u64,
}

/// A member that may be given work, with the load that it is taken to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Available {
    /// The member.
    pub member: MemberInfo,
    /// What it has said, and what it was given here since.
    pub load: f64,
}

impl Balancer {
    /// Those that may be given work, the least loaded first.
    pub(crate) fn available(
        &self,
        members: &ById,
        leader: Option<NodeId>,
        balance: &Balance,
    ) -> Vec<Available> {
        let takes_part = |id: NodeId| balance.include_leader || leader != Some(id);
        let candidates = members.values().filter(|member| takes_part(member.id));
        let loaded = candidates.filter_map(|member| {
            let load = member.load? + self.given(member).map_or(0.0, |given| given.load);
            let member = member.clone();
            Some(Available { member, load })
        });
        let mut available: Vec<Available> =
            loaded.filter(|one| one.load < balance.load_limit).collect();
        let turn = |one: &Available| self.given.get(&one.member.id).map_or(0, |given| given.turn);
        available.sort_by(|one, other| {
            let by_load = one.load.total_cmp(&other.load);
            by_load.then(turn(one).cmp(&turn(other)))
        });
        available
    }

    /// Work that makes so much load is given to this member.
    pub(crate) fn give(&mut self, member: &MemberInfo, load: f64) {
        let before = self.given(member).map_or(0.0, |given| given.load);
        self.turns += 1;
        let given = Given {
            life: member.life,
            reports: member.reports,
            load: before + load,
            turn: self.turns,
        };
        self.given.insert(member.id, given);
    }

    /// What counts yet.
    fn given(&self, member: &MemberInfo) -> Option<&Given> {
        let given = self.given.get(&member.id)?;
        let counts = (given.life, given.reports) == (member.life, member.reports);
        counts.then_some(given)
    }
}

#[cfg(test)]
mod tests {
    use super::super::member_info::tests::member;
    use super::*;

    fn members(loads: &[(u16, Option<f64>)]) -> ById {
        let members = loads.iter().map(|(id, load)| MemberInfo {
            load: *load,
            reports: 1,
            ..member(*id, 1)
        });
        members.map(|member| (member.id, member)).collect()
    }

    fn ids(available: &[Available]) -> Vec<u16> {
        available.iter().map(|one| one.member.id.0).collect()
    }

    #[test]
    fn the_least_loaded_follower_below_the_limit_comes_first() {
        let members = members(&[
            (1, Some(0.1)),
            (2, Some(0.7)),
            (3, Some(0.8)),
            (4, None),
            (5, Some(0.3)),
        ]);
        let mut balance = Balance::default();
        let balancer = Balancer::default();
        let available =
            |balance: &Balance| ids(&balancer.available(&members, Some(NodeId(1)), balance));
        assert_eq!(available(&balance), [5, 2]);
        balance.include_leader = true;
        assert_eq!(available(&balance), [1, 5, 2]);
    }

    #[test]
    fn what_is_given_counts_until_the_member_speaks_again() {
        let mut members = members(&[(1, Some(0.1)), (2, Some(0.1)), (3, Some(0.4))]);
        let balance = Balance::default();
        let mut balancer = Balancer::default();
        let mut shares = BTreeMap::new();
        for _ in 0..6 {
            let first = balancer.available(&members, None, &balance).remove(0);
            balancer.give(&first.member, 0.2);
            *shares.entry(first.member.id.0).or_insert(0) += 1;
        }
        assert_eq!(shares, BTreeMap::from([(1, 3), (2, 2), (3, 1)]));
        let one = members.get_mut(&NodeId(1)).expect("there");
        (one.load, one.reports) = (Some(0.0), 2);
        assert_eq!(ids(&balancer.available(&members, None, &balance))[0], 1);
    }
}
