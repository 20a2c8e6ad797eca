//! Configurations, and input that nobody should send.

use models::NodeId;
use models::bully::election::Standing;
use models::bully::{Bully, ConfigurationError, Event, Number};
use models::{Effect, bully};

use super::bench::*;

/// Each node has an id of its own: two of one id are refused, for ids break the ties between
/// equal ranks.
#[test]
fn equal_ids_are_refused() {
    let nodes = [0, 1, 2, 1].map(NodeId);
    let refused = Bully::new(NodeId(0), (), nodes);
    assert_eq!(
        refused.unwrap_err(),
        ConfigurationError::DuplicateId(NodeId(1))
    );
}

#[test]
fn a_node_must_be_among_the_nodes() {
    let refused = Bully::new(NodeId(7), (), [0, 1].map(NodeId));
    assert_eq!(
        refused.unwrap_err(),
        ConfigurationError::NotAMember(NodeId(7))
    );
    assert!(
        ConfigurationError::NotAMember(NodeId(7))
            .to_string()
            .contains("n7")
    );
}

#[test]
fn a_stranger_is_not_heard() {
    for message in [election(9), okay(1), coordinator(9), stale(1, 9)] {
        let mut bench = Bench::candidate(1, 3);
        let before = bench.state().clone();
        assert_eq!(bench.deliver(77, message.clone()), []);
        assert_eq!(bench.deliver(1, message), [], "nor is the node itself");
        assert_eq!(*bench.state(), before);
    }
}

/// A forged number must not use up the numbers there are.
#[test]
fn numbers_from_beyond_are_ignored() {
    for message in [
        election(u64::MAX),
        okay(u64::MAX),
        coordinator(u64::MAX),
        stale(1, u64::MAX),
    ] {
        for mut bench in [
            Bench::candidate(1, 3),
            Bench::waiting(1, 3, 2),
            Bench::follower(1, 3, 2),
            Bench::leader(1, 3),
        ] {
            let before = bench.state().clone();
            assert_eq!(bench.deliver(2, message.clone()), [], "{message:?}");
            assert_eq!(*bench.state(), before);
        }
    }
    let furthest = Number::FURTHEST_AHEAD + 1;
    let mut bench = Bench::candidate(1, 3);
    bench.deliver(2, election(furthest));
    assert_eq!(bench.standing(), (furthest, Standing::Waiting));
}

/// A timer that was stopped, and runs out all the same, does nothing.
#[test]
fn a_timer_of_another_standing_does_nothing() {
    let idle = [
        (Bench::waiting(1, 3, 2), OKAY),
        (Bench::follower(1, 3, 2), OKAY),
        (Bench::leader(1, 3), OKAY),
        (Bench::candidate(1, 3), COORDINATOR),
        (Bench::follower(1, 3, 2), COORDINATOR),
        (Bench::candidate(1, 3), bully::Timer::Leader),
        (Bench::leader(1, 3), bully::Timer::Leader),
        (Bench::waiting(1, 3, 2), bully::Timer::Heartbeat),
        (Bench::follower(1, 3, 2), bully::Timer::Heartbeat),
    ];
    for (mut bench, timer) in idle {
        let before = bench.state().clone();
        assert_eq!(bench.fire(timer), [], "{timer:?} in {before:?}");
        assert_eq!(*bench.state(), before);
    }
}

/// A cluster of one elects itself.
#[test]
fn a_node_alone_leads() {
    let (mut bench, effects) = Bench::start(0, 1);
    assert_eq!(effects, stands(1, &[]));
    bench.fire(OKAY);
    assert_eq!(bench.leads(), Some((0, 1)));
}

#[test]
fn a_client_can_ask_who_leads() {
    let leads = |leader: Option<u16>, election| {
        Effect::Emit(Event::Leads {
            leader: leader.map(NodeId),
            election: Number(election),
        })
    };
    let ask = |mut bench: Bench| bench.ask(bully::Command::WhoLeads);
    assert_eq!(ask(Bench::candidate(1, 3)), [leads(None, 1)]);
    assert_eq!(ask(Bench::follower(1, 3, 2)), [leads(Some(2), 1)]);
    assert_eq!(ask(Bench::leader(1, 3)), [leads(Some(1), 1)]);
}
