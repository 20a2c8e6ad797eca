//! The log of a process, on standard error, which blocks nobody.
//!
//! Lines wait for a thread that writes them. When nobody reads what it writes, the queue fills,
//! and further lines are dropped and counted; how many it was is said when there is room again.
//! **No thread but that one ever waits for standard error.**

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// So many lines wait.
const LINES: usize = 8192;
/// The end of the process waits this long for the last lines.
const GRACE: Duration = Duration::from_millis(500);

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// The log of this process, until it is finished.
#[must_use = "lines that still wait are lost unless the log is finished"]
pub struct Logging(WorkerGuard);

/// Starts the log. `RUST_LOG` says what is logged, or else `default`. Panics are logged too.
///
/// # Panics
/// When the process has a log already.
pub fn start(default: &str) -> Logging {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES)
        .lossy(true)
        .thread_name("log")
        .finish(Telling::new(io::stderr()));
    // Only the first log of a process is counted, and there is no second.
    let _ = DROPPED.set(writer.error_counter());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(io::stderr().is_terminal())
        .init();
    // The usual hook would wait for standard error itself.
    panic::set_hook(Box::new(|info| {
        let backtrace = Backtrace::capture();
        match backtrace.status() {
            BacktraceStatus::Captured => tracing::error!("{info}\n{backtrace}"),
            _ => tracing::error!("{info}"),
        }
    }));
    Logging(guard)
}

/// How many lines were dropped because nobody read the log.
pub fn dropped_lines() -> u64 {
    DROPPED
        .get()
        .map_or(0, |counter| counter.dropped_lines() as u64)
}

impl Logging {
    /// Writes the lines that wait, and `last_words` after them; gives up after a moment.
    pub fn finish(self, last_words: Option<String>) {
        let (done, wait) = mpsc::channel();
        // A thread of its own, for a write to a pipe that nobody reads cannot be cancelled. It
        // ends with the process.
        thread::spawn(move || {
            drop(self.0);
            if let Some(words) = last_words {
                let _ = writeln!(io::stderr(), "{words}");
            }
            // Nobody may wait any more.
            let _ = done.send(());
        });
        let _ = wait.recv_timeout(GRACE);
    }
}

/// A writer that tells how many lines were dropped, as soon as it can write again.
struct Telling<W> {
    out: W,
    dropped: fn() -> u64,
    told: u64,
}

impl<W> Telling<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            dropped: dropped_lines,
            told: 0,
        }
    }
}

impl<W: Write> Write for Telling<W> {
    /// Takes a whole line. That it was written means that there is room.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.out.write_all(line)?;
        let dropped = (self.dropped)();
        if dropped > self.told {
            let new = dropped - self.told;
            writeln!(
                self.out,
                "{new} log lines were dropped here, because nobody read the log; {dropped} so far"
            )?;
            self.told = dropped;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    static COUNT: AtomicU64 = AtomicU64::new(0);

    #[test]
    fn what_was_dropped_is_told_of_once_and_after_a_line_that_was_written() {
        let mut log = Telling {
            out: Vec::new(),
            dropped: || COUNT.load(Ordering::Relaxed),
            told: 0,
        };
        log.write_all(b"one\n").expect("room");
        COUNT.store(7, Ordering::Relaxed);
        log.write_all(b"two\n").expect("room");
        log.write_all(b"three\n").expect("room");
        COUNT.store(9, Ordering::Relaxed);
        log.write_all(b"four\n").expect("room");
        let text = String::from_utf8(log.out).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6, "{text}");
        assert_eq!(
            (lines[0], lines[1], lines[3], lines[4]),
            ("one", "two", "three", "four")
        );
        assert!(lines[2].starts_with("7 log lines were dropped") && lines[2].ends_with("7 so far"));
        assert!(lines[5].starts_with("2 log lines were dropped") && lines[5].ends_with("9 so far"));
    }
}
