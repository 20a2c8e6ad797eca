//! Defects in what a replica owes to its clients, its host and its members.

use super::{Out, map_effects, message};
use crate::counter::anti_entropy::settle;
use crate::counter::counts::Counts;
use crate::counter::g_counter::ReplicaId;
use crate::counter::message::Message;
use crate::counter::state::Record;
use crate::counter::window::Window;
use crate::counter::{Command, Counter, Event, Refusal, Timer};
use crate::protocol::{Effect, Input, Node, Protocol};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<Counter>] = &[
    Mutant {
        id: "CNT-WINDOW-FROM-HORIZON",
        defect: "a window is said to begin where buckets are kept from, though the clock was set back",
        source: "the latest so many buckets, the running one included",
        model: "counter/window",
        inject: |scenario| scenario.step = begins_at_the_horizon,
    },
    Mutant {
        id: "CNT-WINDOW-WHOLE",
        defect: "whoever asks for a part of the window is told the whole",
        source: "the latest so many buckets, as many as were asked for",
        model: "counter/window-part",
        inject: |scenario| scenario.step = tells_the_whole_window,
    },
    Mutant {
        id: "CNT-ROOM-FOR-REFUSED",
        defect: "room is made for a client before its request is looked at, and refused",
        source: "a retry at the same node counts once, as long as the node remembers its client",
        model: "counter/crowded-refused",
        inject: |scenario| scenario.step = makes_room_first,
    },
    Mutant {
        id: "CNT-LEAVES-WITH-OTHERS-COUNTS",
        defect: "who leaves passes on what it has counted itself, and nothing that it has heard: what \
                 it alone has heard of dies with who has told it",
        source: "a node's disk is needed until every member knows what is on it",
        model: "counter/leaving-3",
        inject: |scenario| scenario.step = passes_its_own_on,
    },
    Mutant {
        id: "CNT-COUNTED-REFUSED",
        defect: "a retry of what was counted is refused by who is about to leave: its client counts it \
                 elsewhere, once more",
        source: "a retry at the same node counts once, as long as the node remembers its client",
        model: "counter/leaving-retries",
        inject: |scenario| scenario.step = refuses_what_it_has_counted,
    },
    Mutant {
        id: "CNT-EXPIRY-UNTOLD",
        defect: "who leaves is not told that it may when what it was still to tell has expired",
        source: "a node's disk is needed until others know what is on it, and no longer",
        model: "counter/leaving-expiry",
        inject: |scenario| scenario.step = expires_in_silence,
    },
    Mutant {
        id: "CNT-LEAVES-MUTE",
        defect: "a node that is to leave says that it may if it may at once, and not later",
        source: "a node's disk is needed until others know what is on it, and no longer",
        model: "counter/live-leave",
        inject: |scenario| scenario.step = drains_in_silence,
    },
    Mutant {
        id: "CNT-TURNS-OF-TWO",
        defect: "push-pull goes from one to the first other member: of three the last has no turn",
        source: "Demers et al. 1987, §1.3",
        model: "counter/turns",
        inject: |scenario| scenario.step = takes_turns_with_two,
    },
    Mutant {
        id: "CNT-TURN-FORGOTTEN",
        defect: "whose turn it was is not noted when the round begins anew: from then on it is always \
                 the first one's",
        source: "Demers et al. 1987, §1.3",
        model: "counter/push-pull-3",
        inject: |scenario| scenario.step = stays_with_the_first,
    },
    Mutant {
        id: "CNT-NAME-DROPPED",
        defect: "a name is given up when others say of it what its own node has told them",
        source: "each name that is used no more is a component for ever",
        model: "counter/identities",
        inject: |scenario| scenario.step = drops_its_name,
    },
    Mutant {
        id: "CNT-DELTA-WITHOUT-TOTAL",
        defect: "who leaves passes on a bucket without the total, which the other has acknowledged and \
                 lost with its disk",
        source: "the total outlives its buckets",
        model: "counter/leaving-window",
        inject: |scenario| scenario.step = passes_buckets_on,
    },
    Mutant {
        id: "CNT-NAME-EXPIRED",
        defect: "a name is given up when others still say of it what has expired here",
        source: "each name that is used no more is a component for ever",
        model: "counter/window-lost-disk",
        inject: |scenario| scenario.step = contests_what_has_expired,
    },
    Mutant {
        id: "CNT-READ-UNANSWERED",
        defect: "who reads while others are still to be told waits until they have been",
        source: "Shapiro et al. 2011, §2: queries are local",
        model: "counter/overflow",
        inject: |scenario| scenario.step = answers_when_settled,
    },
    Mutant {
        id: "CNT-JOINS-UNTOLD",
        defect: "a member that has come is told what is counted from then on, and no more",
        source: "Almeida et al. 2018, §6.2",
        model: "counter/membership",
        inject: |scenario| scenario.step = owes_nothing_to_who_joins,
    },
    Mutant {
        id: "CNT-FORGETS-EARLY",
        defect: "a client is forgotten where there is room for it",
        source: "a retry at the same node counts once",
        model: "counter/deltas",
        inject: |scenario| scenario.step = remembers_one,
    },
    Mutant {
        id: "CNT-EVICTS-YOUNGEST",
        defect: "where there is no room, the client is forgotten that has counted last",
        source: "a retry at the same node counts once",
        model: "counter/crowded",
        inject: |scenario| scenario.step = evicts_the_youngest,
    },
    Mutant {
        id: "CNT-WINDOW-WIDE",
        defect: "a window keeps a bucket more than it is of",
        source: "the latest so many buckets",
        model: "counter/window",
        inject: |scenario| scenario.step = keeps_one_more,
    },
];

fn drops_its_name(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    retires_where(counter, node, input, out, |own, _, said| {
        said.total.count(own) > 0
    });
}

fn passes_its_own_on(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    if input != Input::Ask(Command::Leave) {
        return counter.step(node, input, out);
    }
    node.volatile.leaving = true;
    let own = node.durable().own();
    counter.owe_everybody(node, &own, out);
    settle(node, out);
}

fn refuses_what_it_has_counted(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    if let Input::Ask(Command::Increment(increment)) = &input
        && node.volatile.leaving
    {
        return out.emit(Event::Refused {
            request: increment.request,
            why: Refusal::Leaving,
        });
    }
    counter.step(node, input, out);
}

fn contests_what_has_expired(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    retires_where(counter, node, input, out, |own, known, said| {
        !said.difference(known).of(own).is_empty()
    });
}

/// Gives up a name that is still kept after the right step, where `is_contested` is true of it, of
/// what its node knew, and of what was said to it.
fn retires_where(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
    is_contested: impl Fn(ReplicaId, &Counts, &Counts) -> bool,
) {
    let own = node.durable().identity;
    let known = node.durable().counts.clone();
    let said = message(&input).map(|message| message.counts().clone());
    counter.step(node, input, out);
    if let (Some(own), Some(said)) = (own, said)
        && node.durable().identity == Some(own)
        && is_contested(own, &known, &said)
    {
        node.write(Record::Retired);
        let contested = Some(own);
        out.emit(Event::IdentityNeeded { contested });
    }
}

fn answers_when_settled(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let owes = !node.volatile.is_settled();
    counter.step(node, input, out);
    map_effects(out, |effect| match effect {
        Effect::Emit(Event::Value { .. }) if owes => None,
        effect => Some(effect),
    });
}

fn owes_nothing_to_who_joins(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let joined = match &input {
        Input::Ask(Command::PeerJoined(peer)) => Some(*peer),
        _ => None,
    };
    counter.step(node, input, out);
    let member = joined.and_then(|peer| node.volatile.members.get_mut(&peer));
    if let Some(member) = member {
        member.pending = Default::default();
    }
}

fn keeps_one_more(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let mut generous = counter.clone();
    generous.window = counter
        .window
        .map(|window| Window::new(window.width(), window.buckets() + 1));
    generous.step(node, input, out);
}

fn remembers_one(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let mut forgetful = counter.clone();
    forgetful.max_sessions = 1;
    forgetful.step(node, input, out);
}

fn evicts_the_youngest(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let recent = &node.durable().recent;
    let latest = recent.clients().last();
    if let Input::Ask(Command::Increment(increment)) = &input
        && let Some(latest) = latest
        && recent.len() >= counter.max_sessions
        && recent
            .clients()
            .all(|client| client != increment.request.client)
    {
        node.write(Record::Forgotten(latest));
    }
    counter.step(node, input, out);
}

fn passes_buckets_on(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let pending = node.volatile.members.clone();
    counter.step(node, input, out);
    map_effects(out, |effect| match effect {
        Effect::Send {
            to,
            message: Message::Delta { counts },
        } => {
            let owed = pending.get(&to).map(|member| member.pending.clone());
            let counts = owed.unwrap_or(counts);
            Some(Effect::Send {
                to,
                message: Message::Delta { counts },
            })
        }
        effect => Some(effect),
    });
}

fn begins_at_the_horizon(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    counter.step(node, input, out);
    let horizon = node.durable().horizon;
    map_effects(out, |mut effect| {
        if let Effect::Emit(Event::WindowValue { since, .. }) = &mut effect {
            *since = horizon;
        }
        Some(effect)
    });
}

fn tells_the_whole_window(
    counter: &Counter,
    node: &mut Node<Counter>,
    mut input: Input<Counter>,
    out: &mut Out,
) {
    if let Input::Ask(Command::ReadWindow { latest, .. }) = &mut input {
        *latest = u64::MAX;
    }
    counter.step(node, input, out);
}

fn makes_room_first(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    if let Input::Ask(Command::Increment(increment)) = &input {
        let (client, most) = (increment.request.client, counter.max_sessions);
        if let Some(client) = node.durable().recent.in_the_way_of(client, most) {
            node.write(Record::Forgotten(client));
        }
    }
    counter.step(node, input, out);
}

fn expires_in_silence(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let expires = matches!(input, Input::Ask(Command::ReadWindow { .. }));
    counter.step(node, input, out);
    map_effects(out, |effect| {
        (!expires || effect != Effect::Emit(Event::Drained)).then_some(effect)
    });
}

fn drains_in_silence(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let asks = matches!(input, Input::Ask(Command::Leave));
    counter.step(node, input, out);
    map_effects(out, |effect| {
        (asks || effect != Effect::Emit(Event::Drained)).then_some(effect)
    });
}

fn stays_with_the_first(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let last = node.volatile.last_partner;
    counter.step(node, input, out);
    if last.is_some() && node.volatile.last_partner < last {
        node.volatile.last_partner = last;
    }
}

fn takes_turns_with_two(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    if input == Input::Fire(Timer::PushPull) {
        let last = node.volatile.last_partner;
        let mut others = node.volatile.members.keys().copied();
        let next = others.find(|&member| Some(member) != last);
        // Whose turn it is follows from whose it was.
        let members = node.volatile.members.keys().copied();
        node.volatile.last_partner = members.take_while(|&member| Some(member) < next).last();
    }
    counter.step(node, input, out);
}
