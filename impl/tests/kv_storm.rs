//! The store on the simulated runtime, and Raft's model beside it: losses, cuts, crashes that lose what
//! was not flushed, restarts, slow disks; all from a seed.
//!
//! Verifies, besides what the model's properties say on the way, that after the storm the logs and
//! stores of all nodes are equal, and that every acknowledged write is in them with the answer that was
//! given, and exactly once; while logs are compacted and snapshots sent.

use std::collections::BTreeMap;

use bytes::Bytes;
use lockstep::kv::config::Timing;
use lockstep::kv::server::node::spans;
use lockstep::kv::store::{
    self, Compare, DeleteRange, KeyRange, LeaseId, Operation, Outcome, Put, Query, Range, Relation,
    Renewal, Response, Revision, Target, Ttl, Txn,
};
use lockstep::kv::{Kv, KvRaft};
use models::NodeId;
use models::raft::log::{Content, Entry, Term};
use models::raft::session::{ClientId, RequestId, Sequence};
use models::raft::spec::Bounds;
use models::raft::{Command, Compaction, Event};
use models::world::{Disk, Scenario};

use crate::support::refinement::Refuted;
use crate::support::storm::{Shown, Storm, millis, refuted, storms, weather};

const NODES: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];
const CLIENTS: usize = 4;
/// More than a client asks in a storm.
const REQUESTS: u64 = 400;

/// Milliseconds.
const LISTENS_EVERY: u64 = 20;

struct KvStorm {
    storm: Storm<KvRaft>,
    acknowledged: BTreeMap<RequestId, Response>,
    /// Every entry that some node knew to be committed, by its index: the nodes discard theirs.
    committed: BTreeMap<u64, Entry<store::Command>>,
    /// The node whose disk is lost, if one is: it takes part no more.
    lost: Option<NodeId>,
}

/// The node of a storm.
fn raft(id: NodeId) -> KvRaft {
    let mut raft = KvRaft::new(id, NODES);
    raft.pre_vote = true;
    raft.check_quorum = true;
    raft.early_heartbeats = true;
    // A few entries an append, so that catching up takes several.
    raft.max_append_weight = 300;
    raft.window.appends = 3;
    // A snapshot each few entries, and more entries kept than a node that is cut off for
    // a moment lacks; in chunks that take several messages.
    raft.compaction = Compaction {
        snapshot_after: 400,
        trailing: 1000,
    };
    raft.max_chunk_bytes = 100;
    raft
}

fn scenario(raft: fn(NodeId) -> KvRaft) -> Scenario<KvRaft> {
    let bounds = Bounds {
        candidates: NODES.map(|id| (id, Term(u64::MAX))).into(),
        in_time: [].into(),
    };
    Scenario {
        disk: Disk::Buffered,
        scripts: (1..=CLIENTS as u64).map(script).collect(),
        ..Scenario::new(NODES.map(raft).into(), bounds)
    }
}

fn script(client: u64) -> Vec<Command<Kv>> {
    let request = |sequence| RequestId {
        client: ClientId::new(client),
        sequence: Sequence(sequence),
    };
    (1..=REQUESTS)
        .map(|sequence| command(request(sequence)))
        .collect()
}

/// A request is the same each time it is tried. Some fail, for want of a lease or of a key.
fn command(request: RequestId) -> Command<Kv> {
    let (client, sequence) = (request.client.number, request.sequence.0);
    let key = || Bytes::from(format!("key-{}", client % 3));
    let value = || Bytes::from(request.to_string());
    let lease = LeaseId(1 + client % 2);
    let range = Query::Range(Range::new(KeyRange::key(key())));
    let command = match sequence % 20 {
        3 | 13 => {
            let query = range;
            return Command::Read { request, query };
        }
        7 | 17 => {
            let query = range;
            return Command::ReadHere { request, query };
        }
        0 | 10 => store::Command::DeleteRange(DeleteRange {
            range: KeyRange::prefix(key()),
            wants_previous: true,
        }),
        1 => store::Command::Grant {
            lease,
            ttl: Ttl(60),
        },
        2 | 12 => store::Command::Put(Put {
            lease: Some(lease),
            ..Put::new(key(), value())
        }),
        5 | 15 => store::Command::Txn(transaction(key(), value())),
        8 => store::Command::KeepAlive { lease },
        9 => store::Command::Expire {
            lease,
            renewal: Renewal(sequence % 3),
        },
        11 => store::Command::Revoke { lease },
        14 => store::Command::Compact {
            revision: Revision(sequence),
        },
        _ => store::Command::Put(Put::new(key(), value())),
    };
    Command::Propose { request, command }
}

/// Sets the key and another, where it was written more than once; removes it where not.
fn transaction(key: Bytes, value: Bytes) -> Txn {
    let compare = Compare {
        range: KeyRange::key(key.clone()),
        target: Target::Version(1),
        relation: Relation::Greater,
    };
    let delete = DeleteRange {
        range: KeyRange::key(key.clone()),
        wants_previous: false,
    };
    Txn {
        compare: [compare].into(),
        success: [
            Operation::Put(Put::new(key, value.clone())),
            Operation::Put(Put::new("both".into(), value)),
        ]
        .into(),
        failure: [Operation::DeleteRange(delete)].into(),
    }
}

impl KvStorm {
    fn new(seed: u64, scenario: Scenario<KvRaft>) -> Result<Self, Refuted> {
        Ok(Self {
            storm: Storm::new(weather(seed), spans(&Timing::default()), scenario)?,
            acknowledged: BTreeMap::new(),
            committed: BTreeMap::new(),
            lost: None,
        })
    }

    fn lose_disk(&mut self, id: NodeId) -> Result<(), Refuted> {
        self.lost = Some(id);
        self.storm.lose_disk(id)
    }

    /// The nodes whose promises are to be kept.
    fn whole(&self) -> impl Iterator<Item = NodeId> {
        let lost = self.lost;
        NODES.into_iter().filter(move |id| Some(*id) != lost)
    }

    fn rage(&mut self, rounds: usize) -> Result<(), Refuted> {
        for _ in 0..rounds {
            self.ask_somebody()?;
            self.storm.disturb()?;
            self.storm.pause()?;
            self.hear();
        }
        Ok(())
    }

    /// Each client asks a random node.
    fn ask_somebody(&mut self) -> Result<(), Refuted> {
        (0..CLIENTS).try_for_each(|client| {
            let node = self.storm.any_node();
            self.storm.ask(client, node)
        })
    }

    fn hear(&mut self) {
        self.learn_what_is_committed();
        for said in self.storm.take_events() {
            match said.event {
                Event::Reply { request, response } => {
                    if !matches!(response.outcome, Ok(Outcome::Range(_))) {
                        let first = self.acknowledged.entry(request);
                        let first = first.or_insert_with(|| response.clone());
                        assert_eq!(*first, response, "{request} has two answers");
                    }
                }
                Event::Superseded { request } => {
                    let is_known = self.acknowledged.contains_key(&request);
                    assert!(is_known, "{request} was given up");
                }
                Event::SessionExpired { request, .. } => panic!("{request} has not expired"),
                Event::Halted { contradiction } => panic!("a node halts: {contradiction:?}"),
                // Denials are told only where messages keep their order.
                Event::Denied { .. }
                | Event::Installed { .. }
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
            let Some(node) = self.storm.simulation.node(id) else {
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

    fn calm(&mut self) -> Result<(), Refuted> {
        self.storm.calm_down()?;
        // The storm's last messages are gone, somebody leads, and commits what there is.
        self.listen_for(3_000)?;
        let before = self.acknowledged.len();
        // Often enough that somebody asks the leader for a write, whatever is drawn.
        for _ in 0..20 {
            self.ask_somebody()?;
            self.listen_for(100)?;
        }
        if self.acknowledged.len() == before {
            panic!("no progress in the calm: {}", self.standing());
        }
        self.listen_for(1_000)
    }

    /// Where each node stands.
    fn standing(&self) -> String {
        let stand = NODES.map(|id| {
            let node = self.storm.node(id);
            let (durable, volatile) = (node.durable(), &node.volatile);
            format!(
                "{id}{}: {:?}, term {}, log {}..={}, commit {}, {:?}",
                if self.lost == Some(id) { " (lost)" } else { "" },
                volatile.role,
                durable.current_term,
                durable.log.base_index(),
                durable.log.last_index(),
                volatile.commit_index,
                durable.halted,
            )
        });
        stand.join("; ")
    }

    /// Lets time go on, and hears what is said before logs are compacted beyond it.
    fn listen_for(&mut self, span: u64) -> Result<(), Refuted> {
        for _ in 0..span / LISTENS_EVERY {
            self.storm.run_for(millis(LISTENS_EVERY))?;
            self.hear();
        }
        Ok(())
    }

    /// Entries that were discarded between two looks: the model has seen them all.
    fn learn_what_was_discarded(&mut self) {
        let committed = &self.storm.refinement.world().ghost.committed;
        for (index, seen) in (1..).zip(committed) {
            let known = self.committed.entry(index);
            let known = known.or_insert_with(|| seen.entry.clone());
            assert_eq!(*known, seen.entry, "another entry was committed at {index}");
        }
    }

    fn check(&mut self) {
        self.learn_what_was_discarded();
        let node = |id| self.storm.node(id);
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
    entries: impl Iterator<Item = &'a Entry<store::Command>>,
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

fn storm(seed: u64) -> Result<Shown, Refuted> {
    let mut storm = KvStorm::new(seed, scenario(raft))?;
    storm.rage(300)?;
    storm.calm()?;
    storm.check();
    Ok(storm.storm.shown())
}

#[test]
fn after_the_storm_all_agree_and_acknowledged_writes_are_there() {
    let must_show = [
        "a crash",
        "a link is cut",
        "a message is lost",
        "a request is asked again",
        "a leader is elected",
        "a command is answered",
        "a read at the leader",
        "a read at a follower",
        "a pre-vote",
        "a snapshot is taken",
        "a snapshot is installed",
        "a heartbeat overtakes what waits for the disk",
    ];
    storms("kv_storm::after_the_storm", 40, storm, &must_show);
}

/// One of three disks is lost in the middle of the storm, and an empty one takes its place.
#[test]
fn a_storm_in_which_a_disk_is_lost_loses_no_acknowledged_write() {
    let storm = |seed| {
        let mut storm = KvStorm::new(seed, scenario(raft))?;
        storm.rage(150)?;
        storm.lose_disk(NODES[2])?;
        storm.rage(150)?;
        storm.calm()?;
        storm.check();
        Ok(storm.storm.shown())
    };
    storms(
        "kv_storm::a_storm_in_which_a_disk",
        12,
        storm,
        &["a disk is lost"],
    );
}

#[test]
fn a_disk_that_lies_about_its_flushes_is_found() {
    let found = refuted(20, |seed| {
        let mut storm = KvStorm::new(seed, scenario(raft))?;
        storm.storm.lie(NODES[1]);
        storm.rage(120)
    });
    assert!(found.is_property_of::<KvRaft>(), "{found}");
}

#[test]
fn a_node_that_takes_itself_for_the_whole_cluster_is_found() {
    let alone = |id| match id {
        NodeId(2) => KvRaft::new(id, [id]),
        _ => raft(id),
    };
    let found = refuted(20, |seed| KvStorm::new(seed, scenario(alone))?.rage(120));
    assert!(found.is_property_of::<KvRaft>(), "{found}");
}
