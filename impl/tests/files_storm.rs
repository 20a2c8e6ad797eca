//! The files on the simulated runtime, and ZAB's model with Bully beside it: losses, cuts, crashes that
//! lose what was not flushed, restarts, slow disks; all from a seed.
//!
//! Verifies, besides what the model's properties say on the way, that after the storm the histories and
//! files of all nodes are equal, and that every acknowledged transaction is in them with the answer that
//! was given, and exactly once; that no two transactions with one zxid are ever delivered; while
//! snapshots are taken, and histories brought up to date by DIFF, TRUNC and SNAP.

use std::collections::BTreeMap;

use lockstep::files::config::Timing;
use lockstep::files::server::node::spans;
use lockstep::files::store::{self, Operation, Query, Response};
use lockstep::files::{Files, FilesZab};
use models::NodeId;
use models::bully::Number;
use models::machine::StateMachine;
use models::session::{ClientId, RequestId, Sequence};
use models::world::Scenario;
use models::zab::bully::Bully;
use models::zab::history::{Content, Transaction};
use models::zab::spec::Bounds;
use models::zab::zxid::Zxid;
use models::zab::{Command, Event};

use crate::support::refinement::Refuted;
use crate::support::storm::{Shown, Storm, millis, refuted, storms, weather};

const NODES: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];
const CLIENTS: usize = 3;
/// More than a client asks in a storm.
const REQUESTS: u64 = 400;
/// Milliseconds.
const LISTENS_EVERY: u64 = 20;

struct FilesStorm {
    storm: Storm<FilesZab>,
    acknowledged: BTreeMap<RequestId, Response>,
    /// Every transaction that some node has delivered.
    delivered: BTreeMap<Zxid, Content<store::Command>>,
    /// The node whose disk is lost, if one is: it takes part no more.
    lost: Option<NodeId>,
}

/// As patient as it takes, but for Bully: what is slow is sometimes taken for dead.
fn timing() -> Timing {
    Timing {
        tick_ms: 20,
        ..Timing::default()
    }
}

/// The node of a storm.
fn zab(id: NodeId) -> FilesZab {
    let mut zab = FilesZab::new(id, NODES, Bully::new(id, NODES));
    // A few transactions a DIFF, and a snapshot each dozen of them.
    zab.max_diff_weight = 300;
    zab.snapshot_every = 12;
    zab.retained = 6;
    zab
}

fn scenario(zab: fn(NodeId) -> FilesZab) -> Scenario<FilesZab> {
    let bounds = Bounds {
        election: Number(u64::MAX),
        pings: true,
        impatient: true,
    };
    Scenario {
        scripts: (1..=CLIENTS as u64).map(script).collect(),
        ..Scenario::new(NODES.map(zab).into(), bounds)
    }
}

fn script(client: u64) -> Vec<Command<Files>> {
    let request = |sequence| RequestId {
        client: ClientId::new(client),
        sequence: Sequence(sequence),
    };
    (1..=REQUESTS)
        .map(|sequence| command(request(sequence)))
        .collect()
}

/// A request is the same each time it is tried.
fn command(request: RequestId) -> Command<Files> {
    let path = format!("of-{}", request.client.number);
    let content = request.to_string().into();
    let append = Operation::Append {
        path: "log".into(),
        content,
        if_version: None,
    };
    let create = |path: &str| Operation::Create {
        path: path.to_owned(),
        content: request.to_string().into(),
    };
    let delete = Operation::Delete {
        path: path.clone(),
        if_version: None,
    };
    let operations = match request.sequence.0 % 8 {
        1 => vec![create(&path)],
        // Done as a whole, or, where the log is there already, not at all.
        2 => vec![delete, create("log")],
        3 | 4 | 7 => vec![append],
        5 => vec![append, delete],
        6 => {
            let query = Query::ReadLast { path, length: 100 };
            return Command::Read { request, query };
        }
        _ => {
            let path = "log".into();
            let query = Query::ReadLast { path, length: 100 };
            return Command::SyncedRead { request, query };
        }
    };
    let command = store::Command {
        operations,
        time_ms: 0,
    };
    Command::Write { request, command }
}

impl FilesStorm {
    fn new(seed: u64, scenario: Scenario<FilesZab>) -> Result<Self, Refuted> {
        Ok(Self {
            storm: Storm::new(weather(seed), spans(&timing()), scenario)?,
            acknowledged: BTreeMap::new(),
            delivered: BTreeMap::new(),
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
        for id in NODES {
            self.learn_what_is_delivered(id);
        }
        for said in self.storm.take_events() {
            match said.event {
                Event::Delivered { transaction } => self.learn(said.node, &transaction),
                Event::Reply { request, response } => {
                    if matches!(response, Response::Done { .. } | Response::Failed { .. }) {
                        let first = self.acknowledged.entry(request);
                        let first = first.or_insert_with(|| response.clone());
                        assert_eq!(*first, response, "{request} has two answers");
                    }
                }
                Event::Superseded { request } => {
                    let is_known = self.acknowledged.contains_key(&request);
                    assert!(is_known, "{request} was given up");
                }
                Event::Halted { contradiction } => panic!("a node halts: {contradiction:?}"),
                Event::Restored { .. }
                | Event::Refused { .. }
                | Event::Abandoned { .. }
                | Event::Leading { .. }
                | Event::Following { .. }
                | Event::Looking => {}
            }
        }
    }

    fn learn_what_is_delivered(&mut self, id: NodeId) {
        let Some(node) = self.storm.simulation.node(id) else {
            return;
        };
        let delivered = node.volatile.delivered.zxid;
        let kept = node.durable().history.transactions().iter();
        let kept = kept.take_while(|next| next.zxid <= delivered).cloned();
        for transaction in kept.collect::<Vec<_>>() {
            self.learn(id, &transaction);
        }
    }

    fn learn(&mut self, id: NodeId, transaction: &Transaction<store::Command>) {
        let known = self.delivered.entry(transaction.zxid);
        let known = known.or_insert_with(|| transaction.content.clone());
        let zxid = transaction.zxid;
        assert_eq!(
            *known, transaction.content,
            "{id} has delivered another {zxid}"
        );
    }

    fn calm(&mut self) -> Result<(), Refuted> {
        self.storm.calm_down()?;
        // The storm's last messages are gone, somebody leads, and commits what there is.
        self.listen_for(3_000)?;
        let before = self.acknowledged.len();
        for _ in 0..5 {
            self.ask_somebody()?;
            self.listen_for(300)?;
        }
        assert!(self.acknowledged.len() > before, "no progress in the calm");
        self.listen_for(1_000)
    }

    /// Lets time go on, and hears what is said before histories are compacted beyond it.
    fn listen_for(&mut self, span: u64) -> Result<(), Refuted> {
        for _ in 0..span / LISTENS_EVERY {
            self.storm.run_for(millis(LISTENS_EVERY))?;
            self.hear();
        }
        Ok(())
    }

    /// Transactions that a snapshot has replaced between two looks: the model has seen them all.
    fn learn_what_was_replaced(&mut self) {
        let delivered = &self.storm.refinement.world().ghost.delivered;
        for seen in delivered {
            let Transaction { zxid, content } = &seen.transaction;
            let known = self.delivered.entry(*zxid);
            let known = known.or_insert_with(|| content.clone());
            assert_eq!(known, content, "another {zxid} was delivered");
        }
    }

    fn check(&mut self) {
        self.learn_what_was_replaced();
        let (files, answers) = fold(self.delivered.values());
        let last = self.delivered.last_key_value().map(|(zxid, _)| *zxid);
        for id in self.whole() {
            let node = self.storm.node(id);
            let delivered = &node.volatile.delivered;
            assert_eq!(Some(delivered.zxid), last, "{id} lags");
            assert_eq!(node.durable().history.last_zxid(), delivered.zxid);
            assert_eq!(delivered.machine, files, "{id} has other files");
        }
        for (request, response) in &self.acknowledged {
            let answer = answers.get(request);
            assert_eq!(answer, Some(response), "{request} is lost or different");
        }
    }
}

/// A history by the simplest reading: each request counts where it comes first.
fn fold<'a>(
    transactions: impl Iterator<Item = &'a Content<store::Command>>,
) -> (Files, BTreeMap<RequestId, Response>) {
    let (mut files, mut answers) = (Files::default(), BTreeMap::new());
    for content in transactions {
        if let Content::Command { request, command } = content {
            answers
                .entry(*request)
                .or_insert_with(|| files.apply(command));
        }
    }
    (files, answers)
}

fn storm(seed: u64) -> Result<Shown, Refuted> {
    let mut storm = FilesStorm::new(seed, scenario(zab))?;
    storm.rage(120)?;
    storm.calm()?;
    storm.check();
    Ok(storm.storm.shown())
}

#[test]
fn after_the_storm_all_agree_and_acknowledged_transactions_are_there() {
    let must_show = [
        "a crash",
        "a link is cut",
        "a message is lost",
        "a request is asked again",
        "a leader is established",
        "another leader",
        "two nodes try to lead at once",
        "a write is answered",
        "a local read",
        "a synced read",
        "a request is passed on",
        "DIFF",
        "TRUNC",
        "SNAP",
    ];
    storms("files_storm::after_the_storm", 6, storm, &must_show);
}

/// One of three disks is lost in the middle of the storm, and an empty one takes its place.
#[test]
fn a_storm_in_which_a_disk_is_lost_loses_no_acknowledged_transaction() {
    let storm = |seed| {
        let mut storm = FilesStorm::new(seed, scenario(zab))?;
        storm.rage(60)?;
        storm.lose_disk(NODES[2])?;
        storm.rage(60)?;
        storm.calm()?;
        storm.check();
        Ok(storm.storm.shown())
    };
    storms(
        "files_storm::a_storm_in_which_a_disk",
        2,
        storm,
        &["a disk is lost"],
    );
}

#[test]
fn a_disk_that_lies_about_its_flushes_is_found() {
    let found = refuted(20, |seed| {
        let mut storm = FilesStorm::new(seed, scenario(zab))?;
        storm.storm.lie(NODES[1]);
        storm.rage(120)
    });
    assert!(found.is_property_of::<FilesZab>(), "{found}");
}

#[test]
fn a_node_that_takes_itself_for_the_whole_ensemble_is_found() {
    let alone = |id| match id {
        NodeId(2) => FilesZab::new(id, [id], Bully::new(id, [id])),
        _ => zab(id),
    };
    let found = refuted(20, |seed| FilesStorm::new(seed, scenario(alone))?.rage(120));
    assert!(found.is_property_of::<FilesZab>(), "{found}");
}
