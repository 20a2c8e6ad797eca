//! ZAB's inert messages, by the same measures as Raft's.

use models::raft::spec::Adder;
use models::world::{Disk, Scenario};
use models::zab::Zab;
use models::zab::message::Message;
use models::zab::spec::{MUTANTS, Oracle, deposed, discovery, succession, trunc, two_epochs};
use models::zab::state::Record;
use proptest::prelude::*;

use super::reduction::{
    assert_changes_nothing, assert_holds_of_samples, broken_either_way, inert, lasting,
    same_either_way,
};
use crate::support::runs::{explore, fixed_choices, walk};
use crate::zab::lively;

type Z = Zab<Adder, Oracle>;

/// Searches with and without the reduction, in a world in which there is something to reduce.
fn same(scenario: Scenario<Z>) {
    let (reduced, full) = same_either_way(scenario);
    assert!(reduced < full, "{reduced} of {full}: it does not reduce");
}

/// Two nodes that may both lead, and a crash.
#[test]
fn rival_leaders_and_a_crash() {
    same(discovery(&[2, 2], &[(0, 1), (1, 2)], 1));
}

#[test]
fn a_leader_that_does_not_know_it_is_deposed() {
    same(deposed());
}

#[test]
fn a_leader_that_does_not_know_what_is_committed() {
    same(succession());
}

/// A mutant, a world, and the property that it breaks there.
type Planted = (&'static str, fn() -> Scenario<Z>, &'static str);

/// Defects that are planted are found, with the reduction as without it.
#[test]
fn planted_defects_are_found_either_way() {
    let rows: [Planted; 4] = [
        (
            "ZAB-2845",
            || trunc(1, 0),
            "What a node says of itself is so →",
        ),
        ("ZAB-SYNC-DEPOSED", deposed, "Linearizability"),
        ("ZAB-BROADCAST-EARLY", succession, "Primary Integrity"),
        ("ZAB-NEWEST-FIRST", two_epochs, "Global Primary Order"),
    ];
    for (id, scenario, property) in rows {
        let mut scenario = scenario();
        assert_eq!(explore(&scenario).broken, [""; 0], "without {id}");
        let mut mutants = MUTANTS.iter().copied().flatten();
        let mutant = mutants.find(|mutant| mutant.id == id).expect("the mutant");
        (mutant.inject)(&mut scenario);
        broken_either_way(&scenario, property);
    }
}

/// Disks that keep their word, and some that do not.
const DISKS: &[Disk<Z>] = &[
    Disk::WriteThrough,
    Disk::SendBeforeSync,
    Disk::TornFrame,
    Disk::Amnesia {
        forgets: |record| matches!(record, Record::AcceptedEpoch(_)),
    },
    Disk::Amnesia {
        forgets: |record| matches!(record, Record::Append(_) | Record::Truncate { .. }),
    },
];

/// Worlds in which everything can go wrong that an honest disk survives, under each of the
/// disks.
fn any_troubled() -> impl Strategy<Value = Scenario<Z>> {
    let disk = proptest::sample::select(DISKS);
    (2u16..=4, disk).prop_map(|(size, disk)| Scenario {
        disk,
        ..lively(size)
    })
}

#[test]
fn what_is_inert_changes_nothing_then_and_ever_after() {
    assert_holds_of_samples(64, any_troubled());
}

/// The tests above meet inert messages, and none that belong to no reign. Those of
/// synchronisation are rare on random walks: the searches meet them.
#[test]
fn there_are_inert_messages() {
    let scenario = lasting(lively(3));
    let (mut delivered, mut discovery, mut broadcast) = (0, 0, 0);
    for seed in 0..40 {
        let end = walk(&scenario, &fixed_choices(seed, 200), |_, _, world| {
            delivered += assert_changes_nothing(&scenario, world);
        });
        for envelope in inert(&end) {
            match envelope.message {
                Message::NewEpoch { .. } | Message::AckEpoch { .. } => discovery += 1,
                Message::Diff { .. }
                | Message::Trunc { .. }
                | Message::Snap { .. }
                | Message::NewLeader { .. }
                | Message::AckNewLeader { .. }
                | Message::UpToDate { .. } => {}
                Message::Propose(_)
                | Message::Ack { .. }
                | Message::Commit { .. }
                | Message::Request { .. }
                | Message::Ping { .. }
                | Message::Pong { .. } => broadcast += 1,
                Message::FollowerInfo { .. } | Message::Election(_) => {
                    panic!("it belongs to no reign")
                }
            }
        }
    }
    assert!(delivered > 1_000, "{delivered}");
    assert!(discovery > 0 && broadcast > 10, "{discovery}, {broadcast}");
}
