//! Standing, and giving way.

use models::bully::election::Standing;

use super::bench::*;

/// A node that recovers begins an election: first start and recovery are one. It asks
/// the higher nodes and halts the lower ones with one message.
#[test]
fn who_comes_up_stands() {
    let (bench, effects) = Bench::start(1, 3);
    assert_eq!(effects, stands(1, &[0, 2]));
    assert_eq!(bench.standing(), (1, Standing::Candidate));
}

/// A node that is lower than the candidate is halted: it knows no leader until it hears of one.
#[test]
fn a_lower_node_is_halted() {
    let mut bench = Bench::follower(0, 3, 2);
    assert_eq!(bench.deliver(1, election(2)), joins_and_gives_way(2));
    assert_eq!(bench.standing(), (2, Standing::Waiting));
    assert_eq!(bench.leads(), None);
}

/// So is a leader: the highest node must lead, even if another does already.
#[test]
fn a_lower_leader_is_halted() {
    let mut bench = Bench::leader(0, 3);
    assert_eq!(bench.deliver(1, election(2)), joins_and_gives_way(2));
}

/// A higher node takes part itself, in the same election: to be asked in turn is the asker's
/// answer.
#[test]
fn a_higher_node_stands_as_well() {
    let mut bench = Bench::follower(1, 3, 2);
    assert_eq!(bench.deliver(0, election(2)), stands(2, &[0, 2]));
    assert_eq!(bench.standing(), (2, Standing::Candidate));
}

/// Whoever hears from a higher node gives up: Okay ends a candidacy, and what comes next has
/// its own time.
#[test]
fn okay_ends_a_candidacy() {
    let mut bench = Bench::candidate(0, 3);
    assert_eq!(bench.deliver(1, okay(1)), gives_way());
    assert_eq!(bench.standing(), (1, Standing::Waiting));
    assert_eq!(bench.deliver(2, okay(1)), [], "once is enough");
}

/// So does a higher candidate's own question.
#[test]
fn a_higher_candidate_ends_a_candidacy() {
    let mut bench = Bench::candidate(0, 3);
    assert_eq!(bench.deliver(1, election(1)), gives_way());
    assert_eq!(bench.standing(), (1, Standing::Waiting));
    assert_eq!(bench.deliver(1, election(1)), [], "once is enough");
}

/// One that stands already does not stand once more for being asked: every message would
/// otherwise begin an election anew. It asks the asker in turn, which may have come up only now.
#[test]
fn a_candidate_that_is_asked_asks_in_turn_and_no_more() {
    let mut bench = Bench::candidate(1, 3);
    let before = bench.state().clone();
    for _ in 0..2 {
        assert_eq!(bench.deliver(0, election(1)), [send(0, election(1))]);
    }
    bench.deliver(2, okay(1));
    bench.fire(COORDINATOR);
    assert_eq!(bench.standing(), (2, Standing::Candidate));
    let asked = bench.state().clone();
    for late in [0, 2] {
        let effects = bench.deliver(late, election(1));
        assert_eq!(
            effects,
            [send(late, election(2))],
            "halts it, or hears that it is up"
        );
    }
    assert_eq!(before.election.0 + 1, asked.election.0);
    assert_eq!(*bench.state(), asked);
}

/// Who waits for a higher node answers on its behalf: were the asker to win now, and the other
/// too, one election would have two winners.
#[test]
fn who_waits_answers_for_the_one_it_waits_for() {
    let mut bench = Bench::waiting(0, 4, 3);
    assert_eq!(bench.deliver(2, election(1)), [send(2, okay(1))]);
    assert_eq!(
        bench.deliver(3, election(1)),
        [],
        "the highest needs no answer"
    );
}

/// It has given way without a word, so the candidate may win if nobody else knows better. Once it
/// turns to another, it owes the first an answer.
#[test]
fn who_turns_to_another_answers_the_first() {
    let mut bench = Bench::waiting(0, 4, 1);
    let expected = [gives_way(), vec![send(1, okay(1))]].concat();
    assert_eq!(bench.deliver(2, election(1)), expected);
    let expected = [follows(3, 1), vec![send(2, okay(1))]].concat();
    assert_same(bench.deliver(3, coordinator(1)), expected);

    let mut bench = Bench::waiting(0, 4, 3);
    let expected = [joins_and_gives_way(2), vec![send(3, stale(1, 2))]].concat();
    assert_eq!(
        bench.deliver(1, election(2)),
        expected,
        "a lower one, but newer"
    );

    let mut bench = Bench::waiting(0, 4, 2);
    let expected = [follows(1, 2), vec![send(2, stale(1, 2))]].concat();
    assert_same(bench.deliver(1, coordinator(2)), expected);
}

/// The same effects, in whatever order.
fn assert_same(mut actual: Effects, mut expected: Effects) {
    actual.sort();
    expected.sort();
    assert_eq!(actual, expected);
}

/// Without an answer in time all higher nodes must have failed: it leads, and tells the others.
#[test]
fn who_is_not_answered_leads() {
    let mut bench = Bench::candidate(1, 3);
    let effects = bench.fire(OKAY);
    assert_eq!(bench.leads(), Some((1, 1)));
    let told = [send(0, coordinator(1)), send(2, coordinator(1))];
    assert!(effects.ends_with(&told), "{effects:?}");
}

/// The node that answered may fail before it wins: who waits in vain begins all over.
#[test]
fn who_waits_in_vain_stands_again() {
    let mut bench = Bench::waiting(0, 3, 2);
    assert_eq!(bench.fire(COORDINATOR), stands(2, &[1, 2]));
}

/// An answer to an earlier election means nothing in this one.
#[test]
fn a_late_okay_is_ignored() {
    let mut bench = Bench::waiting(0, 3, 2);
    bench.fire(COORDINATOR);
    assert_eq!(bench.deliver(2, okay(1)), []);
    assert_eq!(bench.standing(), (2, Standing::Candidate));
}

/// The highest of those that are up comes up again when an election is over: it is told so, and
/// takes the next number.
#[test]
fn one_that_is_higher_than_all_is_told_where_to_go_on_from() {
    let mut leader = Bench::leader(1, 3);
    assert_eq!(leader.deliver(2, election(1)), [send(2, stale(1, 1))]);
    let mut recovered = Bench::candidate(2, 3);
    assert_eq!(recovered.deliver(1, stale(1, 1)), stands(2, &[0, 1]));
    assert_eq!(recovered.deliver(0, stale(1, 1)), [], "once is enough");
}

/// That holds for a leader that has crashed and come up before anybody noticed.
#[test]
fn a_leader_that_comes_up_again_stands_again() {
    let mut bench = Bench::follower(0, 3, 2);
    assert_eq!(bench.deliver(2, election(1)), [send(2, stale(1, 1))]);
}

/// A lower node that comes up disturbs nobody: the leader tells it, the others hold it back
/// until then.
#[test]
fn a_lower_node_that_comes_up_disturbs_nobody() {
    let mut leader = Bench::leader(2, 3);
    assert_eq!(leader.deliver(0, election(1)), [send(0, coordinator(1))]);
    let mut follower = Bench::follower(1, 3, 2);
    assert_eq!(follower.deliver(0, election(1)), [send(0, okay(1))]);
    let mut lowest = Bench::follower(0, 3, 2);
    assert_eq!(lowest.deliver(1, election(1)), [send(1, okay(1))]);
}

/// Who waits is not moved by what it has missed: a higher node sees to it.
#[test]
fn who_waits_leaves_stale_numbers_to_the_higher() {
    let mut bench = Bench::waiting(0, 3, 2);
    assert_eq!(bench.deliver(1, stale(1, 5)), []);
    assert_eq!(bench.standing(), (1, Standing::Waiting));
}
