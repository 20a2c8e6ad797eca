//! What a state shows: invariants, what must be reachable, and whether what is alike is.

use models::Specification;
use models::world::{Flight, Timing, World};

use super::Worlds;
use super::memory::{CoreId, Memory};
use super::tables::Handle;
use super::taking::breach;
use crate::engine::native::space::{Breach, Marks};
use crate::examine::{NO_PANIC, caught};
use crate::symmetry::ALIKE;

impl<P: Specification> Worlds<'_, P> {
    /// What a state shows that has not been shown.
    ///
    /// # Errors
    /// The invariant that it breaks.
    pub(super) fn look(
        &self,
        memory: &mut Memory<P>,
        core: CoreId,
        flight: &Flight<Handle>,
        marked: Marks,
    ) -> Result<Marks, Breach> {
        if !self.renamings.is_empty() && self.is_lopsided(memory, core, flight) {
            return Err(breach(ALIKE));
        }
        let sight = memory.sight(self.lab(), core);
        let sight = sight.map_err(|_| breach(NO_PANIC))?;
        let is_seen = |row: &u16| marked & (1 << *row) != 0;
        if sight.invariants.look.is_empty() && sight.look.iter().all(is_seen) {
            return match sight.invariants.broken {
                Some(row) => Err(breach(P::INVARIANTS[usize::from(row)].name)),
                None => Ok(sight.marks),
            };
        }
        let world = memory.lend_world(&self.tables, core, flight, &[]);
        let looked = self.look_at(memory, core, &world, is_seen);
        memory.give_back(core, world);
        looked
    }

    /// Whether something that may happen in a state, where it leads, or what the properties say of
    /// it, is not the same where what is alike has changed places.
    fn is_lopsided(&self, memory: &mut Memory<P>, core: CoreId, flight: &Flight<Handle>) -> bool {
        let mut can_arrive = false;
        let mut heads = flight.heads();
        let is_message = heads.any(|head| {
            let reactions = memory.reactions(self.lab(), core, *head);
            can_arrive |= reactions.is_deliverable;
            reactions.steps.is_lopsided
        });
        let timers = !can_arrive || self.scenario.timing == Timing::Any;
        is_message
            || memory.others(self.lab(), core, timers).is_lopsided
            || memory.sees_otherwise(self.lab(), core)
    }

    /// What a world shows, without a veil.
    fn look_at(
        &self,
        memory: &mut Memory<P>,
        core: CoreId,
        world: &World<P>,
        is_seen: impl Fn(&u16) -> bool,
    ) -> Result<Marks, Breach> {
        let way = memory.way(self.lab(), core);
        let sight = memory.sight(self.lab(), core);
        let sight = sight.map_err(|_| breach(NO_PANIC))?;
        // Of those that do not look it is known: see the sight.
        if let Some(way) = way {
            let mirrored = world.renamed(&self.renamings[way]);
            let holds =
                |row: u16, world| (P::INVARIANTS[usize::from(row)].holds)(self.scenario, world);
            let is_same = |&row: &u16| holds(row, world) == holds(row, &mirrored);
            if caught(|| sight.invariants.look.iter().all(is_same)) != Ok(true) {
                return Err(breach(ALIKE));
            }
        }
        let broken = sight
            .invariants
            .look_again(|row| (P::INVARIANTS[row].holds)(self.scenario, world));
        if let Some(row) = broken.map_err(|_| breach(NO_PANIC))? {
            return Err(breach(P::INVARIANTS[row].name));
        }
        let unseen = sight.look.iter().filter(|row| !is_seen(row));
        let marks = caught(|| {
            let shown =
                unseen.filter(|row| (P::REACHABLE[usize::from(**row)].seen)(self.scenario, world));
            shown.fold(sight.marks, |marks, row| marks | 1 << row)
        });
        marks.map_err(|_| breach(NO_PANIC))
    }
}
