//! How the nodes of every service talk to their peers.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::runtime::identity::Identity;
use crate::runtime::transport::tcp::{Security, TcpConfig};
use crate::service::config::ClusterConfig;

/// Bounds on how often a node shows an idle peer that it lives.
const FASTEST_KEEP_ALIVE: Duration = Duration::from_millis(250);
const SLOWEST_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The connections of the node that `identity` names, whose protocol is patient for so long: a peer that
/// gives no sign of life for four times that is taken for gone. Long enough for a busy machine, and
/// short enough that a node which is back at another address is found in seconds.
pub(crate) fn peer_config(
    cluster: &ClusterConfig,
    identity: Identity,
    security: Security,
    patience: Duration,
) -> TcpConfig {
    let own = cluster.node(identity.node).ok();
    let address = own.map(|node| node.peer_address.clone());
    let keep_alive = patience.clamp(FASTEST_KEEP_ALIVE, SLOWEST_KEEP_ALIVE);
    TcpConfig {
        keep_alive,
        dead_after: 4 * keep_alive,
        accepts_at_once: false,
        security,
        address,
        ..TcpConfig::new(identity, BTreeMap::new())
    }
}
