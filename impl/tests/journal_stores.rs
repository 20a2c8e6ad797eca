//! What every store of a journal promises: in memory, in files, in a database.

use std::fs;
use std::path::Path;

use lockstep::kv::config::Timing;
use lockstep::runtime::journal::{
    DatabaseJournal, DirectoryLock, Journal, MemoryDisk, MemoryJournal, Store,
};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use crate::support::journals::{
    Owned, checkpoint, contents, directory_of, identity, recover, steps,
};
use crate::support::kv::KvCluster;

/// Where a journal is, and what it is kept in.
enum Place {
    Memory(MemoryDisk),
    Disk(Store, TempDir),
}

impl Place {
    fn all() -> [Self; 3] {
        let folder = || tempdir().expect("a folder");
        [
            Self::Memory(MemoryDisk::new()),
            Self::Disk(Store::Files, folder()),
            Self::Disk(Store::Database, folder()),
        ]
    }

    fn open(&self) -> Box<dyn Journal> {
        match self {
            Self::Memory(disk) => Box::new(MemoryJournal::new(disk.clone())),
            Self::Disk(store, folder) => {
                let lock = DirectoryLock::acquire(folder.path()).expect("free");
                store.journal(lock, identity())
            }
        }
    }

    /// What a process that is killed leaves, and a power failure at the same time.
    fn crash(&self) {
        if let Self::Memory(disk) = self {
            disk.crash();
        }
    }
}

/// What is done to a journal.
#[derive(Clone, Debug)]
enum Act {
    Append(Vec<u8>),
    Flush,
    Checkpoint,
    /// One that is begun and never written.
    DropCheckpoint,
    Crash,
    Stop,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Act::Append),
        3 => Just(Act::Flush),
        1 => Just(Act::Checkpoint),
        1 => Just(Act::DropCheckpoint),
        1 => Just(Act::Crash),
        1 => Just(Act::Stop),
    ]
}

/// What a journal must remember.
#[derive(Default)]
struct Expected {
    /// All steps that there are.
    steps: Vec<Vec<u8>>,
    /// How many of them are on disk for sure.
    flushed: usize,
    /// How many are in the latest state, if there is one.
    in_state: Option<usize>,
}

impl Expected {
    fn state(&self, count: usize) -> Vec<u8> {
        format!("{:?}", &self.steps[..count]).into_bytes()
    }

    /// That so many steps are remembered, in the form in which the journal should have them.
    fn entries(&self, count: usize) -> Vec<Owned> {
        let state = self
            .in_state
            .map(|count| Owned::Checkpoint(self.state(count)));
        let rest = &self.steps[self.in_state.unwrap_or(0)..count];
        { state.into_iter() }
            .chain(rest.iter().cloned().map(Owned::Step))
            .collect()
    }

    /// After a crash: everything that was flushed, and nothing that was not said.
    fn check(&mut self, found: &[Owned]) {
        let counts = self.flushed..=self.steps.len();
        let count = counts
            .into_iter()
            .find(|count| self.entries(*count) == found);
        let count = count.unwrap_or_else(|| panic!("lost or invented something: {found:?}"));
        self.steps.truncate(count);
        self.flushed = count;
    }
}

fn live(place: &Place, acts: &[Act]) {
    let mut expected = Expected::default();
    let mut journal = place.open();
    recover(&mut journal).expect("is new");
    for act in acts {
        match act {
            Act::Append(step) => {
                journal.append(step).expect("appends");
                expected.steps.push(step.clone());
            }
            Act::Flush => {
                journal.flush().expect("flushes");
                expected.flushed = expected.steps.len();
            }
            Act::Checkpoint => {
                let all = expected.steps.len();
                checkpoint(&mut journal, &expected.state(all));
                (expected.flushed, expected.in_state) = (all, Some(all));
            }
            Act::DropCheckpoint => {
                drop(journal.begin_checkpoint().expect("begins"));
                expected.flushed = expected.steps.len();
            }
            Act::Crash | Act::Stop => {
                if matches!(act, Act::Stop) {
                    journal.seal().expect("seals");
                    expected.flushed = expected.steps.len();
                }
                drop(journal);
                place.crash();
                journal = place.open();
                let (found, _) = recover(&mut journal).expect("recovers");
                expected.check(&found);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_store_remembers_what_was_flushed_and_nothing_else(
        acts in prop::collection::vec(act(), 1..40),
    ) {
        for place in Place::all() {
            live(&place, &acts);
        }
    }
}

/// Three steps on disk, in a database.
fn three_steps(directory: &Path) -> DatabaseJournal {
    let mut journal = DatabaseJournal::open(directory, identity()).expect("locks");
    recover(&mut journal).expect("is new");
    for step in [b"one".as_slice(), b"two", b"three"] {
        journal.append(step).expect("appends");
        journal.flush().expect("flushes");
    }
    journal
}

fn reopened(directory: &Path) -> Result<Vec<Owned>, String> {
    let mut journal = DatabaseJournal::open(directory, identity()).expect("locks");
    let recovered = recover(&mut journal).map_err(|error| error.to_string());
    recovered.map(|(entries, _)| entries)
}

#[test]
fn a_crash_at_any_moment_of_a_checkpoint_in_a_database_loses_nothing() {
    let directory = tempdir().expect("a folder");
    let mut journal = three_steps(directory.path());
    let state = vec![7; 3_500_000];
    let mut moments = Vec::new();
    let begun = journal.begin_checkpoint().expect("begins");
    journal.append(b"four").expect("appends");
    journal.flush().expect("goes on");
    let written = begun.write(&mut |out| {
        state.chunks(500_000).try_for_each(|chunk| {
            out.write_all(chunk)?;
            moments.push(contents(directory.path()));
            Ok(())
        })
    });
    assert_eq!(written.expect("writes"), 3_500_000);
    for moment in &moments {
        let copy = directory_of(moment);
        let before = steps(&[b"one", b"two", b"three", b"four"]);
        assert_eq!(reopened(copy.path()), Ok(before));
        // What was left of the state is in nobody's way.
        let mut journal = DatabaseJournal::open(copy.path(), identity()).expect("locks");
        recover(&mut journal).expect("recovers");
        checkpoint(&mut journal, b"another");
        drop(journal);
        let after = vec![Owned::Checkpoint(b"another".to_vec())];
        assert_eq!(reopened(copy.path()), Ok(after));
    }
    drop(journal);
    let after = vec![Owned::Checkpoint(state), Owned::Step(b"four".to_vec())];
    assert!(
        reopened(directory.path()) == Ok(after),
        "the state is another"
    );
}

/// A database whose process was killed, or that was left in order.
fn left(in_order: bool) -> TempDir {
    let directory = tempdir().expect("a folder");
    let mut journal = three_steps(directory.path());
    if in_order {
        journal.seal().expect("seals");
        drop(journal);
        return directory;
    }
    directory_of(&contents(directory.path()))
}

fn database(directory: &Path) -> std::path::PathBuf {
    directory.join("journal.redb")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Most of the file is empty: a change there changes nothing.
    #[test]
    fn damage_to_a_database_yields_a_prefix_or_a_refusal_and_a_sealed_one_loses_nothing(
        in_order in any::<bool>(),
        at in any::<prop::sample::Index>(),
        byte in 1..=255_u8,
        near_the_beginning in any::<bool>(),
    ) {
        let directory = left(in_order);
        let file = database(directory.path());
        let mut bytes = fs::read(&file).expect("reads");
        let at = at.index(if near_the_beginning { 512 } else { bytes.len() });
        bytes[at] ^= byte;
        fs::write(&file, &bytes).expect("writes");
        let all = steps(&[b"one", b"two", b"three"]);
        match reopened(directory.path()) {
            Ok(found) if in_order => prop_assert_eq!(found, all, "byte {}", at),
            Ok(found) => prop_assert!(all.starts_with(&found), "byte {}: {:?}", at, found),
            Err(words) => prop_assert!(words.contains("nothing was changed"), "{}", words),
        }
    }
}

#[test]
fn a_database_that_is_cut_short_is_refused() {
    let directory = left(true);
    let file = database(directory.path());
    let bytes = fs::read(&file).expect("reads");
    for length in [0, 100, 5000, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&file, &bytes[..length]).expect("writes");
        let refused = reopened(directory.path());
        assert!(
            refused.is_err(),
            "{length} of {} bytes: {refused:?}",
            bytes.len()
        );
    }
    fs::remove_file(&file).expect("removes");
    let words = reopened(directory.path()).expect_err("it was there");
    assert!(words.contains("is missing"), "{words}");
}

#[test]
fn a_database_of_somebody_else_is_refused() {
    let directory = left(true);
    let mut other = identity();
    other.node = models::NodeId(2);
    let mut journal = DatabaseJournal::open(directory.path(), other).expect("locks");
    let error = recover(&mut journal).expect_err("refused").to_string();
    assert!(error.contains("belongs to another node"), "{error}");
}

#[test]
fn a_directory_with_two_journals_is_refused() {
    let directory = left(true);
    let lock = DirectoryLock::acquire(directory.path()).expect("free");
    fs::remove_file(directory.path().join("seal")).expect("there is one");
    recover(&mut Store::Files.journal(lock.clone(), identity())).expect("is new");
    let error = Store::of(directory.path()).expect_err("two").to_string();
    assert!(error.contains("Move away the one"), "{error}");
}

/// Nothing is lost on the way there and back, and the old journal stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_moves_its_journal_when_the_file_says_so() {
    let mut cluster = KvCluster::start(1, Timing::default()).await;
    let directory = cluster.config.nodes[0].data_directory.clone();
    for (number, store) in [Store::Files, Store::Database, Store::Files]
        .into_iter()
        .enumerate()
    {
        cluster.stop(1).await;
        cluster.config.nodes[0].journal = store;
        cluster.restart(1).await;
        let put = cluster.put(1, &format!("key-{number}"), "value").await;
        assert_eq!(put.status, 200, "{put:?}");
        for earlier in 0..=number {
            let got = cluster.get(1, &format!("/kv/key-{earlier}")).await;
            assert_eq!((got.status.as_u16(), got.text.as_str()), (200, "value"));
        }
        assert_eq!(database(&directory).exists(), store == Store::Database);
    }
    let kept = ["journal-in-files-1", "journal-in-database-1"];
    assert!(kept.iter().all(|folder| directory.join(folder).is_dir()));
    cluster.stop_all().await;
}
