//! Members on the loopback interface.

use std::time::Duration;

use lockstep::heartbeat::local::cluster::LocalCluster;
use lockstep::heartbeat::{ClusterConfig, Member, MemberList, NodeId, Timing};

/// Whatever is to happen has this long, however busy the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Impatient, and patient enough for a busy machine.
pub(crate) fn timing() -> Timing {
    Timing {
        heartbeat_ms: 100,
        dead_after_ms: 1000,
        election_min_ms: 400,
        election_max_ms: 800,
        request_timeout_ms: 3000,
        join_timeout_ms: 30_000,
    }
}

/// A cluster with these voters.
pub(crate) fn cluster(voters: u16) -> ClusterConfig {
    ClusterConfig {
        timing: timing(),
        ..ClusterConfig::new("blue", 1..=voters)
    }
}

/// The same, running.
pub(crate) async fn started(voters: u16) -> LocalCluster {
    LocalCluster::start(cluster(voters)).await.expect("starts")
}

/// Waits until the member's list is so, and returns it.
pub(crate) async fn until(
    member: &Member,
    what: &str,
    is_so: impl FnMut(&MemberList) -> bool,
) -> MemberList {
    let waiting = member.wait_for(is_so);
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(list) => list,
        Err(_) => panic!("{what}: member {} has {:?}", member.id(), member.members()),
    }
}

/// Waits until exactly these members are in the member's list, and it is current.
pub(crate) async fn until_ids(member: &Member, ids: &[u16]) {
    let ids: Vec<NodeId> = ids.iter().copied().map(NodeId).collect();
    let what = format!("the list is {ids:?}");
    until(member, &what, |list| list.is_current && list.ids() == ids).await;
}
