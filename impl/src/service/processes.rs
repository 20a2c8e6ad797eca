//! A cluster as processes of this machine: for the demos and for tests that kill.
//!
//! Every node ends with its [`Processes`], in whatever way that ends: it is killed when the
//! value is dropped, and it stops by itself when its standard input closes, which happens
//! even if this process is killed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use models::NodeId;

use serde::Serialize;

use crate::service::config::{NodeConfig, ServiceConfig};
use crate::service::split_network::SplitNetwork;

/// A node has this long to start or to stop.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);
/// Another process may take a port between its choice and its use: then others are chosen.
const STARTS: usize = 5;
/// Below the ports that systems give to outgoing connections, so that a node which is
/// restarted finds its port free.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const LOG_TAIL_BYTES: u64 = 4096;

/// Why a cluster of processes is not there.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The operating system refused.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The configuration cannot be written.
    #[error("the cluster file cannot be written: {0}")]
    Config(#[from] toml::ser::Error),
    /// A node has ended, or does not answer.
    #[error("{node} did not {what}; the end of its log:\n{log}")]
    Node {
        /// The node.
        node: NodeId,
        /// What it should have done.
        what: String,
        /// The end of its log.
        log: String,
    },
}

/// A cluster of processes.
#[derive(Debug)]
pub struct Processes<C> {
    executable: PathBuf,
    folder: tempfile::TempDir,
    config: C,
    running: BTreeMap<NodeId, Child>,
}

impl<C: ServiceConfig + Serialize + Clone> Processes<C> {
    /// Starts the nodes of `config` as `executable`, and waits until all belong to the cluster.
    /// Its nodes get free ports of the loopback interface, and data directories in a temporary
    /// folder.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start_cluster(executable: &Path, config: &C, count: u16) -> Result<Self, ProcessError> {
        Self::start_nodes(executable, config, 1..=count)
    }

    /// The same, with nodes of these ids.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start_nodes(
        executable: &Path,
        config: &C,
        ids: impl IntoIterator<Item = u16>,
    ) -> Result<Self, ProcessError> {
        let ids: Vec<NodeId> = ids.into_iter().map(NodeId).collect();
        Self::start_on_free_ports(|| {
            let mut processes = Self::prepare(executable, config, &ids)?;
            processes.launch_all()?;
            Ok(processes)
        })
    }

    /// As [`Processes::start_cluster`], but waits for nothing but that they listen: for nodes that
    /// nobody founds.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start_waiting(executable: &Path, config: &C, count: u16) -> Result<Self, ProcessError> {
        let all: Vec<NodeId> = (1..=count).map(NodeId).collect();
        Self::start_on_free_ports(|| {
            let mut processes = Self::prepare(executable, config, &all)?;
            let ids: Vec<NodeId> = processes.nodes().iter().map(|node| node.id).collect();
            ids.into_iter().try_for_each(|id| processes.launch(id))?;
            Ok(processes)
        })
    }

    /// As [`Processes::start_cluster`], with a network between the nodes that can be split. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start_on_split_network(
        executable: &Path,
        config: &C,
        count: u16,
    ) -> Result<(Self, SplitNetwork), ProcessError> {
        Self::start_on_network(executable, config, count, SplitNetwork::before)
    }

    /// As [`Processes::start_cluster`], with the network between the nodes that `put_before` puts before
    /// each.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start_on_network<T>(
        executable: &Path,
        config: &C,
        count: u16,
        put_before: impl Fn(&mut [NodeConfig]) -> io::Result<T>,
    ) -> Result<(Self, T), ProcessError> {
        let ids: Vec<NodeId> = (1..=count).map(NodeId).collect();
        Self::start_on_free_ports(|| {
            let mut processes = Self::prepare(executable, config, &ids)?;
            let network = put_before(processes.config.nodes_mut());
            let network = network.map_err(failed("setting up the network"))?;
            processes.write_config()?;
            processes.launch_all()?;
            Ok((processes, network))
        })
    }

    fn start_on_free_ports<T>(
        start: impl Fn() -> Result<T, ProcessError>,
    ) -> Result<T, ProcessError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match start() {
                Err(error @ ProcessError::Node { .. }) if tries < STARTS => {
                    tracing::warn!(%error, "starting again on other ports");
                }
                other => return other,
            }
        }
    }

    /// Writes the configuration, and starts nothing.
    fn prepare(executable: &Path, config: &C, ids: &[NodeId]) -> Result<Self, ProcessError> {
        let folder = tempfile::tempdir().map_err(failed("creating a temporary folder"))?;
        let mut config = config.clone();
        *config.nodes_mut() = nodes(ids).map_err(failed("finding free ports"))?;
        let processes = Self {
            executable: executable.to_owned(),
            folder,
            config,
            running: BTreeMap::new(),
        };
        processes.write_config()?;
        Ok(processes)
    }

    fn nodes(&self) -> Vec<NodeConfig> {
        self.config.cluster_config().nodes
    }

    fn write_config(&self) -> Result<(), ProcessError> {
        let text = toml::to_string(&self.config)?;
        fs::write(self.config_file(), text).map_err(failed("writing the cluster file"))
    }

    /// Changes the cluster file. What runs does not look at it any more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn alter(&mut self, change: impl FnOnce(&mut C)) -> Result<(), ProcessError> {
        change(&mut self.config);
        self.write_config()
    }

    /// A node that the cluster file does not list yet, on free ports.
    ///
    /// # Errors
    /// When there are none.
    pub fn new_node(id: NodeId) -> Result<NodeConfig, ProcessError> {
        let pair = free_addresses(2).map_err(failed("finding free ports"))?;
        Ok(node(id, &pair))
    }

    /// A node's data directory.
    pub fn data_directory(&self, id: NodeId) -> PathBuf {
        let nodes = self.nodes();
        let node = nodes.iter().find(|node| node.id == id);
        let relative = node.map_or(Path::new(""), |node| &node.data_directory);
        self.folder.path().join(relative)
    }

    /// The configuration of the cluster.
    pub fn config(&self) -> &C {
        &self.config
    }

    /// Its file.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("cluster.toml")
    }

    /// The client addresses, in the order of the nodes.
    pub fn client_addresses(&self) -> Vec<String> {
        let nodes = self.nodes().into_iter();
        nodes.map(|node| node.client_address).collect()
    }

    /// The process id of a node that runs.
    pub fn pid(&self, id: NodeId) -> Option<u32> {
        self.running.get(&id).map(Child::id)
    }

    /// Starts every node that does not run, and waits until all belong to the cluster.
    ///
    /// # Errors
    /// When one does not.
    pub fn launch_all(&mut self) -> Result<(), ProcessError> {
        let nodes = self.nodes();
        for node in &nodes {
            self.spawn(node.id)?;
        }
        nodes
            .iter()
            .try_for_each(|node| self.wait_until_it_listens(node))?;
        nodes
            .iter()
            .try_for_each(|node| self.wait_until_it_serves(node))
    }

    /// Starts a node that does not run, and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub fn launch(&mut self, id: NodeId) -> Result<(), ProcessError> {
        let node = self.nodes().into_iter().find(|node| node.id == id);
        let node = node.ok_or_else(|| self.complaint(id, "exist"))?;
        self.spawn(id)?;
        self.wait_until_it_listens(&node)
    }

    /// Asks every node to stop, by closing its standard input, and returns how each ended.
    ///
    /// # Errors
    /// When one does not stop in time.
    pub fn stop_all(&mut self) -> Result<Vec<(NodeId, ExitStatus)>, ProcessError> {
        for child in self.running.values_mut() {
            drop(child.stdin.take());
        }
        let ids: Vec<NodeId> = self.running.keys().copied().collect();
        let mut ended = Vec::new();
        for id in ids {
            ended.push((id, self.wait_until_it_ends(id)?));
        }
        Ok(ended)
    }

    /// Waits until a node has ended that was told to stop, by a signal say, and returns how.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait(&mut self, id: NodeId) -> Result<ExitStatus, ProcessError> {
        self.wait_until_it_ends(id)
    }

    /// The end of a node's log.
    pub fn log_tail(&self, id: NodeId) -> String {
        read_tail(&self.log_file(id)).unwrap_or_else(|error| format!("(no log: {error})"))
    }

    /// The ends of all logs.
    pub fn log_tails(&self) -> String {
        let nodes = self.nodes().into_iter();
        nodes
            .map(|node| format!("--- {} ---\n{}", node.id, self.log_tail(node.id)))
            .collect()
    }

    fn log_file(&self, id: NodeId) -> PathBuf {
        self.folder.path().join(format!("{id}.log"))
    }

    fn spawn(&mut self, id: NodeId) -> Result<(), ProcessError> {
        if self.running.contains_key(&id) {
            return Ok(());
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file(id))
            .map_err(failed("opening a log"))?;
        let child = Command::new(&self.executable)
            .args(["node", "--stop-with-stdin", "--id"])
            .arg(id.0.to_string())
            .arg("--config")
            .arg(self.config_file())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(failed("starting a node"))?;
        self.running.insert(id, child);
        Ok(())
    }

    fn wait_until_it_listens(&mut self, node: &NodeConfig) -> Result<(), ProcessError> {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(&node.client_address).is_err() {
            if self.has_ended(node.id)?.is_some() || Instant::now() >= end {
                return Err(self.complaint(node.id, "start listening"));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Waits until the node belongs to a cluster: a blank one answers 503.
    fn wait_until_it_serves(&mut self, node: &NodeConfig) -> Result<(), ProcessError> {
        let end = Instant::now() + PATIENCE;
        while !serves(&node.client_address).unwrap_or(false) {
            if self.has_ended(node.id)?.is_some() || Instant::now() >= end {
                return Err(self.complaint(node.id, "come to belong to a cluster"));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn wait_until_it_ends(&mut self, id: NodeId) -> Result<ExitStatus, ProcessError> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.has_ended(id)? {
                self.running.remove(&id);
                return Ok(status);
            }
            if Instant::now() >= end {
                return Err(self.complaint(id, "stop"));
            }
            thread::sleep(POLL);
        }
    }

    fn has_ended(&mut self, id: NodeId) -> Result<Option<ExitStatus>, ProcessError> {
        let child = self.running.get_mut(&id);
        let status = child.map(Child::try_wait).transpose();
        Ok(status.map_err(failed("looking after a node"))?.flatten())
    }

    fn complaint(&self, node: NodeId, what: &str) -> ProcessError {
        ProcessError::Node {
            node,
            what: what.to_owned(),
            log: self.log_tail(node),
        }
    }
}

impl<C> Processes<C> {
    /// Kills a node at once (SIGKILL), as a crash does.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill(&mut self, id: NodeId) -> Result<(), ProcessError> {
        self.kill_those(&[id])
    }

    /// Kills every node, all before any is waited for.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill_all(&mut self) -> Result<(), ProcessError> {
        let all: Vec<NodeId> = self.running.keys().copied().collect();
        self.kill_those(&all)
    }

    fn kill_those(&mut self, ids: &[NodeId]) -> Result<(), ProcessError> {
        let mut victims: Vec<Child> = ids
            .iter()
            .filter_map(|id| self.running.remove(id))
            .collect();
        for victim in &mut victims {
            victim.kill().map_err(failed("killing a node"))?;
        }
        for victim in &mut victims {
            victim.wait().map_err(failed("waiting for a killed node"))?;
        }
        Ok(())
    }
}

impl<C> Drop for Processes<C> {
    fn drop(&mut self) {
        if let Err(error) = self.kill_all() {
            tracing::error!(%error, "a node may still run");
        }
    }
}

/// Whether the node at `address` answers a question for its status with success.
fn serves(address: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

fn failed(doing: &str) -> impl FnOnce(io::Error) -> ProcessError {
    let doing = doing.to_owned();
    move |source| ProcessError::Io { doing, source }
}

fn nodes(ids: &[NodeId]) -> io::Result<Vec<NodeConfig>> {
    let addresses = free_addresses(2 * ids.len())?;
    let nodes = ids.iter().zip(addresses.chunks_exact(2));
    Ok(nodes.map(|(id, pair)| node(*id, pair)).collect())
}

/// A node with these addresses, for the others and for clients.
fn node(id: NodeId, pair: &[String]) -> NodeConfig {
    let [peer, client] = [0, 1].map(|index| pair[index].clone());
    NodeConfig::new(id, peer, client, format!("data/{}", id.0)).with_metrics("127.0.0.1:0")
}

/// Addresses of the loopback interface that were free a moment ago.
///
/// # Errors
/// When there are none.
pub fn free_addresses(count: usize) -> io::Result<Vec<String>> {
    // All are held until all are found, so that none is found twice.
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(free_listener()?);
    }
    let addresses = held.iter().map(TcpListener::local_addr);
    addresses.map(|address| Ok(address?.to_string())).collect()
}

fn free_listener() -> io::Result<TcpListener> {
    let tries = (0..100).map(|_| fastrand::u16(PORTS));
    let mut found = tries.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    found
        .next()
        .map_or_else(|| TcpListener::bind("127.0.0.1:0"), Ok)
}

fn read_tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
