//! Quorums (§6): whatever is agreed by one of them is known to one of the next.

use std::collections::BTreeSet;

use models::NodeId;
use models::raft::configuration::Configuration;
use proptest::collection::btree_set;
use proptest::prelude::*;

const NODES: u16 = 6;

fn nodes(least: usize) -> impl Strategy<Value = BTreeSet<NodeId>> {
    btree_set((0..NODES).prop_map(NodeId), least..=usize::from(NODES))
}

fn configurations() -> impl Strategy<Value = Configuration> {
    let outgoing = prop_oneof![Just(BTreeSet::new()), nodes(1)];
    (nodes(1), outgoing, nodes(0)).prop_map(|(voters, outgoing, learners)| Configuration {
        voters,
        outgoing,
        learners,
        ..Configuration::default()
    })
}

/// Every set of nodes.
fn subsets() -> impl Iterator<Item = BTreeSet<NodeId>> {
    (0u32..1 << NODES).map(|bits| {
        let contains = |node: &NodeId| bits & (1 << node.0) != 0;
        (0..NODES).map(NodeId).filter(contains).collect()
    })
}

fn quorums(configuration: &Configuration) -> Vec<BTreeSet<NodeId>> {
    let sets = subsets();
    sets.filter(|nodes| configuration.has_quorum(nodes))
        .collect()
}

fn all_intersect(some: &Configuration, others: &Configuration) -> bool {
    let others = quorums(others);
    quorums(some)
        .iter()
        .all(|a| others.iter().all(|b| !a.is_disjoint(b)))
}

proptest! {
    #[test]
    fn any_two_quorums_intersect(configuration in configurations()) {
        prop_assert!(all_intersect(&configuration, &configuration));
        prop_assert!(!quorums(&configuration).is_empty());
    }

    /// "Agreement (for elections and entry commitment) requires separate majorities from both
    /// the old and new configurations" (§6): a joint quorum meets every quorum before it and
    /// every one after it.
    #[test]
    fn a_joint_quorum_meets_those_before_and_after(old in nodes(1), new in nodes(1)) {
        let joint = Configuration {
            outgoing: old.clone(),
            ..Configuration::new(new.clone())
        };
        prop_assert!(all_intersect(&joint, &Configuration::new(old)));
        prop_assert!(all_intersect(&joint, &Configuration::new(new)));
    }

    /// Who is no voter changes nothing.
    #[test]
    fn only_voters_count(configuration in configurations(), present in nodes(0)) {
        let voting = present.iter().copied().filter(|&node| configuration.is_voter(node));
        let voting = voting.collect();
        prop_assert_eq!(configuration.has_quorum(&present), configuration.has_quorum(&voting));
    }

    /// What a quorum has reached is the greatest value that the nodes of some quorum all have.
    #[test]
    fn a_quorum_has_reached_the_greatest_value_that_it_shares(
        configuration in configurations(),
        values in proptest::collection::vec(0u64..5, usize::from(NODES)),
    ) {
        let value = |node: NodeId| values[usize::from(node.0)];
        let shared = |least: &u64| {
            let reached = (0..NODES).map(NodeId).filter(|&node| value(node) >= *least);
            configuration.has_quorum(&reached.collect())
        };
        let greatest = (0..5).rev().find(shared);
        prop_assert_eq!(Some(configuration.reached_by_quorum(value)), greatest);
    }
}

/// Without voters nothing is ever agreed.
#[test]
fn nobody_is_no_quorum_of_nobody() {
    let nobody = Configuration::default();
    assert!(quorums(&nobody).is_empty());
    assert_eq!(nobody.reached_by_quorum(|_| 7u64), 0);
}
