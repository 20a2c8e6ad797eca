//! What happens before a model begins, played by hand.

use alloc::vec::Vec;

use super::machine::{Add, Adder};
use super::scenarios::Checked;
use crate::protocol::NodeId;
use crate::raft::{Raft, Timer};
use crate::world::{Action, Envelope, World};

type Message = Envelope<crate::raft::message::Message<Add>>;

/// Steps from the start of a scenario, told as who does what.
pub(super) struct Prologue<'a> {
    scenario: &'a Checked,
    pub(super) world: World<Raft<Adder>>,
    pub(super) steps: Vec<Action<Raft<Adder>>>,
}

impl<'a> Prologue<'a> {
    pub(super) fn of(scenario: &'a Checked) -> Self {
        let world = World::initial(scenario);
        let steps = Vec::new();
        Self {
            scenario,
            world,
            steps,
        }
    }

    fn play(mut self, action: Action<Raft<Adder>>) -> Self {
        let played = self.world.apply(self.scenario, &action);
        assert!(played.is_ok(), "not possible: {action:?}");
        self.steps.push(action);
        self
    }

    pub(super) fn fire(self, node: NodeId, timer: Timer) -> Self {
        self.play(Action::Fire { node, timer })
    }

    pub(super) fn ask(self, client: usize, node: NodeId) -> Self {
        self.play(Action::Ask { client, node })
    }

    /// Cuts the node off from all others.
    pub(super) fn isolate(self, node: NodeId) -> Self {
        self.play(Action::Isolate(node))
    }

    pub(super) fn crash(self, node: NodeId) -> Self {
        self.play(Action::Crash(node))
    }

    /// The node crashes, and starts again.
    pub(super) fn restart(self, node: NodeId) -> Self {
        self.crash(node).play(Action::Restart(node))
    }

    /// The node is down, and its disk is lost.
    pub(super) fn lose_disk(self, node: NodeId) -> Self {
        self.crash(node).play(Action::LoseDisk(node))
    }

    /// What the node has written gets to its disk, and what waits for it leaves.
    pub(super) fn sync(self, node: NodeId) -> Self {
        self.play(Action::Sync(node))
    }

    /// Delivers what is under way from one node to another.
    pub(super) fn deliver(self, from: NodeId, to: NodeId) -> Self {
        self.each(from, to, Action::Deliver)
    }

    /// Drops all that is under way.
    pub(super) fn lose_all(mut self) -> Self {
        while let Some(message) = self.world.network.in_flight().into_iter().next() {
            self = self.play(Action::Drop(message));
        }
        self
    }

    /// Drops what is under way from one node to another.
    pub(super) fn lose(self, from: NodeId, to: NodeId) -> Self {
        self.each(from, to, Action::Drop)
    }

    fn each(mut self, from: NodeId, to: NodeId, what: fn(Message) -> Action<Raft<Adder>>) -> Self {
        for message in self.world.network.in_flight() {
            let is_there = self.world.network.in_flight().contains(&message);
            if (message.from, message.to) == (from, to) && is_there {
                self = self.play(what(message));
            }
        }
        self
    }
}
