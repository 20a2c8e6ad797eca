//! The longest pause while a checkpoint is taken, against the size of the state.
//!
//! One node of the key-value store, alone, with the file journal. It is filled without
//! checkpoints and started again with one due after a few hundred writes. Until that checkpoint is on
//! disk, and as long again, a client writes 256 bytes, one write after the other, and another
//! thread looks at the node every millisecond, as a heartbeat would pass: through the stepper,
//! and out when all that came before is on disk. `quiet` is as much time without a checkpoint: the
//! longest pause is what the disk and the machine do by themselves, and the 99th percentile of writes
//! is what the longest write during the checkpoint is divided by.
//!
//! `-- --sizes 10,100` says how many megabytes, by default 10, 100 and 1000; `--value-bytes 256` how
//! large each value is, by default 4096. `benches/checkpoint-before` holds a million keys of 256 bytes
//! against the build in which the node waited for its checkpoints.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use benches::latency::{Latencies, millis};
use benches::mode::Mode;
use benches::table::{Table, grouped};
use bytes::Bytes;
use lockstep::kv::config::{LogLimits, Timing};
use lockstep::kv::request::pending::{Verdict, Waiters};
use lockstep::kv::server::node;
use lockstep::kv::store::{Command, Put};
use lockstep::kv::{KvRaft, PROTOCOL, VERSION};
use lockstep::runtime::driver::{NodeBuilder, NodeOptions, RunningNode, format, mailbox};
use lockstep::runtime::journal::{FileJournal, FileJournalOptions};
use lockstep::runtime::transport::NoTransport;
use lockstep::{ClusterId, Identity};
use models::raft::Compaction;
use models::raft::session::{ClientId, RequestId, Sequence};
use models::raft::state::Role;
use models::{DiskId, NodeId};
use tokio::sync::oneshot;

/// On the disk that the build is on: a folder for temporary files may be in memory.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");
const SEED: u64 = 0xC4EC;
const NODE: NodeId = NodeId(1);
const MEGABYTE: u64 = 1_000_000;
/// The values that fill the store, where nothing is said.
const USUAL_FILL_BYTES: u64 = 4096;
const FILL_IN_FLIGHT: usize = 256;
const VALUE_BYTES: u64 = 256;
/// What is written before the checkpoint, which what the node does when it starts is over by.
const WRITTEN_BEFORE: u64 = 100_000;
const LOOKS_EVERY: Duration = Duration::from_millis(1);
/// The least time that is watched, however soon the checkpoint is there.
const LEAST: Duration = Duration::from_millis(500);
/// The most that is watched without a checkpoint.
const MOST: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    let mode = Mode::of_process();
    if mode == Mode::List {
        println!("checkpoint: benchmark");
        return;
    }
    let sizes = mode.pick(sizes(), vec![1]);
    let fill_bytes = fill_bytes();
    println!("checkpoint: seed {SEED}; journals are in {FOLDER}");
    let mut table = Table::new(
        "longest pause in ms while a checkpoint is taken, file journal, one node",
        [
            "state",
            "keys",
            "taken in",
            "write",
            "look",
            "p99.9 write",
            "quiet write",
            "quiet look",
            "quiet p99 write",
            "write / that",
        ],
    );
    for megabytes in sizes {
        let row = measure(megabytes, fill_bytes);
        let (longest, usual) = (
            row.during.write.quantile(1.0),
            row.quiet.write.quantile(0.99),
        );
        table.row([
            format!("{megabytes} MB"),
            grouped(row.keys as f64),
            millis(row.took),
            millis(longest),
            millis(row.during.look.quantile(1.0)),
            millis(row.during.write.quantile(0.999)),
            millis(row.quiet.write.quantile(1.0)),
            millis(row.quiet.look.quantile(1.0)),
            millis(usual),
            format!("{:.1}", longest.as_secs_f64() / usual.as_secs_f64()),
        ]);
    }
    println!("{table}");
}

/// What `--sizes` says.
fn sizes() -> Vec<u64> {
    let Some(list) = Mode::option("--sizes") else {
        return vec![10, 100, 1000];
    };
    let sizes: Result<Vec<u64>, _> = list.split(',').map(str::parse).collect();
    sizes.expect("--sizes wants megabytes, such as 10,100")
}

/// What `--value-bytes` says.
fn fill_bytes() -> u64 {
    let Some(text) = Mode::option("--value-bytes") else {
        return USUAL_FILL_BYTES;
    };
    let bytes = text.parse().ok().filter(|&bytes| bytes > 0);
    bytes.expect("--value-bytes wants a number from 1 on")
}

struct Row {
    keys: u64,
    /// Until the checkpoint was on disk.
    took: Duration,
    during: Pauses,
    quiet: Pauses,
}

struct Pauses {
    write: Latencies,
    look: Latencies,
}

fn measure(megabytes: u64, fill_bytes: u64) -> Row {
    let folder = tempfile::tempdir_in(FOLDER).expect("a temporary folder beside the build");
    let keys = (megabytes * MEGABYTE).div_ceil(fill_bytes);
    let subject = Subject::start(folder.path(), 0);
    subject.fill(keys, fill_bytes);
    let filled = subject.node.inbox().metrics().journal_bytes.get();
    subject.stop();

    let subject = Subject::start(folder.path(), filled + WRITTEN_BEFORE);
    let started = Instant::now();
    let is_taken = || subject.checkpoints() > 0;
    let during = subject.watch(1, is_taken);
    let took = started.elapsed();
    let end = Instant::now() + took.clamp(LEAST, MOST);
    let quiet = subject.watch(2, || Instant::now() >= end);
    subject.stop();
    Row {
        keys,
        took,
        during,
        quiet,
    }
}

/// A running node that leads.
struct Subject {
    node: RunningNode<KvRaft>,
    waiters: Arc<Waiters>,
}

impl Subject {
    fn start(folder: &Path, checkpoint_after_bytes: u64) -> Self {
        let identity = Identity {
            cluster: "bench".to_owned(),
            cluster_id: ClusterId::default(),
            protocol: PROTOCOL.to_owned(),
            version: VERSION,
            node: NODE,
            disk: DiskId::default(),
        };
        let open = || {
            FileJournal::open(folder, identity.clone(), FileJournalOptions::default())
                .expect("the folder is this node's alone")
        };
        let limits = LogLimits::default();
        let mut raft = KvRaft::new(NODE, [NODE]);
        raft.compaction = Compaction {
            snapshot_after: limits.snapshot_after_bytes,
            trailing: limits.trailing_bytes,
        };
        // The second start finds what the first has written.
        if FileJournal::owner(folder).expect("readable").is_none() {
            format(&raft, open()).expect("the folder is empty");
        }
        let journal = open();
        let waiters = Arc::new(Waiters::new(NODE));
        let told = waiters.clone();
        let options = NodeOptions {
            checkpoint_after_bytes,
            seed: SEED,
            ..NodeOptions::default()
        };
        let sink = move |event| told.take(event);
        let node = NodeBuilder::new(raft, node::spans(&Timing::default()), sink)
            .options(options)
            .spawn(mailbox(FILL_IN_FLIGHT * 2), journal, NoTransport)
            .expect("the node starts");
        let subject = Self { node, waiters };
        subject.wait_for_leader();
        subject
    }

    fn wait_for_leader(&self) {
        let end = Instant::now() + PATIENCE;
        let leads = |node: &models::Node<KvRaft>| {
            matches!(node.volatile.role, Role::Leader(_))
                && node.volatile.commit_index == node.durable().log.last_index()
        };
        let leads = || self.node.inbox().inspect_blocking(leads);
        while !leads().expect("the node runs") {
            assert!(Instant::now() < end, "the node does not come to lead");
            thread::sleep(LOOKS_EVERY);
        }
    }

    fn checkpoints(&self) -> u64 {
        self.node.inbox().metrics().checkpoints.get()
    }

    fn put(&self, client: u64, sequence: u64, key: u64, bytes: u64) -> oneshot::Receiver<Verdict> {
        let request = RequestId {
            client: ClientId::new(client),
            sequence: Sequence(sequence),
        };
        let key = Bytes::from(format!("key-{key:012}"));
        let value = Bytes::from(vec![0xA5; bytes as usize]);
        let command = Command::Put(Put::new(key, value));
        let command = models::raft::Command::Propose { request, command };
        let asked = self.waiters.ask(request, || self.node.inbox().ask(command));
        asked.expect("the node takes the command")
    }

    /// Writes so many keys of so many bytes, many at a time. Spread, so that they do not come in their order.
    fn fill(&self, keys: u64, bytes: u64) {
        let mut waiting = VecDeque::new();
        for key in 0..keys {
            if waiting.len() >= FILL_IN_FLIGHT
                && let Some(oldest) = waiting.pop_front()
            {
                done(oldest);
            }
            let place = key.wrapping_mul(0x9E37_79B9) % (1 << 40);
            let client = 1000 + key % FILL_IN_FLIGHT as u64;
            waiting.push_back(self.put(client, 1 + key, place, bytes));
        }
        waiting.into_iter().for_each(done);
    }

    /// Writes, and looks, until `is_over`.
    fn watch(&self, client: u64, is_over: impl Fn() -> bool) -> Pauses {
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            let looking = scope.spawn(|| self.look_until(&ended));
            let mut write = Latencies::new();
            let mut sequence = 0;
            let begun = Instant::now();
            while !is_over() || begun.elapsed() < LEAST {
                assert!(begun.elapsed() < PATIENCE, "no checkpoint is taken");
                sequence += 1;
                let started = Instant::now();
                done(self.put(client, sequence, sequence % 100, VALUE_BYTES));
                write.record(started.elapsed());
            }
            ended.store(true, Ordering::Relaxed);
            let look = looking.join().expect("looking does not panic");
            Pauses { write, look }
        })
    }

    fn look_until(&self, ended: &AtomicBool) -> Latencies {
        let mut looks = Latencies::new();
        while !ended.load(Ordering::Relaxed) {
            let started = Instant::now();
            let looked = self.node.inbox().inspect_blocking(|_| ());
            looked.expect("the node runs");
            looks.record(started.elapsed());
            thread::sleep(LOOKS_EVERY);
        }
        looks
    }

    fn stop(self) {
        self.node.shutdown().expect("the node stops in order");
    }
}

fn done(answer: oneshot::Receiver<Verdict>) {
    let verdict = answer.blocking_recv().expect("the node answers");
    let done = matches!(&verdict, Verdict::Reply(answer) if answer.outcome.is_ok());
    assert!(done, "a write was not done: {verdict:?}");
}
