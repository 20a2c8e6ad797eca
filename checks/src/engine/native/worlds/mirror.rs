//! Cores and messages after what is alike has changed places.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use models::Specification;
use models::world::{Action, Change, Rename as _, World};

use super::lab::{Lab, Next, Step};
use super::tables::{Core, Handle, Hashed, Tables, core_of};
use crate::symmetry::Renaming;

/// What a thread remembers of parts after what is alike has changed places in one way: their numbers
/// and hashes then.
#[derive(Default)]
pub(super) struct Mirror {
    hosts: HashMap<u32, (u32, Hashed), FixedState>,
    ghosts: HashMap<u32, (u32, Hashed), FixedState>,
    rests: HashMap<u32, (u32, Hashed), FixedState>,
    messages: HashMap<u32, Handle, FixedState>,
}

impl Mirror {
    /// The core after what is alike has changed places.
    pub(super) fn core<P: Specification>(
        &mut self,
        tables: &Tables<P>,
        names: &Renaming,
        core: &Core,
    ) -> Core {
        let (hosts, others) = core.numbers.split_at(core.numbers.len() - 2);
        let mut parts = vec![(0, Hashed::default()); hosts.len()];
        for (id, &host) in (0..).map(models::NodeId).zip(hosts) {
            let renamed = || tables.renamed_host(host, names);
            parts[usize::from(names.node(id).0)] = *self.hosts.entry(host).or_insert_with(renamed);
        }
        let (ghost, rest) = (others[0], others[1]);
        let renamed = || tables.renamed_ghost(ghost, names);
        parts.push(*self.ghosts.entry(ghost).or_insert_with(renamed));
        let renamed = || tables.renamed_rest(rest, names);
        parts.push(*self.rests.entry(rest).or_insert_with(renamed));
        core_of(&parts)
    }

    /// The message after what is alike has changed places.
    pub(super) fn message<P: Specification>(
        &mut self,
        tables: &Tables<P>,
        names: &Renaming,
        message: Handle,
    ) -> Handle {
        *self.messages.entry(message.number).or_insert_with(|| {
            let (_, envelope) = tables.message(message.number);
            tables.handle(Arc::new(envelope.renamed(names)))
        })
    }
}

/// Whether other steps than these are possible in a veiled world after what is alike has changed
/// places, or one leads elsewhere, or a law says something else of it. `core` is the core of that
/// world, `possible` what may happen there.
pub(super) fn is_lopsided<P: Specification>(
    lab: Lab<'_, P>,
    mirror: &mut Mirror,
    names: &Renaming,
    core: &Core,
    possible: impl FnOnce(&World<P>) -> Vec<Action<P>>,
    steps: &[Arc<Step<P>>],
) -> bool {
    let world = lab.tables.world(core);
    let possible = possible(&world);
    let mut is_same = |step: &Arc<Step<P>>| {
        let action = step.action.renamed(names);
        let mirrored = lab.take(&world, core, &action);
        possible.contains(&action)
            && match (&step.outcome, mirrored) {
                (Ok(next), Ok(mirrored)) => {
                    let core = mirror.core(lab.tables, names, &next.core);
                    core.numbers == mirrored.core.numbers
                        && next.laws == mirrored.laws
                        && mirror.does(lab.tables, names, next, &mirrored)
                }
                (ours, theirs) => ours.is_err() && theirs.is_err(),
            }
    };
    possible.len() != steps.len() || !steps.iter().all(&mut is_same)
}

impl Mirror {
    /// Whether a step does to what is under way what the mirrored one does.
    fn does<P: Specification>(
        &mut self,
        tables: &Tables<P>,
        names: &Renaming,
        next: &Next,
        mirrored: &Next,
    ) -> bool {
        next.changes.len() == mirrored.changes.len()
            && next.changes.iter().all(|change| {
                let change = match change {
                    Change::Put(message) => Change::Put(self.message(tables, names, *message)),
                    Change::Take(message) => Change::Take(self.message(tables, names, *message)),
                    Change::Disconnect(node) => Change::Disconnect(names.node(*node)),
                };
                mirrored.changes.contains(&change)
            })
    }
}
