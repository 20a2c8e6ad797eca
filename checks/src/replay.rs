//! The steps of a trace, taken again and told in words.

use anyhow::{Result, bail};
use models::world::{Action, Scenario};
use models::{Specification, trace};

use crate::engine::Violation;
use crate::examine::{self, NO_PANIC, Outcome};
use crate::lasso;
use crate::symmetry::{self, ALIKE};

/// What a replayed trace shows.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Each step in words, with the hosts that it changed.
    pub steps: Vec<ReplayedStep>,
    /// The position of the step from which on the steps repeat for ever, if they do.
    pub loop_start: Option<usize>,
    /// The property that is violated at the end, if any; where the steps repeat for ever, the
    /// one that they never satisfy.
    pub violated: Option<&'static str>,
}

/// One step of a replayed trace.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ReplayedStep {
    /// What happened.
    pub action: String,
    /// The hosts that it changed, as they are then.
    pub changed: Vec<String>,
}

/// What is violated, with its source, or the panic's message.
pub fn explain<P: Specification>(violation: &Violation<P>) -> String {
    let invariants = P::INVARIANTS.iter().map(|row| (row.name, row.source));
    let laws = P::LAWS.iter().map(|row| (row.name, row.source));
    let liveness = P::LIVENESS.iter().map(|row| (row.name, row.source));
    let mut sources = invariants.chain(laws).chain(liveness);
    let source = sources.find(|(name, _)| *name == violation.property);
    match (source, &violation.panic) {
        (Some((name, source)), _) => format!("{name} ({source})"),
        (None, Some(message)) => format!("{}: {message}", violation.property),
        (None, None) => violation.property.to_owned(),
    }
}

/// Each action in words.
pub fn describe<P: Specification>(scenario: &Scenario<P>, actions: &[Action<P>]) -> Vec<String> {
    let mut steps = Vec::new();
    let Ok(mut world) = examine::initial(scenario) else {
        return steps;
    };
    for action in actions {
        steps.push(trace::describe(scenario, &world, action));
        if let Outcome::Next(after, _) = examine::take(scenario, &world, action) {
            world = after;
        }
    }
    steps
}

/// Takes the steps of a violation again: no trace is shown that does not replay.
///
/// # Errors
/// If they are not possible, or show no violation.
pub fn confirm<P: Specification>(scenario: &Scenario<P>, violation: &Violation<P>) -> Result<()> {
    let replayed = replay(scenario, &violation.actions)?;
    let violated = match violation.loop_start {
        None => replayed.violated,
        Some(start) => lasso::violated(scenario, violation.property, &violation.actions, start)?,
    };
    if violated.is_none() {
        bail!(
            "the engine reported a violation of \"{}\" whose trace does not show one: \
             a defect of the engine",
            violation.property
        );
    }
    Ok(())
}

/// Takes the steps of a trace, up to the first violation.
///
/// # Errors
/// If a step is not possible where it stands.
pub fn replay<P: Specification>(scenario: &Scenario<P>, actions: &[Action<P>]) -> Result<Replay> {
    let Ok(mut world) = examine::initial(scenario) else {
        return Ok(Replay {
            steps: Vec::new(),
            loop_start: None,
            violated: Some(NO_PANIC),
        });
    };
    let mut replayed = Replay {
        steps: Vec::new(),
        loop_start: None,
        violated: examine::broken_invariant(scenario, &world),
    };
    let mut last = None;
    for (number, action) in (1..).zip(actions) {
        if replayed.violated.is_some() {
            break;
        }
        let description = trace::describe(scenario, &world, action);
        let before = trace::hosts(&world);
        match examine::take(scenario, &world, action) {
            Outcome::NotEnabled => bail!(
                "step {number} ({description}) is not possible there: the trace is of another \
                 version of the model, or was edited; {} steps before it were taken",
                number - 1
            ),
            Outcome::Panicked(_) => replayed.violated = Some(NO_PANIC),
            Outcome::Next(after, broken) => {
                replayed.violated = broken.or_else(|| examine::broken_invariant(scenario, &after));
                last = Some(std::mem::replace(&mut world, after));
            }
        }
        let hosts = trace::hosts(&world);
        let changed = hosts.into_iter().filter(|host| !before.contains(host));
        replayed.steps.push(ReplayedStep {
            action: description,
            changed: changed.collect(),
        });
    }
    // Of the last step a law may say something else, or something else may be possible after it.
    let mut ends = last.iter().chain([&world]);
    if replayed.violated.is_none() && ends.any(|end| symmetry::is_lopsided(scenario, end)) {
        replayed.violated = Some(ALIKE);
    }
    Ok(replayed)
}
