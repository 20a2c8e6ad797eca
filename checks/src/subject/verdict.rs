//! What may be said of a model after a run: its verdict, which properties hold, and what the run has
//! failed to show.

use models::Specification;
use models::world::{Duplicates, Kind as ActionKind, Scenario};

use super::{Case, Subject as _};
use crate::engine::liveness::{Decision, LiveFindings};
use crate::engine::{Engine, Findings, Kind, Reductions, Stop};
use crate::examine;
use crate::report::{PropertyReport, Verdict};

impl<P: Specification> Case<P> {
    pub(super) fn properties_after(
        &self,
        findings: &Findings<P>,
        live: Option<&LiveFindings<P>>,
        complete: bool,
    ) -> Vec<PropertyReport> {
        let decided = |name| live.and_then(|live| live.decisions.get(name));
        let violated = findings
            .violation
            .as_ref()
            .map(|violation| violation.property);
        self.properties()
            .into_iter()
            .map(|(name, kind)| {
                let holds = match kind {
                    _ if violated == Some(name) => Some(false),
                    Kind::Invariant | Kind::Law => complete.then_some(true),
                    Kind::Reachable if findings.seen.contains(name) => Some(true),
                    Kind::Reachable => (complete && self.must_reach(name)).then_some(false),
                    Kind::Liveness => match decided(name) {
                        Some(Decision::Holds) => Some(true),
                        Some(Decision::Violated) => Some(false),
                        Some(Decision::Vacuous(_)) | None => None,
                    },
                };
                PropertyReport { name, kind, holds }
            })
            .collect()
    }

    fn must_reach(&self, name: &str) -> bool {
        self.model.reaches.contains(&name)
    }

    /// What the model must show and the run has not. Of a mutant nothing is expected but that a
    /// property refutes it.
    pub(super) fn unseen(&self, findings: &Findings<P>) -> Vec<&'static str> {
        if self.mutant.is_some() {
            return Vec::new();
        }
        let must = self.model.reaches.iter().copied();
        must.filter(|name| !findings.seen.contains(name)).collect()
    }

    /// What a complete run failed to show that must be possible. A check that holds because nothing
    /// happens is no check.
    pub(super) fn vacuity(
        &self,
        findings: &Findings<P>,
        live: Option<&LiveFindings<P>>,
        reductions: Reductions,
    ) -> Option<String> {
        let missing = self.unseen(findings);
        if !missing.is_empty() {
            return Some(format!("never seen: {}", missing.join("; ")));
        }
        if let Some(fired) = &findings.fired {
            let has_fired = |kind: &ActionKind| fired.actions.contains_key(&format!("{kind:?}"));
            let idle = promised(&self.scenario()).into_iter();
            let idle: Vec<String> = idle
                .filter(|kind| !has_fired(kind))
                .map(|kind| format!("{kind:?}"))
                .collect();
            if !idle.is_empty() {
                return Some(format!("never happened: {}", idle.join(", ")));
            }
        }
        if let Some(live) = live.filter(|_| !reductions.symmetry)
            && live.unique != findings.unique
        {
            return Some(format!(
                "liveness was decided on {} states, and the search has found {}",
                live.unique, findings.unique
            ));
        }
        for (name, decision) in live.into_iter().flat_map(|live| &live.decisions) {
            if let Decision::Vacuous(why) = decision {
                return Some(format!("says nothing of \"{name}\": {why}"));
            }
        }
        None
    }

    /// That a complete run has found another number of states than the model's row says: it may be
    /// for good, but somebody has to say so.
    pub(super) fn changed(&self, findings: &Findings<P>, reductions: Reductions) -> Option<String> {
        let expected = self.model.states?;
        let is_counted = reductions.inert && !reductions.symmetry;
        (is_counted && findings.unique != expected).then(|| {
            format!(
                "{} states, where the catalogue says {expected}: nothing is refuted, but something \
                 has changed",
                findings.unique
            )
        })
    }
}

/// What may be said after a search that has found this. One that has taken no step has seen
/// nothing, whoever wanted it so.
pub(super) fn verdict<P: Specification>(
    is_violated: bool,
    stopped: Option<Stop>,
    engine: Engine,
    findings: &Findings<P>,
) -> Verdict {
    let Some(stop) = stopped.filter(|_| !is_violated) else {
        return match is_violated {
            true => Verdict::Violated,
            false => Verdict::Verified,
        };
    };
    // A simulation ends in no other way.
    let was_to_end = stop.is_chosen() || (engine == Engine::Simulate && stop == Stop::Time);
    match was_to_end && findings.generated > 1 {
        true => Verdict::Bounded,
        false => Verdict::Incomplete,
    }
}

/// The kinds of actions that a scenario makes room for: where one never happens, its knob is
/// without effect, and the model's row says more than is so. What the prologue has used up is
/// not there any more.
fn promised<P: Specification>(scenario: &Scenario<P>) -> Vec<ActionKind> {
    let Ok(start) = examine::initial(scenario) else {
        return Vec::new();
    };
    let (most, used) = (&scenario.faults, &start.faults);
    let may_duplicate = match most.duplicates {
        Duplicates::UpTo(most) => used.duplicates < most,
        // Delivery itself leaves the message where it is.
        Duplicates::Unlimited => false,
    };
    let mut clients = start.clients.iter().zip(&scenario.scripts);
    let may_ask = clients.any(|(client, script)| {
        let command = script.get(client.next);
        command.is_some_and(|command| client.tries < scenario.tries_of(command))
    });
    let may_crash = used.crashes < most.crashes;
    let may_cut = used.cuts < most.cuts;
    let kinds = [
        (used.drops < most.drops, ActionKind::Drop),
        (may_duplicate, ActionKind::Duplicate),
        (may_ask, ActionKind::Ask),
        (
            used.lost_replies < most.lost_replies,
            ActionKind::AskUnheard,
        ),
        (may_crash, ActionKind::Crash),
        (may_crash, ActionKind::Restart),
        (may_crash && most.crash_within_step, ActionKind::CrashWithin),
        (used.lost_disks < most.lost_disks, ActionKind::LoseDisk),
        (may_cut, ActionKind::Cut),
        (may_cut, ActionKind::Isolate),
        (may_cut, ActionKind::Heal),
    ];
    let kinds = kinds.into_iter().filter(|(is_promised, _)| *is_promised);
    kinds.map(|(_, kind)| kind).collect()
}
