//! What a member is told before it joins: the file that all members of a cluster have, and what is this
//! member's own.

mod check;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use models::NodeId;
use serde::{Deserialize, Serialize};

use crate::kv;
use crate::service::config::{ConfigError, ServiceKind, parse, read};
use crate::service::security::SecurityConfig;

/// More voters than this make each write slower and the cluster hardly safer.
pub const MAX_VOTERS: usize = 7;
/// A packet that passes this goes over TCP where nothing else is said: what an Ethernet frame holds,
/// less what IP, UDP and tunnels take.
const USUAL_MTU: usize = 1400;
/// A member's own packet must fit.
const LEAST_MTU: usize = 256;
/// No datagram is larger.
const MOST_MTU: usize = 65_507;

/// A cluster, as all its members are told of it: what stands in `heartbeat.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// The service: this one.
    #[serde(default = "this_service")]
    pub service: ServiceKind,
    /// The name of the cluster. Members of another name are not heard.
    pub name: String,
    /// The members that vote, by their ids. A majority of these, alive or not, elects a leader and commits
    /// a change; no other member counts. Fixed when the cluster is founded.
    pub voters: Vec<u16>,
    /// A packet with more bytes than this goes over TCP.
    #[serde(default = "usual_mtu")]
    pub mtu: usize,
    /// How members find each other.
    #[serde(default)]
    pub discovery: Discovery,
    /// How patient members are.
    #[serde(default)]
    pub timing: Timing,
    /// How members know each other, and their clients.
    #[serde(default)]
    pub security: SecurityConfig,
    /// Who is given work.
    #[serde(default)]
    pub balance: Balance,
}

/// How members find each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "method", rename_all = "snake_case")]
pub enum Discovery {
    /// By UDP broadcast on the local network.
    Broadcast {
        /// The port at which voters listen for it.
        #[serde(default = "usual_port")]
        port: u16,
        /// Where it is sent.
        #[serde(default = "everybody")]
        address: Ipv4Addr,
    },
    /// By UDP multicast, which routers may pass on.
    Multicast {
        /// The port at which voters listen for it.
        #[serde(default = "usual_port")]
        port: u16,
        /// The group.
        #[serde(default = "usual_group")]
        group: Ipv4Addr,
        /// The address of the interface to use; the system chooses, if nothing is said.
        #[serde(default = "any_interface")]
        interface: Ipv4Addr,
        /// Over so many routers.
        #[serde(default = "usual_hops")]
        hops: u32,
    },
    /// By a list of addresses of members. One that is up suffices.
    Static {
        /// The addresses, as `ip:port`.
        members: Vec<SocketAddr>,
    },
}

/// How patient members are, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// A member shows that it lives this often, and a leader that it leads.
    pub heartbeat_ms: u64,
    /// A member that the leader has not heard for so long is dropped from the list.
    pub dead_after_ms: u64,
    /// A voter that has heard of no leader for a while stands for election; how long that is, is drawn
    /// anew each time, from here
    pub election_min_ms: u64,
    /// up to here.
    pub election_max_ms: u64,
    /// `set`, `get` and `delete` return after this time at the latest.
    pub request_timeout_ms: u64,
    /// `join` gives up after this time; 0 for never.
    pub join_timeout_ms: u64,
}

/// Who is given work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Balance {
    /// A member whose load is at or above this is given no work. 1 is a machine that is fully used.
    pub load_limit: f64,
    /// Whether the leader is given work like the others.
    pub include_leader: bool,
}

/// One member: the cluster, and what is this member's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The cluster.
    pub cluster: ClusterConfig,
    /// The number of this member, which no other has.
    pub id: NodeId,
    /// Where it listens for other members, over UDP and TCP; port 0 for any.
    pub listen: SocketAddr,
    /// Where other members reach it, where that is not where it listens. Found out, if nothing is said.
    pub address: Option<SocketAddr>,
    /// Where this member's application takes work, if it does: told to all members.
    pub service_address: Option<SocketAddr>,
    /// Where it shows how it fares, over HTTP: metrics, whether it is ready, a page for people. Port 0 for
    /// any. It does not, if nothing is said. In the clear, and for whoever reaches it: for those who may look.
    pub metrics_address: Option<SocketAddr>,
    /// What it needs if it votes.
    pub voter: VoterConfig,
    /// The file with the token to show to voters that ask for one.
    pub token_file: Option<PathBuf>,
}

/// What a member needs if it votes. A port that is 0 is chosen by the system when the member is first
/// started, and stays the same from then on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoterConfig {
    /// Where it keeps what it must never forget: its vote and its log. Required of a voter.
    pub data_directory: Option<PathBuf>,
    /// The port for other voters.
    pub peer_port: u16,
    /// The port for the dictionary's clients.
    pub client_port: u16,
    /// `host:port` at which other voters reach it, where that is not [`Config::address`] and `peer_port`.
    pub peer_address: Option<String>,
}

fn this_service() -> ServiceKind {
    ServiceKind::Heartbeat
}

fn usual_mtu() -> usize {
    USUAL_MTU
}

fn usual_port() -> u16 {
    7700
}

fn everybody() -> Ipv4Addr {
    Ipv4Addr::BROADCAST
}

fn usual_group() -> Ipv4Addr {
    Ipv4Addr::new(239, 255, 77, 0)
}

fn any_interface() -> Ipv4Addr {
    Ipv4Addr::UNSPECIFIED
}

fn usual_hops() -> u32 {
    1
}

impl Default for Discovery {
    fn default() -> Self {
        Self::Broadcast {
            port: usual_port(),
            address: everybody(),
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_ms: 150,
            dead_after_ms: 2000,
            election_min_ms: 500,
            election_max_ms: 1000,
            request_timeout_ms: 5000,
            join_timeout_ms: 30_000,
        }
    }
}

impl Default for Balance {
    fn default() -> Self {
        Self {
            load_limit: 0.8,
            include_leader: false,
        }
    }
}

impl Timing {
    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    pub(crate) fn dead_after(&self) -> Duration {
        Duration::from_millis(self.dead_after_ms)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// Whoever has missed so much looks for another leader.
    pub(crate) fn leader_silence(&self) -> Duration {
        Duration::from_millis(4 * self.heartbeat_ms).min(self.dead_after())
    }

    pub(crate) fn join_timeout(&self) -> Option<Duration> {
        (self.join_timeout_ms > 0).then(|| Duration::from_millis(self.join_timeout_ms))
    }

    /// That of the voters' log.
    pub(crate) fn of_log(&self) -> kv::config::Timing {
        kv::config::Timing {
            heartbeat_ms: self.heartbeat_ms,
            election_min_ms: self.election_min_ms,
            election_max_ms: self.election_max_ms,
            request_timeout_ms: self.request_timeout_ms,
        }
    }
}

impl ClusterConfig {
    /// A cluster of this name with these voters, in the clear, found by broadcast, and everything else as
    /// usual.
    pub fn new(name: impl Into<String>, voters: impl IntoIterator<Item = u16>) -> Self {
        Self {
            service: ServiceKind::Heartbeat,
            name: name.into(),
            voters: voters.into_iter().collect(),
            discovery: Discovery::default(),
            timing: Timing::default(),
            security: SecurityConfig::plaintext(),
            balance: Balance::default(),
            mtu: USUAL_MTU,
        }
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read or is not right in every respect; with the nearest name for one that is
    /// misspelt.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = parse(file, &read(file)?)?;
        config.check().map_err(|fault| ConfigError::Faulty {
            file: file.to_owned(),
            fault,
        })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        config.security.relative_to(folder);
        Ok(config)
    }

    /// Whether this member votes.
    pub fn votes(&self, id: NodeId) -> bool {
        self.voters.contains(&id.0)
    }
}

impl Config {
    /// Member `id` of a cluster, which listens on any port of all interfaces.
    pub fn new(cluster: ClusterConfig, id: u16) -> Self {
        Self {
            cluster,
            id: NodeId(id),
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            address: None,
            service_address: None,
            metrics_address: None,
            voter: VoterConfig::default(),
            token_file: None,
        }
    }

    /// On this address, and no other: port 0 for any.
    #[must_use]
    pub fn on(mut self, listen: SocketAddr) -> Self {
        self.listen = listen;
        self
    }

    /// On the loopback interface alone: for members on one machine.
    #[must_use]
    pub fn on_loopback(self) -> Self {
        self.on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// With its vote and its log in this folder.
    #[must_use]
    pub fn with_data(mut self, directory: impl Into<PathBuf>) -> Self {
        self.voter.data_directory = Some(directory.into());
        self
    }

    /// With an application that takes work at this address.
    #[must_use]
    pub fn with_service(mut self, address: SocketAddr) -> Self {
        self.service_address = Some(address);
        self
    }

    /// With its pages at this address: port 0 for any.
    #[must_use]
    pub fn with_metrics(mut self, address: SocketAddr) -> Self {
        self.metrics_address = Some(address);
        self
    }

    /// Whether it votes.
    pub fn votes(&self) -> bool {
        self.cluster.votes(self.id)
    }
}

pub(crate) fn unusable(ip: IpAddr) -> bool {
    ip.is_unspecified() || ip.is_multicast()
}
