//! What a node does whose disk is blank, and one that is contradicted. The paper takes disks for
//! granted ("stable storage", Figure 2); what these tests quote is what follows from its Figure 3.

use models::raft::Event;
use models::raft::Raft;
use models::raft::Timer;
use models::raft::configuration::{Configuration, Contact};
use models::raft::contradiction::Contradiction;
use models::raft::log::{Index, Term};
use models::raft::machine::Checksum;
use models::raft::membership::{Change, Refusal};
use models::raft::message::Message;
use models::raft::state::Persistent;
use models::{DiskId, Effect, Input, Node, NodeId};

use crate::support::bench::*;

/// A leader of term 2 has another entry at index 1, which node 0 knows to be committed.
fn contradicted() -> (Bench, Effects) {
    let mut bench = Bench::follower(1, &[]);
    bench.deliver(1, append(1, (0, 0), &[noop(1)], 1));
    let effects = bench.deliver(2, append(2, (1, 2), &[noop(2)], 1));
    (bench, effects)
}

fn says_nothing(effects: &Effects) -> bool {
    let mut effects = effects.iter();
    !effects.any(|effect| matches!(effect, Effect::Send { .. }))
}

/// "If a log entry is committed in a given term, then that entry will be present in the logs of
/// the leaders for all higher-numbered terms" (Figure 3). A leader without it is not obeyed.
#[test]
fn f3_what_is_committed_is_not_truncated_but_contradicted() {
    let (bench, effects) = contradicted();
    let contradiction = Contradiction::Log {
        index: Index(1),
        own: Term(1),
        leader: Term(2),
    };
    assert!(effects.contains(&Effect::Emit(Event::Halted { contradiction })));
    assert!(says_nothing(&effects), "{effects:?}");
    assert!(effects.contains(&Effect::Disarm(Timer::Election)));
    assert_eq!(bench.log(), [1]);
    assert_eq!(bench.records().last(), Some(&Record::Halt(contradiction)));
}

/// The same if the conflict is among the entries that the leader sends, or in its snapshot.
#[test]
fn f3_a_contradiction_is_found_wherever_it_is() {
    let in_snapshot = Message::InstallSnapshot {
        term: Term(2),
        last_included_index: Index(1),
        last_included_term: Term(2),
        offset: 0,
        data: Vec::new(),
        done: false,
        round: Default::default(),
    };
    for message in [append(2, (0, 0), &[noop(2)], 0), in_snapshot] {
        let mut bench = Bench::follower(1, &[]);
        bench.deliver(1, append(1, (0, 0), &[noop(1)], 1));
        let effects = bench.deliver(2, message);
        assert!(says_nothing(&effects), "{effects:?}");
        assert!(bench.node().durable().halted.is_some());
        assert_eq!(bench.log(), [1]);
    }
}

/// A conflict among what is not committed is what §5.3 is about: it is truncated.
#[test]
fn s5_3_what_is_not_committed_is_truncated() {
    let mut bench = Bench::follower(1, &[]);
    bench.deliver(1, append(1, (0, 0), &[noop(1), noop(1)], 1));
    bench.deliver(2, append(2, (1, 1), &[noop(2)], 1));
    assert_eq!(bench.log(), [1, 2]);
    assert!(bench.node().durable().halted.is_none());
}

/// A node that has halted remembers it: whatever comes, it says nothing, and no timer runs.
#[test]
fn f2_a_halt_is_on_disk() {
    let (mut bench, _) = contradicted();
    for _ in 0..2 {
        let term = bench.term();
        for message in [request_vote(9, (9, 9)), append(9, (0, 0), &[noop(9)], 1)] {
            assert_eq!(bench.deliver(1, message), []);
        }
        assert_eq!(bench.fire(Timer::Election), []);
        assert_eq!(bench.ask(add(1, 1)), []);
        assert_eq!(bench.term(), term);
        assert_eq!(bench.log(), [1]);
        assert_eq!(bench.crash(), []);
    }
}

/// A blank disk: it is new, or what it held is lost. The node neither votes, nor acknowledges, nor
/// stands for election (KAFKA-12181).
#[test]
fn f2_a_node_on_a_blank_disk_takes_no_part() {
    let raft: Checked = Raft::new(NodeId(0), (0..3).map(NodeId));
    let mut bench = Bench::on_disk(raft, Persistent::default());
    assert_eq!(bench.crash(), []);
    for message in [
        request_vote(1, (5, 1)),
        pre_vote(1, (5, 1)),
        append(1, (0, 0), &[noop(1)], 1),
    ] {
        assert_eq!(bench.deliver(1, message), []);
    }
    assert_eq!(bench.fire(Timer::Election), []);
    assert_eq!(*bench.node().durable(), Persistent::default());
}

/// Setting a disk up writes down what the cluster starts with. What the node is told later, by the
/// file that it is started with, makes no difference.
#[test]
fn s6_members_are_what_the_disk_says() {
    let founded: Checked = Raft::new(NodeId(0), (0..3).map(NodeId));
    let disk = Node::formatted(&founded);
    assert_eq!(disk.initial, Some(Configuration::new((0..3).map(NodeId))));
    let alone: Checked = Raft::new(NodeId(0), [NodeId(0)]);
    let mut bench = Bench::on_disk(alone, disk);
    assert_eq!(*bench.acts_on(), members(&[], &[0, 1, 2], &[]));
    bench.fire(Timer::Election);
    assert!(bench.stands(), "one vote of three is none");
}

/// A node that joins belongs to the cluster, and knows nobody: it answers whom it hears, and stands
/// for nothing.
#[test]
fn s6_a_joining_node_is_set_up_with_nobodys_configuration() {
    let mut bench = Bench::joining(3);
    let nobody = Some(Configuration::default());
    assert_eq!(bench.node().durable().initial, nobody);
    bench.fire(Timer::Election);
    assert_eq!(bench.follows(), Some(None));
    let answer = bench.answer(append(1, (0, 0), &[noop(1)], 0));
    assert_eq!(answer, accepted(1, 1));
}

/// Where messages keep their order, a follower that refuses what it has acknowledged has lost it: the
/// host is told, and the leader does not go back. Elsewhere the refusal may be late.
#[test]
fn f2_who_denies_what_it_has_acknowledged_is_reported() {
    let mut anywhere = Bench::established(1, &[]);
    assert_eq!(anywhere.deliver(1, conflict(1, 1, None, 1)), []);
    let mut bench = Bench::established(1, &[]).with_ordered_delivery();
    let before = bench.progress(1);
    let effects = bench.deliver(1, conflict(1, 1, None, 1));
    let denied = Event::Denied {
        follower: NodeId(1),
        acknowledged: Index(1),
        prev_log_index: Index(1),
    };
    assert!(effects.contains(&Effect::Emit(denied)), "{effects:?}");
    assert_eq!(bench.progress(1).next_index, before.next_index);
    assert_eq!(bench.progress(1).match_index, before.match_index);
}

/// A refusal of what it has not acknowledged is how a leader finds where the logs part (§5.3).
#[test]
fn s5_3_who_refuses_what_it_has_never_had_denies_nothing() {
    let mut bench = Bench::established(2, &[1]).with_ordered_delivery();
    assert_eq!(bench.progress(2).match_index, Index(0));
    let effects = bench.deliver(2, conflict(2, 1, None, 1));
    let denies = |effect: &Effect<Checked>| matches!(effect, Effect::Emit(Event::Denied { .. }));
    assert!(!effects.iter().any(denies), "{effects:?}");
    assert_eq!(sent_to(2, &effects).len(), 1);
}

fn contact(disk: u8) -> Contact {
    Contact {
        disk: DiskId([disk; 16]),
        address: b"10.0.0.3:7000".to_vec(),
    }
}

/// A node is known with the disk that it was added with. Under the same id another disk is not let
/// in, neither while it is a member nor after it has left.
#[test]
fn s6_an_id_stands_for_one_disk() {
    let node = NodeId(3);
    let known = Change::add_with(node, contact(1))
        .applied_to(&members(&[], &[0, 1, 2], &[]))
        .expect("a new node");
    assert_eq!(known.contacts[&node], contact(1));
    let left = Change::remove(node).applied_to(&known).expect("a member");
    assert!(!left.is_member(node));
    for current in [&known, &left] {
        let same = Change::add_with(node, contact(1)).applied_to(current);
        assert!(same.is_ok(), "{same:?}");
        let other = Change::add_with(node, contact(2)).applied_to(current);
        assert_eq!(other, Err(Refusal::OtherDisk { node }));
    }
}

/// A leader that is asked for it says why.
#[test]
fn s6_another_disk_is_refused() {
    let mut bench = Bench::established(1, &[]);
    let node = NodeId(3);
    bench.ask(change(1, Change::add_with(node, contact(1))));
    for peer in [1, 2] {
        let last = bench.log().len() as u64;
        bench.deliver(peer, accepted(1, last));
    }
    let log = bench.log();
    let effects = bench.ask(change(2, Change::add_with(node, contact(2))));
    assert_eq!(effects, [refusal(2, Refusal::OtherDisk { node })]);
    assert_eq!(bench.log(), log);
}

/// An append of the leader of term 1, whose state after the entries up to `commit` has this
/// checksum.
fn append_of_state(prev: (u64, u64), amounts: &[u8], commit: u64, sum: u64) -> Msg {
    let entries: Vec<_> = (1..).zip(amounts).map(|(s, &a)| entry(1, s, a)).collect();
    let mut message = append(1, prev, &entries, commit);
    if let Message::AppendEntries { checksum, .. } = &mut message {
        *checksum = Some(Checksum(sum));
    }
    message
}

/// "If a server has applied a log entry at a given index to its state machine, no other server will
/// ever apply a different log entry for the same index" (Figure 3): so after the same entries the
/// states are the same.
#[test]
fn f3_who_is_in_another_state_after_the_same_entries_halts() {
    let mut bench = Bench::follower(1, &[]);
    let effects = bench.deliver(1, append_of_state((0, 0), &[5], 1, 6));
    let contradiction = Contradiction::State {
        index: Index(1),
        own: Checksum(5),
        leader: Checksum(6),
    };
    assert!(effects.contains(&Effect::Emit(Event::Halted { contradiction })));
    assert!(says_nothing(&effects), "{effects:?}");
    assert_eq!(bench.node().durable().halted, Some(contradiction));
}

/// States are compared after the same entries alone: a follower that is behind says nothing of a
/// state that it has yet to come to.
#[test]
fn f3_states_after_different_entries_are_not_compared() {
    let mut bench = Bench::follower(1, &[]);
    // It has the first entry only, and the leader has applied three.
    bench.deliver(1, append_of_state((0, 0), &[5], 3, 99));
    assert_eq!(bench.commit_index(), 1);
    assert!(bench.node().durable().halted.is_none());
    let equal = append_of_state((1, 1), &[], 1, 5);
    bench.deliver(1, equal);
    assert!(bench.node().durable().halted.is_none());
}

/// A leader sends the checksum of the state in which it is after what it says to be committed.
#[test]
fn f3_a_leader_tells_its_state() {
    let mut bench = Bench::established(1, &[]);
    bench.ask(add(1, 5));
    bench.deliver(1, accepted(1, 2));
    let effects = bench.feed_whole(Input::Fire(Timer::Heartbeat));
    let told = sent_to(1, &effects);
    let [
        Message::AppendEntries {
            leader_commit: Index(2),
            checksum: Some(Checksum(5)),
            ..
        },
    ] = told.as_slice()
    else {
        panic!("{told:?}");
    };
}
