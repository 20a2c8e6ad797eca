//! One running node: what it answers, when, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use lockstep::runtime::clock::{Clock, ManualClock};
use lockstep::runtime::driver::{
    AskError, Failure, Inbox, NodeBuilder, NodeOptions, NodeStopped, RunningNode, Status, mailbox,
};
use lockstep::runtime::journal::{FileJournalOptions, Journal, MemoryDisk, MemoryJournal};
use lockstep::runtime::transport::NoTransport;
use models::NodeId;
use tempfile::tempdir;

use crate::support::disks::{Fsyncs, Trouble, TroubledJournal, slow_journal};
use crate::support::journals::open_unrecovered;
use crate::support::tally::{Command, Event, Message, Tally, spans};
use crate::support::watch::{Shown, Watch, events, eventually, watch};

/// A node alone, with an inbox of the usual size. Its clock stands still.
pub(crate) fn alone(journal: impl Journal) -> (RunningNode<Tally>, Watch<Event>) {
    let (sink, events) = events();
    let node = NodeBuilder::new(Tally::of(1, 1), spans, sink)
        .clock(ManualClock::new())
        .spawn(mailbox(64), journal, NoTransport)
        .expect("starts");
    (node, events)
}

/// A node with a peer that never answers, and fsyncs under control. Also shows its messages.
struct Controlled {
    node: RunningNode<Tally>,
    fsyncs: Fsyncs,
    events: Watch<Event>,
    messages: Watch<(NodeId, Message)>,
    clock: ManualClock,
}

fn controlled(disk: MemoryDisk, options: NodeOptions) -> Controlled {
    let (sink, events) = events();
    let (sent, messages) = watch();
    let (journal, fsyncs) = slow_journal(disk);
    let clock = ManualClock::new();
    let node = NodeBuilder::new(Tally::of(1, 2), spans, sink)
        .clock(clock.clone())
        .options(options)
        .spawn(mailbox(4), journal, Shown(sent))
        .expect("starts");
    events.expect(Event::Booted(0));
    Controlled {
        node,
        fsyncs,
        events,
        messages,
        clock,
    }
}

pub(crate) fn ask(node: &RunningNode<Tally>, command: Command) {
    node.inbox().ask(command).expect("taken");
}

#[test]
fn events_come_in_the_order_of_the_commands() {
    let (node, events) = alone(MemoryJournal::new(MemoryDisk::new()));
    for command in [Command::Add(2), Command::Read, Command::Add(3)] {
        ask(&node, command);
    }
    for event in [
        Event::Booted(0),
        Event::Added(2),
        Event::Tally(2),
        Event::Added(5),
    ] {
        events.expect(event);
    }
    node.shutdown().expect("stops in order");
}

#[test]
fn nothing_leaves_before_its_record_is_on_disk() {
    let it = controlled(MemoryDisk::new(), NodeOptions::default());
    ask(&it.node, Command::Add(1));
    it.fsyncs.wait_for_one();
    it.events.expect_nothing();
    assert_eq!(it.messages.so_far(), []);
    it.fsyncs.succeed();
    it.events.expect(Event::Added(1));
    it.messages.expect((NodeId(2), Message::Tally(1)));
}

/// What promises nothing about the disk overtakes what does; until the disk has kept a record
/// waiting for so long that others should take the node for gone.
#[test]
fn what_is_sent_early_waits_for_no_record_and_is_dropped_while_the_disk_hangs() {
    let it = controlled(MemoryDisk::new(), NodeOptions::default());
    let (peer, metrics) = (NodeId(2), it.node.inbox().metrics().clone());
    ask(&it.node, Command::Add(1));
    it.fsyncs.wait_for_one();
    ask(&it.node, Command::ShowLife);
    it.messages.expect((peer, Message::Alive));
    assert_eq!(metrics.early_dropped.get(), 0);

    it.clock.advance(NodeOptions::default().early_patience);
    ask(&it.node, Command::ShowLife);
    eventually("it is dropped", || metrics.early_dropped.get() == 1);
    it.events.expect_nothing();

    it.fsyncs.succeed();
    it.events.expect(Event::Added(1));
    it.messages.wait_for((peer, Message::Tally(1)));
    ask(&it.node, Command::ShowLife);
    it.messages.wait_for((peer, Message::Alive));
}

/// A step that writes nothing may have read what is not on disk yet.
#[test]
fn an_answer_that_rests_on_an_unwritten_record_waits_too() {
    let it = controlled(MemoryDisk::new(), NodeOptions::default());
    ask(&it.node, Command::Add(1));
    it.fsyncs.wait_for_one();
    ask(&it.node, Command::Read);
    it.events.expect_nothing();
    it.fsyncs.succeed();
    it.events.expect(Event::Added(1));
    it.events.expect(Event::Tally(1));
}

#[test]
fn an_inspection_waits_for_the_disk_as_well() {
    let it = controlled(MemoryDisk::new(), NodeOptions::default());
    ask(&it.node, Command::Add(1));
    it.fsyncs.wait_for_one();
    let inbox = it.node.inbox().clone();
    let (answer, answers) = watch();
    let asking = std::thread::spawn(move || {
        let seen = inbox.inspect_blocking(|node| node.durable().own);
        answer.send(seen).expect("a test");
    });
    answers.expect_nothing();
    it.fsyncs.succeed();
    answers.expect(Ok(1));
    asking.join().expect("asks");
}

/// While one fsync lasts, the node goes on stepping; the next one covers all of it.
#[test]
fn steps_go_on_during_an_fsync_and_share_the_next_one() {
    let it = controlled(MemoryDisk::new(), NodeOptions::default());
    ask(&it.node, Command::Add(1));
    it.fsyncs.wait_for_one();
    let metrics = it.node.inbox().metrics().clone();
    for steps in 2..=5 {
        ask(&it.node, Command::Add(1));
        eventually("stepping goes on", || metrics.steps.get() == steps);
    }
    it.fsyncs.succeed();
    it.fsyncs.succeed();
    it.events.wait_for(Event::Added(5));
    assert_eq!(metrics.journal_frames.get(), 5);
    eventually("two fsyncs for five frames", || {
        metrics.journal_flushes.get() == 2
    });
}

/// All of a step's records survive a crash, or none.
#[test]
fn the_records_of_one_step_are_one_frame() {
    let disk = MemoryDisk::new();
    let (node, events) = alone(MemoryJournal::new(disk.clone()));
    ask(&node, Command::AddTwice(3));
    events.wait_for(Event::Added(6));
    assert_eq!(disk.steps(), (1, 1));
    assert_eq!(node.inbox().metrics().records.get(), 2);
}

/// A timer never leaves its node, so it does not wait for the disk: were it to, a step could
/// see a timer fire that an earlier step has disarmed.
#[test]
fn a_timer_is_stopped_though_the_disk_lags_behind() {
    let it = controlled(MemoryDisk::new(), NodeOptions::default());
    ask(&it.node, Command::SetAlarm);
    ask(&it.node, Command::Add(1));
    it.fsyncs.wait_for_one();
    ask(&it.node, Command::StopAlarm);
    let metrics = it.node.inbox().metrics().clone();
    eventually("all are stepped", || metrics.steps.get() == 3);
    it.clock.advance(Duration::from_secs(11));
    eventually("gossip goes on", || metrics.steps.get() > 3);
    it.fsyncs.succeed();
    it.events.expect(Event::Added(1));
    it.events.expect_nothing();
}

/// The whole of law 3, at its worst: the disk says no.
#[test]
fn after_a_failed_fsync_nothing_is_ever_answered() {
    let disk = MemoryDisk::new();
    let it = controlled(disk.clone(), NodeOptions::default());
    ask(&it.node, Command::Add(1));
    it.fsyncs.wait_for_one();
    ask(&it.node, Command::Read);
    it.fsyncs.fail();
    eventually("the node says so", || {
        matches!(it.node.status(), Status::Failed(Failure::Journal(_)))
    });
    eventually("it takes nothing more", || {
        it.node.inbox().ask(Command::Read) == Err(AskError::Stopped)
    });
    assert_eq!(it.node.inbox().inspect_blocking(|_| ()), Err(NodeStopped));
    it.events.expect_nothing();
    assert_eq!(it.messages.so_far(), []);
    let failure = it.node.shutdown().expect_err("it failed");
    assert!(
        failure.to_string().contains("its journal failed"),
        "{failure}"
    );
    disk.crash();
    assert_eq!(disk.steps(), (0, 0), "what was never confirmed may be lost");
}

#[test]
fn a_busy_node_refuses_commands_and_counts_them() {
    let options = NodeOptions {
        batch_size: 1,
        batches_in_flight: 1,
        ..NodeOptions::default()
    };
    let it = controlled(MemoryDisk::new(), options);
    let refused = (0..100).find_map(|_| it.node.inbox().ask(Command::Add(1)).err());
    assert_eq!(refused, Some(AskError::Busy));
    assert_eq!(it.node.inbox().metrics().commands_refused.get(), 1);
    (0..100).for_each(|_| it.fsyncs.succeed());
    it.events.wait_for(Event::Added(3));
}

/// A node whose disk hangs, with as much in flight as it bears.
/// Also says how much it has taken.
fn hanging() -> (Controlled, Inbox<Tally>, u64) {
    let options = NodeOptions {
        batch_size: 1,
        batches_in_flight: 2,
        ..NodeOptions::default()
    };
    let it = controlled(MemoryDisk::new(), options);
    let inbox = it.node.inbox().clone();
    let asks = (0..100).take_while(|_| inbox.ask(Command::Add(1)).is_ok());
    let taken = asks.count() as u64;
    assert!(
        (4..=6).contains(&taken),
        "{taken} with room for 4 and 2 in flight"
    );
    it.fsyncs.wait_for_one();
    eventually("as much is in flight as may be", || {
        inbox.metrics().steps.get() == 2
    });
    (it, inbox, taken)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(future)
}

/// Item 7: the stepper waited for the disk, and everybody for the stepper.
#[test]
fn a_node_whose_disk_hangs_takes_nothing_in_but_fires_timers_and_shows_itself() {
    let (it, inbox, taken) = hanging();
    let look = || block_on(inbox.inspect_unflushed(|node| node.durable().own));
    assert_eq!(look(), Ok(2), "shown, though it is not on disk");
    it.clock.advance(Duration::from_secs(3600));
    eventually("timers fire", || inbox.metrics().steps.get() > 2);
    assert_eq!(look(), Ok(2), "what waits in the inbox is not taken");
    assert!(inbox.metrics().flushes.in_progress().is_some());
    it.events.expect_nothing();
    assert_eq!(it.messages.so_far(), [], "nor is anybody told");
    // The disk comes back: what had been taken is done.
    (0..100).for_each(|_| it.fsyncs.succeed());
    it.events.wait_for(Event::Added(taken));
    it.node.shutdown().expect("stops in order");
}

#[test]
fn a_node_whose_disk_hangs_is_not_waited_for_when_it_is_told_to_stop() {
    let (it, inbox, _) = hanging();
    let patience = Duration::from_millis(100);
    let failure = block_on(it.node.shutdown_within(patience, Duration::from_secs(60)));
    let failure = failure.expect_err("it hangs").to_string();
    assert!(failure.contains("has not returned for"), "{failure}");
    assert!(failure.contains("nobody was told of it"), "{failure}");
    assert_eq!(inbox.ask(Command::Read), Err(AskError::Stopped));
    it.events.expect_nothing();
}

#[test]
fn a_slow_disk_is_waited_for_when_the_node_is_told_to_stop() {
    let trouble = Trouble::default();
    trouble.set_fsync(Duration::from_millis(50));
    let disk = MemoryDisk::new();
    let (node, events) = alone(TroubledJournal::new(
        MemoryJournal::new(disk.clone()),
        trouble,
    ));
    let patience = Duration::from_secs(30);
    (0..20).for_each(|_| ask(&node, Command::Add(1)));
    block_on(node.shutdown_within(patience, patience)).expect("stops in order");
    events.wait_for(Event::Added(20));
    assert_eq!(disk.steps(), (20, 20));
}

#[test]
fn slow_fsyncs_are_counted() {
    let trouble = Trouble::default();
    let (sink, events) = events();
    let journal = TroubledJournal::new(MemoryJournal::new(MemoryDisk::new()), trouble.clone());
    let node = NodeBuilder::new(Tally::of(1, 1), spans, sink)
        .options(NodeOptions {
            slow_flush: Duration::from_millis(100),
            ..NodeOptions::default()
        })
        .clock(ManualClock::new())
        .spawn(mailbox(64), journal, NoTransport)
        .expect("starts");
    let metrics = node.inbox().metrics().clone();
    trouble.set_fsync(Duration::from_millis(100));
    ask(&node, Command::Add(1));
    events.wait_for(Event::Added(1));
    assert_eq!(metrics.journal_flushes_slow.get(), 1);
    assert!(metrics.flushes.last() >= Duration::from_millis(100));
    assert_eq!(metrics.flushes.ended().count(), 1);
    node.shutdown().expect("stops in order");
}

/// A clock of which nobody is told that it goes on.
#[derive(Clone)]
struct Unheard(ManualClock);

impl Clock for Unheard {
    fn now(&self) -> Duration {
        self.0.now()
    }

    fn nap(&self, _deadline: Duration) -> Duration {
        Duration::from_secs(3600)
    }
}

#[test]
fn what_has_run_out_fires_before_the_inputs_that_wait_where_the_host_wants_it() {
    for timers_first in [false, true] {
        let (sink, events) = events();
        let clock = ManualClock::new();
        let node = NodeBuilder::new(Tally::of(1, 1), spans, sink)
            .clock(Unheard(clock.clone()))
            .options(NodeOptions {
                timers_first,
                ..NodeOptions::default()
            })
            .spawn(
                mailbox(4),
                MemoryJournal::new(MemoryDisk::new()),
                NoTransport,
            )
            .expect("starts");
        events.expect(Event::Booted(0));
        ask(&node, Command::SetAlarm);
        ask(&node, Command::Read);
        events.expect(Event::Tally(0));
        clock.advance(Duration::from_secs(3600));
        ask(&node, Command::StopAlarm);
        ask(&node, Command::Add(1));
        if timers_first {
            events.wait_for(Event::Alarm);
            events.wait_for(Event::Added(1));
        } else {
            events.expect(Event::Added(1));
            events.expect_nothing();
        }
        node.shutdown().expect("stops in order");
    }
}

#[test]
fn shutting_down_finishes_what_was_taken() {
    let options = NodeOptions {
        batch_size: 1,
        batches_in_flight: 1,
        ..NodeOptions::default()
    };
    let disk = MemoryDisk::new();
    let it = controlled(disk.clone(), options);
    let inbox = it.node.inbox().clone();
    let taken = (0..100)
        .take_while(|_| inbox.ask(Command::Add(1)).is_ok())
        .count();
    assert!(taken >= 4, "the inbox is full");
    let stopping = std::thread::spawn(move || it.node.shutdown());
    (0..taken).for_each(|_| it.fsyncs.succeed());
    stopping.join().expect("no panic").expect("stops in order");
    it.events.wait_for(Event::Added(taken as u64));
    assert_eq!(disk.steps(), (taken, taken), "all flushed");
    assert_eq!(inbox.ask(Command::Read), Err(AskError::Stopped));
    assert_eq!(inbox.inspect_blocking(|_| ()), Err(NodeStopped));
}

#[test]
fn dropping_a_node_stops_it() {
    let (node, _events) = alone(MemoryJournal::new(MemoryDisk::new()));
    let inbox = node.inbox().clone();
    drop(node);
    eventually("it stops", || {
        inbox.ask(Command::Read) == Err(AskError::Stopped)
    });
}

#[test]
fn a_restarted_node_remembers() {
    let directory = tempdir().expect("tempdir");
    for (before, after) in [(0, 7), (7, 14), (14, 21)] {
        let journal = open_unrecovered(directory.path(), FileJournalOptions::default());
        let (node, events) = alone(journal);
        events.expect(Event::Booted(before));
        ask(&node, Command::Add(7));
        events.expect(Event::Added(after));
        node.shutdown().expect("stops in order");
    }
}

#[test]
fn a_journal_that_refuses_keeps_the_node_from_starting() {
    let disk = MemoryDisk::new();
    let mut other = MemoryJournal::new(disk.clone());
    other.recover(&mut |_| Ok(())).expect("recovers");
    other.append(b"\xff\xff\xff").expect("appends");
    other.flush().expect("flushes");
    let (sink, events) = events();
    let refused = NodeBuilder::new(Tally::of(1, 1), spans, sink)
        .spawn(mailbox(4), MemoryJournal::new(disk), NoTransport)
        .map(|_| ())
        .expect_err("refused");
    assert!(
        refused.to_string().contains("could not be understood"),
        "{refused}"
    );
    events.expect_nothing();
}

#[test]
fn a_panic_in_a_step_stops_the_node_and_nothing_leaves() {
    let (node, events) = alone(MemoryJournal::new(MemoryDisk::new()));
    events.expect(Event::Booted(0));
    ask(&node, Command::Panic);
    eventually("the node says so", || {
        matches!(node.status(), Status::Failed(Failure::Panicked("stepper")))
    });
    assert_eq!(node.inbox().ask(Command::Read), Err(AskError::Stopped));
    events.expect_nothing();
}

#[test]
fn a_panic_in_the_sink_stops_the_node() {
    let node = NodeBuilder::new(Tally::of(1, 1), spans, |event| {
        assert_eq!(event, Event::Booted(0))
    })
    .spawn(
        mailbox(4),
        MemoryJournal::new(MemoryDisk::new()),
        NoTransport,
    )
    .expect("starts");
    ask(&node, Command::Read);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let status = runtime.block_on(node.ended());
    assert!(
        matches!(status, Status::Failed(Failure::Panicked("releaser"))),
        "{status:?}"
    );
}

#[test]
fn a_node_hears_what_it_tells_itself() {
    let (node, events) = alone(MemoryJournal::new(MemoryDisk::new()));
    ask(&node, Command::Add(4));
    ask(&node, Command::TellYourself);
    events.wait_for(Event::Heard(NodeId(1), 4));
}

/// A node with a clock under control.
fn timed() -> (RunningNode<Tally>, Watch<Event>, ManualClock) {
    let clock = ManualClock::new();
    let (sink, events) = events();
    let node = NodeBuilder::new(Tally::of(1, 1), spans, sink)
        .clock(clock.clone())
        .spawn(
            mailbox(64),
            MemoryJournal::new(MemoryDisk::new()),
            NoTransport,
        )
        .expect("starts");
    events.expect(Event::Booted(0));
    (node, events, clock)
}

/// Asks, and waits until it is done.
fn ask_and_wait(node: &RunningNode<Tally>, command: Command) {
    ask(node, command);
    node.inbox().inspect_blocking(|_| ()).expect("runs");
}

#[test]
fn a_timer_fires_when_its_time_has_come() {
    let (node, events, clock) = timed();
    ask_and_wait(&node, Command::SetAlarm);
    clock.advance(Duration::from_millis(9_999));
    events.expect_nothing();
    clock.advance(Duration::from_millis(1));
    events.expect(Event::Alarm);
}

#[test]
fn a_stopped_timer_does_not_fire_and_a_restarted_one_starts_anew() {
    let (node, events, clock) = timed();
    ask_and_wait(&node, Command::SetAlarm);
    clock.advance(Duration::from_secs(9));
    ask_and_wait(&node, Command::StopAlarm);
    clock.advance(Duration::from_secs(9));
    events.expect_nothing();
    ask_and_wait(&node, Command::SetAlarm);
    clock.advance(Duration::from_secs(9));
    ask_and_wait(&node, Command::SetAlarm);
    clock.advance(Duration::from_secs(9));
    events.expect_nothing();
    clock.advance(Duration::from_secs(1));
    events.expect(Event::Alarm);
}

/// Inputs from many threads at once: each is stepped once, and every event leaves.
#[test]
fn many_clients_at_once() {
    let (node, events) = alone(MemoryJournal::new(MemoryDisk::new()));
    let node = Arc::new(node);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let inbox = node.inbox().clone();
            std::thread::spawn(move || {
                for _ in 0..500 {
                    while inbox.ask(Command::Add(1)) == Err(AskError::Busy) {
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    clients
        .into_iter()
        .for_each(|client| client.join().expect("asks"));
    events.wait_for(Event::Added(2000));
    let total = node.inbox().inspect_blocking(|node| node.durable().own);
    assert_eq!(total, Ok(2000));
    let metrics = node.inbox().metrics();
    let steps = metrics.counters().find(|(name, _)| *name == "steps");
    assert_eq!(steps, Some(("steps", 2000)));
}
