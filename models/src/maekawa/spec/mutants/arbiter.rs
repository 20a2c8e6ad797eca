//! Defects of an arbiter: whom it is locked for, and whom it tells.

use crate::maekawa::message::{Message, Timestamp};
use crate::maekawa::state::{Arbiter, Grant};
use crate::maekawa::{Command, Maekawa};
use crate::protocol::{Effect, Input, NodeId, Protocol};
use crate::specification::Mutant;

use super::{In, N, Out, amend, arbiter_of, delivered, locked, step_and_rewrite};
use crate::maekawa::spec::membership_of;

pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[
    Mutant {
        id: "MAE-REQUEST-AGAIN",
        defect: "an arbiter takes a late copy of a request that is over for a new one",
        source: "§2: messages arrive once, and in order",
        model: "maekawa/duplicates",
        inject: |scenario| {
            scenario.step = forgets_what_is_over;
            scenario.drop_inert = false;
        },
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
        id: "MAE-REQUEST-UNNOTED",
        defect: "a request that has to wait is answered FAILED, and not noted",
        source: "§4: it waits, in the order of the time stamps",
        model: "maekawa/two",
        inject: |scenario| scenario.step = notes_no_failed,
    },
    Mutant {
        id: "MAE-IDLE",
        defect: "an arbiter that has been released does not lock itself for the next that waits",
        source: "§4",
        model: "maekawa/two",
        inject: |scenario| scenario.step = stays_free,
    },
    Mutant {
        id: "MAE-SELF-OVERLOOKED",
        defect: "a node that has to wait at itself does not note that it does",
        source: "§2 (b)",
        model: "maekawa/two",
        inject: |scenario| scenario.step = overlooks_itself,
    },
    Mutant {
        id: "MAE-YIELD-TAIL",
        defect: "a request that has given way queues at the end",
        source: "§4",
        model: "maekawa/five",
        inject: |scenario| scenario.step = queues_at_the_end,
    },
    Mutant {
        id: "MAE-NO-FAILED",
        defect: "an arbiter sends no FAILED",
        source: "§4",
        model: "maekawa/two",
        inject: |scenario| scenario.step = sends_no_failed,
    },
    Mutant {
        id: "MAE-TWO-GRANTS",
        defect: "an arbiter that is locked says LOCKED to the next as well",
        source: "§4",
        model: "maekawa/two",
        inject: |scenario| scenario.step = grants_twice,
    },
    Mutant {
        id: "MAE-TIES",
        defect: "of two requests at the same time neither precedes",
        source: "§4; Lamport 1978",
        model: "maekawa/two",
        inject: |scenario| scenario.step = breaks_no_ties,
    },
    Mutant {
        id: "MAE-TOKEN",
        defect: "arbiters number their grants without regard to the tokens that they were told",
        source: "successive holders must have increasing tokens",
        model: "maekawa/three",
        inject: |scenario| scenario.step = numbers_alone,
    },
];

fn keeps_its_own_lock(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let releases = matches!(input, Input::Ask(Command::Release { .. }));
    let own = locked(node).filter(|grant| grant.request.node == maekawa.id());
    maekawa.step(node, input, out);
    if let (true, Some(own)) = (releases, own) {
        amend(node, |arbiter| arbiter.locked = Some(own));
    }
}

fn drops_who_gives_way(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let relinquished = match delivered(&input) {
        Some((_, Message::Relinquish { request, .. })) => Some(*request),
        _ => None,
    };
    maekawa.step(node, input, out);
    if let Some(request) = relinquished {
        amend(node, |arbiter| arbiter.waiting.remove(&request));
    }
}

fn swap_grant(
    maekawa: &Maekawa,
    node: &mut N,
    input: In,
    out: &mut Out,
    other: impl Fn(&Arbiter, Grant) -> Option<Timestamp>,
) {
    step_and_rewrite(maekawa, node, input, out, |node, effect| {
        let Effect::Send {
            to,
            message:
                Message::Locked {
                    epoch,
                    lock,
                    request,
                    number,
                    clock,
                },
        } = effect
        else {
            return Some(effect);
        };
        let swapped = amend(node, |arbiter| {
            let grant = arbiter.locked.filter(|grant| grant.request == request)?;
            let chosen = other(arbiter, grant).filter(|chosen| chosen.node != maekawa.id())?;
            arbiter.waiting.remove(&chosen);
            arbiter.waiting.insert(request);
            arbiter.locked = Some(Grant {
                request: chosen,
                ..grant
            });
            Some(chosen)
        });
        let swapped = swapped.flatten();
        let request = swapped.unwrap_or(request);
        Some(Effect::Send {
            to: swapped.map_or(to, |chosen| chosen.node),
            message: Message::Locked {
                epoch,
                lock,
                request,
                number,
                clock,
            },
        })
    });
}

fn grants_the_latest(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    swap_grant(maekawa, node, input, out, |arbiter, _| {
        arbiter.waiting.last().copied()
    });
}

fn queues_at_the_end(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    if let Some((from, Message::Relinquish { request, .. })) = delivered(&input) {
        let clock = request.clock;
        amend(node, |arbiter| {
            arbiter.finished.insert(gave_way(from), clock)
        });
    }
    swap_grant(maekawa, node, input, out, |arbiter, grant| {
        let is_at_end = |request: &Timestamp| {
            let marked = arbiter.finished.get(&gave_way(request.node));
            marked == Some(&request.clock)
        };
        let mut others = arbiter.waiting.iter();
        others
            .find(|other| !is_at_end(other))
            .filter(|_| is_at_end(&grant.request))
            .copied()
    });
}

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

fn sends_no_failed(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            message: Message::Failed { .. },
            ..
        } => None,
        effect => Some(effect),
    });
}

fn grants_twice(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    step_and_rewrite(maekawa, node, input, out, |node, effect| match effect {
        Effect::Send {
            to,
            message:
                Message::Failed {
                    epoch,
                    lock,
                    request,
                },
        } => Some(Effect::Send {
            to,
            message: Message::Locked {
                epoch,
                lock,
                request,
                number: membership_of(node).map_or(1, |member| member.number),
                clock: request.clock,
            },
        }),
        effect => Some(effect),
    });
}

fn breaks_no_ties(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    if let Some((_, message @ Message::Request { request, .. })) = delivered(&input)
        && let Some(grant) = locked(node)
        && grant.request.node != request.node
        && grant.request.clock == request.clock
        && let Some((epoch, lock, request)) = message.subject()
    {
        let lock = lock.clone();
        amend(node, |arbiter| arbiter.waiting.insert(request));
        let failed = Message::Failed {
            epoch,
            lock,
            request,
        };
        return out.send(request.node, failed);
    }
    maekawa.step(node, input, out);
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

fn forgets_what_is_over(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let is_request = matches!(delivered(&input), Some((_, Message::Request { .. })));
    let finished = arbiter_of(node).map(|arbiter| arbiter.finished.clone());
    if is_request {
        amend(node, |arbiter| arbiter.finished.clear());
    }
    maekawa.step(node, input, out);
    if let Some(finished) = finished.filter(|_| is_request) {
        amend(node, |arbiter| arbiter.finished = finished);
    }
}

fn notes_no_failed(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let asked = match delivered(&input) {
        Some((_, Message::Request { request, .. })) => Some(*request),
        _ => None,
    };
    let waited = arbiter_of(node)
        .is_some_and(|arbiter| asked.is_some_and(|request| arbiter.waiting.contains(&request)));
    maekawa.step(node, input, out);
    let precedes = |request| locked(node).is_some_and(|grant| grant.request < request);
    if let Some(request) = asked.filter(|request| !waited && precedes(*request)) {
        amend(node, |arbiter| arbiter.waiting.remove(&request));
    }
}

/// But for its own requests: what it says to itself has been heard by then.
fn stays_free(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let was = locked(node);
    step_and_rewrite(maekawa, node, input, out, |node, effect| {
        let next = locked(node).filter(|is| was.is_some_and(|was| was.number < is.number));
        match (&effect, next) {
            (
                Effect::Send {
                    to,
                    message: Message::Locked { request, .. },
                },
                Some(grant),
            ) if *to == grant.request.node && *request == grant.request => {
                amend(node, |arbiter| {
                    arbiter.locked = None;
                    arbiter.waiting.insert(grant.request);
                });
                None
            }
            _ => Some(effect),
        }
    });
}

fn overlooks_itself(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let claims = matches!(input, Input::Ask(Command::Acquire { .. }));
    maekawa.step(node, input, out);
    if claims {
        let id = maekawa.id();
        amend(node, |arbiter| {
            arbiter.waiting.retain(|request| request.node != id);
        });
    }
}
