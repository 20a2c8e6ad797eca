//! Two nodes that shout at each other once, and a property that is not the same for both, in
//! what is under way: it says so in an invariant, or in a law.

use models::specification::{Answer, Invariant, Law, Liveness, Reachable};
use models::world::{Scenario, World};
use models::{Effect, Input, Node, NodeId, Outbox, Protocol, Specification};

/// A node. `LAW`: whether it is the law that tells nodes apart, and not the invariant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Shouter<const LAW: bool>(NodeId);

/// Both of them; they differ in nothing but their names.
pub(crate) fn scenario<const LAW: bool>() -> Scenario<Shouter<LAW>> {
    let nodes = (0..2).map(|id| Shouter(NodeId(id))).collect();
    Scenario::new(nodes, ()).with_alike(&[0, 1])
}

/// Whether nothing is under way from the second node to the first.
fn is_quiet<const LAW: bool>(world: &World<Shouter<LAW>>) -> bool {
    let mut under_way = world.network.under_way();
    !under_way.any(|envelope| (envelope.from, envelope.to) == (NodeId(1), NodeId(0)))
}

impl<const LAW: bool> Protocol for Shouter<LAW> {
    type Durable = ();
    type Volatile = ();
    type Message = ();
    type Timer = ();
    type Command = ();
    type Event = ();

    fn id(&self) -> NodeId {
        self.0
    }

    fn boot(&self, (): &(), out: &mut Outbox<Self>) {
        out.arm(());
    }

    fn step(&self, _: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>) {
        match input {
            Input::Fire(()) => {
                out.send(NodeId(1 - self.0.0), ());
            }
            Input::Deliver { .. } | Input::Ask(()) => {}
        }
    }
}

impl<const LAW: bool> Specification for Shouter<LAW> {
    type Ghost = ();
    type Bounds = ();

    const INVARIANTS: &'static [Invariant<Self>] = &[Invariant {
        name: "The second is quiet",
        source: "planted",
        holds: |_, world| LAW || is_quiet(world),
    }];
    const LAWS: &'static [Law<Self>] = &[Law {
        name: "The second stays quiet",
        source: "planted",
        holds: |_, _, _, after| !LAW || is_quiet(after),
    }];
    const REACHABLE: &'static [Reachable<Self>] = &[];
    const LIVENESS: &'static [Liveness<Self>] = &[];

    fn observe((): &mut (), _: NodeId, _: &Node<Self>, _: &[Effect<Self>]) {}

    fn permits((): &(), _: NodeId, _: &Node<Self>, (): &()) -> bool {
        true
    }

    fn answer((): &(), (): &()) -> Option<Answer> {
        None
    }

    fn message_label((): &()) -> String {
        "a shout".to_owned()
    }

    fn node_label(_: &Node<Self>) -> String {
        "shouts".to_owned()
    }

    fn command_label((): &()) -> String {
        "nothing".to_owned()
    }
}
