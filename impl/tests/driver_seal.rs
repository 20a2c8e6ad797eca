//! When a node seals its journal: once, when it stops in order, with everything on disk.

use std::time::Duration;

use lockstep::runtime::driver::Failure;
use lockstep::runtime::journal::{FileJournalOptions, MemoryDisk, MemoryJournal};
use tempfile::tempdir;

use crate::driver::{alone, ask};
use crate::support::disks::{Trouble, TroubledJournal};
use crate::support::journals::{check_refused, newest_segment, open, open_unrecovered};
use crate::support::tally::{Command, Event};

fn troubled(disk: &MemoryDisk, trouble: &Trouble) -> TroubledJournal<MemoryJournal> {
    TroubledJournal::new(MemoryJournal::new(disk.clone()), trouble.clone())
}

#[test]
fn a_node_that_is_told_to_stop_seals_its_journal_behind_all_that_it_had_taken() {
    let (disk, trouble) = (MemoryDisk::new(), Trouble::default());
    let (node, events) = alone(troubled(&disk, &trouble));
    for n in 1..=20 {
        ask(&node, Command::Add(1));
        events.wait_for(Event::Added(n));
    }
    assert_eq!(trouble.seals(), 0, "not while it runs");
    ask(&node, Command::Add(1));
    node.shutdown().expect("stops in order");
    assert_eq!(trouble.seals(), 1);
    let (steps, flushed) = disk.steps();
    assert_eq!(steps, flushed);
}

/// The same on files: what the node had taken last is covered.
#[test]
fn the_last_step_of_a_node_that_stopped_is_known_to_be_missing() {
    let directory = tempdir().expect("tempdir");
    let options = FileJournalOptions {
        segment_bytes: 1 << 20,
        preallocate_bytes: 0,
    };
    let (node, events) = alone(open_unrecovered(directory.path(), options));
    for n in 1..=3 {
        ask(&node, Command::Add(1));
        events.wait_for(Event::Added(n));
    }
    node.shutdown().expect("stops in order");
    let segment = newest_segment(directory.path());
    let bytes = std::fs::read(&segment).expect("reads");
    std::fs::write(&segment, &bytes[..bytes.len() - 1]).expect("cut");
    let says = "was on disk when the node stopped in order";
    check_refused(directory.path(), options, says);
    std::fs::write(&segment, bytes).expect("put back");
    open(directory.path(), options).expect("whole");
}

#[test]
fn a_node_whose_journal_has_failed_seals_nothing() {
    let (disk, trouble) = (MemoryDisk::new(), Trouble::default());
    let (node, events) = alone(troubled(&disk, &trouble));
    events.expect(Event::Booted(0));
    disk.set_failing(true);
    ask(&node, Command::Add(1));
    let failure = node.shutdown().expect_err("the disk fails");
    assert!(matches!(failure, Failure::Journal(_)), "{failure}");
    assert_eq!(trouble.seals(), 0);
}

/// Everything is on disk all the same.
#[test]
fn a_seal_that_fails_does_not_keep_a_node_from_stopping_in_order() {
    let (disk, trouble) = (MemoryDisk::new(), Trouble::default());
    let (node, events) = alone(troubled(&disk, &trouble));
    ask(&node, Command::Add(1));
    events.wait_for(Event::Added(1));
    trouble.set_seal_failing(true);
    node.shutdown().expect("stops in order");
    assert_eq!(trouble.seals(), 1);
    let (_node, events) = alone(troubled(&disk, &Trouble::default()));
    events.expect(Event::Booted(1));
}

/// A disk may hang just then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_that_hangs_is_not_waited_for_longer_than_an_fsync() {
    let (disk, trouble) = (MemoryDisk::new(), Trouble::default());
    let (node, events) = alone(troubled(&disk, &trouble));
    ask(&node, Command::Add(1));
    events.wait_for(Event::Added(1));
    trouble.set_hanging(true);
    let patience = Duration::from_millis(200);
    let stopped = node.shutdown_within(patience, Duration::from_secs(20));
    let failure = stopped.await.expect_err("it hangs");
    let Failure::Hangs { waited, fsync } = &failure else {
        panic!("{failure}");
    };
    assert!(*waited < Duration::from_secs(10), "{failure}");
    assert!(fsync.is_some_and(|lasts| lasts >= patience), "{failure}");
    // Its thread ends with the disk's trouble.
    trouble.set_hanging(false);
}
