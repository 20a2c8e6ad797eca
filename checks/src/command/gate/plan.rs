//! What a gate does and reports, in which order.

use std::cmp::Reverse;
use std::ops::Range;

use models::specification::Size;

use super::jobs::Job;
use crate::catalogue::{self, ProtocolRow};
use crate::generated::{SUBJECTS, Subject};

/// What is to be done, and what is to be reported of it.
pub(super) struct Plan<'a> {
    pub(super) jobs: Vec<Job<'a>>,
    /// In the order in which they are reported: what fails fastest first.
    pub(super) parts: Vec<PartPlan<'a>>,
}

/// A part of the report, with the numbers of the jobs that it is of.
pub(super) enum PartPlan<'a> {
    Model(&'a ProtocolRow, Size, usize),
    /// Of all models before it.
    Arms(&'a ProtocolRow),
    Mutants(&'a ProtocolRow, Range<usize>),
    /// Of results that are kept.
    Generated(&'static Subject),
    Fuzz(usize),
    /// Of these jobs, and all sampling before it.
    Pairs(&'a ProtocolRow, Range<usize>),
}

impl PartPlan<'_> {
    pub(super) fn jobs(&self) -> Range<usize> {
        match self {
            Self::Model(_, _, job) | Self::Fuzz(job) => *job..job + 1,
            Self::Arms(_) | Self::Generated(_) => 0..0,
            Self::Mutants(_, jobs) | Self::Pairs(_, jobs) => jobs.clone(),
        }
    }
}

impl<'a> Plan<'a> {
    pub(super) fn new(protocols: &'a [ProtocolRow]) -> Self {
        let (mut jobs, mut parts) = (Vec::new(), Vec::new());
        let models = || {
            let of = |row: &'a ProtocolRow| row.models.iter().map(move |model| (row, model));
            protocols.iter().flat_map(of)
        };
        for size in [Size::Gate, Size::Large] {
            for (row, model) in models().filter(|(_, model)| model.row().size == size) {
                parts.push(PartPlan::Model(row, size, jobs.len()));
                jobs.push(Job::model(row, model.as_ref()));
            }
        }
        parts.extend(whole_families(protocols).map(PartPlan::Arms));
        for row in protocols {
            let first = jobs.len();
            let mutants = row.mutants.iter();
            jobs.extend(mutants.map(|mutant| Job::mutant(row, mutant.as_ref())));
            parts.push(PartPlan::Mutants(row, first..jobs.len()));
        }
        let is_run = |subject: &&Subject| protocols.iter().any(|row| row.name == subject.protocol);
        parts.extend(SUBJECTS.iter().filter(is_run).map(PartPlan::Generated));
        for row in protocols {
            for model in &row.fuzzed {
                parts.push(PartPlan::Fuzz(jobs.len()));
                jobs.push(Job::fuzz(row, model.as_ref()));
            }
        }
        for row in whole_families(protocols).filter(|row| has_features(row)) {
            let first = jobs.len();
            let family = protocols
                .iter()
                .filter(|other| other.family() == row.family());
            let models = family.flat_map(|row| row.models.iter().map(move |model| (row, model)));
            let walked = models.filter(|(_, model)| model.row().size == Size::Gate);
            jobs.extend(walked.map(|(row, model)| Job::sample(row, model.as_ref())));
            parts.push(PartPlan::Pairs(row, first..jobs.len()));
        }
        Self { jobs, parts }
    }

    /// The numbers of the jobs, in the order in which they are begun.
    pub(super) fn order(&self, fail_fast: bool) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.jobs.len()).collect();
        if !fail_fast {
            order.sort_by_cached_key(|&job| Reverse(self.jobs[job].cost()));
        }
        order
    }
}

fn has_features(row: &ProtocolRow) -> bool {
    { row.models.first() }.is_some_and(|model| !model.features().is_empty())
}

/// The protocols whose step functions all their models are run with: what one of a family does not
/// do another may.
fn whole_families(protocols: &[ProtocolRow]) -> impl Iterator<Item = &ProtocolRow> {
    let everything = catalogue::protocols();
    let is_run = |row: &ProtocolRow| protocols.iter().any(|run| run.name == row.name);
    protocols.iter().filter(move |row| {
        let mut family = everything
            .iter()
            .filter(|other| other.family() == row.family());
        family.all(is_run) && row.name == row.family()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No job is left out or done twice, whatever the order, and each is of one part.
    #[test]
    fn every_job_is_begun_once_and_reported_once() {
        let protocols = catalogue::protocols();
        let plan = Plan::new(&protocols);
        let all: Vec<usize> = (0..plan.jobs.len()).collect();
        assert_eq!(plan.order(true), all);
        let mut order = plan.order(false);
        let costs: Vec<u64> = order.iter().map(|&job| plan.jobs[job].cost()).collect();
        assert!(costs.is_sorted_by(|one, next| one >= next), "{costs:?}");
        order.sort_unstable();
        assert_eq!(order, all);
        let mut reported: Vec<usize> = plan.parts.iter().flat_map(PartPlan::jobs).collect();
        reported.sort_unstable();
        assert_eq!(reported, all);
    }
}
