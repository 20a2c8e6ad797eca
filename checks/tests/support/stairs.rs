//! A protocol whose only bug is deep: a node before doors, of which one leads a step up and the
//! others lead back to the bottom.

use models::specification::{Answer, Invariant, Law, Liveness, Model, Mutant, Reachable, Size};
use models::world::{Scenario, World};
use models::{Effect, Input, Node, NodeId, Outbox, Protocol, Specification};

/// How many steps there are.
pub(crate) const TOP: u8 = 40;
/// How many doors there are before each.
const DOORS: u8 = 3;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stairs;

impl Protocol for Stairs {
    type Durable = ();
    /// How high the node is.
    type Volatile = u8;
    type Message = ();
    /// A door.
    type Timer = u8;
    type Command = ();
    type Event = ();

    fn id(&self) -> NodeId {
        NodeId(0)
    }

    fn boot(&self, (): &(), out: &mut Outbox<Self>) -> u8 {
        (0..DOORS).for_each(|door| out.arm(door));
        0
    }

    fn step(&self, node: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>) {
        match input {
            Input::Fire(door) => {
                let is_right = door == node.volatile % DOORS;
                node.volatile = if is_right { node.volatile + 1 } else { 0 };
                if node.volatile < TOP {
                    out.arm(door);
                } else {
                    (0..DOORS).for_each(|door| out.disarm(door));
                }
            }
            Input::Deliver { .. } | Input::Ask(()) => {}
        }
    }
}

fn height(world: &World<Stairs>) -> u8 {
    world.running().map(|(_, node)| node.volatile).sum()
}

impl Specification for Stairs {
    /// How high it has been.
    type Ghost = u8;
    type Bounds = ();

    const INVARIANTS: &'static [Invariant<Self>] = &[Invariant {
        name: "Not beyond the top",
        source: "by construction",
        holds: |_, world| height(world) <= TOP,
    }];
    const LAWS: &'static [Law<Self>] = &[];
    const REACHABLE: &'static [Reachable<Self>] = &[Reachable {
        name: "half way up",
        seen: |_, world| height(world) >= TOP / 2,
    }];
    const LIVENESS: &'static [Liveness<Self>] = &[];

    fn observe(highest: &mut u8, _: NodeId, node: &Node<Self>, _: &[Effect<Self>]) {
        *highest = node.volatile.max(*highest);
    }

    fn permits((): &(), _: NodeId, _: &Node<Self>, _: &u8) -> bool {
        true
    }

    fn answer((): &(), (): &()) -> Option<Answer> {
        None
    }

    fn message_label((): &()) -> String {
        String::new()
    }

    fn node_label(node: &Node<Self>) -> String {
        format!("{} up", node.volatile)
    }

    fn command_label((): &()) -> String {
        String::new()
    }
}

/// The right model.
pub(crate) static CLIMB: Model<Stairs> = Model {
    name: "stairs/climb",
    size: Size::Gate,
    purpose: "a long way up, and each wrong door leads back",
    faults: "none",
    bounds: "40 steps",
    states: None,
    reaches: &["half way up"],
    scenario: || Scenario::new(vec![Stairs], ()),
};

/// Takes two steps at once, at the very end.
pub(crate) static STUMBLES: Mutant<Stairs> = Mutant {
    id: "STAIRS-STUMBLE",
    defect: "stumbles over the last step",
    source: "planted",
    model: "stairs/climb",
    inject: |scenario| scenario.step = stumbles,
};

fn stumbles(
    stairs: &Stairs,
    node: &mut Node<Stairs>,
    input: Input<Stairs>,
    out: &mut Outbox<Stairs>,
) {
    stairs.step(node, input, out);
    if node.volatile == TOP {
        node.volatile += 1;
    }
}
