//! What ZAB can do and what it must bear: any two of these have to be seen in one run.

use super::{Bounded, Message};
use crate::machine::StateMachine;
use crate::specification::{Apart, Feature};
use crate::zab::{Command, Timer, Zab};

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const ALL_FEATURES: &'static [Feature<Self>] = &[
        Feature {
            name: "a follower is sent what it lacks",
            happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Diff { .. })),
        },
        Feature {
            name: "a history is cut",
            happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Trunc { .. })),
        },
        Feature {
            name: "a snapshot is sent",
            happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Snap { .. })),
        },
        Feature {
            name: "a proposal",
            happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Propose(_))),
        },
        Feature {
            name: "an acknowledgement",
            happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Ack { .. })),
        },
        Feature {
            name: "a request is passed on",
            happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Request { .. })),
        },
        Feature {
            name: "a leader is asked whether it lives",
            happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Ping { .. })),
        },
        Feature {
            name: "nobody is established in time",
            happens: |_, _, action, _| matches!(action.fired(), Some(Timer::Init)),
        },
        Feature {
            name: "a node has waited for the other end in vain",
            happens: |_, _, action, _| matches!(action.fired(), Some(Timer::Sync)),
        },
        Feature {
            name: "a write",
            happens: |scenario, before, action, _| {
                matches!(before.asked(scenario, action), Some(Command::Write { .. }))
            },
        },
        Feature {
            name: "a local read",
            happens: |scenario, before, action, _| {
                matches!(before.asked(scenario, action), Some(Command::Read { .. }))
            },
        },
        Feature {
            name: "a synced read",
            happens: |scenario, before, action, _| {
                matches!(
                    before.asked(scenario, action),
                    Some(Command::SyncedRead { .. })
                )
            },
        },
        Feature {
            name: "another leader",
            happens: |_, before, _, after| {
                !before.ghost.reigns.is_empty()
                    && before.ghost.reigns.len() < after.ghost.reigns.len()
            },
        },
        Feature::RETRY,
        Feature::CRASH,
        Feature::LOSS,
        Feature::DUPLICATE,
        Feature::CUT,
        Feature::LOST_ANSWER,
        Feature::LOST_DISK,
    ];

    pub(super) const FEATURES_APART: &'static [Apart] = &[];
}
