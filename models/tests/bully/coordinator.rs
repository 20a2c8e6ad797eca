//! Who is believed to lead.

use models::bully::election::Standing;

use super::bench::*;

/// A node that is told of a higher winner follows it, whatever it was before.
#[test]
fn a_higher_winner_is_followed() {
    for mut bench in [Bench::candidate(0, 3), Bench::waiting(0, 3, 2)] {
        assert_eq!(bench.deliver(2, coordinator(1)), follows(2, 1));
        assert_eq!(bench.leads(), Some((2, 1)));
    }
    for mut bench in [Bench::leader(0, 3), Bench::follower(0, 3, 1)] {
        assert_eq!(bench.deliver(2, coordinator(2)), follows(2, 2));
    }
}

/// A lower node that claims to lead is not obeyed but beaten.
#[test]
fn a_lower_winner_is_bullied() {
    for mut bench in [
        Bench::candidate(1, 3),
        Bench::waiting(1, 3, 2),
        Bench::follower(1, 3, 2),
        Bench::leader(1, 3),
    ] {
        assert_eq!(bench.deliver(0, coordinator(1)), stands(2, &[0, 2]));
        assert_eq!(bench.leads(), None);
    }
}

/// Who has been halted by a node still higher does not follow a lower winner of the same
/// election: the other may win it too.
#[test]
fn a_winner_below_the_highest_candidate_is_not_followed() {
    let mut bench = Bench::waiting(0, 3, 2);
    assert_eq!(bench.deliver(1, coordinator(1)), []);
    assert_eq!(bench.standing(), (1, Standing::Waiting));
}

/// A coordinator of an old election is not followed. A leader says so itself.
#[test]
fn a_winner_of_an_old_election_is_not_followed() {
    let mut waiting = Bench::waiting(0, 4, 3);
    waiting.fire(COORDINATOR);
    assert_eq!(waiting.deliver(3, coordinator(1)), [send(3, stale(1, 2))]);
    assert_eq!(waiting.standing(), (2, Standing::Candidate));

    let mut leader = Bench::candidate(2, 3);
    leader.deliver(0, election(5));
    leader.fire(OKAY);
    assert_eq!(leader.deliver(1, coordinator(4)), [send(1, coordinator(5))]);
    assert_eq!(leader.leads(), Some((2, 5)));

    let mut follower = Bench::candidate(0, 3);
    follower.deliver(2, coordinator(5));
    assert_eq!(
        follower.deliver(1, coordinator(4)),
        [],
        "its leader sees to it"
    );
}

/// A leader that has missed an election in which nobody higher took part stands again.
#[test]
fn a_leader_that_is_stale_stands_again() {
    let mut bench = Bench::leader(2, 3);
    assert_eq!(bench.deliver(0, stale(1, 4)), stands(5, &[0, 1]));
}

/// Two win one election only if delays are not bounded. Then the higher one counts, for all who
/// hear of it, the other winner too; another election would only be won by the same two.
#[test]
fn of_two_winners_of_one_election_the_higher_counts() {
    let mut follower = Bench::follower(0, 3, 1);
    assert_eq!(follower.deliver(2, coordinator(1)), follows(2, 1));
    assert_eq!(follower.deliver(1, coordinator(1)), []);
    assert_eq!(follower.leads(), Some((2, 1)));
    let mut leader = Bench::leader(1, 3);
    assert_eq!(leader.deliver(2, coordinator(1)), follows(2, 1));
}
