//! Real processes, killed, cut off, emptied and sent away: nothing that was acknowledged is lost, and
//! nothing is counted twice.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use lockstep::counter::client::{Client, ClientError};
use lockstep::counter::config::{Config, CounterConfig, Exchange};
use lockstep::counter::local::cluster::Processes;
use models::NodeId;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::support::counter::{
    PATIENCE, all_come_to, client_of, comes_to, exchanges_with, processes, quick, verbose,
};
use crate::support::processes::{FOUR, ONE, THREE, TWO, empty};
use crate::support::program::{PROGRAM, send_signal};

/// What is known while clients count.
#[derive(Debug, Default)]
struct Ledger {
    /// What all have begun to count.
    attempted: AtomicU64,
    /// What each node has acknowledged.
    acknowledged: [AtomicU64; 4],
}

/// What a client has counted.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    acknowledged: u128,
    attempted: u128,
}

/// Counts at a node until told otherwise, each time another amount.
async fn count_until(address: String, id: NodeId, end: Instant, ledger: Arc<Ledger>) -> Tally {
    let mut client = Client::new(vec![address], Duration::from_secs(20)).expect("a client");
    let mut tally = Tally::default();
    let mut amount = 1;
    while Instant::now() < end {
        tally.attempted += u128::from(amount);
        ledger.attempted.fetch_add(amount, SeqCst);
        match client.increment(amount).await {
            Ok(_) => {
                tally.acknowledged += u128::from(amount);
                ledger.acknowledged[usize::from(id.0)].fetch_add(amount, SeqCst);
            }
            Err(ClientError::Undone { .. }) => tally.attempted -= u128::from(amount),
            Err(error) => panic!("{error}"),
        }
        amount = amount % 7 + 1;
    }
    tally
}

/// Looks at a node's value time and again: it is no less than what that node has acknowledged, no less than
/// it was, and no more than what was attempted. Returns how often it has looked.
async fn watch(address: String, id: NodeId, end: Instant, ledger: Arc<Ledger>) -> usize {
    let mut client = Client::new(vec![address], Duration::from_secs(1)).expect("a client");
    let (mut last, mut looks) = (0, 0);
    while Instant::now() < end {
        let acknowledged = ledger.acknowledged[usize::from(id.0)].load(SeqCst);
        // One that is down says nothing.
        let Ok(value) = client.value().await else {
            continue;
        };
        let attempted = ledger.attempted.load(SeqCst);
        let is_between = u128::from(acknowledged) <= value && value <= u128::from(attempted);
        assert!(is_between, "{id}: {acknowledged} <= {value} <= {attempted}");
        assert!(last <= value, "{id} goes back from {last} to {value}");
        last = value;
        looks += 1;
        sleep(Duration::from_millis(5)).await;
    }
    looks
}

/// Clients of each node, several, for so long.
fn counters(nodes: &Processes, ids: &[NodeId], lasting: Duration) -> JoinSet<Tally> {
    counters_with(nodes, ids, lasting, &Arc::default())
}

fn counters_with(
    nodes: &Processes,
    ids: &[NodeId],
    lasting: Duration,
    ledger: &Arc<Ledger>,
) -> JoinSet<Tally> {
    let end = Instant::now() + lasting;
    let mut counters = JoinSet::new();
    for id in ids {
        let address = &nodes.config().node(*id).expect("listed").client_address;
        for _ in 0..3 {
            counters.spawn(count_until(address.clone(), *id, end, ledger.clone()));
        }
    }
    counters
}

async fn finish(mut counters: JoinSet<Tally>) -> Tally {
    let mut sum = Tally::default();
    while let Some(tally) = counters.join_next().await {
        let tally = tally.expect("a counter");
        sum.acknowledged += tally.acknowledged;
        sum.attempted += tally.attempted;
    }
    assert!(
        sum.acknowledged > 0,
        "nothing was acknowledged: this shows nothing"
    );
    sum
}

/// Nodes that are killed while clients count, and started again: their clients retry the numbered
/// requests that had no answer, and each counts once. So the sum is what was acknowledged, exactly; and at
/// every moment no node knows less than it has acknowledged, nor more than was attempted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_killed_under_load_lose_nothing_and_count_nothing_twice() {
    let mut nodes = processes(3);
    let (ledger, lasting) = (Arc::default(), Duration::from_secs(6));
    let counters = counters_with(&nodes, &[ONE, TWO, THREE], lasting, &ledger);
    let mut watches = JoinSet::new();
    for node in &nodes.config().nodes {
        let address = node.client_address.clone();
        watches.spawn(watch(
            address,
            node.id,
            Instant::now() + lasting,
            ledger.clone(),
        ));
    }
    for id in [TWO, THREE, TWO] {
        sleep(Duration::from_millis(900)).await;
        nodes.kill(id).expect("killed");
        sleep(Duration::from_millis(200)).await;
        nodes.launch(id).expect("restarts");
    }
    let tally = finish(counters).await;
    assert_eq!(
        tally.acknowledged, tally.attempted,
        "all were answered in the end"
    );
    let looks = watches.join_all().await;
    assert!(looks.iter().all(|looks| *looks > 0), "{looks:?}");
    all_come_to(&nodes, &[ONE, TWO, THREE], tally.acknowledged).await;
    let ended = nodes.stop_all().expect("stops");
    assert!(
        ended.iter().all(|(_, status)| status.success()),
        "{ended:?}"
    );
}

/// All at once, again and again. At every moment each node's value is at least what itself has
/// acknowledged, and what it was before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_killed_as_a_whole_knows_all_that_it_has_acknowledged() {
    let mut nodes = processes(3);
    let mut sum = 0;
    for round in 1..=3u64 {
        for id in [ONE, TWO, THREE] {
            let amount = round * u64::from(id.0);
            let counted = client_of(&nodes, id)
                .increment(amount)
                .await
                .expect("counted");
            sum += u128::from(amount);
            assert!(counted.value <= sum, "{counted:?} of {sum}");
        }
        nodes.kill_all().expect("killed");
        nodes.launch_all().expect("restarts");
        all_come_to(&nodes, &[ONE, TWO, THREE], sum).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_disk_was_emptied_comes_back_as_another_replica_and_its_old_count_stays() {
    let mut nodes = processes(3);
    for (id, amount) in [(ONE, 5), (TWO, 7), (THREE, 30)] {
        client_of(&nodes, id)
            .increment(amount)
            .await
            .expect("counted");
    }
    all_come_to(&nodes, &[ONE, TWO, THREE], 42).await;
    let before = verbose(&nodes, TWO).await;
    for round in 1..=2 {
        empty(&mut nodes, TWO);
        nodes.launch(TWO).expect("restarts");
        all_come_to(&nodes, &[ONE, TWO, THREE], 42 + 100 * (round - 1)).await;
        // A client that knew it numbers on: nothing of it is remembered, and nothing is mistaken.
        let counted = client_of(&nodes, TWO)
            .count_as(7, 1, 100)
            .await
            .expect("counted");
        assert!(!counted.repeated);
        all_come_to(&nodes, &[ONE, TWO, THREE], 42 + 100 * round).await;
    }
    let after = verbose(&nodes, TWO).await;
    assert_ne!(before.replica, after.replica);
    let of_two = |page: &lockstep::counter::server::VerbosePage| -> Vec<u64> {
        let components = page.components.iter().filter(|one| one.node == TWO);
        let mut counts: Vec<u64> = components.map(|one| one.count).collect();
        counts.sort_unstable();
        counts
    };
    assert_eq!(of_two(&before), [7]);
    assert_eq!(of_two(&after), [7, 100, 100]);
    assert_eq!(verbose(&nodes, ONE).await.components, after.components);
}

/// However many disks a node has had, there is one component for each node in the end, and the sum is exact
/// all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_counted_on_disks_that_are_no_more_is_folded_into_one_number() {
    let config = Config {
        timing: quick(),
        counter: CounterConfig {
            fold: true,
            ..CounterConfig::default()
        },
        ..Config::of("loopback", Vec::new())
    };
    let mut nodes = Processes::start_cluster(Path::new(PROGRAM), &config, 3).expect("starts");
    let all = [ONE, TWO, THREE];
    for (id, amount) in [(ONE, 5), (TWO, 7), (THREE, 30)] {
        client_of(&nodes, id)
            .increment(amount)
            .await
            .expect("counted");
    }
    all_come_to(&nodes, &all, 42).await;
    for round in 1..=2 {
        empty(&mut nodes, TWO);
        nodes.launch(TWO).expect("restarts");
        all_come_to(&nodes, &all, 42 + 100 * (round - 1)).await;
        client_of(&nodes, TWO)
            .increment(100)
            .await
            .expect("counted");
        all_come_to(&nodes, &all, 42 + 100 * round).await;
    }
    let deadline = Instant::now() + PATIENCE;
    for id in all {
        let page = loop {
            let page = verbose(&nodes, id).await;
            assert_eq!(page.value, 242, "{page:?}");
            if page.components.len() == 3 {
                break page;
            }
            assert!(Instant::now() < deadline, "nothing is folded: {page:?}");
            sleep(Duration::from_millis(50)).await;
        };
        assert!(page.folds >= 1, "{page:?}");
        assert_eq!(page.folded, 107, "{page:?}");
        let counted: u64 = page.components.iter().map(|one| one.count).sum();
        assert_eq!(counted, 135, "{page:?}");
    }
    // It is on the disks, and a crash forgets nothing of it.
    nodes.kill_all().expect("killed");
    nodes.launch_all().expect("restarts");
    all_come_to(&nodes, &all, 242).await;
    assert_eq!(verbose(&nodes, THREE).await.folded, 107);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_cluster_counts_on_both_sides_and_comes_to_the_exact_sum_when_it_heals() {
    let config = Config {
        timing: quick(),
        ..Config::of("loopback", Vec::new())
    };
    let (nodes, network) =
        Processes::start_on_split_network(Path::new(PROGRAM), &config, 3).expect("starts");
    exchanges_with(&nodes, THREE, &[ONE, TWO]).await;
    exchanges_with(&nodes, ONE, &[TWO, THREE]).await;
    client_of(&nodes, ONE)
        .increment(1000)
        .await
        .expect("counted");
    all_come_to(&nodes, &[ONE, TWO, THREE], 1000).await;
    network.split([THREE]);
    let here = counters(&nodes, &[ONE, TWO], Duration::from_secs(3));
    let there = counters(&nodes, &[THREE], Duration::from_secs(3));
    let (here, there) = (finish(here).await, finish(there).await);
    assert_eq!(here.acknowledged, here.attempted);
    assert_eq!(there.acknowledged, there.attempted);
    // Each side has counted its own, and has not heard of the other's.
    all_come_to(&nodes, &[ONE, TWO], 1000 + here.acknowledged).await;
    comes_to(&nodes, THREE, 1000 + there.acknowledged).await;
    exchanges_with(&nodes, ONE, &[TWO]).await;
    exchanges_with(&nodes, THREE, &[]).await;
    network.heal();
    let sum = 1000 + here.acknowledged + there.acknowledged;
    all_come_to(&nodes, &[ONE, TWO, THREE], sum).await;
    exchanges_with(&nodes, THREE, &[ONE, TWO]).await;
}

/// A process that is stopped for longer than others wait for it: it is given up, and comes back in
/// another life.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_held_up_is_given_up_and_comes_back_by_itself() {
    let nodes = processes(3);
    for (id, others) in [(ONE, [TWO, THREE]), (TWO, [ONE, THREE])] {
        exchanges_with(&nodes, id, &others).await;
    }
    client_of(&nodes, THREE)
        .increment(30)
        .await
        .expect("counted");
    let pid = nodes.pid(THREE).expect("runs");
    send_signal(pid, "-STOP");
    exchanges_with(&nodes, ONE, &[TWO]).await;
    client_of(&nodes, ONE).increment(5).await.expect("counted");
    send_signal(pid, "-CONT");
    all_come_to(&nodes, &[ONE, TWO, THREE], 35).await;
    exchanges_with(&nodes, ONE, &[TWO, THREE]).await;
    client_of(&nodes, THREE)
        .increment(7)
        .await
        .expect("counted");
    all_come_to(&nodes, &[ONE, TWO, THREE], 42).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_joins_by_one_address_counts_and_leaves_for_good() {
    let mut nodes = processes(3);
    client_of(&nodes, ONE).increment(5).await.expect("counted");
    // Its file names one of the others, and no other.
    let mut node = Processes::new_node(FOUR).expect("free ports");
    node.data_centre = Some(9);
    let one = nodes
        .config()
        .node(ONE)
        .expect("listed")
        .peer_address
        .clone();
    let known = nodes.config().nodes.clone();
    nodes
        .alter(|config| {
            config.nodes = vec![node.clone()];
            config.counter.members = vec![one];
        })
        .expect("written");
    nodes.launch(FOUR).expect("starts");
    nodes
        .alter(|config| {
            config.nodes = known;
            config.nodes.push(node);
        })
        .expect("written");
    exchanges_with(&nodes, FOUR, &[ONE, TWO, THREE]).await;
    exchanges_with(&nodes, TWO, &[ONE, THREE, FOUR]).await;
    comes_to(&nodes, FOUR, 5).await;
    client_of(&nodes, FOUR)
        .increment(37)
        .await
        .expect("counted");
    let said = client_of(&nodes, FOUR).leave().await.expect("leaves");
    assert!(said.contains("not needed any more"), "{said}");
    assert!(nodes.wait(FOUR).expect("ends").success());
    fs::remove_dir_all(nodes.data_directory(FOUR)).expect("removed");
    all_come_to(&nodes, &[ONE, TWO, THREE], 42).await;
    exchanges_with(&nodes, TWO, &[ONE, THREE]).await;
    // What has left is known where it is not there any more, also after a restart of all.
    nodes
        .alter(|config| config.nodes.retain(|node| node.id != FOUR))
        .expect("written");
    nodes.kill_all().expect("killed");
    nodes.launch_all().expect("restarts");
    all_come_to(&nodes, &[ONE, TWO, THREE], 42).await;
}

/// A node that stops in order says so: the others need not find out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_in_order_is_missed_at_once() {
    let config = Config {
        timing: lockstep::counter::config::Timing {
            probe_ms: 5000,
            suspect_ms: 20_000,
            ..quick()
        },
        ..Config::of("loopback", Vec::new())
    };
    let mut nodes = Processes::start_cluster(Path::new(PROGRAM), &config, 2).expect("starts");
    exchanges_with(&nodes, ONE, &[TWO]).await;
    exchanges_with(&nodes, TWO, &[ONE]).await;
    let start = Instant::now();
    send_signal(nodes.pid(TWO).expect("runs"), "-TERM");
    assert!(nodes.wait(TWO).expect("ends").success());
    exchanges_with(&nodes, ONE, &[]).await;
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_pull_alone_survives_a_crash_and_an_emptied_disk() {
    let config = Config {
        timing: quick(),
        counter: CounterConfig {
            exchange: Exchange::PushPull,
            ..CounterConfig::default()
        },
        ..Config::of("loopback", Vec::new())
    };
    let mut nodes = Processes::start_cluster(Path::new(PROGRAM), &config, 3).expect("starts");
    client_of(&nodes, ONE).increment(5).await.expect("counted");
    nodes.kill(ONE).expect("killed");
    nodes.launch(ONE).expect("restarts");
    client_of(&nodes, TWO).increment(37).await.expect("counted");
    all_come_to(&nodes, &[ONE, TWO, THREE], 42).await;
    empty(&mut nodes, THREE);
    nodes.launch(THREE).expect("restarts");
    all_come_to(&nodes, &[ONE, TWO, THREE], 42).await;
}
