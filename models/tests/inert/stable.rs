//! What is inert changes nothing, and stays so.

use models::raft;
use models::raft::spec::guarded;
use models::world::{Disk, Scenario};
use proptest::prelude::*;

use super::reduction::{assert_changes_nothing, assert_holds_of_samples, inert, lasting};
use crate::support::bench::*;
use crate::support::runs::{any_troubled, apply, choices, fixed_choices, troubled, walk};

/// Disks that keep their word, and some that do not.
const DISKS: &[Disk<Checked>] = &[
    Disk::WriteThrough,
    Disk::SendBeforeSync,
    Disk::TornFrame,
    Disk::Amnesia {
        forgets: |record| matches!(record, raft::state::Record::Ballot { .. }),
    },
    Disk::Amnesia {
        forgets: |record| matches!(record, raft::state::Record::Append(_)),
    },
];

#[test]
fn what_is_inert_changes_nothing_then_and_ever_after() {
    assert_holds_of_samples(96, any_troubled(DISKS));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The world drops all that is inert, and nothing else.
    #[test]
    fn the_world_drops_exactly_what_is_inert(
        scenario in any_troubled(DISKS),
        choices in choices(120),
    ) {
        let keeping = Scenario { drop_inert: false, ..scenario.clone() };
        let dropping = Scenario { drop_inert: true, ..scenario };
        walk(&dropping, &choices, |before, action, after| {
            let mut kept = before.clone();
            apply(&keeping, &mut kept, action);
            let doomed = inert(&kept);
            let mut expected = kept.network.in_flight();
            expected.retain(|envelope| !doomed.contains(envelope));
            assert_eq!(after.network.in_flight(), expected);
            assert_eq!(after.hosts, kept.hosts);
        });
    }
}

/// The tests above meet inert messages: of every kind, and by the thousand.
#[test]
fn there_are_inert_messages() {
    let scenario = lasting(troubled(3));
    let guarded = lasting(guarded(troubled(3)));
    let (mut delivered, mut requests, mut votes, mut acknowledgements) = (0, 0, 0, 0);
    let mut pre_votes = 0;
    for seed in 0..80 {
        let scenario = if seed % 2 == 0 { &scenario } else { &guarded };
        let end = walk(scenario, &fixed_choices(seed, 120), |_, _, world| {
            delivered += assert_changes_nothing(scenario, world);
        });
        for envelope in inert(&end) {
            match envelope.message {
                raft::message::Message::RequestVoteResponse { .. } => votes += 1,
                raft::message::Message::AppendEntriesResponse { .. }
                | raft::message::Message::HeartbeatResponse { .. }
                | raft::message::Message::InstallSnapshotResponse { .. } => acknowledgements += 1,
                raft::message::Message::PreVote { .. }
                | raft::message::Message::PreVoteResponse { .. } => pre_votes += 1,
                raft::message::Message::RequestVote { .. }
                | raft::message::Message::TimeoutNow { .. }
                | raft::message::Message::Heartbeat { .. }
                | raft::message::Message::ReadIndex { .. }
                | raft::message::Message::ReadIndexResponse { .. }
                | raft::message::Message::AppendEntries { .. }
                | raft::message::Message::InstallSnapshot { .. } => requests += 1,
            }
        }
    }
    assert!(delivered > 1_000, "{delivered}");
    assert!(requests > 10 && votes > 10 && acknowledgements > 10);
    assert!(pre_votes > 10);
}
