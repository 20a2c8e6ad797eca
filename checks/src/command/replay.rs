//! `checks replay`: takes the steps of a trace again.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{Context, Ending, traced};
use crate::report::{FOR_EVER, NOTHING_MORE};

/// Replays a trace, and draws it into the file `svg` if there is one. Ends well if nothing
/// is violated.
///
/// # Errors
/// If the file is no trace, its model is unknown, a step is not possible, or the drawing
/// cannot be written.
pub fn run(context: &Context, path: &Path, svg: Option<&Path>) -> Result<Ending> {
    let (trace, subject) = traced(path)?;
    let replay = subject.replay(&trace)?;
    if let Some(svg) = svg {
        fs::write(svg, subject.diagram(&trace)?)
            .with_context(|| format!("cannot write the diagram {}", svg.display()))?;
    }
    for (position, step) in replay.steps.iter().enumerate() {
        if replay.loop_start == Some(position) {
            context.say(&format!("{FOR_EVER}\n"));
        }
        context.say(&format!("{:>3}. {}\n", position + 1, step.action));
        for host in &step.changed {
            context.say(&format!("       {host}\n"));
        }
    }
    if replay.loop_start == Some(replay.steps.len()) {
        context.say(&format!("{NOTHING_MORE}\n"));
    }
    context.say(&match replay.violated {
        Some(property) => format!("VIOLATED: {property}\n"),
        None => "nothing is violated\n".to_owned(),
    });
    context.print_json(&json!([{
        "model": trace.model,
        "mutant": trace.mutant,
        "steps": replay.steps,
        "loop_start": replay.loop_start,
        "violated": replay.violated,
    }]))?;
    Ok(Ending::of(replay.violated.is_none()))
}
