//! Each property of the store refutes a mutant, by itself: none is there for nothing.

use std::collections::{BTreeSet, VecDeque};

use models::mvcc::spec::{LIVE, MODELS, MUTANTS};
use models::mvcc::standalone::Standalone;
use models::specification::{Model, Mutant, Specification};
use models::world::World;

/// What a mutant's model breaks at the least depth at which it breaks something.
// What is mutable in a world are counts of references.
#[allow(clippy::mutable_key_type)]
fn broken(model: &Model<Standalone>, mutant: &Mutant<Standalone>) -> BTreeSet<&'static str> {
    let mut scenario = (model.scenario)();
    (mutant.inject)(&mut scenario);
    let first = World::initial(&scenario);
    let mut seen = BTreeSet::from([first.clone()]);
    let mut waiting = VecDeque::from([first]);
    let mut broken = BTreeSet::new();
    while let Some(world) = waiting.pop_front() {
        let invariants = Standalone::INVARIANTS.iter();
        let invariants = invariants.filter(|invariant| !(invariant.holds)(&scenario, &world));
        broken.extend(invariants.map(|invariant| invariant.name));
        for action in world.actions(&scenario) {
            let mut next = world.clone();
            next.apply(&scenario, &action).expect("may happen");
            let laws = Standalone::LAWS.iter();
            let laws = laws.filter(|law| !(law.holds)(&scenario, &world, &action, &next));
            broken.extend(laws.map(|law| law.name));
            if seen.insert(next.clone()) {
                waiting.push_back(next);
            }
        }
        if !broken.is_empty() {
            break;
        }
    }
    broken
}

#[test]
fn each_mutant_breaks_something_and_each_property_is_broken_by_one() {
    let models = || MODELS.iter().copied().flatten();
    let mut all = BTreeSet::new();
    for mutant in MUTANTS.iter().copied().flatten() {
        let is_live = LIVE.iter().any(|live| live.model.name == mutant.model);
        if is_live {
            // Whatever is wrong there is wrong in the end alone.
            continue;
        }
        let model = models().find(|model| model.name == mutant.model);
        let found = broken(model.expect("a model of the catalogue"), mutant);
        assert!(!found.is_empty(), "nothing refutes {}", mutant.id);
        all.extend(found);
    }
    let invariants = Standalone::INVARIANTS
        .iter()
        .map(|invariant| invariant.name);
    let laws = Standalone::LAWS.iter().map(|law| law.name);
    let idle: Vec<_> = invariants
        .chain(laws)
        .filter(|name| !all.contains(name))
        .collect();
    assert_eq!(idle, [""; 0], "no mutant breaks these");
}
