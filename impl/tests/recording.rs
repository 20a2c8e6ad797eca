//! What a node did, recorded in files that are bounded, and stepped again from any of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lockstep::files;
use lockstep::files::config::LogLimits;
use lockstep::kv;
use lockstep::kv::config::Timing;
use lockstep::runtime::driver::{NodeBuilder, RunningNode, mailbox};
use lockstep::runtime::journal::{MemoryDisk, MemoryJournal};
use lockstep::runtime::metrics::Metrics;
use lockstep::runtime::recording::{
    FolderRecorder, Recorded, Recording, RecordingOptions, read_recording, recordings,
};
use lockstep::runtime::transport::NoTransport;
use models::maekawa::message::Epoch;
use models::{Node, NodeId, Protocol};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use crate::driver::ask;
use crate::support::kv::KvCluster;
use crate::support::replay::replay;
use crate::support::tally::{Command, Event, Tally, spans};
use crate::support::watch::{Watch, events};
use crate::support::{files as ensembles, locks};

const ONE: NodeId = NodeId(1);

fn options(folder: &Path) -> RecordingOptions {
    RecordingOptions {
        folder: folder.to_owned(),
        service: "tally".to_owned(),
        file_bytes: u64::MAX,
        max_files: 1000,
        max_waiting_bytes: usize::MAX,
    }
}

/// A node alone that records. What it counts of the recording is in the metrics.
fn recording(
    options: RecordingOptions,
    disk: &MemoryDisk,
) -> (RunningNode<Tally>, Watch<Event>, Arc<Metrics>) {
    let (sink, events) = events();
    let metrics = Arc::new(Metrics::default());
    let recorder = FolderRecorder::open(options, ONE, metrics.clone()).expect("opens");
    let node = NodeBuilder::new(Tally::of(1, 2), spans, sink)
        .recorder(recorder)
        .spawn(mailbox(64), MemoryJournal::new(disk.clone()), NoTransport)
        .expect("starts");
    (node, events, metrics)
}

/// One after the other, so that each is a batch.
fn add_one_by_one(
    node: &RunningNode<Tally>,
    events: &Watch<Event>,
    tallies: std::ops::RangeInclusive<u64>,
) {
    for tally in tallies {
        ask(node, Command::Add(1));
        events.wait_for(Event::Added(tally));
    }
}

fn read<P: Protocol>(folder: &Path, node: NodeId) -> Vec<Recording<P>> {
    let files = recordings(folder, node).expect("a folder");
    let read = |file: &PathBuf| read_recording(file).expect("a recording");
    files.iter().map(read).collect()
}

/// What each file ends with, when it is stepped from its own beginning.
fn ends<P: Protocol>(protocol: &P, recordings: Vec<Recording<P>>) -> Vec<Node<P>> {
    { recordings.into_iter() }
        .map(|recording| replay(protocol, recording.entries))
        .collect()
}

#[test]
fn a_recording_steps_again_to_the_same_end() {
    let folder = tempdir().expect("a folder");
    let (node, events, metrics) = recording(options(folder.path()), &MemoryDisk::new());
    (1..=20).for_each(|n| ask(&node, Command::Add(n)));
    events.wait_for(Event::Added(210));
    node.shutdown().expect("stops in order");
    let read = read::<Tally>(folder.path(), ONE);
    let [recording] = read.as_slice() else {
        panic!("{} files", read.len());
    };
    let header = &recording.header;
    assert_eq!((header.service.as_str(), header.node), ("tally", ONE));
    let bytes = fs::metadata(&recordings(folder.path(), ONE).expect("there")[0]);
    assert_eq!(metrics.recording_bytes.get(), bytes.expect("there").len());
    assert_eq!(ends(&Tally::of(1, 2), read)[0].durable().own, 210);
}

/// Each file begins with what the one before it ended with.
#[test]
fn files_are_begun_when_one_is_full_and_the_oldest_go() {
    let folder = tempdir().expect("a folder");
    let small = RecordingOptions {
        file_bytes: 200,
        max_files: 3,
        ..options(folder.path())
    };
    let (node, events, _) = recording(small, &MemoryDisk::new());
    add_one_by_one(&node, &events, 1..=100);
    node.shutdown().expect("stops in order");
    let files = read::<Tally>(folder.path(), ONE);
    assert_eq!(files.len(), 3);
    let begins: Vec<_> = { files.iter() }
        .map(|file| match &file.entries[0] {
            Recorded::Continued {
                durable, left_out, ..
            } => {
                assert_eq!(*left_out, 0);
                durable.own
            }
            other => panic!("the file begins with {other:?}"),
        })
        .collect();
    let ends: Vec<_> = { ends(&Tally::of(1, 2), files).into_iter() }
        .map(|node| node.durable().own)
        .collect();
    assert_eq!((&begins[1..], ends[2]), (&ends[..2], 100));
}

/// Also of a node that was stopped and started again.
#[test]
fn a_restart_begins_another_file() {
    let folder = tempdir().expect("a folder");
    let disk = MemoryDisk::new();
    for tallies in [1..=2, 3..=4] {
        let (node, events, _) = recording(options(folder.path()), &disk);
        add_one_by_one(&node, &events, tallies);
        node.shutdown().expect("stops in order");
    }
    let ends = ends(&Tally::of(1, 2), read(folder.path(), ONE));
    let own: Vec<_> = ends.iter().map(|node| node.durable().own).collect();
    assert_eq!(own, [2, 4]);
}

/// Here nothing may wait, so that each batch is too much.
#[test]
fn what_does_not_fit_is_left_out_and_the_recording_says_so() {
    let folder = tempdir().expect("a folder");
    let narrow = RecordingOptions {
        max_waiting_bytes: 0,
        ..options(folder.path())
    };
    let (node, events, metrics) = recording(narrow, &MemoryDisk::new());
    add_one_by_one(&node, &events, 1..=10);
    node.shutdown().expect("stops in order");
    let files = read::<Tally>(folder.path(), ONE);
    let mut last = 0;
    for file in &files[1..] {
        let [
            Recorded::Continued {
                durable, left_out, ..
            },
        ] = file.entries.as_slice()
        else {
            panic!("{:?}", file.entries);
        };
        assert!(*left_out > last && *left_out >= durable.own, "{left_out}");
        last = *left_out;
    }
    assert!(files.len() > 2, "{} files", files.len());
    assert_eq!(metrics.recording_gaps.get(), files.len() as u64 - 1);
}

#[test]
fn a_node_goes_on_when_its_recording_cannot() {
    let folder = tempdir().expect("a folder");
    let target = folder.path().join("recordings");
    let small = RecordingOptions {
        file_bytes: 1,
        ..options(&target)
    };
    let (node, events, _) = recording(small, &MemoryDisk::new());
    add_one_by_one(&node, &events, 1..=2);
    fs::remove_dir_all(&target).expect("removed");
    add_one_by_one(&node, &events, 3..=20);
    node.shutdown().expect("stops in order");
    assert!(!target.exists());
}

#[test]
fn a_folder_that_cannot_be_had_is_said_before_anything_starts() {
    let folder = tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    let refused = FolderRecorder::<Tally>::open(options(&file), ONE, Arc::default());
    let words = refused.expect_err("it is a file").to_string();
    assert!(words.contains("nothing was started"), "{words}");
}

/// A recording, whole.
fn recorded() -> (TempDir, PathBuf, Recording<Tally>) {
    let folder = tempdir().expect("a folder");
    let (node, events, _) = recording(options(folder.path()), &MemoryDisk::new());
    add_one_by_one(&node, &events, 1..=5);
    node.shutdown().expect("stops in order");
    let file = recordings(folder.path(), ONE).expect("there").remove(0);
    let whole = read_recording(&file).expect("reads");
    (folder, file, whole)
}

#[test]
fn one_that_was_cut_short_is_read_as_far_as_it_goes() {
    let (_folder, file, whole) = recorded();
    let bytes = fs::read(&file).expect("reads");
    let mut most = 0;
    for length in 0..bytes.len() {
        fs::write(&file, &bytes[..length]).expect("written");
        let Ok(cut) = read_recording::<Tally>(&file) else {
            assert_eq!(most, 0, "only the beginning cannot be read alone");
            continue;
        };
        assert_eq!(cut.entries, whole.entries[..cut.entries.len()]);
        most = most.max(cut.entries.len());
    }
    assert_eq!(most, whole.entries.len() - 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// It is told, or what is read is the beginning of what was written.
    #[test]
    fn damage_is_never_taken_for_what_happened(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let (_folder, file, whole) = recorded();
        let mut bytes = fs::read(&file).expect("reads");
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(&file, &bytes).expect("written");
        match read_recording::<Tally>(&file) {
            Err(error) => prop_assert!(error.to_string().contains("nothing was changed")),
            Ok(read) => {
                prop_assert!(read.entries.len() < whole.entries.len());
                prop_assert_eq!(&read.entries, &whole.entries[..read.entries.len()]);
            }
        }
    }
}

/// As `record` in the cluster file wants it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_the_store_is_recorded() {
    let folder = tempdir().expect("a folder");
    let mut cluster = KvCluster::start(1, Timing::default()).await;
    cluster.stop(1).await;
    cluster.config.nodes[0].record = Some(folder.path().join("here"));
    cluster.restart(1).await;
    for key in 0..10 {
        let put = cluster.put(1, &format!("key-{key}"), "value").await;
        assert_eq!(put.status, 200, "{put:?}");
    }
    let applied = cluster.status(1).await.last_applied;
    let raft = kv::server::node::raft(&cluster.config, ONE);
    cluster.stop_all().await;
    let ends = ends(&raft, read(&folder.path().join("here"), ONE));
    assert_eq!(ends[0].volatile.commit_index.0, applied);
}

/// A name in the cluster file is relative to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_the_file_service_is_recorded() {
    let mut nodes = ensembles::processes(1, LogLimits::default());
    nodes.kill_all().expect("killed");
    nodes
        .alter(|config| config.nodes[0].record = Some("recordings".into()))
        .expect("written");
    nodes.launch_all().expect("restarts");
    ensembles::leader(&nodes, 1).await;
    let mut client = ensembles::client(&nodes);
    let created = client.create("a", "content".into()).await;
    assert_eq!(created.expect("created"), 1);
    nodes.kill_all().expect("killed");
    let folder = nodes.config_file().with_file_name("recordings");
    let config = nodes.config();
    let members = [ONE].into();
    let zab = files::server::node::zab(ONE, &members, &config.log);
    let ends = ends(&zab, read(&folder, ONE));
    assert_eq!(ends.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_orchestrator_and_a_member_are_recorded_in_one_folder() {
    let mut nodes = locks::cluster(1).await;
    nodes.kill_all().expect("killed");
    nodes
        .alter(|config| {
            for node in &mut config.nodes {
                node.record = Some("recordings".into());
            }
        })
        .expect("written");
    nodes.launch_all().expect("restarts");
    locks::until_members(&nodes, &[1]).await;
    let held = locks::acquire(&nodes, 1, "a", Duration::from_secs(20)).await;
    nodes.kill_all().expect("killed");
    let folder = nodes.config_file().with_file_name("recordings");
    for id in [NodeId(0), ONE] {
        let maekawa = nodes.config().maekawa(id);
        let ends = ends(&maekawa, read(&folder, id));
        assert_eq!(ends[0].durable().epoch, Epoch(held.token.epoch), "{id}");
    }
}
