//! What a trace or a recording holds survives JSON, whatever the protocol: a trace that cannot
//! be written down is a violation that nobody can replay.

use models::world::{Action, World};
use models::{Node, Specification};

use crate::support::walks::{Step, Visitor, through_every_protocol};

#[test]
fn every_protocols_traces_and_nodes_survive_json() {
    through_every_protocol(&mut Json);
}

struct Json;

impl Visitor for Json {
    fn step<P: Specification>(&mut self, step: &Step<'_, P>) {
        let Step { model, action, .. } = step;
        let json = serde_json::to_string(action)
            .unwrap_or_else(|error| panic!("{model}: {action:?}: {error}"));
        let read: Action<P> =
            serde_json::from_str(&json).unwrap_or_else(|error| panic!("{model}: {json}: {error}"));
        assert_eq!(read, *action, "{model}");
    }

    fn end<P: Specification>(&mut self, model: &str, world: &World<P>) {
        for (_, node) in world.running() {
            let json = serde_json::to_string(node)
                .unwrap_or_else(|error| panic!("{model}: {node:?}: {error}"));
            let read: Node<P> = serde_json::from_str(&json)
                .unwrap_or_else(|error| panic!("{model}: {json}: {error}"));
            assert_eq!(read, *node, "{model}");
        }
    }
}
