//! Which messages need not be delivered in a state, because it makes no difference whether they
//! arrive before or after what led there.
//!
//! Two steps *commute* in a state where each leaves the other possible, as it was, and both
//! orders lead to the same state. Of the two orders the search takes one: where a step `b` led
//! from `p` to `s`, a step `a` that comes behind `b` in a fixed order of all steps, was possible
//! in `p`, and commutes with `b` there, is not taken in `s`.
//!
//! Every state is found all the same, and as early. For let `t` be a state `n + 1` steps from the
//! start, and of all pairs of a state `n` steps from the start and a step from there to `t` take
//! the one whose step `a` comes first in the order. Were it not taken, then because of such a `b`
//! and `p`; the state that `a` leads to from `p` is at most `n` steps from the start, as `p` is
//! one closer than `s`, and at least `n`, as `b` leads from it to `t`: it would make a pair with
//! an earlier step. (What sleep sets remember of the whole way, Godefroid 1996, chapter 5, breadth
//! first needs to know of the last step alone.)
//!
//! Both orders drop the same messages as inert, for what is inert stays so, and after each step all
//! are looked at whose ends it has touched; unless one step makes the other's message inert, and
//! then the two do not commute.
//!
//! Nothing is taken for granted: for each such pair both orders are gone, once, and compared.
//! A step of which a law has something to say that depends on what is under way is taken always.

use std::sync::Arc;

use models::Specification;
use models::world::Change;

use super::lab::{Lab, Next, Step};
use super::memory::{CoreId, Memory};
use super::tables::Handle;

/// A step that led from a core to another.
#[derive(Clone, Copy)]
pub(super) struct Way {
    /// Where it begins.
    pub(super) core: CoreId,
    /// The position of the step.
    pub(super) step: usize,
    /// The message that has part in it, if one does.
    pub(super) message: Option<Handle>,
}

/// Whether each of the steps that `message` has part in commutes with the step that was taken.
pub(super) fn commute<P: Specification>(
    memory: &mut Memory<P>,
    lab: Lab<'_, P>,
    way: Way,
    message: Handle,
) -> bool {
    let Ok(next) = &memory.step(way.step).outcome else {
        return false;
    };
    if disturbs(next, message) {
        return false;
    }
    let end = memory.end(way.step);
    let before = memory.reactions(lab, way.core, message).steps.range();
    let after = memory.reactions(lab, end, message).steps.range();
    before.len() == after.len()
        && before
            .zip(after)
            .all(|(before, after)| swap(memory, lab, way, before, after))
}

/// Whether the step `before`, which is possible where the way begins, is the same as `after`,
/// which is possible where it ends, and the way may be gone behind it as well.
fn swap<P: Specification>(
    memory: &mut Memory<P>,
    lab: Lab<'_, P>,
    way: Way,
    before: usize,
    after: usize,
) -> bool {
    let (first, second) = (memory.step(before), memory.step(after));
    let (Ok(next), Ok(_)) = (&first.outcome, &second.outcome) else {
        return false;
    };
    let is_disturbed = way.message.is_some_and(|taken| disturbs(next, taken));
    if is_disturbed || disconnects(next) || !is_same(first, second) {
        return false;
    }
    let Ok(taken) = &memory.step(way.step).outcome else {
        return false;
    };
    if taken.touched & next.touched != 0 {
        return false;
    }
    let (aside, end) = (memory.end(before), memory.end(after));
    // What has become inert, by what this step does to its sender, is not there any more.
    let is_gone = |taken| {
        let mut is_inert = || memory.is_inert(lab.tables, aside, taken);
        lab.scenario.drop_inert && is_inert() != Ok(false)
    };
    if way.message.is_some_and(is_gone) {
        return false;
    }
    let mut later = match way.message {
        Some(message) => memory.reactions(lab, aside, message).steps.range(),
        None => memory.others(lab, aside, true).range(),
    };
    later.any(|later| {
        let leads_there = memory.end(later) == end;
        leads_there && is_same(memory.step(way.step), memory.step(later))
    })
}

/// Whether two steps are the same action, and do the same to what is under way.
fn is_same<P: Specification>(one: &Step<P>, other: &Step<P>) -> bool {
    let (Ok(one_next), Ok(other_next)) = (&one.outcome, &other.outcome) else {
        return false;
    };
    one_next.touched == other_next.touched
        && one_next.changes == other_next.changes
        && Arc::ptr_eq(&one.action, &other.action)
}

/// Whether what a step does to what is under way can make a difference to this message.
fn disturbs(next: &Next, message: Handle) -> bool {
    disconnects(next) || next.changes.contains(&Change::Put(message))
}

fn disconnects(next: &Next) -> bool {
    let is_one = |change: &Change<Handle>| matches!(change, Change::Disconnect(_));
    next.changes.iter().any(is_one)
}
