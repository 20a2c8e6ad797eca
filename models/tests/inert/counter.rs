//! The counter's inert messages, by the same measures as Raft's.

use models::counter::Counter;
use models::counter::message::Message;
use models::counter::spec::{
    Limits, MODELS, MUTANTS, at_large, connected, counting, membership, torn_frames, windowed,
};
use models::counter::state::Record;
use models::world::{Delivery, Disk, Duplicates, Faults, Scenario, Timing};
use proptest::prelude::*;

use super::reduction::{
    assert_changes_nothing, assert_holds_of_samples, broken_either_way, inert, lasting,
    same_either_way,
};
use crate::support::runs::{explore, fixed_choices, walk};

type Checked = Scenario<Counter>;

/// Searches with and without the reduction, in a world in which there is something to reduce:
/// of one increment alone nothing is ever inert, for a crash makes all owed again.
fn same(scenario: Checked) {
    let (reduced, full) = same_either_way(scenario);
    assert!(reduced < full, "{reduced} of {full}: it does not reduce");
}

#[test]
fn deltas_and_a_crash() {
    same(counting(2, &[2], Limits::DELTAS, 1));
}

#[test]
fn two_that_count() {
    same(counting(2, &[2, 1], Limits::DELTAS, 0));
}

#[test]
fn push_pull_and_a_crash() {
    same(counting(2, &[1], Limits::PUSH_PULL, 1));
}

/// What has expired is owed no more. So who knows of the bucket has had the very delta that told of
/// it, and has acknowledged it: what is inert follows from the rest, and merges nothing.
#[test]
fn a_bucket_that_expires() {
    let (reduced, full) = same_either_way(windowed(2, &[&[1, 25]], 15, Limits::DELTAS));
    assert_eq!(reduced, full);
}

/// Who has come back is owed again what it had acknowledged.
#[test]
fn a_member_that_is_gone_and_back() {
    same(membership(2, 1, &[2], Limits::DELTAS));
}

#[test]
fn channels_in_order_that_break() {
    same(connected(2, &[2], Limits::DELTAS, 1, 0, 1));
}

#[test]
fn disks_that_keep_some_records_of_a_step() {
    same(torn_frames());
}

/// What is folded teaches nothing, and what was said of a fold that is known settles nothing.
#[test]
fn folds() {
    for name in [
        "counter/fold-proposers",
        "counter/fold-gone",
        "counter/fold-restored",
    ] {
        let mut models = MODELS.iter().copied().flatten();
        let model = models.find(|model| model.name == name).expect("the model");
        let scenario = Scenario {
            faults: Faults {
                duplicates: Duplicates::default(),
                crashes: 0,
                ..(model.scenario)().faults
            },
            ..(model.scenario)()
        };
        same(scenario);
    }
}

/// Defects that are planted are found, with the reduction as without it.
#[test]
fn planted_defects_are_found_either_way() {
    let deltas = |increments, crashes| counting(2, &[increments], Limits::DELTAS, crashes);
    let rows = [
        ("CNT-4", deltas(2, 0), "A merge is the least upper bound →"),
        ("CNT-BUFFER-RESET", deltas(2, 0), "Who owes nothing agrees"),
        (
            "CNT-ACK-UNMERGED",
            deltas(2, 0),
            "A merge is the least upper bound →",
        ),
        (
            "CNT-ACK-UNSYNCED",
            deltas(2, 1),
            "Deltas are kept until acknowledged",
        ),
        (
            "CNT-SEND-BEFORE-SYNC",
            deltas(2, 1),
            "No acknowledged increment is lost",
        ),
        (
            "CNT-PUSH-ONLY",
            counting(2, &[1], Limits::PUSH_PULL, 0),
            "A push-pull leaves nothing unsaid →",
        ),
    ];
    for (id, mut scenario, property) in rows {
        assert_eq!(explore(&scenario).broken, [""; 0], "without {id}");
        let mut mutants = MUTANTS.iter().copied().flatten();
        let mutant = mutants.find(|mutant| mutant.id == id).expect("the mutant");
        (mutant.inject)(&mut scenario);
        broken_either_way(&scenario, property);
    }
}

/// Disks that keep their word, and some that do not.
const DISKS: &[Disk<Counter>] = &[
    Disk::WriteThrough,
    Disk::SendBeforeSync,
    Disk::TornFrame,
    Disk::Amnesia {
        forgets: |record| matches!(record, Record::Learned { .. }),
    },
    Disk::Amnesia {
        forgets: |record| matches!(record, Record::Counted { .. }),
    },
];

/// Worlds in which everything can go wrong that an honest disk survives, under each of the
/// disks.
fn any_troubled() -> impl Strategy<Value = Checked> {
    let delivery = prop_oneof![Just(Delivery::Bag), Just(Delivery::Fifo)];
    let timing = prop_oneof![3 => Just(Timing::Any), 1 => Just(Timing::Quiescent)];
    let disk = proptest::sample::select(DISKS);
    let knobs = (1u16..=4, delivery, timing, disk);
    knobs.prop_map(|(size, delivery, timing, disk)| Scenario {
        timing,
        disk,
        ..at_large(size, delivery)
    })
}

#[test]
fn what_is_inert_changes_nothing_then_and_ever_after() {
    assert_holds_of_samples(64, any_troubled());
}

/// The tests above meet inert messages of every kind that can be.
#[test]
fn there_are_inert_messages() {
    let scenario = lasting(at_large(3, Delivery::Bag));
    let (mut delivered, mut deltas, mut acknowledgements, mut replies) = (0, 0, 0, 0);
    for seed in 0..40 {
        let end = walk(&scenario, &fixed_choices(seed, 120), |_, _, world| {
            delivered += assert_changes_nothing(&scenario, world);
        });
        for envelope in inert(&end) {
            match envelope.message {
                Message::Delta { .. } => deltas += 1,
                Message::DeltaAck { .. } => acknowledgements += 1,
                Message::PushPullReply { .. } => replies += 1,
                Message::PushPull { .. } => panic!("it asks for what is to come"),
                Message::Fold(_) => panic!("nothing is folded here"),
            }
        }
    }
    assert!(delivered > 1_000, "{delivered}");
    assert!(deltas > 10 && acknowledgements > 10 && replies > 10);
}
