//! Clusters of lock nodes as real processes, and clients that count under a lock.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lockstep::locks::client::{Client, Grant};
use lockstep::locks::config::Timing;
use lockstep::locks::local::cluster::Processes;
use lockstep::locks::status::Report;
use lockstep::locks::token::TokenReport;
use lockstep::service::http_client::Access;
use models::NodeId;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::sleep;

use super::program::PROGRAM;

/// Long enough for anything that is going to happen on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
pub(crate) const ZERO: NodeId = NodeId(0);

/// Less patience than is usual, so that nobody waits for long; and enough for a busy machine.
pub(crate) fn timing() -> Timing {
    Timing {
        health_check_ms: 500,
        misses: 6,
        lease_ms: 2500,
        max_message_delay_ms: 200,
        retry_ms: 200,
        drain_ms: 3000,
        ..Timing::default()
    }
}

/// An orchestrator and so many members, which agree on their epoch.
pub(crate) async fn cluster(members: u16) -> Processes {
    cluster_with(members, timing()).await
}

pub(crate) async fn cluster_with(members: u16, timing: Timing) -> Processes {
    let nodes = Processes::start(Path::new(PROGRAM), members, timing).expect("starts");
    let ids: Vec<u16> = (1..=members).collect();
    until_members(&nodes, &ids).await;
    nodes
}

/// A client of one node.
pub(crate) fn client_of(nodes: &Processes, id: u16) -> Client {
    Client::new(vec![address(nodes, id)], PATIENCE).expect("a client")
}

/// A client of all nodes.
pub(crate) fn client(nodes: &Processes) -> Client {
    Client::new(nodes.client_addresses(), PATIENCE).expect("a client")
}

pub(crate) fn address(nodes: &Processes, id: u16) -> String {
    let node = nodes.config().node(NodeId(id)).expect("listed");
    node.client_address.clone()
}

pub(crate) async fn acquire(nodes: &Processes, id: u16, lock: &str, ttl: Duration) -> Grant {
    let acquired = client_of(nodes, id).acquire(lock, PATIENCE, ttl).await;
    acquired.expect("an answer").expect("granted")
}

/// What the node says of itself, if it says anything.
pub(crate) async fn report(nodes: &Processes, id: u16) -> Option<Report> {
    let watcher = Client::new(vec![address(nodes, id)], Duration::from_secs(2)).expect("a client");
    watcher.status(&address(nodes, id)).await.ok()
}

/// Waits until the node's report is as wanted.
pub(crate) async fn until(nodes: &Processes, id: u16, wanted: impl Fn(&Report) -> bool) -> Report {
    let end = Instant::now() + PATIENCE;
    loop {
        let report = report(nodes, id).await;
        if let Some(report) = report.as_ref().filter(|report| wanted(report)) {
            return report.clone();
        }
        assert!(Instant::now() < end, "{report:#?}\n{}", nodes.log_tails());
        sleep(POLL).await;
    }
}

pub(crate) async fn until_waiting(nodes: &Processes, id: u16, count: u64) {
    let waiting = |report: &Report| report.member.as_ref().map(|own| own.waiting);
    until(nodes, id, |report| waiting(report) == Some(count)).await;
}

/// Waits until exactly these nodes are members of one epoch, by the word of all of them and of the
/// orchestrator, and returns it.
pub(crate) async fn until_members(nodes: &Processes, ids: &[u16]) -> u64 {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut reports = Vec::new();
        for id in [0].iter().chain(ids) {
            reports.push(report(nodes, *id).await);
        }
        let epoch = { reports.iter().flatten() }
            .map(|report| report.epoch)
            .max();
        let agree = reports.iter().all(|report| {
            report.as_ref().is_some_and(|report| {
                let members: Vec<u16> = report.members.iter().map(|id| id.0).collect();
                Some(report.epoch) == epoch && !report.ending && members == ids
            })
        });
        if agree && let Some(epoch) = epoch {
            return epoch;
        }
        assert!(Instant::now() < end, "{reports:#?}\n{}", nodes.log_tails());
        sleep(POLL).await;
    }
}

/// An answer, read.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        serde_json::from_str(&self.text).expect("JSON")
    }

    /// Asserts the status, and that the words say `said`.
    pub(crate) fn says(&self, status: u16, said: &str) {
        let holds = self.status.as_u16() == status && self.text.contains(said);
        assert!(holds, "expected {status} and `{said}`: {self:?}");
    }
}

pub(crate) fn http() -> reqwest::Client {
    let client = Access::plaintext().client(Duration::from_secs(2));
    client.expect("a client").build().expect("a client")
}

pub(crate) async fn send(
    nodes: &Processes,
    id: u16,
    method: Method,
    path: &str,
    body: &str,
) -> Answer {
    let url = format!("http://{}{path}", address(nodes, id));
    let request = http().request(method, url).body(body.to_owned());
    let answer = request.send().await.expect("an answer");
    Answer {
        status: answer.status(),
        text: answer.text().await.expect("text"),
    }
}

pub(crate) async fn post(nodes: &Processes, id: u16, path: &str, body: &str) -> Answer {
    send(nodes, id, Method::POST, path, body).await
}

pub(crate) async fn get(nodes: &Processes, id: u16, path: &str) -> Answer {
    send(nodes, id, Method::GET, path, "").await
}

/// A number that knows no lock, and refuses who comes with a lesser token than somebody before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guarded(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    count: u64,
    /// The tokens that it was written with, in order.
    tokens: Vec<TokenReport>,
    refused: u64,
}

impl Guarded {
    fn read(&self) -> u64 {
        self.0.lock().expect("whole").count
    }

    /// Returns whether it was written.
    fn write(&self, token: TokenReport, count: u64) -> bool {
        let mut state = self.0.lock().expect("whole");
        let is_late = state.tokens.last().is_some_and(|last| token < *last);
        if is_late {
            state.refused += 1;
            return false;
        }
        state.count = count;
        state.tokens.push(token);
        true
    }

    /// Asserts that nothing that was written was lost, and that no two have had the same token.
    pub(crate) fn check(&self, written: u64) {
        let state = self.0.lock().expect("whole");
        assert_eq!(state.count, written, "{state:?}");
        assert_eq!(state.tokens.len() as u64, written);
        let rise = state.tokens.is_sorted_by(|one, other| one < other);
        assert!(rise, "tokens do not rise: {:?}", state.tokens);
    }
}

/// Counts under the lock until `end`, at whichever of these nodes takes it. Returns how often it has
/// counted. What happens meanwhile may cost it the lock: then it tries again.
pub(crate) async fn count_until(
    nodes: Vec<String>,
    lock: &'static str,
    number: Guarded,
    end: Instant,
) -> u64 {
    let mut client = Client::new(nodes, PATIENCE).expect("a client");
    let mut counted = 0;
    while Instant::now() < end {
        let acquired = client.acquire(lock, PATIENCE, Duration::from_secs(2)).await;
        let Ok(Some(grant)) = acquired else {
            continue;
        };
        let read = number.read();
        // Time for somebody else to come between, if anybody could.
        sleep(Duration::from_millis(2)).await;
        // As one that takes care does: it does not write what it may not believe any more.
        let believes = tokio::time::Instant::now() < grant.valid_until;
        if believes && number.write(grant.token, read + 1) {
            counted += 1;
        }
        // One whose node is gone ends by itself.
        let _ = client.end(grant.session).await;
    }
    counted
}
