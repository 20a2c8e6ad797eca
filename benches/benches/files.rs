//! The file service beside ZooKeeper: writes a second, how long one takes, and what it costs the
//! servers, with three server processes each, in one run.
//!
//! Each client writes 256 bytes, and its next when its last is acknowledged: a file that is made
//! beside a znode that is created, and an append to a file of the client's own beside a `setData` of a
//! znode of its own, for ZooKeeper has no append. Clients are at the three servers in turn. Both
//! services have a majority force each write to the same disk before it is acknowledged, and are as
//! they are where nothing is configured.
//!
//! Ours is asked over HTTP by the client that it comes with; ZooKeeper by one that does no more than
//! is asked of it here. Both run in this process, on the servers' processors: what they take there is
//! shown, and the servers' share is what was measured of their processes.
//!
//! ZooKeeper is measured where Debian's package `zookeeper` is installed, or `ZK_SERVER` names a
//! `zkServer.sh`. `-- --seconds N` says how long each of the two rounds lasts; by default 5.

use std::path::Path;
use std::time::Duration;

use benches::closed_loop::Client;
use benches::comparison::{Comparison, Part, Side};
use benches::mode::Mode;
use benches::program::program;
use benches::zookeeper::{self, Ensemble};
use benches::zookeeper_client::ZookeeperClient;
use bytes::Bytes;
use lockstep::files::client::Client as FilesClient;
use lockstep::files::config::{LogLimits, Timing};
use lockstep::files::local::cluster::Processes;
use models::NodeId;
use tokio::runtime::Runtime;

/// On the disk that the build is on: a folder for temporary files may be in memory.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");
const NODES: u16 = 3;
const VALUE: [u8; 256] = [0xA5; 256];
const CLIENTS: [usize; 4] = [1, 16, 64, 256];
const ROUNDS: usize = 2;
const WARM_UP: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let mode = Mode::of_process();
    if mode == Mode::List {
        println!("files: benchmark");
        return;
    }
    tempfile::env::override_temp_dir(Path::new(FOLDER)).expect("nobody else has said where");
    let mut bench = Bench::start(mode);
    let clients = mode.pick(&CLIENTS[..], &CLIENTS[..2]);
    for (kind, operation) in [Operation::Create, Operation::Append]
        .into_iter()
        .enumerate()
    {
        for (index, &clients) in clients.iter().enumerate() {
            for _ in 0..mode.pick(ROUNDS, 1) {
                bench.measure(kind * CLIENTS.len() + index, operation, clients);
            }
        }
    }
    let title = "writes of 256 bytes, 3 server processes on loopback; CPU is for each write";
    bench.comparison.print(title);
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Create,
    Append,
}

impl Operation {
    fn name(self, side: Side) -> &'static str {
        match (side, self) {
            (Side::Ours, Self::Create) => "lockstep, create",
            (Side::Ours, Self::Append) => "lockstep, append",
            (Side::Theirs, Self::Create) => "ZooKeeper, create",
            (Side::Theirs, Self::Append) => "ZooKeeper, setData",
        }
    }
}

/// Both services, running.
struct Bench {
    runtime: Runtime,
    nodes: Processes,
    ensemble: Option<Ensemble>,
    /// How many groups of clients there were: each has names of its own.
    groups: usize,
    comparison: Comparison,
}

impl Bench {
    fn start(mode: Mode) -> Self {
        let log = LogLimits::default();
        let nodes = Processes::start(&program(), NODES, Timing::default(), log);
        let script = zookeeper::script().filter(|_| mode == Mode::Measure);
        let span = mode.pick(Mode::seconds(5), Duration::from_millis(200));
        let mut bench = Self {
            runtime: Runtime::new().expect("tokio starts"),
            nodes: nodes.unwrap_or_else(|error| panic!("{error}")),
            ensemble: script.as_deref().map(Ensemble::start),
            groups: 0,
            comparison: Comparison::new(span),
        };
        let peer = bench.ensemble.as_ref().map_or_else(
            || "ZooKeeper is not measured".to_owned(),
            |ensemble| format!("ZooKeeper {}", ensemble.version()),
        );
        println!("files: {peer}; data is in {FOLDER}");
        if mode == Mode::Measure {
            bench.warm_up();
        }
        bench
    }

    /// A virtual machine is slow until it has compiled what is used.
    fn warm_up(&mut self) {
        let warming = Comparison::new(WARM_UP);
        let comparison = std::mem::replace(&mut self.comparison, warming);
        self.measure(0, Operation::Create, 64);
        self.measure(1, Operation::Append, 64);
        self.comparison = comparison;
    }

    /// One round with both services, one after the other.
    fn measure(&mut self, place: usize, operation: Operation, clients: usize) {
        self.groups += 1;
        self.measure_ours(place, operation, clients);
        self.measure_theirs(place, operation, clients);
    }

    fn measure_ours(&mut self, place: usize, operation: Operation, clients: usize) {
        let pids = (1..=NODES).filter_map(|id| self.nodes.pid(NodeId(id)));
        let part = Part {
            place,
            side: Side::Ours,
            name: format!("{} {clients}", operation.name(Side::Ours)),
            servers: &pids.collect::<Vec<u32>>(),
        };
        let addresses = self.nodes.client_addresses();
        let writers = self.runtime.block_on(async {
            let mut writers = Vec::new();
            for number in 0..clients {
                let mut addresses = addresses.clone();
                addresses.rotate_left(number % usize::from(NODES));
                let path = format!("bench/{}/{number}", self.groups);
                writers.push(FileWriter::new(addresses, operation, path).await);
            }
            writers
        });
        let writers = self.comparison.run(&self.runtime, writers, part);
        self.runtime.block_on(async {
            for writer in writers {
                writer.check().await;
            }
        });
    }

    fn measure_theirs(&mut self, place: usize, operation: Operation, clients: usize) {
        let Some(ensemble) = &self.ensemble else {
            return;
        };
        let part = Part {
            place,
            side: Side::Theirs,
            name: format!("{} {clients}", operation.name(Side::Theirs)),
            servers: &ensemble.pids(),
        };
        let writers = self.runtime.block_on(async {
            let mut writers = Vec::new();
            for number in 0..clients {
                let address = &ensemble.addresses()[number % ensemble.addresses().len()];
                let path = format!("/bench-{}-{number}", self.groups);
                writers.push(ZnodeWriter::new(address, operation, path).await);
            }
            writers
        });
        let writers = self.comparison.run(&self.runtime, writers, part);
        self.runtime.block_on(async {
            for writer in writers {
                writer.client.close().await;
            }
        });
    }
}

/// Writes files, or into one.
struct FileWriter {
    client: FilesClient,
    operation: Operation,
    path: String,
    written: u64,
}

impl FileWriter {
    async fn new(addresses: Vec<String>, operation: Operation, path: String) -> Self {
        let client = FilesClient::new(addresses, PATIENCE);
        let mut client = client.unwrap_or_else(|error| panic!("{error}"));
        if operation == Operation::Append {
            let made = client.create(&path, Bytes::new()).await;
            made.unwrap_or_else(|error| panic!("{error}"));
        }
        Self {
            client,
            operation,
            path,
            written: 0,
        }
    }

    /// Whether all is there that was acknowledged.
    async fn check(mut self) {
        let (path, size) = match self.operation {
            Operation::Create => (
                format!("{}/{}", self.path, self.written),
                VALUE.len() as u64,
            ),
            Operation::Append => (self.path, self.written * VALUE.len() as u64),
        };
        let stat = self.client.stat(&path, true).await;
        let stat = stat.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(stat.map(|stat| stat.size), Some(size), "{path}");
    }
}

impl Client for FileWriter {
    async fn act(&mut self) {
        self.written += 1;
        let value = Bytes::from_static(&VALUE);
        let written = match self.operation {
            Operation::Create => {
                let path = format!("{}/{}", self.path, self.written);
                self.client.create(&path, value).await
            }
            Operation::Append => self.client.append(&self.path, value, None).await,
        };
        written.unwrap_or_else(|error| panic!("a write was not done: {error}"));
    }
}

/// Writes znodes, or into one.
struct ZnodeWriter {
    client: ZookeeperClient,
    operation: Operation,
    path: String,
    written: i32,
}

impl ZnodeWriter {
    async fn new(address: &str, operation: Operation, path: String) -> Self {
        let mut client = ZookeeperClient::connect(address).await;
        client.create(&path, &[]).await;
        Self {
            client,
            operation,
            path,
            written: 0,
        }
    }
}

impl Client for ZnodeWriter {
    async fn act(&mut self) {
        self.written += 1;
        match self.operation {
            Operation::Create => {
                let path = format!("{}/{}", self.path, self.written);
                self.client.create(&path, &VALUE).await;
            }
            Operation::Append => {
                let version = self.client.set_data(&self.path, &VALUE).await;
                assert_eq!(version, self.written, "a write was not done, or twice");
            }
        }
    }
}
