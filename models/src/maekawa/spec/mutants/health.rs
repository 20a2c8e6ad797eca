//! Defects in who is taken for dead, and in who says that it is alive.

use crate::maekawa::message::Message;
use crate::maekawa::spec::membership_of;
use crate::maekawa::state::{Record, Volatile};
use crate::maekawa::{Command, Maekawa, Timer};
use crate::protocol::{Effect, Input, Protocol};
use crate::specification::Mutant;
use crate::world::Timing;

use super::{In, N, Out, delivered, step_and_rewrite};

pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[
    Mutant {
        id: "MAE-DEAD",
        defect: "the grant of a dead node is kept for ever: it remains a member",
        source: "§5",
        model: "maekawa/death",
        inject: |scenario| scenario.step = expels_nobody,
    },
    Mutant {
        id: "MAE-SUSPICION",
        defect: "the health check errs: messages are slower than its timer",
        source: "a slow holder cannot be told from a dead one",
        model: "maekawa/death",
        inject: |scenario| scenario.timing = Timing::Any,
    },
    Mutant {
        id: "MAE-REGISTERS-ONCE",
        defect: "a node tells the orchestrator once that it is to be a member",
        source: "messages may be lost",
        model: "maekawa/health",
        inject: |scenario| scenario.step = registers_once,
    },
    Mutant {
        id: "MAE-LEASE-ONE-WAY",
        defect: "each health check renews the lease, whether its answers arrive or not",
        source: "a node that hears and is not heard is given up while it has its lease",
        model: "maekawa/health",
        inject: |scenario| scenario.step = renews_every_lease,
    },
    Mutant {
        id: "MAE-LEASE-AT-INSTALL",
        defect: "an epoch begins, and its leases, with health checks left unanswered before",
        source: "a new member is given up while it has its lease",
        model: "maekawa/health",
        inject: |scenario| scenario.step = counts_on_from_before,
    },
    Mutant {
        id: "MAE-FREEZE-ONCE",
        defect: "a member is asked once to freeze",
        source: "the Freeze or its answer may be lost",
        model: "maekawa/health",
        inject: |scenario| scenario.step = freezes_once,
    },
    Mutant {
        id: "MAE-INSTALL-ONCE",
        defect: "a member is told once of its epoch",
        source: "the Install may be lost",
        model: "maekawa/health",
        inject: |scenario| scenario.step = installs_once,
    },
    Mutant {
        id: "MAE-NEEDLESS",
        defect: "each health check ends the epoch, whoever is there",
        source: "an epoch change stops everybody",
        model: "maekawa/health",
        inject: |scenario| scenario.step = ends_each_epoch,
    },
    Mutant {
        id: "MAE-NONE-WHATEVER",
        defect: "a node that is no member yet tells the health check that it is to be none",
        source: "the orchestrator takes it at its word",
        model: "maekawa/health",
        inject: |scenario| scenario.step = is_none_whatever,
    },
    Mutant {
        id: "MAE-CLIENTS-KEPT",
        defect: "a node that is to leave keeps the clients that wait there",
        source: "nobody waits at a node that will not ask for it again",
        model: "maekawa/leave",
        inject: |scenario| scenario.step = keeps_its_clients,
    },
    Mutant {
        id: "MAE-TIMER-KEPT",
        defect: "a node that enters lets the timer of its request run",
        source: "a timer runs while something is waited for",
        model: "maekawa/leave",
        inject: |scenario| scenario.step = keeps_its_timer,
    },
    Mutant {
        id: "MAE-DEREGISTER-LOST",
        defect: "a node that is to leave, and has crashed, answers health checks and no more",
        source: "an arbiter that is none is waited for for ever",
        model: "maekawa/leave-and-crash",
        inject: |scenario| scenario.step = only_lives,
    },
    Mutant {
        id: "MAE-LEASE-OF-ANOTHER-EPOCH",
        defect: "a health check of another epoch renews the lease",
        source: "a lease is of the epoch that the node is a member of",
        model: "maekawa/health",
        inject: |scenario| {
            scenario.step = renews_in_any_epoch;
            // To the right protocol such a health check is inert.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "MAE-LEASE-NEVER-RENEWED",
        defect: "a lease runs on, whatever the health check says: members give up what nobody takes",
        source: "a lease begins anew when the orchestrator begins to count",
        model: "maekawa/health",
        inject: |scenario| scenario.step = never_renews,
    },
];

fn renews_in_any_epoch(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let is_check = matches!(
        input,
        Input::Deliver {
            message: Message::Ping { .. },
            ..
        }
    );
    maekawa.step(node, input, out);
    if is_check && membership_of(node).is_some() {
        out.arm(Timer::Lease);
    }
}

fn never_renews(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let is_check = matches!(
        input,
        Input::Deliver {
            message: Message::Ping { .. },
            ..
        }
    );
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Arm(Timer::Lease) if is_check => None,
        effect => Some(effect),
    });
}

fn expels_nobody(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let patient = Maekawa {
        misses: u8::MAX,
        ..maekawa.clone()
    };
    patient.step(node, input, out);
}

fn registers_once(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let fires = matches!(input, Input::Fire(Timer::Register));
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Arm(Timer::Register) if fires => None,
        effect => Some(effect),
    });
}

fn renews_every_lease(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            to,
            message: Message::Ping { epoch, .. },
        } => Some(Effect::Send {
            to,
            message: Message::Ping {
                epoch,
                renews: true,
            },
        }),
        effect => Some(effect),
    });
}

fn counts_on_from_before(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let epoch = node.durable().epoch;
    let counted = match &node.volatile {
        Volatile::Orchestrator(orchestration) => orchestration.silent.clone(),
        Volatile::Node(_) => return maekawa.step(node, input, out),
    };
    let speaker = match &input {
        Input::Deliver { from, .. } => Some(*from),
        Input::Fire(_) | Input::Ask(_) => None,
    };
    maekawa.step(node, input, out);
    let begins = node.durable().epoch > epoch;
    if let (true, Volatile::Orchestrator(orchestration)) = (begins, &mut node.volatile) {
        let others = counted.into_iter().filter(|(id, _)| Some(*id) != speaker);
        orchestration.silent.extend(others);
    }
}

fn only_lives(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let is_asked = matches!(delivered(&input), Some((_, Message::Ping { .. })));
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            message: Message::Deregister { .. },
            ..
        } if is_asked => None,
        effect => Some(effect),
    });
}

fn ends_each_epoch(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    if matches!(input, Input::Fire(Timer::HealthCheck)) && !node.durable().changing {
        node.write(Record::Change);
    }
    maekawa.step(node, input, out);
}

fn is_none_whatever(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let asker = match delivered(&input) {
        Some((from, Message::Ping { .. })) => Some(from),
        _ => None,
    };
    maekawa.step(node, input, out);
    let epoch = node.durable().epoch;
    if let Some(asker) = asker
        && membership_of(node).is_none()
    {
        out.send(asker, Message::Deregister { epoch });
    }
}

fn keeps_its_clients(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let epoch = node.durable().epoch;
    let leaves = matches!(input, Input::Ask(Command::Deregister)) && node.durable().registered;
    if !leaves || membership_of(node).is_none() {
        return maekawa.step(node, input, out);
    }
    node.write(Record::Registered(false));
    out.send(maekawa.orchestrator(), Message::Deregister { epoch });
    out.arm(Timer::Register);
}

fn keeps_its_timer(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    step_and_rewrite(maekawa, node, input, out, |_, effect| {
        (effect != Effect::Disarm(Timer::Retry)).then_some(effect)
    });
}

fn freezes_once(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let again = node.durable().changing && matches!(input, Input::Fire(Timer::HealthCheck));
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            message: Message::Freeze { .. },
            ..
        } if again => None,
        effect => Some(effect),
    });
}

fn installs_once(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let lives = matches!(delivered(&input), Some((_, Message::Pong { .. })));
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            message: Message::Install { .. },
            ..
        } if lives => None,
        effect => Some(effect),
    });
}
