//! `/debug/vars`: an object of variables, as Go's expvar has it.

use std::net::SocketAddr;

use lockstep::kv::config::Timing;
use serde_json::{Value, json};

use crate::support::counter::CounterCluster;
use crate::support::files::FilesCluster;
use crate::support::kv::KvCluster;
use crate::support::loopback::http;

const PATH: &str = "/debug/vars";

/// What stands at the metrics port.
async fn at_metrics_port(address: SocketAddr) -> Value {
    let asked = http().get(format!("http://{address}{PATH}")).send().await;
    let answer = asked.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    serde_json::from_str(&answer.text().await.expect("text")).expect("JSON")
}

/// Asserts what every service shows of the process and its runtime.
fn check_process(variables: &Value) {
    let cmdline = variables["cmdline"].as_array().expect("a list");
    let own: Vec<String> = std::env::args().collect();
    assert_eq!(cmdline, &own, "the program and its arguments");
    let memory = &variables["memstats"];
    let resident = memory["resident_bytes"].as_u64().expect("a number");
    let all = memory["virtual_bytes"].as_u64().expect("a number");
    assert!(1 << 20 < resident && resident <= all, "{memory}");
    assert_eq!(variables["pid"], std::process::id());
    assert_eq!(variables["tokio"]["workers"], 2, "{variables}");
    assert!(variables["tokio"]["alive_tasks"].as_u64() > Some(0));
    assert!(variables["counters"]["steps"].as_u64() > Some(0));
    assert!(variables["counters"]["journal_flushes"].as_u64() > Some(0));
    assert!(variables["journal_flush"]["last_seconds"].as_f64() > Some(0.0));
    assert!(variables["client_connections"].as_u64() > Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_shows_its_raft() {
    let cluster = KvCluster::start(3, Timing::default()).await;
    let leader = cluster.leader().await;
    assert_eq!(cluster.put(leader, "k", "v").await.status, 200);
    let follower = cluster.follower().await;
    for (id, role) in [(leader, "leader"), (follower, "follower")] {
        let answer = cluster.get(id, PATH).await;
        assert_eq!(answer.status, 200);
        let variables = answer.json();
        check_process(&variables);
        let status = cluster.status(id).await;
        let raft = &variables["raft"];
        assert_eq!((&raft["id"], &raft["role"]), (&json!(id), &json!(role)));
        assert_eq!(raft["leader"], leader);
        assert_eq!(raft["term"], status.term);
        assert_eq!(raft["last_index"], status.last_index);
        assert_eq!(raft["voters"], json!([1, 2, 3]));
        assert_eq!(raft["leadership_transfers"]["completed"], 0);
        let address = cluster.node(id).metrics_address();
        let there = at_metrics_port(address.expect("metrics are shown")).await;
        check_process(&there);
        assert_eq!(there["raft"]["role"], role);
    }
    let variables = cluster.get(leader, PATH).await.json();
    assert!(variables["raft"]["commit_index"].as_u64() >= Some(2));
    assert_eq!(variables["kv"]["keys"], 1);
    assert_eq!(variables["kv"]["revision"], 2);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_service_shows_its_zab_and_its_elections() {
    let cluster = FilesCluster::start(3).await;
    let leader = cluster.leader().await;
    let version = cluster.put(leader, "/files/f", "xyz").await.version();
    let variables = cluster.get(leader, PATH).await.json();
    check_process(&variables);
    let zab = &variables["zab"];
    assert_eq!(
        (&zab["role"], &zab["phase"]),
        (&json!("leader"), &json!("broadcast"))
    );
    assert_eq!(
        (&zab["id"], &zab["leader"]),
        (&json!(leader), &json!(leader))
    );
    assert!(zab["epoch"].as_u64() > Some(0));
    assert_eq!(zab["last_zxid"], zab["delivered_zxid"]);
    assert!(variables["bully"]["election"].as_u64() > Some(0));
    let files = &variables["files"];
    assert_eq!(
        (&files["position"], &files["files"]),
        (&json!(version), &json!(1))
    );
    let follower = (1..=3).find(|id| *id != leader).expect("one");
    let there = at_metrics_port(cluster.metrics_address(follower)).await;
    check_process(&there);
    assert_eq!(there["zab"]["role"], "follower");
    assert_eq!(there["zab"]["synchronizations"]["by"], leader);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_counter_shows_its_replica_and_who_is_there() {
    let cluster = CounterCluster::start(3).await;
    cluster.joined(1..=3, 2).await;
    cluster.get(1, "/inc?amount=42").await.number();
    let report = cluster.until(1, |report| report.behind.is_empty()).await;
    let variables = cluster.get(1, PATH).await.json();
    check_process(&variables);
    let counter = &variables["counter"];
    assert_eq!(
        (&counter["value"], &counter["own"]),
        (&json!(42), &json!(42))
    );
    assert_eq!(
        (&counter["id"], &counter["role"]),
        (&json!(1), &json!("replica"))
    );
    assert_eq!(counter["replica"], json!(report.replica));
    assert_eq!(
        (&counter["members"], &counter["behind"]),
        (&json!([2, 3]), &json!([]))
    );
    assert_eq!(
        variables["swim"],
        json!({ "alive": 2, "suspect": 0, "down": 0 })
    );
    let there = at_metrics_port(cluster.metrics_address(2)).await;
    assert_eq!(there["counter"]["value"], 42);
    cluster.stop_all().await;
}
