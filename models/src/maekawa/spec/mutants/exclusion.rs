//! Defects of the algorithm proper: who is locked for whom.

use crate::maekawa::message::{Epoch, Message, Timestamp};
use crate::maekawa::state::{Grant, Membership, Standing, View};
use crate::maekawa::{Command, Maekawa, Timer};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::specification::Mutant;

use super::{
    FLAWED_TABLE_OF_21, delivered, enter, enter_if_all_look_locked, local_mut, member_mut,
    step_and_rewrite,
};
use crate::maekawa::spec::{local_of, membership_of};

type N = Node<Maekawa>;
type In = Input<Maekawa>;
type Out = Outbox<Maekawa>;

pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[
    Mutant {
        id: "MAE-1",
        defect: "a node grants itself unconditionally",
        source: "a seed program; §4",
        model: "maekawa/three",
        inject: |scenario| scenario.step = grants_itself,
    },
    Mutant {
        id: "MAE-2",
        defect: "the grants are not cleared after the critical section",
        source: "a seed program; §4",
        model: "maekawa/two",
        inject: |scenario| scenario.step = keeps_its_grants,
    },
    Mutant {
        id: "MAE-3",
        defect: "a hard-coded table of quorums for 21 members, with two slips in it",
        source: "a seed program; §2 (a)",
        model: "maekawa/twenty-one",
        inject: |scenario| scenario.step = looks_quorums_up,
    },
    Mutant {
        id: "MAE-5",
        defect: "the node's own arbiter is not told that the request is over",
        source: "a seed program; §4",
        model: "maekawa/four",
        inject: |scenario| scenario.step = keeps_its_own_lock,
    },
    Mutant {
        id: "MAE-5-INQUIRE",
        defect: "an arbiter forgets the request that has given way",
        source: "a seed program; §4",
        model: "maekawa/four",
        inject: |scenario| scenario.step = drops_who_gives_way,
    },
    Mutant {
        id: "MAE-5-LIFO",
        defect: "an arbiter grants the latest of the waiting requests",
        source: "a seed program; §4",
        model: "maekawa/five",
        inject: |scenario| scenario.step = grants_the_latest,
    },
    Mutant {
        id: "MAE-6",
        defect: "no FAILED to a waiting request that is overtaken",
        source: "the 1985 paper; Sanders 1987",
        model: "maekawa/four",
        inject: |scenario| scenario.step = leaves_the_overtaken_in_hope,
    },
    Mutant {
        id: "MAE-7",
        defect: "messages bear no request, and a REQUEST overtakes a RELEASE",
        source: "§2 assumes channels in order",
        model: "maekawa/two",
        inject: |scenario| {
            scenario.step = knows_requests_by_their_nodes;
            // What the right protocol recognises as late is not late to this one.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "MAE-YIELD-TAIL",
        defect: "a request that has given way queues at the end",
        source: "§4",
        model: "maekawa/five",
        inject: |scenario| scenario.step = queues_at_the_end,
    },
    Mutant {
        id: "MAE-YIELD-HELD",
        defect: "a node in the critical section gives way",
        source: "§4",
        model: "maekawa/four",
        inject: |scenario| scenario.step = gives_way_in_the_critical_section,
    },
    Mutant {
        id: "MAE-YIELD-TWICE",
        defect: "an INQUIRE is answered twice, and the grant's number is not looked at",
        source: "§4; a second grant to the same request",
        model: "maekawa/duplicates",
        inject: |scenario| {
            scenario.step = ignores_grant_numbers;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "MAE-INQUIRE-CROSSES-RELEASE",
        defect: "an INQUIRE that comes after the RELEASE is answered with RELINQUISH, which \
                 cancels the next grant",
        source: "§4",
        model: "maekawa/four",
        inject: |scenario| {
            scenario.step = relinquishes_what_it_has_released;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "MAE-NO-FAILED",
        defect: "an arbiter sends no FAILED",
        source: "§4",
        model: "maekawa/two",
        inject: |scenario| scenario.step = sends_no_failed,
    },
    Mutant {
        id: "MAE-FAILED-FORGOTTEN",
        defect: "a requester that is granted one arbiter forgets that another has failed",
        source: "§4",
        model: "maekawa/four",
        inject: |scenario| {
            scenario.step = forgets_what_failed;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "MAE-ALL-BUT-ONE",
        defect: "a node enters before its last arbiter is locked",
        source: "§4",
        model: "maekawa/two",
        inject: |scenario| scenario.step = enters_early,
    },
    Mutant {
        id: "MAE-TWO-GRANTS",
        defect: "an arbiter that is locked says LOCKED to the next as well",
        source: "§4",
        model: "maekawa/two",
        inject: |scenario| scenario.step = grants_twice,
    },
    Mutant {
        id: "MAE-NUMBER-AGAIN",
        defect: "the number of a grant that was given back is given to the next",
        source: "what is late is told by the number",
        model: "maekawa/four",
        inject: |scenario| scenario.step = numbers_again,
    },
    Mutant {
        id: "MAE-TIES",
        defect: "of two requests at the same time neither precedes",
        source: "§4; Lamport 1978",
        model: "maekawa/two",
        inject: |scenario| scenario.step = breaks_no_ties,
    },
    Mutant {
        id: "MAE-CLOCK",
        defect: "a node's clock does not learn from the requests that it sees",
        source: "Lamport 1978",
        model: "maekawa/two",
        inject: |scenario| scenario.step = learns_no_time,
    },
    Mutant {
        id: "MAE-QUORUM-WITHOUT-SELF",
        defect: "a quorum lacks its own node",
        source: "§2 (b)",
        model: "maekawa/three",
        inject: |scenario| scenario.step = leaves_itself_out,
    },
    Mutant {
        id: "MAE-TOKEN",
        defect: "arbiters number their grants without regard to the tokens that they were told",
        source: "successive holders must have increasing tokens",
        model: "maekawa/three",
        inject: |scenario| scenario.step = numbers_alone,
    },
    Mutant {
        id: "MAE-LATE-RELEASE",
        defect: "a RELEASE ends its own request alone, and is ignored after a later one",
        source: "messages in any order",
        model: "maekawa/clients",
        inject: |scenario| {
            scenario.step = ends_one_request_alone;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "MAE-ASKS-ONCE",
        defect: "a node that waits asks again once at most",
        source: "messages may be lost",
        model: "maekawa/lossy",
        inject: |scenario| scenario.step = asks_again_once,
    },
];

fn grants_itself(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    maekawa.step(node, input, out);
    let own = maekawa.id();
    if let Some(attempt) = member_mut(node).and_then(|member| member.attempt.as_mut())
        && let Some(view) = attempt.arbiters.get_mut(&own)
        && view.standing != Standing::Locked
    {
        view.standing = Standing::Locked;
        enter_if_all_look_locked(node, out);
    }
}

fn keeps_its_grants(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let attempt = |node: &N| membership_of(node).and_then(|member| member.attempt.clone());
    let before = attempt(node).filter(|attempt| attempt.held.is_some());
    let releases = matches!(input, Input::Ask(Command::Release { .. }));
    maekawa.step(node, input, out);
    if let Some(before) = before
        && releases
        && let Some(local) = local_mut(node)
    {
        // What is forgotten here is remembered in the place where the next attempt will look.
        local.over.insert(REMEMBERED, before.request.clock);
    }
    let remembers = local_of(node).is_some_and(|local| local.over.contains_key(&REMEMBERED));
    if let Some(local) = local_mut(node)
        && let Some(attempt) = local.membership.as_mut().and_then(|it| it.attempt.as_mut())
        && remembers
    {
        local.over.remove(&REMEMBERED);
        for view in attempt.arbiters.values_mut() {
            view.standing = Standing::Locked;
        }
        enter_if_all_look_locked(node, out);
    }
}

/// The number of a session that no client has.
const REMEMBERED: u64 = u64::MAX;

fn looks_quorums_up(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    maekawa.step(node, input, out);
    if let Some(member) = member_mut(node)
        && member.members.len() == FLAWED_TABLE_OF_21.len()
        && member.attempt.is_none()
    {
        let ids = || member.members.iter().copied();
        if let Some(position) = ids().position(|id| id == maekawa.id()) {
            let line = FLAWED_TABLE_OF_21[position];
            member.quorum = line.iter().filter_map(|&place| ids().nth(place)).collect();
        }
    }
}

fn keeps_its_own_lock(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let releases = matches!(input, Input::Ask(Command::Release { .. }));
    let locked = membership_of(node).and_then(|member| member.arbiter.locked);
    maekawa.step(node, input, out);
    let own = locked.filter(|grant| grant.request.node == maekawa.id());
    if let (true, Some(own), Some(member)) = (releases, own, member_mut(node)) {
        member.arbiter.locked = Some(own);
    }
}

fn drops_who_gives_way(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let relinquished = match delivered(&input) {
        Some((_, Message::Relinquish { request, .. })) => Some(*request),
        _ => None,
    };
    maekawa.step(node, input, out);
    if let (Some(request), Some(member)) = (relinquished, member_mut(node)) {
        member.arbiter.waiting.remove(&request);
    }
}

/// Swaps the request that has just been locked for another, where the LOCKED is still to be
/// sent.
fn swap_grant(
    maekawa: &Maekawa,
    node: &mut N,
    input: In,
    out: &mut Out,
    other: impl Fn(&Membership, Grant) -> Option<Timestamp>,
) {
    step_and_rewrite(maekawa, node, input, out, |node, effect| {
        let Effect::Send {
            to,
            message:
                Message::Locked {
                    epoch,
                    request,
                    number,
                    clock,
                },
        } = effect
        else {
            return Some(effect);
        };
        let member = member_mut(node);
        let swapped = member.and_then(|member| {
            let grant = member
                .arbiter
                .locked
                .filter(|grant| grant.request == request)?;
            let chosen = other(member, grant).filter(|chosen| chosen.node != maekawa.id())?;
            member.arbiter.waiting.remove(&chosen);
            member.arbiter.waiting.insert(request);
            member.arbiter.locked = Some(Grant {
                request: chosen,
                ..grant
            });
            Some(chosen)
        });
        let request = swapped.unwrap_or(request);
        Some(Effect::Send {
            to: swapped.map_or(to, |chosen| chosen.node),
            message: Message::Locked {
                epoch,
                request,
                number,
                clock,
            },
        })
    });
}

fn grants_the_latest(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    swap_grant(maekawa, node, input, out, |member, _| {
        member.arbiter.waiting.last().copied()
    });
}

fn queues_at_the_end(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    if let Some((from, Message::Relinquish { request, .. })) = delivered(&input)
        && let (clock, Some(member)) = (request.clock, member_mut(node))
    {
        member.arbiter.finished.insert(gave_way(from), clock);
    }
    swap_grant(maekawa, node, input, out, |member, grant| {
        let is_at_end = |request: &Timestamp| {
            let marked = member.arbiter.finished.get(&gave_way(request.node));
            marked == Some(&request.clock)
        };
        let mut others = member.arbiter.waiting.iter();
        others
            .find(|other| !is_at_end(other))
            .filter(|_| is_at_end(&grant.request))
            .copied()
    });
}

/// Where the mutant notes that a node's request has given way: under a node that there is not.
fn gave_way(node: NodeId) -> NodeId {
    NodeId(node.0 + 1000)
}

fn leaves_the_overtaken_in_hope(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let arriving = match delivered(&input) {
        Some((_, Message::Request { request, .. })) => Some(*request),
        _ => None,
    };
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            message: Message::Failed { request, .. },
            ..
        } if Some(request) != arriving => None,
        effect => Some(effect),
    });
}

fn knows_requests_by_their_nodes(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let input = match input {
        Input::Deliver { from, message } => {
            let message = match message {
                Message::Request { epoch, request } => {
                    rename_lock(node, from, request);
                    Message::Request { epoch, request }
                }
                Message::Release {
                    epoch,
                    request,
                    counter,
                } => Message::Release {
                    epoch,
                    request: locked_for(node, from).unwrap_or(request),
                    counter,
                },
                message => message,
            };
            Input::Deliver { from, message }
        }
        input => input,
    };
    maekawa.step(node, input, out);
}

/// The arbiter takes the node for the holder that it is locked for, whatever the request.
fn rename_lock(node: &mut N, from: NodeId, request: Timestamp) {
    if let Some(grant) = member_mut(node).and_then(|member| member.arbiter.locked.as_mut())
        && grant.request.node == from
        && grant.request < request
    {
        grant.request = request;
    }
}

fn locked_for(node: &N, from: NodeId) -> Option<Timestamp> {
    let grant = membership_of(node)?.arbiter.locked?;
    (grant.request.node == from).then_some(grant.request)
}

fn gives_way_in_the_critical_section(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let inquiry = match delivered(&input) {
        Some((
            from,
            Message::Inquire {
                epoch,
                request,
                number,
            },
        )) => Some((from, *epoch, *request, *number)),
        _ => None,
    };
    maekawa.step(node, input, out);
    if let Some((from, epoch, request, number)) = inquiry
        && let Some(attempt) = member_mut(node).and_then(|member| member.attempt.as_mut())
        && attempt.request == request
        && attempt.held.is_some()
        && let Some(view) = attempt.arbiters.get_mut(&from)
    {
        view.standing = Standing::Failed;
        out.send(
            from,
            Message::Relinquish {
                epoch,
                request,
                number,
            },
        );
    }
}

fn ignores_grant_numbers(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let input = match input {
        Input::Deliver {
            from,
            message:
                Message::Relinquish {
                    epoch,
                    request,
                    number,
                },
        } => {
            let locked = membership_of(node).and_then(|member| member.arbiter.locked);
            let grant = locked.filter(|grant| grant.request == request);
            let message = Message::Relinquish {
                epoch,
                request,
                number: grant.map_or(number, |grant| grant.number),
            };
            Input::Deliver { from, message }
        }
        input => input,
    };
    maekawa.step(node, input, out);
}

fn relinquishes_what_it_has_released(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let inquiry = matches!(delivered(&input), Some((_, Message::Inquire { .. })));
    let input = match input {
        Input::Deliver {
            from,
            message: Message::Relinquish { epoch, .. },
        } => match membership_of(node).and_then(|member| member.arbiter.locked) {
            // Whose it is nobody looks at.
            Some(grant) => Input::Deliver {
                from: grant.request.node,
                message: Message::Relinquish {
                    epoch,
                    request: grant.request,
                    number: grant.number,
                },
            },
            None => Input::Deliver {
                from,
                message: Message::Frozen { epoch: Epoch(0) },
            },
        },
        input => input,
    };
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            to,
            message: Message::Release { epoch, request, .. },
        } if inquiry => Some(Effect::Send {
            to,
            message: Message::Relinquish {
                epoch,
                request,
                number: 0,
            },
        }),
        effect => Some(effect),
    });
}

fn sends_no_failed(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            message: Message::Failed { .. },
            ..
        } => None,
        effect => Some(effect),
    });
}

fn forgets_what_failed(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let is_locked = matches!(delivered(&input), Some((_, Message::Locked { .. })));
    maekawa.step(node, input, out);
    if let Some(attempt) = member_mut(node).and_then(|member| member.attempt.as_mut())
        && is_locked
    {
        for view in attempt.arbiters.values_mut() {
            if view.standing == Standing::Failed {
                view.standing = Standing::Awaited;
            }
        }
    }
}

fn enters_early(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    maekawa.step(node, input, out);
    let attempt = membership_of(node).and_then(|member| member.attempt.as_ref());
    let is_missing = |view: &&View| !view.standing.is_locked();
    if attempt.is_some_and(|made| made.arbiters.values().filter(is_missing).count() == 1) {
        enter(node, out);
    }
}

fn grants_twice(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    step_and_rewrite(maekawa, node, input, out, |node, effect| match effect {
        Effect::Send {
            to,
            message: Message::Failed { epoch, request },
        } => Some(Effect::Send {
            to,
            message: Message::Locked {
                epoch,
                request,
                number: membership_of(node).map_or(1, |member| member.arbiter.counter),
                clock: request.clock,
            },
        }),
        effect => Some(effect),
    });
}

fn numbers_again(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let gives_back = matches!(delivered(&input), Some((_, Message::Relinquish { .. })));
    if let (true, Some(member)) = (gives_back, member_mut(node)) {
        member.arbiter.counter = member.arbiter.counter.saturating_sub(1);
    }
    maekawa.step(node, input, out);
}

fn breaks_no_ties(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    if let Some((_, Message::Request { epoch, request })) = delivered(&input)
        && let (epoch, request) = (*epoch, *request)
        && let Some(member) = member_mut(node)
        && let Some(grant) = member.arbiter.locked
        && grant.request.node != request.node
        && grant.request.clock == request.clock
    {
        member.arbiter.waiting.insert(request);
        return out.send(request.node, Message::Failed { epoch, request });
    }
    maekawa.step(node, input, out);
}

fn learns_no_time(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let before = local_of(node).map(|local| local.clock);
    let is_request = matches!(delivered(&input), Some((_, Message::Request { .. })));
    maekawa.step(node, input, out);
    if let (true, Some(before), Some(local)) = (is_request, before, local_mut(node)) {
        local.clock = before;
    }
}

fn leaves_itself_out(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    maekawa.step(node, input, out);
    if let Some(member) = member_mut(node) {
        member.quorum.remove(&maekawa.id());
    }
}

fn numbers_alone(maekawa: &Maekawa, node: &mut N, mut input: In, out: &mut Out) {
    if let Input::Deliver {
        message: Message::Release { counter, .. },
        ..
    } = &mut input
    {
        *counter = 0;
    }
    maekawa.step(node, input, out);
}

fn ends_one_request_alone(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let before = membership_of(node).map(|member| member.arbiter.clone());
    let released = match delivered(&input) {
        Some((_, Message::Release { request, .. })) => Some(*request),
        _ => None,
    };
    if let (Some(released), Some(before)) = (released, before) {
        let was = before
            .locked
            .filter(|grant| grant.request.node == released.node && grant.request < released);
        if let (Some(_), Some(member)) = (was, member_mut(node)) {
            member.arbiter.waiting.remove(&released);
            member
                .arbiter
                .finished
                .insert(released.node, released.clock);
            return;
        }
    }
    maekawa.step(node, input, out);
}

fn asks_again_once(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let retries = matches!(input, Input::Fire(Timer::Retry));
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Arm(Timer::Retry) if retries => None,
        effect => Some(effect),
    });
}
