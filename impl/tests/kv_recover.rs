//! The last resort, with real processes: a cluster of what one node has.

use std::fs;

use lockstep::kv::local::cluster::Processes;
use models::NodeId;

use crate::support::processes::{
    ONE, THREE, TWO, client, empty, leader, lockstep, page, refused, succeeded, three, wait_for,
};

const RECOVER: [&str; 4] = ["recover", "--id", "3", "--accept-data-loss"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_majority_that_is_lost_is_recovered_as_another_cluster() {
    let mut nodes = three();
    let mut writer = client(&nodes);
    writer.put(b"k", "x".into()).await.expect("put");
    // All have it before two of them are lost.
    let leads = leader(&nodes).await;
    let status = page(&nodes, leads, "/status").await;
    wait_for(&nodes, THREE, "/status", |shown| {
        shown["last_index"] == status["last_index"]
    })
    .await;
    let before = page(&nodes, THREE, "/status").await["cluster_id"].clone();
    nodes.kill(THREE).expect("killed");
    empty(&mut nodes, ONE);
    empty(&mut nodes, TWO);
    let error = refused(&lockstep(&nodes, &["recover", "--id", "3"]));
    assert!(error.contains("--accept-data-loss"), "{error}");
    let done = lockstep(&nodes, &["recover", "--id", "3", "--accept-data-loss"]);
    let said = succeeded(&done);
    assert!(said.contains("the only member of a new cluster"), "{said}");
    nodes
        .alter(|config| {
            config.nodes[..2]
                .iter_mut()
                .for_each(|node| node.member = false)
        })
        .expect("written");
    nodes.launch(THREE).expect("listens");
    assert_eq!(writer.get(b"k").await.expect("alone"), Some("x".into()));
    writer.put(b"l", "y".into()).await.expect("alone");
    let after = page(&nodes, THREE, "/status").await;
    assert_ne!(after["cluster_id"], before);
    assert_eq!(after["voters"], serde_json::json!([3]));
}

/// The names in a folder, in order.
fn names(folder: &std::path::Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = files
        .map(|file| {
            file.expect("a file")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    names
}

fn stop_all_but(nodes: &mut Processes, alive: &[NodeId]) {
    for id in [ONE, TWO, THREE] {
        if !alive.contains(&id) {
            nodes.kill(id).expect("killed");
        }
    }
}

/// A data directory may be a mount point, which nobody can rename.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_changes_nothing_beside_the_data_directory() {
    let mut nodes = three();
    client(&nodes).put(b"k", "x".into()).await.expect("put");
    stop_all_but(&mut nodes, &[]);
    let directory = nodes.data_directory(THREE);
    let parent = directory.parent().expect("a parent").to_owned();
    let (beside, held) = (names(&parent), names(&directory));
    succeeded(&lockstep(&nodes, &RECOVER));
    assert_eq!(names(&parent), beside);
    // What there was is there still.
    let kept = names(&directory)
        .into_iter()
        .find(|name| name.starts_with("before-recovery-"))
        .expect("kept");
    let mut kept = names(&directory.join(kept));
    kept.push("lock".into());
    kept.sort();
    assert_eq!(kept, held);
}

/// Who lives may lead the old cluster on, and what it acknowledges then the new one would lack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_is_refused_while_a_member_of_the_old_cluster_lives() {
    let mut nodes = three();
    client(&nodes).put(b"k", "x".into()).await.expect("put");
    stop_all_but(&mut nodes, &[TWO]);
    let error = refused(&lockstep(&nodes, &RECOVER));
    assert!(error.contains("node 2 lives"), "{error}");
    assert!(error.contains("nothing was changed"), "{error}");
    assert!(error.contains("are a majority"), "{error}");
    nodes.launch(THREE).expect("listens");
    let mut reader = client(&nodes);
    assert_eq!(
        reader.get(b"k").await.expect("two of three"),
        Some("x".into())
    );
    nodes.kill(THREE).expect("killed");
    let forced = [&RECOVER[..], &["--force"]].concat();
    let said = succeeded(&lockstep(&nodes, &forced));
    assert!(said.contains("the only member of a new cluster"), "{said}");
}
