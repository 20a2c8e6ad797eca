//! Defects of the epoch change: who is a member, and since when.

use crate::maekawa::message::{Epoch, HeldLocks, Message};
use crate::maekawa::state::{Record, Volatile};
use crate::maekawa::{Event, Maekawa, Timer};
use crate::protocol::{Effect, Input, Node, Protocol};
use crate::specification::Mutant;
use crate::world::Disk;

use super::{
    In, N, Out, amend, arbiter_of, attempt_of, delivered, local_mut, member_mut, step_and_rewrite,
};
use crate::maekawa::spec::scenarios::the_lock;
use crate::maekawa::spec::{local_of, membership_of};

pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[
    Mutant {
        id: "MAE-4",
        defect: "no epochs: quorums change under a held lock",
        source: "a seed program",
        model: "maekawa/four-become-five",
        inject: |scenario| scenario.step = changes_quorums_on_the_fly,
    },
    Mutant {
        id: "MAE-UNDRAINED",
        defect: "the next epoch is installed before the last is drained",
        source: "an epoch change freezes, drains, installs",
        model: "maekawa/join",
        inject: |scenario| scenario.step = installs_undrained,
    },
    Mutant {
        id: "MAE-FINISHED-CARRIED",
        defect: "an arbiter takes over into an epoch which requests are over: a node that has started \
                 again counts from the beginning, and is not heard",
        source: "of each epoch all that its members said ends with it",
        model: "maekawa/join",
        inject: |scenario| scenario.step = carries_over_what_is_finished,
    },
    Mutant {
        id: "MAE-OLD-GRANT",
        defect: "a grant of the old epoch is counted in the new",
        source: "each message bears its epoch",
        model: "maekawa/join-datagrams",
        inject: |scenario| {
            scenario.step = takes_any_epoch_for_its_own;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "MAE-FROZEN-GOES-ON",
        defect: "a member that has answered Freeze goes on as before",
        source: "an epoch change freezes, drains, installs",
        model: "maekawa/join-datagrams",
        inject: |scenario| scenario.step = does_not_freeze,
    },
    Mutant {
        id: "MAE-FROZEN-ENTERS",
        defect: "a member that has frozen, and so grants nothing more, enters all the same when \
                 the last LOCKED arrives",
        source: "an epoch change freezes, drains, installs",
        model: "maekawa/join-datagrams",
        inject: |scenario| {
            scenario.step = enters_frozen;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "MAE-FROZEN-FORGOTTEN",
        defect: "a node that is to freeze in an epoch which it has missed does not put that on disk",
        source: "the Install may come after the Freeze",
        model: "maekawa/leave-and-crash",
        inject: |scenario| scenario.step = freezes_in_memory,
    },
    Mutant {
        id: "MAE-TWO-VIEWS",
        defect: "nodes are told of different members of one epoch",
        source: "§2 (a) is a property of one assignment of quorums",
        model: "maekawa/join",
        inject: |scenario| scenario.step = installs_two_views,
    },
    Mutant {
        id: "MAE-OWN-CONSTRUCTION",
        defect: "a member builds its quorum as it is configured, whatever the orchestrator says",
        source: "§2 (a) is a property of one assignment of quorums",
        model: "maekawa/misconfigured",
        inject: |scenario| scenario.step = builds_its_own_quorum,
    },
    Mutant {
        id: "MAE-REJOINS",
        defect: "a node does not remember that it was in an epoch, and joins it again",
        source: "§5: crashed nodes stop",
        model: "maekawa/restart",
        inject: |scenario| {
            scenario.disk = Disk::Amnesia {
                forgets: |record| matches!(record, Record::Epoch(_)),
            };
        },
    },
    Mutant {
        id: "MAE-LOST-DISK",
        defect: "a node whose disk is lost comes back under its old id",
        source: "who does not remember that it was in an epoch joins it again",
        model: "maekawa/lost-disk",
        inject: |scenario| scenario.step = begins_anew,
    },
    Mutant {
        id: "MAE-EPOCH-REUSED",
        defect: "the orchestrator forgets which epoch it has installed",
        source: "no two memberships bear one number",
        model: "maekawa/orchestrator",
        inject: |scenario| {
            scenario.disk = Disk::Amnesia {
                forgets: |record| matches!(record, Record::Install { .. }),
            };
        },
    },
    Mutant {
        id: "MAE-SEND-BEFORE-SYNC",
        defect: "messages leave before the records are on disk",
        source: "the driver's law",
        model: "maekawa/restart",
        inject: |scenario| scenario.disk = Disk::SendBeforeSync,
    },
    Mutant {
        id: "MAE-REMEMBERS-HALF",
        defect: "a restarted node takes its old membership up again, its locks forgotten",
        source: "§5: crashed nodes stop",
        model: "maekawa/restart",
        inject: |scenario| scenario.boot = resumes_membership,
    },
    Mutant {
        id: "MAE-CLIENTS-LOST",
        defect: "clients that wait when an epoch ends are forgotten in the next",
        source: "whoever waits goes on waiting",
        model: "maekawa/join",
        inject: |scenario| scenario.step = forgets_to_ask_in_the_new_epoch,
    },
];

fn begins_anew(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    if !node.durable().is_set_up {
        node.write(Record::Initialize);
    }
    maekawa.step(node, input, out);
}

fn changes_quorums_on_the_fly(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    if let Some((_, message)) = delivered(&input)
        && let Message::Install {
            epoch,
            members,
            construction,
            ..
        } = message.clone()
        && epoch > node.durable().epoch
        && let Some(quorum) = construction.quorum(&members, maekawa.id())
        && let Some(member) = member_mut(node)
    {
        member.epoch = epoch;
        member.members = members;
        member.quorum = quorum;
        member.frozen = false;
        return node.write(Record::Epoch(epoch));
    }
    installs_undrained(maekawa, node, input, out);
}

fn installs_undrained(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let members = node.durable().members.clone();
    if let Volatile::Orchestrator(orchestration) = &mut node.volatile {
        for member in members {
            orchestration.frozen.entry(member).or_default();
        }
    }
    maekawa.step(node, input, out);
}

fn takes_any_epoch_for_its_own(maekawa: &Maekawa, node: &mut N, mut input: In, out: &mut Out) {
    let made = attempt_of(node).map(|attempt| attempt.request);
    let current = membership_of(node).map(|member| (member.epoch, made));
    if let Input::Deliver {
        message: Message::Locked { epoch, request, .. },
        ..
    } = &mut input
        && let Some((own, Some(made))) = current
        && *epoch < own
    {
        (*epoch, *request) = (own, made);
    }
    maekawa.step(node, input, out);
}

fn does_not_freeze(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let before = membership_of(node).cloned();
    let freezes = matches!(delivered(&input), Some((_, Message::Freeze { .. })));
    maekawa.step(node, input, out);
    if let (true, Some(before), Some(local)) = (freezes, before, local_mut(node))
        && local
            .membership
            .as_ref()
            .is_some_and(|it| it.epoch == before.epoch)
        && before.all_held().next().is_none()
    {
        if !before.attempts.is_empty() {
            out.arm(Timer::Retry);
        }
        local.membership = Some(before);
    }
}

fn enters_frozen(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let attempt = attempt_of(node).cloned();
    let freezes = matches!(delivered(&input), Some((_, Message::Freeze { .. })));
    let enters = matches!(delivered(&input), Some((_, Message::Locked { .. })));
    let frozen = membership_of(node).is_some_and(|member| member.frozen);
    if let (true, Some(member)) = (enters, member_mut(node)) {
        member.frozen = false;
    }
    let asks_on = freezes && attempt.is_some();
    step_and_rewrite(maekawa, node, input, out, |_, effect| {
        (!asks_on || effect != Effect::Disarm(Timer::Retry)).then_some(effect)
    });
    if let Some(member) = member_mut(node) {
        member.frozen |= frozen && enters;
        if freezes
            && member.attempts.is_empty()
            && let Some(attempt) = attempt
        {
            member.attempts.insert(the_lock(), attempt);
        }
    }
}

fn freezes_in_memory(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    if let Some((from, &Message::Freeze { epoch })) = delivered(&input)
        && epoch > node.durable().epoch
        && local_of(node).is_some()
    {
        let held = HeldLocks::new();
        return out.send(from, Message::Frozen { epoch, held });
    }
    maekawa.step(node, input, out);
}

fn installs_two_views(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            to,
            message:
                Message::Install {
                    epoch,
                    mut members,
                    construction,
                    held,
                },
        } if epoch > Epoch(1) => {
            // A list that ends with its reader.
            members.retain(|member| *member <= to);
            Some(Effect::Send {
                to,
                message: Message::Install {
                    epoch,
                    members,
                    construction,
                    held,
                },
            })
        }
        effect => Some(effect),
    });
}

fn builds_its_own_quorum(maekawa: &Maekawa, node: &mut N, mut input: In, out: &mut Out) {
    if let Input::Deliver {
        message: Message::Install { construction, .. },
        ..
    } = &mut input
    {
        *construction = maekawa.construction;
    }
    maekawa.step(node, input, out);
}

fn resumes_membership(
    maekawa: &Maekawa,
    durable: &crate::maekawa::state::Persistent,
    out: &mut Out,
) -> Volatile {
    let volatile = maekawa.boot(durable, out);
    let installed = |id: u16| Record::Enrol(crate::protocol::NodeId(id));
    if maekawa.is_orchestrator() || durable.epoch.0 != 1 {
        return volatile;
    }
    // The founders are nodes 1 and 2, as its configuration file still says.
    let mut roster = crate::maekawa::state::Persistent::default();
    for id in [1, 2] {
        crate::protocol::Durable::apply(&mut roster, &installed(id));
    }
    let mut node = Node::boot(maekawa, Node::formatted(maekawa), out);
    let install = Input::Deliver {
        from: maekawa.orchestrator(),
        message: Message::Install {
            epoch: durable.epoch,
            members: roster.roster,
            construction: maekawa.construction,
            held: HeldLocks::new(),
        },
    };
    maekawa.step(&mut node, install, out);
    node.volatile
}

fn forgets_to_ask_in_the_new_epoch(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let installs = matches!(delivered(&input), Some((_, Message::Install { .. })));
    let waited = local_of(node).is_some_and(|local| !local.claims.is_empty());
    step_and_rewrite(maekawa, node, input, out, |node, effect| {
        let joined = matches!(effect, Effect::Emit(Event::Joined { .. }));
        if installs
            && waited
            && joined
            && let Some(member) = member_mut(node)
        {
            member.attempts.clear();
        }
        Some(effect)
    });
}

fn carries_over_what_is_finished(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let finished = arbiter_of(node).map(|arbiter| arbiter.finished.clone());
    let before = membership_of(node).map(|member| member.epoch);
    maekawa.step(node, input, out);
    let after = membership_of(node).map(|member| member.epoch);
    if let Some(finished) = finished.filter(|_| after > before) {
        amend(node, |arbiter| arbiter.finished = finished);
    }
}
