//! How far long work has come, shared between the work and whoever shows it.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::memory;

/// Counters that a search keeps up to date, and the user's wish to stop.
///
/// Relaxed ordering throughout: each is read for itself, and nothing else hangs on it.
#[derive(Debug, Default)]
pub struct Progress {
    unique: AtomicU64,
    generated: AtomicU64,
    depth: AtomicU64,
    queue: AtomicU64,
    interrupted: Arc<AtomicBool>,
    hidden: bool,
}

impl Progress {
    /// Counters at zero, which share the wish to stop.
    pub fn new(interrupted: Arc<AtomicBool>) -> Self {
        Self {
            interrupted,
            ..Self::default()
        }
    }

    /// As [`new`](Self::new), and not shown: for one of many pieces of work that are done at once.
    pub fn hidden(interrupted: Arc<AtomicBool>) -> Self {
        Self {
            hidden: true,
            ..Self::new(interrupted)
        }
    }

    /// Notes where the search is.
    pub fn update(&self, unique: u64, generated: u64, depth: usize, queue: usize) {
        self.unique.store(unique, Ordering::Relaxed);
        self.generated.store(generated, Ordering::Relaxed);
        self.depth.store(depth as u64, Ordering::Relaxed);
        self.queue.store(queue as u64, Ordering::Relaxed);
    }

    /// Distinct states so far.
    pub fn unique(&self) -> u64 {
        self.unique.load(Ordering::Relaxed)
    }

    /// Whether the user wants the work to end.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    fn line(&self, since: Instant) -> String {
        let unique = self.unique();
        let rate = unique as f64 / since.elapsed().as_secs_f64().max(0.001);
        let memory =
            memory::resident().map_or_else(String::new, |bytes| format!(", {} MiB", bytes >> 20));
        format!(
            "{unique} states ({rate:.0}/s), {} generated, depth {}, queue {}{memory}",
            self.generated.load(Ordering::Relaxed),
            self.depth.load(Ordering::Relaxed),
            self.queue.load(Ordering::Relaxed),
        )
    }
}

/// Shows on standard error how many of so many pieces of work are done. Nothing where that is no
/// terminal.
pub fn counter(title: &str, all: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(all as u64), ProgressDrawTarget::stderr());
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} {prefix}: {pos} of {len} done, {elapsed}")
    {
        bar.set_style(style);
    }
    bar.set_prefix(title.to_owned());
    bar
}

/// Shows progress on standard error until dropped. Nothing where that is no terminal.
pub struct Display {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    /// Begins to show `progress` under `title`.
    pub fn show(title: &str, progress: &Arc<Progress>) -> Self {
        if progress.hidden || !std::io::stderr().is_terminal() {
            return Self {
                stop: None,
                thread: None,
            };
        }
        let (stop, stopped) = mpsc::channel();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        let progress = Arc::clone(progress);
        let since = Instant::now();
        let thread = thread::spawn(move || {
            let tick = Duration::from_millis(200);
            while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                bar.set_message(progress.line(since));
                bar.tick();
            }
            bar.finish_and_clear();
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // The thread only draws; that it panicked is no reason to lose the result.
            let _ = thread.join();
        }
    }
}
