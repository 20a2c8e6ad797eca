//! Where a function can be got wrong, and how: positions in its file's text, whatever they hold.

use std::cmp::Reverse;
use std::ops::Range;

/// A place in a file's text.
pub(super) type Place = Range<usize>;

/// A place that can be changed, in one way or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// All that the changes replace. A site within it is a site of its own.
    pub(super) place: Place,
    /// What is there, and what can be done with it.
    pub(super) edit: Edit,
    /// The changes in words: one for each mutant.
    pub(super) changes: Vec<String>,
}

impl Site {
    /// The order of the text: what contains others comes before them, and what is between two
    /// characters before what begins there.
    pub(super) fn order(&self) -> (usize, bool, Reverse<usize>) {
        let Range { start, end } = self.place;
        (start, end > start, Reverse(end))
    }
}

/// What stands at a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Two expressions that are compared.
    Compare(Binary),
    /// A value that is computed of two expressions.
    Compute(Binary),
    /// An assignment with an operator.
    Assign(Binary),
    /// A `!` or `-` before an expression, to be removed.
    Unary(Place),
    /// A match arm behind whose pattern there is a guard, perhaps.
    Arm {
        /// The guard.
        guard: Option<Place>,
        /// Whether the arm can be deleted.
        may_go: bool,
        /// Whether the guard can be replaced by `true` and by `false`.
        may_be_fixed: bool,
    },
    /// A struct expression with a base: its fields, with the commas behind them.
    Fields(Vec<Place>),
    /// The beginning of a body, where these values can be returned at once.
    Values(Vec<String>),
    /// A body that is an iterator, which can be emptied.
    Iterator,
}

/// A binary operator with its operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binary {
    pub(super) left: Place,
    pub(super) operator: &'static str,
    pub(super) right: Place,
    pub(super) others: &'static [&'static str],
}
