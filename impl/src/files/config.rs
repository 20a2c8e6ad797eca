//! `cluster.toml` of a file service: who is in the cluster, where they are, and how patient they are.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::store::command::MAX_CONTENT_BYTES;
use crate::service::config::{
    ClusterFile, Fault, NodeConfig, Section, Sections, ServiceKind, fault,
};

/// The cluster's name where a list of nodes has none.
const DEFAULT_NAME: &str = "files";

/// A cluster's configuration: the same file for all its nodes.
pub type Config = ClusterFile<FilesSections>;

/// What the file service has in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilesSections {}

impl Sections for FilesSections {
    const SERVICE: ServiceKind = ServiceKind::Files;
    type Timing = Timing;
    type Limits = Limits;
    type Log = LogLimits;

    fn max_client_connections(limits: &Limits) -> Option<usize> {
        limits.max_client_connections
    }

    fn check_nodes(nodes: &[NodeConfig]) -> Result<(), Fault> {
        let Some(position) = nodes.iter().position(|node| !node.member) else {
            return Ok(());
        };
        Err(fault(
            format!("nodes[{position}].member"),
            "it is false, and the members of this service are fixed",
            "leave the node out of the file, or make it a member before the cluster is founded",
        ))
    }

    fn of_node_list(nodes: Vec<NodeConfig>) -> Option<Config> {
        Some(Config::of(DEFAULT_NAME, nodes))
    }
}

/// How patient the nodes are: in ticks, as ZooKeeper's `initLimit` and `syncLimit` are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// A tick, in milliseconds.
    pub tick_ms: u64,
    /// A leader shows that it lives this often.
    pub ping_ticks: u64,
    /// A follower does without a word from its leader, and a leader without a quorum, for so long.
    pub sync_ticks: u64,
    /// Finding an epoch and taking over the leader's history may take so long: as long as it takes to
    /// send all files, if it comes to that.
    pub init_ticks: u64,
    /// Bully: whoever is up has answered a candidate within this time.
    pub okay_ticks: u64,
    /// Bully: whoever is higher has won, or failed, within this time.
    pub coordinator_ticks: u64,
    /// A client's request is answered after this time at the latest, in milliseconds.
    pub request_timeout_ms: u64,
}

/// How much the nodes bear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// So many clients may be connected to a node: of more, one that has no request running
    /// makes room, or the last is answered 503. As many as the process's limit on open files
    /// allows where nothing is said, and at most 8192.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_client_connections: Option<usize>,
}

/// How much history is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogLimits {
    /// A node applies the transactions since its last snapshot to that once more, whenever there are so
    /// many, and forgets them. Meanwhile it does nothing else: the fewer, the shorter; how many files
    /// there are does not matter.
    pub snapshot_every: usize,
    /// So many of those are kept: a follower that lacks no more gets a DIFF, and no SNAP.
    pub retained: usize,
    /// A message of a DIFF takes transactions until they have so many bytes.
    pub diff_bytes: usize,
}

impl Default for Timing {
    /// Patient enough for a busy machine of two cores.
    fn default() -> Self {
        Self {
            tick_ms: 100,
            ping_ticks: 2,
            sync_ticks: 12,
            init_ticks: 100,
            okay_ticks: 4,
            coordinator_ticks: 12,
            request_timeout_ms: 10_000,
        }
    }
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            snapshot_every: 256,
            retained: 1024,
            diff_bytes: MAX_CONTENT_BYTES,
        }
    }
}

impl Timing {
    /// So many ticks.
    pub fn ticks(&self, count: u64) -> Duration {
        Duration::from_millis(self.tick_ms.saturating_mul(count))
    }

    /// How long a client's request may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// An fsync that takes so long is slow: a follower that waits for two of them may be given up.
    pub fn slow_flush(&self) -> Duration {
        self.ticks(self.sync_ticks) / 2
    }

    /// How long a request waits for a leader before it is sent away, as long as nobody may have
    /// taken it: time to notice that a leader is gone, and to find the next.
    pub fn leader_patience(&self) -> Duration {
        let election = self.sync_ticks + self.okay_ticks + 2 * self.coordinator_ticks;
        self.ticks(election).min(self.request_timeout())
    }
}

impl Section for Timing {
    fn check(&self) -> Result<(), Fault> {
        let at_least = |field: &str, value: u64, least: u64, why: &str| {
            if value >= least {
                return Ok(());
            }
            let field = format!("timing.{field}");
            let problem = format!("{value} is too little: {why}");
            Err(fault(field, problem, format!("choose at least {least}")))
        };
        at_least("tick_ms", self.tick_ms, 1, "time would stand still")?;
        at_least(
            "ping_ticks",
            self.ping_ticks,
            1,
            "a leader would do nothing but ping",
        )?;
        at_least(
            "sync_ticks",
            self.sync_ticks,
            self.ping_ticks.saturating_mul(3),
            "it must be three times ping_ticks, so that two pings may be lost or late before a \
             living leader is given up",
        )?;
        at_least(
            "init_ticks",
            self.init_ticks,
            self.sync_ticks,
            "it must be no less than sync_ticks: to take over a history takes longer than to ping",
        )?;
        at_least(
            "okay_ticks",
            self.okay_ticks,
            1,
            "nobody could answer a candidate in time",
        )?;
        at_least(
            "coordinator_ticks",
            self.coordinator_ticks,
            self.okay_ticks.saturating_mul(2),
            "it must be twice okay_ticks: a higher node waits that long itself before it has won",
        )?;
        let election = self.sync_ticks.saturating_add(self.coordinator_ticks);
        at_least(
            "request_timeout_ms",
            self.request_timeout_ms,
            self.tick_ms.saturating_mul(election),
            "it gives an election no time",
        )
    }
}

/// [`ServiceConfig::check`](crate::service::config::ServiceConfig::check) sees to the only one.
impl Section for Limits {
    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }
}

impl Section for LogLimits {
    fn check(&self) -> Result<(), Fault> {
        if self.snapshot_every == 0 {
            let problem = "it is 0: every transaction would write all files anew";
            return Err(fault(
                "log.snapshot_every",
                problem,
                "choose at least 1, such as 4096",
            ));
        }
        if self.diff_bytes == 0 || self.diff_bytes > 16 * MAX_CONTENT_BYTES {
            let problem = format!("{} is no size for a message", self.diff_bytes);
            let remedy = "choose at least 1 and at most 16777216, such as 1048576";
            return Err(fault("log.diff_bytes", problem, remedy));
        }
        Ok(())
    }
}
