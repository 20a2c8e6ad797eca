//! A cluster of processes that loses its leader, and the time until a write is acknowledged
//! again.

use std::fmt::{self, Display};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fastrand::Rng;
use lockstep::kv::client::Client;
use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use lockstep::kv::status::Report;
use models::NodeId;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;

const NODES: u16 = 3;
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// What happens to the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is asked to end: it hands its leadership over before it does.
    Terminate,
    /// It is killed: its connections close, which tells everybody.
    Kill,
    /// It is stopped and never continued: it just falls silent.
    Stop,
}

impl Fault {
    /// The signal's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Kill => "SIGKILL",
            Self::Stop => "SIGSTOP",
        }
    }
}

/// How long the nodes wait, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Between two heartbeats.
    pub heartbeat: u64,
    /// Before an election, at least
    pub shortest: u64,
    /// and at most.
    pub longest: u64,
}

impl Display for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}–{}", self.heartbeat, self.shortest, self.longest)
    }
}

impl Timeouts {
    fn timing(self) -> Timing {
        Timing {
            heartbeat_ms: self.heartbeat,
            election_min_ms: self.shortest,
            election_max_ms: self.longest,
            ..Timing::default()
        }
    }
}

/// Takes the leader away from a cluster `rounds` times, and returns how long each time it
/// was until a write was acknowledged again. The moments of the faults are drawn from `seed`.
///
/// # Panics
/// If the cluster does not start, or does not recover.
pub fn study(
    program: &Path,
    timeouts: Timeouts,
    fault: Fault,
    rounds: u32,
    seed: u64,
) -> Vec<Duration> {
    let processes = Processes::start(program, NODES, timeouts.timing());
    let mut cluster = Cluster {
        processes: processes.unwrap_or_else(|error| panic!("{error}")),
        runtime: Runtime::new().expect("tokio starts"),
        rng: Rng::with_seed(seed),
    };
    (0..rounds)
        .map(|round| cluster.fail_over(timeouts, fault, round))
        .collect()
}

struct Cluster {
    processes: Processes,
    runtime: Runtime,
    rng: Rng,
}

impl Cluster {
    fn fail_over(&mut self, timeouts: Timeouts, fault: Fault, round: u32) -> Duration {
        let leader = self.settle();
        let survivors = self.survivors(leader);
        // When a fault comes is independent of when the last heartbeat was.
        thread::sleep(Duration::from_micros(
            self.rng.u64(..timeouts.heartbeat * 1000),
        ));
        let began = Instant::now();
        self.strike(leader, fault);
        let (mut client, key) = self.runtime.block_on(first_to_write(survivors, round));
        let took = began.elapsed();
        let read = self.runtime.block_on(client.get(key.as_bytes()));
        let read = read.unwrap_or_else(|error| panic!("{error}\n{}", self.processes.log_tails()));
        let written = Some(Bytes::from(key));
        assert_eq!(read, written, "an acknowledged write is lost");
        self.processes
            .kill(leader)
            .expect("what was stopped can be killed");
        self.processes
            .launch(leader)
            .unwrap_or_else(|error| panic!("{error}"));
        took
    }

    /// Waits until all nodes agree on a leader, and on what is committed; returns the leader.
    fn settle(&self) -> NodeId {
        let end = Instant::now() + PATIENCE;
        let addresses = self.processes.client_addresses();
        let client = Client::new(addresses.clone(), PATIENCE).expect("the HTTP client starts");
        self.runtime.block_on(async {
            loop {
                let mut reports = Vec::new();
                for address in &addresses {
                    reports.extend(client.status(address).await);
                }
                if let Some(leader) = agreed_leader(&reports) {
                    return leader;
                }
                let tails = || self.processes.log_tails();
                assert!(
                    Instant::now() < end,
                    "no agreement: {reports:#?}\n{}",
                    tails()
                );
                sleep(POLL).await;
            }
        })
    }

    /// A client for each node but `leader`, which knows that node only.
    fn survivors(&self, leader: NodeId) -> Vec<Client> {
        let nodes = self.processes.config().nodes.iter();
        let others = nodes.filter(|node| node.id != leader);
        others
            .map(|node| {
                let address = node.client_address.clone();
                Client::new(vec![address], PATIENCE).expect("the HTTP client starts")
            })
            .collect()
    }

    /// Returns once the fault has happened. A leader that is asked to end may still be at it.
    fn strike(&mut self, leader: NodeId, fault: Fault) {
        match fault {
            Fault::Terminate => self.signal(leader, "-TERM"),
            Fault::Kill => self
                .processes
                .kill(leader)
                .expect("a process can be killed"),
            Fault::Stop => self.signal(leader, "-STOP"),
        }
    }

    fn signal(&self, node: NodeId, signal: &str) {
        let pid = self.processes.pid(node).expect("the node runs");
        let sent = Command::new("kill")
            .args([signal, &pid.to_string()])
            .status()
            .expect("there is a program named kill");
        assert!(sent.success(), "{node} cannot be sent {signal}");
    }
}

fn agreed_leader(reports: &[Report]) -> Option<NodeId> {
    let first = reports.first()?;
    let agree = |report: &Report| {
        report.leader == first.leader
            && report.term == first.term
            && report.last_applied == first.last_applied
            && report.last_index == first.last_applied
    };
    let all = reports.len() == usize::from(NODES);
    first.leader.filter(|_| all && reports.iter().all(agree))
}

/// Every client writes at once, each to its own node. Returns the one whose write was
/// acknowledged first, and what it wrote, which is its key as well.
async fn first_to_write(clients: Vec<Client>, round: u32) -> (Client, String) {
    let mut tasks = JoinSet::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        let key = format!("round-{round}-by-{number}");
        tasks.spawn(async move {
            let value = Bytes::from(key.clone());
            client
                .put(key.as_bytes(), value)
                .await
                .map(|_| (client, key))
        });
    }
    let mut errors = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        match ended.expect("a client does not panic") {
            Ok(written) => return written,
            Err(error) => errors.push(error.to_string()),
        }
    }
    panic!("the cluster takes no writes any more: {errors:#?}");
}
