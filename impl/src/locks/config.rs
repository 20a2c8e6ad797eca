//! `cluster.toml` of a lock service: who is in the cluster, which of them is the orchestrator, and
//! how patient they are.

use std::path::Path;
use std::time::Duration;

use models::NodeId;
use models::maekawa::quorum::Construction;
use models::maekawa::{BadTimes, Maekawa, Times};
use serde::{Deserialize, Serialize};

use crate::service::config::{
    self, ClusterConfig, ConfigError, Fault, NodeConfig, ServiceConfig, ServiceKind, fault,
};
use crate::service::security::SecurityConfig;

/// A cluster's configuration: the same file for all its nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The service: this one.
    pub service: ServiceKind,
    /// The name of the cluster. Nodes of another name are refused.
    pub cluster: String,
    /// Whether the orchestrator founds the cluster by itself when all nodes are there and on empty
    /// disks. Otherwise it waits for `lockstep init`.
    #[serde(default)]
    pub init_on_first_start: bool,
    /// How the nodes know each other, and their clients.
    #[serde(default)]
    pub security: SecurityConfig,
    /// Who the orchestrator is, and how quorums are built.
    pub locks: LocksConfig,
    /// How patient the nodes are.
    #[serde(default)]
    pub timing: Timing,
    /// How much the nodes bear.
    #[serde(default)]
    pub limits: Limits,
    /// The nodes, the orchestrator among them.
    #[serde(default)]
    pub nodes: Vec<NodeConfig>,
}

/// Who the orchestrator is, and how quorums are built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocksConfig {
    /// The node that is the orchestrator. Fixed when the cluster is founded.
    pub orchestrator: NodeId,
    /// How quorums are built, from the next epoch on: the orchestrator tells the members.
    #[serde(default)]
    pub quorums: Quorums,
}

/// How patient the nodes are, and what they believe of clocks and of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// From one health check to the next, in milliseconds.
    pub health_check_ms: u64,
    /// A member that leaves so many in a row unanswered is taken for dead.
    pub misses: u8,
    /// A member that has not heard from the orchestrator for so long gives up what it holds, in
    /// milliseconds. Shorter than the orchestrator's patience.
    pub lease_ms: u64,
    /// How long a message takes at most, all queues and pauses of processes included, in
    /// milliseconds.
    pub max_message_delay_ms: u64,
    /// By how much a clock runs too fast or too slow at most, in millionths.
    pub max_clock_drift_ppm: u32,
    /// A node that waits for an answer asks again after this time, in milliseconds: something may
    /// have been lost.
    pub retry_ms: u64,
    /// Whoever holds a lock at a node that leaves has so long to release it, in milliseconds; then it
    /// is revoked. Until then nobody is granted any lock. At other nodes locks are held on.
    pub drain_ms: u64,
}

/// How quorums are built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quorums {
    /// Of a finite projective plane: about √n arbiters.
    #[default]
    Plane,
    /// Of a grid: about 2√n.
    Grid,
}

/// How much the nodes bear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// So many clients may be connected to a node: of more, one that has no request running
    /// makes room, or the last is answered 503. As many as the process's limit on open files
    /// allows where nothing is said, and at most 8192.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_client_connections: Option<usize>,
    /// So many sessions of clients may be open at a node.
    pub max_sessions: usize,
    /// So many claims may wait or hold at a node, of all its sessions.
    pub max_claims: usize,
    /// Of so many locks that nobody claims a node remembers what is over, so that what arrives late
    /// is known by it.
    pub max_idle_locks: usize,
}

impl Default for Timing {
    /// Patient enough for a busy machine of two cores.
    fn default() -> Self {
        Self {
            health_check_ms: 1000,
            misses: 4,
            lease_ms: 3000,
            max_message_delay_ms: 400,
            max_clock_drift_ppm: 1000,
            retry_ms: 500,
            drain_ms: 10_000,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_client_connections: None,
            max_sessions: 16_384,
            max_claims: 4096,
            max_idle_locks: 4096,
        }
    }
}

impl Quorums {
    fn construction(self) -> Construction {
        match self {
            Self::Plane => Construction::Plane,
            Self::Grid => Construction::Grid,
        }
    }
}

impl Timing {
    /// From one health check to the next.
    pub fn health_check(&self) -> Duration {
        Duration::from_millis(self.health_check_ms)
    }

    /// How long a member does without the orchestrator.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// After how long is asked again.
    pub fn retry(&self) -> Duration {
        Duration::from_millis(self.retry_ms)
    }

    /// How long an epoch that ends waits for those who hold locks at a node that leaves.
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    /// What it takes at least to lock all arbiters.
    pub fn round_trip(&self) -> Duration {
        2 * self.delay()
    }

    /// How long a message takes at most: an fsync that takes as long is slow, for what a step says
    /// waits for it.
    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.max_message_delay_ms)
    }

    fn times(&self) -> Times {
        Times {
            health_check: self.health_check(),
            lease: self.lease(),
            delay: self.delay(),
            drift: self.max_clock_drift_ppm,
        }
    }

    fn check(&self, maekawa: &Maekawa) -> Result<(), Fault> {
        if self.retry_ms == 0 {
            let problem = "it is 0: a node would do nothing but ask again";
            return Err(fault("timing.retry_ms", problem, "choose such as 500"));
        }
        if self.max_clock_drift_ppm >= 1_000_000 {
            let problem = format!(
                "a clock that is {} ppm wrong is none",
                self.max_clock_drift_ppm
            );
            let remedy = "choose less than 1000000, such as 1000";
            return Err(fault("timing.max_clock_drift_ppm", problem, remedy));
        }
        self.times().check(maekawa).map_err(|bad| {
            let (field, remedy) = match bad {
                BadTimes::TooFewMisses => ("timing.misses", "choose at least 2, such as 4".into()),
                BadTimes::HealthCheckTooShort { shortest } => (
                    "timing.health_check_ms",
                    format!(
                        "choose at least {}, or a lower max_message_delay_ms if the network is so fast",
                        up(shortest)
                    ),
                ),
                BadTimes::LeaseTooLong { longest } => (
                    "timing.lease_ms",
                    format!(
                        "choose at most {}, or more misses, or a longer health_check_ms",
                        longest.as_millis()
                    ),
                ),
                BadTimes::LeaseTooShort { shortest } => (
                    "timing.lease_ms",
                    format!(
                        "choose at least {}; where that is too long, allow more misses, or a lower \
                         max_message_delay_ms if the network is so fast",
                        up(shortest)
                    ),
                ),
            };
            fault(field, bad.to_string(), remedy)
        })
    }
}

/// In whole milliseconds, and no less.
fn up(duration: Duration) -> u128 {
    duration.as_nanos().div_ceil(1_000_000)
}

impl Config {
    /// A cluster of these nodes, in the clear, and everything else as usual.
    pub fn of(cluster: impl Into<String>, orchestrator: NodeId, nodes: Vec<NodeConfig>) -> Self {
        Self {
            service: ServiceKind::Locks,
            security: SecurityConfig::plaintext(),
            cluster: cluster.into(),
            init_on_first_start: true,
            locks: LocksConfig {
                orchestrator,
                quorums: Quorums::default(),
            },
            timing: Timing::default(),
            limits: Limits::default(),
            nodes,
        }
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read or is not right in every respect.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        ServiceConfig::load(file)
    }

    /// The node `id`.
    ///
    /// # Errors
    /// When it is not in the file.
    pub fn node(&self, id: NodeId) -> Result<&NodeConfig, Fault> {
        config::node(&self.nodes, id)
    }

    /// The protocol of node `id`.
    pub fn maekawa(&self, id: NodeId) -> Maekawa {
        let mut maekawa = Maekawa::new(id, self.locks.orchestrator);
        maekawa.construction = self.locks.quorums.construction();
        maekawa.misses = self.timing.misses;
        maekawa.max_claims = self.limits.max_claims;
        maekawa.max_idle_locks = self.limits.max_idle_locks;
        maekawa
    }
}

impl ServiceConfig for Config {
    const SERVICE: ServiceKind = ServiceKind::Locks;

    fn cluster_config(&self) -> ClusterConfig {
        ClusterConfig {
            cluster: self.cluster.clone(),
            init_on_first_start: self.init_on_first_start,
            appointed: Some(self.locks.orchestrator),
            security: self.security.clone(),
            nodes: self.nodes.clone(),
        }
    }

    fn max_client_connections(&self) -> Option<usize> {
        self.limits.max_client_connections
    }

    fn security_mut(&mut self) -> &mut SecurityConfig {
        &mut self.security
    }

    fn nodes_mut(&mut self) -> &mut Vec<NodeConfig> {
        &mut self.nodes
    }

    fn check_service(&self) -> Result<(), Fault> {
        let orchestrator = self.locks.orchestrator;
        let position = self.nodes.iter().position(|node| node.id == orchestrator);
        let Some(position) = position else {
            let problem = format!("there is no node with id {}", orchestrator.0);
            let remedy = "name a node of the file, which has no locks itself";
            return Err(fault("locks.orchestrator", problem, remedy));
        };
        if !self.nodes[position].member {
            return Err(fault(
                format!("nodes[{position}].member"),
                "it is false, and this is the orchestrator",
                "leave it out: the orchestrator founds the cluster",
            ));
        }
        for (field, value) in [
            (
                "limits.max_client_connections",
                self.limits.max_client_connections,
            ),
            ("limits.max_sessions", Some(self.limits.max_sessions)),
            ("limits.max_claims", Some(self.limits.max_claims)),
            ("limits.max_idle_locks", Some(self.limits.max_idle_locks)),
        ] {
            if value == Some(0) {
                let remedy = "choose at least 1, such as 1000, or say nothing";
                return Err(fault(field, "it is 0", remedy));
            }
        }
        self.timing.check(&self.maekawa(orchestrator))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Timing)) -> String {
        let mut timing = Timing::default();
        change(&mut timing);
        let mut maekawa = Maekawa::new(NodeId(0), NodeId(0));
        maekawa.misses = timing.misses;
        timing.check(&maekawa).expect_err("refused").to_string()
    }

    #[test]
    fn durations_with_which_two_could_hold_a_lock_are_refused_with_what_would_be_right() {
        assert_eq!(
            Timing::default().check(&Config::of("x", NodeId(0), vec![]).maekawa(NodeId(0))),
            Ok(())
        );
        for (said, change) in [
            (
                "timing.lease_ms: the lease is so long",
                (|timing| timing.lease_ms = 3600) as fn(&mut Timing),
            ),
            ("timing.lease_ms: the lease is so short", |timing| {
                timing.lease_ms = 1000;
            }),
            ("timing.health_check_ms: the next health check", |timing| {
                timing.health_check_ms = 700;
            }),
            ("timing.misses: a node that misses one", |timing| {
                timing.misses = 1;
            }),
            ("timing.retry_ms: it is 0", |timing| timing.retry_ms = 0),
            ("timing.max_clock_drift_ppm: a clock", |timing| {
                timing.max_clock_drift_ppm = 1_000_000;
            }),
        ] {
            let words = refused(change);
            assert!(words.starts_with(said), "{said}: {words}");
        }
        let words = refused(|timing| timing.lease_ms = 3600);
        assert!(words.contains("choose at most 3592"), "{words}");
    }
}
