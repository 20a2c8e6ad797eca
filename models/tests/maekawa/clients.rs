//! A node's clients: node 1 of three, whose quorum is {1, 2}.

use models::maekawa::spec::claim;
use models::maekawa::state::{Claim, Record};
use models::maekawa::{Command, Event, Refusal};
use models::{Effect, NodeId};

use super::bench::*;

fn refused(command: Command, why: Refusal) -> Effect<models::maekawa::Maekawa> {
    Effect::Emit(Event::Refused { command, why })
}

fn acquire(claim: Claim) -> Command {
    Command::Acquire { claim }
}

/// The node's claim 1, granted.
fn holder() -> Bench {
    let mut bench = Bench::member(1, 3);
    bench.acquire(1);
    bench.deliver(2, locked(1, 1, 1));
    bench
}

/// Clients of one node queue at it, oldest first; each claim is a request of its own.
#[test]
fn clients_queue_at_their_node() {
    let mut bench = holder();
    for number in [1, 2] {
        let claim = claim(1, number, 1);
        assert_eq!(bench.ask(acquire(claim)), []);
    }
    let effects = bench.release(1);
    assert!(
        sent(&effects).contains(&send(2, request(2, 1))),
        "{effects:?}"
    );
    let effects = bench.deliver(2, locked(2, 1, 2));
    assert!(effects.contains(&granted(claim(1, 1, 1), 2)), "{effects:?}");
}

/// Asking again is no new claim: who has the lock hears its token again, who waits goes on
/// waiting, who has released hears that it has.
#[test]
fn asking_again_changes_nothing() {
    let mut bench = Bench::member(1, 3);
    bench.acquire(1);
    assert_eq!(bench.acquire(1), []);
    bench.deliver(2, locked(1, 1, 1));
    let before = bench.node.clone();
    assert_eq!(bench.acquire(1), [granted(bench.claim(1), 1)]);
    assert_eq!(bench.node, before);
    bench.release(1);
    assert_eq!(bench.release(1), [released(bench.claim(1))]);
    let over = refused(acquire(bench.claim(1)), Refusal::Over);
    assert_eq!(bench.acquire(1), [over]);
}

/// Refusals say why.
#[test]
fn refusals_say_why() {
    let mut bench = holder();
    let elsewhere = claim(2, 0, 1);
    let wrong = refused(acquire(elsewhere.clone()), Refusal::WrongNode);
    assert_eq!(bench.ask(acquire(elsewhere)), [wrong]);
    let second = bench.claim(2);
    assert_eq!(
        bench.acquire(2),
        [refused(acquire(second.clone()), Refusal::Busy)]
    );
    let another = Command::Release { claim: second };
    assert_eq!(
        bench.ask(another.clone()),
        [refused(another, Refusal::Busy)]
    );
    bench.maekawa.max_claims = 1;
    let one_more = acquire(claim(1, 6, 1));
    assert_eq!(
        bench.ask(one_more.clone()),
        [refused(one_more, Refusal::Full)]
    );

    let mut outsider = Bench::start(1, &[]);
    let refusal = refused(acquire(outsider.claim(1)), Refusal::NotAMember);
    assert_eq!(outsider.acquire(1), [refusal]);
    let mut orchestrator = Bench::orchestrator(2);
    for command in [
        acquire(claim(0, 0, 1)),
        Command::Release {
            claim: claim(0, 0, 1),
        },
        Command::Register,
        Command::Deregister,
    ] {
        assert_eq!(
            orchestrator.ask(command.clone()),
            [refused(command, Refusal::Orchestrator)]
        );
    }
}

/// A client may give up while it waits: its arbiters hear of it, and the next client's request
/// follows.
#[test]
fn a_client_that_waits_may_give_up() {
    let mut bench = Bench::member(1, 3);
    bench.acquire(1);
    let next = claim(1, 1, 1);
    bench.ask(acquire(next.clone()));
    let effects = bench.release(1);
    assert_eq!(effects[0], released(bench.claim(1)));
    assert_eq!(
        sent(&effects),
        [send(2, release(1, 1, 0)), send(2, request(2, 1))]
    );
    bench.release(1);
    let effects = bench.ask(Command::Release { claim: next });
    assert_eq!(sent(&effects), [send(2, release(2, 1, 0))]);
}

/// What a client asks may be overtaken by what it asks next: a claim that is given up before the
/// node has heard of it is over, and holds nothing when it comes.
#[test]
fn a_claim_may_be_given_up_before_it_is_made() {
    let mut bench = Bench::member(1, 3);
    assert_eq!(bench.release(1), [released(bench.claim(1))]);
    let over = refused(acquire(bench.claim(1)), Refusal::Over);
    assert_eq!(bench.acquire(1), [over]);
    assert_eq!(sent(&bench.acquire(2)), [send(2, request(1, 1))]);
}

/// A client that is gone holds nothing and waits for nothing, and what it has claimed is forgotten.
#[test]
fn a_client_that_is_gone_is_forgotten() {
    let mut bench = holder();
    let session = bench.claim(1).session;
    let effects = bench.ask(Command::End { session });
    assert!(effects.contains(&released(bench.claim(1))), "{effects:?}");
    assert!(effects.contains(&Effect::Emit(Event::Ended { session })));
    assert_eq!(bench.held(), None);
    assert!(bench.local().over.is_empty());
    let elsewhere = claim(2, 0, 1).session;
    let end = Command::End { session: elsewhere };
    assert_eq!(bench.ask(end.clone()), [refused(end, Refusal::WrongNode)]);
}

/// What a client has asked before it was gone may come later. Its claim is refused, for there is
/// nobody left to release the lock; that it is over is true, and takes no room.
#[test]
fn what_comes_after_the_end_of_its_session_is_over() {
    let mut bench = Bench::member(1, 3);
    let session = bench.claim(1).session;
    let ended = [Effect::Emit(Event::Ended { session })];
    assert_eq!(bench.ask(Command::End { session }), ended);
    let over = refused(acquire(bench.claim(1)), Refusal::Over);
    assert_eq!(bench.acquire(1), [over]);
    assert_eq!(bench.release(1), [released(bench.claim(1))]);
    assert!(bench.local().claims.is_empty());
    assert!(bench.local().over.is_empty());
    assert_eq!(bench.ask(Command::End { session }), ended);
}

/// Of sessions that are numbered upwards and end in any order, a node remembers which go on.
#[test]
fn sessions_that_have_ended_take_no_room() {
    let end = |bench: &mut Bench, number| {
        let session = claim(1, number, 1).session;
        bench.ask(Command::End { session });
    };
    let numbers = [3, 0, 1, 7, 5, 6, 2, 8, 1];
    let mut bench = Bench::member(1, 3);
    for number in numbers {
        end(&mut bench, number);
    }
    let has_ended = |number| bench.local().ended.contains(number);
    assert!((0..=9).all(|number| has_ended(number) == numbers.contains(&number)));
    let mut in_order = Bench::member(1, 3);
    for number in (0..=3).chain(5..=8) {
        end(&mut in_order, number);
    }
    assert_eq!(bench.local().ended, in_order.local().ended);
    let written = format!("{:?}", bench.local().ended);
    assert!(written.contains("{0: 3, 5: 8}"), "{written}");
}

/// Who registers and is a member already, or leaves and is none, is told at once.
#[test]
fn operators_are_answered() {
    let mut bench = Bench::member(1, 3);
    let effects = bench.ask(Command::Register);
    let joined = Effect::Emit(Event::Joined {
        epoch: models::maekawa::message::Epoch(1),
        members: ids(1..=3),
    });
    assert_eq!(effects, [joined]);
    let mut outsider = Bench::start(1, &[]);
    let left = Effect::Emit(Event::Left {
        epoch: models::maekawa::message::Epoch(0),
    });
    assert!(outsider.ask(Command::Deregister).contains(&left));
    assert_eq!(outsider.records, []);
}

/// A member that is to leave lets nobody else in, and its waiting clients go elsewhere; who is in
/// the critical section stays until it leaves.
#[test]
fn a_member_that_leaves_turns_its_clients_away() {
    let mut bench = holder();
    let waiting = claim(1, 1, 1);
    bench.ask(acquire(waiting.clone()));
    let effects = bench.ask(Command::Deregister);
    assert!(effects.contains(&refused(acquire(waiting), Refusal::NotAMember)));
    assert_eq!(bench.records, [Record::Registered(false)]);
    assert!(bench.held().is_some());
    let epoch = models::maekawa::message::Epoch(1);
    let deregister = models::maekawa::message::Message::Deregister { epoch };
    assert_eq!(sent(&effects), [send(0, deregister)]);
    assert_eq!(bench.maekawa.orchestrator(), NodeId(0));
}
