//! Defects in what clients and hosts are told: that is said which is not so (§6, §8; thesis §3.10,
//! §6.3).

use alloc::vec::Vec;

use super::{R, leads, step_and_rewrite};
use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::raft::membership::Refusal;
use crate::raft::spec::machine::Adder;
use crate::raft::state::Role;
use crate::raft::{Command, Event, TransferOutcome};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-TRANSFER-BUSY-WITH-ITSELF",
        defect: "who wants another to lead than is about to is told that its own choice is about to",
        source: "thesis §3.10: the transfer under way goes on",
        model: "raft/transfer-asked-twice",
        inject: |scenario| scenario.step = names_who_was_asked_for,
    },
    Mutant {
        id: "RAFT-FOLLOWS-UNTOLD",
        defect: "a host is not told that its node has lost its leader",
        source: "§8: clients are sent to the most recent leader that the node has heard from",
        model: "raft/two-clusters",
        inject: |scenario| scenario.step = hides_the_loss_of_its_leader,
    },
    Mutant {
        id: "RAFT-CHANGE-DONE-ALREADY",
        defect: "who asks for what another's change is about to make so is told that it is so",
        source: "§6, §8: it may come to nothing",
        model: "raft/asked-amid-change",
        inject: |scenario| scenario.step = takes_begun_for_done,
    },
    Mutant {
        id: "RAFT-CHANGE-REFUSED-IN-OFFICE",
        defect: "a leader refuses changes, as one that has committed nothing in its term, until it has \
                 committed a second entry",
        source: "Ongaro, \"Bug in single-server membership changes\", raft-dev, 2015: one is enough",
        model: "raft/move",
        inject: |scenario| scenario.step = refuses_in_office,
    },
    Mutant {
        id: "RAFT-TRANSFER-TOLD-DONE",
        defect: "who has asked for a transfer that is given up is told that it is done",
        source: "thesis §3.10, last paragraph",
        model: "raft/transfer",
        inject: |scenario| scenario.step = calls_it_done,
    },
    Mutant {
        id: "RAFT-HOST-TOLD-EARLY",
        defect: "a host is told that a configuration is committed when it is in force",
        source: "§6: it may go back",
        model: "raft/move",
        inject: |scenario| scenario.step = tells_hosts_early,
    },
    Mutant {
        id: "RAFT-HOST-UNTOLD",
        defect: "followers do not tell their hosts that a configuration is committed",
        source: "§6",
        model: "raft/move",
        inject: |scenario| scenario.step = tells_leaders_hosts,
    },
    Mutant {
        id: "RAFT-RETIRED-UNTOLD",
        defect: "a host is not told that its node has left: it goes on running it",
        source: "thesis §4.2.2",
        model: "raft/learner-leaves",
        inject: |scenario| scenario.step = |r, n, i, o| hides_retirement(r, n, i, o, |_| true),
    },
    Mutant {
        id: "RAFT-RETIRED-UNTOLD-BY-SNAPSHOT",
        defect: "a host is not told that its node has left where the node learns so from a snapshot",
        source: "§7; thesis §4.2.2",
        model: "raft/learner-leaves-compacted",
        inject: |scenario| {
            scenario.step = |r, n, i, o| {
                hides_retirement(r, n, i, o, |event| matches!(event, Event::Installed { .. }))
            }
        },
    },
    Mutant {
        id: "RAFT-RETIRED-BEFORE-JOINING",
        defect: "a node that joins takes a configuration from before its time for one by which it has left",
        source: "thesis §4.2.1, §4.2.2",
        model: "raft/joins-changed-cluster",
        inject: |scenario| scenario.step = retires_before_joining,
    },
    Mutant {
        id: "RAFT-SUPERSEDED-EXPIRED",
        defect: "whose request is superseded is told that its session has expired, and gives that up",
        source: "§8; thesis §6.3",
        model: "raft/shared-session",
        inject: |scenario| scenario.step = calls_it_expired,
    },
];

fn takes_begun_for_done(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Ask(Command::ChangeMembership { request, change }) = &input
        && let Role::Leader(leadership) = &node.volatile.role
        && leadership.change != Some(*request)
    {
        let next = raft.configuration(node).without_outgoing();
        if change.applied_to(&next) == Ok(next.clone()) {
            return out.emit(Event::Changed {
                request: *request,
                configuration: next,
            });
        }
    }
    raft.step(node, input, out);
}

fn refuses_in_office(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    match (&input, &node.volatile.role) {
        (Input::Ask(Command::ChangeMembership { request, .. }), Role::Leader(leadership))
            if node.volatile.commit_index == leadership.term_start =>
        {
            let refusal = Refusal::NotEstablished;
            out.emit(Event::Refused {
                request: *request,
                refusal,
            });
        }
        _ => raft.step(node, input, out),
    }
}

fn calls_it_done(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_and_rewrite(raft, node, input, out, |_, mut effect| {
        if let Effect::Emit(Event::Transfer { outcome, .. }) = &mut effect
            && *outcome == TransferOutcome::TimedOut
        {
            *outcome = TransferOutcome::SteppedDown;
        }
        effect
    });
}

fn tells_hosts_early(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    if leads(node) && raft.is_changing(node) {
        out.emit(Event::MembershipCommitted {
            configuration: raft.configuration(node).clone(),
        });
    }
}

fn tells_leaders_hosts(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        if leads(node) || !matches!(effect, Effect::Emit(Event::MembershipCommitted { .. })) {
            out.push(effect);
        }
    }
}

fn calls_it_expired(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_and_rewrite(raft, node, input, out, |node, effect| match effect {
        Effect::Emit(Event::Superseded { request }) => Effect::Emit(Event::SessionExpired {
            request,
            since: node.volatile.applied.sessions.position(),
        }),
        effect => effect,
    });
}

fn names_who_was_asked_for(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let wanted = match &input {
        Input::Ask(Command::TransferLeadership { to, .. }) => Some(*to),
        _ => None,
    };
    step_and_rewrite(raft, node, input, out, |_, mut effect| {
        if let Effect::Emit(Event::Transfer {
            outcome: TransferOutcome::Busy { to },
            ..
        }) = &mut effect
        {
            *to = wanted.unwrap_or(*to);
        }
        effect
    });
}

fn hides_the_loss_of_its_leader(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
) {
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    let halts = node.durable().halted.is_some();
    for effect in right.drain() {
        let is_hidden = matches!(effect, Effect::Emit(Event::Following { leader: None, .. }));
        if !halts || !is_hidden {
            out.push(effect);
        }
    }
}

/// Where the step says something of this kind.
fn hides_retirement(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
    is_hidden: fn(&Event<Adder>) -> bool,
) {
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    let effects: Vec<_> = right.drain().collect();
    let mut events = effects.iter().filter_map(|effect| match effect {
        Effect::Emit(event) => Some(event),
        _ => None,
    });
    let hides = events.any(is_hidden);
    for effect in effects {
        if !hides || !matches!(effect, Effect::Emit(Event::Retired)) {
            out.push(effect);
        }
    }
}

fn retires_before_joining(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let was_changing = raft.is_changing(node);
    let commit_index = node.volatile.commit_index;
    raft.step(node, input, out);
    let commits = node.volatile.commit_index > commit_index && !raft.is_changing(node);
    let is_member = raft.configuration(node).is_member(raft.id());
    let has_configuration = node.volatile.configuration.is_some();
    if commits && !was_changing && has_configuration && !is_member {
        out.emit(Event::Retired);
    }
}
