//! How often labels are enabled in a component, and whether they are taken.

use super::graph::{Label, State};

/// What is known of each label that has been enabled since this was last cleared.
pub(super) struct Uses {
    all: Vec<Use>,
    /// The labels that have been enabled.
    enabled: Vec<Label>,
}

#[derive(Clone, Copy, Default)]
struct Use {
    /// In how many states it is enabled.
    states: usize,
    /// The last of them.
    last: State,
    taken: bool,
}

impl Uses {
    /// Nothing is known of so many labels.
    pub(super) fn new(labels: usize) -> Self {
        Self {
            all: vec![Use::default(); labels],
            enabled: Vec::new(),
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        for label in self.enabled.drain(..) {
            self.all[label as usize] = Use::default();
        }
    }

    /// The label is enabled in this state. States are named one after the other.
    pub(super) fn enable(&mut self, label: Label, state: State) {
        let usage = &mut self.all[label as usize];
        if usage.states == 0 {
            self.enabled.push(label);
        } else if usage.last == state {
            return;
        }
        usage.states += 1;
        usage.last = state;
    }

    /// The label, which is enabled, is taken.
    pub(super) fn take(&mut self, label: Label) {
        self.all[label as usize].taken = true;
    }

    /// The labels that are enabled somewhere.
    pub(super) fn labels(&self) -> impl Iterator<Item = Label> {
        self.enabled.iter().copied()
    }

    /// Whether the label is enabled somewhere and never taken.
    pub(super) fn is_neglected(&self, label: Label) -> bool {
        let usage = self.all[label as usize];
        usage.states > 0 && !usage.taken
    }

    /// Whether some label is enabled in all of so many states and never taken.
    pub(super) fn is_any_neglected_in(&self, states: usize) -> bool {
        let is_it =
            |label: Label| self.is_neglected(label) && self.all[label as usize].states == states;
        self.labels().any(is_it)
    }
}
