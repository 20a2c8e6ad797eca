//! What is wrong for clients.

use alloc::vec::Vec;

use crate::machine::StateMachine as _;
use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::raft::spec::{Adder, Total};
use crate::session::{RequestId, Sessions};
use crate::specification::Mutant;
use crate::zab::history::Content;
use crate::zab::message::Message;
use crate::zab::state::{Phase, Waiting};
use crate::zab::{Command, Event};

use super::{Z, following, message, step_and_rewrite};

/// Those mutants.
pub(super) const MUTANTS: &[Mutant<Z>] = &[
    Mutant {
        id: "ZAB-RETRY",
        defect: "a retried command is done again",
        source: "a seed program: writes had no ids",
        model: "zab/retries",
        inject: |scenario| scenario.step = forgets_sessions,
    },
    Mutant {
        id: "ZAB-SYNC-LOCAL",
        defect: "a synced read is answered from what is here",
        source: "Medeiros 2012, §2",
        model: "zab/reads",
        inject: |scenario| scenario.step = reads_locally,
    },
    Mutant {
        id: "ZAB-READ-PROPOSED",
        defect: "a read shows what is accepted and not yet committed",
        source: "DSN 2011, §III.B: only what is delivered is sure to stay",
        model: "zab/local-reads",
        inject: |scenario| scenario.step = reads_proposals,
    },
    Mutant {
        id: "ZAB-SYNC-DEPOSED",
        defect: "the leader answers a synced read from what it knows itself",
        source: "ZooKeeper's sync is no quorum operation",
        model: "zab/deposed",
        inject: |scenario| scenario.step = leader_reads_locally,
    },
    Mutant {
        id: "ZAB-FORWARD-LOST",
        defect: "a request that is lost on its way to the leader is not passed on again",
        source: "Medeiros 2012, §2: followers forward; here messages get lost",
        model: "zab/contact",
        inject: |scenario| scenario.step = asks_the_leader_once,
    },
    Mutant {
        id: "ZAB-READ-PASSED-ON-ONCE",
        defect: "commands that are lost on their way to the leader are passed on again, and reads are \
                 not",
        source: "Medeiros 2012, §2: followers forward; here messages get lost",
        model: "zab/reads-again",
        inject: |scenario| scenario.step = passes_reads_on_once,
    },
    Mutant {
        id: "ZAB-READ-DONE-BEFORE",
        defect: "a read is taken for passed on when a sync for it was delivered before: who asks again \
                 waits for ever if what was passed on is lost",
        source: "Medeiros 2012, §2: followers forward; here messages get lost",
        model: "zab/reads-again",
        inject: |scenario| scenario.step = takes_an_earlier_sync_for_this,
    },
    Mutant {
        id: "ZAB-UPTODATE-LOST",
        defect: "a follower that has lost UPTODATE takes no ping for it",
        source: "DSN 2011, step f.2.2; here messages get lost",
        model: "zab/contact",
        inject: |scenario| scenario.step = waits_for_up_to_date,
    },
    Mutant {
        id: "ZAB-GIVEN-UP",
        defect: "a request that its client has given up waits for ever",
        source: "a session's requests are done in order",
        model: "zab/given-up",
        inject: |scenario| scenario.step = remembers_what_is_given_up,
    },
    Mutant {
        id: "ZAB-ABANDON",
        defect: "clients are not told that their node has lost its leader",
        source: "a seed program: clients never heard",
        model: "zab/handover",
        inject: |scenario| scenario.step = leaves_clients_waiting,
    },
    Mutant {
        id: "ZAB-SESSION-DRIVEN-OUT",
        defect: "a client whose command is delivered drives all others out of the session table: \
                 a retry of theirs would be done again",
        source: "`session`: none is forgotten but by a transaction",
        model: "zab/broadcast",
        inject: |scenario| scenario.step = remembers_one_session,
    },
    Mutant {
        id: "ZAB-ANSWER-WITHDRAWS",
        defect: "when one client is answered, whoever else waits at the node is forgotten",
        source: "Medeiros 2012, §2",
        model: "zab/broadcast",
        inject: |scenario| scenario.step = forgets_who_waits_beside,
    },
    Mutant {
        id: "ZAB-DONE-GIVEN-UP",
        defect: "a client whose command is delivered is told that it has given it up",
        source: "Medeiros 2012, §2",
        model: "zab/start",
        inject: |scenario| scenario.step = takes_done_for_given_up,
    },
];

fn forgets_sessions(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    node.volatile.delivered.sessions = Sessions::default();
    zab.step(node, input, out);
}

fn reads_locally(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    match input {
        Input::Ask(Command::SyncedRead { request, query }) => {
            answer_now(node, request, &query, out);
        }
        input => zab.step(node, input, out),
    }
}

fn answer_now(node: &Node<Z>, request: RequestId, query: &Total, out: &mut Outbox<Z>) {
    let response = node.volatile.delivered.machine.query(query);
    out.emit(Event::Reply { request, response });
}

fn reads_proposals(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let delivered = &node.volatile.delivered;
    let mut machine = delivered.machine;
    for transaction in node.durable().history.after(delivered.zxid) {
        if let Content::Command { command, .. } = &transaction.content {
            machine.apply(command);
        }
    }
    let ahead = match &input {
        Input::Ask(Command::Read { query, .. }) => Some(machine.query(query)),
        Input::Deliver { .. } | Input::Fire(_) | Input::Ask(_) => None,
    };
    step_and_rewrite(zab, node, input, out, |_, effect| match (effect, ahead) {
        (Effect::Emit(Event::Reply { request, .. }), Some(response)) => {
            Some(Effect::Emit(Event::Reply { request, response }))
        }
        (effect, _) => Some(effect),
    });
}

fn leader_reads_locally(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    match input {
        Input::Ask(Command::SyncedRead { request, query }) if zab.leads_established(node) => {
            answer_now(node, request, &query, out);
        }
        input => zab.step(node, input, out),
    }
}

fn asks_the_leader_once(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let is_ping = matches!(message(&input), Some((_, Message::Ping { .. })));
    step_and_rewrite(zab, node, input, out, |_, effect| {
        let is_request = matches!(
            effect,
            Effect::Send {
                message: Message::Request { .. },
                ..
            }
        );
        (!(is_ping && is_request)).then_some(effect)
    });
}

/// The read that the effect passes on.
fn read_passed_on(effect: &Effect<Z>) -> Option<RequestId> {
    match effect {
        Effect::Send {
            message:
                Message::Request {
                    content: Content::Sync { request },
                    ..
                },
            ..
        } => Some(*request),
        _ => None,
    }
}

fn passes_reads_on_once(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let is_ping = matches!(message(&input), Some((_, Message::Ping { .. })));
    step_and_rewrite(zab, node, input, out, |_, effect| {
        (!is_ping || read_passed_on(&effect).is_none()).then_some(effect)
    });
}

fn takes_an_earlier_sync_for_this(
    zab: &Z,
    node: &mut Node<Z>,
    input: Input<Z>,
    out: &mut Outbox<Z>,
) {
    let is_ping = matches!(message(&input), Some((_, Message::Ping { .. })));
    step_and_rewrite(zab, node, input, out, |node, effect| {
        let mut history = node.durable().history.transactions().iter();
        let is_in_history = |read| history.any(|next| next.content.request() == read);
        let is_left_out = is_ping && read_passed_on(&effect).is_some_and(is_in_history);
        (!is_left_out).then_some(effect)
    });
}

fn waits_for_up_to_date(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let is_ping = matches!(message(&input), Some((_, Message::Ping { .. })));
    let is_joining = following(node).is_some_and(|f| f.phase == Phase::Synchronization);
    if !(is_ping && is_joining) {
        zab.step(node, input, out);
    }
}

fn remembers_one_session(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    zab.step(node, input, out);
    let sessions = &mut node.volatile.delivered.sessions;
    let latest = sessions.iter().max_by_key(|&(_, _, at, _)| at);
    let latest = latest.map(|(client, sequence, _, &response)| {
        let request = RequestId { client, sequence };
        (request, response)
    });
    if let Some((request, response)) = latest {
        *sessions = Sessions::default();
        sessions.record(request, response);
    }
}

fn forgets_who_waits_beside(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let mut answers = false;
    step_and_rewrite(zab, node, input, out, |_, effect| {
        answers |= matches!(effect, Effect::Emit(Event::Reply { .. }));
        Some(effect)
    });
    if answers {
        node.volatile.waiting.clear();
    }
}

fn takes_done_for_given_up(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    step_and_rewrite(zab, node, input, out, |_, effect| match effect {
        Effect::Emit(Event::Reply { request, .. }) => {
            Some(Effect::Emit(Event::Superseded { request }))
        }
        effect => Some(effect),
    });
}

fn leaves_clients_waiting(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    step_without_telling(zab, node, input, out, |event| match event {
        Event::Abandoned { request } => Some(*request),
        _ => None,
    });
}

fn remembers_what_is_given_up(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if matches!(input, Input::Ask(_)) {
        return zab.step(node, input, out);
    }
    step_without_telling(zab, node, input, out, |event| match event {
        Event::Superseded { request } => Some(*request),
        _ => None,
    });
}

/// Lets the protocol take its step, but who is told so by it goes on waiting.
fn step_without_telling(
    zab: &Z,
    node: &mut Node<Z>,
    input: Input<Z>,
    out: &mut Outbox<Z>,
    told: fn(&Event<Adder>) -> Option<RequestId>,
) {
    let waiting = node.volatile.waiting.clone();
    let mut left = Vec::new();
    step_and_rewrite(zab, node, input, out, |_, effect| match &effect {
        Effect::Emit(event) if told(event).is_some() => {
            left.extend(told(event));
            None
        }
        _ => Some(effect),
    });
    let left = left.into_iter().filter_map(|request| {
        let waiting: Option<&Waiting<Adder>> = waiting.get(&request);
        Some((request, waiting?.clone()))
    });
    node.volatile.waiting.extend(left);
}
