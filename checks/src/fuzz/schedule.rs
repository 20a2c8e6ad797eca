//! Schedules: what one run draws, before it is known what will be possible in it.

use proptest::prelude::{Just, Strategy, any};
use proptest::{collection, prop_oneof};

use crate::weather::{Choice, FaultsOn, Swarm, Weights};

/// One run's draws.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) swarm: Swarm,
    pub(super) choices: Vec<Choice>,
}

/// All schedules of up to `steps` steps.
pub(super) fn schedules(steps: usize) -> impl Strategy<Value = Schedule> {
    let choices = collection::vec(choice(), 1..=steps.max(1));
    (swarm(), choices).prop_map(|(swarm, choices)| Schedule { swarm, choices })
}

fn choice() -> impl Strategy<Value = Choice> {
    any::<[u16; 3]>().prop_map(|[fault, kind, which]| Choice { fault, kind, which })
}

fn swarm() -> impl Strategy<Value = Swarm> {
    let rate = prop_oneof![Just(0u16), 1..=20u16, 20..=120u16];
    let per_node = || collection::vec(prop_oneof![Just(1u8), Just(5), Just(25)], 8);
    (faults_on(), rate, weights(), per_node(), per_node()).prop_map(
        |(faults, fault_rate, weights, pace, impatience)| Swarm {
            faults,
            fault_rate,
            weights,
            pace,
            impatience,
        },
    )
}

fn faults_on() -> impl Strategy<Value = FaultsOn> {
    any::<[bool; 5]>().prop_map(
        |[drops, duplicates, crashes, crashes_within, cuts]| FaultsOn {
            drops,
            duplicates,
            crashes,
            crashes_within,
            cuts,
        },
    )
}

fn weights() -> impl Strategy<Value = Weights> {
    let rare = || 1..=12u8;
    (20..=200u8, rare(), rare(), rare(), rare(), rare()).prop_map(
        |(deliver, fire, ask, restart, sync, heal)| Weights {
            deliver,
            fire,
            ask,
            restart,
            sync,
            heal,
        },
    )
}
