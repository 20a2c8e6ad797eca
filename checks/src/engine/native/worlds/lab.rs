//! Steps taken, and properties judged, in worlds whose network is veiled.

use std::cell::Cell;
use std::sync::Arc;

use derive_where::derive_where;
use models::Specification;
use models::world::{Action, Change, Disk, Envelope, Kind, Scenario, World};

use super::lessons::Lessons;
use super::tables::{Core, Handle, Tables};
use crate::arms;
use crate::engine::native::space::Marks;
use crate::examine::caught;
use crate::symmetry::Renaming;

/// Where steps are taken.
#[derive_where(Clone, Copy)]
pub(super) struct Lab<'a, P: Specification> {
    /// The rules.
    pub(super) scenario: &'a Scenario<P>,
    /// The parts.
    pub(super) tables: &'a Tables<P>,
    /// What is known of them.
    pub(super) lessons: &'a Lessons<P>,
    /// The ways in which what is alike may change places; none if that is not to be looked at.
    pub(super) renamings: &'a [Renaming],
}

/// A step from a core.
pub(super) struct Step<P: Specification> {
    /// What happens. The same actions are one.
    pub(super) action: Arc<Action<P>>,
    /// The numbers of what is counted: the kind of the action, and the arm that it goes through.
    pub(super) counted: (u16, Option<u16>),
    /// What it comes to; the message, if the model panicked.
    pub(super) outcome: Result<Next, String>,
}

impl<P: Specification> Step<P> {
    /// Whether all laws hold of it, whatever is under way.
    pub(super) fn is_closed(&self) -> bool {
        matches!(&self.outcome, Ok(next) if !next.laws.is_open())
    }
}

/// What a step comes to.
pub(super) struct Next {
    /// The core after it.
    pub(super) core: Core,
    /// What it does to what is under way.
    pub(super) changes: Box<[Change<Handle>]>,
    /// The nodes that it changes or that send something: bit `i` for node `i`.
    pub(super) touched: u64,
    /// The laws.
    pub(super) laws: Judgement,
}

/// What is to be seen in a core.
#[derive(PartialEq, Eq)]
pub(super) struct Sight {
    /// The invariants.
    pub(super) invariants: Judgement,
    /// What it shows, whatever is under way.
    pub(super) marks: Marks,
    /// The positions of the rows of what may be shown that look at what is under way.
    pub(super) look: Box<[u16]>,
    /// Whether something else is to be seen where what is alike has changed places.
    pub(super) is_lopsided: bool,
}

/// Whether some properties hold, as far as can be said without a look at what is under way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// The positions of the rows that look, up to the first that is broken without a look.
    pub(super) look: Box<[u16]>,
    /// The position of the first row that is broken without a look.
    pub(super) broken: Option<u16>,
}

impl Judgement {
    /// Whether something is broken, or may be.
    pub(super) fn is_open(&self) -> bool {
        self.broken.is_some() || !self.look.is_empty()
    }

    /// The first row that is broken, where `holds` asks in a world that is not veiled.
    ///
    /// # Errors
    /// The message, if one panics.
    pub(super) fn look_again(
        &self,
        holds: impl Fn(usize) -> bool,
    ) -> Result<Option<usize>, String> {
        let mut look = self.look.iter().copied();
        let broken = caught(|| look.find(|&row| !holds(row.into())))?;
        Ok(broken.or(self.broken).map(usize::from))
    }
}

impl<P: Specification> Lab<'_, P> {
    /// The actions that `list` lists.
    ///
    /// To see what a crash could interrupt the world runs steps here. Where one of them panics,
    /// the interrupted steps are left out: the step itself is listed, and panics when taken.
    pub(super) fn listed(self, list: impl Fn(&Scenario<P>) -> Vec<Action<P>>) -> Vec<Action<P>> {
        caught(|| list(self.scenario)).unwrap_or_else(|_| {
            let mut uninterrupted = self.scenario.clone();
            uninterrupted.faults.crash_within_step = false;
            uninterrupted.disk = Disk::WriteThrough;
            caught(|| list(&uninterrupted)).unwrap_or_default()
        })
    }

    /// Takes a step from `world`, whose core is `core`.
    ///
    /// # Errors
    /// The message, if the model panics.
    pub(super) fn take(
        self,
        world: &World<P>,
        core: &Core,
        action: &Action<P>,
    ) -> Result<Next, String> {
        let mut after = caught(|| {
            let mut after = world.clone();
            after.enact(self.scenario, action);
            after
        })?;
        let changes = after.network.take_changes();
        let touched = touched(world, &after, &changes);
        let changes = changes.into_iter().map(|change| self.note(change));
        let changes = changes.collect();
        let laws = judge(world, P::LAWS.len(), |row| {
            (P::LAWS[row].holds)(self.scenario, world, action, &after)
        })?;
        Ok(Next {
            core: self.tables.core_after(world, core, after),
            changes,
            touched,
            laws,
        })
    }

    /// The number of the kind of an action in `world`, and that of the arm that it goes through:
    /// kinds first, then arms as they come.
    pub(super) fn counted(self, world: &World<P>, action: &Action<P>) -> (u16, Option<u16>) {
        let is_it = |kind: &Kind| *kind == action.kind();
        let kind = arms::KINDS.iter().position(is_it);
        let kind = kind.expect("every kind has a number");
        let command = |client: usize| {
            let script = self.scenario.scripts.get(client)?;
            script.get(world.clients.get(client)?.next).cloned()
        };
        let arm = arms::of(action, command).map(|name| {
            let (number, _) = self.tables.arms.number(Arc::new(name));
            (arms::KINDS.len() + number as usize) as u16
        });
        (kind as u16, arm)
    }

    fn note(self, change: Change<Arc<Envelope<P::Message>>>) -> Change<Handle> {
        match change {
            Change::Put(envelope) => Change::Put(self.tables.handle(envelope)),
            Change::Take(envelope) => Change::Take(self.tables.handle(envelope)),
            Change::Disconnect(node) => Change::Disconnect(node),
        }
    }

    /// What is to be seen in a veiled world.
    ///
    /// # Errors
    /// The message, if looking at it panics whatever is under way.
    pub(super) fn sight(self, world: &World<P>) -> Result<Sight, String> {
        let invariants = judge(world, P::INVARIANTS.len(), |row| {
            (P::INVARIANTS[row].holds)(self.scenario, world)
        })?;
        let marks = Cell::new(0);
        let shown = judge(world, P::REACHABLE.len(), |row| {
            let seen = (P::REACHABLE[row].seen)(self.scenario, world);
            if !world.network.has_been_looked_at() {
                marks.set(marks.get() | Marks::from(seen) << row);
            }
            true
        })?;
        Ok(Sight {
            invariants,
            marks: marks.get(),
            look: shown.look,
            is_lopsided: false,
        })
    }
}

/// The nodes that a step has changed or that have sent something.
fn touched<P: Specification>(
    before: &World<P>,
    after: &World<P>,
    changes: &[Change<Arc<Envelope<P::Message>>>],
) -> u64 {
    let pairs = (0..).zip(before.hosts.iter().zip(&after.hosts));
    let changed = pairs.filter(|(_, (before, after))| !Arc::ptr_eq(before, after));
    let changed = changed.map(|(node, _)| node);
    let sent = changes.iter().filter_map(|change| match change {
        Change::Put(envelope) => Some(envelope.from.0),
        Change::Take(_) | Change::Disconnect(_) => None,
    });
    changed
        .chain(sent)
        .fold(0, |touched, node| touched | 1 << node)
}

/// Asks the rows of a table in order whether they hold, in a veiled world.
fn judge<P: Specification>(
    veiled: &World<P>,
    rows: usize,
    holds: impl Fn(usize) -> bool,
) -> Result<Judgement, String> {
    let (mut look, mut broken) = (Vec::new(), None);
    let next = Cell::new(0);
    // Who numbered the parts of worlds has compared them.
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
