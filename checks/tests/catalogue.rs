//! The catalogue: nothing in it may get lost unnoticed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use checks::catalogue::{self, ProtocolRow};
use checks::engine::Kind;
use models::Specification;
use models::specification::{Model, Size};

/// Every model, property and mutant by name, a file for each protocol. A change of these lists
/// is a change of what the project promises: make it on purpose, with `UPDATE=1`.
#[test]
fn every_model_property_and_mutant_is_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalogue");
    let mut kept = BTreeSet::new();
    for protocol in catalogue::protocols() {
        let path = folder.join(format!("{}.txt", protocol.name));
        let list = list(&protocol);
        if env::var_os("UPDATE").is_some() {
            fs::write(&path, &list).expect("a writable folder");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            list,
            expected,
            "{} has changed; if on purpose, UPDATE=1 writes it anew",
            path.display()
        );
        kept.insert(path);
    }
    for entry in fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        assert!(kept.contains(&path), "{} is of nothing", path.display());
    }
}

fn list(protocol: &ProtocolRow) -> String {
    let mut list = String::new();
    for model in &protocol.models {
        let size = match model.row().size {
            Size::Gate => "gate",
            Size::Large => "large",
        };
        let _ = writeln!(list, "model {} {size}", model.model());
        for property in model.row().decides {
            let _ = writeln!(list, "decides {property}");
        }
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
    list
}

/// A name that is misspelt would decide nothing.
#[test]
fn what_a_model_decides_is_a_liveness_property() {
    for protocol in catalogue::protocols() {
        for model in &protocol.models {
            let properties = model.properties();
            for &name in model.row().decides {
                let known = properties.contains(&(name, Kind::Liveness));
                assert!(known, "{}: {name}", model.model());
            }
        }
    }
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
    use models::{bully, counter, maekawa, mvcc, raft, zab};

    assert_shown::<bully::Bully<u8>>(bully::spec::MODELS);
    assert_shown::<counter::Counter>(counter::spec::MODELS);
    assert_shown::<maekawa::Maekawa>(maekawa::spec::MODELS);
    assert_shown::<mvcc::standalone::Standalone>(mvcc::spec::MODELS);
    assert_shown::<raft::Raft<raft::spec::Adder>>(raft::spec::MODELS);
    // With Bully it is the same table: `zab-bully` need not show it all again.
    assert_shown::<zab::Zab<raft::spec::Adder, zab::spec::Oracle>>(zab::spec::MODELS);
}

fn assert_shown<P: Specification>(models: &[&[Model<P>]]) {
    let small = || { models.iter().copied().flatten() }.filter(|model| model.size == Size::Gate);
    let shown: BTreeSet<&str> = small().flat_map(|model| model.reaches).copied().collect();
    for reachable in P::REACHABLE {
        assert!(shown.contains(reachable.name), "{}", reachable.name);
    }
    for model in small() {
        let name = model.name;
        assert!(
            model.states.is_some(),
            "{name} does not say how many states it has"
        );
    }
}
