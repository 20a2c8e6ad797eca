//! What the tests share.

pub(crate) mod maze;
pub(crate) mod shout;
pub(crate) mod stairs;
pub(crate) mod toy;

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use checks::engine::{Engine, Limits, Reductions};
use checks::progress::Progress;
use checks::report::Report;
use checks::subject::{Run, Subject};

/// No limits, on so many threads.
pub(crate) fn on(threads: usize) -> Limits {
    Limits::on(NonZero::new(threads))
}

/// Verifies a subject; its trace, if any, goes to `traces`.
pub(crate) fn verify(
    subject: &dyn Subject,
    engine: Engine,
    limits: &Limits,
    traces: &Path,
) -> Report {
    let progress = Arc::new(Progress::new(Arc::new(AtomicBool::new(false))));
    let run = Run {
        progress: &progress,
        traces,
        reductions: Reductions::STANDARD,
        seed: 0,
        checkpoint: None,
    };
    subject
        .verify(engine, limits, &run)
        .expect("the trace can be written")
}
