//! Making an action happen.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::action::Action;
use super::effects::Done;
use super::flight::Delivery;
use super::history::{History, Occurrence};
use super::network::{Envelope, Network};
use super::pace::Pace;
use super::scenario::{Disk, Duplicates, Scenario, Timing};
use super::{Client, Faulted, Host, World};
use crate::protocol::{Durable, Effect, Input, Node, NodeId, Outbox};
use crate::specification::{Answer, Specification};

/// The action is not possible in this world: a trace that was written for another model, or
/// edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotEnabled;

impl fmt::Display for NotEnabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this action is not possible here; the world is unchanged")
    }
}

impl core::error::Error for NotEnabled {}

impl<P: Specification> World<P> {
    /// The world in which every disk has been set up, every node has been started from its own,
    /// and the scenario's prologue has been played.
    ///
    /// # Panics
    /// If a step of the prologue is not possible, or the knobs contradict each other.
    pub fn initial(scenario: &Scenario<P>) -> Self {
        scenario.check();
        let mut world = Self {
            hosts: Vec::new(),
            network: Network::new(scenario.delivery),
            faults: Faulted::default(),
            clients: vec![Client::default(); scenario.scripts.len()],
            pace: Pace::default(),
            history: History::default(),
            ghost: P::Ghost::default(),
            last_step: None,
        };
        for position in 0..scenario.nodes.len() {
            let disk = scenario.disks.get(position).cloned().unwrap_or_default();
            let durable = Node::format(&scenario.nodes[position], disk);
            world.hosts.push(Arc::new(Host::Down { durable }));
        }
        // All are up before the first is heard: nobody's first words are lost.
        let ids: Vec<NodeId> = world.all_hosts().map(|(id, _)| id).collect();
        let words: Vec<_> = ids.iter().map(|&id| world.boot(scenario, id)).collect();
        for (id, out) in ids.into_iter().zip(words) {
            world.release(scenario, id, out);
        }
        for action in &scenario.prologue {
            let played = world.apply(scenario, action);
            assert!(played.is_ok(), "not possible in the prologue: {action:?}");
        }
        if !scenario.prologue.is_empty() {
            world.network.discard(|_| true);
        }
        world
    }

    /// Makes `action` happen.
    ///
    /// # Errors
    /// [`NotEnabled`] if it cannot happen now. The world is then unchanged.
    pub fn apply(&mut self, scenario: &Scenario<P>, action: &Action<P>) -> Result<(), NotEnabled> {
        if !self.is_enabled(scenario, action) {
            return Err(NotEnabled);
        }
        self.apply_listed(scenario, action);
        Ok(())
    }

    /// Makes an action happen that is known to be possible, being one of those that
    /// [`actions`](Self::actions) lists, and returns the messages that were dropped as inert after
    /// it.
    pub fn apply_listed(
        &mut self,
        scenario: &Scenario<P>,
        action: &Action<P>,
    ) -> Vec<Envelope<P::Message>> {
        self.enact(scenario, action);
        self.discard_inert(scenario)
    }

    /// Makes an action happen that is known to be possible. Does not look at what is under
    /// way, and leaves there what has become inert by it.
    pub fn enact(&mut self, scenario: &Scenario<P>, action: &Action<P>) {
        self.network.begin_step();
        self.last_step = None;
        match action {
            Action::Deliver(envelope) => self.deliver(scenario, envelope),
            Action::Duplicate(envelope) => {
                self.faults.duplicates += 1;
                self.receive(scenario, envelope);
            }
            Action::Drop(envelope) => {
                self.faults.drops += 1;
                self.network.remove(envelope);
            }
            Action::Fire { node, timer } => self.fire(scenario, *node, timer),
            Action::Ask { client, node } => self.ask(scenario, *client, *node),
            Action::AskUnheard { client, node } => self.ask_unheard(scenario, *client, *node),
            Action::Crash(node) => self.crash(*node),
            Action::CrashWithin { node, input, kept } => {
                self.crash_within(scenario, *node, input, *kept);
            }
            Action::LoseDisk(node) => self.lose_disk(*node),
            Action::Restart(node) => self.restart(scenario, *node),
            Action::Sync(node) => self.sync(scenario, *node),
            Action::Cut { from, to } => {
                self.faults.cuts += 1;
                self.network.cut(*from, *to);
            }
            Action::Isolate(node) => self.isolate(*node),
            Action::Heal => self.network.heal(),
        }
    }

    /// Whether `action` may happen now.
    pub fn is_enabled(&self, scenario: &Scenario<P>, action: &Action<P>) -> bool {
        // The cheap kinds are looked up directly; the rest are rare.
        match action {
            Action::Deliver(envelope) => {
                self.network.is_head(envelope) && self.is_deliverable(envelope)
            }
            Action::Fire { node, timer } => {
                let Some(Host::Up {
                    node: state, armed, ..
                }) = self.host(*node)
                else {
                    return false;
                };
                armed.contains(timer)
                    && P::permits(&scenario.bounds, *node, state, timer)
                    && self.timers_may_fire(scenario)
                    && self.pace.is_due(*node, timer)
            }
            Action::CrashWithin { .. } => self.actions(scenario).contains(action),
            // No step is taken to see whether another may be.
            _ => self.actions(&scenario.uninterrupted()).contains(action),
        }
    }

    fn deliver(&mut self, scenario: &Scenario<P>, envelope: &Envelope<P::Message>) {
        if scenario.faults.duplicates != Duplicates::Unlimited {
            self.network.remove(envelope);
        }
        self.receive(scenario, envelope);
    }

    fn receive(&mut self, scenario: &Scenario<P>, envelope: &Envelope<P::Message>) {
        let input = Input::Deliver {
            from: envelope.from,
            message: envelope.message.clone(),
        };
        self.step(scenario, envelope.to, input);
    }

    fn fire(&mut self, scenario: &Scenario<P>, id: NodeId, timer: &P::Timer) {
        self.disarm(id, timer);
        self.step(scenario, id, Input::Fire(timer.clone()));
    }

    fn ask(&mut self, scenario: &Scenario<P>, client: usize, id: NodeId) {
        let command = self.begin(scenario, client);
        *self.clients[client].waits_at.entry(id).or_default() += 1;
        self.step(scenario, id, Input::Ask(command));
    }

    /// The request is handled, and the client does not wait for what is said to it.
    fn ask_unheard(&mut self, scenario: &Scenario<P>, client: usize, id: NodeId) {
        self.faults.lost_replies += 1;
        let command = self.begin(scenario, client);
        let waited = self.clients[client].waits_at.remove(&id);
        self.step(scenario, id, Input::Ask(command));
        // It still waits for what it has asked there before.
        if let Some(waited) = waited {
            self.clients[client].waits_at.insert(id, waited);
        }
    }

    /// Counts a try of the client's request, and notes the first.
    fn begin(&mut self, scenario: &Scenario<P>, client: usize) -> P::Command {
        let state = &mut self.clients[client];
        state.tries += 1;
        if !state.asking {
            state.asking = true;
            if scenario.keeps_history {
                self.history.push(Occurrence::Invoke { client });
            }
        }
        scenario.scripts[client][self.clients[client].next].clone()
    }

    fn crash(&mut self, id: NodeId) {
        self.faults.crashes += 1;
        let host = self.host_mut(id);
        let durable = host.on_disk().clone();
        *host = Host::Down { durable };
        self.pace.stop_all(id);
        self.network.disconnect(id);
        for client in &mut self.clients {
            client.waits_at.remove(&id);
        }
    }

    /// The step happens, `kept` of its records get to disk, and that is all anybody ever
    /// learns of it.
    fn crash_within(&mut self, scenario: &Scenario<P>, id: NodeId, input: &Input<P>, kept: usize) {
        if let Input::Deliver { from, message } = input
            && scenario.faults.duplicates != Duplicates::Unlimited
        {
            self.network.remove(&Envelope {
                from: *from,
                to: id,
                message: message.clone(),
            });
        }
        let host = self.host_mut(id);
        let before = host.on_disk().clone();
        let Host::Up { node, .. } = host else {
            return;
        };
        let protocol = &scenario.nodes[usize::from(id.0)];
        (scenario.step)(protocol, node, input.clone(), &mut Outbox::new());
        let records = node.take_records();
        let mut durable = before;
        for record in records.iter().take(kept) {
            if scenario.disk.keeps(record) {
                durable.apply(record);
            }
        }
        self.crash(id);
        *self.host_mut(id) = Host::Down { durable };
    }

    fn lose_disk(&mut self, id: NodeId) {
        self.faults.lost_disks += 1;
        *self.host_mut(id) = Host::Down {
            durable: P::Durable::default(),
        };
    }

    fn restart(&mut self, scenario: &Scenario<P>, id: NodeId) {
        let out = self.boot(scenario, id);
        self.release(scenario, id, out);
    }

    /// Starts a node from its disk, the scenario's way. What it says is still to be released.
    fn boot(&mut self, scenario: &Scenario<P>, id: NodeId) -> Outbox<P> {
        let durable = self.host_mut(id).durable().clone();
        let protocol = &scenario.nodes[usize::from(id.0)];
        let mut out = Outbox::new();
        let mut node = Node::boot(protocol, durable, &mut Outbox::new());
        node.volatile = (scenario.boot)(protocol, node.durable(), &mut out);
        *self.host_mut(id) = Host::Up {
            node,
            armed: BTreeSet::new(),
            on_disk: None,
            held: Vec::new(),
        };
        out
    }

    fn sync(&mut self, scenario: &Scenario<P>, id: NodeId) {
        let Host::Up { on_disk, held, .. } = self.host_mut(id) else {
            return;
        };
        *on_disk = None;
        let held = core::mem::take(held);
        if !held.is_empty() {
            let mut out = Outbox::new();
            held.into_iter().for_each(|effect| out.push(effect));
            self.release(scenario, id, out);
        }
    }

    fn isolate(&mut self, id: NodeId) {
        self.faults.cuts += 1;
        let others: Vec<NodeId> = self.all_hosts().map(|(other, _)| other).collect();
        for other in others.into_iter().filter(|&other| other != id) {
            self.network.cut(id, other);
            self.network.cut(other, id);
        }
    }

    /// Runs one step of one node and lets its effects out.
    fn step(&mut self, scenario: &Scenario<P>, id: NodeId, input: Input<P>) {
        let mut out = Outbox::new();
        let mut last_step = None;
        let protocol = &scenario.nodes[usize::from(id.0)];
        if let Host::Up {
            node,
            armed,
            on_disk,
            held,
        } = self.host_mut(id)
        {
            let before = unkept(scenario.disk, node, on_disk.as_ref());
            (scenario.step)(protocol, node, input, &mut out);
            last_step = Some(Done::with(out.effects(), armed));
            let records = node.take_records();
            if !matches!(scenario.disk, Disk::Buffered) {
                *on_disk = lagging(scenario.disk, node.durable(), before, &records);
            } else if !records.is_empty() {
                *on_disk = before;
            }
            if matches!(scenario.disk, Disk::Buffered) && on_disk.is_some() {
                out = hold_back(scenario.delivery, out, held);
            }
        }
        self.last_step = last_step;
        self.release(scenario, id, out);
    }

    /// Lets the effects of a step out, in order.
    fn release(&mut self, scenario: &Scenario<P>, id: NodeId, mut out: Outbox<P>) {
        if let Some(Host::Up { node, .. }) = self.hosts.get(usize::from(id.0)).map(Arc::as_ref) {
            P::observe(&mut self.ghost, id, node, out.effects());
        }
        for effect in out.drain() {
            match effect {
                Effect::Send { to, message } | Effect::SendEarly { to, message } => {
                    self.send(id, to, message);
                }
                Effect::Arm(timer) => self.arm(scenario, id, timer),
                Effect::Disarm(timer) => self.disarm(id, &timer),
                Effect::Emit(event) => self.hear(scenario, id, &event),
            }
        }
    }

    fn arm(&mut self, scenario: &Scenario<P>, id: NodeId, timer: P::Timer) {
        if scenario.timing == Timing::Synchronous {
            let hosts = (0u16..).map(NodeId).zip(&self.hosts);
            let running = hosts.flat_map(|(id, host)| host.armed().map(move |timer| (id, timer)));
            self.pace.start(id, &timer, running);
        }
        if let Host::Up { armed, .. } = self.host_mut(id) {
            armed.insert(timer);
        }
    }

    fn disarm(&mut self, id: NodeId, timer: &P::Timer) {
        self.pace.stop(id, timer);
        if let Host::Up { armed, .. } = self.host_mut(id) {
            armed.remove(timer);
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: P::Message) {
        let is_up = self.host(to).is_some_and(|host| host.node().is_some());
        self.network.send(Envelope { from, to, message }, is_up);
    }

    /// Gives an event to the clients that wait at the node.
    fn hear(&mut self, scenario: &Scenario<P>, id: NodeId, event: &P::Event) {
        for (client, state) in self.clients.iter_mut().enumerate() {
            let Some(&asked) = state.waits_at.get(&id) else {
                continue;
            };
            let command = &scenario.scripts[client][state.next];
            match P::answer(command, event) {
                None => {}
                Some(Answer::Refused) => {
                    state.waits_at.remove(&id);
                    state.tries = state.tries.saturating_sub(asked);
                }
                Some(Answer::Done) => {
                    let next = state.next + 1;
                    *state = Client {
                        next,
                        ..Client::default()
                    };
                    if scenario.keeps_history {
                        let event = event.clone();
                        self.history.push(Occurrence::Return { client, event });
                    }
                }
            }
        }
    }

    fn discard_inert(&mut self, scenario: &Scenario<P>) -> Vec<Envelope<P::Message>> {
        if !scenario.drop_inert {
            return Vec::new();
        }
        let hosts = &self.hosts;
        self.network.discard(|envelope| {
            let sender = hosts.get(usize::from(envelope.from.0));
            let receiver = hosts.get(usize::from(envelope.to.0));
            match (sender, receiver) {
                (Some(sender), Some(receiver)) => P::is_inert(envelope, sender, receiver),
                _ => false,
            }
        })
    }

    fn host_mut(&mut self, id: NodeId) -> &mut Host<P> {
        Arc::make_mut(&mut self.hosts[usize::from(id.0)])
    }
}

/// Puts what may not leave before the disk has all that the node has written behind what waits
/// already; what may leave is returned.
///
/// A node that repeats itself until its disk is done would have ever more to say. So a message is
/// held once: where it would be under way once, in a bag, and where it would follow itself.
fn hold_back<P: Specification>(
    delivery: Delivery,
    mut out: Outbox<P>,
    held: &mut Vec<Effect<P>>,
) -> Outbox<P> {
    let mut leaves = Outbox::new();
    for effect in out.drain() {
        match &effect {
            Effect::Emit(_) => held.push(effect),
            Effect::Send { to, .. } => {
                let mut to_it = held.iter().filter(
                    |other| matches!(other, Effect::Send { to: receiver, .. } if receiver == to),
                );
                let is_held = match delivery {
                    Delivery::Bag => to_it.any(|other| *other == effect),
                    Delivery::Fifo => to_it.next_back() == Some(&effect),
                };
                if !is_held {
                    held.push(effect);
                }
            }
            Effect::SendEarly { .. } | Effect::Arm(_) | Effect::Disarm(_) => leaves.push(effect),
        }
    }
    leaves
}

/// What is on a disk that lags or forgets before a step; `None` on one that has all.
fn unkept<P: Specification>(
    disk: Disk<P>,
    node: &Node<P>,
    on_disk: Option<&P::Durable>,
) -> Option<P::Durable> {
    match disk {
        Disk::WriteThrough | Disk::TornFrame => None,
        Disk::Buffered | Disk::SendBeforeSync | Disk::Amnesia { .. } => {
            Some(on_disk.unwrap_or(node.durable()).clone())
        }
    }
}

/// What is on a broken disk after a step that wrote `records`; `None` if that is what the
/// node believes.
fn lagging<P: Specification>(
    disk: Disk<P>,
    believed: &P::Durable,
    before: Option<P::Durable>,
    records: &[<P::Durable as Durable>::Record],
) -> Option<P::Durable> {
    let mut on_disk = before?;
    if let Disk::Amnesia { .. } = disk {
        for record in records.iter().filter(|record| disk.keeps(record)) {
            on_disk.apply(record);
        }
    }
    (on_disk != *believed).then_some(on_disk)
}
