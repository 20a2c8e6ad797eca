//! What has been stepped in the simulation and is not on disk yet, and what a crash leaves.

use std::collections::VecDeque;
use std::sync::Arc;

use lockstep::runtime::sim::Simulation;
use models::specification::Specification;
use models::world::{Action, Disk, Host, World};
use models::{Input, Node, NodeId};

use super::network::Parcel;
use super::{Outcome, Refinement, Step};

/// What a node's disk has still to do.
pub(super) struct Behind<P: Specification> {
    /// How many frames are on disk, of those since the node was started.
    pub(super) flushed: u64,
    /// The steps that the world takes when they are on disk.
    deferred: VecDeque<Deferred<P>>,
    /// The steps that it has taken, of which the disk has not got all.
    buffered: VecDeque<Buffered<P>>,
    /// How many effects have left that had waited.
    released: usize,
}

impl<P: Specification> Default for Behind<P> {
    fn default() -> Self {
        Self {
            flushed: 0,
            deferred: VecDeque::new(),
            buffered: VecDeque::new(),
            released: 0,
        }
    }
}

struct Deferred<P: Specification> {
    step: Step<P>,
    /// How many frames must be on disk.
    frames: u64,
    /// The node after it.
    node: Node<P>,
}

struct Buffered<P: Specification> {
    frames: u64,
    /// What the disk remembers with these frames.
    durable: P::Durable,
    /// How many effects have been held back so far, since the node was started.
    held: usize,
}

impl<P: Specification> Refinement<P> {
    /// Whether something that the node has said waits for its disk in the world.
    pub(super) fn holds_back(&self, id: NodeId) -> bool {
        matches!(
            self.world.host(id),
            Some(Host::Up {
                on_disk: Some(_),
                ..
            })
        )
    }

    pub(super) fn defer(&mut self, step: Step<P>, frames: u64, node: Node<P>) {
        let behind = self.behind.entry(step.node).or_default();
        behind.deferred.push_back(Deferred { step, frames, node });
    }

    /// Takes the steps whose records are on disk.
    pub(super) fn catch_up(&mut self, id: NodeId) -> Outcome {
        while let Some(Deferred { step, node, .. }) = self.next_on_disk(id) {
            self.take_step(step)?;
            self.hear(id);
            self.compare(id, Some(&node))?;
        }
        Ok(())
    }

    fn next_on_disk(&mut self, id: NodeId) -> Option<Deferred<P>> {
        let behind = self.behind.get_mut(&id)?;
        let flushed = behind.flushed;
        behind.deferred.pop_front_if(|step| step.frames <= flushed)
    }

    /// Notes a step that the world has taken, if the disk has not got all of it.
    pub(super) fn note_buffered(&mut self, id: NodeId, frames: u64) {
        let Some(Host::Up { node, held, .. }) = self.world.host(id) else {
            return;
        };
        let (durable, held) = (node.durable().clone(), held.len());
        let behind = self.behind.entry(id).or_default();
        if frames > behind.flushed {
            behind.buffered.push_back(Buffered {
                frames,
                durable,
                held: behind.released + held,
            });
        }
    }

    /// The first of the steps that wait are on disk, and what they had to say leaves.
    pub(super) fn sync(&mut self, id: NodeId) -> Outcome {
        let behind = self.behind.entry(id).or_default();
        let flushed = behind.flushed;
        let mut last = None;
        while let Some(step) = behind.buffered.pop_front_if(|it| it.frames <= flushed) {
            last = Some(step);
        }
        let Some(last) = last else { return Ok(()) };
        let leaving = last.held - behind.released;
        behind.released = last.held;
        let on_disk = (!behind.buffered.is_empty()).then_some(last.durable);
        self.transition(Action::Sync(id), |scenario, world, action| {
            let waits = host(world, id).map_or(Vec::new(), |host| match host {
                Host::Up { held, .. } => held.split_off(leaving),
                Host::Down { .. } => Vec::new(),
            });
            world.enact(scenario, action);
            if let Some(Host::Up {
                held,
                on_disk: there,
                ..
            }) = host(world, id)
            {
                *held = waits;
                *there = on_disk;
            }
        })
    }

    /// A node crashes. The world's disk then remembers what that of the runtime does, whatever that is,
    /// and the properties judge it.
    pub(super) fn crash(&mut self, simulation: &Simulation<P>, id: NodeId) -> Outcome {
        self.settle()?;
        if self.world.host(id).is_none_or(|host| host.node().is_none()) {
            return Ok(());
        }
        let remembered = simulation.remembered(id).unwrap_or_default();
        self.learn_unheard(id, &remembered)?;
        let is_right = self.world.host(id).map(Host::on_disk) == Some(&remembered);
        self.stop(id, &remembered)?;
        if is_right {
            return Ok(());
        }
        Err(self.refuted(format!(
            "{id}'s disk remembers what it never was to: {remembered:?}"
        )))
    }

    pub(super) fn lose_disk(&mut self, id: NodeId) -> Outcome {
        self.settle()?;
        let Some(host) = self.world.host(id) else {
            return Ok(());
        };
        let on_disk = host.on_disk().clone();
        if host.node().is_some() {
            self.stop(id, &on_disk)?;
        }
        match on_disk == P::Durable::default() {
            true => Ok(()),
            false => self.act(Action::LoseDisk(id)),
        }
    }

    fn stop(&mut self, id: NodeId, remembered: &P::Durable) -> Outcome {
        let behind = self.behind.remove(&id).unwrap_or_default();
        self.unsaid.remove(&id);
        self.transition(Action::Crash(id), |scenario, world, action| {
            world.enact(scenario, action);
            if let Some(Host::Down { durable }) = host(world, id)
                && durable != remembered
            {
                *durable = remembered.clone();
            }
        })?;
        for Deferred { step, .. } in behind.deferred {
            if let Input::Deliver { from, message } = step.input {
                let to = id;
                self.missed(Parcel { from, to, message })?;
            }
        }
        self.copies.owe_nothing();
        self.drop_spares(id)
    }

    /// A disk may have got more than the node had learnt when it crashed. What it had to say of that
    /// nobody hears.
    fn learn_unheard(&mut self, id: NodeId, remembered: &P::Durable) -> Outcome {
        let Some(behind) = self.behind.get_mut(&id) else {
            return Ok(());
        };
        if self.world.host(id).map(Host::on_disk) == Some(remembered) {
            return Ok(());
        }
        if let Disk::Buffered = self.scenario.disk {
            let mut buffered = behind.buffered.iter();
            let is_there = buffered.any(|step| step.durable == *remembered);
            if let Some(Host::Up { on_disk, .. }) = host(&mut self.world, id)
                && is_there
            {
                *on_disk = Some(remembered.clone());
            }
            return Ok(());
        }
        let mut deferred = behind.deferred.iter();
        let last = deferred.position(|step| step.node.durable() == remembered);
        let unheard: Vec<_> = behind
            .deferred
            .drain(..last.map_or(0, |it| it + 1))
            .collect();
        // Who waits there waits no more: the node is about to crash.
        for client in &mut self.world.clients {
            client.waits_at.remove(&id);
        }
        for Deferred { mut step, node, .. } in unheard {
            step.is_heard = false;
            self.take_step(step)?;
            self.compare(id, Some(&node))?;
        }
        Ok(())
    }
}

fn host<P: Specification>(world: &mut World<P>, id: NodeId) -> Option<&mut Host<P>> {
    world.hosts.get_mut(usize::from(id.0)).map(Arc::make_mut)
}
