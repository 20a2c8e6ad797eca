//! The file journal in good times: round trips, rotation, checkpoints, refusals at the door.

use std::fs;

use lockstep::runtime::journal::{FileJournal, FileJournalOptions, Journal, JournalError};
use lockstep::{ClusterId, Identity};
use models::{DiskId, NodeId};
use proptest::prelude::*;
use tempfile::tempdir;

use crate::support::journals::{
    Owned, check_refused, checkpoint, contents, identity, newest_segment, open, recover, segments,
    small, steps, write_groups,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is flushed comes back, in order, whatever the segment size and however often
    /// the journal is reopened.
    #[test]
    fn what_is_flushed_comes_back(
        sessions in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4), 0..4),
            1..4,
        ),
        segment_bytes in 100_u64..600,
        preallocate_bytes in prop::sample::select(vec![0_u64, 64, 4096]),
    ) {
        let directory = tempdir().expect("tempdir");
        let options = small(segment_bytes, preallocate_bytes);
        let mut written = Vec::new();
        for groups in &sessions {
            write_groups(directory.path(), options, groups);
            written.extend(groups.iter().flatten().cloned().map(Owned::Step));
            let (_, entries, recovered) = open(directory.path(), options).expect("opens");
            prop_assert_eq!(&entries, &written);
            prop_assert_eq!(recovered.torn_bytes, 0);
        }
    }
}

#[test]
fn a_full_segment_is_followed_by_another_and_trimmed() {
    let directory = tempdir().expect("tempdir");
    let groups: Vec<_> = (0..10_u8).map(|n| vec![vec![n; 50]]).collect();
    write_groups(directory.path(), small(256, 4096), &groups);
    let files = segments(directory.path());
    assert!(files.len() > 3, "{files:?}");
    for sealed in &files[..files.len() - 1] {
        assert!(fs::metadata(sealed).expect("metadata").len() <= 256);
    }
}

#[test]
fn space_is_filled_ahead_of_the_writes() {
    let directory = tempdir().expect("tempdir");
    write_groups(directory.path(), small(1 << 20, 4096), &[vec![vec![7; 10]]]);
    let length = fs::metadata(newest_segment(directory.path()))
        .expect("metadata")
        .len();
    assert_eq!(length, 4096);
}

#[test]
fn an_entry_larger_than_a_segment_gets_one_of_its_own() {
    let directory = tempdir().expect("tempdir");
    let options = small(256, 64);
    write_groups(
        directory.path(),
        options,
        &[vec![vec![1; 10], vec![2; 5000], vec![3; 10]]],
    );
    let (_, entries, _) = open(directory.path(), options).expect("opens");
    assert_eq!(entries, steps(&[&[1; 10], [2; 5000].as_slice(), &[3; 10]]));
}

#[test]
fn what_was_never_flushed_is_not_there() {
    let directory = tempdir().expect("tempdir");
    let options = FileJournalOptions::default();
    let (mut journal, _, _) = open(directory.path(), options).expect("opens");
    journal.append(b"kept").expect("appends");
    journal.flush().expect("flushes");
    journal.append(b"lost").expect("appends");
    drop(journal);
    let (_, entries, _) = open(directory.path(), options).expect("opens");
    assert_eq!(entries, steps(&[b"kept"]));
}

#[test]
fn a_checkpoint_replaces_what_came_before() {
    let directory = tempdir().expect("tempdir");
    let options = small(200, 0);
    let (mut journal, _, _) = open(directory.path(), options).expect("opens");
    for n in 0..20_u8 {
        journal.append(&[n; 40]).expect("appends");
    }
    checkpoint(&mut journal, b"state");
    assert_eq!(
        segments(directory.path()).len(),
        1,
        "the segments before the one that it ends in are gone"
    );
    journal.append(b"after").expect("appends");
    journal.flush().expect("flushes");
    drop(journal);
    let (_, entries, _) = open(directory.path(), options).expect("opens");
    let expected = [
        Owned::Checkpoint(b"state".to_vec()),
        Owned::Step(b"after".to_vec()),
    ];
    assert_eq!(entries, expected);
}

#[test]
fn a_second_journal_on_the_same_directory_is_refused() {
    let directory = tempdir().expect("tempdir");
    let (_held, _, _) = open(directory.path(), FileJournalOptions::default()).expect("opens");
    check_refused(
        directory.path(),
        FileJournalOptions::default(),
        "in use by another process",
    );
}

#[test]
fn a_journal_of_somebody_else_is_refused() {
    let directory = tempdir().expect("tempdir");
    write_groups(
        directory.path(),
        FileJournalOptions::default(),
        &[vec![vec![1]]],
    );
    let others = [
        (
            Identity {
                cluster: "green".into(),
                ..identity()
            },
            "the cluster is `blue` there and `green` here",
        ),
        (
            Identity {
                protocol: "raft".into(),
                ..identity()
            },
            "the protocol is `counter` there",
        ),
        (
            Identity {
                version: 2,
                ..identity()
            },
            "the protocol's version is `1` there and `2` here",
        ),
        (
            Identity {
                node: NodeId(9),
                ..identity()
            },
            "the node is `n1` there and `n9` here",
        ),
        (
            Identity {
                cluster_id: ClusterId([8; 16]),
                ..identity()
            },
            "the cluster id is `07070707070707070707070707070707` there",
        ),
        (
            Identity {
                disk: DiskId([2; 16]),
                ..identity()
            },
            "the disk is `01010101010101010101010101010101` there",
        ),
    ];
    for (other, says) in others {
        let mut journal = FileJournal::open(directory.path(), other, FileJournalOptions::default())
            .expect("locks");
        let error = recover(&mut journal).expect_err("refused");
        assert!(
            matches!(error, JournalError::WrongIdentity { .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains(says),
            "`{error}` does not say `{says}`"
        );
    }
}

#[test]
fn an_entry_that_the_visitor_rejects_refuses_the_journal() {
    let directory = tempdir().expect("tempdir");
    write_groups(
        directory.path(),
        FileJournalOptions::default(),
        &[vec![vec![1]]],
    );
    let mut journal =
        FileJournal::open(directory.path(), identity(), FileJournalOptions::default())
            .expect("locks");
    let error = journal
        .recover(&mut |_| Err("what is this?".into()))
        .expect_err("refused");
    assert!(error.to_string().contains("what is this?"), "{error}");
    assert!(matches!(journal.append(b"x"), Err(JournalError::Dead)));
}

#[test]
fn a_journal_must_be_recovered_first_and_once() {
    let directory = tempdir().expect("tempdir");
    let mut journal =
        FileJournal::open(directory.path(), identity(), FileJournalOptions::default())
            .expect("locks");
    assert!(matches!(
        journal.append(b"x"),
        Err(JournalError::NotRecovered)
    ));
    recover(&mut journal).expect("recovers");
    assert!(matches!(
        recover(&mut journal),
        Err(JournalError::NotRecovered)
    ));
}

#[test]
fn a_journal_is_dead_after_the_first_failure() {
    let parent = tempdir().expect("tempdir");
    let directory = parent.path().join("journal");
    let (mut journal, _, _) = open(&directory, small(128, 0)).expect("opens");
    fs::remove_dir_all(&directory).expect("removes");
    journal.append(&[1; 100]).expect("buffers");
    let error = journal.append(&[2; 100]).expect_err("cannot rotate");
    assert!(matches!(error, JournalError::Io { .. }), "{error}");
    assert!(matches!(journal.append(b"x"), Err(JournalError::Dead)));
    assert!(matches!(journal.flush(), Err(JournalError::Dead)));
    let begun = journal.begin_checkpoint().map(|_| ());
    assert!(matches!(begun, Err(JournalError::Dead)));
}

#[test]
fn a_journal_of_another_format_is_refused() {
    for suffix in ["journal", "checkpoint"] {
        let directory = tempdir().expect("tempdir");
        let (mut journal, _, _) = open(directory.path(), small(200, 0)).expect("opens");
        for n in 0..20_u8 {
            journal.append(&[n; 40]).expect("appends");
        }
        checkpoint(&mut journal, b"state");
        drop(journal);
        // As format 1 had it: a checkpoint was in the first of the segments that were left.
        for (path, mut bytes) in contents(directory.path()) {
            if path.extension().is_some_and(|found| found == suffix) {
                bytes[8] = 1;
                fs::write(&path, bytes).expect("writes");
            } else {
                fs::remove_file(&path).expect("removes");
            }
        }
        check_refused(
            directory.path(),
            small(200, 0),
            "has format 1, this program reads formats 2 to 3",
        );
    }
}

/// In format 2 a checkpoint ended where a segment did.
#[test]
fn a_journal_of_the_format_before_is_read_and_goes_on() {
    let directory = tempdir().expect("tempdir");
    let (mut journal, _, _) = open(directory.path(), small(200, 0)).expect("opens");
    for n in 0..20_u8 {
        journal.append(&[n; 40]).expect("appends");
    }
    journal.flush().expect("flushes");
    drop(journal);
    for (path, mut bytes) in contents(directory.path()) {
        bytes[8] = 2;
        fs::write(&path, bytes).expect("writes");
    }
    let (mut journal, entries, _) = open(directory.path(), small(200, 0)).expect("opens");
    assert_eq!(entries.len(), 20);
    journal.append(b"later").expect("appends");
    checkpoint(&mut journal, b"state");
    journal.append(b"latest").expect("appends");
    journal.flush().expect("flushes");
    drop(journal);
    let (_, entries, _) = open(directory.path(), small(200, 0)).expect("opens");
    let expected = [
        Owned::Checkpoint(b"state".to_vec()),
        Owned::Step(b"latest".to_vec()),
    ];
    assert_eq!(entries, expected);
}

/// A checkpoint may be as large as it likes: its length is no field of 32 bits, and it is never
/// in memory as a whole while it is written.
#[test]
fn a_checkpoint_of_many_pieces_comes_back() {
    let directory = tempdir().expect("tempdir");
    let (mut journal, _, _) = open(directory.path(), small(200, 0)).expect("opens");
    journal.append(b"replaced").expect("appends");
    let begun = journal.begin_checkpoint().expect("begins");
    let state: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 253) as u8).collect();
    // In odd portions, as an encoder writes.
    let written =
        begun.write(&mut |out| state.chunks(997).try_for_each(|part| out.write_all(part)));
    assert_eq!(written.expect("writes"), 3_000_000);
    drop(journal);
    let (_, entries, recovered) = open(directory.path(), small(200, 0)).expect("opens");
    assert!(entries == [Owned::Checkpoint(state)]);
    assert_eq!(recovered.torn_bytes, 0);
}
