//! Messages that no right node sends: borne in every state that a run can come to.

use models::bully::{Bully, Command, Message, Number, Timer, election, spec};
use models::world::Timing;
use models::{Input, NodeId, Outbox, Protocol};
use proptest::prelude::*;

use crate::support::runs::{choices, walk};

/// Small numbers, which may be right, and absurd ones.
fn number() -> impl Strategy<Value = Number> {
    let number = prop_oneof![
        6 => 0..8u64,
        1 => Just(Number::FURTHEST_AHEAD),
        1 => prop_oneof![Just(u64::MAX - 1), Just(u64::MAX)],
        1 => any::<u64>(),
    ];
    number.prop_map(Number)
}

fn message() -> impl Strategy<Value = Message<u8>> {
    prop_oneof![
        (number(), any::<u8>()).prop_map(|(election, rank)| Message::Election { election, rank }),
        number().prop_map(|election| Message::Okay { election }),
        (number(), any::<u8>())
            .prop_map(|(election, rank)| Message::Coordinator { election, rank }),
        (number(), number()).prop_map(|(election, current)| Message::Stale { election, current }),
    ]
}

fn timer() -> impl Strategy<Value = Timer> {
    let okay = Timer::Election(election::Timer::Okay);
    let coordinator = Timer::Election(election::Timer::Coordinator);
    proptest::sample::select(vec![okay, coordinator, Timer::Leader, Timer::Heartbeat])
}

/// Whatever may be handed to a node, messages from anybody first of all.
fn inputs() -> impl Strategy<Value = Vec<Input<Bully<u8>>>> {
    let sender = prop_oneof![9 => 0..5u16, 1 => any::<u16>()].prop_map(NodeId);
    let deliver = (sender, message()).prop_map(|(from, message)| Input::Deliver { from, message });
    let input = prop_oneof![
        8 => deliver,
        1 => timer().prop_map(Input::Fire),
        1 => Just(Input::Ask(Command::WhoLeads)),
    ];
    proptest::collection::vec(input, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Nothing panics, strangers change nothing, numbers go up only as far as one believes, and
    /// nobody ever follows a node that is no member.
    #[test]
    fn anything_from_anybody_is_borne(choices in choices(100), inputs in inputs()) {
        let scenario = spec::at_large(4, Timing::Any);
        let world = walk(&scenario, &choices, |_, _, _| {});
        for (id, node) in world.running() {
            let bully = &scenario.nodes[usize::from(id.0)];
            let mut node = node.clone();
            for input in &inputs {
                let before = node.clone();
                let mut out = Outbox::new();
                bully.step(&mut node, input.clone(), &mut out);
                if matches!(input, Input::Deliver { from, .. } if !bully.peers().contains(from)) {
                    prop_assert_eq!(&node, &before);
                    prop_assert!(out.effects().is_empty());
                }
                let numbers = [&before, &node].map(|node| node.volatile.election.0);
                let furthest = numbers[0].saturating_add(Number::FURTHEST_AHEAD);
                prop_assert!(numbers[1] >= numbers[0]);
                // One believes that another is so far ahead, and goes beyond it.
                prop_assert!(numbers[1] <= furthest.saturating_add(Number::FURTHEST_AHEAD).saturating_add(1));
                let leader = node.volatile.leader();
                prop_assert!(leader.is_none_or(|leader| leader.0 < 4));
            }
        }
    }
}
