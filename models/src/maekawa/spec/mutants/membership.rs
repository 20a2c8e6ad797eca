//! Defects in who is a member, and in what is said of it.

use crate::maekawa::message::{Epoch, Message};
use crate::maekawa::spec::scenarios::forges_epochs;
use crate::maekawa::state::{Record, Volatile};
use crate::maekawa::{Command, Event, Maekawa, Timer};
use crate::protocol::{Input, NodeId, Protocol};
use crate::specification::Mutant;

use super::{In, N, Out, attempt_of, delivered, member_mut};
use crate::maekawa::spec::scenarios::the_lock;

pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[
    Mutant {
        id: "MAE-REGISTER-UNHEARD",
        defect: "a node that has left is to be a member again, and takes it for said already",
        source: "§5: nodes come and go",
        model: "maekawa/come-back",
        inject: |scenario| scenario.step = hears_no_register,
    },
    Mutant {
        id: "MAE-LEFT-AND-BACK",
        defect: "a node whose lease has run out says that it is none, and is to be one again",
        source: "its host stops asking for the lock",
        model: "maekawa/suspicions",
        inject: |scenario| scenario.step = says_that_it_has_left,
    },
    Mutant {
        id: "MAE-LEAVES-LATE",
        defect: "a word to leave that is of an epoch before is taken for one of this",
        source: "who has left one epoch may be a member of the next",
        model: "maekawa/leave-and-crash",
        inject: |scenario| scenario.step = hears_late_words,
    },
    Mutant {
        id: "MAE-REGISTERS-AHEAD",
        defect: "a node that says that it was in an epoch which has not begun is believed",
        source: "nobody is told of an epoch before the orchestrator has begun it",
        model: "maekawa/forged-epochs",
        inject: |scenario| scenario.step = believes_who_is_ahead,
    },
    Mutant {
        id: "MAE-EPOCH-BELIEVED",
        defect: "a node follows whatever epoch the orchestrator says, however far away",
        source: "one message, and no epoch comes after it",
        model: "maekawa/forged-epochs",
        inject: |scenario| scenario.step = follows_any_epoch,
    },
    Mutant {
        id: "MAE-INSTALL-AGAIN",
        defect: "every answer to a health check is answered with the epoch",
        source: "an Install is said again where it may be lost",
        model: "maekawa/health",
        inject: |scenario| scenario.step = installs_again,
    },
    Mutant {
        id: "MAE-TO-ITSELF",
        defect: "a node sends the request to itself over the network as well",
        source: "§2: a node is its own arbiter",
        model: "maekawa/two",
        inject: |scenario| scenario.step = sends_itself,
    },
];

fn hears_no_register(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    if !matches!(input, Input::Ask(Command::Register)) || node.durable().registered {
        maekawa.step(node, input, out);
    }
}

fn says_that_it_has_left(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let runs_out = matches!(input, Input::Fire(Timer::Lease));
    maekawa.step(node, input, out);
    if runs_out && node.durable().registered {
        let epoch = node.durable().epoch;
        out.emit(Event::Left { epoch });
    }
}

fn hears_late_words(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let now = node.durable().epoch;
    let input = match input {
        Input::Deliver {
            from,
            message: Message::Deregister { epoch },
        } if epoch < now => Input::Deliver {
            from,
            message: Message::Deregister { epoch: now },
        },
        input => input,
    };
    maekawa.step(node, input, out);
}

fn believes_who_is_ahead(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let now = node.durable().epoch;
    let input = match input {
        Input::Deliver {
            from,
            message: Message::Register { after },
        } if after > now => Input::Deliver {
            from,
            message: Message::Register { after: now },
        },
        input => input,
    };
    forges_epochs(maekawa, node, input, out);
}

fn follows_any_epoch(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    if let Some((NodeId(0), Message::Freeze { epoch })) = delivered(&input)
        && *epoch > node.durable().epoch
        && member_mut(node).is_some()
    {
        node.write(Record::Epoch(*epoch));
    }
    forges_epochs(maekawa, node, input, out);
}

fn installs_again(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let answers = delivered(&input).and_then(|(from, message)| match message {
        Message::Pong { epoch } => Some((from, *epoch)),
        _ => None,
    });
    maekawa.step(node, input, out);
    let is_orchestrator = matches!(node.volatile, Volatile::Orchestrator(_));
    let durable = node.durable();
    if let Some((to, epoch)) = answers
        && (is_orchestrator, durable.epoch) == (true, epoch)
    {
        let message = Message::Install {
            epoch,
            members: durable.members.clone(),
            construction: durable.construction,
            held: durable.held.clone(),
        };
        out.send(to, message);
    }
}

fn sends_itself(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let id = maekawa.id();
    maekawa.step(node, input, out);
    if let Some(attempt) = attempt_of(node).filter(|attempt| attempt.held.is_none()) {
        let (epoch, lock, request) = (Epoch(1), the_lock(), attempt.request);
        let message = Message::Request {
            epoch,
            lock,
            request,
        };
        out.send(id, message);
    }
}
