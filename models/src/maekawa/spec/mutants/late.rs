//! Defects in what is made of messages that come late, twice or out of order, or are forged.

use crate::maekawa::message::{Epoch, Message, Timestamp};
use crate::maekawa::state::Grant;
use crate::maekawa::{Maekawa, Timer};
use crate::protocol::{Effect, Input, NodeId, Protocol};
use crate::specification::Mutant;

use super::{
    In, N, Out, amend, arbiter_of, delivered, local_mut, locked, member_mut, step_and_rewrite,
};
use crate::maekawa::spec::scenarios::forges;

pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[
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
        id: "MAE-NUMBER-AGAIN",
        defect: "the number of a grant that was given back is given to the next",
        source: "what is late is told by the number",
        model: "maekawa/four",
        inject: |scenario| scenario.step = numbers_again,
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
        id: "MAE-REMINDED-ONCE",
        defect: "an arbiter ignores a request that it knows already",
        source: "what it has answered may be lost",
        model: "maekawa/lossy",
        inject: |scenario| scenario.step = ignores_who_asks_again,
    },
    Mutant {
        id: "MAE-RELEASED-ONCE",
        defect: "an arbiter that is locked for a request which is over is not told again",
        source: "the RELEASE may be lost",
        model: "maekawa/lossy",
        inject: |scenario| scenario.step = releases_once,
    },
    Mutant {
        id: "MAE-RELINQUISHED-ONCE",
        defect: "an arbiter that was given back and does not know it is not told again",
        source: "the RELINQUISH may be lost",
        model: "maekawa/lossy-four",
        inject: |scenario| scenario.step = relinquishes_once,
    },
    Mutant {
        id: "MAE-ASKS-ONE",
        defect: "a node that waits asks one of its arbiters again",
        source: "it may not be the one that has not heard",
        model: "maekawa/lossy-four",
        inject: |scenario| scenario.step = asks_one_again,
    },
    Mutant {
        id: "MAE-BELIEVES",
        defect: "a clock follows whatever number it is told",
        source: "one message, and it never counts again",
        model: "maekawa/forged",
        inject: |scenario| scenario.step = believes_any_number,
    },
];

fn knows_requests_by_their_nodes(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let input = match input {
        Input::Deliver { from, message } => {
            let message = match message {
                message @ Message::Request { request, .. } => {
                    rename_lock(node, from, request);
                    message
                }
                Message::Release {
                    epoch,
                    lock,
                    request,
                    counter,
                } => Message::Release {
                    epoch,
                    lock,
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

fn rename_lock(node: &mut N, from: NodeId, request: Timestamp) {
    let is_older = |grant: &Grant| grant.request.node == from && grant.request < request;
    if let Some(grant) = locked(node).filter(is_older) {
        amend(node, |arbiter| {
            arbiter.locked = Some(Grant { request, ..grant });
        });
    }
}

fn locked_for(node: &N, from: NodeId) -> Option<Timestamp> {
    let grant = locked(node)?;
    (grant.request.node == from).then_some(grant.request)
}

fn ignores_grant_numbers(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let input = match input {
        Input::Deliver {
            from,
            message:
                Message::Relinquish {
                    epoch,
                    lock,
                    request,
                    number,
                },
        } => {
            let grant = locked(node).filter(|grant| grant.request == request);
            let message = Message::Relinquish {
                epoch,
                lock,
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
            message: Message::Relinquish { epoch, lock, .. },
        } => match locked(node) {
            // Whose it is nobody looks at.
            Some(grant) => Input::Deliver {
                from: grant.request.node,
                message: Message::Relinquish {
                    epoch,
                    lock,
                    request: grant.request,
                    number: grant.number,
                },
            },
            None => Input::Deliver {
                from,
                message: Message::Pong { epoch: Epoch(0) },
            },
        },
        input => input,
    };
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            to,
            message:
                Message::Release {
                    epoch,
                    lock,
                    request,
                    ..
                },
        } if inquiry => Some(Effect::Send {
            to,
            message: Message::Relinquish {
                epoch,
                lock,
                request,
                number: 0,
            },
        }),
        effect => Some(effect),
    });
}

fn numbers_again(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let gives_back = matches!(delivered(&input), Some((_, Message::Relinquish { .. })));
    if let (true, Some(member)) = (gives_back, member_mut(node)) {
        member.number = member.number.saturating_sub(1);
    }
    maekawa.step(node, input, out);
}

fn ends_one_request_alone(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let released = match delivered(&input) {
        Some((_, Message::Release { request, .. })) => Some(*request),
        _ => None,
    };
    if let Some(released) = released {
        let is_of = |grant: &Grant| grant.request.node == released.node;
        let was = locked(node).filter(|grant| is_of(grant) && grant.request < released);
        if was.is_some() {
            amend(node, |arbiter| {
                arbiter.waiting.remove(&released);
                arbiter.finished.insert(released.node, released.clock);
            });
            return;
        }
    }
    maekawa.step(node, input, out);
}

fn believes_any_number(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let told = match delivered(&input) {
        Some((_, Message::Request { request, .. })) => request.clock,
        _ => 0,
    };
    if let Some(local) = local_mut(node) {
        local.clock = local.clock.max(told);
    }
    forges(maekawa, node, input, out);
}

fn ignores_who_asks_again(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    if let Some((_, Message::Request { request, .. })) = delivered(&input)
        && let Some(arbiter) = arbiter_of(node)
        && let Some(grant) = arbiter.locked
        && (grant.request == *request || arbiter.waiting.contains(request))
    {
        return;
    }
    maekawa.step(node, input, out);
}

/// Whether an arbiter says that it is locked for a request of this node.
fn hears_of_a_lock(input: &In) -> bool {
    matches!(
        delivered(input),
        Some((_, Message::Locked { .. } | Message::Inquire { .. }))
    )
}

fn releases_once(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let hears = hears_of_a_lock(&input);
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            message: Message::Release { .. },
            ..
        } if hears => None,
        effect => Some(effect),
    });
}

fn relinquishes_once(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let is_locked = matches!(delivered(&input), Some((_, Message::Locked { .. })));
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            message: Message::Relinquish { .. },
            ..
        } if is_locked => None,
        effect => Some(effect),
    });
}

fn asks_one_again(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let mut left = match &input {
        Input::Fire(Timer::Retry) => 1,
        _ => usize::MAX,
    };
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            message: Message::Request { .. },
            ..
        } if left == 0 => None,
        Effect::Send {
            to,
            message: message @ Message::Request { .. },
        } => {
            left -= 1;
            Some(Effect::Send { to, message })
        }
        effect => Some(effect),
    });
}
