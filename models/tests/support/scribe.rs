//! A protocol so simple that everything it does can be foretold: what the world does to it is
//! then the world's doing.

use std::collections::BTreeSet;

use models::specification::{Answer, Invariant, Law, Liveness, Reachable};
use models::world::Scenario;
use models::{Durable, Effect, Input, Node, NodeId, Outbox, Protocol, Specification};
use serde::{Deserialize, Serialize};

/// At each tick a scribe notes two lines and tells all others how often it has ticked. It
/// remembers what it is told until it crashes. Asked, scribe 0 answers and others refuse.
#[derive(Clone, Debug)]
pub(crate) struct Scribe {
    id: NodeId,
    others: BTreeSet<NodeId>,
}

/// What a scribe has noted: 0, 1, 2, 3, …, two lines at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Notes(pub(crate) Vec<u8>);

/// A line of the notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Line(pub(crate) u8);

/// The scribe's only timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Tick;

/// What a scribe says to a client that has asked it something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Said {
    /// It is done.
    Yes(u8),
    /// It is not for this scribe to do.
    No(u8),
}

impl Durable for Notes {
    type Record = Line;

    fn apply(&mut self, record: &Line) {
        self.0.push(record.0);
    }
}

impl Protocol for Scribe {
    type Durable = Notes;
    type Volatile = Vec<(NodeId, u8)>;
    type Message = u8;
    type Timer = Tick;
    type Command = u8;
    type Event = Said;

    fn id(&self) -> NodeId {
        self.id
    }

    fn boot(&self, _: &Notes, out: &mut Outbox<Self>) -> Vec<(NodeId, u8)> {
        out.arm(Tick);
        Vec::new()
    }

    fn step(&self, node: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>) {
        match input {
            Input::Deliver { from, message } => node.volatile.push((from, message)),
            Input::Fire(Tick) => {
                let next = node.durable().0.len() as u8;
                node.write(Line(next));
                node.write(Line(next + 1));
                out.arm(Tick);
                for &other in &self.others {
                    out.send(other, next / 2);
                }
            }
            Input::Ask(command) if self.id == NodeId(0) => out.emit(Said::Yes(command)),
            Input::Ask(command) => out.emit(Said::No(command)),
        }
    }
}

impl Specification for Scribe {
    type Ghost = ();
    /// How many lines a scribe may note.
    type Bounds = usize;

    const INVARIANTS: &'static [Invariant<Self>] = &[];
    const LAWS: &'static [Law<Self>] = &[];
    const REACHABLE: &'static [Reachable<Self>] = &[];
    const LIVENESS: &'static [Liveness<Self>] = &[];

    fn observe((): &mut (), _: NodeId, _: &Node<Self>, _: &[Effect<Self>]) {}

    fn permits(lines: &usize, _: NodeId, node: &Node<Self>, _: &Tick) -> bool {
        node.durable().0.len() < *lines
    }

    fn answer(command: &u8, said: &Said) -> Option<Answer> {
        match said {
            Said::Yes(asked) if asked == command => Some(Answer::Done),
            Said::No(asked) if asked == command => Some(Answer::Refused),
            Said::Yes(_) | Said::No(_) => None,
        }
    }

    fn message_label(message: &u8) -> String {
        format!("tick {message}")
    }

    fn node_label(node: &Node<Self>) -> String {
        format!("{:?}", node.durable())
    }

    fn command_label(command: &u8) -> String {
        command.to_string()
    }
}

/// A world of `size` scribes that may note `lines` lines each.
pub(crate) fn scribes(size: u16, lines: usize) -> Scenario<Scribe> {
    let ids: BTreeSet<NodeId> = (0..size).map(NodeId).collect();
    let scribe = |&id: &NodeId| Scribe {
        id,
        others: ids.iter().copied().filter(|&other| other != id).collect(),
    };
    Scenario::new(ids.iter().map(scribe).collect(), lines)
}
