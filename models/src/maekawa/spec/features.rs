//! What Maekawa's algorithm can do and what it must bear: any two of these have to be seen in one run.

use super::{carried, holders, locks};
use crate::maekawa::message::Message;
use crate::maekawa::{Command, Maekawa, Timer};
use crate::specification::{Apart, Feature};

pub(super) const FEATURES: &[Feature<Maekawa>] = &[
    Feature {
        name: "a request waits",
        happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Failed { .. })),
    },
    Feature {
        name: "an arbiter inquires",
        happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Inquire { .. })),
    },
    Feature {
        name: "a request gives way",
        happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Relinquish { .. })),
    },
    Feature {
        name: "a node is frozen",
        happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Freeze { .. })),
    },
    Feature {
        name: "an epoch is installed",
        happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Install { .. })),
    },
    Feature {
        name: "a node registers",
        happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Register { .. })),
    },
    Feature {
        name: "a node deregisters",
        happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Deregister { .. })),
    },
    Feature {
        name: "a node that waits asks again",
        happens: |_, _, action, _| matches!(action.fired(), Some(Timer::Retry)),
    },
    Feature {
        name: "a lease runs out",
        happens: |_, _, action, _| matches!(action.fired(), Some(Timer::Lease)),
    },
    Feature {
        name: "a health check",
        happens: |_, _, action, _| matches!(action.fired(), Some(Timer::HealthCheck)),
    },
    Feature {
        name: "a client lets the lock go",
        happens: |scenario, before, action, _| {
            matches!(
                before.asked(scenario, action),
                Some(Command::Release { .. })
            )
        },
    },
    Feature {
        name: "a session ends",
        happens: |scenario, before, action, _| {
            matches!(before.asked(scenario, action), Some(Command::End { .. }))
        },
    },
    Feature {
        name: "the lock is held",
        happens: |_, _, _, after| holders(after).next().is_some(),
    },
    locks::SEVERAL_LOCKS,
    locks::FORGETTING,
    carried::CARRYING,
    Feature::RETRY,
    Feature::CRASH,
    Feature::LOSS,
    Feature::DUPLICATE,
    Feature::CUT,
    Feature::LOST_ANSWER,
    Feature::LOST_DISK,
];

pub(super) const APART: &[Apart] = &[];
