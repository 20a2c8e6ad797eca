//! Storms: a service's protocol on the simulated runtime, from a seed, and its model beside it.
//!
//! ```text
//! cargo test -p lockstep storm                          # some, of seeds that are drawn
//! LOCKSTEP_STORMS=1000 cargo test -p lockstep storm     # so many of each kind
//! LOCKSTEP_STORM=17 cargo test -p lockstep files_storm  # that of this seed
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use lockstep::runtime::sim::{SimulatedEvent, Simulation, SimulationOptions};
use lockstep::runtime::timers::TimerSpan;
use models::specification::Specification;
use models::world::Scenario;
use models::{Node, NodeId};

use super::refinement::{Refinement, Refuted};

/// So many storms of each kind.
const HOW_MANY: &str = "LOCKSTEP_STORMS";
/// The seed of the only one.
const SEED: &str = "LOCKSTEP_STORM";

/// A simulation in a storm, and the world of its model beside it.
pub(crate) struct Storm<P: Specification> {
    pub(crate) simulation: Simulation<P>,
    pub(crate) refinement: Refinement<P>,
    pub(crate) rng: Rng,
    nodes: Vec<NodeId>,
    /// How often it has happened, of what the model does not see.
    counts: Shown,
}

/// What storms have shown, and how often.
pub(crate) type Shown = BTreeMap<&'static str, usize>;

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A bad network, and disks that take their time.
pub(crate) fn weather(seed: u64) -> SimulationOptions {
    SimulationOptions {
        seed,
        latency: millis(0)..=millis(30),
        loss: 0.1,
        fsync: millis(0)..=millis(20),
        checkpoint_after_bytes: 3000,
        checkpoint: millis(0)..=millis(300),
    }
}

impl<P: Specification> Storm<P> {
    pub(crate) fn new(
        options: SimulationOptions,
        spans: impl Fn(&P::Timer) -> TimerSpan + Send + Sync + 'static,
        scenario: Scenario<P>,
    ) -> Result<Self, Refuted> {
        let rng = Rng::with_seed(options.seed);
        let nodes = scenario.nodes.clone();
        let mut storm = Self {
            simulation: Simulation::new(options, spans),
            refinement: Refinement::new(scenario),
            rng,
            nodes: nodes.iter().map(P::id).collect(),
            counts: Shown::new(),
        };
        storm.simulation.trace();
        for node in nodes {
            storm.simulation.add(node);
            storm.follow()?;
        }
        Ok(storm)
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node<P> {
        let node = self.simulation.node(id);
        node.unwrap_or_else(|| panic!("{id} is down"))
    }

    /// Counts something that has happened.
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// What the storm has shown: what was counted, and what the model has features and witnesses for.
    pub(crate) fn shown(&self) -> Shown {
        let mut shown = self.counts.clone();
        shown.extend(self.refinement.seen().iter().map(|&what| (what, 1)));
        shown
    }

    fn follow(&mut self) -> Result<(), Refuted> {
        self.refinement.follow(&mut self.simulation)
    }

    /// A client asks a node what it wants now, time and again the same until it is answered.
    pub(crate) fn ask(&mut self, client: usize, node: NodeId) -> Result<(), Refuted> {
        let Some(command) = self.refinement.next_request(client).cloned() else {
            return Ok(());
        };
        self.refinement.asks(client);
        self.simulation.ask(node, command);
        self.follow()
    }

    pub(crate) fn crash(&mut self, id: NodeId) -> Result<(), Refuted> {
        self.simulation.crash(id);
        self.follow()
    }

    pub(crate) fn restart(&mut self, id: NodeId) -> Result<(), Refuted> {
        self.simulation.restart(id);
        self.follow()
    }

    pub(crate) fn lose_disk(&mut self, id: NodeId) -> Result<(), Refuted> {
        self.simulation.lose_disk(id);
        self.follow()?;
        self.restart(id)
    }

    /// From now on a node's disk says that it has flushed, and has not.
    pub(crate) fn lie(&self, id: NodeId) {
        if let Some(disk) = self.simulation.disk(id) {
            disk.set_lying(true);
        }
    }

    /// Crashes, cuts, and what mends them.
    pub(crate) fn disturb(&mut self) -> Result<(), Refuted> {
        let (one, two) = (self.any_node(), self.any_node());
        match self.rng.u8(..100) {
            0 | 1 => self.crash(one)?,
            2 => {
                for id in self.nodes.clone() {
                    self.crash(id)?;
                }
            }
            3..=5 => {
                self.count("a link is cut");
                self.simulation.cut(one, two);
            }
            6..=13 => self.simulation.heal(),
            14..=35 => self.restart(one)?,
            36..=38 => self.isolate(one),
            _ => {}
        }
        Ok(())
    }

    /// Cuts a node off from all others, both ways.
    fn isolate(&mut self, id: NodeId) {
        self.count("a node is cut off");
        for &other in &self.nodes {
            if other != id {
                self.simulation.cut(id, other);
                self.simulation.cut(other, id);
            }
        }
    }

    pub(crate) fn any_node(&mut self) -> NodeId {
        self.nodes[self.rng.usize(..self.nodes.len())]
    }

    /// Lets a moment pass, which may be short or long.
    pub(crate) fn pause(&mut self) -> Result<(), Refuted> {
        let pause = millis(self.rng.u64(1..60));
        self.run_for(pause)
    }

    pub(crate) fn run_for(&mut self, span: Duration) -> Result<(), Refuted> {
        let end = self.simulation.now() + span;
        while self.simulation.run_next(end) {
            self.follow()?;
        }
        Ok(())
    }

    pub(crate) fn take_events(&mut self) -> Vec<SimulatedEvent<P::Event>> {
        self.simulation.take_events()
    }

    /// Ends all that disturbs: links are whole, nothing is lost, and all nodes run.
    pub(crate) fn calm_down(&mut self) -> Result<(), Refuted> {
        self.simulation.heal();
        self.simulation.set_loss(0.0);
        for id in self.nodes.clone() {
            self.restart(id)?;
        }
        Ok(())
    }
}

/// Lets so many storms come, or those that the environment names: half of them from the seeds 1, 2, 3
/// and so on, the others from seeds that are drawn. All of them together must show what is listed.
///
/// # Panics
/// When one is refuted; with the way to see it again.
pub(crate) fn storms(
    name: &str,
    count: u64,
    storm: impl Fn(u64) -> Result<Shown, Refuted>,
    must_show: &[&str],
) {
    let mut shown = Shown::new();
    for seed in seeds(count) {
        let _reminder = Reminder { name, seed };
        match storm(seed) {
            Ok(more) => {
                for (what, often) in more {
                    *shown.entry(what).or_default() += often;
                }
            }
            Err(refuted) => panic!("{refuted}"),
        }
    }
    let mut lacks = must_show.iter().filter(|what| !shown.contains_key(*what));
    if number(SEED).is_none() {
        assert_eq!(lacks.next(), None, "the storms have shown only {shown:?}");
    }
}

/// Lets storms come, over something that is broken, from the seeds 1, 2, 3 and so on until one of them
/// is refuted.
///
/// # Panics
/// When none of so many is.
pub(crate) fn refuted<T>(count: u64, storm: impl Fn(u64) -> Result<T, Refuted>) -> Refuted {
    let mut outcomes = (1..=count).map(storm);
    let refuted = outcomes.find_map(Result::err);
    refuted.unwrap_or_else(|| panic!("{count} storms have not found it"))
}

fn seeds(count: u64) -> Vec<u64> {
    if let Some(seed) = number(SEED) {
        return vec![seed];
    }
    let count = number(HOW_MANY).unwrap_or(count);
    let drawn = std::iter::repeat_with(|| fastrand::u64(..));
    let fixed = 1..=count.div_ceil(2);
    fixed.chain(drawn).take(count as usize).collect()
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

/// Says how to see it again if the test panics, whoever does.
struct Reminder<'a> {
    name: &'a str,
    seed: u64,
}

impl Drop for Reminder<'_> {
    fn drop(&mut self) {
        let Self { name, seed } = self;
        if std::thread::panicking() {
            eprintln!("see it again: {SEED}={seed} cargo test -p lockstep {name}");
        }
    }
}
