//! Real processes, killed in every way: nothing acknowledged is lost, and each way to bring a node up
//! to date is seen.

use std::fs;
use std::time::Duration;

use lockstep::files::client::Client;
use lockstep::files::config::LogLimits;
use lockstep::files::local::cluster::Processes;
use lockstep::files::server::catch_up::Method;
use models::NodeId;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::support::files::{PATIENCE, client, client_of, equal, leader, processes, until};
use crate::support::processes::{ONE, THREE, TWO};
use crate::support::program::send_signal;

const WRITERS: usize = 4;

/// Appends numbers to a file of its own, a line each, until told otherwise. Returns how many were
/// acknowledged, and how many were tried.
async fn append_until(nodes: Vec<String>, path: String, end: Instant) -> (String, usize, usize) {
    let mut client = Client::new(nodes, Duration::from_secs(20)).expect("a client");
    client.create(&path, "".into()).await.expect("created");
    let (mut acknowledged, mut tried) = (0, 0);
    while Instant::now() < end {
        tried += 1;
        match client
            .append(&path, format!("{tried}\n").into(), None)
            .await
        {
            Ok(_) => acknowledged = tried,
            Err(_) => break,
        }
    }
    (path, acknowledged, tried)
}

/// Each file has each line once, in order, and all that were acknowledged.
async fn check(reader: &mut Client, written: &[(String, usize, usize)]) {
    for (path, acknowledged, tried) in written {
        let content = reader.read(path, true).await.expect("read").expect("there");
        let text = String::from_utf8(content.to_vec()).expect("text");
        let lines: Vec<usize> = text
            .lines()
            .map(|line| line.parse().expect("a number"))
            .collect();
        assert!(
            (*acknowledged..=*tried).contains(&lines.len()),
            "{path}: {} lines, {acknowledged} acknowledged of {tried}",
            lines.len()
        );
        assert_eq!(lines, (1..=lines.len()).collect::<Vec<_>>(), "{path}");
    }
}

/// All nodes have the same files, byte for byte.
async fn compare(nodes: &Processes, ids: impl IntoIterator<Item = NodeId>) {
    let mut first = None;
    for id in ids {
        let mut only = client_of(nodes, id);
        let page = only.list("", None, None, false).await.expect("a list");
        let mut all = Vec::new();
        for entry in page.entries {
            let content = only
                .read(&entry.path, false)
                .await
                .expect("read")
                .expect("there");
            all.push((entry, content));
        }
        let expected = first.get_or_insert_with(|| all.clone());
        assert!(*expected == all, "{id} has other files");
    }
}

fn writers(nodes: &Processes, lasting: Duration) -> JoinSet<(String, usize, usize)> {
    let end = Instant::now() + lasting;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let path = format!("load/{writer}");
        writers.spawn(append_until(nodes.client_addresses(), path, end));
    }
    writers
}

async fn finish(mut writers: JoinSet<(String, usize, usize)>) -> Vec<(String, usize, usize)> {
    let mut written = Vec::new();
    while let Some(done) = writers.join_next().await {
        written.push(done.expect("a writer"));
    }
    let acknowledged: usize = written
        .iter()
        .map(|(_, acknowledged, _)| acknowledged)
        .sum();
    assert!(
        acknowledged > 0,
        "nothing was acknowledged: this shows nothing"
    );
    written
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_under_load_loses_nothing_acknowledged() {
    let mut nodes = processes(3, LogLimits::default());
    let first = leader(&nodes, 3).await;
    let writers = writers(&nodes, Duration::from_secs(6));
    sleep(Duration::from_secs(1)).await;
    nodes.kill(first.id).expect("killed");
    let written = finish(writers).await;
    check(&mut client(&nodes), &written).await;
    nodes.launch(first.id).expect("restarts");
    equal(&nodes, 3).await;
    compare(&nodes, [ONE, TWO, THREE]).await;
    let ended = nodes.stop_all().expect("stops");
    assert!(
        ended.iter().all(|(_, status)| status.success()),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_minority_may_be_killed() {
    let mut nodes = processes(3, LogLimits::default());
    leader(&nodes, 3).await;
    let mut writer = client(&nodes);
    for id in [ONE, TWO, THREE] {
        nodes.kill(id).expect("killed");
        let path = format!("without/{}", id.0);
        writer.create(&path, "x".into()).await.expect("created");
        nodes.launch(id).expect("restarts");
        let reports = equal(&nodes, 3).await;
        assert_eq!(reports[0].files, u64::from(id.0));
    }
    compare(&nodes, [ONE, TWO, THREE]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_of_every_node_loses_no_acknowledged_write() {
    let log = LogLimits {
        snapshot_every: 50,
        retained: 10,
        ..LogLimits::default()
    };
    let mut nodes = processes(3, log);
    leader(&nodes, 3).await;
    let load = writers(&nodes, Duration::from_secs(2));
    sleep(Duration::from_millis(1500)).await;
    nodes.kill_all().expect("killed");
    // They notice that nobody answers; what they were told before counts.
    nodes.launch_all().expect("restarts");
    let written = finish(load).await;
    check(&mut client(&nodes), &written).await;
    equal(&nodes, 3).await;
    compare(&nodes, [ONE, TWO, THREE]).await;
}

/// What the seed's errata say of it: "processes don't agree on a leader after the leader crashes".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_of_four_agree_on_a_leader_when_theirs_crashes() {
    let mut nodes = processes(4, LogLimits::default());
    let first = leader(&nodes, 4).await;
    client(&nodes)
        .create("f", "x".into())
        .await
        .expect("created");
    nodes.kill(first.id).expect("killed");
    let second = leader(&nodes, 3).await;
    assert!(second.epoch > first.epoch);
    assert_ne!(second.id, first.id);
    client(&nodes)
        .append("f", "y".into(), None)
        .await
        .expect("appended");
    nodes.launch(first.id).expect("restarts");
    equal(&nodes, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_brought_up_to_date_by_diff_and_by_snap() {
    let log = LogLimits {
        snapshot_every: 30,
        retained: 10,
        ..LogLimits::default()
    };
    let mut nodes = processes(3, log);
    let first = leader(&nodes, 3).await;
    let behind = [ONE, TWO, THREE]
        .into_iter()
        .find(|id| *id != first.id)
        .expect("one");
    let mut writer = client(&nodes);
    writer.create("f", "".into()).await.expect("created");
    nodes.kill(behind).expect("killed");
    for _ in 0..5 {
        writer
            .append("f", "a little\n".into(), None)
            .await
            .expect("appended");
    }
    nodes.launch(behind).expect("restarts");
    let caught_up = |reports: &[lockstep::files::status::Report]| {
        let own = reports.iter().find(|report| report.id == behind);
        own.and_then(|own| own.caught_up.last)
    };
    let reports = equal(&nodes, 3).await;
    assert_eq!(caught_up(&reports), Some(Method::Diff), "{reports:#?}");
    nodes.kill(behind).expect("killed");
    for _ in 0..80 {
        writer
            .append("f", "a lot\n".into(), None)
            .await
            .expect("appended");
    }
    nodes.launch(behind).expect("restarts");
    let reports = until(&nodes, 3, |reports| {
        caught_up(reports) == Some(Method::Snap)
    })
    .await;
    let own = reports
        .iter()
        .find(|report| report.id == behind)
        .expect("there");
    assert!(own.caught_up.snap >= 1);
    equal(&nodes, 3).await;
    compare(&nodes, [ONE, TWO, THREE]).await;
    // What came as a snapshot is on disk as well.
    nodes.kill_all().expect("killed");
    nodes.launch_all().expect("restarts");
    equal(&nodes, 3).await;
    compare(&nodes, [ONE, TWO, THREE]).await;
}

/// The leader writes what nobody else has, and is killed: the others go on without it, and it must
/// give it up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_wrote_alone_is_truncated() {
    let mut nodes = processes(3, LogLimits::default());
    let first = leader(&nodes, 3).await;
    client(&nodes)
        .create("f", "x".into())
        .await
        .expect("created");
    equal(&nodes, 3).await;
    let others: Vec<NodeId> = [ONE, TWO, THREE]
        .into_iter()
        .filter(|id| *id != first.id)
        .collect();
    for id in &others {
        send_signal(nodes.pid(*id).expect("runs"), "-STOP");
    }
    let address = nodes
        .config()
        .node(first.id)
        .expect("listed")
        .client_address
        .clone();
    let mut alone = Client::new(vec![address.clone()], Duration::from_secs(2)).expect("a client");
    let lost = alone
        .create("alone", "x".into())
        .await
        .expect_err("nobody acknowledges it");
    assert!(lost.to_string().contains("may have been done"), "{lost}");
    nodes.kill_all().expect("killed");
    for id in &others {
        nodes.launch(*id).expect("restarts");
    }
    leader(&nodes, 2).await;
    client(&nodes)
        .create("g", "y".into())
        .await
        .expect("created");
    nodes.launch(first.id).expect("restarts");
    let reports = equal(&nodes, 3).await;
    let own = reports
        .iter()
        .find(|report| report.id == first.id)
        .expect("there");
    assert!(own.caught_up.trunc >= 1, "{own:?}");
    compare(&nodes, [ONE, TWO, THREE]).await;
    let alone = client_of(&nodes, first.id)
        .stat("alone", true)
        .await
        .expect("asked");
    assert_eq!(alone, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_lost_its_disk_is_refused_in_words() {
    let mut nodes = processes(3, LogLimits::default());
    let first = leader(&nodes, 3).await;
    client(&nodes)
        .create("f", "x".into())
        .await
        .expect("created");
    let victim = [ONE, TWO, THREE]
        .into_iter()
        .find(|id| *id != first.id)
        .expect("one");
    nodes.kill(victim).expect("killed");
    fs::remove_dir_all(nodes.data_directory(victim)).expect("emptied");
    nodes.launch(victim).expect("listens");
    let address = nodes
        .config()
        .node(victim)
        .expect("listed")
        .client_address
        .clone();
    let watcher = client(&nodes);
    let end = Instant::now() + PATIENCE;
    loop {
        let said = watcher
            .status(&address)
            .await
            .expect_err("it serves nothing");
        if said.contains("what it has acknowledged on the first is lost") {
            assert!(
                said.contains("The members of this service are fixed"),
                "{said}"
            );
            assert!(said.contains("found a new cluster"), "{said}");
            break;
        }
        assert!(Instant::now() < end, "{said}");
        sleep(Duration::from_millis(50)).await;
    }
    // In the other direction as well.
    until(&nodes, 2, |reports| {
        let reasons = reports
            .iter()
            .filter_map(|report| report.refused.get(&victim));
        reasons
            .filter(|why| why.contains("members of this service are fixed"))
            .count()
            > 0
    })
    .await;
    client(&nodes)
        .append("f", "y".into(), None)
        .await
        .expect("appended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_or_a_disk_that_says_otherwise_starts_nothing() {
    let mut nodes = processes(3, LogLimits::default());
    leader(&nodes, 3).await;
    nodes.kill_all().expect("killed");
    let all = nodes.config().nodes.clone();
    let start = |nodes: &Processes| {
        let output = std::process::Command::new(crate::support::program::PROGRAM)
            .args(["node", "--stop-with-stdin", "--id", "1", "--config"])
            .arg(nodes.config_file())
            .stdin(std::process::Stdio::piped())
            .output()
            .expect("runs");
        crate::support::processes::refused(&output)
    };
    nodes
        .alter(|config| drop(config.nodes.pop()))
        .expect("written");
    let said = start(&nodes);
    assert!(
        said.contains("lists the nodes 1, 2, and this cluster was founded with 1, 2, 3"),
        "{said}"
    );
    assert!(said.contains("nothing was started"), "{said}");
    nodes.alter(|config| config.nodes = all).expect("written");
    let file = nodes.data_directory(ONE).join("members");
    let good = fs::read_to_string(&file).expect("text");
    fs::write(&file, good.replace("127.0.0.1", "127.0.0.2")).expect("written");
    let said = start(&nodes);
    assert!(
        said.contains("is damaged: its checksum is another. Nothing was started"),
        "{said}"
    );
    fs::remove_file(&file).expect("removed");
    let said = start(&nodes);
    assert!(
        said.contains("is missing, though there is a journal"),
        "{said}"
    );
    // As it says: copied from another node, where it is the same.
    fs::copy(nodes.data_directory(TWO).join("members"), &file).expect("copied");
    nodes.launch_all().expect("restarts");
    leader(&nodes, 3).await;
}
