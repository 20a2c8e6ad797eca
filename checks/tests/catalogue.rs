//! The catalogue: nothing in it may get lost unnoticed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use checks::catalogue;
use checks::engine::Kind;
use models::specification::Size;

/// Every model, property and mutant by name. A change of this list is a change of what the
/// project promises: make it on purpose.
#[test]
fn every_model_property_and_mutant_is_there() {
    let mut list = String::new();
    for protocol in catalogue::protocols() {
        for model in &protocol.models {
            let size = match model.row().size {
                Size::Gate => "gate",
                Size::Large => "large",
            };
            let _ = writeln!(list, "model {} {size}", model.model());
        }
        for model in &protocol.fuzzed {
            let _ = writeln!(list, "fuzzed {}", model.model());
        }
        let properties = protocol.models.first().map(|model| model.properties());
        for (name, kind) in properties.unwrap_or_default() {
            let _ = writeln!(list, "{} {name}", format!("{kind:?}").to_lowercase());
        }
        for subject in &protocol.mutants {
            let mutant = subject.mutant().expect("a mutant");
            let _ = writeln!(list, "mutant {} in {}", mutant.id, subject.model());
        }
    }
    let expected = include_str!("catalogue.txt");
    assert_eq!(
        list, expected,
        "the catalogue has changed; if on purpose, this is the new catalogue.txt:\n{list}"
    );
}

#[test]
fn ids_are_unique_and_every_protocol_has_models_mutants_and_all_kinds_of_properties() {
    let mut names = BTreeSet::new();
    for protocol in catalogue::protocols() {
        assert!(!protocol.models.is_empty(), "{}", protocol.name);
        assert!(!protocol.mutants.is_empty(), "{}", protocol.name);
        for model in &protocol.models {
            assert!(names.insert(model.model().to_owned()), "{}", model.model());
            assert!(model.model().starts_with(&format!("{}/", protocol.name)));
        }
        for mutant in &protocol.mutants {
            let id = mutant.mutant().expect("a mutant").id;
            assert!(names.insert(id.to_owned()), "{id}");
        }
        let kinds: BTreeSet<Kind> = protocol.models[0]
            .properties()
            .into_iter()
            .map(|(_, kind)| kind)
            .collect();
        assert_eq!(kinds.len(), 4, "{}", protocol.name);
    }
}

/// What must be possible must be shown by some model that the gate exhausts.
#[test]
fn every_reachability_property_has_a_small_model_that_must_show_it() {
    use models::Specification;
    use models::raft::spec::MODELS;

    let shown: BTreeSet<&str> = MODELS
        .iter()
        .filter(|model| model.size == Size::Gate)
        .flat_map(|model| model.reaches.iter().copied())
        .collect();
    type Raft = models::raft::Raft<models::raft::spec::Adder>;
    for reachable in Raft::REACHABLE {
        assert!(shown.contains(reachable.name), "{}", reachable.name);
    }
    for model in MODELS.iter().filter(|model| model.size == Size::Gate) {
        assert!(
            model.states.is_some(),
            "{} does not say how many states it has",
            model.name
        );
    }
}
