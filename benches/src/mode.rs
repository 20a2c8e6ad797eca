//! How a bench was called.

use std::env;
use std::time::Duration;

/// How much a bench is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Measure.
    Measure,
    /// Run everything once, quickly, to see that it works.
    Smoke,
    /// Only say what there is.
    List,
}

impl Mode {
    /// As criterion reads the same arguments: `cargo bench` passes `--bench`, and where that
    /// is missing (`cargo test`) or `--test` is there, nothing is measured.
    pub fn of_process() -> Self {
        Self::of(env::args().skip(1))
    }

    /// What stands behind `name` among the arguments of the process.
    pub fn option(name: &str) -> Option<String> {
        let mut arguments = env::args().skip_while(|argument| argument != name);
        arguments.next()?;
        Some(arguments.next().unwrap_or_default())
    }

    /// How many seconds something is to last: what `--seconds` says, or as many as are usual.
    ///
    /// # Panics
    /// If it says something else.
    pub fn seconds(usual: u64) -> Duration {
        let Some(text) = Self::option("--seconds") else {
            return Duration::from_secs(usual);
        };
        let seconds = text.parse().ok().filter(|&seconds| seconds > 0);
        Duration::from_secs(seconds.expect("--seconds wants a number from 1 on"))
    }

    fn of(arguments: impl Iterator<Item = String>) -> Self {
        let arguments: Vec<String> = arguments.collect();
        let has = |name: &str| arguments.iter().any(|argument| argument == name);
        if has("--list") {
            Self::List
        } else if has("--test") || !has("--bench") {
            Self::Smoke
        } else {
            Self::Measure
        }
    }

    /// `measure` or `smoke`, whichever this is for.
    pub fn pick<T>(self, measure: T, smoke: T) -> T {
        match self {
            Self::Measure => measure,
            Self::Smoke | Self::List => smoke,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_the_one_that_criterion_would_choose() {
        let mode = |arguments: &str| Mode::of(arguments.split_whitespace().map(str::to_owned));
        assert_eq!(mode("--bench"), Mode::Measure);
        assert_eq!(mode("some-filter --bench"), Mode::Measure);
        assert_eq!(mode("--test --bench"), Mode::Smoke);
        assert_eq!(mode(""), Mode::Smoke);
        assert_eq!(mode("--list --format terse"), Mode::List);
    }
}
