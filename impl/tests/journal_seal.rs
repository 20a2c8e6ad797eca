//! Sealed journals: what was on disk when a node stopped in order is there, or its loss is noticed.
//! Without a seal, and behind one, a bad last write is an interrupted one, as ever.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use lockstep::Identity;
use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use lockstep::runtime::journal::{
    DirectoryLock, FileJournal, FileJournalOptions, Journal, remove_unused,
};
use models::DiskId;
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use crate::support::journals::{
    Owned, check_refused, checkpoint, contents, identity, newest_segment, open, segments, small,
    steps, write_groups,
};
use crate::support::processes::{ONE, client};
use crate::support::program::PROGRAM;

const ONE_SEGMENT: FileJournalOptions = FileJournalOptions {
    segment_bytes: 1 << 20,
    preallocate_bytes: 0,
};
const SAYS: &str = "was on disk when the node stopped in order";

/// Opens the journal in `directory`, appends these steps, and leaves it in order.
fn write_and_seal(directory: &Path, options: FileJournalOptions, payloads: &[&[u8]]) {
    let (mut journal, _, _) = open(directory, options).expect("opens");
    for step in payloads {
        journal.append(step).expect("appends");
    }
    journal.seal().expect("seals");
}

fn seal_of(directory: &Path) -> PathBuf {
    directory.join("seal")
}

/// Two steps, sealed. Returns where their frames are in the only segment.
fn sealed() -> (TempDir, Range<usize>) {
    let directory = tempdir().expect("tempdir");
    write_groups(directory.path(), ONE_SEGMENT, &[]);
    let length = |directory: &Path| fs::read(newest_segment(directory)).expect("reads").len();
    let header = length(directory.path());
    write_and_seal(directory.path(), ONE_SEGMENT, &[b"first", b"second"]);
    let end = length(directory.path());
    (directory, header..end)
}

/// Changes the newest segment, looks, and puts it back.
fn with_newest(directory: &Path, change: impl FnOnce(&mut Vec<u8>), look: impl FnOnce()) {
    let path = newest_segment(directory);
    let bytes = fs::read(&path).expect("reads");
    let mut changed = bytes.clone();
    change(&mut changed);
    fs::write(&path, changed).expect("writes");
    look();
    fs::write(&path, bytes).expect("writes");
}

#[test]
fn a_sealed_journal_comes_back_and_goes_on() {
    let directory = tempdir().expect("tempdir");
    let path = directory.path();
    for options in [ONE_SEGMENT, small(100, 64), small(1 << 20, 4096)] {
        let (_, before, _) = open(path, options).expect("opens");
        write_and_seal(path, options, &[b"one", b"two"]);
        let (mut journal, entries, recovered) = open(path, options).expect("opens");
        assert_eq!(entries, [before, steps(&[b"one", b"two"])].concat());
        assert_eq!(recovered.torn_bytes, 0);
        // Nothing is wrong with one that is sealed twice, or goes on after it.
        journal.append(b"three").expect("appends");
        journal.seal().expect("seals");
        journal.append(b"four").expect("appends");
        journal.seal().expect("seals");
        drop(journal);
        let (_, again, _) = open(path, options).expect("opens");
        assert_eq!(again[entries.len()..], steps(&[b"three", b"four"]));
    }
}

#[test]
fn a_sealed_journal_that_is_cut_at_any_byte_is_refused() {
    let (directory, frames) = sealed();
    for at in 0..frames.end {
        let cut = |bytes: &mut Vec<u8>| bytes.truncate(at);
        let says = if at < frames.start { "" } else { SAYS };
        let path = directory.path();
        with_newest(path, cut, || check_refused(path, ONE_SEGMENT, says));
        let zeros = |bytes: &mut Vec<u8>| bytes[at..].fill(0);
        with_newest(path, zeros, || check_refused(path, ONE_SEGMENT, says));
    }
    let (_, entries, _) = open(directory.path(), ONE_SEGMENT).expect("whole");
    assert_eq!(entries, steps(&[b"first", b"second"]));
}

#[test]
fn a_flipped_byte_anywhere_in_a_sealed_journal_is_refused() {
    let (directory, frames) = sealed();
    for at in 0..frames.end {
        let flip = |bytes: &mut Vec<u8>| bytes[at] ^= 0x40;
        let path = directory.path();
        with_newest(path, flip, || check_refused(path, ONE_SEGMENT, ""));
    }
}

/// Both steps went with one fsync: without the seal this would be an interrupted write.
#[test]
fn the_same_damage_without_a_seal_is_an_interrupted_write() {
    let (directory, frames) = sealed();
    fs::remove_file(seal_of(directory.path())).expect("removes");
    let flip = |bytes: &mut Vec<u8>| bytes[frames.end - 1] ^= 0x40;
    with_newest(directory.path(), flip, || {
        let (_, entries, recovered) = open(directory.path(), ONE_SEGMENT).expect("opens");
        assert_eq!(entries, steps(&[b"first"]));
        assert!(recovered.torn_bytes > 0);
    });
}

#[test]
fn a_crash_behind_a_seal_keeps_every_whole_entry_and_is_never_refused() {
    let (directory, frames) = sealed();
    let path = directory.path();
    write_groups(path, ONE_SEGMENT, &[vec![b"third".to_vec()]]);
    let end = fs::read(newest_segment(path)).expect("reads").len();
    for at in frames.end..end {
        let cut = |bytes: &mut Vec<u8>| bytes.truncate(at);
        with_newest(path, cut, || {
            let (_, entries, _) = open(path, ONE_SEGMENT).expect("opens");
            assert_eq!(entries, steps(&[b"first", b"second"]), "cut at {at}");
        });
    }
    let (_, entries, _) = open(path, ONE_SEGMENT).expect("opens");
    assert_eq!(entries, steps(&[b"first", b"second", b"third"]));
}

#[test]
fn a_sealed_journal_without_its_newest_segment_or_without_any_is_refused() {
    let directory = tempdir().expect("tempdir");
    let path = directory.path();
    let options = small(100, 0);
    write_and_seal(path, options, &[&[1; 60], &[2; 60], &[3; 60]]);
    let all = segments(path);
    assert_eq!(all.len(), 3);
    for segment in all.iter().rev() {
        fs::remove_file(segment).expect("removes");
        check_refused(path, options, SAYS);
    }
}

#[test]
fn a_checkpoint_and_a_seal_go_together() {
    let directory = tempdir().expect("tempdir");
    let path = directory.path();
    let options = small(200, 0);
    write_and_seal(path, options, &[b"replaced"]);
    // The seal of an earlier stop covers what the checkpoint has replaced.
    let (mut journal, _, _) = open(path, options).expect("opens");
    checkpoint(&mut journal, b"state");
    drop(journal);
    let state = Owned::Checkpoint(b"state".to_vec());
    let (mut journal, entries, _) = open(path, options).expect("opens");
    assert_eq!(entries, std::slice::from_ref(&state));
    journal.append(b"after").expect("appends");
    journal.seal().expect("seals");
    drop(journal);
    let (_, entries, _) = open(path, options).expect("opens");
    assert_eq!(entries, [vec![state], steps(&[b"after"])].concat());
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1);
    with_newest(path, cut, || check_refused(path, options, SAYS));
}

#[test]
fn a_seal_that_is_damaged_is_refused() {
    let (directory, _) = sealed();
    let seal = seal_of(directory.path());
    let bytes = fs::read(&seal).expect("reads");
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x40;
        fs::write(&seal, flipped).expect("writes");
        check_refused(directory.path(), ONE_SEGMENT, "seal");
        fs::write(&seal, &bytes[..at]).expect("writes");
        check_refused(directory.path(), ONE_SEGMENT, "seal");
    }
    fs::write(&seal, [&bytes[..], &[0]].concat()).expect("writes");
    check_refused(directory.path(), ONE_SEGMENT, "something follows the seal");
}

/// The crash comes while the seal is written: the one before it, or none, is there still.
#[test]
fn a_crash_at_any_byte_of_an_unfinished_seal_loses_nothing() {
    let (directory, _) = sealed();
    let path = directory.path();
    let seal = fs::read(seal_of(path)).expect("reads");
    let unfinished = path.join("seal.unfinished");
    for has_an_older_one in [true, false] {
        for length in 0..=seal.len() {
            fs::write(&unfinished, &seal[..length]).expect("writes");
            let (_, entries, _) = open(path, ONE_SEGMENT).expect("opens");
            assert_eq!(entries, steps(&[b"first", b"second"]));
            assert!(!unfinished.exists());
            assert_eq!(seal_of(path).exists(), has_an_older_one);
        }
        if has_an_older_one {
            fs::remove_file(seal_of(path)).expect("removes");
        }
    }
}

#[test]
fn a_seal_of_somebody_else_is_refused() {
    let (directory, _) = sealed();
    let elsewhere = tempdir().expect("tempdir");
    let other = Identity {
        disk: DiskId([9; 16]),
        ..identity()
    };
    let mut journal = FileJournal::open(elsewhere.path(), other, ONE_SEGMENT).expect("locks");
    journal.recover(&mut |_| Ok(())).expect("new");
    journal.seal().expect("seals");
    fs::copy(seal_of(elsewhere.path()), seal_of(directory.path())).expect("copies");
    check_refused(directory.path(), ONE_SEGMENT, "belongs to another node");
}

/// A journal without an entry was never anybody's: nothing of it is left to contradict the next.
#[test]
fn what_is_removed_unused_takes_its_seal_with_it() {
    let directory = tempdir().expect("tempdir");
    write_and_seal(directory.path(), ONE_SEGMENT, &[]);
    assert!(seal_of(directory.path()).exists());
    let lock = DirectoryLock::acquire(directory.path()).expect("free");
    remove_unused(&lock).expect("removes");
    drop(lock);
    assert_eq!(contents(directory.path()).len(), 0);
}

#[test]
fn a_journal_that_has_failed_is_not_sealed() {
    let parent = tempdir().expect("tempdir");
    let directory = parent.path().join("journal");
    let (mut journal, _, _) = open(&directory, ONE_SEGMENT).expect("opens");
    fs::remove_dir_all(&directory).expect("removes");
    let error = journal.seal().expect_err("nowhere").to_string();
    assert!(error.contains("seal"), "{error}");
    let error = journal.seal().expect_err("dead").to_string();
    assert!(error.contains("stopped by an earlier error"), "{error}");
}

/// What happens to a journal between two starts.
#[derive(Clone, Debug)]
struct Life {
    groups: Vec<Vec<Vec<u8>>>,
    is_checkpointed: bool,
    is_sealed: bool,
}

fn life() -> impl Strategy<Value = Life> {
    let step = prop::collection::vec(any::<u8>(), 0..40);
    let groups = prop::collection::vec(prop::collection::vec(step, 1..4), 0..4);
    (groups, prop::bool::weighted(0.2), any::<bool>()).prop_map(
        |(groups, is_checkpointed, is_sealed)| Life {
            groups,
            is_checkpointed,
            is_sealed,
        },
    )
}

/// What is done to the newest segment.
#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Zeros(prop::sample::Index),
    Flip(prop::sample::Index),
    Gone,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        any::<prop::sample::Index>().prop_map(Damage::Zeros),
        any::<prop::sample::Index>().prop_map(Damage::Flip),
        Just(Damage::Gone),
    ]
}

impl Damage {
    fn strike(&self, path: &Path) {
        let mut bytes = fs::read(path).expect("reads");
        match self {
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Zeros(at) => {
                let from = at.index(bytes.len());
                bytes[from..].fill(0);
            }
            Self::Flip(at) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 0x10;
            }
            Self::Gone => return fs::remove_file(path).expect("removes"),
        }
        fs::write(path, bytes).expect("writes");
    }
}

/// What the entries amount to: a checkpoint stands for all steps before it.
fn count(entries: &[Owned]) -> usize {
    let add = |sum, entry: &Owned| match entry {
        Owned::Step(_) => sum + 1,
        Owned::Checkpoint(state) => usize::from_le_bytes(state[..8].try_into().expect("a count")),
    };
    entries.iter().fold(0, add)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// However a journal lived, and whatever is done to its newest segment: what comes back is a
    /// prefix of what was written that holds all that was sealed, or it is refused. Undamaged it is
    /// never refused.
    #[test]
    fn nothing_that_was_sealed_is_lost_without_a_word(
        lives in prop::collection::vec(life(), 1..4),
        damage in damage(),
        segment_bytes in 100_u64..600,
        preallocate_bytes in prop::sample::select(vec![0_u64, 64, 4096]),
    ) {
        let directory = tempdir().expect("tempdir");
        let path = directory.path();
        let options = small(segment_bytes, preallocate_bytes);
        let (mut written, mut sealed) = (0, 0);
        for life in &lives {
            let (mut journal, entries, recovered) = open(path, options).expect("opens");
            prop_assert_eq!((count(&entries), recovered.torn_bytes), (written, 0));
            for group in &life.groups {
                for step in group {
                    journal.append(step).expect("appends");
                    written += 1;
                }
                journal.flush().expect("flushes");
            }
            if life.is_checkpointed {
                checkpoint(&mut journal, &written.to_le_bytes());
            }
            if life.is_sealed {
                journal.seal().expect("seals");
                sealed = written;
            }
        }
        let (_, all, _) = open(path, options).expect("opens");
        prop_assert_eq!(count(&all), written);

        damage.strike(&newest_segment(path));
        if let Ok((mut journal, entries, _)) = open(path, options) {
            prop_assert!(all.starts_with(&entries));
            prop_assert!(count(&entries) >= sealed, "{} of {sealed}", count(&entries));
            // It works, and stays recovered.
            journal.append(b"new").expect("appends");
            journal.seal().expect("seals");
            drop(journal);
            let (_, again, recovered) = open(path, options).expect("reopens");
            prop_assert_eq!(count(&again), count(&entries) + 1);
            prop_assert_eq!(recovered.torn_bytes, 0);
        }
    }
}

/// Alters the last byte that was written to the journal of a node that does not run. Returns the
/// segment, and what it held before.
fn alter_last_byte(directory: &Path) -> (PathBuf, Vec<u8>) {
    let path = newest_segment(directory);
    let bytes = fs::read(&path).expect("reads");
    let mut altered = bytes.clone();
    let last = bytes.iter().rposition(|byte| *byte != 0).expect("frames");
    altered[last] ^= 0x10;
    fs::write(&path, altered).expect("writes");
    (path, bytes)
}

/// The same as a node lives it: told to stop it leaves a seal, killed it leaves none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stopped_in_order_refuses_a_damaged_last_entry_and_one_that_was_killed_cuts_it()
{
    let mut nodes = Processes::start(Path::new(PROGRAM), 1, Timing::default()).expect("starts");
    let directory = nodes.data_directory(ONE);
    client(&nodes).put(b"k", "v".into()).await.expect("put");
    assert!(!seal_of(&directory).exists());
    let ended = nodes.stop_all().expect("stops");
    assert!(
        ended.iter().all(|(_, status)| status.success()),
        "{ended:?}"
    );
    assert!(seal_of(&directory).exists());

    let (segment, bytes) = alter_last_byte(&directory);
    let before = contents(&directory);
    // It may have listened for a moment, which is all that is waited for.
    let _ = nodes.launch(ONE);
    let status = nodes.wait(ONE).expect("ends");
    assert_eq!(status.code(), Some(2));
    let said = nodes.log_tail(ONE);
    for words in [SAYS, "is damaged at byte", "nothing was changed"] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    assert!(contents(&directory) == before, "a refusal changed files");

    // Undone it starts, and has everything.
    fs::write(segment, bytes).expect("put back");
    nodes.launch(ONE).expect("starts");
    let mut client = client(&nodes);
    assert_eq!(client.get(b"k").await.expect("got"), Some("v".into()));
    client.put(b"last", "w".into()).await.expect("put");
    nodes.kill(ONE).expect("killed");
    alter_last_byte(&directory);
    nodes.launch(ONE).expect("an interrupted write is cut");
    assert_eq!(client.get(b"k").await.expect("got"), Some("v".into()));
}
