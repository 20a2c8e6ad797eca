//! Timers that are started anew by what they do not wait for, or not by what they do: worlds show
//! nothing of it, for a timer that runs may run out at any time. And one that is started too early,
//! for what it waits for is miscounted.

use super::R;
use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::raft::Timer;
use crate::raft::message::Message;
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-REFUSAL-RENEWS",
        defect: "whoever is asked for a vote waits anew, though it gives none: a node that cannot win \
                 keeps the others from standing",
        source: "Figure 2, \"Followers\"",
        model: "raft/divergence",
        inject: |scenario| scenario.step = waits_anew_when_asked,
    },
    Mutant {
        id: "RAFT-OLD-LEADER-RENEWS",
        defect: "an append of a leader of an earlier term renews the election timer",
        source: "Figure 2, \"Followers\": \"from current leader\"",
        model: "raft/connected",
        inject: |scenario| {
            scenario.step = waits_anew_for_old_leaders;
            // To the right protocol its appends are inert.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "RAFT-LEADER-RENEWS-NOTHING",
        defect: "the leader's appends do not renew the election timer: followers depose it though \
                 they hear it",
        source: "Figure 2, \"Followers\"",
        model: "raft/clients",
        inject: |scenario| scenario.step = waits_on_though_it_hears,
    },
    Mutant {
        id: "RAFT-SNAP-COUNT-KEPT",
        defect: "who installs a snapshot goes on counting what the snapshot has saved: its own next \
                 one comes too early",
        source: "§7",
        model: "raft/install-counted",
        inject: |scenario| scenario.step = counts_on,
    },
];

fn counts_on(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let counted = node.volatile.unsaved;
    let last = node.durable().snapshot.last_included_index();
    let is_chunk = matches!(
        input,
        Input::Deliver {
            message: Message::InstallSnapshot { .. },
            ..
        }
    );
    raft.step(node, input, out);
    if is_chunk && node.durable().snapshot.last_included_index() > last {
        node.volatile.unsaved = counted;
    }
}

fn waits_anew_when_asked(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_asked = matches!(
        input,
        Input::Deliver {
            message: Message::RequestVote { .. },
            ..
        }
    );
    raft.step(node, input, out);
    if is_asked {
        out.arm(Timer::Election);
    }
}

fn waits_anew_for_old_leaders(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_old = matches!(
        &input,
        Input::Deliver {
            message: Message::AppendEntries { term, .. },
            ..
        } if *term < node.durable().current_term
    );
    raft.step(node, input, out);
    if is_old {
        out.arm(Timer::Election);
    }
}

fn waits_on_though_it_hears(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let hears = matches!(
        input,
        Input::Deliver {
            message: Message::AppendEntries { .. },
            ..
        }
    );
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        if !hears || effect != Effect::Arm(Timer::Election) {
            out.push(effect);
        }
    }
}
