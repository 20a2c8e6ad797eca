//! How all nodes of a cluster fare, each by its own word.

use std::time::Duration;

use models::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::service::http_client::{Access, SetUpError, in_full};

/// How a node fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its client address.
    pub address: String,
    /// Why it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The node.
    pub id: Option<NodeId>,
    /// What it is: `leader`, `follower`, `blank` and so on.
    pub role: Option<String>,
    /// Its term or epoch.
    pub term: Option<u64>,
    /// The leader, as far as it knows.
    pub leader: Option<NodeId>,
    /// How far what it knows to be committed goes; of a counter, what it has counted itself.
    pub committed: Option<u64>,
    /// How far what it has applied goes; of a counter, the value that it knows.
    pub applied: Option<u64>,
    /// How far its log goes; of a counter, the value that it knows.
    pub last: Option<u64>,
    /// The nodes whose connections it reads.
    pub hears: Vec<NodeId>,
    /// Whether its disk is slow.
    pub slow_disk: bool,
    /// For how many milliseconds it has run.
    pub uptime_ms: Option<u64>,
}

/// Asks all nodes at these client addresses at the same time. In the order of their ids, with those
/// that do not say theirs behind.
///
/// # Errors
/// When there is no HTTP client.
pub async fn ask_all(
    access: &Access,
    addresses: &[String],
    patience: Duration,
) -> Result<Vec<NodeStatus>, SetUpError> {
    let http = access.client(patience)?.build()?;
    Ok(ask_with(access, &http, addresses, patience).await)
}

/// The same, with an HTTP client that is there.
pub(crate) async fn ask_with(
    access: &Access,
    http: &reqwest::Client,
    addresses: &[String],
    patience: Duration,
) -> Vec<NodeStatus> {
    let mut asked = JoinSet::new();
    for address in addresses {
        let address = address.clone();
        let request = http.get(access.url(&address, "/status")).timeout(patience);
        asked.spawn(ask(request, address));
    }
    let mut statuses: Vec<NodeStatus> = asked.join_all().await;
    statuses.sort_by(|one, other| {
        let key = |status: &NodeStatus| (status.id.is_none(), status.id, status.address.clone());
        key(one).cmp(&key(other))
    });
    statuses
}

async fn ask(request: reqwest::RequestBuilder, address: String) -> NodeStatus {
    let said = async {
        let answer = request.send().await.map_err(|error| in_full(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| in_full(&error))?;
        match serde_json::from_str::<Value>(&text) {
            // A node that belongs to no cluster yet says so with 503.
            Ok(page @ Value::Object(_)) => Ok(page),
            _ => Err(format!("it answers {status}: {}", text.trim())),
        }
    };
    match said.await {
        Ok(page) => read(address, &page),
        Err(error) => NodeStatus {
            address,
            error: Some(error),
            ..NodeStatus::default()
        },
    }
}

/// What a page says, whichever service it is of.
fn read(address: String, page: &Value) -> NodeStatus {
    let number = |names: &[&str]| names.iter().find_map(|name| page[*name].as_u64());
    let node = |value: &Value| {
        let id = value.as_u64().and_then(|id| u16::try_from(id).ok());
        id.map(NodeId)
    };
    let hears = page["hears"].as_array().into_iter().flatten();
    NodeStatus {
        address,
        error: None,
        id: node(&page["id"]),
        role: page["role"].as_str().map(str::to_owned),
        term: number(&["term", "epoch"]),
        leader: node(&page["leader"]),
        committed: number(&["commit_index", "position", "own"]),
        applied: number(&["last_applied", "position", "value"]),
        last: number(&["last_index", "position", "value"]),
        hears: hears.filter_map(node).collect(),
        slow_disk: page["disk"]["slow"].as_bool().unwrap_or(false),
        uptime_ms: number(&["uptime_ms"]),
    }
}

/// The role of a node that takes no part, on purpose.
const UNREGISTERED: &str = "unregistered";

/// The roles of nodes that nobody leads: the replicas of a counter.
const LEADERLESS: [&str; 3] = ["replica", "leaving", "nameless"];

fn is_leaderless(statuses: &[NodeStatus]) -> bool {
    let mut roles = statuses.iter().filter_map(|status| status.role.as_deref());
    roles.any(|role| LEADERLESS.contains(&role))
}

/// What nodes as these are to agree on, in words.
pub fn at_issue(statuses: &[NodeStatus]) -> &'static str {
    if is_leaderless(statuses) {
        "the value"
    } else {
        "a leader"
    }
}

/// Whether all say how they fare, and name the same leader in the same term; all but those that take no
/// part, on purpose. Where nobody leads: whether all know the same value.
pub fn agree(statuses: &[NodeStatus]) -> bool {
    if is_leaderless(statuses) {
        let first = statuses.first().and_then(|status| status.applied);
        let mut values = statuses.iter().map(|status| status.applied);
        return first.is_some() && values.all(|value| value == first);
    }
    let takes_part = |status: &&NodeStatus| status.role.as_deref() != Some(UNREGISTERED);
    let mut statuses = statuses.iter().filter(takes_part).peekable();
    let first = { statuses.peek() }.map(|status| (status.leader, status.term));
    let Some((Some(leader), Some(term))) = first else {
        return false;
    };
    let same = |status: &NodeStatus| (status.leader, status.term) == (Some(leader), Some(term));
    statuses.all(same)
}

/// By how many entries a node is behind the one that is furthest.
pub fn lag(status: &NodeStatus, all: &[NodeStatus]) -> Option<u64> {
    let furthest = all.iter().filter_map(|status| status.last).max()?;
    Some(furthest.saturating_sub(status.last?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(id: u16, leader: u16, term: u64, last: u64) -> NodeStatus {
        let page = json!({
            "id": id, "role": "follower", "term": term, "leader": leader, "last_index": last,
            "hears": [1, 2], "disk": { "slow": true }, "uptime_ms": 5,
        });
        read(format!("a:{id}"), &page)
    }

    #[test]
    fn nodes_agree_on_a_leader_of_one_term_or_not_at_all() {
        assert!(agree(&[node(1, 1, 3, 9), node(2, 1, 3, 8)]));
        assert!(!agree(&[node(1, 1, 3, 9), node(2, 1, 2, 8)]));
        assert!(!agree(&[node(1, 1, 3, 9), node(2, 2, 3, 8)]));
        let silent = NodeStatus::default();
        assert!(!agree(&[node(1, 1, 3, 9), silent.clone()]));
        assert!(!agree(&[silent.clone(), silent]));
        assert!(!agree(&[]));
        let idle = read(
            "a:3".into(),
            &json!({ "id": 3, "role": "unregistered", "epoch": 1, "leader": null }),
        );
        assert!(agree(&[node(1, 1, 3, 9), node(2, 1, 3, 8), idle.clone()]));
        assert!(!agree(&[idle]));
    }

    #[test]
    fn replicas_agree_where_all_know_the_same_value() {
        let replica = |id: u16, value: u64| {
            let page = json!({ "id": id, "role": "replica", "value": value, "own": 1 });
            read(format!("a:{id}"), &page)
        };
        assert!(agree(&[replica(1, 7), replica(2, 7)]));
        assert!(!agree(&[replica(1, 7), replica(2, 6)]));
        assert!(!agree(&[replica(1, 7), NodeStatus::default()]));
        assert_eq!(at_issue(&[replica(1, 7)]), "the value");
        assert_eq!(at_issue(&[node(1, 1, 3, 9)]), "a leader");
        assert_eq!(lag(&replica(2, 6), &[replica(1, 9)]), Some(3));
    }

    #[test]
    fn a_page_of_any_service_is_read() {
        let raft = node(2, 1, 3, 8);
        assert_eq!(
            (raft.term, raft.last, raft.slow_disk),
            (Some(3), Some(8), true)
        );
        assert_eq!(raft.hears, [NodeId(1), NodeId(2)]);
        let zab = read(
            "a:1".into(),
            &json!({ "epoch": 4, "position": 7, "leader": null }),
        );
        assert_eq!(
            (zab.term, zab.committed, zab.leader),
            (Some(4), Some(7), None)
        );
        assert_eq!(lag(&node(2, 1, 3, 8), &[node(1, 1, 3, 11), zab]), Some(3));
    }
}
