//! The whole runtime from a seed.

use std::time::Duration;

use lockstep::runtime::sim::{SimulatedEvent, Simulation, SimulationOptions};
use models::NodeId;
use proptest::prelude::*;

use crate::support::replay::{Showing, replay};
use crate::support::tally::{Command, Event, Tally, spans};
use crate::support::watch::watch;

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn cluster(options: SimulationOptions) -> Simulation<Tally> {
    let mut simulation = Simulation::new(options, spans);
    for id in 1..=3 {
        simulation.add(Tally::of(id, 3));
    }
    simulation
}

fn seeded(seed: u64) -> SimulationOptions {
    SimulationOptions {
        seed,
        ..SimulationOptions::default()
    }
}

/// Fsyncs of exactly 10 ms, messages that take none.
fn slow_disk() -> SimulationOptions {
    SimulationOptions {
        latency: millis(0)..=millis(0),
        fsync: millis(10)..=millis(10),
        ..SimulationOptions::default()
    }
}

/// A stormy minute: losses, crashes, a cut.
fn storm(seed: u64) -> (Simulation<Tally>, Vec<SimulatedEvent<Event>>) {
    let mut simulation = cluster(SimulationOptions {
        loss: 0.2,
        checkpoint_after_bytes: 6,
        checkpoint: millis(0)..=millis(8),
        ..seeded(seed)
    });
    for round in 0..30 {
        let id = NodeId(1 + round % 3);
        simulation.ask(id, Command::Add(1));
        simulation.run_for(millis(3));
        if round % 7 == 0 {
            simulation.crash(id);
            simulation.cut(ONE, TWO);
        }
        simulation.run_for(millis(20));
        simulation.heal();
        simulation.restart(id);
    }
    let events = simulation.take_events();
    (simulation, events)
}

#[test]
fn the_same_seed_does_the_same() {
    assert_eq!(storm(42).1, storm(42).1);
    assert_ne!(storm(42).1, storm(43).1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Faults off, the cluster converges; and what a node once said it had, it still has.
    #[test]
    fn after_the_storm_all_agree_and_nothing_said_is_lost(seed in any::<u64>()) {
        let (mut simulation, events) = storm(seed);
        simulation.set_loss(0.0);
        simulation.run_for(millis(200));
        for id in [1, 2, 3].map(NodeId) {
            let own = simulation.node(id).expect("up").durable().own;
            let said = events.iter().filter(|said| said.node == id).map(|said| match said.event {
                Event::Added(tally) => tally,
                _ => 0,
            });
            prop_assert!(own >= said.max().unwrap_or(0), "{id} said more than it has");
            for other in [1, 2, 3].map(NodeId).into_iter().filter(|other| *other != id) {
                let heard = simulation.node(other).expect("up").durable().heard.get(&id).copied();
                prop_assert_eq!(heard.unwrap_or(0), own);
            }
        }
    }
}

/// The node goes on while it is written, and a crash meanwhile leaves what it was to replace.
#[test]
fn a_checkpoint_replaces_steps_when_it_is_written_and_not_before() {
    let options = SimulationOptions {
        checkpoint_after_bytes: 1,
        checkpoint: millis(100)..=millis(100),
        ..slow_disk()
    };
    let steps = |simulation: &Simulation<Tally>| simulation.disk(ONE).expect("a node").steps();
    let mut simulation = Simulation::new(options, spans);
    simulation.add(Tally::of(1, 1));
    simulation.ask(ONE, Command::Add(1));
    simulation.run_for(millis(20));
    simulation.ask(ONE, Command::Add(1));
    simulation.run_for(millis(60));
    assert_eq!(steps(&simulation), (2, 2), "it is under way");
    simulation.crash(ONE);
    simulation.restart(ONE);
    simulation.run_for(millis(50));
    assert_eq!(steps(&simulation), (2, 2), "the crash left nothing of it");
    simulation.ask(ONE, Command::Add(1));
    simulation.run_for(millis(100));
    let (left, _) = steps(&simulation);
    assert_eq!(left, 1, "another has replaced what there was when it began");
    simulation.crash(ONE);
    simulation.restart(ONE);
    assert_eq!(simulation.node(ONE).expect("up").durable().own, 3);
}

#[test]
fn nothing_is_said_before_the_fsync_returns() {
    let mut simulation = cluster(slow_disk());
    simulation.take_events();
    simulation.ask(ONE, Command::Add(1));
    simulation.ask(ONE, Command::Read);
    simulation.run_for(Duration::from_micros(9_999));
    assert_eq!(simulation.take_events(), []);
    assert!(simulation.node(TWO).expect("up").durable().heard.is_empty());
    simulation.run_for(Duration::from_micros(1));
    let said: Vec<_> = simulation
        .take_events()
        .into_iter()
        .map(|said| said.event)
        .collect();
    assert_eq!(said, [Event::Added(1), Event::Tally(1)]);
}

/// Nor does it come with the order in which it was sent: it overtakes what waits.
#[test]
fn what_is_sent_early_does_not_wait_for_the_fsync() {
    let mut simulation = cluster(slow_disk());
    simulation.take_events();
    simulation.ask(ONE, Command::Add(1));
    simulation.ask(ONE, Command::ShowLife);
    simulation.run_for(Duration::from_micros(9_999));
    let said = simulation.take_events();
    let [two, three] = said.as_slice() else {
        panic!("{said:?}");
    };
    assert_eq!((two.node, &two.event), (TWO, &Event::SeenAlive(ONE)));
    assert_eq!(three.event, Event::SeenAlive(ONE));
}

#[test]
fn a_crash_before_the_fsync_returns_forgets_and_nobody_was_told() {
    let mut simulation = cluster(slow_disk());
    simulation.take_events();
    simulation.ask(ONE, Command::Add(1));
    simulation.run_for(millis(9));
    simulation.crash(ONE);
    assert!(!simulation.is_up(ONE));
    assert!(!simulation.ask(ONE, Command::Read));
    assert!(simulation.restart(ONE));
    simulation.run_for(millis(100));
    assert_eq!(simulation.node(ONE).expect("up").durable().own, 0);
    let told =
        |said: &SimulatedEvent<Event>| matches!(said.event, Event::Added(_) | Event::Heard(_, 1..));
    assert!(!simulation.take_events().iter().any(told));
}

#[test]
fn a_crash_after_the_fsync_returned_forgets_nothing() {
    let mut simulation = cluster(slow_disk());
    simulation.ask(ONE, Command::Add(1));
    simulation.run_for(millis(10));
    simulation.crash(ONE);
    simulation.restart(ONE);
    assert_eq!(simulation.node(ONE).expect("up").durable().own, 1);
}

#[test]
fn a_disk_that_fails_stops_its_node_and_no_other() {
    let mut simulation = cluster(slow_disk());
    simulation.take_events();
    simulation.disk(ONE).expect("a node").set_failing(true);
    simulation.ask(ONE, Command::Add(1));
    simulation.run_for(millis(50));
    assert!(!simulation.is_up(ONE));
    assert!(simulation.is_up(TWO));
    assert!(simulation.take_events().iter().all(|said| said.node != ONE));
}

#[test]
fn alarms_come_when_they_are_due() {
    let mut simulation = cluster(seeded(1));
    simulation.take_events();
    simulation.ask(TWO, Command::SetAlarm);
    simulation.run_for(Duration::from_secs(20));
    let alarm = SimulatedEvent {
        at: Duration::from_secs(10),
        node: TWO,
        event: Event::Alarm,
    };
    let alarms: Vec<_> = simulation
        .take_events()
        .into_iter()
        .filter(|said| said.event == Event::Alarm)
        .collect();
    assert_eq!(alarms, [alarm]);
}

#[test]
fn a_cut_holds_in_one_direction() {
    let mut simulation = cluster(seeded(1));
    simulation.cut(ONE, TWO);
    simulation.ask(ONE, Command::Add(5));
    simulation.ask(TWO, Command::Add(7));
    simulation.run_for(millis(200));
    assert_eq!(
        simulation.node(ONE).expect("up").durable().heard.get(&TWO),
        Some(&7)
    );
    assert_eq!(
        simulation.node(TWO).expect("up").durable().heard.get(&ONE),
        None
    );
}

/// A recording tells the whole life of a node, crash and all.
#[test]
fn a_recorded_node_steps_again_to_the_same_end() {
    let (sender, recording) = watch();
    let mut simulation = Simulation::new(seeded(5), spans);
    simulation.add(Tally::of(2, 2));
    simulation.record(move |_| Box::new(Showing(sender.clone())));
    simulation.add(Tally::of(1, 2));
    for _ in 0..10 {
        simulation.ask(ONE, Command::AddTwice(1));
        simulation.ask(TWO, Command::Add(1));
        simulation.run_for(millis(20));
    }
    simulation.crash(ONE);
    simulation.restart(ONE);
    simulation.run_for(millis(20));
    let remembered = replay(&Tally::of(1, 2), recording.so_far());
    assert_eq!(remembered.durable().own, 20);
    assert_eq!(
        remembered.durable(),
        simulation.node(ONE).expect("up").durable()
    );
}

/// An fsync that began before a crash says nothing about what was written after it.
#[test]
fn an_fsync_of_an_earlier_life_does_not_count() {
    let mut simulation = cluster(slow_disk());
    simulation.ask(ONE, Command::Add(1));
    simulation.run_for(millis(5));
    simulation.crash(ONE);
    simulation.restart(ONE);
    simulation.ask(ONE, Command::Add(1));
    simulation.take_events();
    simulation.run_for(millis(9));
    assert_eq!(simulation.take_events(), []);
    simulation.run_for(millis(1));
    let said = SimulatedEvent {
        at: millis(15),
        node: ONE,
        event: Event::Added(1),
    };
    assert_eq!(simulation.take_events(), [said]);
}
