//! A leader that is told to stop hands its leadership over first.
//!
//! Verifies that it does, that what was acknowledged is kept, and that requests are answered
//! meanwhile. Does not verify how long anybody waits: `benches` measures that.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use lockstep::kv::client::{Client, ClientError};
use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use lockstep::kv::server::handover::HandOver;
use lockstep::kv::status::Report;
use models::NodeId;
use tokio::task::JoinHandle;

use crate::kv_cli::PROGRAM;
use crate::support::kv::{KvCluster, PATIENCE, impatient};

/// SIGTERM of a leader under load: the log says who leads now, that node leads the very next term,
/// and every acknowledged write is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_leader_hands_over_first_and_loses_nothing() {
    let mut nodes = Processes::start(Path::new(PROGRAM), 3, Timing::default()).expect("starts");
    let before = leader_of(&nodes, 0).await;
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| write_until(writer, nodes.client_addresses(), done.clone()))
        .collect();
    while any_key_count(&nodes, before.id).await < 20 {
        tokio::task::yield_now().await;
    }
    terminate(&nodes, before.id);
    let after = leader_of(&nodes, before.term + 1).await;
    assert!(nodes.wait(before.id).expect("ends").success());
    done.store(true, Ordering::Relaxed);
    let log = nodes.log_tail(before.id);
    let said = format!(
        "has handed its leadership over node={} leader={}",
        before.id, after.id
    );
    assert!(log.contains(&said), "{said} is not in\n{log}");
    assert!(log.contains("stopped in order"), "{log}");
    assert_eq!(after.term, before.term + 1, "nobody else stood: {log}");
    let mut client = Client::new(nodes.client_addresses(), PATIENCE).expect("a client");
    for (writer, acknowledged) in writers.into_iter().enumerate() {
        let acknowledged = acknowledged.await.expect("no write fails");
        for number in 0..acknowledged {
            let key = format!("{writer}/{number}");
            let found = client.get(key.as_bytes()).await.expect("is answered");
            assert_eq!(found, Some(Bytes::from(key)));
        }
    }
}

/// How many of its writes were acknowledged: all of them, each with time for many tries.
fn write_until(writer: u64, nodes: Vec<String>, done: Arc<AtomicBool>) -> JoinHandle<u64> {
    tokio::spawn(async move {
        let mut client = Client::new(nodes, PATIENCE).expect("a client");
        let mut number = 0;
        while !done.load(Ordering::Relaxed) {
            let key = format!("{writer}/{number}");
            let put = client.put(key.as_bytes(), Bytes::from(key.clone()));
            let put: Result<Option<u64>, ClientError> = put.await;
            put.unwrap_or_else(|error| panic!("{key}: {error}"));
            number += 1;
        }
        number
    })
}

async fn any_key_count(nodes: &Processes, node: NodeId) -> u64 {
    report(nodes, node).await.map_or(0, |report| report.keys)
}

async fn report(nodes: &Processes, node: NodeId) -> Option<Report> {
    let address = nodes.config().node(node).expect("a member");
    let address = address.client_address.clone();
    let client = Client::new(vec![address.clone()], PATIENCE).expect("a client");
    client.status(&address).await.ok()
}

/// What the leader of `term`, or of a later one, says of itself.
async fn leader_of(nodes: &Processes, term: u64) -> Report {
    let end = Instant::now() + PATIENCE;
    loop {
        for id in 1..=3 {
            if let Some(report) = report(nodes, NodeId(id)).await
                && report.role == "leader"
                && report.term >= term
            {
                return report;
            }
        }
        assert!(Instant::now() < end, "no leader:\n{}", nodes.log_tails());
    }
}

fn terminate(nodes: &Processes, node: NodeId) {
    let pid = nodes.pid(node).expect("runs").to_string();
    let kill = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(kill.expect("runs").success());
}

/// Writes through the node that hands over, and through the others: each is answered with success.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_served_or_forwarded_while_leadership_is_handed_over() {
    let cluster = Arc::new(KvCluster::start(3, Timing::default()).await);
    let old = cluster.leader().await;
    let term = cluster.status(old).await.term;
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (1..=3)
        .map(|id| {
            let (cluster, done) = (cluster.clone(), done.clone());
            tokio::spawn(async move {
                let mut writes = 0;
                while !done.load(Ordering::Relaxed) {
                    let put = cluster.put(id, &format!("{id}/{writes}"), "v").await;
                    assert_eq!(put.status, 200, "{put:?}");
                    writes += 1;
                }
                writes
            })
        })
        .collect();
    let handed = cluster.node(old).hand_over().await;
    let HandOver::Done { leader } = handed else {
        panic!("{handed:?}");
    };
    assert_ne!(leader, NodeId(old));
    assert_eq!(cluster.leader().await, leader.0);
    assert_eq!(cluster.status(old).await.term, term + 1);
    done.store(true, Ordering::Relaxed);
    let mut writes = 0;
    for writer in writers {
        writes += writer.await.expect("every write is answered with success");
    }
    assert_eq!(cluster.status(leader.0).await.revision, 1 + writes);
    let completed = "lockstep_leadership_transfers_total{outcome=\"completed\"} 1";
    let page = cluster.metrics(old).await;
    assert!(page.lines().any(|line| line == completed), "{page}");
    assert_eq!(cluster.node(old).hand_over().await, HandOver::NotLeading);
    Arc::into_inner(cluster)
        .expect("all are done")
        .stop_all()
        .await;
}

/// The voter that is down is not chosen while the other is there, though its log may be as long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_goes_to_a_voter_that_lives() {
    let mut cluster = KvCluster::start(3, Timing::default()).await;
    let old = cluster.leader().await;
    let down = cluster.follower().await;
    let other = 6 - old - down;
    cluster.stop(down).await;
    // The leader forgets whom it has heard with its lease: until then it cannot know.
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let expected = HandOver::Done {
        leader: NodeId(other),
    };
    assert_eq!(cluster.node(old).hand_over().await, expected);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_anybody_to_lead_after_it_stops_all_the_same() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    cluster.leader().await;
    assert_eq!(cluster.node(1).hand_over().await, HandOver::Alone);
    cluster.stop_all().await;
    let mut cluster = KvCluster::start(3, impatient()).await;
    let leader = cluster.leader().await;
    for id in (1..=3).filter(|id| *id != leader) {
        cluster.stop(id).await;
    }
    let handed = cluster.node(leader).hand_over().await;
    assert!(!matches!(handed, HandOver::Done { .. }), "{handed:?}");
    cluster.stop_all().await;
}
