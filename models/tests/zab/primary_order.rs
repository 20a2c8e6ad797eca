//! The six properties of primary-order atomic broadcast (DSN 2011, §III.B): each has a defect
//! that breaks it before any other of the six, or of the rest.

use models::specification::{Model, Mutant};
use models::zab::spec::{MODELS, MUTANTS};

use crate::support::runs::explore_until;

/// The defect must break the property on a way on which nothing else is broken before.
fn refuted(id: &str, property: &str) {
    let mut mutants = MUTANTS.iter().copied().flatten();
    let mutant: &Mutant<_> = mutants.find(|row| row.id == id).expect("a mutant");
    let model: &Model<_> = MODELS
        .iter()
        .copied()
        .flatten()
        .find(|row| row.name == mutant.model)
        .expect("its model");
    let mut scenario = (model.scenario)();
    (mutant.inject)(&mut scenario);
    let broken = explore_until(&scenario, property).broken;
    assert!(broken.contains(&property), "{id}: {broken:?}");
}

/// What is delivered has been broadcast.
#[test]
fn integrity() {
    refuted("ZAB-DIRTY", "Integrity");
}

/// If one node delivers two transactions in some order, whoever delivers the later of them
/// delivers the other before it.
#[test]
fn total_order() {
    refuted("ZAB-REVERSED", "Total Order");
    refuted("ZAB-COMMIT-ORDER", "Total Order");
}

/// Of two transactions that two nodes deliver, one node delivers both.
#[test]
fn agreement() {
    refuted("ZAB-OPTIMISTIC", "Agreement");
}

/// Of two transactions of one primary, whoever delivers the later delivers the earlier before it.
#[test]
fn local_primary_order() {
    refuted("ZAB-ACK-ORDER", "Local Primary Order");
}

/// Of the transactions of two primaries that a node delivers, the earlier primary's come first.
#[test]
fn global_primary_order() {
    refuted("ZAB-NEWEST-FIRST", "Global Primary Order");
}

/// Whatever anybody delivers of earlier primaries, a primary has delivered before it broadcasts.
#[test]
fn primary_integrity() {
    refuted("ZAB-BROADCAST-EARLY", "Primary Integrity");
}
