//! What nodes show at `/metrics` keeps the rules of Prometheus: those of its text format, and those
//! by which its metrics are named.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::kv::config::Timing;
use prometheus_parse::{LineInfo, SampleType};

use crate::support::counter::CounterCluster;
use crate::support::files::FilesCluster;
use crate::support::kv::KvCluster;

/// Units that are not Prometheus' base units, or are abbreviated.
const BAD_UNITS: [&str; 16] = [
    "milliseconds",
    "microseconds",
    "nanoseconds",
    "minutes",
    "hours",
    "days",
    "bits",
    "kilobytes",
    "megabytes",
    "kibibytes",
    "mebibytes",
    "ms",
    "us",
    "ns",
    "sec",
    "mb",
];

/// One metric, with all its labels' values.
struct Family {
    kind: SampleType,
    /// What is behind each sample's name and in its braces.
    samples: BTreeSet<String>,
}

/// Reads a page, and asserts that it is in Prometheus' text format: each family is there once and as
/// one group, behind its help and its type.
fn parse(page: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::new();
    let mut helped = None;
    let mut last = String::new();
    assert!(page.ends_with('\n'), "the last line has no end");
    for line in page.lines() {
        match LineInfo::parse(line) {
            LineInfo::Doc { metric_name, doc } => {
                assert!(doc.len() > 5 && doc.ends_with('.'), "{line}");
                assert!(!doc.ends_with(".."), "{line}");
                helped = Some(metric_name.to_owned());
            }
            LineInfo::Type {
                metric_name,
                metric_alias,
                sample_type,
            } => {
                last = metric_alias.unwrap_or(metric_name);
                assert_eq!(helped.take().as_ref(), Some(&last), "no help: {line}");
                let family = Family {
                    kind: sample_type,
                    samples: BTreeSet::new(),
                };
                let before = families.insert(last.clone(), family);
                assert!(before.is_none(), "twice: {line}");
            }
            LineInfo::Sample {
                metric_name,
                labels,
                value,
                timestamp,
            } => {
                let suffix = metric_name.strip_prefix(&*last);
                let family = families.get_mut(&last);
                let (suffix, family) = suffix.zip(family).expect(line);
                let allowed: &[_] = match family.kind {
                    SampleType::Histogram => &["_bucket", "_sum", "_count"],
                    _ => &[""],
                };
                assert!(allowed.contains(&suffix), "of no family: {line}");
                assert!(value.parse::<f64>().is_ok(), "no number: {line}");
                assert_eq!(timestamp, None, "{line}");
                let sample = format!("{suffix}{{{}}}", labels.unwrap_or_default());
                assert!(family.samples.insert(sample), "twice: {line}");
            }
            LineInfo::Empty | LineInfo::Ignored => panic!("not in the format: `{line}`"),
        }
    }
    assert_eq!(helped, None, "a help without a metric");
    families
}

/// Asserts that a metric is named as Prometheus wants it.
fn check_name(name: &str, family: &Family) {
    let is_plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    assert!(
        name.starts_with("lockstep_") && name.chars().all(is_plain),
        "{name}"
    );
    assert!(!name.contains("__"), "{name}");
    let words: Vec<&str> = name.split('_').collect();
    for word in &words {
        assert!(!BAD_UNITS.contains(word), "{name} is not in a base unit");
        let kinds = ["counter", "gauge", "histogram", "summary", "untyped"];
        assert!(!kinds.contains(word), "{name} names its type");
    }
    let is_counter = family.kind == SampleType::Counter;
    assert_eq!(name.ends_with("_total"), is_counter, "{name}");
    assert_ne!(family.kind, SampleType::Untyped, "{name}");
    let stem = name.strip_suffix("_total").unwrap_or(name);
    for unit in ["seconds", "bytes"] {
        let is_suffix = stem.ends_with(&format!("_{unit}"));
        assert_eq!(
            words.contains(&unit),
            is_suffix,
            "{name}: the unit comes last"
        );
    }
    assert!(!family.samples.is_empty(), "{name} has no value");
    if family.kind == SampleType::Histogram {
        for sample in ["_bucket{le=\"+Inf\"}", "_sum{}", "_count{}"] {
            assert!(family.samples.contains(sample), "{name} has no {sample}");
        }
    }
}

pub(crate) fn check(page: &str, expected: &[&str]) {
    let families = parse(page);
    families
        .iter()
        .for_each(|(name, family)| check_name(name, family));
    for name in expected {
        assert!(families.contains_key(*name), "{name} is not in\n{page}");
    }
}

pub(crate) const COMMON: [&str; 6] = [
    "lockstep_steps_total",
    "lockstep_sent_bytes_total",
    "lockstep_journal_flush_seconds",
    "lockstep_journal_flush_in_progress_seconds",
    "lockstep_client_connections",
    "lockstep_log_lines_dropped_total",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metrics_of_a_leader_and_a_follower_of_the_store_keep_the_rules() {
    let cluster = KvCluster::start(3, Timing::default()).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    assert_eq!(cluster.put(follower, "k", "v").await.status, 200);
    for id in [leader, follower] {
        let page = cluster.metrics(id).await;
        check(&page, &COMMON);
        check(
            &page,
            &["lockstep_raft_term", "lockstep_leadership_transfers_total"],
        );
        let leads = format!("lockstep_raft_is_leader {}\n", u8::from(id == leader));
        assert!(page.contains(&leads), "{page}");
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metrics_of_a_node_of_the_file_service_keep_the_rules() {
    let cluster = FilesCluster::start(3).await;
    let leader = cluster.leader().await;
    cluster.put(leader, "/files/f", "xyz").await.says(201, "");
    for id in 1..=3 {
        let page = cluster.metrics(id).await;
        check(&page, &COMMON);
        check(
            &page,
            &["lockstep_zab_epoch", "lockstep_zab_synchronizations_total"],
        );
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metrics_of_a_node_of_the_counter_keep_the_rules() {
    let cluster = CounterCluster::start(3).await;
    cluster.joined(1..=3, 2).await;
    cluster.count_as(1, "7", "1", 42).await.says(200, "42");
    cluster.count_as(1, "7", "1", 42).await.says(200, "42");
    cluster.get(1, "/inc?amount=0").await.says(400, "");
    for id in 1..=3 {
        cluster.comes_to(id, 42).await;
        let page = cluster.metrics(id).await;
        check(&page, &COMMON);
        check(
            &page,
            &[
                "lockstep_increments_counted_total",
                "lockstep_swim_packets_sent_total",
            ],
        );
        for line in [
            "lockstep_replica_value 42\n",
            "lockstep_swim_members_alive 2\n",
        ] {
            assert!(page.contains(line), "{line}: {page}");
        }
    }
    let page = cluster.metrics(1).await;
    for line in [
        "lockstep_increments_counted_total 1\n",
        "lockstep_increments_repeated_total 1\n",
        "lockstep_swim_packets_of_strangers_total 0\n",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    cluster.stop_all().await;
}

#[test]
#[should_panic(expected = "not in a base unit")]
fn a_unit_that_is_no_base_unit_is_noticed() {
    check(
        "# HELP lockstep_x_ms How long.\n# TYPE lockstep_x_ms gauge\nlockstep_x_ms 1\n",
        &[],
    );
}

#[test]
#[should_panic(expected = "no help")]
fn a_metric_without_help_is_noticed() {
    check("# TYPE lockstep_x_total counter\nlockstep_x_total 1\n", &[]);
}

#[test]
#[should_panic(expected = "twice")]
fn a_sample_that_is_there_twice_is_noticed() {
    let head = "# HELP lockstep_x What x is.\n# TYPE lockstep_x gauge\n";
    check(&format!("{head}lockstep_x 1\nlockstep_x 2\n"), &[]);
}
