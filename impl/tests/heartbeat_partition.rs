//! A network that is split: at most one side commits, and the other one says that it cannot.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockstep::heartbeat::{Config, Discovery, HeartbeatError, Member, NodeId};
use lockstep::service::config::NodeConfig;
use lockstep::service::split_network::SplitNetwork;
use tokio::time::sleep;

use crate::support::heartbeat::{cluster, until};

/// Voters whose network can be split, that of Raft's connections and that of heartbeats.
struct Split {
    members: BTreeMap<u16, Member>,
    raft: SplitNetwork,
    heartbeats: Arc<Mutex<Cut>>,
    _folder: tempfile::TempDir,
}

#[derive(Default)]
struct Cut {
    addresses: BTreeMap<SocketAddr, u16>,
    apart: BTreeSet<u16>,
}

impl Split {
    async fn start(voters: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut nodes: Vec<NodeConfig> = (1..=voters).map(|id| node(id, folder.path())).collect();
        let raft = SplitNetwork::before(&mut nodes).expect("ports");
        let heartbeats = Arc::new(Mutex::new(Cut::default()));
        let mut cluster = cluster(voters);
        cluster.discovery = Discovery::Static {
            members: Vec::new(),
        };
        let mut members: BTreeMap<u16, Member> = BTreeMap::new();
        for node in nodes {
            let id = node.id.0;
            let mut config = Config::new(cluster.clone(), id)
                .on_loopback()
                .with_data(&node.data_directory);
            let listen: SocketAddr = node.peer_listen().parse().expect("an address");
            config.voter.peer_port = listen.port();
            config.voter.peer_address = Some(node.peer_address.clone());
            let cut = heartbeats.clone();
            let reach = move |address: SocketAddr| cut.lock().expect("whole").joins(id, address);
            let member = Member::start_within(config, Arc::new(reach))
                .await
                .expect("starts");
            heartbeats
                .lock()
                .expect("whole")
                .addresses
                .insert(member.address(), id);
            if members.is_empty() {
                cluster.discovery = Discovery::Static {
                    members: vec![member.address()],
                };
            }
            members.insert(id, member);
        }
        for member in members.values() {
            member.joined().await.expect("joins");
        }
        Self {
            members,
            raft,
            heartbeats,
            _folder: folder,
        }
    }

    fn split(&self, apart: &[u16]) {
        self.raft.split(apart.iter().copied().map(NodeId));
        self.heartbeats.lock().expect("whole").apart = apart.iter().copied().collect();
    }

    fn heal(&self) {
        self.raft.heal();
        self.heartbeats.lock().expect("whole").apart.clear();
    }

    /// Who leads, once all say the same.
    async fn leader(&self) -> u16 {
        loop {
            let said: BTreeSet<_> = self.members.values().map(Member::leader).collect();
            if let (1, Some(Some(leader))) = (said.len(), said.first()) {
                return leader.id.0;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn shutdown(self) {
        for (_, member) in self.members {
            member.shutdown().await.expect("stops in order");
        }
    }
}

impl Cut {
    fn joins(&self, id: u16, address: SocketAddr) -> bool {
        let other = self.addresses.get(&address);
        other.is_none_or(|other| self.apart.contains(&id) == self.apart.contains(other))
    }
}

fn node(id: u16, folder: &Path) -> NodeConfig {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = free.local_addr().expect("bound").to_string();
    NodeConfig::new(NodeId(id), address, "unused", folder.join(id.to_string()))
}

/// Says that it is cut off, commits nothing, reads nothing fresh, and what it read before on request.
async fn is_without_majority(member: &Member, stale: &str) {
    until(member, "it says that it knows no leader", |list| {
        list.leader.is_none() && !list.is_current
    })
    .await;
    assert!(!member.is_leader());
    let refused = member
        .set("colour", "from the minority")
        .await
        .expect_err("no majority");
    assert!(
        matches!(refused, HeartbeatError::NoMajority(_)),
        "{refused}"
    );
    assert!(
        refused.to_string().contains("nothing was changed"),
        "{refused}"
    );
    let refused = member.get("colour").await.expect_err("no majority");
    assert!(
        matches!(refused, HeartbeatError::NoMajority(_)),
        "{refused}"
    );
    let refused = member
        .pick_least_loaded(0.1)
        .expect_err("nobody knows who lives");
    assert!(
        matches!(refused, HeartbeatError::OutOfTouch(_)),
        "{refused}"
    );
    let read = member.get_stale("colour").expect("a copy");
    assert_eq!(read.value.as_deref(), Some(stale.as_bytes()));
    assert!(read.age >= Duration::from_millis(500), "{:?}", read.age);
}

async fn copied(members: &BTreeMap<u16, Member>, value: &str) {
    for member in members.values() {
        until(member, "it has a copy", |_| {
            let stale = member.get_stale("colour");
            stale.is_ok_and(|stale| stale.value.as_deref() == Some(value.as_bytes()))
        })
        .await;
    }
}

/// The leader is cut off: the others elect another, and only that one commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_commits_nothing_and_the_majority_goes_on() {
    let split = Split::start(3).await;
    split.members[&1].set("colour", "blue").await.expect("set");
    copied(&split.members, "blue").await;
    let old = split.leader().await;
    let others: Vec<u16> = [1, 2, 3].into_iter().filter(|id| *id != old).collect();
    split.split(&[old]);
    let list = until(&split.members[&others[0]], "another leads", |list| {
        list.leader.is_some_and(|leader| leader.id.0 != old)
    });
    let term = list.await.leader.expect("somebody leads").term;
    split.members[&others[1]]
        .set("colour", "red")
        .await
        .expect("the majority commits");
    is_without_majority(&split.members[&old], "blue").await;
    // It has lost nobody's vote by that: each side still needs two of three.
    until(
        &split.members[&others[0]],
        "the old leader is dropped",
        |list| list.get(NodeId(old)).is_none() && list.is_current,
    )
    .await;
    split.heal();
    let back = until(&split.members[&old], "it follows the others", |list| {
        list.is_current && list.members.len() == 3
    });
    assert!(back.await.leader.expect("somebody leads").term >= term);
    let read = split.members[&old].get("colour").await.expect("read");
    assert_eq!(
        read.as_deref(),
        Some(&b"red"[..]),
        "what the majority has committed"
    );
    split.shutdown().await;
}

/// "At least half" would give each half a leader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_halves_neither_commits() {
    let split = Split::start(4).await;
    split.members[&1].set("colour", "blue").await.expect("set");
    copied(&split.members, "blue").await;
    split.split(&[1, 2]);
    for member in split.members.values() {
        is_without_majority(member, "blue").await;
    }
    split.heal();
    split.leader().await;
    for (id, member) in &split.members {
        until(member, "it is back", |list| {
            list.is_current && list.members.len() == 4
        })
        .await;
        let read = member.get("colour").await.expect("read");
        assert_eq!(read.as_deref(), Some(&b"blue"[..]), "member {id}");
    }
    split.members[&4].set("colour", "green").await.expect("set");
    split.shutdown().await;
}
