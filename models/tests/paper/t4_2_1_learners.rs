//! Thesis §4.2.1, "Catching up new servers": learners, which receive the log and do not vote.

use models::NodeId;
use models::raft::Timer;
use models::raft::membership::{Change, Refusal};

use crate::support::bench::*;

/// Node 0 leads term 1 of three and the learner n3, which is committed; n3 has acknowledged
/// `match_index`.
fn leader_with_learner(match_index: u64) -> Bench {
    let mut bench = Bench::established(1, &[]);
    bench.deliver(2, accepted(1, 1));
    bench.ask(change(1, Change::add(NodeId(3))));
    bench.deliver(1, accepted(1, 2));
    if match_index > 0 {
        bench.deliver(3, accepted(1, match_index));
    }
    bench
}

/// "A new server joins the cluster as a non-voting member": that changes no quorum and takes
/// one entry.
#[test]
fn t4_2_1_a_learner_is_added_by_one_entry() {
    let mut bench = Bench::established(1, &[]);
    bench.deliver(2, accepted(1, 1));
    let next = members(&[], &[0, 1, 2], &[3]);
    let effects = bench.ask(change(1, Change::add(NodeId(3))));
    let entry = membership(1, next.clone());
    assert_eq!(bench.records(), [Record::Append(entry.clone())]);
    assert_eq!(sent_to(3, &effects), [append(1, (1, 1), &[entry], 1)]);
    let effects = bench.deliver(1, accepted(1, 2));
    assert!(effects.contains(&changed(1, next)));
}

/// "The leader replicates log entries to it, but it is not yet counted towards majorities for
/// voting or commitment purposes": commitment.
#[test]
fn t4_2_1_a_learner_does_not_count_for_commitment() {
    let mut bench = leader_with_learner(2);
    bench.ask(add(2, 1));
    bench.deliver(3, accepted(1, 3));
    assert_eq!(bench.commit_index(), 2);
    bench.deliver(2, accepted(1, 3));
    assert_eq!(bench.commit_index(), 3);
}

/// The same of voting: it is not asked, and would not be counted.
#[test]
fn t4_2_1_a_learner_does_not_count_for_elections() {
    let mut bench = Bench::follower(1, &[1]);
    let entry = membership(1, members(&[], &[0, 1, 2], &[3]));
    bench.deliver(1, append(1, (1, 1), &[entry], 0));
    let effects = bench.fire(Timer::Election);
    assert_eq!(sent_to(3, &effects), []);
    bench.deliver(3, granted(2));
    assert!(bench.stands());
}

/// A learner, and a node that has yet to hear of its cluster, do not stand for election.
#[test]
fn t4_2_1_a_learner_does_not_stand() {
    let mut bench = Bench::joining(3);
    bench.fire(Timer::Election);
    assert_eq!((bench.follows(), bench.term()), (Some(None), 0));
    let entries = [noop(1), membership(1, members(&[], &[0, 1, 2], &[3]))];
    bench.deliver(0, append(1, (0, 0), &entries, 2));
    let effects = bench.fire(Timer::Election);
    assert_eq!((bench.follows(), bench.term()), (Some(None), 1));
    assert!(
        effects.contains(&models::Effect::Arm(Timer::Election)),
        "it may be promoted"
    );
}

/// It votes when it is asked all the same: it may be a voter by now and not know it, and then
/// be needed (etcd 12359).
#[test]
fn t4_2_1_a_learner_that_is_asked_votes() {
    let mut bench = Bench::joining(3);
    let entries = [noop(1), membership(1, members(&[], &[0, 1, 2], &[3]))];
    bench.deliver(0, append(1, (0, 0), &entries, 2));
    assert_eq!(bench.answer(request_vote(2, (3, 1))), granted(2));
}

/// A node that joins with an empty disk is brought up to date like any other.
#[test]
fn t4_2_1_a_node_that_joins_receives_the_log() {
    let mut bench = Bench::joining(3);
    let entry = membership(1, members(&[], &[0, 1, 2], &[3]));
    let effects = bench.deliver(0, append(1, (1, 1), std::slice::from_ref(&entry), 2));
    assert_eq!(sent_to(0, &effects), [conflict(1, 1, None, 1)]);
    bench.deliver(0, append(1, (0, 0), &[noop(1), entry], 2));
    assert_eq!(*bench.acts_on(), members(&[], &[0, 1, 2], &[3]));
    assert_eq!(bench.commit_index(), 2);
}

/// What it hears first may be configurations from before its time: by these it has not left.
#[test]
fn t4_2_1_a_node_that_joins_has_not_left_by_what_was_before_it() {
    let mut bench = Bench::joining(3);
    let earlier = members(&[], &[0, 1, 2], &[]);
    let entry = membership(1, earlier.clone());
    let effects = bench.deliver(0, append(1, (0, 0), &[noop(1), entry], 2));
    assert!(effects.contains(&membership_committed(earlier)));
    assert!(!effects.contains(&models::Effect::Emit(models::raft::Event::Retired)));
}

/// The leader does not begin the change while the new server is behind: it would hold
/// commitment up.
#[test]
fn t4_2_1_a_learner_that_is_behind_is_not_promoted() {
    for behind in [0, 1] {
        let mut bench = leader_with_learner(behind);
        let node = NodeId(3);
        let asked = bench.ask(change(2, Change::promote(node)));
        assert_eq!(asked, [refusal(2, Refusal::Behind { node })]);
        assert_eq!(bench.log(), [1, 1]);
    }
}

/// One that has caught up is, by way of a joint configuration.
#[test]
fn t4_2_1_a_learner_that_has_caught_up_is_promoted() {
    let mut bench = leader_with_learner(2);
    bench.ask(change(2, Change::promote(NodeId(3))));
    assert_eq!(*bench.acts_on(), members(&[0, 1, 2], &[0, 1, 2, 3], &[]));
    bench.deliver(1, accepted(1, 3));
    assert_eq!(bench.commit_index(), 2, "two of four");
    let effects = bench.deliver(3, accepted(1, 3));
    let next = members(&[], &[0, 1, 2, 3], &[]);
    assert!(effects.contains(&membership_changed(next.clone())));
    bench.deliver(2, accepted(1, 4));
    let effects = bench.deliver(3, accepted(1, 4));
    assert!(effects.contains(&changed(2, next)));
}

/// A voter and the learner that takes its place change at once.
#[test]
fn t4_2_1_a_learner_takes_the_place_of_a_voter() {
    let mut bench = leader_with_learner(2);
    bench.ask(change(2, Change::replace(NodeId(2), NodeId(3))));
    assert_eq!(*bench.acts_on(), members(&[0, 1, 2], &[0, 1, 3], &[]));
    // n1 makes two of three twice over.
    bench.deliver(1, accepted(1, 3));
    assert_eq!(*bench.acts_on(), members(&[], &[0, 1, 3], &[]));
}

/// A learner that is removed receives nothing any more once that is committed.
#[test]
fn t4_2_1_a_learner_that_is_removed_is_left_alone() {
    let mut bench = leader_with_learner(2);
    bench.ask(change(2, Change::remove(NodeId(3))));
    bench.deliver(1, accepted(1, 3));
    let effects = bench.fire(Timer::Heartbeat);
    assert_eq!(sent_to(3, &effects), []);
    assert_eq!(*bench.acts_on(), members(&[], &[0, 1, 2], &[]));
}
