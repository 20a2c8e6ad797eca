//! What the demos tell, step by step, and that each step is as it should be.

use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::service::narrator::{DemoError, PATIENCE};

const POLL: Duration = Duration::from_millis(10);

/// A demo's words.
pub(super) struct Story<'a> {
    out: &'a mut (dyn Write + Send),
    step: usize,
}

impl<'a> Story<'a> {
    pub(super) fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self { out, step: 0 }
    }

    /// Tells the next step.
    pub(super) fn say(&mut self, text: impl AsRef<str>) {
        self.step += 1;
        let line = format!("{:>2}. {}", self.step, text.as_ref());
        self.line(line);
    }

    /// A line without a number.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        // Whether the demo passes does not depend on whether somebody reads along.
        let _ = writeln!(self.out, "{}", line.as_ref()).and_then(|()| self.out.flush());
    }
}

/// Waits until `look` says that it is so, and returns what that found.
///
/// # Errors
/// With what it found last, when it is not so in time.
pub(super) async fn until<T, F>(expected: &str, look: impl Fn() -> F) -> Result<T, DemoError>
where
    F: Future<Output = Result<T, String>>,
{
    let end = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(found) if Instant::now() >= end => return Err(unexpected(expected, found)),
            Err(_) => sleep(POLL).await,
        }
    }
}

/// # Errors
/// When it does not hold.
pub(super) fn require(expected: &str, holds: bool, found: impl Display) -> Result<(), DemoError> {
    match holds {
        true => Ok(()),
        false => Err(unexpected(expected, found)),
    }
}

/// Something else has happened than should.
pub(super) fn unexpected(expected: &str, found: impl Display) -> DemoError {
    DemoError::Unexpected {
        expected: expected.to_owned(),
        found: found.to_string(),
        logs: String::new(),
    }
}
