//! A protocol of one node and one timer: it counts to five. Small enough to know every state
//! by heart, and to plant any kind of violation in.

use models::specification::{Answer, Invariant, Law, Liveness, Model, Mutant, Reachable, Size};
use models::world::{Action, Faults, Scenario};
use models::{Effect, Input, Node, NodeId, Outbox, Protocol, Specification};

/// The protocol.
#[derive(Clone, Debug)]
pub(crate) struct Toy;

impl Protocol for Toy {
    type Durable = ();
    type Volatile = u8;
    type Message = ();
    type Timer = ();
    type Command = ();
    type Event = ();

    fn id(&self) -> NodeId {
        NodeId(0)
    }

    fn boot(&self, (): &(), out: &mut Outbox<Self>) -> u8 {
        out.arm(());
        0
    }

    fn step(&self, node: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>) {
        match input {
            Input::Fire(()) => {
                node.volatile += 1;
                if node.volatile < 5 {
                    out.arm(());
                }
            }
            Input::Deliver { .. } | Input::Ask(()) => {}
        }
    }
}

/// What the node has counted to.
fn count(world: &models::world::World<Toy>) -> u8 {
    world.running().map(|(_, node)| node.volatile).sum()
}

impl Specification for Toy {
    type Ghost = ();
    type Bounds = ();

    const INVARIANTS: &'static [Invariant<Self>] = &[Invariant {
        name: "At most five",
        source: "by construction",
        holds: |_, world| {
            assert!(count(world) != 90, "a planted panic");
            count(world) <= 5 || count(world) >= 80
        },
    }];
    const LAWS: &'static [Law<Self>] = &[Law {
        name: "One at a time",
        source: "by construction",
        holds: |_, before, _, after| count(after) >= 80 || count(after) <= count(before) + 1,
    }];
    const REACHABLE: &'static [Reachable<Self>] = &[
        Reachable {
            name: "five is reached",
            seen: |_, world| count(world) == 5,
        },
        Reachable {
            name: "six is reached",
            seen: |_, world| {
                assert!(count(world) != 80, "a planted panic");
                count(world) == 6
            },
        },
    ];
    const LIVENESS: &'static [Liveness<Self>] = &[];

    fn observe((): &mut (), _: NodeId, _: &Node<Self>, _: &[Effect<Self>]) {}

    fn permits((): &(), _: NodeId, _: &Node<Self>, (): &()) -> bool {
        true
    }

    fn answer((): &(), (): &()) -> Option<Answer> {
        None
    }

    fn message_label((): &()) -> String {
        "nothing".to_owned()
    }

    fn node_label(node: &Node<Self>) -> String {
        format!("counted to {}", node.volatile)
    }

    fn command_label((): &()) -> String {
        "nothing".to_owned()
    }
}

fn scenario() -> Scenario<Toy> {
    Scenario {
        faults: Faults {
            crashes: 0,
            ..Faults::default()
        },
        ..Scenario::new(vec![Toy], ())
    }
}

const COUNTING: Model<Toy> = Model {
    name: "toy/counting",
    size: Size::Gate,
    purpose: "counts to five",
    faults: "none",
    bounds: "none",
    states: Some(6),
    reaches: &["five is reached"],
    scenario,
};

/// The right model: six states.
pub(crate) static RIGHT: Model<Toy> = COUNTING;

/// Claims that something can be seen which cannot.
pub(crate) static VACUOUS: Model<Toy> = Model {
    reaches: &["six is reached"],
    ..COUNTING
};

/// Claims more states than there are.
pub(crate) static SHRUNKEN: Model<Toy> = Model {
    states: Some(7),
    ..COUNTING
};

/// Says nothing of what it must show.
pub(crate) static UNCOUNTED: Model<Toy> = Model {
    states: None,
    reaches: &[],
    ..COUNTING
};

/// May drop a message, and sends none.
pub(crate) static IDLE_FAULT: Model<Toy> = Model {
    scenario: || {
        let mut scenario = scenario();
        scenario.faults.drops = 1;
        scenario
    },
    ..COUNTING
};

/// Begins with something that cannot happen.
pub(crate) static STUCK: Model<Toy> = Model {
    scenario: || Scenario {
        prologue: vec![Action::Restart(NodeId(0))],
        ..scenario()
    },
    ..COUNTING
};

/// Panics at three.
pub(crate) static PANICS: Mutant<Toy> = Mutant {
    id: "TOY-PANIC",
    defect: "panics at three",
    source: "planted",
    model: "toy/counting",
    inject: |scenario| scenario.step = panics_at_three,
};

/// Skips from two to four.
pub(crate) static SKIPS: Mutant<Toy> = Mutant {
    id: "TOY-SKIP",
    defect: "skips three",
    source: "planted",
    model: "toy/counting",
    inject: |scenario| scenario.step = skips_three,
};

/// Goes on to six.
pub(crate) static OVERRUNS: Mutant<Toy> = Mutant {
    id: "TOY-SIX",
    defect: "goes on",
    source: "planted",
    model: "toy/counting",
    inject: |scenario| scenario.step = goes_on,
};

/// Counts to a number at which the invariant panics.
pub(crate) static INVARIANT_PANICS: Mutant<Toy> = Mutant {
    id: "TOY-INVARIANT",
    defect: "an invariant panics",
    source: "planted",
    model: "toy/counting",
    inject: |scenario| scenario.step = |toy, node, input, out| counts_to(90, toy, node, input, out),
};

/// Counts to a number at which a witness panics.
pub(crate) static WITNESS_PANICS: Mutant<Toy> = Mutant {
    id: "TOY-WITNESS",
    defect: "a witness panics",
    source: "planted",
    model: "toy/counting",
    inject: |scenario| scenario.step = |toy, node, input, out| counts_to(80, toy, node, input, out),
};

/// Differs in nothing.
pub(crate) static HARMLESS: Mutant<Toy> = Mutant {
    id: "TOY-HARMLESS",
    defect: "none",
    source: "planted",
    model: "toy/counting",
    inject: |_| {},
};

fn counts_to(
    number: u8,
    toy: &Toy,
    node: &mut Node<Toy>,
    input: Input<Toy>,
    out: &mut Outbox<Toy>,
) {
    toy.step(node, input, out);
    if node.volatile == 1 {
        node.volatile = number;
    }
}

fn panics_at_three(toy: &Toy, node: &mut Node<Toy>, input: Input<Toy>, out: &mut Outbox<Toy>) {
    toy.step(node, input, out);
    assert!(node.volatile != 3, "three!");
}

fn skips_three(toy: &Toy, node: &mut Node<Toy>, input: Input<Toy>, out: &mut Outbox<Toy>) {
    toy.step(node, input, out);
    if node.volatile == 3 {
        node.volatile = 4;
    }
}

fn goes_on(toy: &Toy, node: &mut Node<Toy>, input: Input<Toy>, out: &mut Outbox<Toy>) {
    toy.step(node, input, out);
    if node.volatile == 5 {
        out.arm(());
    }
}
