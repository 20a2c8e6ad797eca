//! Sequence diagrams: a run as a picture.
//!
//! Time runs down; each node has a lifeline, dashed while it is down. A message is an arrow
//! from the step that sent it to the step in which it arrived; one that never arrived is
//! not drawn. The picture is plain SVG: no script, no font and nothing else from outside.

mod canvas;
mod story;

use models::Specification;
use models::world::{Action, Scenario};

/// Draws the run that these actions make, as SVG. Where the run violates a property, the
/// picture ends there and says so.
pub fn sequence<P: Specification>(scenario: &Scenario<P>, actions: &[Action<P>]) -> String {
    with_notes(scenario, actions, &[])
}

/// As [`sequence`], with words across all lanes, each after so many steps.
pub fn with_notes<P: Specification>(
    scenario: &Scenario<P>,
    actions: &[Action<P>],
    notes: &[(usize, String)],
) -> String {
    let mut story = story::tell(scenario, actions);
    for (row, label) in notes {
        story.note(*row, label);
    }
    canvas::draw(&story)
}
