//! How a bench was called.

use std::env;

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
