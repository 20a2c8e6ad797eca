//! Schedules: what one run draws, before it is known what will be possible in it.

use proptest::prelude::{Just, Strategy, any};
use proptest::{collection, prop_oneof};

/// One run's draws.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) swarm: Swarm,
    pub(super) choices: Vec<Choice>,
}

/// What is decided once for a whole run.
#[derive(Clone, Debug)]
pub(super) struct Swarm {
    pub(super) faults: FaultsOn,
    /// In how many steps of a thousand one of these faults happens.
    pub(super) fault_rate: u16,
    pub(super) weights: Weights,
    /// How readily each node takes messages, and how readily its timers run out. Nodes
    /// beyond the list begin it anew.
    pub(super) pace: Vec<u8>,
    pub(super) impatience: Vec<u8>,
}

/// Which faults may happen in a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultsOn {
    pub(super) drops: bool,
    pub(super) duplicates: bool,
    pub(super) crashes: bool,
    pub(super) crashes_within: bool,
    pub(super) cuts: bool,
}

/// How often each kind of action is chosen where no fault is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    pub(super) deliver: u8,
    pub(super) fire: u8,
    pub(super) ask: u8,
    pub(super) restart: u8,
    pub(super) sync: u8,
    pub(super) heal: u8,
}

/// One step's draws, each a fraction of 65,536.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// Whether a fault happens.
    pub(super) fault: u16,
    /// Which kind of action.
    pub(super) kind: u16,
    /// Which action of the kind.
    pub(super) which: u16,
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
