//! Under which name is counted, and who is there.

use super::{Out, forget, map_effects};
use crate::counter::counts::Counts;
use crate::counter::g_counter::{GCounter, Incarnation, ReplicaId};
use crate::counter::message::Message;
use crate::counter::state::{Peer, Record};
use crate::counter::{Command, Counter, Event};
use crate::protocol::{Effect, Input, Node, NodeId, Protocol};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<Counter>] = &[
    Mutant {
        id: "CNT-1",
        defect: "a node restarts under its old name without its stored count",
        source: "a seed program",
        model: "counter/deltas",
        inject: |scenario| forget(scenario, |record| !matches!(record, Record::Identified(_))),
    },
    Mutant {
        id: "CNT-2",
        defect: "a name fresh at each start, and all in memory",
        source: "a seed program",
        model: "counter/identities",
        inject: |scenario| forget(scenario, |_| true),
    },
    Mutant {
        id: "CNT-ID-COLLISION",
        defect: "each node gives itself the first name that comes to its mind",
        source: "Shapiro et al. 2011, Specification 6: myID()",
        model: "counter/identities",
        inject: |scenario| scenario.step = names_itself_locally,
    },
    Mutant {
        id: "CNT-INCARNATION-REUSED",
        defect: "a node whose disk was lost counts under its old name",
        source: "a count of zero under a name that others know more of",
        model: "counter/identities",
        inject: |scenario| scenario.step = reuses_its_incarnation,
    },
    Mutant {
        id: "CNT-RENAMED",
        defect: "a node takes any name that its host draws, although it has one",
        source: "the name is kept with the count",
        model: "counter/identities",
        inject: |scenario| scenario.step = takes_any_name,
    },
    Mutant {
        id: "CNT-CONTESTED-KEPT",
        defect: "a node whose disk was set back takes over what others know of its name, and goes on counting \
                 under it",
        source: "Shapiro et al. 2011, Specification 6: what others know that it has not heard of is counted \
                 again",
        model: "counter/set-back",
        inject: |scenario| scenario.step = keeps_its_contested_name,
    },
    Mutant {
        id: "CNT-CONTESTED-AGAIN",
        defect: "a node takes a name that is known to have counted, if its host draws it",
        source: "Shapiro et al. 2011, Specification 6: myID() is unique; exactly one disk ever counts under it",
        model: "counter/set-back",
        inject: |scenario| scenario.step = takes_a_name_that_has_counted,
    },
    Mutant {
        id: "CNT-OWN-WORD-ALONE",
        defect: "what others say of a node's own component it does not hear: it counts on below what they know",
        source: "Shapiro et al. 2011, Specification 6: merge, of all components",
        model: "counter/set-back",
        inject: |scenario| scenario.step = hears_nothing_of_itself,
    },
    Mutant {
        id: "CNT-PRUNE-DOUBLES",
        defect: "the count of a node that is gone is added to one's own",
        source: "who has not heard yet that it is gone adds both",
        model: "counter/membership",
        inject: |scenario| scenario.step = inherits_from_the_departed,
    },
    Mutant {
        id: "CNT-PRUNE-LOSES",
        defect: "components of nodes that are no members are not merged",
        source: "what was under way when a node went is lost",
        model: "counter/membership",
        inject: |scenario| scenario.step = merges_members_alone,
    },
    Mutant {
        id: "CNT-LEAVER-DROPPED",
        defect: "the component of a node that has left no longer counts",
        source: "memory is saved, and counts are lost",
        model: "counter/membership",
        inject: |scenario| scenario.step = counts_members_alone,
    },
    Mutant {
        id: "CNT-REJOINED-OWED-NOTHING",
        defect: "a member that comes back is owed nothing of what was counted meanwhile",
        source: "the buffer goes with the member",
        model: "counter/membership",
        inject: |scenario| scenario.step = owes_the_rejoined_nothing,
    },
    Mutant {
        id: "CNT-LEFT-EARLY",
        defect: "a node that is to leave says at once that it may",
        source: "its disk goes with what nobody else knows",
        model: "counter/leaving",
        inject: |scenario| scenario.step = leaves_at_once,
    },
    Mutant {
        id: "CNT-LEFT-ALONE",
        defect: "a node that knows of nobody says that it may leave",
        source: "what every member knows nobody knows, where there is none",
        model: "counter/leaving-alone",
        inject: |scenario| scenario.step = leaves_alone,
    },
];

fn identify(counter: &Counter, node: &mut Node<Counter>, name: ReplicaId, out: &mut Out) {
    if node.durable().identity.is_none() || counter.id() == name.node {
        node.write(Record::Identified(name));
    }
    out.emit(Event::Identified { identity: name });
}

fn names_itself_locally(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    match input {
        Input::Ask(Command::Identify { .. }) => {
            identify(counter, node, ReplicaId::default(), out);
        }
        input => counter.step(node, input, out),
    }
}

fn reuses_its_incarnation(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    match input {
        Input::Ask(Command::Identify { .. }) => {
            let incarnation = Incarnation(1);
            counter.step(node, Input::Ask(Command::Identify { incarnation }), out);
        }
        input => counter.step(node, input, out),
    }
}

fn takes_any_name(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    match (&input, node.durable().identity) {
        (Input::Ask(Command::Identify { incarnation }), Some(name)) => {
            let incarnation = *incarnation;
            identify(
                counter,
                node,
                ReplicaId {
                    incarnation,
                    ..name
                },
                out,
            );
        }
        _ => counter.step(node, input, out),
    }
}

fn keeps_its_contested_name(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let name = node.durable().identity;
    counter.step(node, input, out);
    if let (Some(name), None) = (name, node.durable().identity) {
        node.write(Record::Identified(name));
        map_effects(out, |effect| match effect {
            Effect::Emit(Event::IdentityNeeded { .. }) => None,
            effect => Some(effect),
        });
    }
}

fn takes_a_name_that_has_counted(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let is_drawn = matches!(input, Input::Ask(Command::Identify { .. }));
    counter.step(node, input, out);
    let refused = out.effects().iter().find_map(|effect| match effect {
        Effect::Emit(Event::IdentityNeeded { contested }) => *contested,
        _ => None,
    });
    if let Some(name) = refused.filter(|_| is_drawn) {
        map_effects(out, |_| None);
        identify(counter, node, name, out);
    }
}

fn hears_nothing_of_itself(
    counter: &Counter,
    node: &mut Node<Counter>,
    mut input: Input<Counter>,
    out: &mut Out,
) {
    if let (
        Some(own),
        Input::Deliver {
            message: Message::Delta { counts } | Message::PushPull { counts },
            ..
        },
    ) = (node.durable().identity, &mut input)
    {
        let others = counts.total.components().filter(|(name, _)| *name != own);
        counts.total = others.collect();
    }
    counter.step(node, input, out);
}

fn inherits_from_the_departed(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    if let Input::Ask(Command::PeerGone(gone)) = &input
        && let Some(own) = node.durable().identity
        && own.node != *gone
    {
        let total = &node.durable().counts.total;
        let theirs = total.components().filter(|(name, _)| name.node == *gone);
        let inherited: u64 = theirs.map(|(_, count)| count).sum();
        let total = GCounter::from_iter([(own, total.count(own) + inherited)]);
        let counts = Counts {
            total,
            ..Counts::default()
        };
        node.write(Record::Learned { counts });
    }
    counter.step(node, input, out);
}

/// The components of the node itself, and of its members.
fn of_members(node: &Node<Counter>, id: NodeId, counter: &GCounter) -> GCounter {
    let members = &node.volatile.members;
    let components = counter.components();
    components
        .filter(|(name, _)| name.node == id || members.contains_key(&name.node))
        .collect()
}

fn merges_members_alone(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let input = match input {
        Input::Deliver {
            from,
            message: Message::Delta { mut counts },
        } => {
            counts.total = of_members(node, counter.id(), &counts.total);
            let message = Message::Delta { counts };
            Input::Deliver { from, message }
        }
        input => input,
    };
    counter.step(node, input, out);
}

fn counts_members_alone(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    counter.step(node, input, out);
    let told = of_members(node, counter.id(), &node.durable().counts.total).value();
    map_effects(out, |effect| {
        Some(match effect {
            Effect::Emit(Event::Incremented {
                request, repeated, ..
            }) => Effect::Emit(Event::Incremented {
                request,
                value: told,
                repeated,
            }),
            Effect::Emit(Event::Value { request, .. }) => Effect::Emit(Event::Value {
                request,
                value: told,
            }),
            effect => effect,
        })
    });
}

fn owes_the_rejoined_nothing(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let joined = match &input {
        Input::Ask(Command::PeerJoined(peer)) if *peer != counter.id() => Some(*peer),
        _ => None,
    };
    counter.step(node, input, out);
    if let Some(peer) = joined {
        node.volatile.members.insert(peer, Peer::default());
    }
}

fn leaves_at_once(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let is_asked = matches!(input, Input::Ask(Command::Leave));
    counter.step(node, input, out);
    if is_asked {
        out.emit(Event::Drained);
    }
}

fn leaves_alone(counter: &Counter, node: &mut Node<Counter>, input: Input<Counter>, out: &mut Out) {
    counter.step(node, input, out);
    if node.volatile.leaving && node.volatile.members.is_empty() {
        out.emit(Event::Drained);
    }
}
