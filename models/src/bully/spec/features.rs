//! What Bully can do and what it must bear: any two of these have to be seen in one run.

use crate::bully::{Bully, Command, Message, Timer, election};
use crate::protocol::Data;
use crate::specification::{Apart, Feature};

impl<R: Data> Bully<R> {
    pub(super) const ALL_FEATURES: &'static [Feature<Self>] = &[
        Feature {
            name: "a node stands for election",
            happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Election { .. })),
        },
        Feature {
            name: "a higher node takes part",
            happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Okay { .. })),
        },
        Feature {
            name: "a coordinator is named",
            happens: |_, _, action, _| {
                matches!(action.delivered(), Some(Message::Coordinator { .. }))
            },
        },
        Feature {
            name: "a node is told that it is behind",
            happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Stale { .. })),
        },
        Feature {
            name: "a node waits for a higher one in vain",
            happens: |_, _, action, _| {
                matches!(
                    action.fired(),
                    Some(Timer::Election(election::Timer::Coordinator))
                )
            },
        },
        Feature {
            name: "a node has won",
            happens: |_, _, action, _| {
                matches!(action.fired(), Some(Timer::Election(election::Timer::Okay)))
            },
        },
        Feature {
            name: "a leader is missed",
            happens: |_, _, action, _| matches!(action.fired(), Some(Timer::Leader)),
        },
        Feature {
            name: "a leader repeats itself",
            happens: |_, _, action, _| matches!(action.fired(), Some(Timer::Heartbeat)),
        },
        Feature {
            name: "a client asks who leads",
            happens: |scenario, before, action, _| {
                matches!(before.asked(scenario, action), Some(Command::WhoLeads))
            },
        },
        Feature::CRASH,
        Feature::LOSS,
        Feature::DUPLICATE,
        Feature::CUT,
    ];

    pub(super) const FEATURES_APART: &'static [Apart] = &[];
}
