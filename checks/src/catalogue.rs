//! All that can be checked: every protocol's models and mutants.

use models::Specification;
use models::raft;
use models::specification::{Model, Mutant};

use crate::subject::{Case, Subject};

/// A protocol with its models and its mutants.
pub struct ProtocolRow {
    /// Its name, with which its models' names begin.
    pub name: &'static str,
    /// Its models.
    pub models: Vec<Box<dyn Subject>>,
    /// Its mutants, each in the model that refutes it.
    pub mutants: Vec<Box<dyn Subject>>,
}

/// Every protocol.
pub fn protocols() -> Vec<ProtocolRow> {
    vec![protocol("raft", raft::spec::MODELS, raft::spec::MUTANTS)]
}

fn protocol<P: Specification>(
    name: &'static str,
    models: &'static [Model<P>],
    mutants: &'static [Mutant<P>],
) -> ProtocolRow {
    let case = |model, mutant| -> Box<dyn Subject> { Box::new(Case { model, mutant }) };
    let model_of = |mutant: &Mutant<P>| {
        let named = |model: &&Model<P>| model.name == mutant.model;
        models.iter().find(named).unwrap_or_else(|| {
            panic!(
                "mutant {} names the unknown model {}",
                mutant.id, mutant.model
            )
        })
    };
    ProtocolRow {
        name,
        models: models.iter().map(|model| case(model, None)).collect(),
        mutants: mutants
            .iter()
            .map(|mutant| case(model_of(mutant), Some(mutant)))
            .collect(),
    }
}

/// Every model of every protocol.
pub fn models() -> Vec<Box<dyn Subject>> {
    protocols().into_iter().flat_map(|row| row.models).collect()
}

/// The model of that name, with that mutant in it, if there is such a pair.
pub fn find(model: &str, mutant: Option<&str>) -> Option<Box<dyn Subject>> {
    let all = protocols()
        .into_iter()
        .flat_map(|row| row.models.into_iter().chain(row.mutants));
    let mut matching = all.filter(|subject| {
        subject.model() == model && subject.mutant().map(|mutant| mutant.id) == mutant
    });
    matching.next()
}
