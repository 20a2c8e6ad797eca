//! The file journal in bad times: interrupted writes are cut, damage is refused, and in no
//! case does recovery hand out anything but a prefix of what was written.

use std::fs;
use std::path::Path;

use lockstep::journal::{FileJournalOptions, Journal};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use crate::support::journals::{
    Owned, check_refused, newest_segment, open, segments, small, steps, write_groups,
};

const ONE_SEGMENT: FileJournalOptions = FileJournalOptions {
    segment_bytes: 1 << 20,
    preallocate_bytes: 0,
};

/// What every recovery must hold to: a prefix of what was written, or a refusal; and once
/// recovered, the journal works and stays recovered.
fn check_prefix_or_refused(
    directory: &Path,
    options: FileJournalOptions,
    written: &[Owned],
) -> Option<usize> {
    let (mut journal, entries, _) = open(directory, options).ok()?;
    assert!(written.starts_with(&entries), "not a prefix: {entries:?}");
    journal.append(b"new").expect("appends");
    journal.flush().expect("flushes");
    drop(journal);
    let (_, again, recovered) = open(directory, options).expect("reopens");
    assert_eq!(again[..entries.len()], entries);
    assert_eq!(again[entries.len()..], steps(&[b"new"]));
    assert_eq!(recovered.torn_bytes, 0, "the tail was cut once and for all");
    Some(entries.len())
}

/// Three groups of two entries, in one segment. Returns where each frame begins and where
/// the last one ends.
fn three_groups() -> (TempDir, Vec<Owned>, Vec<usize>) {
    let directory = tempdir().expect("tempdir");
    let step = |n: u8| vec![n; 5 + usize::from(n)];
    let groups: Vec<_> = [[1, 2], [3, 4], [5, 6]]
        .iter()
        .map(|group| group.map(step).to_vec())
        .collect();
    write_groups(directory.path(), ONE_SEGMENT, &[]);
    let header = fs::read(newest_segment(directory.path()))
        .expect("reads")
        .len();
    write_groups(directory.path(), ONE_SEGMENT, &groups);
    let written: Vec<_> = groups.into_iter().flatten().map(Owned::Step).collect();
    let mut bounds = vec![header];
    for entry in &written {
        let Owned::Step(payload) = entry else {
            unreachable!("only steps were written")
        };
        bounds.push(bounds[bounds.len() - 1] + 25 + payload.len());
    }
    (directory, written, bounds)
}

/// Runs `act` on a copy of the journal's only segment, for every byte of it in turn.
fn at_every_byte(from: usize, act: impl Fn(&mut Vec<u8>, usize), check: impl Fn(&Path, usize)) {
    let (original, _, _) = three_groups();
    let bytes = fs::read(newest_segment(original.path())).expect("reads");
    for at in from..bytes.len() {
        let copy = tempdir().expect("tempdir");
        let mut damaged = bytes.clone();
        act(&mut damaged, at);
        let name = newest_segment(original.path());
        fs::write(copy.path().join(name.file_name().expect("a name")), damaged).expect("writes");
        check(copy.path(), at);
    }
}

/// How many frames end at or before `offset`.
fn whole_frames(bounds: &[usize], offset: usize) -> usize {
    bounds[1..].iter().filter(|end| **end <= offset).count()
}

#[test]
fn a_crash_at_any_byte_keeps_every_whole_entry() {
    let (_, written, bounds) = three_groups();
    at_every_byte(bounds[0], Vec::truncate, |directory, at| {
        let kept = check_prefix_or_refused(directory, ONE_SEGMENT, &written);
        assert_eq!(kept, Some(whole_frames(&bounds, at)), "cut at {at}");
    });
}

#[test]
fn a_crash_at_any_byte_of_preallocated_space_keeps_every_whole_entry() {
    let (_, written, bounds) = three_groups();
    let zero_rest = |bytes: &mut Vec<u8>, at: usize| bytes[at..].fill(0);
    at_every_byte(bounds[0], zero_rest, |directory, at| {
        let kept = check_prefix_or_refused(directory, ONE_SEGMENT, &written);
        assert_eq!(kept, Some(whole_frames(&bounds, at)), "zeros from {at}");
    });
}

#[test]
fn a_flipped_byte_in_the_last_group_is_cut_and_before_it_is_refused() {
    let (_, written, bounds) = three_groups();
    let flip = |bytes: &mut Vec<u8>, at: usize| bytes[at] ^= 0x40;
    at_every_byte(0, flip, |directory, at| {
        if at < bounds[4] {
            check_refused(directory, ONE_SEGMENT, "");
        } else {
            let kept = check_prefix_or_refused(directory, ONE_SEGMENT, &written);
            assert_eq!(kept, Some(whole_frames(&bounds, at)), "flipped {at}");
        }
    });
}

/// The frames of one group may reach the disk in any order: a bad frame followed by good
/// ones of the same group is an interrupted write, and none of them was ever promised.
#[test]
fn a_group_that_reached_the_disk_out_of_order_is_cut() {
    let (directory, written, bounds) = three_groups();
    let segment = newest_segment(directory.path());
    let mut bytes = fs::read(&segment).expect("reads");
    bytes[bounds[4]..bounds[5]].fill(0);
    fs::write(&segment, bytes).expect("writes");
    assert_eq!(
        check_prefix_or_refused(directory.path(), ONE_SEGMENT, &written),
        Some(4)
    );
}

#[test]
fn a_hole_before_the_last_group_is_refused() {
    let (directory, _, bounds) = three_groups();
    let segment = newest_segment(directory.path());
    let mut bytes = fs::read(&segment).expect("reads");
    bytes[bounds[2]..bounds[3]].fill(0);
    fs::write(&segment, bytes).expect("writes");
    check_refused(
        directory.path(),
        ONE_SEGMENT,
        "entry 3 is altered, and entry 5 was written after",
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_after_the_end_is_cut(garbage in prop::collection::vec(any::<u8>(), 1..200)) {
        let (directory, written, _) = three_groups();
        let segment = newest_segment(directory.path());
        let bytes = fs::read(&segment).expect("reads");
        fs::write(&segment, [bytes, garbage].concat()).expect("writes");
        prop_assert_eq!(check_prefix_or_refused(directory.path(), ONE_SEGMENT, &written), Some(6));
    }

    /// Any number of overwritten bytes, anywhere in a journal of several segments: a prefix
    /// or a refusal, never a panic, never an entry that was not written.
    #[test]
    fn any_damage_yields_a_prefix_or_a_refusal(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        let directory = tempdir().expect("tempdir");
        let groups: Vec<_> = (0..8_u8).map(|n| vec![vec![n; 30], vec![n; 3]]).collect();
        let options = small(256, 128);
        write_groups(directory.path(), options, &groups);
        let written: Vec<_> = groups.into_iter().flatten().map(Owned::Step).collect();
        let files = segments(directory.path());
        for (file, at, value) in damage {
            let path = file.get(&files);
            let mut bytes = fs::read(path).expect("reads");
            let at = at.index(bytes.len());
            bytes[at] = value;
            fs::write(path, bytes).expect("writes");
        }
        if let Some((file, at)) = cut {
            let path = file.get(&files);
            let mut bytes = fs::read(path).expect("reads");
            bytes.truncate(at.index(bytes.len()));
            fs::write(path, bytes).expect("writes");
        }
        check_prefix_or_refused(directory.path(), options, &written);
    }
}

/// A journal of several segments.
fn several_segments() -> TempDir {
    let directory = tempdir().expect("tempdir");
    let groups: Vec<_> = (0..8_u8).map(|n| vec![vec![n; 60]]).collect();
    write_groups(directory.path(), small(256, 0), &groups);
    assert!(segments(directory.path()).len() >= 4);
    directory
}

#[test]
fn a_missing_segment_is_refused() {
    let directory = several_segments();
    fs::remove_file(&segments(directory.path())[1]).expect("removes");
    check_refused(
        directory.path(),
        small(256, 0),
        "the segment is missing, and later ones are not",
    );
}

#[test]
fn a_missing_first_segment_is_refused() {
    let directory = several_segments();
    fs::remove_file(&segments(directory.path())[0]).expect("removes");
    check_refused(directory.path(), small(256, 0), "the segment is missing");
}

#[test]
fn a_sealed_segment_that_lost_its_end_is_refused() {
    let directory = several_segments();
    let sealed = &segments(directory.path())[1];
    let bytes = fs::read(sealed).expect("reads");
    // Cut exactly between two frames: nothing but the numbering can tell.
    fs::write(sealed, &bytes[..bytes.len() - 85]).expect("writes");
    check_refused(directory.path(), small(256, 0), "should be the next");
}

#[test]
fn a_sealed_segment_with_a_bad_end_is_refused() {
    let directory = several_segments();
    let sealed = &segments(directory.path())[1];
    let mut bytes = fs::read(sealed).expect("reads");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(sealed, bytes).expect("writes");
    check_refused(directory.path(), small(256, 0), "later segments exist");
}

/// A journal just before and just after a checkpoint.
fn around_a_checkpoint() -> (TempDir, TempDir) {
    let before = several_segments();
    let after = tempdir().expect("tempdir");
    for segment in segments(before.path()) {
        fs::copy(
            &segment,
            after.path().join(segment.file_name().expect("a name")),
        )
        .expect("copies");
    }
    let (mut journal, _, _) = open(after.path(), small(256, 0)).expect("opens");
    journal.checkpoint(b"the state").expect("checkpoints");
    (before, after)
}

#[test]
fn a_crash_before_the_old_segments_are_removed_finds_the_checkpoint() {
    let (before, after) = around_a_checkpoint();
    for segment in &segments(before.path())[2..] {
        fs::copy(
            segment,
            after.path().join(segment.file_name().expect("a name")),
        )
        .expect("copies");
    }
    let (_, entries, _) = open(after.path(), small(256, 0)).expect("opens");
    assert_eq!(entries, [Owned::Checkpoint(b"the state".to_vec())]);
    assert_eq!(
        segments(after.path()).len(),
        1,
        "recovery finishes the removal"
    );
}

#[test]
fn a_crash_while_the_checkpoint_is_written_finds_what_it_was_to_replace() {
    let (before, after) = around_a_checkpoint();
    let checkpoint = newest_segment(after.path());
    let mut bytes = fs::read(&checkpoint).expect("reads");
    bytes.truncate(bytes.len() - 3);
    fs::write(
        before.path().join(checkpoint.file_name().expect("a name")),
        bytes,
    )
    .expect("writes");
    let (_, entries, recovered) = open(before.path(), small(256, 0)).expect("opens");
    assert_eq!(entries.len(), 8);
    assert!(recovered.torn_bytes > 0);
}

#[test]
fn a_damaged_checkpoint_with_nothing_before_it_is_refused() {
    let (_, after) = around_a_checkpoint();
    let checkpoint = newest_segment(after.path());
    let mut bytes = fs::read(&checkpoint).expect("reads");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&checkpoint, bytes).expect("writes");
    check_refused(after.path(), small(256, 0), "");
}

#[test]
fn a_segment_that_never_got_its_name_is_removed() {
    let directory = several_segments();
    let unfinished = directory.path().join("0000000000000099.unfinished");
    fs::write(&unfinished, b"half a head").expect("writes");
    let (_, entries, _) = open(directory.path(), small(256, 0)).expect("opens");
    assert_eq!(entries.len(), 8);
    assert!(!unfinished.exists());
}

/// A write that the disk put in the wrong place is intact, and wrong.
#[test]
fn an_intact_entry_in_the_wrong_place_is_refused() {
    let directory = tempdir().expect("tempdir");
    let groups: Vec<_> = (0..4_u8).map(|n| vec![vec![n; 10]]).collect();
    write_groups(directory.path(), ONE_SEGMENT, &groups);
    let segment = newest_segment(directory.path());
    let mut bytes = fs::read(&segment).expect("reads");
    let first = bytes.len() - 4 * 35;
    bytes.copy_within(first..first + 35, first + 2 * 35);
    fs::write(&segment, bytes).expect("writes");
    check_refused(
        directory.path(),
        ONE_SEGMENT,
        "entry 1 stands where entry 3 belongs",
    );
}
