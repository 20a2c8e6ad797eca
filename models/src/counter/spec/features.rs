//! What the counter can do and what it must bear: any two of these have to be seen in one run.

use super::reachable;
use crate::counter::message::Message;
use crate::counter::{Command, Counter, Timer};
use crate::specification::{Apart, Feature};

pub(super) const FEATURES: &[Feature<Counter>] = &[
    Feature {
        name: "a delta",
        happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Delta { .. })),
    },
    Feature {
        name: "a delta is acknowledged",
        happens: |_, _, action, _| matches!(action.delivered(), Some(Message::DeltaAck { .. })),
    },
    Feature {
        name: "states are exchanged",
        happens: |_, _, action, _| {
            matches!(action.delivered(), Some(Message::PushPullReply { .. }))
        },
    },
    Feature {
        name: "a replica tells what is new",
        happens: |_, _, action, _| matches!(action.fired(), Some(Timer::Broadcast)),
    },
    Feature {
        name: "an increment",
        happens: |scenario, before, action, _| {
            matches!(before.asked(scenario, action), Some(Command::Increment(_)))
        },
    },
    Feature {
        name: "a read",
        happens: |scenario, before, action, _| {
            matches!(before.asked(scenario, action), Some(Command::Read { .. }))
        },
    },
    Feature {
        name: "a window is read",
        happens: |scenario, before, action, _| {
            matches!(
                before.asked(scenario, action),
                Some(Command::ReadWindow { .. })
            )
        },
    },
    Feature {
        name: "a replica gets a new name",
        happens: |scenario, before, action, _| {
            matches!(
                before.asked(scenario, action),
                Some(Command::Identify { .. })
            )
        },
    },
    Feature {
        name: "a replica joins",
        happens: |scenario, before, action, _| {
            matches!(before.asked(scenario, action), Some(Command::PeerJoined(_)))
        },
    },
    Feature {
        name: "a replica is gone",
        happens: |scenario, before, action, _| {
            matches!(before.asked(scenario, action), Some(Command::PeerGone(_)))
        },
    },
    Feature {
        name: "a replica leaves",
        happens: |scenario, before, action, _| {
            matches!(before.asked(scenario, action), Some(Command::Leave))
        },
    },
    Feature {
        name: "a bucket expires",
        happens: |_, before, _, after| {
            let mut hosts = before.all_hosts().zip(after.all_hosts());
            hosts.any(|((_, old), (_, new))| {
                !reachable::has_outlived_a_bucket(old) && reachable::has_outlived_a_bucket(new)
            })
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

pub(super) const APART: &[Apart] = &[];
