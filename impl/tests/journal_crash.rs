//! The file journal in bad times: interrupted writes are cut, damage is refused, and in no
//! case does recovery hand out anything but a prefix of what was written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lockstep::runtime::journal::{FileJournalOptions, Journal};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use crate::support::journals::{
    Owned, check_refused, checkpoint, contents, directory_of, newest_segment, open, segments,
    small, steps, write_groups,
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
        bounds.push(bounds[bounds.len() - 1] + 24 + payload.len());
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
        "the segment is missing, and what follows on it is not",
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
    fs::write(sealed, &bytes[..bytes.len() - 84]).expect("writes");
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

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Everything that the disk may show while a second checkpoint is taken, in the order in which
/// it comes to be, for whoever crashes there; and the entry that is appended meanwhile.
struct Moments {
    before: Files,
    /// The state is written, half of it or all, under the unfinished name.
    unfinished: Files,
    /// It has got its name, and nothing is removed.
    named: Files,
    /// Everything that it replaces is gone.
    removed: Files,
}

const FIRST: &[u8] = b"the first state";
const LATER: &[u8] = b"appended meanwhile";

fn second_state() -> Vec<u8> {
    // Several pieces, so that a piece may be missing.
    (0..200_000_u32).map(|n| (n % 251) as u8).collect()
}

/// What there is to remember before the second checkpoint.
fn before_it() -> Vec<Owned> {
    let mut entries = vec![Owned::Checkpoint(FIRST.to_vec())];
    entries.extend((0..8_u8).map(|n| Owned::Step(vec![n; 60])));
    entries
}

/// And when it has been taken.
fn after_it() -> Vec<Owned> {
    vec![
        Owned::Checkpoint(second_state()),
        Owned::Step(LATER.to_vec()),
    ]
}

fn moments() -> Moments {
    let directory = tempdir().expect("tempdir");
    let path = directory.path();
    let (mut journal, _, _) = open(path, small(256, 0)).expect("opens");
    journal.append(b"replaced").expect("appends");
    checkpoint(&mut journal, FIRST);
    for n in 0..8_u8 {
        journal.append(&[n; 60]).expect("appends");
        journal.flush().expect("flushes");
    }
    let before = contents(path);
    let begun = journal.begin_checkpoint().expect("begins");
    assert_eq!(contents(path), before, "to begin it costs no file");
    // While it is written, the journal goes on.
    journal.append(LATER).expect("appends");
    journal.flush().expect("flushes");
    let mut unfinished = Files::new();
    let written = begun.write(&mut |out| {
        out.write_all(&second_state())?;
        unfinished = contents(path);
        Ok(())
    });
    written.expect("writes");
    let removed = contents(path);
    let mut named = unfinished.clone();
    named.retain(|path, _| !is_unfinished(path));
    named.extend(removed.clone());
    let count = unfinished.keys().filter(|path| is_unfinished(path)).count();
    assert_eq!(count, 1);
    assert_eq!(
        removed.len(),
        2,
        "the checkpoint and the segment that it ends in"
    );
    assert_eq!(
        named.len(),
        unfinished.len(),
        "nothing goes before it has its name"
    );
    Moments {
        before,
        unfinished,
        named,
        removed,
    }
}

fn is_unfinished(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "unfinished")
}

fn check_recovers(files: &Files, expected: &[Owned]) {
    let directory = directory_of(files);
    let path = directory.path();
    let names: Vec<_> = files.keys().collect();
    let (mut journal, entries, _) = open(path, small(256, 0)).expect("opens");
    assert!(entries == expected, "{names:?}");
    // It goes on from there, and a checkpoint can be taken again.
    journal.append(b"new").expect("appends");
    checkpoint(&mut journal, b"the third state");
    drop(journal);
    assert_eq!(contents(path).len(), 2, "what it replaces is gone");
    let (_, entries, _) = open(path, small(256, 0)).expect("reopens");
    assert_eq!(entries, [Owned::Checkpoint(b"the third state".to_vec())]);
}

/// Whatever was under way: one of the two checkpoints, and all that came after it.
#[test]
fn a_crash_at_any_moment_of_a_checkpoint_loses_nothing() {
    let moments = moments();
    let still = before_it();
    let and_later = [before_it(), vec![Owned::Step(LATER.to_vec())]].concat();
    check_recovers(&moments.before, &still);
    check_recovers(&moments.unfinished, &and_later);
    check_recovers(&moments.named, &after_it());
    check_recovers(&moments.removed, &after_it());
}

#[test]
fn a_crash_at_any_byte_of_an_unfinished_checkpoint_loses_nothing() {
    let moments = moments();
    let expected = [before_it(), vec![Owned::Step(LATER.to_vec())]].concat();
    let (name, bytes) = newest(&moments.removed, "checkpoint");
    let unfinished = PathBuf::from(format!("{}.unfinished", name.display()));
    // All of it may be there without its name: the crash came before the name was on disk.
    for length in (0..=bytes.len()).step_by(7_919).chain([bytes.len()]) {
        let mut files = moments.unfinished.clone();
        files.insert(unfinished.clone(), bytes[..length].to_vec());
        let directory = directory_of(&files);
        let (_journal, entries, _) = open(directory.path(), small(256, 0)).expect("opens");
        assert!(entries == expected, "{length} bytes");
        assert!(
            !contents(directory.path())
                .keys()
                .any(|path| is_unfinished(path))
        );
    }
}

/// The removal goes from the oldest on; a crash may leave any part of it.
#[test]
fn a_crash_during_the_removal_finds_the_checkpoint() {
    let moments = moments();
    let old: Vec<_> = moments
        .named
        .keys()
        .filter(|path| !moments.removed.contains_key(*path))
        .cloned()
        .collect();
    assert!(old.len() >= 4, "{old:?}");
    for count in 0..=old.len() {
        let mut files = moments.named.clone();
        files.retain(|path, _| !old[..count].contains(path));
        check_recovers(&files, &after_it());
    }
}

fn newest(files: &Files, suffix: &str) -> (PathBuf, Vec<u8>) {
    let is_one = |path: &&PathBuf| path.extension().is_some_and(|end| end == suffix);
    let name = files.keys().rfind(is_one).expect("one");
    (name.clone(), files[name].clone())
}

/// Also where an older one is there still: what came after that one may be gone.
#[test]
fn a_damaged_checkpoint_is_refused_and_never_skipped() {
    let moments = moments();
    for files in [&moments.named, &moments.removed] {
        let (name, bytes) = newest(files, "checkpoint");
        let end = bytes.len();
        for at in (0..end).step_by(9_973).chain([end - 9, end - 1]) {
            let mut damaged = files.clone();
            damaged.get_mut(&name).expect("there")[at] ^= 0x40;
            check_refused(directory_of(&damaged).path(), small(256, 0), "");
            damaged.insert(name.clone(), bytes[..at].to_vec());
            check_refused(directory_of(&damaged).path(), small(256, 0), "");
        }
        let mut longer = files.clone();
        longer.get_mut(&name).expect("there").push(0);
        let directory = directory_of(&longer);
        check_refused(
            directory.path(),
            small(256, 0),
            "something follows the state",
        );
    }
}

#[test]
fn pieces_of_a_checkpoint_in_another_order_are_refused() {
    let moments = moments();
    let (name, mut bytes) = newest(&moments.removed, "checkpoint");
    let piece = 8 + (64 << 10);
    // The last pieces but the short one: the header's length is what is left.
    let (pieces, short, end) = (3, 8 + 200_000 - 3 * (64 << 10), 8 + 8);
    let start = bytes.len() - pieces * piece - short - end;
    bytes[start..start + 2 * piece].rotate_left(piece);
    let mut files = moments.removed.clone();
    files.insert(name, bytes);
    check_refused(
        directory_of(&files).path(),
        small(256, 0),
        "the state is altered",
    );
}

#[test]
fn a_segment_that_is_missing_after_a_checkpoint_is_refused() {
    let moments = moments();
    for files in [moments.named, moments.removed] {
        let mut files = files;
        let (name, _) = newest(&files, "journal");
        files.remove(&name);
        check_refused(
            directory_of(&files).path(),
            small(256, 0),
            "the segment is missing",
        );
    }
}

/// A checkpoint that somebody has removed by hand.
#[test]
fn segments_whose_checkpoint_is_missing_are_refused() {
    let mut files = moments().removed;
    let (name, _) = newest(&files, "checkpoint");
    files.remove(&name);
    check_refused(
        directory_of(&files).path(),
        small(256, 0),
        "the segment is missing",
    );
}

/// Within a segment, where the entries before a checkpoint's end were on disk before it was.
#[test]
fn entries_that_a_checkpoint_covers_and_that_are_cut_off_are_damage() {
    let directory = tempdir().expect("tempdir");
    let (mut journal, _, _) = open(directory.path(), small(4096, 0)).expect("opens");
    for n in 0..5_u8 {
        journal.append(&[n; 60]).expect("appends");
        journal.flush().expect("flushes");
    }
    checkpoint(&mut journal, FIRST);
    drop(journal);
    let segment = newest_segment(directory.path());
    let bytes = fs::read(&segment).expect("reads");
    for cut in [1, 60, 90, 200] {
        fs::write(&segment, &bytes[..bytes.len() - cut]).expect("writes");
        check_refused(
            directory.path(),
            small(4096, 0),
            "the checkpoint was taken when entry 5 was on disk",
        );
    }
}

/// The later one takes the name of the one before.
#[test]
fn of_two_checkpoints_that_end_in_one_segment_the_later_counts() {
    let directory = tempdir().expect("tempdir");
    let (mut journal, _, _) = open(directory.path(), small(4096, 0)).expect("opens");
    journal.append(b"replaced").expect("appends");
    checkpoint(&mut journal, FIRST);
    journal.append(b"replaced too").expect("appends");
    checkpoint(&mut journal, b"the second state");
    journal.append(LATER).expect("appends");
    journal.flush().expect("flushes");
    drop(journal);
    assert_eq!(contents(directory.path()).len(), 2);
    let (_, entries, _) = open(directory.path(), small(4096, 0)).expect("opens");
    let expected = [
        Owned::Checkpoint(b"the second state".to_vec()),
        Owned::Step(LATER.to_vec()),
    ];
    assert_eq!(entries, expected);
}

/// It costs space only.
#[test]
fn a_checkpoint_that_fails_changes_nothing_and_the_journal_goes_on() {
    let directory = several_segments();
    let (mut journal, before, _) = open(directory.path(), small(256, 0)).expect("opens");
    let dropped = journal.begin_checkpoint().expect("begins");
    drop(dropped);
    let begun = journal.begin_checkpoint().expect("begins");
    let failed = begun.write(&mut |out| {
        out.write_all(&[7; 100_000])?;
        Err(std::io::Error::other("no space left"))
    });
    let error = failed.expect_err("fails").to_string();
    assert!(
        error.contains("no space left") && error.contains("nothing is lost"),
        "{error}"
    );
    // The name cannot be had: nothing was removed, for nothing has replaced it.
    let begun = journal.begin_checkpoint().expect("begins");
    let newest = newest_segment(directory.path());
    let taken = newest.with_extension("checkpoint").join("in the way");
    fs::create_dir_all(&taken).expect("creates");
    let failed = begun.write(&mut |out| out.write_all(b"state"));
    let error = failed.expect_err("fails").to_string();
    assert!(error.contains("naming"), "{error}");
    fs::remove_dir_all(newest.with_extension("checkpoint")).expect("removes");
    journal.append(b"goes on").expect("appends");
    journal.flush().expect("flushes");
    drop(journal);
    let (_, entries, _) = open(directory.path(), small(256, 0)).expect("opens");
    assert_eq!(entries, [before, steps(&[b"goes on"])].concat());
    let left = contents(directory.path());
    assert!(!left.keys().any(|path| is_unfinished(path)));
}

#[test]
fn a_segment_that_never_got_its_name_is_removed() {
    let directory = several_segments();
    let unfinished = directory.path().join("0000000000000099.journal.unfinished");
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
    let first = bytes.len() - 4 * 34;
    bytes.copy_within(first..first + 34, first + 2 * 34);
    fs::write(&segment, bytes).expect("writes");
    check_refused(
        directory.path(),
        ONE_SEGMENT,
        "entry 1 stands where entry 3 belongs",
    );
}
