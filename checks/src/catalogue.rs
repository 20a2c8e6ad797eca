//! All that can be checked: every protocol's models and mutants.

use anyhow::Result;
use models::Specification;
use models::specification::{Drawn, LiveModel, Model, Mutant};
use models::{bully, counter, maekawa, mvcc, raft, zab};

use crate::nearest::unknown;
use crate::subject::{Case, Drawing, Subject};

/// A protocol with its models and its mutants.
pub struct ProtocolRow {
    /// Its name, with which its models' names begin.
    pub name: &'static str,
    /// Its models.
    pub models: Vec<Box<dyn Subject>>,
    /// Its models that are too large to walk.
    pub fuzzed: Vec<Box<dyn Subject>>,
    /// Its mutants, each in the model that refutes it.
    pub mutants: Vec<Box<dyn Subject>>,
    /// Any of its mutants in any of its models.
    pub pair: Box<Pair>,
}

/// The mutant of that id in the model of that name, if there are both.
pub type Pair = dyn Fn(&str, &str) -> Option<Box<dyn Subject>>;

impl ProtocolRow {
    /// The protocol whose step function it is, whatever it is checked with: the name's first
    /// word.
    pub fn family(&self) -> &'static str {
        self.name.split('-').next().unwrap_or(self.name)
    }
}

/// Every protocol. Its tables come in groups, a group for each part of it.
pub fn protocols() -> Vec<ProtocolRow> {
    vec![
        protocol(
            "bully",
            bully::spec::MODELS,
            bully::spec::LIVE,
            bully::spec::FUZZED,
            bully::spec::DRAWN,
            bully::spec::MUTANTS,
        ),
        protocol(
            "counter",
            counter::spec::MODELS,
            counter::spec::LIVE,
            counter::spec::FUZZED,
            counter::spec::DRAWN,
            counter::spec::MUTANTS,
        ),
        protocol(
            "maekawa",
            maekawa::spec::MODELS,
            maekawa::spec::LIVE,
            maekawa::spec::FUZZED,
            maekawa::spec::DRAWN,
            maekawa::spec::MUTANTS,
        ),
        protocol(
            "mvcc",
            mvcc::spec::MODELS,
            mvcc::spec::LIVE,
            mvcc::spec::FUZZED,
            mvcc::spec::DRAWN,
            mvcc::spec::MUTANTS,
        ),
        protocol(
            "raft",
            raft::spec::MODELS,
            raft::spec::LIVE,
            raft::spec::FUZZED,
            raft::spec::DRAWN,
            raft::spec::MUTANTS,
        ),
        protocol(
            "zab",
            zab::spec::MODELS,
            &[],
            &[zab::spec::FUZZED],
            zab::spec::DRAWN,
            zab::spec::MUTANTS,
        ),
        protocol(
            "zab-bully",
            &[zab::spec::bully::MODELS],
            zab::spec::bully::LIVE,
            &[zab::spec::bully::FUZZED],
            &[],
            &[zab::spec::bully::MUTANTS, zab::spec::bully::LIVE_MUTANTS],
        ),
    ]
}

/// The protocols of these names, or all where no name is given.
///
/// # Errors
/// If there is no such protocol, with the names that would have been right.
pub fn protocols_named(names: &[String]) -> Result<Vec<ProtocolRow>> {
    let mut protocols = protocols();
    for name in names {
        if !protocols.iter().any(|row| row.name == name) {
            let known: Vec<&str> = protocols.iter().map(|row| row.name).collect();
            return Err(unknown("protocol", name, &known));
        }
    }
    protocols.retain(|row| names.is_empty() || names.iter().any(|name| name == row.name));
    Ok(protocols)
}

fn protocol<P: Specification>(
    name: &'static str,
    models: &'static [&'static [Model<P>]],
    live: &'static [LiveModel<P>],
    fuzzed: &'static [&'static [Model<P>]],
    drawn: &'static [Drawn<P>],
    mutants: &'static [&'static [Mutant<P>]],
) -> ProtocolRow {
    let models = move || {
        let safe = models.iter().copied().flatten();
        let safe = safe.map(|model| (model, [].as_slice(), None));
        safe.chain({ live.iter() }.map(|live| (&live.model, live.decides, None)))
    };
    let fuzzed = move || {
        let one = fuzzed.iter().copied().flatten();
        let one = one.map(|model| (model, [].as_slice(), None));
        one.chain(drawn.iter().map(|drawn| {
            let (scenario, number) = (drawn.scenario, None);
            let drawing = Drawing { scenario, number };
            (&drawn.model, [].as_slice(), Some(drawing))
        }))
    };
    let mutants = move || mutants.iter().copied().flatten();
    let case = |(model, decides, drawn), mutant| -> Box<dyn Subject> {
        Box::new(Case {
            model,
            decides,
            mutant,
            drawn,
        })
    };
    let model_of = |mutant: &Mutant<P>| {
        let mut models = models();
        let model = models.find(|(model, ..)| model.name == mutant.model);
        model.unwrap_or_else(|| {
            panic!(
                "mutant {} names the unknown model {}",
                mutant.id, mutant.model
            )
        })
    };
    let pair = move |model: &str, id: &str| {
        let mut models = models().chain(fuzzed());
        let model = models.find(|(row, ..)| row.name == model)?;
        let mutant = mutants().find(|mutant| mutant.id == id)?;
        Some(case(model, Some(mutant)))
    };
    ProtocolRow {
        name,
        models: models().map(|model| case(model, None)).collect(),
        fuzzed: fuzzed().map(|model| case(model, None)).collect(),
        mutants: mutants()
            .map(|mutant| case(model_of(mutant), Some(mutant)))
            .collect(),
        pair: Box::new(pair),
    }
}

/// Every model of every protocol that can be walked.
pub fn models() -> Vec<Box<dyn Subject>> {
    protocols().into_iter().flat_map(|row| row.models).collect()
}

/// Every model of every protocol.
fn all() -> impl Iterator<Item = Box<dyn Subject>> {
    let rows = protocols().into_iter();
    rows.flat_map(|row| row.models.into_iter().chain(row.fuzzed))
}

/// The model of that name, with that mutant in it, if there are both. Behind the name of one whose
/// worlds are drawn may stand the number of one of them: `raft/drawn@7`.
pub fn find(model: &str, mutant: Option<&str>) -> Option<Box<dyn Subject>> {
    if let Some((model, number)) = model.split_once('@') {
        return find(model, mutant)?.numbered(number.parse().ok()?);
    }
    match mutant {
        None => all().find(|subject| subject.model() == model),
        Some(id) => protocols().iter().find_map(|row| (row.pair)(model, id)),
    }
}

/// The model of that name.
///
/// # Errors
/// If there is none, with the names that would have been right.
pub fn named(model: &str) -> Result<Box<dyn Subject>> {
    if let Some(subject) = find(model, None) {
        return Ok(subject);
    }
    let names: Vec<&str> = all().map(|subject| subject.model()).collect();
    Err(unknown("model", model, &names))
}

/// The mutant in that model, whether or not it is the one that refutes it.
///
/// # Errors
/// If there is no such model, or its protocol has no such mutant, with those that would have
/// been right.
pub fn with_mutant(model: &str, id: &str) -> Result<Box<dyn Subject>> {
    if let Some(subject) = find(model, Some(id)) {
        return Ok(subject);
    }
    named(model)?;
    let rows = protocols().into_iter();
    let mut rows = rows.filter(|row| model.split('/').next() == Some(row.name));
    let mutants = rows.next().map(|row| row.mutants).unwrap_or_default();
    let ids: Vec<&str> = mutants
        .iter()
        .filter_map(|row| Some(row.mutant()?.id))
        .collect();
    let protocol = model.split('/').next().unwrap_or(model);
    Err(unknown(&format!("mutant of {protocol}"), id, &ids))
}

/// The mutant in the model that refutes it.
///
/// # Errors
/// If there is no such mutant, with those that there are.
pub fn mutant(id: &str) -> Result<Box<dyn Subject>> {
    let mutants = || protocols().into_iter().flat_map(|row| row.mutants);
    let mut named = mutants().filter(|subject| subject.mutant().is_some_and(|row| row.id == id));
    if let Some(subject) = named.next() {
        return Ok(subject);
    }
    let ids: Vec<&str> = mutants().filter_map(|row| Some(row.mutant()?.id)).collect();
    Err(unknown("mutant", id, &ids))
}

/// The models to fuzz: those named, or all that are too large to walk. A protocol's name
/// stands for all of its.
///
/// # Errors
/// If a name is of no model, with the names that would have been right.
pub fn fuzzed(names: &[String]) -> Result<Vec<Box<dyn Subject>>> {
    let mut chosen = Vec::new();
    for row in protocols() {
        if names.is_empty() || names.iter().any(|name| name == row.name) {
            chosen.extend(row.fuzzed);
        }
    }
    let is_protocol = |name: &String| protocols().iter().any(|row| row.name == name);
    for name in names.iter().filter(|name| !is_protocol(name)) {
        let subject = named(name)?;
        if chosen.iter().all(|other| other.name() != subject.name()) {
            chosen.push(subject);
        }
    }
    Ok(chosen)
}
