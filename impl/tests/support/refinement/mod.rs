//! A world of a model beside a simulation of the runtime. It takes the very actions that the
//! simulated nodes take, so that the model's own properties are judged of what the runtime does.
//!
//! Verifies, after each action: that the model can take it; that the node is then in the runtime what
//! it is in the model, what it remembers and what a crash forgets; that it says the same to its host,
//! in the same order, and sends nothing else, and nothing that its disk has to have first; that after a
//! crash its disk remembers what was flushed; that every law holds of the transition and every invariant
//! of the state. Not verified: which timers run, but for those that run out; what the host does with
//! what it is told.
//!
//! Messages of the runtime arrive in order, and none is duplicated. The world has a bag, which allows
//! more: equal messages under way are one there, that arrives again. A link that is cut loses what is
//! sent on it.
//!
//! When does a step of the runtime happen? Its records may not be on disk yet:
//!
//! - Where the world's disk is [`Disk::Buffered`], at once, as for a protocol that sends something
//!   early. An fsync covers what was written when it began, and so may come when more is written: then
//!   what it covers leaves, and the rest goes on waiting (`sync`).
//! - Where it is [`Disk::WriteThrough`], when its records are on disk. Nobody has learnt of it before,
//!   so that it might as well not have been taken yet; a crash before makes that so.

mod disk;
mod network;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Display};

use lockstep::runtime::sim::{Simulation, Traced};
use models::specification::Specification;
use models::trace::{describe, hosts};
use models::world::{Action, Client, Disk, Faulted, Host, Scenario, World};
use models::{Effect, Input, Node, NodeId, Outbox};

use self::disk::Behind;
use self::network::{Copies, Parcel};

/// So many actions are shown of what led to a failure.
const SHOWN: usize = 30;

pub(crate) struct Refinement<P: Specification> {
    scenario: Scenario<P>,
    world: World<P>,
    /// The nodes that the world has started and the simulation has not.
    unborn: BTreeSet<NodeId>,
    /// What the disks of the nodes have still to do.
    behind: BTreeMap<NodeId, Behind<P>>,
    /// What each node has still to say to its host.
    unsaid: BTreeMap<NodeId, VecDeque<P::Event>>,
    copies: Copies<P>,
    /// Who asks next.
    asker: Option<Asker>,
    recent: VecDeque<(World<P>, Action<P>)>,
    seen: BTreeSet<&'static str>,
}

/// A client that asks the request at this position of its script.
#[derive(Clone, Copy)]
struct Asker {
    client: usize,
    position: usize,
}

/// A step that a node of the simulation has taken.
struct Step<P: Specification> {
    node: NodeId,
    input: Input<P>,
    /// Who has asked, if somebody has.
    asker: Option<Asker>,
    /// Whether anybody hears what it says at once.
    is_heard: bool,
}

/// Why the runtime is no refinement of the model, or the model is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Refuted {
    /// The property that does not hold, or what the two differ in.
    pub(crate) what: String,
    /// The last actions and the world after them, in words.
    trace: Vec<String>,
}

impl Refuted {
    /// Whether it is a property of the protocol that does not hold.
    pub(crate) fn is_property_of<P: Specification>(&self) -> bool {
        let laws = P::LAWS.iter().map(|law| law.name);
        let mut names = laws.chain(P::INVARIANTS.iter().map(|invariant| invariant.name));
        names.any(|name| name == self.what)
    }
}

impl Display for Refuted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the last actions, and the nodes after them:")?;
        for line in &self.trace {
            writeln!(f, "  {line}")?;
        }
        write!(f, "VIOLATED: {}", self.what)
    }
}

type Outcome = Result<(), Refuted>;

impl<P: Specification> Refinement<P> {
    /// Beside a simulation that is empty yet, and is going to have the scenario's nodes.
    pub(crate) fn new(mut scenario: Scenario<P>) -> Self {
        // What is inert is delivered in the runtime.
        scenario.drop_inert = false;
        let world = World::initial(&scenario);
        let mut refinement = Self {
            unborn: world.all_hosts().map(|(id, _)| id).collect(),
            behind: BTreeMap::new(),
            unsaid: BTreeMap::new(),
            copies: Copies::default(),
            asker: None,
            recent: VecDeque::new(),
            seen: BTreeSet::new(),
            scenario,
            world,
        };
        refinement.copies.owe(&refinement.world);
        refinement
    }

    /// Of the model's features and of what must be reachable in it: what has been seen.
    pub(crate) fn seen(&self) -> &BTreeSet<&'static str> {
        &self.seen
    }

    /// The world that the runtime has led to.
    pub(crate) fn world(&self) -> &World<P> {
        &self.world
    }

    /// What a client asks next; nothing when its script is done.
    pub(crate) fn next_request(&self, client: usize) -> Option<&P::Command> {
        self.scenario.scripts[client].get(self.world.clients[client].next)
    }

    /// It is this client that asks next.
    pub(crate) fn asks(&mut self, client: usize) {
        let position = self.world.clients[client].next;
        self.asker = Some(Asker { client, position });
    }

    /// Follows what has happened in the simulation, which has done nothing since.
    pub(crate) fn follow(&mut self, simulation: &mut Simulation<P>) -> Outcome {
        for happened in simulation.take_trace() {
            self.take(simulation, happened)?;
        }
        Ok(())
    }

    fn take(&mut self, simulation: &Simulation<P>, happened: Traced<P>) -> Outcome {
        match happened {
            Traced::Booted { node } => self.boot(simulation, node),
            Traced::Stepped {
                node,
                input,
                frames,
            } => self.step(simulation, node, input, frames),
            Traced::Flushed { node, frames } => self.flushed(node, frames),
            Traced::Sent {
                from,
                to,
                message,
                lost,
            } => self.sent(Parcel { from, to, message }, lost),
            Traced::Missed { from, to, message } => self.missed(Parcel { from, to, message }),
            Traced::Said { node, event } => self.said(node, &event),
            Traced::Crashed { node } => self.crash(simulation, node),
            Traced::DiskLost { node } => self.lose_disk(node),
        }
    }

    fn boot(&mut self, simulation: &Simulation<P>, id: NodeId) -> Outcome {
        if !self.unborn.remove(&id) {
            self.settle()?;
            self.act(Action::Restart(id))?;
        }
        self.behind.insert(id, Behind::default());
        let durable = self.durable(id);
        let mut out = Outbox::new();
        (self.scenario.boot)(self.protocol(id), &durable, &mut out);
        let events = out.drain().filter_map(|effect| match effect {
            Effect::Emit(event) => Some(event),
            _ => None,
        });
        self.unsaid.insert(id, events.collect());
        self.compare(id, simulation.node(id))
    }

    fn step(
        &mut self,
        simulation: &Simulation<P>,
        id: NodeId,
        input: Input<P>,
        frames: u64,
    ) -> Outcome {
        self.settle()?;
        let Some(node) = simulation.node(id) else {
            return Ok(());
        };
        let step = Step {
            node: id,
            input,
            asker: self.asker.take(),
            is_heard: true,
        };
        if let Disk::Buffered = self.scenario.disk {
            self.take_step(step)?;
            self.hear(id);
            self.compare(id, Some(node))?;
            self.note_buffered(id, frames);
            return Ok(());
        }
        self.defer(step, frames, node.clone());
        self.catch_up(id)
    }

    fn flushed(&mut self, id: NodeId, frames: u64) -> Outcome {
        self.settle()?;
        self.behind.entry(id).or_default().flushed = frames;
        match self.scenario.disk {
            Disk::Buffered => self.sync(id),
            _ => self.catch_up(id),
        }
    }

    /// Takes a step of the runtime in the world.
    fn take_step(&mut self, step: Step<P>) -> Outcome {
        let (node, asker, is_heard) = (step.node, step.asker, step.is_heard);
        match step.input {
            Input::Deliver { from, message } => {
                let to = node;
                let arrival = self.arrival(Parcel { from, to, message })?;
                self.act(arrival)
            }
            Input::Fire(timer) => self.act(Action::Fire { node, timer }),
            Input::Ask(_) => asker.map_or(Ok(()), |it| self.take_question(node, it, is_heard)),
        }
    }

    /// A client asks, or has asked: by now it may have been answered elsewhere, and ask something else.
    fn take_question(&mut self, node: NodeId, asker: Asker, is_heard: bool) -> Outcome {
        let Asker { client, position } = asker;
        match (self.world.clients[client].next == position, is_heard) {
            (true, true) => return self.act(Action::Ask { client, node }),
            (true, false) => return self.act(Action::AskUnheard { client, node }),
            (false, _) => {}
        }
        let then = Client {
            next: position,
            asking: true,
            ..Client::default()
        };
        let now = std::mem::replace(&mut self.world.clients[client], then);
        let outcome = self.act(Action::AskUnheard { client, node });
        self.world.clients[client] = now;
        outcome
    }

    /// Notes what the step has to say to its node's host.
    fn hear(&mut self, id: NodeId) {
        let done = self.world.last_step.iter();
        let emitted = done.flat_map(|done| done.emitted.iter().cloned());
        self.unsaid.entry(id).or_default().extend(emitted);
    }

    fn said(&mut self, id: NodeId, event: &P::Event) -> Outcome {
        let due = self.unsaid.entry(id).or_default().pop_front();
        if due.as_ref() == Some(event) {
            return Ok(());
        }
        Err(self.refuted(format!("{id} says {event:?}, and in the model {due:?}")))
    }

    /// Makes an action happen in the world and judges it.
    fn act(&mut self, action: Action<P>) -> Outcome {
        let is_possible = match &action {
            Action::Deliver(_) | Action::Fire { .. } => {
                self.world.is_enabled(&self.scenario, &action)
            }
            Action::Duplicate(parcel) => self.world.is_deliverable(parcel),
            Action::Restart(id) => self.world.host(*id).is_some_and(|it| it.node().is_none()),
            _ => true,
        };
        if !is_possible {
            let words = describe(&self.scenario, &self.world, &action);
            return Err(self.refuted(format!("not possible in the model: {words}")));
        }
        self.transition(action, |scenario, world, action| {
            world.enact(scenario, action);
        })
    }

    /// Makes a transition of the world and judges it: as `enact` makes it, by this action.
    fn transition(
        &mut self,
        action: Action<P>,
        enact: impl FnOnce(&Scenario<P>, &mut World<P>, &Action<P>),
    ) -> Outcome {
        let mut after = self.world.clone();
        enact(&self.scenario, &mut after, &action);
        let before = std::mem::replace(&mut self.world, after);
        self.copies.owe(&self.world);
        let broken = self.broken(&before, &action);
        self.witness(&before, &action);
        if self.recent.len() == SHOWN {
            self.recent.pop_front();
        }
        self.recent.push_back((before, action));
        self.count_no_further();
        broken.map_or(Ok(()), |name| Err(self.refuted(name.to_owned())))
    }

    /// Budgets are for worlds that have to end: that something has happened is all that counts here.
    fn count_no_further(&mut self) {
        let faults = &mut self.world.faults;
        *faults = Faulted {
            drops: faults.drops.min(1),
            duplicates: faults.duplicates.min(1),
            crashes: faults.crashes.min(1),
            cuts: faults.cuts.min(1),
            lost_replies: faults.lost_replies.min(1),
            lost_disks: faults.lost_disks.min(1),
        };
        for client in &mut self.world.clients {
            client.tries = client.tries.min(1);
            for asked in client.waits_at.values_mut() {
                *asked = (*asked).min(1);
            }
        }
    }

    /// The first property that the transition breaks.
    fn broken(&self, before: &World<P>, action: &Action<P>) -> Option<&'static str> {
        let (scenario, after) = (&self.scenario, &self.world);
        let mut laws = P::LAWS.iter();
        if let Some(law) = laws.find(|law| !(law.holds)(scenario, before, action, after)) {
            return Some(law.name);
        }
        let mut invariants = P::INVARIANTS.iter();
        let broken = invariants.find(|invariant| !(invariant.holds)(scenario, after));
        broken.map(|invariant| invariant.name)
    }

    fn witness(&mut self, before: &World<P>, action: &Action<P>) {
        let (scenario, after) = (&self.scenario, &self.world);
        for feature in P::FEATURES {
            if !self.seen.contains(feature.name)
                && (feature.happens)(scenario, before, action, after)
            {
                self.seen.insert(feature.name);
            }
        }
        for witness in P::REACHABLE {
            if !self.seen.contains(witness.name) && (witness.seen)(scenario, after) {
                self.seen.insert(witness.name);
            }
        }
    }

    /// Whether a node is in the runtime what it is in the world.
    fn compare(&self, id: NodeId, runs: Option<&Node<P>>) -> Outcome {
        let modelled = self.world.host(id).and_then(Host::node);
        if runs == modelled {
            return Ok(());
        }
        Err(self.refuted(format!(
            "{id} is not what it is in the model\nin the runtime: {runs:?}\nin the model: {modelled:?}"
        )))
    }

    fn protocol(&self, id: NodeId) -> &P {
        &self.scenario.nodes[usize::from(id.0)]
    }

    fn durable(&self, id: NodeId) -> P::Durable {
        let host = self.world.host(id);
        host.map(Host::durable).cloned().unwrap_or_default()
    }

    fn refuted(&self, what: String) -> Refuted {
        let recent = self.recent.iter();
        let mut trace: Vec<String> = recent
            .map(|(before, action)| describe(&self.scenario, before, action))
            .collect();
        trace.extend(hosts(&self.world));
        Refuted { what, trace }
    }
}
