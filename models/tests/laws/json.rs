//! What a trace or a recording holds survives JSON, whatever the protocol: a trace that cannot
//! be written down is a violation that nobody can replay.

use models::world::{Action, World};
use models::{Node, Specification};

use crate::support::walks::{Visitor, Walk, through_every_protocol};

#[test]
fn every_protocols_traces_and_nodes_survive_json() {
    through_every_protocol(&mut Json);
}

struct Json;

impl Visitor for Json {
    fn step<P: Specification>(
        &mut self,
        walk: &Walk<'_, P>,
        _: &World<P>,
        action: &Action<P>,
        _: &World<P>,
    ) {
        let json = serde_json::to_string(action)
            .unwrap_or_else(|error| panic!("{}: {action:?}: {error}", walk.model));
        let read: Action<P> = serde_json::from_str(&json)
            .unwrap_or_else(|error| panic!("{}: {json}: {error}", walk.model));
        assert_eq!(read, *action, "{}", walk.model);
    }

    fn end<P: Specification>(&mut self, walk: &Walk<'_, P>, world: &World<P>) {
        for (_, node) in world.running() {
            let json = serde_json::to_string(node)
                .unwrap_or_else(|error| panic!("{}: {node:?}: {error}", walk.model));
            let read: Node<P> = serde_json::from_str(&json)
                .unwrap_or_else(|error| panic!("{}: {json}: {error}", walk.model));
            assert_eq!(read, *node, "{}", walk.model);
        }
    }
}
