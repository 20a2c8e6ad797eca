//! Messages under way in the simulation, and those of the world that stand for them.

use std::collections::{BTreeMap, BTreeSet};

use models::NodeId;
use models::specification::Specification;
use models::world::{Action, Envelope, World};

use super::{Outcome, Refinement, Refuted};

/// A message, its sender and its receiver.
pub(super) type Parcel<M> = Envelope<M>;

/// How the messages of the world, of which equals are one, stand for those of the simulation.
pub(super) struct Copies<P: Specification> {
    /// How many of each are under way in the simulation.
    under_way: BTreeMap<Parcel<P::Message>, usize>,
    /// What is under way in the world alone: its sender may be about to say it again, which is the
    /// same message in the world.
    spare: BTreeSet<Parcel<P::Message>>,
    /// What the world has sent and the simulation has still to send.
    owed: BTreeSet<Parcel<P::Message>>,
}

impl<P: Specification> Default for Copies<P> {
    fn default() -> Self {
        Self {
            under_way: BTreeMap::new(),
            spare: BTreeSet::new(),
            owed: BTreeSet::new(),
        }
    }
}

impl<P: Specification> Copies<P> {
    /// The world has sent what it has.
    pub(super) fn owe(&mut self, world: &World<P>) {
        self.owed.extend(world.network.sent().cloned());
    }

    /// What the world has sent will never be sent in the simulation.
    pub(super) fn owe_nothing(&mut self) {
        self.owed.clear();
    }

    /// One less is under way. Returns how many are left.
    fn take(&mut self, parcel: &Parcel<P::Message>) -> Option<usize> {
        let count = self.under_way.get_mut(parcel)?;
        *count -= 1;
        let left = *count;
        if left == 0 {
            self.under_way.remove(parcel);
        }
        Some(left)
    }
}

impl<P: Specification> Refinement<P> {
    /// Something else happens now: the runtime has sent by now all that the model has, and what is
    /// under way in the world alone is lost, unless its sender is still to say it again.
    pub(super) fn settle(&mut self) -> Outcome {
        // What was sent while nobody ran yet is sent as the nodes are added.
        let owed = self.copies.owed.first().filter(|_| self.unborn.is_empty());
        if let Some(owed) = owed {
            return Err(self.refuted(format!("in the model something is sent as well: {owed:?}")));
        }
        let spares = std::mem::take(&mut self.copies.spare);
        for parcel in spares {
            match self.holds_back(parcel.from) {
                true => drop(self.copies.spare.insert(parcel)),
                false => self.act(Action::Drop(parcel))?,
            }
        }
        Ok(())
    }

    pub(super) fn sent(&mut self, parcel: Parcel<P::Message>, lost: bool) -> Outcome {
        if !self.world.network.under_way().any(|other| *other == parcel) {
            return Err(self.refuted(format!("in the model nobody sends {parcel:?}")));
        }
        self.copies.owed.remove(&parcel);
        if lost {
            self.retire(parcel);
            return Ok(());
        }
        self.copies.spare.remove(&parcel);
        *self.copies.under_way.entry(parcel).or_default() += 1;
        Ok(())
    }

    /// A message is gone that has arrived where nobody heard it.
    pub(super) fn missed(&mut self, parcel: Parcel<P::Message>) -> Outcome {
        if self.copies.take(&parcel).is_none() {
            return Err(self.refuted(format!("nobody has sent {parcel:?}")));
        }
        self.retire(parcel);
        Ok(())
    }

    /// The arrival of a message, which may be under way once more.
    pub(super) fn arrival(&mut self, parcel: Parcel<P::Message>) -> Result<Action<P>, Refuted> {
        let Some(left) = self.copies.take(&parcel) else {
            return Err(self.refuted(format!("nobody has sent {parcel:?}")));
        };
        let may_be_said_again = self.holds_back(parcel.from);
        if left == 0 && !may_be_said_again {
            return Ok(Action::Deliver(parcel));
        }
        if left == 0 {
            self.copies.spare.insert(parcel.clone());
        }
        Ok(Action::Duplicate(parcel))
    }

    /// A message of the simulation is lost.
    fn retire(&mut self, parcel: Parcel<P::Message>) {
        if !self.copies.under_way.contains_key(&parcel) {
            self.copies.spare.insert(parcel);
        }
    }

    /// The node has crashed: what is under way of it in the world alone is lost.
    pub(super) fn drop_spares(&mut self, from: NodeId) -> Outcome {
        let under_way = self.world.network.in_flight().into_iter();
        let is_spare = |parcel: &Parcel<P::Message>| {
            parcel.from == from && !self.copies.under_way.contains_key(parcel)
        };
        let spares: Vec<_> = under_way.filter(is_spare).collect();
        for parcel in spares {
            self.copies.spare.remove(&parcel);
            self.act(Action::Drop(parcel))?;
        }
        Ok(())
    }
}
