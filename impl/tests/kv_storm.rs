//! The store on the simulated runtime: losses, cuts, crashes that lose what was not flushed,
//! restarts, slow disks; all from a seed.
//!
//! Verifies that after the storm the logs and stores of all nodes are equal, that every
//! acknowledged write is in them with the answer that was given, and exactly once.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use lockstep::kv::config::Timing;
use lockstep::kv::machine::{Command, Response};
use lockstep::kv::node::spans;
use lockstep::kv::{Kv, KvRaft};
use lockstep::sim::{Simulation, SimulationOptions};
use models::NodeId;
use models::raft::log::Content;
use models::raft::session::{ClientId, RequestId, Sequence};
use models::raft::{self, Event};
use proptest::prelude::*;

const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const CLIENTS: u64 = 4;

struct Storm {
    simulation: Simulation<KvRaft>,
    rng: Rng,
    /// Each client's request under way.
    sequences: BTreeMap<ClientId, u64>,
    acknowledged: BTreeMap<RequestId, Response>,
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Storm {
    fn new(seed: u64) -> Self {
        let options = SimulationOptions {
            seed,
            latency: millis(0)..=millis(30),
            loss: 0.1,
            fsync: millis(0)..=millis(20),
        };
        let mut simulation = Simulation::new(options, spans(&Timing::default()));
        for id in NODES {
            let mut raft = KvRaft::new(id, NODES);
            raft.pre_vote = true;
            raft.check_quorum = true;
            // A few entries an append, so that catching up takes several.
            raft.max_append_weight = 300;
            simulation.add(raft);
        }
        Self {
            simulation,
            rng: Rng::with_seed(seed),
            sequences: (1..=CLIENTS)
                .map(|client| (ClientId::new(client), 1))
                .collect(),
            acknowledged: BTreeMap::new(),
        }
    }

    fn rage(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.ask_somebody();
            self.disturb();
            let pause = millis(self.rng.u64(1..60));
            self.simulation.run_for(pause);
            self.hear();
        }
    }

    /// Each client asks a random node, time and again the same until it is answered.
    fn ask_somebody(&mut self) {
        for (client, sequence) in self.sequences.clone() {
            let request = RequestId {
                client,
                sequence: Sequence(sequence),
            };
            let node = NODES[self.rng.usize(..NODES.len())];
            let command = command(request);
            self.simulation
                .ask(node, raft::Command::Propose { request, command });
        }
    }

    fn disturb(&mut self) {
        let (one, two) = (self.rng.choice(NODES), self.rng.choice(NODES));
        let (Some(one), Some(two)) = (one, two) else {
            return;
        };
        match self.rng.u8(..100) {
            0 | 1 => self.simulation.crash(one),
            2 => NODES.iter().for_each(|id| self.simulation.crash(*id)),
            3..=5 => self.simulation.cut(one, two),
            6..=13 => self.simulation.heal(),
            14..=35 => {
                self.simulation.restart(one);
            }
            _ => {}
        }
    }

    fn hear(&mut self) {
        for said in self.simulation.take_events() {
            match said.event {
                Event::Reply { request, response } => {
                    let first = self.acknowledged.entry(request).or_insert(response.clone());
                    assert_eq!(*first, response, "{request} has two answers");
                    let next = self.sequences.entry(request.client).or_default();
                    *next = (*next).max(request.sequence.0 + 1);
                }
                Event::Superseded { request } => {
                    assert!(
                        self.acknowledged.contains_key(&request),
                        "{request} was given up"
                    );
                }
                Event::SessionExpired { request, .. } => panic!("{request} has not expired"),
                Event::Redirect { .. }
                | Event::Overloaded { .. }
                | Event::Transfer { .. }
                | Event::Leading { .. }
                | Event::Following { .. }
                | Event::Changed { .. }
                | Event::Refused { .. }
                | Event::MembershipChanged { .. }
                | Event::Retired => {}
            }
        }
    }

    fn calm(&mut self) {
        self.simulation.heal();
        self.simulation.set_loss(0.0);
        for id in NODES {
            self.simulation.restart(id);
        }
        // The storm's last messages are gone, somebody leads, and commits what there is.
        self.simulation.run_for(millis(5_000));
        let before = self.acknowledged.len();
        for _ in 0..10 {
            self.ask_somebody();
            self.simulation.run_for(millis(500));
            self.hear();
        }
        assert!(self.acknowledged.len() > before, "no progress in the calm");
        self.simulation.run_for(millis(1_000));
    }

    fn check(&self) {
        let node = |id| self.simulation.node(id).expect("up");
        let first = node(NODES[0]);
        for id in NODES {
            let (durable, volatile) = (node(id).durable(), &node(id).volatile);
            assert_eq!(durable.log, first.durable().log, "{id} has another log");
            assert_eq!(volatile.commit_index, durable.log.last_index(), "{id} lags");
            assert_eq!(
                volatile.applied, first.volatile.applied,
                "{id} has another store"
            );
        }
        let (store, answers) = fold(first.durable().log.from(raft::log::Index(1)));
        assert_eq!(store, first.volatile.applied.machine);
        for (request, response) in &self.acknowledged {
            assert_eq!(
                answers.get(request),
                Some(response),
                "{request} is lost or different"
            );
        }
    }
}

/// A log by the simplest reading: each request counts where it comes first.
fn fold(entries: &[raft::log::Entry<Command>]) -> (Kv, BTreeMap<RequestId, Response>) {
    use models::raft::machine::StateMachine;
    let (mut store, mut answers) = (Kv::default(), BTreeMap::new());
    for entry in entries {
        if let Content::Command { request, command } = &entry.content {
            answers
                .entry(*request)
                .or_insert_with(|| store.apply(command));
        }
    }
    (store, answers)
}

/// A request is the same each time it is tried.
fn command(request: RequestId) -> Command {
    let key = format!("key-{}", request.client.number % 3).into();
    if request.sequence.0.is_multiple_of(5) {
        return Command::Delete { key };
    }
    let value = request.to_string().into();
    Command::Put { key, value }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn after_the_storm_all_agree_and_acknowledged_writes_are_there(seed in any::<u64>()) {
        let mut storm = Storm::new(seed);
        storm.rage(300);
        storm.calm();
        storm.check();
    }
}

#[test]
fn a_storm_does_something() {
    let mut storm = Storm::new(1);
    storm.rage(300);
    assert!(
        storm.acknowledged.len() > 20,
        "{} acknowledged",
        storm.acknowledged.len()
    );
}
