//! What is inert changes nothing, and stays so.

use models::raft::spec::guarded;
use models::world::{Action, Disk, Duplicates, Envelope, Faults, Scenario, World};
use models::{NodeId, raft};
use proptest::prelude::*;

use super::reduction::{
    assert_brings_about_what_is_inert, assert_changes_nothing, assert_stays_inert, inert, lasting,
};
use crate::support::bench::*;
use crate::support::runs::{any_troubled, apply, choices, cluster, fixed_choices, troubled, walk};

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_inert_message_changes_nothing_but_the_network(
        scenario in any_troubled(DISKS),
        choices in choices(120),
    ) {
        let scenario = lasting(scenario);
        walk(&scenario, &choices, |_, _, world| {
            assert_changes_nothing(&scenario, world);
        });
    }

    /// Messages last in these worlds, so each is still under way later, and must still be
    /// inert.
    #[test]
    fn an_inert_message_stays_inert(
        scenario in any_troubled(DISKS),
        choices in choices(120),
    ) {
        let scenario = lasting(scenario);
        walk(&scenario, &choices, assert_stays_inert);
    }

    #[test]
    fn what_an_inert_message_brings_about_is_inert(
        scenario in any_troubled(DISKS),
        choices in choices(120),
    ) {
        let scenario = lasting(scenario);
        walk(&scenario, &choices, |_, _, world| {
            assert_brings_about_what_is_inert(&scenario, world);
        });
    }

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
                raft::message::Message::AppendEntriesResponse { .. } => acknowledgements += 1,
                raft::message::Message::PreVote { .. }
                | raft::message::Message::PreVoteResponse { .. } => pre_votes += 1,
                raft::message::Message::RequestVote { .. }
                | raft::message::Message::TimeoutNow { .. }
                | raft::message::Message::ReadIndex { .. }
                | raft::message::Message::ReadIndexResponse { .. }
                | raft::message::Message::AppendEntries { .. } => requests += 1,
            }
        }
    }
    assert!(delivered > 1_000, "{delivered}");
    assert!(requests > 10 && votes > 10 && acknowledgements > 10);
    assert!(pre_votes > 10);
}

/// A refusal at exactly `match_index` looks like old news, and is not: it may be a late copy
/// that names the entry before `next_index`, and then the leader sends its append again, which
/// may have been lost.
#[test]
fn a_late_refusal_at_the_match_index_is_not_inert() {
    let mut scenario = Scenario {
        disks: vec![disk(1, None, &[1, 1]), disk(1, None, &[1])],
        drop_inert: false,
        faults: Faults {
            drops: 1,
            duplicates: Duplicates::UpTo(1),
            ..Faults::default()
        },
        ..cluster(2, 2)
    };
    for raft in &mut scenario.nodes {
        raft.max_append_weight = 1;
    }
    let (leader, follower) = (NodeId(0), NodeId(1));
    let to_leader = |message: Msg| Envelope {
        from: follower,
        to: leader,
        message,
    };
    let to_follower = |message: Msg| Envelope {
        from: leader,
        to: follower,
        message,
    };
    let refusal = to_leader(conflict(2, 2, None, 2));
    let last = to_follower(append(2, (2, 1), &[noop(2)], 0));
    let mut world = World::initial(&scenario);
    for action in [
        Action::Fire {
            node: leader,
            timer: raft::Timer::Election,
        },
        Action::Deliver(to_follower(request_vote(2, (2, 1)))),
        Action::Deliver(to_leader(granted(2))),
        Action::Deliver(last.clone()),
        Action::Duplicate(refusal.clone()),
        Action::Deliver(to_follower(append(2, (1, 1), &[noop(1)], 0))),
        Action::Deliver(to_leader(accepted(2, 2))),
        Action::Drop(last.clone()),
    ] {
        apply(&scenario, &mut world, &action);
    }
    assert_eq!(world.network.in_flight(), vec![refusal.clone()]);
    assert_eq!(inert(&world), []);
    apply(&scenario, &mut world, &Action::Deliver(refusal));
    assert_eq!(world.network.in_flight(), [last]);
}
