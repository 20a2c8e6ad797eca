//! Properties judged in worlds whose network is veiled: what is found out without a look at what is
//! under way holds whatever is.

use std::cell::Cell;

use models::Specification;
use models::world::{Scenario, World};

use crate::examine::caught;

/// What is to be seen in a veiled world.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    /// The invariants.
    pub(crate) invariants: Judgement,
    /// The reachability properties that it shows, whatever is under way: bit `i` for row `i`.
    pub(crate) marks: u128,
    /// The positions of the reachability properties that look at what is under way.
    pub(crate) look: Box<[u16]>,
}

/// Whether some properties hold, as far as can be said without a look at what is under way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// The positions of the rows that look, up to the first that is broken without a look.
    pub(crate) look: Box<[u16]>,
    /// The position of the first row that is broken without a look.
    pub(crate) broken: Option<u16>,
}

impl Judgement {
    /// Whether something is broken, or may be.
    pub(crate) fn is_open(&self) -> bool {
        self.broken.is_some() || !self.look.is_empty()
    }

    /// The first row that is broken, where `holds` asks in a world that is not veiled.
    ///
    /// # Errors
    /// The message, if one panics.
    pub(crate) fn look_again(
        &self,
        holds: impl Fn(usize) -> bool,
    ) -> Result<Option<usize>, String> {
        let mut look = self.look.iter().copied();
        let broken = caught(|| look.find(|&row| !holds(row.into())))?;
        Ok(broken.or(self.broken).map(usize::from))
    }
}

/// Looks at a veiled world.
///
/// # Errors
/// The message, if looking at it panics whatever is under way.
pub(crate) fn look<P: Specification>(
    scenario: &Scenario<P>,
    veiled: &World<P>,
) -> Result<Sight, String> {
    let invariants = judge(veiled, P::INVARIANTS.len(), |row| {
        (P::INVARIANTS[row].holds)(scenario, veiled)
    })?;
    const { assert!(P::REACHABLE.len() <= 128, "a property for each bit") };
    let marks = Cell::new(0);
    let shown = judge(veiled, P::REACHABLE.len(), |row| {
        let seen = (P::REACHABLE[row].seen)(scenario, veiled);
        if !veiled.network.has_been_looked_at() {
            marks.set(marks.get() | u128::from(seen) << row);
        }
        true
    })?;
    Ok(Sight {
        invariants,
        marks: marks.get(),
        look: shown.look,
    })
}

/// Asks the rows of a table in order whether they hold, in a veiled world.
pub(crate) fn judge<P: Specification>(
    veiled: &World<P>,
    rows: usize,
    holds: impl Fn(usize) -> bool,
) -> Result<Judgement, String> {
    let (mut look, mut broken) = (Vec::new(), None);
    let next = Cell::new(0);
    // An earlier look is none of these rows'.
    veiled.network.take_looked();
    while next.get() < rows {
        // What a row says of a world without messages, after a look at them, says nothing of
        // others; nor does its panic.
        let judged = caught(|| {
            while next.get() < rows {
                let row = next.replace(next.get() + 1);
                let answer = holds(row);
                if veiled.network.take_looked() {
                    look.push(row as u16);
                } else if !answer {
                    broken = Some(row as u16);
                    next.set(rows);
                }
            }
        });
        if let Err(panic) = judged {
            if !veiled.network.take_looked() {
                return Err(panic);
            }
            look.push((next.get() - 1) as u16);
        }
    }
    Ok(Judgement {
        look: look.into(),
        broken,
    })
}
