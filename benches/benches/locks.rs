//! What a lock costs: messages for each entry, against what Maekawa's paper says, and acquisitions a
//! second beside etcd's lock service.
//!
//! Messages are counted in the simulation, for members from 3 to 57: alone, 3(K − 1) with K the size of
//! a quorum; contended, up to 5(K − 1).
//!
//! Acquisitions are counted on an orchestrator and three members as processes, and on three members of
//! etcd, in one run: an acquisition is a lock that is acquired and released again, by clients at three
//! members in turn (`benches::locker`), with a lease that is had once, and with one for each. Both
//! services are as they are where nothing is configured.
//!
//! **The ratio is one of designs**: etcd forces each acquisition and each release to the disks of a
//! majority before it answers; ours keeps who has a lock in the members' memory and writes when epochs
//! change, and pays for that when a member crashes: its clients lose their locks, and the next epoch
//! is waited for.
//!
//! etcd is measured where Debian's package `etcd-server` is installed, or `ETCD_BIN` names a program.
//! `-- --seconds N` says how long each of the two rounds lasts; by default 5.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use benches::comparison::{Comparison, Part, Side};
use benches::etcd::{self, EtcdCluster};
use benches::locker::{EtcdLocker, Lease, Lock, LockstepLocker};
use benches::messages::{Load, count};
use benches::mode::Mode;
use benches::program::program;
use benches::table::Table;
use lockstep::locks::client::Client as LocksClient;
use lockstep::locks::config::Timing;
use lockstep::locks::local::cluster::Processes;
use models::NodeId;
use tokio::runtime::Runtime;

/// On the disk that the build is on: a folder for temporary files may be in memory.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");
const SEED: u64 = 0x10C4;
const MESSAGES_OF: [u16; 8] = [3, 4, 7, 13, 21, 31, 40, 57];
const MEMBERS: u16 = 3;
const ROUNDS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let mode = Mode::of_process();
    if mode == Mode::List {
        println!("locks: benchmark");
        return;
    }
    messages(mode);
    tempfile::env::override_temp_dir(Path::new(FOLDER)).expect("nobody else has said where");
    let mut bench = Bench::start(mode);
    for (kind, lease) in [Lease::Once, Lease::Each].into_iter().enumerate() {
        for (index, clients) in LOADS.into_iter().enumerate() {
            for _ in 0..mode.pick(ROUNDS, 1) {
                bench.measure(kind * LOADS.len() + index, lease, clients);
            }
        }
    }
    let title = "acquisitions, each with its release; 3 members on loopback; CPU is for each; etcd's are on \
                 disk at a majority, ours in the members' memory";
    bench.comparison.print(title);
}

fn messages(mode: Mode) {
    println!("locks: seed {SEED}");
    let mut table = Table::new(
        "messages for each entry, in the simulation",
        ["members", "K", "3(K-1)", "alone", "contended", "5(K-1)"],
    );
    let rounds = mode.pick(10, 1);
    for members in mode.pick(&MESSAGES_OF[..], &MESSAGES_OF[..3]) {
        let alone = count(*members, Load::Alone, 1, SEED);
        let all = count(*members, Load::All, rounds, SEED);
        table.row([
            members.to_string(),
            format!("{:.2}", alone.quorum),
            format!("{:.2}", alone.least()),
            format!("{:.2}", alone.messages),
            format!("{:.2}", all.messages),
            format!("{:.2}", all.most()),
        ]);
    }
    println!("{table}");
}

/// Clients, and which locks they want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clients {
    number: usize,
    /// Whether all want the same.
    one_lock: bool,
}

const LOADS: [Clients; 4] = [alone(1), alone(6), alone(24), contended(6)];

const fn alone(number: usize) -> Clients {
    Clients {
        number,
        one_lock: false,
    }
}

const fn contended(number: usize) -> Clients {
    Clients {
        number,
        one_lock: true,
    }
}

impl Clients {
    fn locks(self) -> Vec<Lock> {
        let shared = Lock::new("shared");
        let lock = |number| match self.one_lock {
            true => shared.clone(),
            false => Lock::new(format!("lock-{number}")),
        };
        (0..self.number).map(lock).collect()
    }

    fn name(self, lease: Lease, side: Side) -> String {
        let Self { number, one_lock } = self;
        let side = match side {
            Side::Ours => "lockstep",
            Side::Theirs => "etcd",
        };
        let lease = match lease {
            Lease::Once => "one lease",
            Lease::Each => "a lease each",
        };
        let locks = if one_lock { "one lock" } else { "own locks" };
        format!("{side}, {lease}, {locks}, {number}")
    }
}

/// Both services, running.
struct Bench {
    runtime: Runtime,
    nodes: Processes,
    etcd: Option<EtcdCluster>,
    comparison: Comparison,
}

impl Bench {
    fn start(mode: Mode) -> Self {
        let nodes = Processes::start(&program(), MEMBERS, Timing::default());
        let etcd = etcd::program().filter(|_| mode == Mode::Measure);
        let span = mode.pick(Mode::seconds(5), Duration::from_millis(200));
        let bench = Self {
            runtime: Runtime::new().expect("tokio starts"),
            nodes: nodes.unwrap_or_else(|error| panic!("{error}")),
            etcd: etcd.as_deref().map(EtcdCluster::start),
            comparison: Comparison::new(span),
        };
        let peer = bench.etcd.as_ref().map_or_else(
            || "etcd is not measured".to_owned(),
            |etcd| format!("etcd {}", etcd.version()),
        );
        println!("locks: {peer}; data is in {FOLDER}");
        bench.until_all_are_members();
        bench
    }

    fn until_all_are_members(&self) {
        let end = Instant::now() + PATIENCE;
        let addresses = self.nodes.client_addresses();
        let client = LocksClient::new(addresses.clone(), PATIENCE).expect("a client");
        for address in &addresses {
            loop {
                let report = self.runtime.block_on(client.status(address));
                let members = report.as_ref().map(|report| report.members.len());
                if members == Ok(usize::from(MEMBERS)) {
                    break;
                }
                assert!(Instant::now() < end, "{report:?}");
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// One round with both services, one after the other.
    fn measure(&mut self, place: usize, lease: Lease, clients: Clients) {
        self.measure_ours(place, lease, clients);
        self.measure_theirs(place, lease, clients);
    }

    fn measure_ours(&mut self, place: usize, lease: Lease, clients: Clients) {
        let pids = (0..=MEMBERS).filter_map(|id| self.nodes.pid(NodeId(id)));
        let part = Part {
            place,
            side: Side::Ours,
            name: clients.name(lease, Side::Ours),
            servers: &pids.collect::<Vec<u32>>(),
        };
        // The orchestrator, which has no locks, is the first.
        let addresses = self.nodes.client_addresses().split_off(1);
        let lockers = self.runtime.block_on(async {
            let mut lockers = Vec::new();
            for (number, lock) in clients.locks().into_iter().enumerate() {
                let address = &addresses[number % addresses.len()];
                lockers.push(LockstepLocker::connect(address, lock, lease).await);
            }
            lockers
        });
        let lockers = self.comparison.run(&self.runtime, lockers, part);
        self.runtime.block_on(async {
            for locker in lockers {
                locker.close().await;
            }
        });
    }

    fn measure_theirs(&mut self, place: usize, lease: Lease, clients: Clients) {
        let Some(etcd) = &self.etcd else {
            return;
        };
        let part = Part {
            place,
            side: Side::Theirs,
            name: clients.name(lease, Side::Theirs),
            servers: &etcd.pids(),
        };
        let lockers = self.runtime.block_on(async {
            let mut lockers = Vec::new();
            for (number, lock) in clients.locks().into_iter().enumerate() {
                let address = &etcd.addresses()[number % etcd.addresses().len()];
                lockers.push(EtcdLocker::connect(address, lock, lease).await);
            }
            lockers
        });
        let lockers = self.comparison.run(&self.runtime, lockers, part);
        self.runtime.block_on(async {
            for locker in lockers {
                locker.close().await;
            }
        });
    }
}
