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
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::{EnvFilter, reload};

/// So many lines wait.
const LINES: usize = 8192;
/// The end of the process waits this long for the last lines.
const GRACE: Duration = Duration::from_millis(500);

static LOG: OnceLock<Log> = OnceLock::new();
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// The log of this process, until it is finished.
#[must_use = "lines that still wait are lost unless the log is finished"]
pub struct Logging(WorkerGuard);

/// In what form lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: an object of JSON a line.
    Json,
}

/// Starts the log at `level`, such as `info` or `warn,lockstep::runtime=debug`; or as `RUST_LOG` says,
/// where there is none. Panics are logged too.
///
/// # Errors
/// In words, when the level is none.
///
/// # Panics
/// When the process has a log already.
pub fn start(level: Option<&str>, default: &str, format: LogFormat) -> Result<Logging, String> {
    let filter = match level {
        Some(level) => parse(level)?,
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default)),
    };
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES)
        .lossy(true)
        .thread_name("log")
        .finish(Telling::new(io::stderr()));
    // Only the first log of a process is counted, and there is no second.
    let _ = DROPPED.set(writer.error_counter());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            keep(builder.reload_handle());
            builder.init();
        }
        LogFormat::Json => {
            let builder = builder.json().with_filter_reloading();
            keep(builder.reload_handle());
            builder.init();
        }
    }
    // The usual hook would wait for standard error itself.
    panic::set_hook(Box::new(|info| {
        let backtrace = Backtrace::capture();
        match backtrace.status() {
            BacktraceStatus::Captured => tracing::error!("{info}\n{backtrace}"),
            _ => tracing::error!("{info}"),
        }
    }));
    Ok(Logging(guard))
}

/// From now on logs what `level` says. Returns what was logged until now.
///
/// # Errors
/// In words, when that is no level, or this process has no log; it is what it was then.
pub fn set_level(level: &str) -> Result<String, String> {
    let filter = parse(level)?;
    let log = LOG.get().ok_or("this process has no log of its own")?;
    let before = (log.level)();
    (log.reload)(filter)?;
    tracing::info!(before, now = level, "the log level is changed");
    Ok(before)
}

/// What is logged; none where this process has no log of its own.
pub fn level() -> Option<String> {
    LOG.get().map(|log| (log.level)())
}

/// A running log's level.
struct Log {
    level: Box<dyn Fn() -> String + Send + Sync>,
    reload: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

fn keep<S: 'static>(handle: reload::Handle<EnvFilter, S>) {
    let look = handle.clone();
    let log = Log {
        level: Box::new(move || {
            let level = look.with_current(ToString::to_string);
            level.unwrap_or_default()
        }),
        reload: Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())),
    };
    // Only the first log of a process is kept, and there is no second.
    let _ = LOG.set(log);
}

fn parse(level: &str) -> Result<EnvFilter, String> {
    // A word alone is a level, not the name of a part of the program that happens to be misspelt.
    let is_a_word = !level.contains(['=', ',']);
    if level.trim().is_empty() || (is_a_word && level.parse::<LevelFilter>().is_err()) {
        return Err(format!(
            "`{level}` is no log level: say error, warn, info, debug, trace or off, or a list such \
             as warn,lockstep::runtime=debug"
        ));
    }
    EnvFilter::builder().parse(level).map_err(|error| {
        format!("`{level}` is not understood as a log level: {error}; say, for example, warn,lockstep::runtime=debug")
    })
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

    #[test]
    fn a_level_that_is_none_is_refused() {
        for level in ["info", "off", "warn,lockstep::runtime=debug", "DEBUG"] {
            assert!(parse(level).is_ok(), "{level}");
        }
        for level in ["", "inof", "lockstep=loud", "=,="] {
            let Err(error) = parse(level) else {
                panic!("`{level}` is taken");
            };
            assert!(error.contains("log level"), "{error}");
        }
    }

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
