//! Liveness properties: a small model decides each of them, and each of them refutes something.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use checks::catalogue::{self, ProtocolRow};
use checks::engine::liveness::{Decision, check};
use checks::engine::{Engine, Kind};
use checks::progress::Progress;
use checks::report::Verdict;
use models::Specification;
use models::raft;
use models::specification::{LiveModel, Mutant, Size};
use tempfile::tempdir;

use crate::support::{on, verify};

/// A property, a mutant that it refutes, and where.
type Refuted = (&'static str, &'static str, &'static str);

/// What nothing but this property refutes: whoever does no more than check invariants and laws
/// finds nothing wrong with it.
const BY_LIVENESS_ALONE: &[Refuted] = &[
    (
        "Eventually one leader for ever",
        "RAFT-STANDS-NO-MORE",
        "raft/live-loss",
    ),
    (
        "Eventually one leader for ever",
        "RAFT-PREVOTE-RIVALS",
        "raft/live-pre-vote",
    ),
    (
        "Every request is answered",
        "RAFT-SENDS-ONCE",
        "raft/live-retransmission",
    ),
    (
        "A started membership change ends",
        "RAFT-CHANGE-SENT-ONCE",
        "raft/live-change",
    ),
    (
        "Every node catches up",
        "RAFT-STRAGGLER-LEFT-BEHIND",
        "raft/live-straggler",
    ),
    ("Every election ends", "BUL-PING-PONG", "bully/live"),
    (
        "Eventually all name the highest node that is up",
        "BUL-HEARTBEAT-HALTS",
        "bully/live",
    ),
    (
        "All replicas come to the exact sum",
        "CNT-TELLS-ONCE",
        "counter/live",
    ),
    (
        "Every delta is acknowledged",
        "CNT-UNACKNOWLEDGED",
        "counter/live",
    ),
    (
        "The network falls silent again and again",
        "CNT-ASKS-BACK",
        "counter/live",
    ),
    (
        "Who wants to leave may in the end",
        "CNT-LEAVES-UNTOLD",
        "counter/live-leave",
    ),
    (
        "What is dead is folded in the end",
        "CNT-FOLD-ABANDONED",
        "counter/live-fold-departed",
    ),
    (
        "Every request is granted",
        "MAE-LOCKED-OVERLOOKED",
        "maekawa/live",
    ),
    (
        "Every request is granted",
        "MAE-LOCKS-ONE-BY-ONE",
        "maekawa/live-locks",
    ),
    // Who starves is not granted its request either, and that is reported first.
    ("Nobody starves", "MAE-LOCKED-OVERLOOKED", "maekawa/live"),
    (
        "An epoch change ends",
        "MAE-HOLDER-AWAITED",
        "maekawa/live-held",
    ),
    (
        "Who is registered becomes a member",
        "MAE-EXPELLED-FOR-EVER",
        "maekawa/live-death-of-two",
    ),
    (
        "Every watcher comes to see all there is",
        "MVCC-ASKS-ONCE",
        "mvcc/live-watch",
    ),
    (
        "The network falls silent again and again",
        "MVCC-ASKS-AT-ONCE",
        "mvcc/live-watch",
    ),
    (
        "The network falls silent again and again",
        "BUL-OKAY-ANSWERED",
        "bully/live",
    ),
    (
        "The network falls silent again and again",
        "RAFT-PROBES-FOR-EVER",
        "raft/live-straggler",
    ),
    (
        "The network falls silent again and again",
        "ZAB-BULLY-PONG-ANSWERED",
        "zab-bully/live-office",
    ),
    (
        "An election ends in a synchronised quorum, for ever",
        "ZAB-BULLY-PING-PONG",
        "zab-bully/live-pair",
    ),
    (
        "Every request is answered",
        "ZAB-BULLY-REFUSED",
        "zab-bully/live-pair",
    ),
    (
        "Every node catches up",
        "ZAB-BULLY-COMMIT-UNTOLD",
        "zab-bully/live-pair",
    ),
];

/// A law or an invariant refutes it sooner. The property alone does as well.
const BY_A_LAW_FIRST: &[Refuted] = &[(
    "Eventually one leader for ever",
    "RAFT-STANDS-ONCE",
    "raft/live-loss",
)];

#[test]
fn each_property_refutes_what_nothing_else_does() {
    let traces = tempdir().expect("a folder");
    let mut failures = String::new();
    for &(property, id, model) in BY_LIVENESS_ALONE {
        let mutant = catalogue::find(model, Some(id)).expect("a mutant of the catalogue");
        let report = verify(mutant.as_ref(), Engine::Native, &on(1), traces.path());
        let row = report.properties.iter().find(|row| row.name == property);
        let found = row.map(|row| (row.kind, row.holds));
        let is_refuted = report.verdict == Verdict::Violated;
        if !is_refuted || found != Some((Kind::Liveness, Some(false))) {
            failures += &format!(
                "{id} is not refuted by “{property}”:\n{}\n",
                report.to_text()
            );
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_property_is_decided_by_a_small_model_and_refutes_something() {
    let protocols = catalogue::protocols();
    for row in &protocols {
        let family = || {
            protocols
                .iter()
                .filter(|other| other.family() == row.family())
        };
        let decided = family().flat_map(decided_by_small_models);
        let decided: BTreeSet<&str> = decided.collect();
        let refuting = family().flat_map(refuting_mutants);
        let refuting: BTreeSet<&str> = refuting.collect();
        for (name, _) in liveness_of(row) {
            assert!(decided.contains(name), "{}: {name} is undecided", row.name);
            assert!(
                refuting.contains(name),
                "{}: {name} refutes nothing",
                row.name
            );
        }
    }
}

fn liveness_of(row: &ProtocolRow) -> impl Iterator<Item = (&'static str, Kind)> {
    let properties = row.models.first().map(|model| model.properties());
    let properties = properties.into_iter().flatten();
    properties.filter(|(_, kind)| *kind == Kind::Liveness)
}

fn decided_by_small_models(row: &ProtocolRow) -> impl Iterator<Item = &'static str> {
    let small = row.models.iter().map(|model| model.row());
    let small = small.filter(|model| model.size == Size::Gate);
    small.flat_map(|model| model.decides).copied()
}

/// The properties that a mutant of the protocol's catalogue is listed here for.
fn refuting_mutants(row: &ProtocolRow) -> impl Iterator<Item = &'static str> {
    let listed = BY_LIVENESS_ALONE.iter();
    let is_its = |(_, id, model): &&Refuted| {
        let mut mutants = row.mutants.iter();
        mutants.any(|mutant| {
            mutant.model() == *model && mutant.mutant().is_some_and(|row| row.id == *id)
        })
    };
    listed.filter(is_its).map(|(property, ..)| *property)
}

#[test]
fn what_a_law_refutes_first_the_property_refutes_as_well() {
    for &listed in BY_A_LAW_FIRST {
        let refuted = refutes(listed, raft::spec::LIVE, raft::spec::MUTANTS);
        assert_eq!(refuted, Some(true), "{listed:?}");
    }
}

/// Whether the property, and nothing else, is asked and violated; nothing, if there is no such
/// model or mutant.
fn refutes<P: Specification>(
    (property, id, model): Refuted,
    models: &[LiveModel<P>],
    mutants: &[&[Mutant<P>]],
) -> Option<bool> {
    let live = models.iter().find(|live| live.model.name == model)?;
    let mut mutants = mutants.iter().copied().flatten();
    let mutant = mutants.find(|mutant| mutant.id == id)?;
    let mut scenario = (live.model.scenario)();
    (mutant.inject)(&mut scenario);
    let progress = Progress::new(Arc::new(AtomicBool::new(false)));
    let findings = check(&scenario, &[property], &on(1), &progress);
    Some(findings.decisions.get(property) == Some(&Decision::Violated))
}
