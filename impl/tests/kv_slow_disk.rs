//! Nodes whose disk is slow, or hangs: they say so, and end when they are told to.

use std::time::{Duration, Instant};

use lockstep::kv::config::Timing;
use lockstep::kv::status::Report;
use models::NodeId;

use crate::support::kv::{KvCluster, PATIENCE, impatient};

/// Long for an answer that waits for nothing, and short beside a disk that hangs.
const AT_ONCE: Duration = Duration::from_secs(3);
/// More than half of the default election time-out.
const SLOW: Duration = Duration::from_millis(200);

async fn until(cluster: &KvCluster, id: u16, condition: impl Fn(&Report) -> bool) -> Report {
    let end = Instant::now() + PATIENCE;
    loop {
        let asked = Instant::now();
        let report = cluster.status(id).await;
        assert!(asked.elapsed() < AT_ONCE, "the status waited");
        if condition(&report) {
            return report;
        }
        assert!(Instant::now() < end, "{report:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Item 7 of the field's faults: all of these hung with the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_diagnostics_nor_shutdown_wait_for_a_disk_that_hangs() {
    let mut cluster = KvCluster::start(1, impatient()).await;
    cluster.leader().await;
    assert_eq!(cluster.put(1, "k", "kept").await.status, 200);
    let report = cluster.status(1).await;
    assert_eq!(report.disk.fsync_in_progress_ms, None, "{report:?}");

    cluster.trouble(1).set_hanging(true);
    let put = cluster.put(1, "k", "lost").await;
    assert_eq!(put.status, 504, "nobody is told that it is done: {put:?}");
    let lasts = |report: &Report| report.disk.fsync_in_progress_ms;
    let report = until(&cluster, 1, |report| lasts(report) >= Some(200)).await;
    assert!(report.disk.slow, "{report:?}");
    let page = cluster.metrics(1).await;
    assert!(page.contains("lockstep_raft_is_leader 1"), "{page}");
    let lasts = value(&page, "lockstep_journal_flush_in_progress_seconds");
    assert!(lasts >= 0.2, "{page}");
    let log = cluster.get(1, "/log").await;
    assert_eq!(log.status, 200, "{log:?}");

    let started = Instant::now();
    let failure = cluster.take(1).shutdown().await.expect_err("it hangs");
    assert!(failure.to_string().contains("did not stop"), "{failure}");
    assert!(started.elapsed() < Duration::from_secs(9), "{started:?}");
    // The threads that are left behind end with the disk's trouble.
    cluster.trouble(1).set_hanging(false);
}

/// What a page of metrics says of one of them.
fn value(page: &str, name: &str) -> f64 {
    let line = page.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit_once(' '));
    value.expect(name).1.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fsync_times_are_in_the_metrics() {
    let cluster = KvCluster::start(1, impatient()).await;
    cluster.leader().await;
    cluster.trouble(1).set_fsync(SLOW);
    assert_eq!(cluster.put(1, "k", "v").await.status, 200);
    let report = until(&cluster, 1, |report| report.disk.slow).await;
    assert_eq!(report.keys, 1);
    let page = cluster.metrics(1).await;
    let value = |name: &str| value(&page, name);
    let name = "lockstep_journal_flush_seconds";
    let count = value(&format!("{name}_count"));
    assert!(
        count > value(&format!("{name}_bucket{{le=\"0.1\"}}")),
        "{page}"
    );
    assert_eq!(count, value(&format!("{name}_bucket{{le=\"+Inf\"}}")));
    assert!(value(&format!("{name}_sum")) >= 0.15, "{page}");
    assert!(
        value("lockstep_journal_flushes_slow_total") >= 1.0,
        "{page}"
    );
    cluster.stop_all().await;
}

/// Writes one key after the other at one node, for so long. Returns how many writes were done, and
/// what became of the others.
async fn write(cluster: &KvCluster, id: u16, lasts: Duration) -> (u64, Vec<String>) {
    let end = Instant::now() + lasts;
    let (mut done, mut failed) = (0, Vec::new());
    while Instant::now() < end {
        let put = cluster.put(id, &format!("{id}-{done}"), "v").await;
        match put.status.as_u16() {
            200 => done += 1,
            _ => failed.push(format!("{put:?}")),
        }
    }
    (done, failed)
}

/// All disks are slow at once, though faster than an election time-out: appends and their answers
/// wait for two of them, and heartbeats for none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_disks_depose_no_leader() {
    let cluster = KvCluster::start(3, Timing::default()).await;
    let leader = cluster.leader().await;
    let term = cluster.status(leader).await.term;
    (1..=3).for_each(|id| cluster.trouble(id).set_fsync(SLOW));
    let write = |id| write(&cluster, id, Duration::from_secs(8));
    let (one, two, three) = tokio::join!(write(1), write(2), write(3));
    for (done, failed) in [one, two, three] {
        assert!(done > 2 && failed.is_empty(), "{done} done, {failed:?}");
    }
    for id in 1..=3 {
        let report = cluster.status(id).await;
        assert_eq!((report.term, report.leader), (term, Some(NodeId(leader))));
    }
    cluster.stop_all().await;
}

/// Heartbeats wait for no disk, but one that hangs silences them: nothing could be committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_hangs_is_replaced() {
    let cluster = KvCluster::start(3, Timing::default()).await;
    let hung = cluster.leader().await;
    assert_eq!(cluster.put(hung, "k", "before").await.status, 200);
    let term = cluster.status(hung).await.term;
    let others: Vec<u16> = (1..=3).filter(|id| *id != hung).collect();

    cluster.trouble(hung).set_hanging(true);
    let started = Instant::now();
    let (put, ()) = tokio::join!(cluster.put(others[0], "k", "after"), async {
        let elected = |report: &Report| report.term > term && report.leader.is_some();
        let report = until(&cluster, others[0], elected).await;
        assert_ne!(report.leader, Some(NodeId(hung)));
        let took = started.elapsed();
        let limit = 6 * Duration::from_millis(Timing::default().election_max_ms);
        assert!(took < limit, "{took:?}");
    });
    // Whoever wrote meanwhile may have to ask again; nothing is lost but an answer.
    assert!([200, 503, 504].contains(&put.status.as_u16()), "{put:?}");
    assert_eq!(cluster.put(others[1], "k", "again").await.status, 200);
    let page = cluster.metrics(hung).await;
    let dropped = "lockstep_early_dropped_total ";
    let line = page.lines().find(|line| line.starts_with(dropped));
    assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{line:?}");

    // It follows when its disk is back, and has what was written without it.
    cluster.trouble(hung).set_hanging(false);
    let follows = |report: &Report| report.term > term && report.role == "follower";
    until(&cluster, hung, follows).await;
    cluster.leader().await;
    assert_eq!(cluster.get(hung, "/kv/k").await.text, "again");
    cluster.stop_all().await;
}
