//! Real processes whose data directories are emptied, whose files contradict what they remember,
//! and that meet nodes of another cluster: nothing that was acknowledged is lost or hidden, and
//! whoever is refused is told why.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lockstep::kv::client::{Client, ClientError};
use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use lockstep::service::session_client::RequestError;
use serde_json::Value;

use crate::support::processes::{
    FOUR, ONE, THREE, TWO, address, client, empty, leader, lockstep, page, refused, succeeded,
    three, wait_for,
};
use crate::support::program::{PROGRAM, send_signal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_follower_is_refused_says_so_and_is_replaced_under_another_id() {
    let mut nodes = three();
    let mut client = client(&nodes);
    for number in 0..20u32 {
        let key = format!("key-{number}");
        client.put(key.as_bytes(), "x".into()).await.expect("put");
    }
    let leads = leader(&nodes).await;
    let follower = if leads == THREE { TWO } else { THREE };
    empty(&mut nodes, follower);
    nodes.launch(follower).expect("listens");
    // Both say what is the matter, and with what to do about it.
    wait_for(&nodes, follower, "/status", |shown| {
        let reason = shown["denied_by"]["reason"].as_str().unwrap_or_default();
        shown["role"] == "blank" && reason.contains("lockstep members remove")
    })
    .await;
    wait_for(&nodes, leads, "/status", |shown| {
        shown["refused"].get(follower.0.to_string()).is_some()
    })
    .await;
    client
        .put(b"after", "y".into())
        .await
        .expect("two of three");

    let new = Processes::new_node(FOUR).expect("free ports");
    nodes
        .alter(|config| {
            config.nodes.push(new);
            for node in &mut config.nodes {
                node.member = node.id != follower && node.id != FOUR;
            }
        })
        .expect("written");
    nodes.launch(FOUR).expect("listens");
    let id = follower.0.to_string();
    // Under its own id it cannot come back: it would deny what it has acknowledged.
    let again = lockstep(&nodes, &["members", "add", &id, "--timeout", "5"]);
    let error = refused(&again);
    assert!(
        error.contains("is known to the cluster with disk"),
        "{error}"
    );
    let replaced = lockstep(&nodes, &["members", "replace", &id, "4", "--timeout", "60"]);
    let table = succeeded(&replaced);
    assert!(table.contains("    4  voter"), "{table}");
    assert!(!table.contains(&format!("    {id}  ")), "{table}");
    // The new node counts: without it there would be one of three.
    let other = if follower == TWO { THREE } else { TWO };
    let victim = if leads == other { ONE } else { other };
    nodes.kill(victim).expect("killed");
    client.put(b"last", "z".into()).await.expect("with node 4");
    assert_eq!(client.get(b"key-7").await.expect("there"), Some("x".into()));
    let removed = refused(&lockstep(
        &nodes,
        &["members", "add", &id, "--timeout", "5"],
    ));
    assert!(removed.contains("an id that no node"), "{removed}");
}

/// The third node is away while a write is acknowledged by the other two; one of these loses its
/// disk while the other is down; the third returns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_node_helps_nobody_to_forget_an_acknowledged_write() {
    let mut nodes = three();
    let mut writer = client(&nodes);
    writer.put(b"before", "x".into()).await.expect("put");
    nodes.kill(THREE).expect("killed");
    writer.put(b"acknowledged", "y".into()).await.expect("two");
    nodes.kill(ONE).expect("killed");
    empty(&mut nodes, TWO);
    nodes.launch(TWO).expect("listens");
    nodes.launch(THREE).expect("listens");
    let three = vec![address(&nodes, THREE)];
    let mut reader = Client::new(three, Duration::from_secs(4)).expect("a client");
    // Time for several elections, were the two a quorum.
    let read = reader.get(b"acknowledged").await;
    assert!(
        matches!(
            read,
            Err(ClientError::Request(RequestError::NoLeader { .. }))
        ),
        "{read:?}\n{}",
        nodes.log_tails()
    );
    nodes.launch(ONE).expect("listens");
    let read = writer.get(b"acknowledged").await.expect("a leader");
    assert_eq!(read, Some("y".into()), "{}", nodes.log_tails());
}

/// A disk that is put back to an earlier state has the same id, and has forgotten all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_denies_what_it_has_acknowledged_is_refused() {
    let mut nodes = three();
    let mut writer = client(&nodes);
    writer.put(b"early", "x".into()).await.expect("put");
    let leads = leader(&nodes).await;
    let follower = if leads == THREE { TWO } else { THREE };
    nodes.kill(follower).expect("killed");
    let (directory, copy) = (nodes.data_directory(follower), tempfile::tempdir());
    let copy = copy.expect("a folder");
    copy_files(&directory, copy.path());
    nodes.launch(follower).expect("listens");
    for number in 0..20u32 {
        let key = format!("key-{number}");
        writer.put(key.as_bytes(), "x".into()).await.expect("put");
    }
    let status = page(&nodes, leads, "/status").await;
    wait_for(&nodes, follower, "/status", |shown| {
        shown["last_index"] == status["last_index"]
    })
    .await;
    // What it has acknowledged is known to the leader by now.
    writer.put(b"last", "x".into()).await.expect("put");
    empty(&mut nodes, follower);
    copy_files(copy.path(), &directory);
    nodes.launch(follower).expect("listens");
    wait_for(&nodes, leads, "/status", |shown| {
        let refused = shown["refused"].get(follower.0.to_string());
        let reason = refused.and_then(Value::as_str).unwrap_or_default();
        reason.contains("has acknowledged the log up to")
    })
    .await;
    writer
        .put(b"after", "y".into())
        .await
        .expect("two of three");
}

/// One node is away while the other two acknowledge a write; one of these gets its disk back as it
/// was before, and makes a majority with the first while the leader does not run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_to_undo_what_it_has_committed_halts_and_stays_so() {
    let mut nodes = three();
    let mut writer = client(&nodes);
    writer.put(b"early", "x".into()).await.expect("put");
    let leads = leader(&nodes).await;
    let mut others = [ONE, TWO, THREE].into_iter().filter(|id| *id != leads);
    let (away, forgets) = (others.next().expect("one"), others.next().expect("two"));
    let early = page(&nodes, leads, "/status").await;
    for id in [away, forgets] {
        wait_for(&nodes, id, "/status", |shown| {
            shown["last_index"] == early["last_index"]
        })
        .await;
    }
    nodes.kill(away).expect("killed");
    nodes.kill(forgets).expect("killed");
    let (directory, copy) = (
        nodes.data_directory(forgets),
        tempfile::tempdir().expect("a folder"),
    );
    copy_files(&directory, copy.path());
    nodes.launch(forgets).expect("listens");
    writer.put(b"acknowledged", "y".into()).await.expect("two");

    send_signal(nodes.pid(leads).expect("runs"), "-STOP");
    nodes.kill(forgets).expect("killed");
    empty(&mut nodes, forgets);
    copy_files(copy.path(), &directory);
    nodes.launch(forgets).expect("listens");
    nodes.launch(away).expect("listens");
    let two = [away, forgets].map(|id| address(&nodes, id));
    let mut elsewhere = Client::new(two.into(), Duration::from_secs(20)).expect("a client");
    elsewhere.put(b"other", "z".into()).await.expect("two");

    let kept = nodes.data_directory(leads);
    send_signal(nodes.pid(leads).expect("runs"), "-CONT");
    let ended = nodes.wait(leads).expect("it ends by itself");
    assert!(!ended.success(), "{ended}");
    let words = nodes.log_tail(leads);
    for said in [
        "is committed here, and a leader has another there",
        "Nothing was deleted here",
        "remove that node from the cluster and add another in its place",
    ] {
        assert!(words.contains(said), "{words}");
    }
    assert!(fs::read_dir(&kept).expect("a folder").count() > 0);

    // Nor does it start again: its disk says so.
    if nodes.launch(leads).is_ok() {
        let ended = nodes.wait(leads).expect("it ends by itself");
        assert!(!ended.success(), "{ended}");
    }
    let words = nodes.log_tail(leads);
    let last = words.lines().last().unwrap_or_default();
    assert!(last.contains("is committed here"), "{words}");
    // The others go on without it.
    elsewhere.put(b"last", "w".into()).await.expect("two");
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for file in fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file").path();
        let name = file.file_name().expect("a name");
        fs::copy(&file, to.join(name)).expect("copied");
    }
}

/// The leader has been added while the member was away: the member learns so from the leader alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_away_hears_a_leader_that_it_does_not_know() {
    let mut nodes = three();
    let mut writer = client(&nodes);
    writer.put(b"early", "x".into()).await.expect("put");
    nodes.kill(THREE).expect("killed");
    let mut new = Processes::new_node(FOUR).expect("free ports");
    new.member = false;
    nodes
        .alter(|config| config.nodes.push(new))
        .expect("written");
    nodes.launch(FOUR).expect("listens");
    succeeded(&lockstep(
        &nodes,
        &["members", "replace", "1", "4", "--timeout", "60"],
    ));
    succeeded(&lockstep(
        &nodes,
        &["members", "move-leader", "4", "--timeout", "30"],
    ));
    wait_for(&nodes, FOUR, "/status", |shown| shown["role"] == "leader").await;
    nodes.kill(ONE).expect("killed");
    nodes.launch(THREE).expect("listens");
    wait_for(&nodes, THREE, "/status", |shown| {
        shown["voters"] == serde_json::json!([2, 3, 4])
    })
    .await;
    // Without the second node it takes the two that did not know each other.
    nodes.kill(TWO).expect("killed");
    let mut writer = client(&nodes);
    writer.put(b"late", "y".into()).await.expect("two of three");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_contradicts_the_log_keeps_a_node_from_starting() {
    let mut nodes = three();
    let mut writer = client(&nodes);
    writer.put(b"k", "x".into()).await.expect("put");
    let all = nodes.config().nodes.clone();
    nodes.kill(ONE).expect("killed");
    let alone = |config: &mut lockstep::kv::Config| config.nodes.retain(|node| node.id == ONE);
    nodes.alter(alone).expect("written");
    let error = refused(&lockstep(&nodes, &["node", "--id", "1"]));
    let says = "the file does not list node 2, which is a member: the members are 1, 2, 3";
    assert!(error.contains(says), "{error}");
    assert!(error.contains("nothing was changed"), "{error}");
    nodes.alter(|config| config.nodes = all).expect("written");
    let new = Processes::new_node(FOUR).expect("free ports");
    nodes
        .alter(|config| config.nodes.push(new))
        .expect("written");
    let error = refused(&lockstep(&nodes, &["node", "--id", "1"]));
    let says = "the file lists node 4 as a member, and it is none: the members are 1, 2, 3";
    assert!(error.contains(says), "{error}");
    let listed = |config: &mut lockstep::kv::Config| config.nodes[3].member = false;
    nodes.alter(listed).expect("written");
    nodes.launch(ONE).expect("listens");
    assert_eq!(writer.get(b"k").await.expect("read"), Some("x".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_with_data_does_not_become_one_of_three_by_its_file() {
    let mut nodes = Processes::start(Path::new(PROGRAM), 1, Timing::default()).expect("starts");
    let mut writer = client(&nodes);
    writer.put(b"k", "x".into()).await.expect("put");
    nodes.kill(ONE).expect("killed");
    let others = [TWO, THREE].map(|id| Processes::new_node(id).expect("free ports"));
    nodes
        .alter(|config| config.nodes.extend(others))
        .expect("written");
    let error = refused(&lockstep(&nodes, &["node", "--id", "1"]));
    assert!(
        error.contains("the file lists node 2 as a member"),
        "{error}"
    );
    // The others, on empty disks, found nothing without it.
    nodes.launch(TWO).expect("listens");
    nodes.launch(THREE).expect("listens");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(page(&nodes, TWO, "/status").await["role"], "blank");
    nodes
        .alter(|config| {
            config.nodes[1..]
                .iter_mut()
                .for_each(|node| node.member = false)
        })
        .expect("written");
    nodes.launch(ONE).expect("listens");
    for id in ["2", "3"] {
        succeeded(&lockstep(
            &nodes,
            &["members", "add", id, "--timeout", "60"],
        ));
        succeeded(&lockstep(
            &nodes,
            &["members", "promote", id, "--timeout", "60"],
        ));
    }
    nodes.kill(ONE).expect("killed");
    let mut reader = client(&nodes);
    assert_eq!(reader.get(b"k").await.expect("of two"), Some("x".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_of_one_name_do_not_mix() {
    let (mut a, mut b) = (three(), three());
    let mut writers = [client(&a), client(&b)];
    writers[0].put(b"k", "a".into()).await.expect("put");
    writers[1].put(b"k", "b".into()).await.expect("put");
    // One line of B's file names A's third node.
    let theirs = a.config().node(THREE).expect("listed").peer_address.clone();
    b.alter(|config| config.nodes[2].peer_address = theirs)
        .expect("written");
    b.kill_all().expect("killed");
    b.launch(ONE).expect("listens");
    b.launch(TWO).expect("listens");
    for number in 0..20u32 {
        let key = format!("key-{number}");
        for writer in &mut writers {
            writer.put(key.as_bytes(), "x".into()).await.expect("put");
        }
    }
    let b_leads = leader(&b).await;
    let ids = |shown: &Value| shown["cluster_id"].clone();
    let (status_a, status_b) = (
        page(&a, THREE, "/status").await,
        page(&b, b_leads, "/status").await,
    );
    assert_ne!(ids(&status_a), ids(&status_b));
    // A's third node has what A's leader has, and nothing of B's.
    let a_leads = leader(&a).await;
    let status = page(&a, a_leads, "/status").await;
    wait_for(&a, THREE, "/status", |shown| {
        shown["last_applied"] == status["last_applied"] && shown["checksum"] == status["checksum"]
    })
    .await;
    let log = b.log_tail(ONE) + &b.log_tail(TWO);
    assert!(log.contains("the cluster id is"), "{log}");
    a.kill_all().expect("killed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_moved_by_word() {
    let nodes = three();
    let leads = leader(&nodes).await;
    let to = if leads == ONE { TWO } else { ONE };
    let id = to.0.to_string();
    succeeded(&lockstep(&nodes, &["members", "move-leader", &id]));
    wait_for(&nodes, to, "/status", |shown| shown["role"] == "leader").await;
    let error = refused(&lockstep(&nodes, &["members", "move-leader", "9"]));
    assert!(error.contains("is no voter"), "{error}");
}
