//! A protocol whose state graph is whatever a test draws: one node that stands at a vertex, and
//! a timer for each edge that leads away from it.

use models::specification::{Answer, Formula, Invariant, Law, Liveness, Model, Reachable, Size};
use models::world::{Scenario, World};
use models::{Effect, Input, Node, NodeId, Outbox, Protocol, Specification};

/// The graph: its edges. The node begins at vertex 0; vertex 9 is where it should get to.
#[derive(Clone, Debug)]
pub(crate) struct Maze {
    edges: &'static [(u8, u8)],
}

impl Maze {
    /// The timers of the edges from `here` run, and no others.
    fn stand(&self, here: u8, out: &mut Outbox<Self>) {
        for &edge in self.edges {
            if edge.0 == here {
                out.arm(edge);
            } else {
                out.disarm(edge);
            }
        }
    }
}

impl Protocol for Maze {
    type Durable = ();
    type Volatile = u8;
    type Message = ();
    /// An edge.
    type Timer = (u8, u8);
    type Command = ();
    type Event = ();

    fn id(&self) -> NodeId {
        NodeId(0)
    }

    fn boot(&self, (): &(), out: &mut Outbox<Self>) -> u8 {
        self.stand(0, out);
        0
    }

    fn step(&self, node: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>) {
        match input {
            Input::Fire((_, to)) => {
                node.volatile = to;
                self.stand(to, out);
            }
            Input::Deliver { .. } | Input::Ask(()) => {}
        }
    }
}

fn is_at(world: &World<Maze>, vertex: u8) -> bool {
    world.running().all(|(_, node)| node.volatile == vertex)
}

impl Specification for Maze {
    type Ghost = ();
    /// The edges that lead out of the bounds.
    type Bounds = &'static [(u8, u8)];

    const INVARIANTS: &'static [Invariant<Self>] = &[];
    const LAWS: &'static [Law<Self>] = &[];
    const REACHABLE: &'static [Reachable<Self>] = &[];
    const LIVENESS: &'static [Liveness<Self>] = &[
        Liveness {
            name: "eventually 9",
            source: "by construction",
            formula: Formula::Eventually(|_, world| is_at(world, 9)),
            fairness: "each edge is strongly fair",
        },
        Liveness {
            name: "eventually always 9",
            source: "by construction",
            formula: Formula::EventuallyAlways(|_, world| is_at(world, 9)),
            fairness: "each edge is strongly fair",
        },
        Liveness {
            name: "infinitely often 9",
            source: "by construction",
            formula: Formula::InfinitelyOften(|_, world| is_at(world, 9)),
            fairness: "each edge is strongly fair",
        },
        Liveness {
            name: "1 leads to 9",
            source: "by construction",
            formula: Formula::LeadsTo(|_, world| is_at(world, 1), |_, world| is_at(world, 9)),
            fairness: "each edge is strongly fair",
        },
    ];

    fn observe((): &mut (), _: NodeId, _: &Node<Self>, _: &[Effect<Self>]) {}

    fn permits(beyond: &Self::Bounds, _: NodeId, _: &Node<Self>, edge: &(u8, u8)) -> bool {
        !beyond.contains(edge)
    }

    fn answer((): &(), (): &()) -> Option<Answer> {
        None
    }

    fn message_label((): &()) -> String {
        String::new()
    }

    fn node_label(node: &Node<Self>) -> String {
        format!("at {}", node.volatile)
    }

    fn command_label((): &()) -> String {
        String::new()
    }
}

/// The world of a graph.
pub(crate) fn maze(edges: &'static [(u8, u8)], beyond: &'static [(u8, u8)]) -> Scenario<Maze> {
    Scenario::new(vec![Maze { edges }], beyond)
}

/// A model in which "eventually always 9" is false: from 9 it goes back.
pub(crate) const BACK_AND_FORTH: Model<Maze> = Model {
    name: "maze/back-and-forth",
    size: Size::Gate,
    purpose: "a run that goes round for ever",
    faults: "none",
    bounds: "0 to 1, and round between 1 and 9",
    states: Some(3),
    reaches: &[],
    scenario: || maze(&[(0, 1), (1, 9), (9, 1)], &[]),
};
