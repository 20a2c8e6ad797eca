//! Thesis §10.2: appends are pipelined, "and the leader falls back" when one gets lost.

use models::raft::Timer;
use models::raft::log::Index;
use models::raft::progress::{InFlight, Mode, Window};

use crate::support::bench::*;

/// A leader of two that sends one entry an append, at most two at a time. Its follower has the
/// no-op.
fn pipelining() -> Bench {
    let mut bench = Bench::leader(2, 1, &[]).carrying(1).with_window(2);
    bench.deliver(1, accepted(1, 1));
    bench
}

/// "The leader can … send the next AppendEntries without waiting for the previous one to be
/// acknowledged", as far as the window allows.
#[test]
fn t10_2_appends_follow_each_other_without_waiting() {
    let mut bench = pipelining();
    for (sequence, after) in [(1, 1), (2, 2)] {
        let effects = bench.ask(add(sequence, 1));
        let expected = append(1, (after, 1), &[entry(1, sequence, 1)], 1);
        assert_eq!(sent_to(1, &effects), [expected]);
    }
    assert_eq!(bench.ask(add(3, 1)), [], "the window is full");
}

/// An acknowledgement opens the window for what waits.
#[test]
fn t10_2_an_acknowledgement_opens_the_window() {
    let mut bench = pipelining();
    for sequence in 1..=4 {
        bench.ask(add(sequence, 1));
    }
    let effects = bench.deliver(1, accepted(1, 3));
    let expected = [
        append(1, (3, 1), &[entry(1, 3, 1)], 1),
        append(1, (4, 1), &[entry(1, 4, 1)], 1),
    ];
    assert_eq!(sent_to(1, &effects), expected);
}

/// An append that arrives before the one that it follows is refused, and the leader goes back to
/// probing, from what is known to match.
#[test]
fn t10_2_a_refusal_leads_back_to_probing() {
    let mut bench = pipelining();
    bench.ask(add(1, 1));
    bench.ask(add(2, 2));
    let effects = bench.deliver(1, conflict(1, 2, None, 2));
    let probe = append(1, (1, 1), &[entry(1, 1, 1)], 1);
    assert_eq!(sent_to(1, &effects), [probe]);
    assert_eq!(bench.probes(1), Some(1));
    let effects = bench.deliver(1, accepted(1, 2));
    let rest = append(1, (2, 1), &[entry(1, 2, 2)], 1);
    assert_eq!(sent_to(1, &effects), [rest]);
}

/// What is lost without a trace is noticed at the next heartbeat.
#[test]
fn t10_2_silence_leads_back_to_probing() {
    let mut bench = pipelining();
    bench.ask(add(1, 1));
    bench.ask(add(2, 2));
    let effects = bench.fire(Timer::Heartbeat);
    let probe = append(1, (1, 1), &[entry(1, 1, 1)], 1);
    assert_eq!(sent_to(1, &effects), [probe]);
    assert_eq!(bench.probes(1), Some(1));
}

/// While acknowledgements come, nothing is sent twice: what is still under way is not lost.
#[test]
fn t10_2_a_heartbeat_among_acknowledgements_repeats_nothing() {
    let mut bench = pipelining();
    bench.ask(add(1, 1));
    bench.ask(add(2, 1));
    bench.deliver(1, accepted(1, 2));
    let effects = bench.fire(Timer::Heartbeat);
    assert_eq!(sent_to(1, &effects), [append(1, (2, 1), &[], 2)]);
    assert_eq!(bench.probes(1), None);
    let effects = bench.fire(Timer::Heartbeat);
    let probe = append(1, (2, 1), &[entry(1, 2, 1)], 2);
    assert_eq!(sent_to(1, &effects), [probe], "none has come since");
}

/// A refusal from before the leader went back is stale.
#[test]
fn t10_2_a_second_refusal_of_the_same_loss_is_ignored() {
    let mut bench = pipelining();
    for sequence in 1..=2 {
        bench.ask(add(sequence, 1));
    }
    bench.deliver(1, conflict(1, 2, None, 2));
    let before = bench.node().clone();
    assert_eq!(bench.deliver(1, conflict(1, 2, None, 2)), []);
    assert_eq!(bench.node(), &before);
}

/// The window has room for one append, however heavy, and for no more than its limits.
#[test]
fn t10_2_the_window_limits_appends_and_weight() {
    let window = Window {
        appends: 3,
        weight: 10,
    };
    let append = |weight| InFlight {
        last_index: Index(1),
        weight,
    };
    assert!(window.has_room(&[]));
    assert!(window.has_room(&[append(4), append(5)]));
    assert!(!window.has_room(&[append(10)]));
    assert!(!window.has_room(&[append(1); 3]));
    assert!(!window.has_room(&[append(usize::MAX), append(1)]));
    let shut = Window {
        appends: 0,
        weight: 0,
    };
    assert!(shut.has_room(&[]), "else nothing would ever be sent");
}

/// Nobody acknowledges what the leader has not: such an answer is damaged or forged.
#[test]
fn t10_2_an_acknowledgement_beyond_the_log_is_ignored() {
    let mut bench = pipelining();
    bench.ask(add(1, 1));
    let before = bench.node().clone();
    assert_eq!(bench.deliver(1, accepted(1, u64::MAX)), []);
    assert_eq!(bench.node(), &before);
    assert!(matches!(bench.progress(1).mode, Mode::Replicate { .. }));
}
