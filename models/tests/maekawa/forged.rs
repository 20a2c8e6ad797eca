//! Whatever arrives, from whomever: no node panics, and no number runs out.

use models::maekawa::Timer;
use models::maekawa::lock::{LONGEST_NAME, LockName};
use models::maekawa::message::{
    Epoch, FURTHEST_AHEAD, GREATEST, Held, HeldLocks, Message, Timestamp, Token,
};
use models::maekawa::quorum::Construction;
use models::maekawa::spec::{at_large, claim_to, the_lock};
use models::maekawa::{Command, Maekawa};
use models::world::{Delivery, Timing, World};
use models::{Input, NodeId, Outbox, Protocol};
use proptest::prelude::*;

use super::bench::*;
use crate::support::runs::{choices, walk};

/// Numbers at the edges, and near what is really in use.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..6u64,
        1 => Just(u64::MAX),
        1 => Just(FURTHEST_AHEAD),
        1 => any::<u64>(),
    ]
}

/// The one lock of most worlds, others, and what is none.
fn names() -> impl Strategy<Value = LockName> {
    prop_oneof![
        4 => Just(the_lock()),
        2 => (0..5u8).prop_map(|number| LockName::from(number.to_string())),
        1 => Just("".into()),
        1 => Just("n".repeat(LONGEST_NAME + 1).into()),
    ]
}

/// A lock that somebody says is held.
fn held(lock: LockName, request: Timestamp, number: u64) -> HeldLocks {
    let token = Token {
        epoch: Epoch(number % 4),
        counter: number,
    };
    [(lock, Held { request, token })].into()
}

fn messages() -> impl Strategy<Value = Message> {
    let parts = (0..13u8, numbers(), numbers(), 0..5u16, numbers(), names());
    parts.prop_map(|(kind, epoch, clock, node, number, lock)| {
        let (epoch, request) = (Epoch(epoch), stamp(clock, node));
        match kind {
            0 => Message::Request {
                epoch,
                lock,
                request,
            },
            1 => Message::Locked {
                epoch,
                lock,
                request,
                number,
                clock,
            },
            2 => Message::Failed {
                epoch,
                lock,
                request,
            },
            3 => Message::Inquire {
                epoch,
                lock,
                request,
                number,
            },
            4 => Message::Relinquish {
                epoch,
                lock,
                request,
                number,
            },
            5 => Message::Release {
                epoch,
                lock,
                request,
                counter: number,
            },
            6 => Message::Register { after: epoch },
            7 => Message::Deregister { epoch },
            8 => Message::Freeze { epoch },
            9 => Message::Frozen {
                epoch,
                held: held(lock, request, number),
            },
            10 => Message::Install {
                epoch,
                members: ids((0..5).filter(|id| number & (1 << id) != 0)),
                construction: [Construction::Plane, Construction::Grid]
                    [usize::from(number % 2 == 0)],
                held: held(lock, request, number),
            },
            11 => Message::Ping {
                epoch,
                renews: number % 2 == 0,
            },
            _ => Message::Pong { epoch },
        }
    })
}

fn inputs() -> impl Strategy<Value = Input<Maekawa>> {
    let timers = prop_oneof![
        Just(Timer::Retry),
        Just(Timer::Register),
        Just(Timer::Lease),
        Just(Timer::HealthCheck),
    ];
    let claims = (names(), 0..3u16, 0..2u64, numbers())
        .prop_map(|(lock, node, number, sequence)| claim_to(lock, node, number, sequence));
    let commands = (0..6u8, claims).prop_map(|(kind, claim)| match kind {
        0 | 1 => Command::Acquire { claim },
        2 => Command::Release { claim },
        3 => Command::End {
            session: claim.session,
        },
        4 => Command::Register,
        _ => Command::Deregister,
    });
    prop_oneof![
        8 => (0..5u16, messages()).prop_map(|(from, message)| {
            let from = NodeId(from);
            Input::Deliver { from, message }
        }),
        2 => timers.prop_map(Input::Fire),
        2 => commands.prop_map(Input::Ask),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_panics(
        inputs in proptest::collection::vec(inputs(), 1..120),
        orchestrator in any::<bool>(),
    ) {
        let mut bench = if orchestrator {
            Bench::orchestrator(3)
        } else {
            Bench::member(1, 3)
        };
        bench.maekawa.max_idle_locks = 2;
        for input in inputs {
            let epoch = bench.node.durable().epoch;
            bench.feed(input);
            let now = bench.node.durable().epoch;
            prop_assert!(epoch <= now && now.0 - epoch.0 <= FURTHEST_AHEAD);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The same at nodes as a world with all faults brings them forth: with requests, grants,
    /// waiting queues, epochs that end.
    #[test]
    fn nothing_panics_wherever_a_node_has_come_to(
        choices in choices(120),
        forged in proptest::collection::vec(inputs(), 1..60),
    ) {
        let scenario = at_large(Delivery::Bag, Timing::Any);
        let mut last = World::initial(&scenario);
        walk(&scenario, &choices, |_, _, world| last = world.clone());
        for (id, node) in last.running() {
            let mut node = node.clone();
            let protocol = &scenario.nodes[usize::from(id.0)];
            for input in &forged {
                protocol.step(&mut node, input.clone(), &mut Outbox::new());
            }
        }
    }
}

/// However many forged messages arrive, each as far ahead as is believed: a node's own numbers
/// do not run out.
#[test]
fn numbers_do_not_run_out() {
    let mut bench = Bench::member(1, 3);
    for jumps in [GREATEST - 7, GREATEST] {
        bench.member_mut().number = jumps;
        bench.local_mut().clock = jumps;
        for clock in [GREATEST + 1, GREATEST + FURTHEST_AHEAD, u64::MAX] {
            assert_eq!(bench.deliver(2, request(clock, 2)), []);
            assert_eq!(bench.deliver(2, release(1, 2, clock)), []);
        }
    }
    assert_eq!(sent(&bench.acquire(1)).len(), 1, "it still asks");
    assert!(bench.local().clock > GREATEST);
}

/// One message cannot carry a node's clock, its numbers or its epoch out of reach.
#[test]
fn absurd_numbers_are_ignored() {
    let mut bench = Bench::member(1, 3);
    let before = bench.node.clone();
    for message in [
        request(u64::MAX, 2),
        release(u64::MAX, 2, 0),
        release(1, 2, u64::MAX),
    ] {
        assert_eq!(bench.deliver(2, message), []);
    }
    assert_eq!(bench.deliver(0, install(u64::MAX, [1, 2])), []);
    assert_eq!(
        bench.deliver(
            0,
            Message::Freeze {
                epoch: Epoch(u64::MAX)
            }
        ),
        []
    );
    assert_eq!(bench.node, before);
    bench.acquire(1);
    let waiting = bench.node.clone();
    assert_eq!(bench.deliver(2, locked(1, 1, u64::MAX)), []);
    assert_eq!(bench.deliver(2, inquire(1, 1, u64::MAX)), []);
    assert_eq!(
        bench.deliver(2, inquire(9, 1, 1)),
        [],
        "a request that it never made"
    );
    assert_eq!(bench.node, waiting);
}
