//! Steps taken in worlds whose network is veiled.

use std::sync::Arc;

use derive_where::derive_where;
use models::Specification;
use models::world::{Action, Change, Envelope, Kind, Scenario, World};

use super::lessons::Lessons;
use super::tables::{Core, Handle, Tables};
use crate::arms;
use crate::examine::caught;
use crate::symmetry::Renaming;
use crate::veiled::{Judgement, judge};

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

impl<P: Specification> Lab<'_, P> {
    /// The actions that `list` lists.
    ///
    /// To see what a crash could interrupt the world runs steps here. Where one of them panics,
    /// the interrupted steps are left out: the step itself is listed, and panics when taken.
    pub(super) fn listed(self, list: impl Fn(&Scenario<P>) -> Vec<Action<P>>) -> Vec<Action<P>> {
        caught(|| list(self.scenario)).unwrap_or_else(|_| {
            let uninterrupted = self.scenario.uninterrupted();
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
