//! A node that comes back at another address behind its name, while its old address swallows
//! everything: real processes in network namespaces.
//!
//! Verifies that the leader finds it within seconds. Does not verify DNS: names come from the
//! namespaces' hosts files. It changes the machine's network for a while and takes root, so it runs
//! only where `LOCKSTEP_NETNS` is set, as CI does; elsewhere it is skipped, with a word.

use lockstep::service::http_client::Access;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lockstep::kv::client::Client;
use lockstep::kv::status::Report;
use tempfile::{TempDir, tempdir};

use crate::support::kv::PATIENCE;
use crate::support::program::PROGRAM;

/// The leader has this long to find the node, from the moment in which the node is back.
const FOUND: Duration = Duration::from_secs(20);
/// The last number of this process's address, and of the one to which a node moves.
const OURS: u8 = 250;
const MOVED: u8 = 13;

/// A network of namespaces of its own: one with a bridge, and one for each address.
struct Network {
    name: String,
    subnet: String,
    namespaces: Vec<String>,
}

impl Network {
    /// Nothing where namespaces cannot be had.
    fn new() -> Option<Self> {
        let tag = std::process::id() % 100_000;
        let mut network = Self {
            name: format!("ls{tag}"),
            subnet: format!("10.213.{}", tag % 256),
            namespaces: Vec::new(),
        };
        let hub = network.hub();
        if !try_ip(&format!("netns add {hub}")) {
            return None;
        }
        network.namespaces.push(hub.clone());
        let made = try_ip(&format!("-n {hub} link add bridge type bridge"))
            && try_ip(&format!("-n {hub} link set bridge up"))
            && try_ip(&format!(
                "link add {0}us type veth peer name us netns {hub}",
                network.name
            ));
        if !made {
            return None;
        }
        ip(&format!("-n {hub} link set us master bridge up"));
        ip(&format!(
            "addr add {}/24 dev {}us",
            network.address(OURS),
            network.name
        ));
        ip(&format!("link set {}us up", network.name));
        Some(network)
    }

    fn hub(&self) -> String {
        format!("{}hub", self.name)
    }

    fn address(&self, last: u8) -> String {
        format!("{}.{last}", self.subnet)
    }

    fn namespace(&self, last: u8) -> String {
        format!("{}n{last}", self.name)
    }

    /// A namespace with one address, in which the nodes' names lead to `hosts`.
    fn add(&mut self, last: u8, hosts: &[u8]) {
        let (space, hub) = (self.namespace(last), self.hub());
        ip(&format!("netns add {space}"));
        self.namespaces.push(space.clone());
        fs::create_dir_all(etc(&space)).expect("as root");
        self.set_hosts(last, hosts);
        ip(&format!(
            "-n {hub} link add n{last} type veth peer name eth netns {space}"
        ));
        ip(&format!("-n {hub} link set n{last} master bridge up"));
        ip(&format!(
            "-n {space} addr add {}/24 dev eth",
            self.address(last)
        ));
        ip(&format!("-n {space} link set eth up"));
        ip(&format!("-n {space} link set lo up"));
    }

    /// Writes into the file that processes of the namespace already have for `/etc/hosts`.
    fn set_hosts(&self, last: u8, hosts: &[u8]) {
        let mut text = "127.0.0.1 localhost\n".to_owned();
        for (id, host) in (1..).zip(hosts) {
            text += &format!("{} node{id}\n", self.address(*host));
        }
        fs::write(etc(&self.namespace(last)).join("hosts"), text).expect("as root");
    }

    /// From now on whatever goes to this address or comes from it is lost without a word.
    fn black_hole(&self, last: u8) {
        ip(&format!("-n {} link set n{last} down", self.hub()));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for space in &self.namespaces {
            try_ip(&format!("netns del {space}"));
            // The bridge's has none.
            let _ = fs::remove_dir_all(etc(space));
        }
    }
}

/// Where `ip netns exec` finds the files that a namespace has in place of those in `/etc`.
fn etc(space: &str) -> PathBuf {
    Path::new("/etc/netns").join(space)
}

fn try_ip(arguments: &str) -> bool {
    let ran = Command::new("ip")
        .args(arguments.split(' '))
        .stderr(Stdio::null())
        .status();
    ran.is_ok_and(|status| status.success())
}

fn ip(arguments: &str) {
    assert!(try_ip(arguments), "ip {arguments}");
}

/// Three nodes, each in a namespace, which know each other by name.
struct Nodes {
    children: Vec<(u8, Child)>,
    network: Network,
    folder: TempDir,
}

impl Nodes {
    fn start(mut network: Network) -> Self {
        let folder = tempdir().expect("a folder");
        let mut text =
            "cluster = \"moving\"\nsecurity.plaintext = true\ninit_on_first_start = true\n"
                .to_owned();
        for id in 1..=3 {
            text += &format!(
                "[[nodes]]\nid = {id}\npeer_address = \"node{id}:7400\"\n\
                 client_address = \"node{id}:7500\"\ndata_directory = \"data/{id}\"\n"
            );
        }
        fs::write(folder.path().join("cluster.toml"), text).expect("written");
        for last in 1..=3 {
            network.add(last, &[1, 2, 3]);
        }
        let mut nodes = Self {
            children: Vec::new(),
            network,
            folder,
        };
        for id in 1..=3 {
            nodes.launch(id, id);
        }
        nodes
    }

    fn launch(&mut self, id: u8, at: u8) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join(format!("{id}.log")));
        let child = Command::new("ip")
            .args(["netns", "exec", &self.network.namespace(at), PROGRAM])
            .args(["node", "--stop-with-stdin", "--id", &id.to_string()])
            .arg("--config")
            .arg(self.folder.path().join("cluster.toml"))
            .stdin(Stdio::piped())
            .stderr(log.expect("a log"))
            .spawn();
        self.children.push((id, child.expect("starts")));
    }

    fn kill(&mut self, id: u8) {
        let place = self.children.iter().position(|(other, _)| *other == id);
        let (_, mut child) = self.children.remove(place.expect("runs"));
        child.kill().expect("killed");
        child.wait().expect("waited for");
    }

    fn client_address(&self, at: u8) -> String {
        format!("{}:7500", self.network.address(at))
    }

    async fn report(&self, at: u8) -> Option<Report> {
        let http = Access::plaintext()
            .client(Duration::from_secs(2))
            .expect("a client")
            .timeout(Duration::from_secs(1))
            .build()
            .expect("a client");
        let url = format!("http://{}/status", self.client_address(at));
        let answer = http.get(url).send().await.ok()?;
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }

    async fn leader(&self) -> u8 {
        let end = Instant::now() + PATIENCE;
        loop {
            for id in 1..=3 {
                if self
                    .report(id)
                    .await
                    .is_some_and(|report| report.role == "leader")
                {
                    return id;
                }
            }
            assert!(Instant::now() < end, "no leader\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn log(&self, id: u8) -> String {
        fs::read_to_string(self.folder.path().join(format!("{id}.log"))).expect("a log")
    }

    fn logs(&self) -> String {
        (1..=3)
            .map(|id| format!("--- {id}\n{}", self.log(id)))
            .collect()
    }

    /// Waits until the node at `at` has applied as much as `index`. Returns how long it took.
    async fn wait_until_applied(&self, at: u8, index: u64, patience: Duration) -> Duration {
        let start = Instant::now();
        loop {
            if let Some(report) = self.report(at).await
                && report.last_applied >= index
            {
                return start.elapsed();
            }
            assert!(
                start.elapsed() < patience,
                "the node at {at} is not found after {patience:?}\n{}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_moves_behind_its_name_is_found_within_seconds() {
    if std::env::var_os("LOCKSTEP_NETNS").is_none() {
        println!("skipped: LOCKSTEP_NETNS is not set, and this takes root and `ip netns`");
        return;
    }
    let network = Network::new().expect("LOCKSTEP_NETNS is set: network namespaces can be had");
    let mut nodes = Nodes::start(network);
    let leader = nodes.leader().await;
    let moved = (1..=3).find(|id| *id != leader).expect("a follower");
    let mut client = Client::new(vec![nodes.client_address(leader)], PATIENCE).expect("a client");
    client.put(b"before", "x".into()).await.expect("done");
    let applied = nodes.report(leader).await.expect("a report").last_applied;
    nodes.wait_until_applied(moved, applied, PATIENCE).await;

    // It is gone in the middle of something, and nobody is told.
    nodes.network.black_hole(moved);
    nodes.kill(moved);
    client
        .put(b"while it is away", "x".into())
        .await
        .expect("done");
    let applied = nodes.report(leader).await.expect("a report").last_applied;

    let mut hosts = [1, 2, 3];
    hosts[usize::from(moved) - 1] = MOVED;
    nodes.network.add(MOVED, &hosts);
    for last in (1..=3).filter(|last| *last != moved) {
        nodes.network.set_hosts(last, &hosts);
    }
    nodes.launch(moved, MOVED);
    let took = nodes.wait_until_applied(MOVED, applied, FOUND).await;
    println!("the leader reached the node at its new address after {took:?}");
    let address = nodes.network.address(MOVED);
    let told = ["no sign that it reads", "looked up a peer's name", &address];
    // What is logged is written a moment later.
    let end = Instant::now() + PATIENCE;
    while let log = nodes.log(leader)
        && !told.iter().all(|words| log.contains(words))
    {
        assert!(Instant::now() < end, "{told:?} are not all in\n{log}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
