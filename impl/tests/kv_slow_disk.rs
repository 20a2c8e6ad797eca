//! Nodes whose disk is slow, or hangs: they say so, and end when they are told to.

use std::time::{Duration, Instant};

use lockstep::kv::status::Report;

use crate::support::kv::{KvCluster, PATIENCE, impatient};

/// Long for an answer that waits for nothing, and short beside a disk that hangs.
const AT_ONCE: Duration = Duration::from_secs(3);
const SLOW: Duration = Duration::from_millis(150);

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
    assert!(
        !page.contains("flush_in_progress_milliseconds 0\n"),
        "{page}"
    );
    let log = cluster.get(1, "/log").await;
    assert_eq!(log.status, 200, "{log:?}");

    let started = Instant::now();
    let failure = cluster.take(1).shutdown().await.expect_err("it hangs");
    assert!(failure.to_string().contains("did not stop"), "{failure}");
    assert!(started.elapsed() < Duration::from_secs(9), "{started:?}");
    // The threads that are left behind end with the disk's trouble.
    cluster.trouble(1).set_hanging(false);
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
    let value = |name: &str| -> f64 {
        let line = page.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit_once(' '));
        value.expect(name).1.parse().expect("a number")
    };
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

/// All disks slow at once, though faster than an election.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_slow_disks_still_writes() {
    let cluster = KvCluster::start(3, Default::default()).await;
    cluster.leader().await;
    (1..=3).for_each(|id| cluster.trouble(id).set_fsync(SLOW));
    let end = Instant::now() + Duration::from_secs(3);
    let mut done = 0;
    while Instant::now() < end {
        let put = cluster.put(1, &format!("key-{done}"), "v").await;
        done += u64::from(put.status == 200);
    }
    assert!(done > 0, "not one write in time");
    cluster.stop_all().await;
}
