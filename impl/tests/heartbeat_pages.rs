//! What members show over HTTP: whether they are ready, numbers, and who lives.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lockstep::heartbeat::{ClusterConfig, Config, Discovery, Member};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::metrics_format::{COMMON, check};
use crate::support::heartbeat::{PATIENCE, cluster, started, until_ids};
use crate::support::loopback::{self, http};
use crate::support::program::PROGRAM;

/// Any port of the loopback interface.
const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

const POLL: Duration = Duration::from_millis(50);

fn pages_of(member: &Member) -> SocketAddr {
    member.metrics_address().expect("it shows how it fares")
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let asked = http().get(format!("http://{address}{path}")).send().await;
    let answer = asked.unwrap_or_else(|error| panic!("{path}: {error}"));
    let status = answer.status().as_u16();
    (status, answer.text().await.expect("text"))
}

async fn get_json(address: SocketAddr, path: &str) -> Value {
    let (status, text) = get(address, path).await;
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).expect("JSON")
}

/// Waits until `/readyz` answers so.
async fn until_ready(address: SocketAddr, status: u16, part: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let (found, words) = get(address, "/readyz").await;
        if found == status && words.contains(part) {
            return;
        }
        assert!(Instant::now() < end, "{found}: {words}");
        sleep(POLL).await;
    }
}

async fn numbers(address: SocketAddr) -> String {
    let page = loopback::metrics(&http(), address).await;
    check(&page, &COMMON);
    check(
        &page,
        &[
            "lockstep_heartbeat_packets_sent_total",
            "lockstep_heartbeat_received_bytes_total",
            "lockstep_heartbeat_last_answer_age_seconds",
        ],
    );
    page
}

/// The value of a metric, as it is written.
fn value<'a>(page: &'a str, name: &str) -> &'a str {
    let found = page.lines().find_map(|line| line.strip_prefix(name));
    found.unwrap_or_else(|| panic!("{name} is not in\n{page}"))
}

/// Waits until metrics of the member are as they should be: on a busy machine another leader may be elected.
async fn until_numbers(
    address: SocketAddr,
    expected: impl Fn() -> Vec<(&'static str, String)>,
) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let page = numbers(address).await;
        let is_other = |(name, expected): &(&str, String)| {
            value(&page, &format!("lockstep_heartbeat_{name}")) != expected
        };
        let Some(other) = expected().into_iter().find(is_other) else {
            return page;
        };
        assert!(Instant::now() < end, "{other:?} is expected: {page}");
        sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_without_a_vote_shows_whom_it_knows_and_what_it_sends() {
    let cluster = started(3).await;
    let config = cluster.config(4).with_metrics(ANY);
    let four = Member::join(config).await.expect("joins");
    until_ids(&four, &[1, 2, 3, 4]).await;
    four.report_load(0.25).expect("a load");
    let address = pages_of(&four);
    assert!(cluster.voters[0].metrics_address().is_none(), "not told to");

    assert_eq!(get(address, "/healthz").await.0, 200);
    until_ready(address, 200, "on the leader's list").await;
    let expected = || {
        let leader = four.leader();
        let (id, term) = leader.map_or((0, 0), |leader| (leader.id.0, leader.term));
        vec![
            ("members ", "4".to_owned()),
            ("voters_known ", "3".to_owned()),
            ("votes ", "0".to_owned()),
            ("is_leader ", "0".to_owned()),
            ("on_list ", "1".to_owned()),
            ("list_current ", "1".to_owned()),
            ("leader_id ", id.to_string()),
            ("term ", term.to_string()),
            ("list_term ", term.to_string()),
            ("load ", "0.25".to_owned()),
            ("packets_of_strangers_total ", "0".to_owned()),
            ("packets_sent_total{kind=\"answer\"} ", "0".to_owned()),
        ]
    };
    let page = until_numbers(address, expected).await;
    for counted in [
        "packets_sent_total{kind=\"beat\"} ",
        "sent_bytes_total{kind=\"beat\"} ",
        "packets_received_total{kind=\"answer\"} ",
        "received_bytes_total{kind=\"answer\"} ",
        "list_number ",
    ] {
        let name = format!("lockstep_heartbeat_{counted}");
        let count: u64 = value(&page, &name).parse().expect("a number");
        assert!(count > 0, "{name}: {page}");
    }
    assert!(!page.contains("lockstep_raft_"), "it has no log");

    let leader = four.leader().expect("somebody leads");
    let variables = get_json(address, "/debug/vars").await;
    let heartbeat = &variables["heartbeat"];
    assert_eq!(heartbeat["id"], 4, "{heartbeat}");
    assert_eq!(heartbeat["members"], json!([1, 2, 3, 4]));
    assert_eq!(heartbeat["leader"], json!(leader.id));
    assert_eq!(heartbeat["load"], 0.25);
    assert_eq!(heartbeat["hindrance"], Value::Null);
    assert!(heartbeat["received"]["answer"]["packets"].as_u64() > Some(0));
    assert_eq!(variables["pid"], std::process::id());
    assert!(variables.get("raft").is_none(), "{variables}");

    let list = get_json(address, "/members").await;
    assert_eq!(
        (&list["cluster"], &list["asked"]),
        (&json!("blue"), &json!(4))
    );
    assert_eq!(
        (&list["current"], &list["hindrance"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(
        list["leader"],
        json!({ "id": leader.id, "term": leader.term })
    );
    let votes: Vec<&Value> = { list["members"].as_array().expect("a list").iter() }
        .map(|member| &member["votes"])
        .collect();
    assert_eq!(
        votes,
        [&json!(true), &json!(true), &json!(true), &json!(false)]
    );
    let (_, html) = get(address, "/").await;
    for part in ["page.css", "members.js", "parts.js"] {
        let (status, text) = get(address, &format!("/status-page/{part}")).await;
        assert_eq!(status, 200, "{part}: {text}");
        assert!(part == "parts.js" || html.contains(part), "{part}: {html}");
    }
    let (status, words) = get(address, "/nothing").await;
    assert_eq!(status, 404);
    assert!(words.contains("there are GET /, GET /members"), "{words}");

    four.shutdown().await.expect("leaves");
    let gone = http().get(format!("http://{address}/healthz")).send().await;
    assert!(gone.is_err(), "{gone:?}");
    TcpListener::bind(address).await.expect("the port is free");
    cluster.shutdown().await.expect("stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_ready_while_a_majority_leads_and_say_why_they_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = cluster(3);
    cluster.discovery = Discovery::Static {
        members: Vec::new(),
    };
    let voter = |cluster: &ClusterConfig, id: u16| {
        let data = folder.path().join(id.to_string());
        Config::new(cluster.clone(), id)
            .on_loopback()
            .with_data(data)
    };
    let one = voter(&cluster, 1).with_metrics(ANY);
    let one = Member::start(one).await.expect("starts");
    cluster.discovery = Discovery::Static {
        members: vec![one.address()],
    };
    let four = Config::new(cluster.clone(), 4)
        .on_loopback()
        .with_metrics(ANY);
    let four = Member::start(four).await.expect("starts");
    for member in [&one, &four] {
        let address = pages_of(member);
        assert_eq!(get(address, "/healthz").await.0, 200);
        until_ready(address, 503, "no leader is known here").await;
        let page = numbers(address).await;
        assert_eq!(value(&page, "lockstep_heartbeat_leader_id "), "-1");
        assert_eq!(value(&page, "lockstep_heartbeat_on_list "), "0");
    }

    let two = Member::start(voter(&cluster, 2)).await.expect("starts");
    let three = Member::start(voter(&cluster, 3)).await.expect("starts");
    for member in [&one, &four] {
        until_ready(pages_of(member), 200, "on the leader's list").await;
        until_ids(member, &[1, 2, 3, 4]).await;
    }
    // A voter shows its log as well, counted from before it ran.
    let page = numbers(pages_of(&one)).await;
    check(&page, &["lockstep_raft_term", "lockstep_raft_commit_index"]);
    assert_eq!(value(&page, "lockstep_heartbeat_votes "), "1");
    assert_ne!(value(&page, "lockstep_journal_flushes_total "), "0");
    let variables = get_json(pages_of(&one), "/debug/vars").await;
    assert_eq!(variables["raft"]["voters"], json!([1, 2, 3]));
    assert_eq!(variables["heartbeat"]["votes"], true);

    drop((two, three));
    for member in [&one, &four] {
        until_ready(pages_of(member), 503, "the list is what it was").await;
        let list = get_json(pages_of(member), "/members").await;
        assert!(list["hindrance"].is_string(), "{list}");
        assert_eq!(list["leader"], Value::Null, "{list}");
    }
    four.shutdown().await.expect("leaves");
    one.shutdown().await.expect("stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_said_before_anything_is_sent() {
    let taken = TcpListener::bind(ANY).await.expect("binds");
    let address = taken.local_addr().expect("bound");
    let folder = tempfile::tempdir().expect("a folder");
    for id in [1, 4] {
        let data = folder.path().join(id.to_string());
        let mut cluster = cluster(1);
        cluster.discovery = Discovery::Static {
            members: Vec::new(),
        };
        let config = Config::new(cluster, id).on_loopback().with_data(&data);
        let started = Member::start(config.with_metrics(address)).await;
        let error = started.err().expect("the port is taken").to_string();
        for part in [
            &format!("cannot listen on {address} (metrics_address, --metrics)"),
            "nothing was started",
            "Choose a free port",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!data.exists(), "nothing was written");
    }
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended by itself needs none.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_says_where_the_pages_are() {
    let mut command = Command::new(PROGRAM);
    command
        .args(["heartbeat", "run", "--name", "blue", "--voters", "1"])
        // Nobody is there.
        .args(["--member", "127.0.0.1:9", "--id", "4"])
        .args(["--listen", "127.0.0.1:0", "--stop-with-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut member = Running(command.spawn().expect("starts"));
    let out = member.0.stdout.take().expect("a pipe");
    let lines = BufReader::new(out).lines();
    let mut addresses = lines.map_while(Result::ok).filter_map(|line| {
        let address = line.strip_prefix("it shows how it fares at http://")?;
        address.strip_suffix('/')?.parse::<SocketAddr>().ok()
    });
    let address = addresses.next().expect("it says where");
    assert!(address.ip().is_loopback(), "{address}");
    let (status, words) = get(address, "/readyz").await;
    assert_eq!(status, 503);
    assert!(words.starts_with("no leader is known here: "), "{words}");
}
