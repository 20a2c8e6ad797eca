//! What a trace or a recording holds survives JSON, whatever the protocol: a trace that cannot
//! be written down is a violation that nobody can replay.

use models::specification::Model;
use models::world::{Action, World};
use models::{Node, Specification};
use models::{bully, counter, maekawa, raft, zab};

/// How many steps each walk takes.
const STEPS: usize = 400;

#[test]
fn every_protocols_traces_and_nodes_survive_json() {
    walk_all::<bully::Bully<u8>>(bully::spec::FUZZED);
    walk_all::<counter::Counter>(counter::spec::FUZZED);
    walk_all::<maekawa::Maekawa>(maekawa::spec::FUZZED);
    walk_all::<raft::Raft<raft::spec::Adder>>(raft::spec::FUZZED);
    walk_all::<zab::Zab<raft::spec::Adder, zab::spec::Oracle>>(&[zab::spec::FUZZED]);
    walk_all::<zab::Zab<raft::spec::Adder, zab::bully::Bully>>(&[zab::spec::bully::FUZZED]);
    // The session tables travel in SNAP only where a follower is far behind.
    walk_all::<zab::Zab<raft::spec::Adder, zab::spec::Oracle>>(&[zab::spec::MODELS]);
}

fn walk_all<P: Specification>(models: &[&[Model<P>]]) {
    for model in models.iter().copied().flatten() {
        for seed in 0..4 {
            walk(model, seed);
        }
    }
}

/// One random walk. Always the same for the same seed.
fn walk<P: Specification>(model: &Model<P>, seed: u64) {
    let scenario = (model.scenario)();
    let mut world = World::initial(&scenario);
    let mut chance = seed;
    for _ in 0..STEPS {
        let mut actions = world.actions(&scenario);
        if actions.is_empty() {
            break;
        }
        // Knuth's constants: any sequence will do, if it is the same everywhere.
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let position = (chance >> 33) as usize % actions.len();
        let action = actions.swap_remove(position);
        let json = serde_json::to_string(&action)
            .unwrap_or_else(|error| panic!("{}: {action:?}: {error}", model.name));
        let read: Action<P> = serde_json::from_str(&json)
            .unwrap_or_else(|error| panic!("{}: {json}: {error}", model.name));
        assert_eq!(read, action, "{}", model.name);
        world.apply(&scenario, &action).expect("it was listed");
    }
    for (_, node) in world.running() {
        let json = serde_json::to_string(node)
            .unwrap_or_else(|error| panic!("{}: {node:?}: {error}", model.name));
        let read: Node<P> = serde_json::from_str(&json)
            .unwrap_or_else(|error| panic!("{}: {json}: {error}", model.name));
        assert_eq!(read, *node, "{}", model.name);
    }
}
