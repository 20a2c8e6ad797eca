//! The store on the simulated runtime: losses, cuts, crashes that lose what was not flushed,
//! restarts, slow disks; all from a seed.
//!
//! Verifies that no two nodes ever know different entries to be committed, that after the storm
//! the logs and stores of all nodes are equal, and that every acknowledged write is in them with
//! the answer that was given, and exactly once; while logs are compacted and snapshots sent.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use lockstep::kv::config::Timing;
use lockstep::kv::server::node::spans;
use lockstep::kv::store::{Command, Response};
use lockstep::kv::{Kv, KvRaft};
use lockstep::runtime::sim::{Simulation, SimulationOptions};
use models::NodeId;
use models::raft::log::{Content, Entry};
use models::raft::session::{ClientId, RequestId, Sequence};
use models::raft::{self, Compaction, Event};
use proptest::prelude::*;

const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const CLIENTS: u64 = 4;

/// Milliseconds.
const LISTENS_EVERY: u64 = 20;

struct Storm {
    simulation: Simulation<KvRaft>,
    rng: Rng,
    /// Each client's request under way.
    sequences: BTreeMap<ClientId, u64>,
    acknowledged: BTreeMap<RequestId, Response>,
    /// Every entry that some node knew to be committed, by its index: the nodes discard theirs.
    committed: BTreeMap<u64, Entry<Command>>,
    /// How many snapshots were installed.
    installed: usize,
    /// The node whose disk is lost, if one is: it takes part no more.
    lost: Option<NodeId>,
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
            checkpoint_after_bytes: 3000,
            checkpoint: millis(0)..=millis(300),
        };
        let mut simulation = Simulation::new(options, spans(&Timing::default()));
        for id in NODES {
            let mut raft = KvRaft::new(id, NODES);
            raft.pre_vote = true;
            raft.check_quorum = true;
            // A few entries an append, so that catching up takes several.
            raft.max_append_weight = 300;
            raft.window.appends = 3;
            // A snapshot each dozen entries, and more entries kept than a node that is cut off for
            // a moment lacks; in chunks that take several messages.
            raft.compaction = Compaction {
                snapshot_after: 1000,
                trailing: 5000,
            };
            raft.max_chunk_bytes = 100;
            simulation.add(raft);
        }
        Self {
            simulation,
            rng: Rng::with_seed(seed),
            sequences: (1..=CLIENTS)
                .map(|client| (ClientId::new(client), 1))
                .collect(),
            acknowledged: BTreeMap::new(),
            committed: BTreeMap::new(),
            installed: 0,
            lost: None,
        }
    }

    fn lose_disk(&mut self, id: NodeId) {
        self.simulation.lose_disk(id);
        self.simulation.restart(id);
        self.lost = Some(id);
    }

    /// The nodes whose promises are to be kept.
    fn whole(&self) -> impl Iterator<Item = NodeId> {
        let lost = self.lost;
        NODES.into_iter().filter(move |id| Some(*id) != lost)
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
        self.learn_what_is_committed();
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
                Event::Installed { .. } => self.installed += 1,
                Event::Halted { contradiction } => panic!("a node halts: {contradiction:?}"),
                // Denials are told only where messages keep their order.
                Event::Denied { .. }
                | Event::Redirect { .. }
                | Event::Overloaded { .. }
                | Event::Transfer { .. }
                | Event::Leading { .. }
                | Event::Following { .. }
                | Event::Changed { .. }
                | Event::Refused { .. }
                | Event::MembershipChanged { .. }
                | Event::MembershipCommitted { .. }
                | Event::Retired => {}
            }
        }
    }

    fn learn_what_is_committed(&mut self) {
        for id in NODES {
            let Some(node) = self.simulation.node(id) else {
                continue;
            };
            let log = &node.durable().log;
            let first = log.base_index().next();
            let kept = log.from(first).iter();
            for (entry, index) in kept.zip(first.0..=node.volatile.commit_index.0) {
                let known = self.committed.entry(index).or_insert_with(|| entry.clone());
                assert_eq!(known, entry, "{id} has another entry at {index}");
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
        self.listen_for(5_000);
        let before = self.acknowledged.len();
        for _ in 0..10 {
            self.ask_somebody();
            self.listen_for(500);
        }
        assert!(self.acknowledged.len() > before, "no progress in the calm");
        self.listen_for(1_000);
    }

    /// Lets time go on, and hears what is said before logs are compacted beyond it.
    fn listen_for(&mut self, span: u64) {
        for _ in 0..span / LISTENS_EVERY {
            self.simulation.run_for(millis(LISTENS_EVERY));
            self.hear();
        }
    }

    fn check(&self) {
        let node = |id| self.simulation.node(id).expect("up");
        let first = node(NODES[0]);
        for id in self.whole() {
            let (durable, volatile) = (node(id).durable(), &node(id).volatile);
            let (last, firsts) = (durable.log.last_index(), first.durable().log.last_index());
            assert_eq!(last, firsts, "{id} has another log");
            assert_eq!(volatile.commit_index, durable.log.last_index(), "{id} lags");
            assert_eq!(
                volatile.applied, first.volatile.applied,
                "{id} has another store"
            );
        }
        let indices: Vec<u64> = self.committed.keys().copied().collect();
        let all: Vec<u64> = (1..=first.volatile.commit_index.0).collect();
        assert_eq!(indices, all, "an entry was discarded unseen");
        let (store, answers) = fold(self.committed.values());
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
fn fold<'a>(
    entries: impl Iterator<Item = &'a Entry<Command>>,
) -> (Kv, BTreeMap<RequestId, Response>) {
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
    let (mut acknowledged, mut installed) = (0, 0);
    for seed in 1..=4 {
        let mut storm = Storm::new(seed);
        storm.rage(300);
        acknowledged += storm.acknowledged.len();
        installed += storm.installed;
    }
    assert!(
        acknowledged > 80 && installed > 0,
        "{acknowledged} acknowledged, {installed} snapshots installed"
    );
}

/// One of three disks is lost in the middle of the storm, and an empty one takes its place.
#[test]
fn a_storm_in_which_a_disk_is_lost_loses_no_acknowledged_write() {
    for seed in 1..=12 {
        let mut storm = Storm::new(seed);
        storm.rage(150);
        storm.lose_disk(NODES[2]);
        storm.rage(150);
        storm.calm();
        storm.check();
    }
}
