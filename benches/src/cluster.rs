//! Three key-value nodes in this process, over real TCP, each with its journal in a folder,
//! and clients that talk to the leader without HTTP.
//!
//! A client's way is the one that a request of the HTTP API takes behind the API: it is
//! registered with the node's waiters, asked of its inbox, and answered through its event
//! sink.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lockstep::kv::config::Timing;
use lockstep::kv::request::pending::{Verdict, Waiters};
use lockstep::kv::server::node;
use lockstep::kv::store::{Command, MAX_APPEND_WEIGHT, Put, Revision};
use lockstep::kv::{KvRaft, PROTOCOL, VERSION};
use lockstep::runtime::driver::{NodeBuilder, NodeOptions, RunningNode, format, mailbox};
use lockstep::runtime::journal::{FileJournal, FileJournalOptions};
use lockstep::runtime::transport::tcp::{Tcp, TcpConfig};
use lockstep::{ClusterId, Identity};
use models::raft::message::Message;
use models::raft::session::{ClientId, RequestId, Sequence};
use models::raft::state::Role;
use models::{DiskId, NodeId};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::latency::Latencies;

const LEADER: u16 = 1;
const NODES: u16 = 3;
/// As many as a node of the service takes.
const INBOX: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(10);

/// Three running nodes, the first of which leads.
pub struct Cluster {
    members: Vec<Member>,
    /// How many writes were acknowledged so far, by all clients.
    acknowledged: AtomicU64,
    /// The first client id that was not given away.
    next_client: AtomicU64,
}

struct Member {
    node: RunningNode<KvRaft>,
    tcp: Tcp<Message<Command>>,
    waiters: Arc<Waiters>,
}

impl Cluster {
    /// Starts the nodes, with their journals in `folder`, and waits for the first to lead.
    /// Must be called within a multi-threaded tokio runtime.
    ///
    /// # Panics
    /// If it does not come to lead.
    pub async fn start(folder: &Path, seed: u64) -> Self {
        let mut listeners = Vec::new();
        let mut addresses = BTreeMap::new();
        for id in 1..=NODES {
            let listener = TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.expect("a port of the loopback interface");
            let address = listener.local_addr().expect("the listener has an address");
            addresses.insert(NodeId(id), address.to_string());
            listeners.push((NodeId(id), listener));
        }
        let started = listeners.into_iter();
        let cluster = Self {
            members: started
                .map(|(id, listener)| Member::start(id, listener, &addresses, folder, seed))
                .collect(),
            acknowledged: AtomicU64::new(0),
            next_client: AtomicU64::new(1),
        };
        cluster.wait_for_leader().await;
        cluster
    }

    fn leader(&self) -> &Member {
        &self.members[usize::from(LEADER - 1)]
    }

    async fn wait_for_leader(&self) {
        let end = Instant::now() + PATIENCE;
        let leads = |node: &models::Node<KvRaft>| {
            matches!(node.volatile.role, Role::Leader(_))
                && node.volatile.commit_index == node.durable().log.last_index()
        };
        while !self
            .leader()
            .node
            .inbox()
            .inspect(leads)
            .await
            .expect("the node runs")
        {
            assert!(Instant::now() < end, "node {LEADER} does not come to lead");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Makes `writes` writes of `value`, by so many `clients` at once, each of which makes
    /// its next when its last is acknowledged.
    ///
    /// # Panics
    /// If a write is not acknowledged, or the leader loses its office.
    pub async fn write(
        self: &Arc<Self>,
        writes: u64,
        clients: u64,
        value: &Bytes,
    ) -> (Duration, Latencies) {
        let left = Arc::new(AtomicU64::new(writes));
        let mut tasks = JoinSet::new();
        let started = Instant::now();
        for _ in 0..clients {
            let client = ClientId::new(self.next_client.fetch_add(1, Ordering::Relaxed));
            let (cluster, left, value) = (self.clone(), left.clone(), value.clone());
            tasks.spawn(async move { cluster.run_client(client, &left, &value).await });
        }
        let mut latencies = Latencies::new();
        while let Some(ended) = tasks.join_next().await {
            latencies.add(&ended.expect("a client does not fail"));
        }
        let elapsed = started.elapsed();
        assert_eq!(
            latencies.count(),
            writes,
            "not every write was acknowledged"
        );
        self.acknowledged.fetch_add(writes, Ordering::Relaxed);
        (elapsed, latencies)
    }

    async fn run_client(&self, client: ClientId, left: &AtomicU64, value: &Bytes) -> Latencies {
        let leader = self.leader();
        let key = Bytes::from(format!("key-{}", client.number));
        let mut latencies = Latencies::new();
        let mut sequence = Sequence(0);
        while take_one(left) {
            sequence.0 += 1;
            let request = RequestId { client, sequence };
            let put = Put::new(key.clone(), Bytes::copy_from_slice(value));
            let command = Command::Put(put);
            let command = models::raft::Command::Propose { request, command };
            let started = Instant::now();
            let asked = leader
                .waiters
                .ask(request, || leader.node.inbox().ask(command));
            let answer = asked.expect("the node takes the command");
            let verdict = answer.await.expect("the node answers");
            latencies.record(started.elapsed());
            let done = matches!(&verdict, Verdict::Reply(answer) if answer.outcome.is_ok());
            assert!(done, "a write was not done: {verdict:?}");
        }
        latencies
    }

    /// Checks that every node has every acknowledged write, and stops all.
    ///
    /// # Panics
    /// If one has not, or does not stop in order.
    pub async fn stop(self) {
        let acknowledged = self.acknowledged.load(Ordering::Relaxed);
        for member in &self.members {
            member.expect_revision(Revision(1 + acknowledged)).await;
        }
        for member in self.members {
            let stopped = tokio::task::spawn_blocking(|| member.node.shutdown()).await;
            stopped
                .expect("stopping does not panic")
                .expect("the node stops in order");
            member.tcp.shutdown().await;
        }
    }
}

impl Member {
    fn start(
        id: NodeId,
        listener: TcpListener,
        addresses: &BTreeMap<NodeId, String>,
        folder: &Path,
        seed: u64,
    ) -> Self {
        let identity = Identity {
            cluster: "bench".to_owned(),
            cluster_id: ClusterId([1; 16]),
            protocol: PROTOCOL.to_owned(),
            version: VERSION,
            node: id,
            disk: DiskId::default(),
        };
        let mut peers = addresses.clone();
        peers.remove(&id);
        let (inbox, mailbox) = mailbox(INBOX);
        let config = TcpConfig::new(identity.clone(), peers);
        let metrics = inbox.metrics().clone();
        let (tcp, transport) =
            Tcp::start(listener, config, inbox.clone(), metrics).expect("the listener is open");
        let directory = folder.join(id.to_string());
        let open = || {
            FileJournal::open(&directory, identity.clone(), FileJournalOptions::default())
                .expect("the folder is this node's alone")
        };
        let waiters = Arc::new(Waiters::new(id));
        let told = waiters.clone();
        let mut raft = KvRaft::new(id, addresses.keys().copied());
        raft.pre_vote = true;
        raft.check_quorum = true;
        raft.max_append_weight = MAX_APPEND_WEIGHT;
        format(&raft, open()).expect("the folder is empty");
        let options = NodeOptions {
            seed: seed.wrapping_add(u64::from(id.0)),
            ..NodeOptions::default()
        };
        let node = NodeBuilder::new(raft, node::spans(&timing(id)), move |event| {
            told.take(event)
        })
        .options(options)
        .spawn((inbox, mailbox), open(), transport)
        .expect("the node starts");
        Self { node, tcp, waiters }
    }

    async fn expect_revision(&self, revision: Revision) {
        let end = Instant::now() + PATIENCE;
        let look = |node: &models::Node<KvRaft>| node.volatile.applied.machine.revision();
        loop {
            let seen = self
                .node
                .inbox()
                .inspect(look)
                .await
                .expect("the node runs");
            if seen == revision {
                return;
            }
            assert!(
                Instant::now() < end,
                "revision {seen} of {revision} is applied"
            );
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The first node stands soon, and no other while it lives, however busy the machine is:
/// what is to be measured are writes, not elections.
fn timing(id: NodeId) -> Timing {
    let (election_min_ms, election_max_ms) = match id.0 {
        LEADER => (300, 400),
        _ => (5_000, 6_000),
    };
    Timing {
        heartbeat_ms: 50,
        election_min_ms,
        election_max_ms,
        ..Timing::default()
    }
}

/// Takes one from `left`, unless there is none.
pub(crate) fn take_one(left: &AtomicU64) -> bool {
    let less = |left: u64| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}
