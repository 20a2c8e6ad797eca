//! A trace to be followed: which choice is its next step, where its loop begins, and how often
//! one has gone round.

use std::collections::HashMap;
use std::fmt;

use anyhow::{Result, bail};
use models::Specification;
use models::world::{Action, Scenario, World};

use crate::examine::{self, Outcome};
use crate::report::{FOR_EVER, NOTHING_MORE};

/// A trace, and where its steps are taken.
pub struct Guide<P: Specification> {
    actions: Vec<Action<P>>,
    loop_start: Option<usize>,
    /// What the run for ever violates.
    violated: Option<&'static str>,
    /// The positions of the steps that are taken from a world.
    steps: HashMap<World<P>, Vec<usize>>,
    /// The position of each step among what is possible where it is taken.
    choices: Vec<usize>,
}

/// What a step is to the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// This one of so many that lead to the trace's end, or to its loop.
    Stem(usize, usize),
    /// This one of so many that repeat for ever.
    Loop(usize, usize),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stem(step, of) => write!(f, "trace, step {step} of {of}"),
            Self::Loop(1, of) => write!(f, "here the loop begins, step 1 of {of}"),
            Self::Loop(step, of) => write!(f, "loop, step {step} of {of}"),
        }
    }
}

impl<P: Specification> Guide<P> {
    /// Follows a trace. Where it has a loop, this is violated by going round for ever.
    ///
    /// # Errors
    /// If a step is not possible where it stands, or the loop begins behind the last one.
    pub fn new(
        scenario: &Scenario<P>,
        actions: Vec<Action<P>>,
        loop_start: Option<usize>,
        violated: Option<&'static str>,
    ) -> Result<Self> {
        if loop_start.is_some_and(|start| start > actions.len()) {
            bail!("the loop begins behind the trace's last step");
        }
        let mut guide = Self {
            actions: Vec::new(),
            loop_start,
            violated,
            steps: HashMap::new(),
            choices: Vec::new(),
        };
        let Ok(mut world) = examine::initial(scenario) else {
            return Ok(guide);
        };
        for (position, action) in actions.iter().enumerate() {
            let possible = examine::actions(scenario, &world);
            let Some(choice) = possible.iter().position(|other| other == action) else {
                bail!(
                    "step {} is not possible there: the trace is of another version of the \
                     model, or was edited",
                    position + 1
                );
            };
            guide.choices.push(choice);
            guide.steps.entry(world.clone()).or_default().push(position);
            // What ends the trace, a panic, leads nowhere.
            if let Outcome::Next(after, _) = examine::take(scenario, &world, action) {
                world = after;
            }
        }
        guide.actions = actions;
        Ok(guide)
    }

    /// The positions of the trace's steps, each among what is possible where it is taken.
    pub fn choices(&self) -> &[usize] {
        &self.choices
    }

    /// What this action is to the trace, taken in this world.
    pub fn part(&self, world: &World<P>, action: &Action<P>) -> Option<Part> {
        let mut steps = self.steps.get(world)?.iter();
        let position = *steps.find(|&&position| self.actions[position] == *action)?;
        let length = self.actions.len();
        let stem = self.loop_start.unwrap_or(length);
        Some(match position.checked_sub(stem) {
            None => Part::Stem(position + 1, stem),
            Some(position) => Part::Loop(position + 1, length - stem),
        })
    }

    /// What is to be said of a run that begins as the trace does: after so many steps, that the
    /// loop begins, and each time that it comes round.
    pub fn turns(&self, run: &[Action<P>]) -> Vec<(usize, String)> {
        let Some(start) = self.loop_start else {
            return Vec::new();
        };
        let (stem, round) = self.actions.split_at(start);
        let Some(rest) = run.strip_prefix(stem) else {
            return Vec::new();
        };
        let violated = self
            .violated
            .map_or_else(String::new, |name| format!(" violated: {name}"));
        if round.is_empty() {
            return vec![(start, NOTHING_MORE.to_owned() + &violated)];
        }
        let steps = rest.iter().zip(round.iter().cycle());
        let rounds = steps.take_while(|(taken, told)| taken == told).count() / round.len();
        let turn = |round_number: usize| {
            let row = start + round_number * round.len();
            let words = match round_number {
                0 => FOR_EVER.to_owned() + &violated,
                1 => "once round: all is as it was where the loop begins".to_owned(),
                times => format!("{times} times round"),
            };
            (row, words)
        };
        (0..=rounds).map(turn).collect()
    }
}
