//! `checks pairs`: which features of a protocol have met in one run, and where.

use anyhow::Result;
use models::specification::Size;
use serde_json::json;

use super::{Context, Ending};
use crate::catalogue::{self, ProtocolRow};
use crate::cli::PairsArgs;
use crate::engine::{Limits, Reductions};
use crate::fuzz::Plan;
use crate::matrix::{Matrix, WALKED_CASES};
use crate::subject::{Run, Subject};

/// Samples runs of every model and prints a matrix for each protocol. Ends well if all that can meet
/// has met.
///
/// # Errors
/// If there is no such protocol, or a trace cannot be written.
pub fn run(context: &Context, args: &PairsArgs) -> Result<Ending> {
    let protocols = catalogue::protocols_named(&args.protocols)?;
    let plan = Plan::for_gate(Limits::on(args.threads).threads);
    context.say(&format!("seed {}\n", plan.seed));
    let (mut endings, mut rows) = (Vec::new(), Vec::new());
    for family in families(&protocols) {
        let of_family = || protocols.iter().filter(|row| row.family() == family);
        let Some(first) = of_family().find_map(|row| row.models.first()) else {
            continue;
        };
        let mut matrix = Matrix::new(first.as_ref());
        if matrix.features() == 0 {
            continue;
        }
        for (is_walked, subject) in of_family().flat_map(subjects) {
            let pairs = sample(context, subject, is_walked, &plan)?;
            let Some(pairs) = pairs else {
                return Ok(Ending::Incomplete);
            };
            matrix.add(is_walked, &pairs);
        }
        let (missing, refuted) = (matrix.missing(), matrix.refuted());
        context.say(&format!(
            "{family}: {}\n{}",
            matrix.summary(),
            matrix.to_text()
        ));
        for pair in &missing {
            context.say(&format!("  never: {pair}\n"));
        }
        for pair in &refuted {
            context.say(&format!("  not apart: {pair}\n"));
        }
        endings.push(Ending::of(missing.is_empty() && refuted.is_empty()));
        rows.push(json!({ "protocol": family, "never": missing, "not_apart": refuted }));
    }
    context.say("w: in a model walked whole; s: in sampled runs alone; -: apart; !: never\n");
    context.print_json(&rows)?;
    Ok(Ending::of_all(endings))
}

fn families(protocols: &[ProtocolRow]) -> Vec<&'static str> {
    let mut families: Vec<&str> = protocols.iter().map(ProtocolRow::family).collect();
    families.dedup();
    families
}

/// The models of a protocol in which features are looked for, and whether each is walked whole.
fn subjects(row: &ProtocolRow) -> impl Iterator<Item = (bool, &dyn Subject)> {
    let walked = row
        .models
        .iter()
        .filter(|model| model.row().size == Size::Gate);
    let walked = walked.map(|model| (true, model.as_ref()));
    walked.chain(row.fuzzed.iter().map(|model| (false, model.as_ref())))
}

/// What has met in runs of the model; nothing if the user has had enough.
fn sample(
    context: &Context,
    subject: &dyn Subject,
    is_walked: bool,
    plan: &Plan,
) -> Result<Option<crate::fuzz::pairs::Pairs>> {
    let progress = context.progress();
    let run = Run {
        progress: &progress,
        traces: &context.traces,
        reductions: Reductions::STANDARD,
        seed: plan.seed,
        checkpoint: None,
    };
    let plan = Plan {
        cases: if is_walked {
            Some(WALKED_CASES)
        } else {
            plan.cases
        },
        ..*plan
    };
    let report = subject.fuzz(&plan, &run)?;
    Ok((!progress.is_interrupted()).then_some(report.pairs))
}
