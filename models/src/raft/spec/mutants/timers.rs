//! Timers that are started anew by what they do not wait for, or not by what they do: worlds show
//! nothing of it, for a timer that runs may run out at any time. And one that is started too early,
//! for what it waits for is miscounted.

use super::R;
use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::raft::Timer;
use crate::raft::message::Message;
use crate::raft::state::Role;
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
        id: "RAFT-OLD-LEADER-DELAYS-CANDIDATE",
        defect: "an append of a leader of an earlier term makes a candidate wait anew, before it stands \
                 again",
        source: "§5.2: a candidate stands again when its election timeout elapses without a leader",
        model: "raft/connected",
        inject: |scenario| {
            scenario.step = stands_later_for_old_leaders;
            // To the right protocol its appends are inert.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "RAFT-OLD-HEARTBEAT-RENEWS",
        defect: "a heartbeat that waits for no disk renews the election timer, whatever its term",
        source: "Figure 2, \"Followers\": \"from current leader\"",
        model: "raft/buffered-reads",
        inject: |scenario| scenario.step = waits_anew_for_old_heartbeats,
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
    let is_old = is_old_append(node, &input);
    raft.step(node, input, out);
    if is_old {
        out.arm(Timer::Election);
    }
}

fn is_old_append(node: &Node<R>, input: &Input<R>) -> bool {
    matches!(
        input,
        Input::Deliver {
            message: Message::AppendEntries { term, .. },
            ..
        } if *term < node.durable().current_term
    )
}

fn stands_later_for_old_leaders(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
) {
    let stands = matches!(node.volatile.role, Role::Candidate { .. });
    let is_old = is_old_append(node, &input);
    raft.step(node, input, out);
    if stands && is_old {
        out.arm(Timer::Election);
    }
}

fn waits_anew_for_old_heartbeats(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
) {
    let is_heartbeat = matches!(
        input,
        Input::Deliver {
            message: Message::Heartbeat { .. },
            ..
        }
    );
    raft.step(node, input, out);
    if is_heartbeat && !matches!(node.volatile.role, Role::Leader(_)) {
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
