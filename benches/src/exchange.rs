//! How long a counter's nodes take to agree, and what that costs in bytes: in the simulation, where
//! nothing is lost.
//!
//! Bytes are those of the frames that carry messages between nodes, as TCP carries them: without TCP's
//! own headers, and without SWIM's packets, which are the same however increments travel.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use lockstep::counter::Counter;
use lockstep::counter::config::{Exchange, Timing, WindowConfig};
use lockstep::counter::server::node::spans;
use lockstep::runtime::recording::Recorder;
use lockstep::runtime::sim::{Simulation, SimulationOptions};
use lockstep::runtime::transport::encode_frame;
use models::counter::g_counter::{DataCentre, Incarnation};
use models::counter::state::{Persistent, Record};
use models::counter::{Command, Increment};
use models::session::{ClientId, RequestId, Sequence};
use models::{Effect, Input, Node, NodeId};

const STEP: Duration = Duration::from_millis(1);
/// Long after everything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(600);
/// More than any message takes.
const MOST_BYTES: usize = 1 << 26;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// So many nodes.
    pub nodes: u16,
    /// How increments travel.
    pub exchange: Exchange,
    /// Whether there is a sliding window, as usual.
    pub window: bool,
    /// How often a node exchanges all that it knows with another.
    pub push_pull: Duration,
    /// Decides everything that is left to chance.
    pub seed: u64,
}

/// How long a message takes: as between data centres of one continent.
pub const LATENCY: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_millis(40);

struct Counting(Arc<AtomicU64>);

impl Recorder<Counter> for Counting {
    fn booted(&mut self, _: Duration, _: &Persistent, _: &[Effect<Counter>]) {}

    fn stepped(
        &mut self,
        _: Duration,
        _: &Input<Counter>,
        _: &[Record],
        effects: &[Effect<Counter>],
    ) {
        let mut frames = Vec::new();
        for effect in effects {
            if let Effect::Send { message, .. } | Effect::SendEarly { message, .. } = effect {
                encode_frame(message, MOST_BYTES, &mut frames).expect("it has an encoding");
            }
        }
        self.0.fetch_add(frames.len() as u64, Ordering::Relaxed);
    }

    fn flush(&mut self, _: Duration, _: &Node<Counter>) {}
}

/// Nodes that count.
pub struct Nodes {
    simulation: Simulation<Counter>,
    count: u16,
    sent: Arc<AtomicU64>,
    rng: Rng,
    counted: u64,
}

impl Nodes {
    /// They all know of each other, have names, and have counted nothing.
    pub fn start(setting: Setting) -> Self {
        let options = SimulationOptions {
            seed: setting.seed,
            latency: LATENCY,
            ..SimulationOptions::default()
        };
        let timing = Timing {
            push_pull_ms: u64::try_from(setting.push_pull.as_millis()).expect("not so long"),
            ..Timing::default()
        };
        let spans = spans(&timing, setting.exchange, Arc::default());
        let mut simulation = Simulation::new(options, spans);
        let sent = Arc::new(AtomicU64::new(0));
        let counting = sent.clone();
        simulation.record(move |_| Box::new(Counting(counting.clone())));
        let ids = || (1..=setting.nodes).map(NodeId);
        for id in ids() {
            let mut counter = Counter::new(id, DataCentre(0), ids());
            counter.window = WindowConfig::default().window().filter(|_| setting.window);
            simulation.add(counter);
            let incarnation = Incarnation(setting.seed ^ u64::from(id.0));
            simulation.ask(id, Command::Identify { incarnation });
        }
        simulation.run_for(Duration::from_secs(1));
        Self {
            simulation,
            count: setting.nodes,
            sent,
            rng: Rng::with_seed(setting.seed),
            counted: 0,
        }
    }

    /// One of them counts one.
    fn count_one(&mut self) {
        self.counted += 1;
        let node = NodeId(self.rng.u16(1..=self.count));
        let now = u64::try_from(self.simulation.now().as_millis()).expect("not so long");
        let increment = Increment {
            request: RequestId {
                client: ClientId::new(1),
                sequence: Sequence(self.counted),
            },
            amount: 1,
            now,
        };
        self.simulation.ask(node, Command::Increment(increment));
    }

    fn all_know(&self) -> bool {
        let mut nodes = (1..=self.count).map(|id| self.simulation.node(NodeId(id)));
        nodes.all(|node| {
            let value = node.map(|node| node.durable().counts.value());
            value == Some(u128::from(self.counted))
        })
    }

    /// How long it takes until all know of one increment more, while nobody counts.
    ///
    /// # Panics
    /// If they do not come to know it.
    pub fn time_to_agree(&mut self) -> Duration {
        let idle = Duration::from_millis(self.rng.u64(..10_000));
        self.simulation.run_for(idle);
        self.simulation.take_events();
        self.count_one();
        let begun = self.simulation.now();
        while !self.all_know() {
            let lasts = self.simulation.now() - begun;
            assert!(lasts < PATIENCE, "they do not agree");
            self.simulation.run_for(STEP);
        }
        self.simulation.now() - begun
    }

    /// How many bytes all nodes send together for each increment, while so many are counted in a second,
    /// and until all know of all.
    pub fn bytes_per_increment(&mut self, increments: u64, a_second: u32) -> f64 {
        let before = self.sent.load(Ordering::Relaxed);
        for _ in 0..increments {
            self.count_one();
            self.simulation.run_for(Duration::from_secs(1) / a_second);
        }
        while !self.all_know() {
            self.simulation.run_for(STEP);
        }
        self.simulation.take_events();
        let sent = self.sent.load(Ordering::Relaxed) - before;
        sent as f64 / increments as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(exchange: Exchange) -> Setting {
        Setting {
            nodes: 5,
            exchange,
            window: false,
            push_pull: Timing::default().push_pull(),
            seed: 1,
        }
    }

    #[test]
    fn deltas_take_a_moment_and_push_pull_its_time() {
        let quick = Nodes::start(setting(Exchange::Deltas)).time_to_agree();
        // The timer, and the longest message; each with the disks' time.
        assert!(quick <= Duration::from_millis(20 + 40 + 5), "{quick:?}");
        let slow = Nodes::start(setting(Exchange::PushPull)).time_to_agree();
        assert!(slow > Duration::from_millis(500), "{slow:?}");
    }

    /// A delta is sent again with each turn of the timer until its acknowledgement is there, which may take
    /// two of the longest messages and the disk's time.
    #[test]
    fn an_increment_alone_costs_deltas_to_each_other_node_until_they_are_acknowledged() {
        let mut nodes = Nodes::start(Setting {
            push_pull: PATIENCE,
            ..setting(Exchange::Deltas)
        });
        // So seldom that none travels with another.
        let bytes = nodes.bytes_per_increment(50, 5);
        // A frame's header has 8 bytes, a component of small numbers 4 or 5, what is around it 3.
        let once = 4.0 * 2.0 * 15.0;
        let turns = (2.0 * 40.0 + 10.0) / Timing::default().broadcast_ms as f64;
        assert!((once..once * turns.ceil()).contains(&bytes), "{bytes}");
    }
}
