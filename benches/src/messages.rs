//! What a lock costs in messages, counted in the simulation: nothing is lost there, and nobody waits
//! for long enough to ask again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lockstep::runtime::recording::Recorder;
use lockstep::runtime::sim::{Simulation, SimulationOptions};
use lockstep::runtime::timers::TimerSpan;
use models::maekawa::lock::LockName;
use models::maekawa::quorum::Construction;
use models::maekawa::state::{Claim, Persistent, Record, Session};
use models::maekawa::{Command, Event, Maekawa, Timer};
use models::{Effect, Input, Node, NodeId};

/// The members have the numbers from 1.
const ORCHESTRATOR: NodeId = NodeId(0);
const STEP: Duration = Duration::from_millis(5);
/// Long after everything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(600);

/// What was counted.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// How large a quorum is, on average over the members.
    pub quorum: f64,
    /// Entries into the critical section.
    pub entries: u64,
    /// Messages between different nodes for each of them.
    pub messages: f64,
}

impl Cost {
    /// The least that the paper's §5 says: REQUEST, LOCKED and RELEASE.
    pub fn least(&self) -> f64 {
        3.0 * (self.quorum - 1.0)
    }

    /// The most: an INQUIRE, a RELINQUISH and what they lead to for each arbiter.
    pub fn most(&self) -> f64 {
        5.0 * (self.quorum - 1.0)
    }
}

/// Who wants the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// One member after the other, each alone.
    Alone,
    /// All members at the same time, again and again.
    All,
}

/// Counts the paper's messages.
struct Counting(Arc<AtomicU64>);

impl Recorder<Maekawa> for Counting {
    fn booted(&mut self, _: Duration, _: &Persistent, _: &[Effect<Maekawa>]) {}

    fn stepped(
        &mut self,
        _: Duration,
        _: &Input<Maekawa>,
        _: &[Record],
        effects: &[Effect<Maekawa>],
    ) {
        let sent = effects.iter().filter(|effect| match effect {
            Effect::Send { message, .. } | Effect::SendEarly { message, .. } => {
                message.subject().is_some()
            }
            _ => false,
        });
        self.0.fetch_add(sent.count() as u64, Ordering::Relaxed);
    }

    fn flush(&mut self, _: Duration, _: &Node<Maekawa>) {}
}

struct Cluster {
    simulation: Simulation<Maekawa>,
    count: u16,
    /// How many claims each member has made.
    claims: Vec<u64>,
}

/// Counts what `rounds` entries of each of `count` members cost.
pub fn count(count: u16, load: Load, rounds: u64, seed: u64) -> Cost {
    let sent = Arc::new(AtomicU64::new(0));
    let mut cluster = Cluster::start(count, seed, &sent);
    sent.store(0, Ordering::Relaxed);
    let entries = match load {
        Load::Alone => cluster.one_after_the_other(rounds),
        Load::All => cluster.all_at_once(rounds),
    };
    assert_eq!(entries, u64::from(count) * rounds, "all have entered");
    let messages = sent.load(Ordering::Relaxed) as f64 / entries as f64;
    let members: BTreeSet<NodeId> = (1..=count).map(NodeId).collect();
    let quorum = |id: &NodeId| {
        Construction::Plane
            .quorum(&members, *id)
            .map_or(0, |quorum| quorum.len())
    };
    let all: usize = members.iter().map(quorum).sum();
    Cost {
        quorum: all as f64 / f64::from(count),
        entries,
        messages,
    }
}

impl Cluster {
    /// All are members of one epoch.
    fn start(count: u16, seed: u64, sent: &Arc<AtomicU64>) -> Self {
        let options = SimulationOptions {
            seed,
            ..SimulationOptions::default()
        };
        let mut simulation = Simulation::new(options, |timer| {
            TimerSpan::Exactly(match timer {
                Timer::HealthCheck | Timer::Register => Duration::from_secs(1),
                // So that nothing is asked twice.
                Timer::Retry | Timer::Lease => PATIENCE,
            })
        });
        let sent = sent.clone();
        simulation.record(move |_| Box::new(Counting(sent.clone())));
        for id in 0..=count {
            simulation.add(Maekawa::new(NodeId(id), ORCHESTRATOR));
        }
        for id in 1..=count {
            simulation.ask(NodeId(id), Command::Register);
        }
        let mut cluster = Self {
            simulation,
            count,
            claims: vec![0; usize::from(count) + 1],
        };
        let end = cluster.simulation.now() + PATIENCE;
        let mut joined = BTreeSet::new();
        while joined.len() < usize::from(count) {
            assert!(cluster.simulation.now() < end, "{joined:?} are members");
            cluster.simulation.run_for(STEP);
            for event in cluster.simulation.take_events() {
                if let Event::Joined { members, .. } = event.event
                    && members.len() == usize::from(count)
                {
                    joined.insert(event.node);
                }
            }
        }
        cluster
    }

    fn claim(&mut self, node: u16) {
        self.claims[usize::from(node)] += 1;
        let claim = Claim {
            lock: LockName::from("lock"),
            session: Session {
                node: NodeId(node),
                number: 1,
            },
            sequence: self.claims[usize::from(node)],
        };
        self.simulation
            .ask(NodeId(node), Command::Acquire { claim });
    }

    /// Waits for the next entry, and ends it. Returns whose it was.
    fn enter_and_leave(&mut self) -> u16 {
        let end = self.simulation.now() + PATIENCE;
        while self.simulation.now() < end {
            self.simulation.run_for(STEP);
            for event in self.simulation.take_events() {
                if let Event::Granted { claim, .. } = event.event {
                    self.simulation.ask(event.node, Command::Release { claim });
                    return event.node.0;
                }
            }
        }
        panic!("nobody enters");
    }

    fn one_after_the_other(&mut self, rounds: u64) -> u64 {
        let mut entries = 0;
        for _ in 0..rounds {
            for node in 1..=self.count {
                self.claim(node);
                assert_eq!(self.enter_and_leave(), node);
                entries += 1;
                // Until all have heard of its end.
                self.simulation.run_for(STEP);
            }
        }
        entries
    }

    fn all_at_once(&mut self, rounds: u64) -> u64 {
        for node in 1..=self.count {
            self.claim(node);
        }
        let total = u64::from(self.count) * rounds;
        for _ in 0..total {
            let node = self.enter_and_leave();
            if self.claims[usize::from(node)] < rounds {
                self.claim(node);
            }
        }
        self.simulation.run_for(STEP);
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alone_an_entry_costs_what_the_paper_says_and_contended_no_more() {
        for nodes in [3, 7, 13] {
            let alone = count(nodes, Load::Alone, 1, 1);
            assert!(
                (alone.messages - alone.least()).abs() < 1e-9,
                "{nodes}: {alone:?}"
            );
            let all = count(nodes, Load::All, 3, 1);
            assert!(
                all.messages >= all.least() && all.messages <= all.most(),
                "{nodes}: {all:?}"
            );
        }
    }
}
