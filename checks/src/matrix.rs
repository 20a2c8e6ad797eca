//! The matrix of pairs: for each two features of a protocol, where both have happened in one run.
//!
//! Each feature may be right alone, and wrong where another is at work. What has met in a model
//! that is walked whole has been checked in every order there; what has met in sampled runs alone
//! has been looked at. What has met nowhere has never been checked, unless it cannot meet.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use models::specification::Apart;

use crate::fuzz::pairs::Pairs;
use crate::subject::Subject;

/// In how many runs of each model that is walked whole features are looked for.
pub const WALKED_CASES: u64 = 48;

/// Where two features have met.
#[derive(Clone, Debug, Default)]
struct Meeting {
    /// In how many models that are walked whole.
    walked: usize,
    /// In how many sampled runs of others.
    sampled: u64,
}

/// The features of a protocol, and where they have met.
pub struct Matrix {
    features: Vec<&'static str>,
    apart: &'static [Apart],
    meetings: BTreeMap<(usize, usize), Meeting>,
}

impl Matrix {
    /// The features of the subject's protocol, of which none have met yet.
    pub fn new(subject: &dyn Subject) -> Self {
        Self {
            features: subject.features(),
            apart: subject.apart(),
            meetings: BTreeMap::new(),
        }
    }

    /// How many features there are.
    pub fn features(&self) -> usize {
        self.features.len()
    }

    /// Adds what has met in a model, of which every state is walked elsewhere, or not.
    pub fn add(&mut self, is_walked: bool, pairs: &Pairs) {
        for (one, other) in self.all() {
            let runs = pairs.of(one, other);
            if runs > 0 {
                let meeting = self.meetings.entry((one, other)).or_default();
                match is_walked {
                    true => meeting.walked += 1,
                    false => meeting.sampled += runs,
                }
            }
        }
    }

    /// The pairs that have met nowhere, and for which nobody says why.
    pub fn missing(&self) -> Vec<String> {
        let pairs = self.all().into_iter();
        let missing = pairs.filter(|&pair| self.mark(pair) == Mark::Never);
        missing.map(|pair| self.name(pair)).collect()
    }

    /// The pairs that are said to be apart and are not, or are of no such features.
    pub fn refuted(&self) -> Vec<String> {
        let pairs = self.apart.iter().map(|apart| apart.features);
        let wrong = pairs.filter(|names| {
            let pair = self.position(names);
            pair.is_none_or(|pair| self.meetings.contains_key(&pair))
        });
        wrong
            .map(|[one, other]| format!("{one} + {other}"))
            .collect()
    }

    /// How many pairs there are, and how many have met in models that are walked whole, in sampled
    /// runs alone, and cannot meet.
    pub fn summary(&self) -> String {
        let all = self.all();
        let count = |mark| all.iter().filter(|&&pair| self.mark(pair) == mark).count();
        format!(
            "{} features, {} pairs: {} met in models walked whole, {} in sampled runs alone, {} \
             apart, {} never",
            self.features.len(),
            all.len(),
            count(Mark::Walked),
            count(Mark::Sampled),
            count(Mark::Apart),
            count(Mark::Never),
        )
    }

    /// The matrix as a table of marks.
    pub fn to_text(&self) -> String {
        let width = self.features.iter().map(|name| name.chars().count());
        let width = width.max().unwrap_or(0);
        let mut text = String::new();
        let _ = write!(text, "{:width$}    ", "");
        for column in 1..=self.features.len() {
            let _ = write!(text, " {column:>2}");
        }
        text.push('\n');
        for (row, name) in self.features.iter().enumerate() {
            let _ = write!(text, "{:>2}  {name:width$}", row + 1);
            for column in 0..=row {
                let _ = write!(text, "  {}", self.mark((column, row)).sign());
            }
            text.push('\n');
        }
        text
    }

    fn mark(&self, pair: (usize, usize)) -> Mark {
        let are_apart = || {
            self.apart
                .iter()
                .any(|it| self.position(&it.features) == Some(pair))
        };
        match self.meetings.get(&pair) {
            Some(meeting) if meeting.walked > 0 => Mark::Walked,
            Some(_) => Mark::Sampled,
            None if are_apart() => Mark::Apart,
            None => Mark::Never,
        }
    }

    /// The positions of two features, the smaller first.
    fn position(&self, names: &[&str; 2]) -> Option<(usize, usize)> {
        let at = |name: &str| self.features.iter().position(|feature| *feature == name);
        let (one, other) = (at(names[0])?, at(names[1])?);
        Some((one.min(other), one.max(other)))
    }

    /// Every pair, each feature with itself included: one that never happens meets nothing.
    fn all(&self) -> Vec<(usize, usize)> {
        let rows = 0..self.features.len();
        rows.flat_map(|row| (0..=row).map(move |column| (column, row)))
            .collect()
    }

    fn name(&self, (one, other): (usize, usize)) -> String {
        match one == other {
            true => self.features[one].to_owned(),
            false => format!("{} + {}", self.features[one], self.features[other]),
        }
    }
}

/// Where a pair has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Walked,
    Sampled,
    Apart,
    Never,
}

impl Mark {
    fn sign(self) -> char {
        match self {
            Self::Walked => 'w',
            Self::Sampled => 's',
            Self::Apart => '-',
            Self::Never => '!',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(apart: &'static [Apart]) -> Matrix {
        Matrix {
            features: vec!["crash", "loss", "read"],
            apart,
            meetings: BTreeMap::new(),
        }
    }

    const CRASH_AND_READ: &[Apart] = &[Apart {
        features: ["read", "crash"],
        because: "in this test",
    }];

    #[test]
    fn a_pair_that_has_met_nowhere_is_missing_unless_it_is_apart() {
        let mut met = Pairs::default();
        met.add(0b011);
        met.add(0b110);
        let mut matrix = matrix(&[]);
        matrix.add(true, &met);
        assert_eq!(matrix.missing(), ["crash + read"]);
        matrix.apart = CRASH_AND_READ;
        assert_eq!((matrix.missing(), matrix.refuted()), (vec![], vec![]));
        let text = matrix.to_text();
        assert!(text.ends_with(" 3  read   -  w  w\n"), "{text}");
    }

    #[test]
    fn a_pair_that_is_said_to_be_apart_and_has_met_is_refuted() {
        let mut met = Pairs::default();
        met.add(0b101);
        let mut matrix = matrix(CRASH_AND_READ);
        matrix.add(false, &met);
        assert_eq!(matrix.refuted(), ["read + crash"]);
        assert!(
            matrix.summary().contains("3 in sampled runs alone"),
            "{}",
            matrix.summary()
        );
    }

    #[test]
    fn features_that_do_not_exist_are_refuted() {
        let matrix = matrix(&[Apart {
            features: ["read", "crush"],
            because: "misspelt",
        }]);
        assert_eq!(matrix.refuted(), ["read + crush"]);
    }
}
