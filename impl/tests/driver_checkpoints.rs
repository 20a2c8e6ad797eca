//! The checkpoints of a running node: taken beside it, and given up when it stops.

use std::time::Duration;

use lockstep::runtime::clock::ManualClock;
use lockstep::runtime::driver::{AskError, NodeBuilder, NodeOptions, RunningNode, mailbox};
use lockstep::runtime::journal::{FileJournalOptions, Journal, MemoryDisk, MemoryJournal};
use lockstep::runtime::transport::NoTransport;
use tempfile::tempdir;

use crate::driver::{alone, ask};
use crate::support::disks::{Trouble, TroubledJournal};
use crate::support::journals::{open_unrecovered, segments};
use crate::support::tally::{Command, Event, Tally, spans};
use crate::support::watch::{Watch, events, eventually};

/// A node that takes a checkpoint now and then.
fn with_checkpoints(journal: impl Journal) -> (RunningNode<Tally>, Watch<Event>, ManualClock) {
    let (sink, events) = events();
    let clock = ManualClock::new();
    let node = NodeBuilder::new(Tally::of(1, 1), spans, sink)
        .options(NodeOptions {
            checkpoint_after_bytes: 100,
            ..NodeOptions::default()
        })
        .clock(clock.clone())
        .spawn(mailbox(64), journal, NoTransport)
        .expect("starts");
    (node, events, clock)
}

#[test]
fn a_checkpoint_keeps_the_journal_short_and_loses_nothing() {
    let directory = tempdir().expect("tempdir");
    let files = FileJournalOptions {
        segment_bytes: 256,
        preallocate_bytes: 0,
    };
    let (node, events, _) = with_checkpoints(open_unrecovered(directory.path(), files));
    let metrics = node.inbox().metrics().clone();
    for n in 1..=500 {
        ask(&node, Command::Add(1));
        events.wait_for(Event::Added(n));
        if n % 50 == 0 {
            // It is due within as many steps of the last, and taken beside the node.
            eventually("a checkpoint is taken", || {
                metrics.checkpoints.get() >= n / 50
            });
        }
    }
    node.shutdown().expect("stops in order");
    let left = segments(directory.path()).len();
    assert!(left <= 15, "500 steps in {left} segments");
    let (_node, events) = alone(open_unrecovered(directory.path(), files));
    events.expect(Event::Booted(500));
}

/// Item 6: the whole state was written before anything that waited could leave.
#[test]
fn a_checkpoint_holds_nothing_up() {
    let trouble = Trouble::default();
    trouble.set_checkpoint_waiting(true);
    let disk = MemoryDisk::new();
    let journal = TroubledJournal::new(MemoryJournal::new(disk.clone()), trouble.clone());
    let (node, events, _) = with_checkpoints(journal);
    let metrics = node.inbox().metrics().clone();
    for n in 1..=300 {
        ask(&node, Command::Add(1));
        events.wait_for(Event::Added(n));
    }
    assert_eq!(trouble.checkpoints_begun(), 1, "one at a time");
    assert_eq!((metrics.checkpoints.get(), disk.steps()), (0, (300, 300)));
    trouble.set_checkpoint_waiting(false);
    eventually("it is taken", || metrics.checkpoints.get() >= 1);
    assert!(disk.steps().0 < 300, "what it replaces is gone");
    ask(&node, Command::Add(1));
    events.wait_for(Event::Added(301));
    node.shutdown().expect("stops in order");
    let (_node, events) = alone(MemoryJournal::new(disk));
    events.expect(Event::Booted(301));
}

#[test]
fn a_checkpoint_that_fails_is_counted_and_tried_again_and_the_node_goes_on() {
    let trouble = Trouble::default();
    trouble.set_checkpoint_failing(true);
    let journal = TroubledJournal::new(MemoryJournal::new(MemoryDisk::new()), trouble.clone());
    let (node, events, clock) = with_checkpoints(journal);
    let metrics = node.inbox().metrics().clone();
    let add = |tally| {
        ask(&node, Command::Add(1));
        events.wait_for(Event::Added(tally));
    };
    (1..=60).for_each(add);
    eventually("it fails", || metrics.checkpoints_failed.get() == 1);
    (61..=160).for_each(add);
    assert_eq!(trouble.checkpoints_begun(), 1, "not at once");
    trouble.set_checkpoint_failing(false);
    clock.advance(Duration::from_secs(11));
    // The first that comes looks at the time.
    (161..=162).for_each(add);
    eventually("it succeeds", || metrics.checkpoints.get() >= 1);
    node.shutdown().expect("stops in order");
}

/// Shutting down does not take as long as the state is large.
#[test]
fn a_checkpoint_is_given_up_when_the_node_is_told_to_stop() {
    let trouble = Trouble::default();
    trouble.set_checkpoint_waiting(true);
    let disk = MemoryDisk::new();
    let journal = TroubledJournal::new(MemoryJournal::new(disk.clone()), trouble.clone());
    let (node, events, _) = with_checkpoints(journal);
    for n in 1..=60 {
        ask(&node, Command::Add(1));
        events.wait_for(Event::Added(n));
    }
    eventually("it is begun", || trouble.checkpoints_begun() == 1);
    let inbox = node.inbox().clone();
    let stopping = std::thread::spawn(move || node.shutdown());
    eventually("nothing is taken", || {
        inbox.ask(Command::Read) == Err(AskError::Stopped)
    });
    trouble.set_checkpoint_waiting(false);
    stopping.join().expect("no panic").expect("stops in order");
    assert_eq!(inbox.metrics().checkpoints.get(), 0);
    assert_eq!(inbox.metrics().checkpoints_failed.get(), 0);
    assert_eq!(disk.steps(), (60, 60));
}
