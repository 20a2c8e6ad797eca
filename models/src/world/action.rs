//! What may happen in a world.

use alloc::vec::Vec;

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

use super::network::Envelope;
use super::scenario::{Disk, Duplicates, Scenario, Timing};
use super::{Host, World};
use crate::protocol::{Input, NodeId, Outbox, Protocol};
use crate::specification::Specification;

/// One thing that happens. A list of them is a trace.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Action<P: Protocol> {
    /// A message arrives.
    Deliver(Envelope<P::Message>),
    /// A message arrives, and will arrive again.
    Duplicate(Envelope<P::Message>),
    /// A message is lost.
    Drop(Envelope<P::Message>),
    /// A timer runs out.
    Fire {
        /// On this node.
        node: NodeId,
        /// This timer.
        timer: P::Timer,
    },
    /// A client asks a node the next request of its script, or asks it again.
    Ask {
        /// The client's position among the scripts.
        client: usize,
        /// The node.
        node: NodeId,
    },
    /// As [`Ask`](Self::Ask), but what the node answers at once never gets to the client.
    AskUnheard {
        /// The client's position among the scripts.
        client: usize,
        /// The node.
        node: NodeId,
    },
    /// A node crashes between two steps.
    Crash(NodeId),
    /// A node crashes within a step: some records are on disk, no effect has left.
    CrashWithin {
        /// The node.
        node: NodeId,
        /// What it was handling.
        input: Input<P>,
        /// How many of the step's records are on disk.
        kept: usize,
    },
    /// The disk of a crashed node is replaced by an empty one.
    LoseDisk(NodeId),
    /// A crashed node starts again.
    Restart(NodeId),
    /// What a node has written gets to its disk, where that takes its time
    /// ([`Disk::Buffered`] and broken disks), and what waits for it leaves.
    Sync(NodeId),
    /// Messages from one node no longer reach another.
    Cut {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
    },
    /// A node is cut off from all others, both ways.
    Isolate(NodeId),
    /// All links are whole again.
    Heal,
}

/// What a fair run would come to, were the state space not cut here.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Withheld<P: Protocol> {
    /// The bounds do not let this timer run out.
    Timer {
        /// On this node.
        node: NodeId,
        /// This timer.
        timer: P::Timer,
    },
    /// A client has asked as often as it may, and would ask again.
    Request {
        /// The client's position among the scripts.
        client: usize,
    },
}

/// The kind of an action, for counting and for weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Deliver,
    Duplicate,
    Drop,
    Fire,
    Ask,
    AskUnheard,
    Crash,
    CrashWithin,
    LoseDisk,
    Restart,
    Sync,
    Cut,
    Isolate,
    Heal,
}

impl<P: Protocol> Action<P> {
    /// What kind of action it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Deliver(_) => Kind::Deliver,
            Self::Duplicate(_) => Kind::Duplicate,
            Self::Drop(_) => Kind::Drop,
            Self::Fire { .. } => Kind::Fire,
            Self::Ask { .. } => Kind::Ask,
            Self::AskUnheard { .. } => Kind::AskUnheard,
            Self::Crash(_) => Kind::Crash,
            Self::CrashWithin { .. } => Kind::CrashWithin,
            Self::LoseDisk(_) => Kind::LoseDisk,
            Self::Restart(_) => Kind::Restart,
            Self::Sync(_) => Kind::Sync,
            Self::Cut { .. } => Kind::Cut,
            Self::Isolate(_) => Kind::Isolate,
            Self::Heal => Kind::Heal,
        }
    }

    /// The message that arrives, if one does.
    pub fn delivered(&self) -> Option<&P::Message> {
        match self {
            Self::Deliver(envelope) | Self::Duplicate(envelope) => Some(&envelope.message),
            _ => None,
        }
    }

    /// The timer that runs out, if one does.
    pub fn fired(&self) -> Option<&P::Timer> {
        match self {
            Self::Fire { timer, .. } => Some(timer),
            _ => None,
        }
    }

    /// The node that takes a step or changes, if it is one.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Deliver(envelope) | Self::Duplicate(envelope) => Some(envelope.to),
            Self::Fire { node, .. }
            | Self::Ask { node, .. }
            | Self::AskUnheard { node, .. }
            | Self::Crash(node)
            | Self::CrashWithin { node, .. }
            | Self::LoseDisk(node)
            | Self::Restart(node)
            | Self::Sync(node) => Some(*node),
            Self::Drop(_) | Self::Cut { .. } | Self::Isolate(_) | Self::Heal => None,
        }
    }
}

impl<P: Specification> World<P> {
    /// What a client asks by this action, if one asks.
    pub fn asked<'a>(
        &self,
        scenario: &'a Scenario<P>,
        action: &Action<P>,
    ) -> Option<&'a P::Command> {
        match action {
            Action::Ask { client, .. } | Action::AskUnheard { client, .. } => {
                scenario.scripts[*client].get(self.clients[*client].next)
            }
            _ => None,
        }
    }

    /// Everything that may happen now, in a fixed order.
    pub fn actions(&self, scenario: &Scenario<P>) -> Vec<Action<P>> {
        let mut actions = Vec::new();
        for envelope in self.network.heads() {
            actions.extend(self.actions_with(scenario, envelope));
        }
        actions.extend(self.other_actions(scenario, self.timers_may_fire(scenario)));
        actions
    }

    /// What may happen to a message that may be the next to arrive. Depends on nothing else
    /// that is under way.
    pub fn actions_with(
        &self,
        scenario: &Scenario<P>,
        envelope: &Envelope<P::Message>,
    ) -> Vec<Action<P>> {
        let mut actions = Vec::new();
        if self.faults.drops < scenario.faults.drops {
            actions.push(Action::Drop(envelope.clone()));
        }
        if self.is_deliverable(envelope) {
            if self.may_duplicate(scenario) {
                actions.push(Action::Duplicate(envelope.clone()));
            }
            actions.push(Action::Deliver(envelope.clone()));
            let input = Input::Deliver {
                from: envelope.from,
                message: envelope.message.clone(),
            };
            self.crashes_within(scenario, envelope.to, &input, &mut actions);
        }
        actions
    }

    /// What may happen but to messages. Depends on what is under way only by whether timers
    /// may run out.
    pub fn other_actions(&self, scenario: &Scenario<P>, timers_may_fire: bool) -> Vec<Action<P>> {
        let mut actions = Vec::new();
        if timers_may_fire {
            self.timer_actions(scenario, &mut actions);
        }
        self.client_actions(scenario, &mut actions);
        self.crash_actions(scenario, &mut actions);
        self.partition_actions(scenario, &mut actions);
        actions
    }

    /// Whether `envelope` can arrive now.
    pub fn is_deliverable(&self, envelope: &Envelope<P::Message>) -> bool {
        self.network.connects(envelope.from, envelope.to)
            && self
                .host(envelope.to)
                .is_some_and(|host| host.node().is_some())
    }

    pub(super) fn may_duplicate(&self, scenario: &Scenario<P>) -> bool {
        match scenario.faults.duplicates {
            Duplicates::UpTo(limit) => self.faults.duplicates < limit,
            // Delivery itself leaves the message where it is.
            Duplicates::Unlimited => false,
        }
    }

    /// Whether timers may run out now.
    pub(super) fn timers_may_fire(&self, scenario: &Scenario<P>) -> bool {
        match scenario.timing {
            Timing::Any => true,
            Timing::Quiescent | Timing::Synchronous => {
                let mut heads = self.network.heads();
                !heads.any(|envelope| self.is_deliverable(envelope))
            }
        }
    }

    fn timer_actions(&self, scenario: &Scenario<P>, actions: &mut Vec<Action<P>>) {
        for (id, node) in self.running() {
            let due = self.due(id);
            let permitted = due.filter(|timer| P::permits(&scenario.bounds, id, node, timer));
            for timer in permitted {
                let timer = timer.clone();
                let input = Input::Fire(timer.clone());
                actions.push(Action::Fire { node: id, timer });
                self.crashes_within(scenario, id, &input, actions);
            }
        }
    }

    /// The node's running timers that need not wait for shorter ones.
    fn due(&self, id: NodeId) -> impl Iterator<Item = &P::Timer> {
        let host = self.host(id).into_iter();
        let armed = host.flat_map(Host::armed);
        armed.filter(move |timer| self.pace.is_due(id, timer))
    }

    /// What would happen sooner or later and is not among the [actions](Self::actions) because
    /// the bounds end here.
    pub fn withheld(&self, scenario: &Scenario<P>) -> Vec<Withheld<P>> {
        self.withheld_while(scenario, self.timers_may_fire(scenario))
    }

    /// The same, where it is known whether timers may run out: depends on nothing else that is
    /// under way.
    pub fn withheld_while(
        &self,
        scenario: &Scenario<P>,
        timers_may_fire: bool,
    ) -> Vec<Withheld<P>> {
        let mut withheld = Vec::new();
        if timers_may_fire {
            for (id, node) in self.running() {
                let due = self.due(id);
                let beyond = due.filter(|timer| !P::permits(&scenario.bounds, id, node, timer));
                withheld.extend(beyond.map(|timer| Withheld::Timer {
                    node: id,
                    timer: timer.clone(),
                }));
            }
        }
        for (client, state) in self.clients.iter().enumerate() {
            let Some(command) = scenario.scripts[client].get(state.next) else {
                continue;
            };
            // Who may ask more than once does so when it loses patience; who may not waits as
            // long as somebody owes it an answer.
            let tries = scenario.tries_of(command);
            let is_impatient = tries > 1 || state.waits_at.is_empty();
            if is_impatient && state.tries >= tries {
                withheld.push(Withheld::Request { client });
            }
        }
        withheld
    }

    fn client_actions(&self, scenario: &Scenario<P>, actions: &mut Vec<Action<P>>) {
        let may_be_unheard = self.faults.lost_replies < scenario.faults.lost_replies;
        for (client, state) in self.clients.iter().enumerate() {
            let command = scenario.scripts[client].get(state.next);
            if let Some(command) = command.filter(|it| state.tries < scenario.tries_of(it)) {
                let nodes = || {
                    let running = self.running().map(|(node, _)| node);
                    running.filter(|&node| (scenario.asks_at)(command, node))
                };
                actions.extend(nodes().map(|node| Action::Ask { client, node }));
                if may_be_unheard {
                    actions.extend(nodes().map(|node| Action::AskUnheard { client, node }));
                }
            }
        }
    }

    fn crash_actions(&self, scenario: &Scenario<P>, actions: &mut Vec<Action<P>>) {
        let may_crash = self.faults.crashes < scenario.faults.crashes;
        let may_lose_disk = self.faults.lost_disks < scenario.faults.lost_disks;
        for (id, host) in self.all_hosts() {
            match host {
                Host::Down { durable } => {
                    // To lose an empty disk is to lose nothing.
                    if may_lose_disk && *durable != P::Durable::default() {
                        actions.push(Action::LoseDisk(id));
                    }
                    actions.push(Action::Restart(id));
                }
                Host::Up { on_disk, .. } => {
                    if may_crash {
                        actions.push(Action::Crash(id));
                    }
                    if on_disk.is_some() && scenario.disk.lags() {
                        actions.push(Action::Sync(id));
                    }
                }
            }
        }
    }

    /// The crashes that may interrupt the node while it handles `input`. One before the first
    /// record is no different from a crash between steps with the input lost, so at least one
    /// record is on disk; a frame is whole or absent, so all are, but on a disk that tears. A
    /// client whose request is being handled learns nothing of it and asks again: its requests
    /// are no inputs here.
    fn crashes_within(
        &self,
        scenario: &Scenario<P>,
        id: NodeId,
        input: &Input<P>,
        actions: &mut Vec<Action<P>>,
    ) {
        let torn = matches!(scenario.disk, Disk::TornFrame);
        // Where records lag behind, no record of an interrupted step is on disk.
        let lags = scenario.disk.lags();
        let may_crash = self.faults.crashes < scenario.faults.crashes;
        if !may_crash || lags || !torn && !scenario.faults.crash_within_step {
            return;
        }
        let Some(node) = self.host(id).and_then(Host::node) else {
            return;
        };
        let mut scratch = node.clone();
        let mut out = Outbox::new();
        let protocol = &scenario.nodes[usize::from(id.0)];
        (scenario.step)(protocol, &mut scratch, input.clone(), &mut out);
        let written = scratch.take_records().len();
        let least = if torn { 1 } else { written.max(1) };
        actions.extend((least..=written).map(|kept| Action::CrashWithin {
            node: id,
            input: input.clone(),
            kept,
        }));
    }

    fn partition_actions(&self, scenario: &Scenario<P>, actions: &mut Vec<Action<P>>) {
        if self.network.is_partitioned() {
            actions.push(Action::Heal);
        }
        if self.faults.cuts >= scenario.faults.cuts {
            return;
        }
        let ids = || self.all_hosts().map(|(id, _)| id);
        for from in ids() {
            for to in ids() {
                if from != to && self.network.connects(from, to) {
                    actions.push(Action::Cut { from, to });
                }
            }
            actions.push(Action::Isolate(from));
        }
    }
}
