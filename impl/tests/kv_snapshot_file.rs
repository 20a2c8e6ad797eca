//! The whole store as a file, with real processes: saved while it is written to, and the beginning of
//! another cluster.

use std::fs;

use tempfile::tempdir;

use crate::support::kv::PATIENCE;
use crate::support::processes::{
    ONE, THREE, TWO, client, empty, lockstep, page, refused, succeeded, three,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_the_beginning_of_another_cluster() {
    let folder = tempdir().expect("tempdir");
    let file = folder.path().join("store.snapshot");
    let file = file.to_str().expect("UTF-8");
    let mut nodes = three();
    let mut writer = client(&nodes);
    for n in 0..50_u8 {
        let key = format!("key-{n}");
        writer
            .put(key.as_bytes(), vec![n; 1000].into())
            .await
            .expect("put");
    }
    let lease = writer.grant(3600, None).await.expect("granted").id;
    writer
        .put_with(b"held", "x".into(), Some(lease))
        .await
        .expect("put");
    let old = writer.put(b"colour", "blue".into()).await.expect("put");
    writer.put(b"colour", "red".into()).await.expect("put");
    let said = succeeded(&lockstep(&nodes, &["kv", "snapshot", "save", file]));
    assert!(said.contains("revision 54 of cluster"), "{said}");
    // What comes later is not in it.
    writer.put(b"colour", "green".into()).await.expect("put");
    let said = refused(&lockstep(&nodes, &["kv", "snapshot", "save", file]));
    assert!(
        said.contains("is there already, and was not changed"),
        "{said}"
    );
    let said = succeeded(&lockstep(&nodes, &["kv", "snapshot", "status", file]));
    assert!(said.contains("revision      54"), "{said}");
    let before = page(&nodes, ONE, "/status").await["cluster_id"].clone();

    let restore = ["kv", "snapshot", "restore", file, "--id", "1"];
    nodes.kill(ONE).expect("killed");
    let said = refused(&lockstep(&nodes, &restore));
    assert!(
        said.contains("holds a node's journal; nothing was changed"),
        "{said}"
    );
    for id in [TWO, THREE] {
        nodes.kill(id).expect("killed");
    }
    empty(&mut nodes, ONE);
    let said = succeeded(&lockstep(&nodes, &restore));
    assert!(said.contains("the only member of a new cluster"), "{said}");
    nodes
        .alter(|config| {
            let others = config.nodes[1..].iter_mut();
            others.for_each(|node| node.member = false);
        })
        .expect("written");
    nodes.launch(ONE).expect("listens");
    let mut reader = client(&nodes);
    let read = |value: Option<bytes::Bytes>| value.expect("there").to_vec();
    assert_eq!(read(reader.get(b"colour").await.expect("alone")), b"red");
    let then = reader.get_at(b"colour", old).await.expect("kept");
    assert_eq!(read(then), b"blue");
    for n in 0..50_u8 {
        let value = reader
            .get(format!("key-{n}").as_bytes())
            .await
            .expect("there");
        assert_eq!(read(value), vec![n; 1000]);
    }
    let lease = reader.lease(lease).await.expect("goes on");
    assert_eq!(lease.keys, [serde_json::json!({ "key": "held" })]);
    // Revisions go on where they were.
    assert_eq!(
        reader.put(b"colour", "white".into()).await.expect("put"),
        Some(55)
    );
    let status = page(&nodes, ONE, "/status").await;
    assert_ne!(status["cluster_id"], before);
    assert_eq!(status["voters"], serde_json::json!([1]));
}

/// What a node had applied while it was written is all there, and nothing of a request is there in part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_saved_under_load_is_of_one_revision() {
    let folder = tempdir().expect("tempdir");
    let nodes = three();
    let addresses = nodes.client_addresses();
    let writing = tokio::spawn(async move {
        let client = lockstep::kv::client::Client::new(addresses, PATIENCE);
        let mut client = client.expect("a client");
        let mut written = 0_u64;
        loop {
            let value = written.to_string();
            let txn = serde_json::json!({ "compare": [], "failure": [], "success": [
                {"put": {"key": "a", "value": value}}, {"put": {"key": "b", "value": value}},
            ]});
            client.transact(txn.to_string().into()).await.expect("done");
            written += 1;
        }
    });
    let mut revisions = Vec::new();
    for n in 0..5 {
        let file = folder.path().join(n.to_string());
        let name = file.to_str().expect("UTF-8");
        succeeded(&lockstep(&nodes, &["kv", "snapshot", "save", name]));
        let bytes = fs::read(&file).expect("saved");
        let snapshot = lockstep::kv::snapshot::file::Snapshot::read(&bytes).expect("whole");
        let value = |key: &'static str| {
            let range = lockstep::kv::store::KeyRange::key(key.into());
            let query = lockstep::kv::store::Query::Range(lockstep::kv::store::Range::new(range));
            let answer = models::machine::StateMachine::query(&snapshot.state.machine, &query);
            let lockstep::kv::store::Outcome::Range(found) = answer.outcome.expect("a range")
            else {
                panic!("no range");
            };
            found.entries.into_iter().next().map(|(_, held)| held.value)
        };
        assert_eq!(value("a"), value("b"));
        revisions.push(snapshot.header.revision);
    }
    writing.abort();
    assert!(revisions.is_sorted(), "{revisions:?}");
    assert!(
        revisions[0] < revisions[4],
        "nothing was written meanwhile: {revisions:?}"
    );
}

#[test]
fn what_is_no_snapshot_restores_nothing() {
    let nodes = three();
    let folder = tempdir().expect("tempdir");
    let file = folder.path().join("other");
    fs::write(&file, "something else, and long enough").expect("writes");
    let name = file.to_str().expect("UTF-8");
    let said = refused(&lockstep(
        &nodes,
        &["kv", "snapshot", "restore", name, "--id", "1"],
    ));
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(said.contains("no snapshot of a store"), "{said}");
    let missing = folder.path().join("missing");
    let said = refused(&lockstep(
        &nodes,
        &["kv", "snapshot", "status", missing.to_str().expect("UTF-8")],
    ));
    assert!(said.contains("cannot be read"), "{said}");
}
