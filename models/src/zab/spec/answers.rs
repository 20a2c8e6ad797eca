//! What a node owes to those who ask it: that each is answered once, by what was delivered; that who
//! is answered waits no more, and nobody else is forgotten by it.

use alloc::vec::Vec;

use crate::machine::StateMachine;
use crate::protocol::Node;
use crate::session::RequestId;
use crate::specification::Law;
use crate::world::{Action, Done, Host, Scenario, World};
use crate::zab::history::Content;
use crate::zab::state::Waiting;
use crate::zab::zxid::Zxid;
use crate::zab::{Command, Event, Zab};

use super::invariants::serves;
use super::{Bounded, takes_part};

type W<M, E> = World<Zab<M, E>>;
type N<M, E> = Node<Zab<M, E>>;
type Step<'a, M, E> = (Vec<Event<M>>, &'a N<M, E>, &'a N<M, E>);

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const ANSWERED_ONCE: Law<Self> = Law {
        name: "Who waits is answered once, and nobody else →",
        source: "Medeiros 2012, §2: a client is answered by the node that it has asked; whom that \
                 answers waits no more, and who waits no more was answered",
        holds: answered_once,
    };

    pub(super) const ANSWERED_RIGHTLY: Law<Self> = Law {
        name: "An answer is what was delivered →",
        source: "Medeiros 2012, §2: a command is answered by its own delivery, a synced read by \
                 the state at its sync; none is given up unless a later one of its session is \
                 delivered, or abandoned while there is a leader",
        holds: answered_rightly,
    };
}

/// The request that the event answers.
fn answered<M: StateMachine>(event: &Event<M>) -> Option<RequestId> {
    match event {
        Event::Reply { request, .. }
        | Event::Refused { request }
        | Event::Abandoned { request }
        | Event::Superseded { request } => Some(*request),
        Event::Delivered { .. }
        | Event::Restored { .. }
        | Event::Leading { .. }
        | Event::Following { .. }
        | Event::Looking
        | Event::Halted { .. } => None,
    }
}

/// What a node says in the step that it takes and lives through, and the node before and after.
fn step<'a, M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    before: &'a W<M, E>,
    action: &Action<Zab<M, E>>,
    after: &'a W<M, E>,
) -> Option<Step<'a, M, E>> {
    let (id, Done { emitted, .. }) = before.done(scenario, action, after)?;
    let node = |world: &'a W<M, E>| world.host(id).and_then(Host::node);
    Some((emitted, node(before)?, node(after)?))
}

/// Whether this is what waits for `command`.
fn waits_for<M: StateMachine>(command: &Command<M>, waiting: &Waiting<M>) -> bool {
    match (command, waiting) {
        (Command::Write { command, .. }, Waiting::Command(waiting)) => command == waiting,
        (Command::SyncedRead { query, .. }, Waiting::Read(waiting)) => query == waiting,
        (Command::Write { .. } | Command::Read { .. } | Command::SyncedRead { .. }, _) => false,
    }
}

fn answered_once<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    before: &W<M, E>,
    action: &Action<Zab<M, E>>,
    after: &W<M, E>,
) -> bool {
    let Some((emitted, old, new)) = step(scenario, before, action, after) else {
        return true;
    };
    // Who takes no part is deaf to clients, too.
    let asked = before
        .asked(scenario, action)
        .filter(|_| takes_part(old.durable()));
    let (waited, waits) = (&old.volatile.waiting, &new.volatile.waiting);
    let asks = asked.map(Command::request);
    let answers = |request: RequestId| {
        let answers = emitted.iter().filter_map(answered);
        answers.filter(|&answered| answered == request).count()
    };
    let mut owed = waited.keys().copied().chain(asks);
    let mut told = emitted.iter().filter_map(answered);
    let mut still = waits.iter();
    owed.all(|request| answers(request) + usize::from(waits.contains_key(&request)) == 1)
        && told.all(|request| waited.contains_key(&request) || asks == Some(request))
        && still.all(|(request, waiting)| match asked {
            Some(command) if command.request() == *request => waits_for(command, waiting),
            _ => waited.get(request) == Some(waiting),
        })
}

fn answered_rightly<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    before: &W<M, E>,
    action: &Action<Zab<M, E>>,
    after: &W<M, E>,
) -> bool {
    let Some((emitted, old, new)) = step(scenario, before, action, after) else {
        return true;
    };
    let ghost = &after.ghost;
    let delivered = new.volatile.delivered.zxid;
    let asked = before.asked(scenario, action);
    let is_right = |event: &Event<M>| match event {
        Event::Reply { request, response } => {
            let query = match (asked, old.volatile.waiting.get(request)) {
                // A local read shows what is delivered: a law of its own.
                (Some(Command::Read { request: read, .. }), _) if read == request => {
                    return serves(&old.volatile.role);
                }
                (
                    Some(Command::SyncedRead {
                        request: read,
                        query,
                    }),
                    _,
                ) if read == request => Some(query),
                (_, Some(Waiting::Read(query))) => Some(query),
                _ => None,
            };
            match query {
                // One that no sync comes before may be right all the same, or not: that is what
                // linearizability asks.
                Some(query) => synced(&emitted, *request)
                    .is_none_or(|zxid| ghost.replay(zxid).machine().query(query) == *response),
                None => ghost.response_to(*request, delivered).as_ref() == Some(response),
            }
        }
        Event::Superseded { request } => ghost.is_superseded(*request, delivered),
        Event::Abandoned { .. } => !serves(&new.volatile.role),
        Event::Refused { .. }
        | Event::Delivered { .. }
        | Event::Restored { .. }
        | Event::Leading { .. }
        | Event::Following { .. }
        | Event::Looking
        | Event::Halted { .. } => true,
    };
    emitted.iter().all(is_right)
}

/// The sync that was delivered for the read, if one was.
fn synced<M: StateMachine>(emitted: &[Event<M>], read: RequestId) -> Option<Zxid> {
    emitted.iter().find_map(|event| match event {
        Event::Delivered { transaction } => match &transaction.content {
            Content::Sync { request } => (*request == read).then_some(transaction.zxid),
            Content::Command { .. } => None,
        },
        _ => None,
    })
}
