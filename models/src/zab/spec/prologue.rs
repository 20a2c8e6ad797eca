//! How a model of ZAB comes to where it begins.

use alloc::vec::Vec;

use crate::protocol::NodeId;
use crate::raft::spec::Adder;
use crate::world::{Action, Scenario, World};
use crate::zab::{Timer, Zab};

use super::oracle::{Names, Oracle};

type Z = Zab<Adder, Oracle>;

/// What happens before a model begins, played by hand.
pub(super) struct Prologue<'a> {
    scenario: &'a Scenario<Z>,
    world: World<Z>,
    pub(super) steps: Vec<Action<Z>>,
}

impl<'a> Prologue<'a> {
    pub(super) fn of(scenario: &'a Scenario<Z>) -> Self {
        Self {
            scenario,
            world: World::initial(scenario),
            steps: Vec::new(),
        }
    }

    pub(super) fn act(&mut self, action: Action<Z>) {
        let played = self.world.apply(self.scenario, &action);
        assert!(played.is_ok(), "not possible in the prologue: {action:?}");
        self.steps.push(action);
    }

    /// Names `leader` to itself and to `followers`, and lets them talk until all is said.
    pub(super) fn establish(&mut self, leader: u16, followers: &[u16]) {
        let nodes: Vec<u16> = [&[leader], followers].concat();
        for &node in &nodes {
            self.name(leader, node);
        }
        self.settle(&nodes);
    }

    /// Names `leader` to `node`.
    pub(super) fn name(&mut self, leader: u16, node: u16) {
        self.act(Action::Fire {
            node: NodeId(node),
            timer: Timer::Election(Names(NodeId(leader))),
        });
    }

    pub(super) fn ask(&mut self, client: usize, node: u16) {
        let node = NodeId(node);
        self.act(Action::Ask { client, node });
    }

    /// Delivers the first message under way from `from` to `to`.
    pub(super) fn deliver(&mut self, from: u16, to: u16) {
        let link = (NodeId(from), NodeId(to));
        let mut in_flight = self.world.network.in_flight().into_iter();
        let envelope = in_flight.find(|envelope| (envelope.from, envelope.to) == link);
        self.act(Action::Deliver(envelope.expect("a message under way")));
    }

    /// Delivers what is under way between `nodes` until nothing is left.
    pub(super) fn settle(&mut self, nodes: &[u16]) {
        let is_between =
            |from: NodeId, to: NodeId| nodes.contains(&from.0) && nodes.contains(&to.0);
        loop {
            let mut in_flight = self.world.network.in_flight().into_iter();
            let next = in_flight.find(|envelope| is_between(envelope.from, envelope.to));
            let Some(envelope) = next else {
                return;
            };
            self.act(Action::Deliver(envelope));
        }
    }
}

/// Makes `play` the scenario's prologue.
pub(super) fn after(
    mut scenario: Scenario<Z>,
    play: impl FnOnce(&mut Prologue<'_>),
) -> Scenario<Z> {
    let mut prologue = Prologue::of(&scenario);
    play(&mut prologue);
    scenario.prologue = prologue.steps;
    scenario
}
