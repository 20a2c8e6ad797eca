//! §6, "Cluster membership changes": joint consensus. What the thesis adds (§4) is marked.

use models::raft::Timer;
use models::raft::membership::{Change, Refusal};
use models::{Effect, NodeId};

use crate::support::bench::*;

/// Node 0 leads term 1 of four voters, of which `removed` is to leave; the joint configuration
/// is at index 2, and `acknowledging` have it.
fn leader_of_four(removed: u16, acknowledging: &[u16]) -> Bench {
    let mut bench = Bench::leader(4, 1, &[]);
    for peer in 1..4 {
        bench.deliver(peer, accepted(1, 1));
    }
    bench.ask(change(1, Change::remove(NodeId(removed))));
    for &peer in acknowledging {
        bench.deliver(peer, accepted(1, 2));
    }
    bench
}

/// "When the leader receives a request to change the configuration from C-old to C-new, it
/// stores the configuration for joint consensus as a log entry and replicates that entry."
#[test]
fn s6_a_change_begins_with_the_joint_configuration() {
    let mut bench = Bench::established(1, &[]);
    bench.deliver(2, accepted(1, 1));
    let joint = members(&[0, 1, 2], &[0, 1], &[]);
    let entry = membership(1, joint.clone());
    let effects = bench.ask(change(1, Change::remove(NodeId(2))));
    assert_eq!(bench.records(), [Record::Append(entry.clone())]);
    for peer in [1, 2] {
        let sent = [append(1, (1, 1), std::slice::from_ref(&entry), 1)];
        assert_eq!(sent_to(peer, &effects), sent);
    }
    assert!(effects.contains(&membership_changed(joint)));
}

/// "Once a given server adds the new configuration entry to its log, it uses that
/// configuration for all future decisions (a server always uses the latest configuration in
/// its log, regardless of whether the entry is committed)."
#[test]
fn s6_a_server_uses_the_latest_configuration_in_its_log() {
    let mut bench = Bench::follower(1, &[1]);
    let joint = members(&[0, 1, 2], &[0, 1, 3], &[]);
    let entry = membership(1, joint.clone());
    bench.deliver(1, append(1, (1, 1), &[entry], 0));
    assert_eq!(bench.commit_index(), 0);
    assert_eq!(*bench.acts_on(), joint);
    let effects = bench.fire(Timer::Election);
    for voter in [1, 2, 3] {
        assert_eq!(sent_to(voter, &effects).len(), 1, "to n{voter}");
    }
}

/// The same after a crash: the log remembers.
#[test]
fn s6_a_restarted_server_uses_the_latest_configuration_in_its_log() {
    let mut bench = Bench::follower(1, &[1]);
    let joint = members(&[0, 1, 2], &[0, 1, 3], &[]);
    bench.deliver(1, append(1, (1, 1), &[membership(1, joint.clone())], 0));
    bench.crash();
    assert_eq!(*bench.acts_on(), joint);
}

/// Thesis §4.1: a server "must be prepared to fall back to the previous configuration in its
/// log" when an entry is removed.
#[test]
fn s6_truncation_brings_the_previous_configuration_back() {
    let mut bench = Bench::follower(1, &[1]);
    let first = members(&[], &[0, 1, 2], &[3]);
    let second = members(&[0, 1, 2], &[0, 1, 3], &[]);
    let entries = [membership(1, first.clone()), membership(1, second)];
    bench.deliver(1, append(1, (1, 1), &entries, 0));
    let effects = bench.deliver(2, append(2, (2, 1), &[noop(2)], 0));
    assert_eq!(*bench.acts_on(), first);
    assert!(effects.contains(&membership_changed(first)));
    bench.deliver(2, append(3, (1, 1), &[noop(3)], 0));
    assert_eq!(*bench.acts_on(), members(&[], &[0, 1, 2], &[]));
}

/// "Agreement (for elections and entry commitment) requires separate majorities from both the
/// old and new configurations": commitment. Of four, three are to remain.
#[test]
fn s6_a_joint_entry_needs_both_majorities() {
    // {n0 n1 n2 n3} → {n0 n1 n2}: n0 and n1 are two of three, and two of four.
    let mut bench = leader_of_four(3, &[1]);
    assert_eq!(bench.commit_index(), 1);
    bench.deliver(3, accepted(1, 2));
    assert_eq!(bench.commit_index(), 2);
    // n0 and n3 are one of three.
    let mut bench = leader_of_four(3, &[3]);
    assert_eq!(bench.commit_index(), 1);
    bench.deliver(2, accepted(1, 2));
    assert_eq!(bench.commit_index(), 2);
}

/// The same of elections.
#[test]
fn s6_a_joint_election_needs_both_majorities() {
    let joint = members(&[0, 1, 2], &[2, 3, 4], &[]);
    let mut bench = Bench::follower(1, &[1]);
    bench.deliver(1, append(1, (1, 1), &[membership(1, joint)], 0));
    bench.fire(Timer::Election);
    bench.deliver(1, granted(2));
    assert!(bench.stands(), "a majority of the old alone");
    bench.deliver(3, granted(2));
    assert!(bench.stands(), "one of the new");
    bench.deliver(4, granted(2));
    assert!(bench.leads().is_some());
}

/// "Once C-old,new has been committed [...] it is now safe for the leader to create a log
/// entry describing C-new and replicate it to the cluster."
#[test]
fn s6_the_new_configuration_follows_once_the_joint_one_is_committed() {
    let mut bench = leader_of_four(3, &[1]);
    let effects = bench.deliver(2, accepted(1, 2));
    let next = members(&[], &[0, 1, 2], &[]);
    assert_eq!(
        bench.records(),
        [Record::Append(membership(1, next.clone()))]
    );
    assert!(effects.contains(&membership_changed(next)));
}

/// "Again, this configuration will take effect on each server as soon
/// as it is seen": it is committed by the new servers alone, and the client answered then.
#[test]
fn s6_the_new_configuration_is_committed_by_the_new_servers() {
    let mut bench = leader_of_four(3, &[1, 2]);
    let next = members(&[], &[0, 1, 2], &[]);
    let effects = bench.deliver(3, accepted(1, 3));
    assert!(
        !effects.contains(&changed(1, next.clone())),
        "n3 counts no more"
    );
    assert!(!effects.contains(&membership_committed(next.clone())));
    let effects = bench.deliver(1, accepted(1, 3));
    assert!(effects.contains(&changed(1, next.clone())));
    assert!(effects.contains(&membership_committed(next)));
    assert_eq!(bench.commit_index(), 3);
}

/// A server that leaves is told of it (the paper leaves it to time out): what it has been
/// sent tells it that its absence is committed.
#[test]
fn s6_a_removed_server_learns_that_it_has_left() {
    let mut leader = leader_of_four(3, &[1, 2]);
    leader.deliver(3, accepted(1, 3));
    let effects = leader.deliver(1, accepted(1, 3));
    assert_eq!(sent_to(3, &effects), [append(1, (3, 1), &[], 3)]);
    let mut removed = Bench::follower(1, &[1]);
    let left = members(&[], &[1, 2], &[]);
    let entry = membership(1, left.clone());
    let effects = removed.deliver(1, append(1, (1, 1), &[entry], 2));
    assert!(effects.contains(&membership_committed(left)));
    assert!(effects.contains(&Effect::Emit(models::raft::Event::Retired)));
}

/// What others are sent once a server has left is not sent to it, and an old answer of it, which
/// says nothing new, does not make the leader do so either.
#[test]
fn s6_an_old_answer_of_a_removed_server_changes_nothing() {
    let mut leader = leader_of_four(3, &[1, 2, 3]);
    leader.deliver(1, accepted(1, 3));
    assert_eq!(leader.commit_index(), 3, "n3 has left");
    leader.deliver(3, accepted(1, 3));
    let effects = leader.ask(add(2, 1));
    assert_eq!(sent_to(3, &effects), []);
    let before = leader.node().clone();
    for match_index in 1..=3 {
        assert_eq!(leader.deliver(3, accepted(1, match_index)), []);
        assert_eq!(leader.node(), &before);
    }
}

/// "The cluster leader may not be part of the new configuration. In this case, the leader
/// steps down (returns to follower state) once it has committed the C-new log entry. [...] it
/// replicates log entries but does not count itself in majorities."
#[test]
fn s6_a_leader_that_leaves_steps_down_and_does_not_count_itself() {
    // {n0 n1 n2 n3} → {n1 n2 n3}.
    let mut bench = leader_of_four(0, &[1, 2]);
    assert_eq!(*bench.acts_on(), members(&[], &[1, 2, 3], &[]));
    bench.deliver(1, accepted(1, 3));
    assert_eq!(bench.commit_index(), 2, "n0 and n1 are one of three");
    assert!(bench.leads().is_some(), "it replicates until then");
    let effects = bench.deliver(2, accepted(1, 3));
    assert_eq!(bench.commit_index(), 3);
    assert_eq!(bench.follows(), Some(None));
    assert!(effects.contains(&Effect::Emit(models::raft::Event::Retired)));
}

/// Thesis §4.2.2: "a server that is not part of its own latest configuration should still
/// start new elections, as it might still be needed until the C-new entry is committed". It
/// does not vote for itself.
#[test]
fn t4_2_2_a_server_that_is_to_leave_stands_until_that_is_committed() {
    let mut bench = Bench::follower(1, &[1]);
    let entries = [
        membership(1, members(&[0, 1], &[1], &[])),
        membership(1, members(&[], &[1], &[])),
    ];
    bench.deliver(1, append(1, (1, 1), &entries, 2));
    bench.fire(Timer::Election);
    assert!(bench.stands(), "its own vote is not enough");
    bench.deliver(1, granted(2));
    assert!(bench.leads().is_some());
    bench.deliver(1, accepted(2, 4));
    assert_eq!(bench.follows(), Some(None));
    bench.fire(Timer::Election);
    assert_eq!(bench.follows(), Some(None), "it has left");
}

/// A change that one leader has begun is ended by the next (etcd 12136).
#[test]
fn s6_a_new_leader_ends_the_change_that_it_inherits() {
    let mut bench = Bench::follower(1, &[1]);
    let joint = members(&[0, 1, 2], &[0, 1], &[]);
    bench.deliver(1, append(1, (1, 1), &[membership(1, joint)], 2));
    assert_eq!(bench.commit_index(), 2);
    bench.fire(Timer::Election);
    bench.deliver(1, granted(2));
    let next = membership(2, members(&[], &[0, 1], &[]));
    assert_eq!(
        bench.records(),
        [Record::Append(noop(2)), Record::Append(next)]
    );
}

/// "Servers accept log entries from leaders that are not in their own configuration" and vote
/// for candidates that are not (thesis §4.1: "without consulting their current
/// configurations").
#[test]
fn s6_servers_answer_whoever_asks() {
    let mut bench = Bench::follower(1, &[1]);
    let effects = bench.deliver(9, append(1, (1, 1), &[noop(1)], 0));
    assert_eq!(sent_to(9, &effects), [accepted(1, 2)]);
    let mut bench = Bench::follower(1, &[1]);
    let effects = bench.deliver(9, request_vote(2, (1, 1)));
    assert_eq!(sent_to(9, &effects), [granted(2)]);
}

/// The answers of a stranger count for nothing.
#[test]
fn s6_a_stranger_counts_for_nothing() {
    let mut bench = Bench::candidate(3, 1, &[]);
    bench.deliver(9, granted(1));
    assert!(bench.stands());
    let mut bench = Bench::leader(3, 1, &[]);
    bench.deliver(9, accepted(1, 1));
    bench.deliver(8, conflict(1, 0, None, 1));
    assert_eq!(bench.commit_index(), 0);
}

/// One change at a time (thesis §4.1), and none before the leader has committed an entry of
/// its own term (Ongaro 2015).
#[test]
fn s6_a_change_waits_for_the_one_before_and_for_the_leaders_first_commit() {
    let mut bench = Bench::leader(3, 1, &[]);
    let refused = bench.ask(change(1, Change::remove(NodeId(2))));
    assert_eq!(refused, [refusal(1, Refusal::NotEstablished)]);
    bench.deliver(1, accepted(1, 1));
    bench.ask(change(2, Change::remove(NodeId(2))));
    let refused = bench.ask(change(3, Change::remove(NodeId(1))));
    assert_eq!(refused, [refusal(3, Refusal::ChangeInProgress)]);
    assert_eq!(
        bench.ask(change(2, Change::remove(NodeId(2)))),
        [],
        "it waits"
    );
    // Joint and committed; C-new is not.
    bench.deliver(1, accepted(1, 2));
    let refused = bench.ask(change(4, Change::remove(NodeId(1))));
    assert_eq!(refused, [refusal(4, Refusal::ChangeInProgress)]);
}

/// What makes no sense is refused, and changes nothing.
#[test]
fn s6_senseless_changes_are_refused() {
    let nobody = Change {
        remove: [0, 1, 2].map(NodeId).into(),
        ..Change::default()
    };
    let both = Change {
        remove: [NodeId(1)].into(),
        ..Change::promote(NodeId(1))
    };
    let node = NodeId;
    for (asked, expected) in [
        (nobody, Refusal::NoVoters),
        (both, Refusal::Contradiction { node: node(1) }),
        (
            Change::promote(node(7)),
            Refusal::NotAMember { node: node(7) },
        ),
        (
            Change::add(node(1)),
            Refusal::AlreadyVotes { node: node(1) },
        ),
    ] {
        let mut bench = Bench::established(1, &[]);
        assert_eq!(bench.ask(change(1, asked)), [refusal(1, expected)]);
        assert_eq!(bench.log(), [1]);
    }
}

/// A change that is made already is answered at once: a client that has lost its answer may
/// ask again.
#[test]
fn s6_a_change_that_is_made_is_not_made_again() {
    let mut bench = Bench::established(1, &[]);
    let now = members(&[], &[0, 1, 2], &[]);
    for done in [Change::remove(NodeId(9)), Change::promote(NodeId(1))] {
        assert_eq!(bench.ask(change(1, done)), [changed(1, now.clone())]);
    }
    assert_eq!(bench.log(), [1]);
}

/// Only a leader changes the membership; one that is deposed sends its client on.
#[test]
fn s6_a_client_is_sent_to_the_leader() {
    let mut bench = Bench::follower(1, &[1]);
    bench.deliver(2, append(1, (1, 1), &[], 0));
    let asked = bench.ask(change(1, Change::remove(NodeId(1))));
    assert_eq!(asked, [redirect(1, Some(2))]);
    let mut bench = leader_of_four(3, &[]);
    let effects = bench.deliver(1, append(2, (1, 1), &[noop(2)], 0));
    assert!(effects.contains(&redirect(1, Some(1))));
    assert_eq!(*bench.acts_on(), members(&[], &[0, 1, 2, 3], &[]));
}
