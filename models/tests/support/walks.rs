//! Random walks through the worlds of every protocol.

use models::Specification;
use models::specification::Model;
use models::world::{Action, Scenario, World};
use models::{bully, counter, maekawa, raft, zab};

/// How many steps each walk takes.
const STEPS: usize = 400;

/// Looks at what happens on a walk.
pub(crate) trait Visitor {
    /// Something happens.
    fn step<P: Specification>(&mut self, step: &Step<'_, P>);

    /// The end of a walk.
    fn end<P: Specification>(&mut self, model: &str, world: &World<P>) {
        let _ = (model, world);
    }
}

/// A step of a walk.
pub(crate) struct Step<'a, P: Specification> {
    /// The name of the model, for messages.
    pub(crate) model: &'static str,
    /// The rules.
    pub(crate) scenario: &'a Scenario<P>,
    /// The world before.
    pub(crate) before: World<P>,
    /// What happens.
    pub(crate) action: Action<P>,
    /// The world after.
    pub(crate) after: World<P>,
}

/// Walks through every protocol's worlds. The same walks each time.
pub(crate) fn through_every_protocol(visitor: &mut impl Visitor) {
    through::<bully::Bully<u8>>(bully::spec::FUZZED, visitor);
    through::<counter::Counter>(counter::spec::FUZZED, visitor);
    through::<maekawa::Maekawa>(maekawa::spec::FUZZED, visitor);
    through::<raft::Raft<raft::spec::Adder>>(raft::spec::FUZZED, visitor);
    through::<zab::Zab<raft::spec::Adder, zab::spec::Oracle>>(&[zab::spec::FUZZED], visitor);
    through::<zab::Zab<raft::spec::Adder, zab::bully::Bully>>(&[zab::spec::bully::FUZZED], visitor);
    // The session tables travel in SNAP only where a follower is far behind.
    through::<zab::Zab<raft::spec::Adder, zab::spec::Oracle>>(zab::spec::MODELS, visitor);
}

fn through<P: Specification>(models: &[&[Model<P>]], visitor: &mut impl Visitor) {
    for model in models.iter().copied().flatten() {
        for seed in 0..4 {
            walk(model, seed, visitor);
        }
    }
}

/// One random walk. Always the same for the same seed.
fn walk<P: Specification>(model: &Model<P>, seed: u64, visitor: &mut impl Visitor) {
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
        let before = world.clone();
        world.apply(&scenario, &action).expect("it was listed");
        visitor.step(&Step {
            model: model.name,
            scenario: &scenario,
            before,
            action,
            after: world.clone(),
        });
    }
    visitor.end(model.name, &world);
}
