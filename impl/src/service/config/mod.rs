//! `cluster.toml`: what stands in it whichever service it is of. Each service has a file of its own for
//! the rest.

mod addresses;
mod cluster_file;
mod node_list;

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use models::NodeId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::runtime::journal::Store;
use crate::service::address::Address;
use crate::service::nearest::nearest;
use crate::service::security::SecurityConfig;

pub use cluster_file::{ClusterFile, Section, Sections};

/// A service, as the file names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceKind {
    /// The key-value store, over Raft.
    #[default]
    Kv,
    /// The replicated file system, over ZAB with Bully.
    Files,
    /// Distributed locks, over Maekawa's algorithm.
    Locks,
    /// A counter that asks nobody: a G-Counter, over SWIM's membership.
    Counter,
    /// A list of live members, a shared dictionary and load balancing: heartbeats, over Raft. Its file is
    /// of another form.
    Heartbeat,
}

impl Display for ServiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kv => "kv",
            Self::Files => "files",
            Self::Locks => "locks",
            Self::Counter => "counter",
            Self::Heartbeat => "heartbeat",
        })
    }
}

/// The least that may be kept of a recording, in bytes.
const LEAST_RECORDING: u64 = 1 << 20;

/// What every service needs to know of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// The name of the cluster. Nodes of another name are refused.
    pub cluster: String,
    /// Whether the first node founds the cluster by itself when all nodes are there and on empty
    /// disks. Otherwise it waits for `lockstep init`.
    pub init_on_first_start: bool,
    /// The node that founds the cluster, where the service says which.
    pub appointed: Option<NodeId>,
    /// How the nodes know each other, and their clients.
    pub security: SecurityConfig,
    /// The nodes.
    pub nodes: Vec<NodeConfig>,
}

/// A service's configuration: the whole file.
pub trait ServiceConfig: DeserializeOwned {
    /// The service that it is of.
    const SERVICE: ServiceKind;

    /// What is not the service's own.
    fn cluster_config(&self) -> ClusterConfig;

    /// How many clients may be connected to a node, if the file says so.
    fn max_client_connections(&self) -> Option<usize>;

    /// How the nodes know each other, and their clients.
    fn security_mut(&mut self) -> &mut SecurityConfig;

    /// The nodes.
    fn nodes_mut(&mut self) -> &mut Vec<NodeConfig>;

    /// The configuration that a list of nodes stands for, with everything else as usual; nothing
    /// where the service has none.
    fn of_node_list(nodes: Vec<NodeConfig>) -> Option<Self> {
        let _ = nodes;
        None
    }

    /// Checks that the service's own values make sense together.
    ///
    /// # Errors
    /// With the first value that does not.
    fn check_service(&self) -> Result<(), Fault>;

    /// Checks that the values make sense together.
    ///
    /// # Errors
    /// With the first value that does not.
    fn check(&self) -> Result<(), Fault> {
        let cluster = self.cluster_config();
        cluster.check_name()?;
        cluster.check_data_centres(Self::SERVICE)?;
        cluster.security.check()?;
        self.check_service()?;
        if self.max_client_connections() == Some(0) {
            let remedy = "choose at least 1, such as 1000, or say nothing";
            return Err(fault("limits.max_client_connections", "it is 0", remedy));
        }
        cluster.check_nodes()
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read or is not right in every respect.
    fn load(file: &Path) -> Result<Self, ConfigError> {
        let named = service_of(file)?;
        if named != Self::SERVICE {
            let problem = format!("it is `{named}`, and this is asked of `{}`", Self::SERVICE);
            return Err(ConfigError::Faulty {
                file: file.to_owned(),
                fault: fault("service", problem, "name a file of that service"),
            });
        }
        let text = read(file)?;
        let listed = node_list::parse(&text).map_err(|fault| ConfigError::Faulty {
            file: file.to_owned(),
            fault,
        })?;
        let mut config = match listed.and_then(Self::of_node_list) {
            Some(config) => config,
            None => parse(file, &text)?,
        };
        config.check().map_err(|fault| ConfigError::Faulty {
            file: file.to_owned(),
            fault,
        })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        config.security_mut().relative_to(folder);
        for node in config.nodes_mut() {
            node.data_directory = folder.join(&node.data_directory);
            node.record = node.record.as_ref().map(|record| folder.join(record));
        }
        Ok(config)
    }
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Its number. Never to be given to another node.
    pub id: NodeId,
    /// Whether it is to be a member of the cluster. Not so for a node that is yet to be added, or
    /// has been removed.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub member: bool,
    /// The number of the data centre where it stands, in a counter's file: 0, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_centre: Option<u16>,
    /// `host:port` at which the other nodes reach it.
    pub peer_address: String,
    /// `host:port` at which clients, and nodes that forward their requests, reach it.
    pub client_address: String,
    /// `host:port` to listen on for the other nodes, where that is not `peer_address`:
    /// `0.0.0.0:7400` for all interfaces, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_listen: Option<String>,
    /// `host:port` to listen on for clients, where that is not `client_address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_listen: Option<String>,
    /// `host:port` to listen on for metrics: where the other nodes are listened for, with the next
    /// port, if nothing is said; port 0 for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_address: Option<String>,
    /// Where it keeps its journal. Relative to the folder of the configuration file.
    pub data_directory: PathBuf,
    /// How the journal is kept. A node whose journal is kept in another way moves it when it starts.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub journal: Store,
    /// Where it records what it does, if it does. Relative to the folder of the configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<PathBuf>,
    /// How much of the recording is kept, in bytes: the latest. 1 GiB, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_bytes: Option<u64>,
}

fn is_usual(store: &Store) -> bool {
    *store == Store::default()
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

/// What is wrong with a configuration. Nothing was started then.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{file}: cannot be read: {source}. Name an existing cluster file with --config")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is no TOML, or has fields that are missing, unknown or of another type.
    #[error("{file}: {message}")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What the parser said: the line, the field, what was expected.
        message: String,
    },
    /// It makes no sense.
    #[error("{file}: {fault}")]
    Faulty {
        /// The file.
        file: PathBuf,
        /// What makes no sense.
        fault: Fault,
    },
}

/// A value that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}; {remedy}")]
pub struct Fault {
    /// The field.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
}

impl ClusterConfig {
    /// The node that founds the cluster: the one that the service appoints, or the member with the
    /// lowest id.
    pub fn founder(&self) -> Option<NodeId> {
        let members = self.nodes.iter().filter(|node| node.member);
        self.appointed.or_else(|| members.map(|node| node.id).min())
    }

    /// The node `id`.
    ///
    /// # Errors
    /// When it is not in the file.
    pub fn node(&self, id: NodeId) -> Result<&NodeConfig, Fault> {
        node(&self.nodes, id)
    }

    fn check_name(&self) -> Result<(), Fault> {
        if self.cluster.is_empty() {
            let remedy = "give the cluster a name, such as \"blue\"";
            return Err(fault("cluster", "it is empty", remedy));
        }
        Ok(())
    }

    fn check_nodes(&self) -> Result<(), Fault> {
        if self.nodes.is_empty() {
            let remedy = "list each node under [[nodes]]";
            return Err(fault("nodes", "there is no node", remedy));
        }
        self.check_ids()?;
        self.check_addresses()?;
        self.check_directories()?;
        self.check_recordings()
    }

    fn check_ids(&self) -> Result<(), Fault> {
        let mut seen = BTreeMap::new();
        for (position, node) in self.nodes.iter().enumerate() {
            if let Some(first) = seen.insert(node.id, position) {
                return Err(fault(
                    format!("nodes[{position}].id"),
                    format!("{} is the id of nodes[{first}] already", node.id.0),
                    "give each node an id of its own",
                ));
            }
        }
        Ok(())
    }

    /// To the other services it is all the same where a node stands.
    fn check_data_centres(&self, service: ServiceKind) -> Result<(), Fault> {
        let said = |node: &NodeConfig| node.data_centre.is_some();
        match self.nodes.iter().position(said) {
            Some(position) if service != ServiceKind::Counter => Err(fault(
                format!("nodes[{position}].data_centre"),
                format!("it is said, and a cluster of {service} asks nobody nearer first"),
                "leave it out",
            )),
            _ => Ok(()),
        }
    }

    /// Several nodes may record to one folder.
    fn check_recordings(&self) -> Result<(), Fault> {
        for (position, node) in self.nodes.iter().enumerate() {
            let field = |name| format!("nodes[{position}].{name}");
            if let Some(bytes) = node.record_bytes.filter(|bytes| *bytes < LEAST_RECORDING) {
                let problem = format!("{bytes} bytes are soon full");
                let remedy = format!("choose at least {LEAST_RECORDING}, such as 1073741824");
                return Err(fault(field("record_bytes"), problem, remedy));
            }
            let Some(folder) = &node.record else { continue };
            if folder.as_os_str().is_empty() {
                let remedy = "name a folder, such as \"recordings\", or leave it out";
                return Err(fault(field("record"), "it is empty", remedy));
            }
            if self
                .nodes
                .iter()
                .any(|other| other.data_directory == *folder)
            {
                let problem = format!("`{}` is a data directory", folder.display());
                return Err(fault(field("record"), problem, "name another folder"));
            }
        }
        Ok(())
    }

    fn check_directories(&self) -> Result<(), Fault> {
        let mut seen = BTreeMap::new();
        for (position, node) in self.nodes.iter().enumerate() {
            let field = format!("nodes[{position}].data_directory");
            let directory = &node.data_directory;
            if directory.as_os_str().is_empty() {
                let remedy = "name a folder, such as \"data/1\"";
                return Err(fault(field, "it is empty", remedy));
            }
            if let Some(first) = seen.insert(directory.clone(), position) {
                return Err(fault(
                    field,
                    format!(
                        "`{}` is that of nodes[{first}] already",
                        directory.display()
                    ),
                    "give each node a folder of its own",
                ));
            }
        }
        Ok(())
    }
}

/// The node `id` of `nodes`.
///
/// # Errors
/// When it is not among them.
pub(crate) fn node(nodes: &[NodeConfig], id: NodeId) -> Result<&NodeConfig, Fault> {
    let found = nodes.iter().find(|node| node.id == id);
    found.ok_or_else(|| {
        let ids: Vec<String> = nodes.iter().map(|node| node.id.0.to_string()).collect();
        fault(
            "nodes",
            format!("there is no node with id {}", id.0),
            format!("the file has the ids {}", ids.join(", ")),
        )
    })
}

/// The service that a file is of.
///
/// # Errors
/// When it cannot be read, or names none.
pub fn service_of(file: &Path) -> Result<ServiceKind, ConfigError> {
    /// The rest is looked at once the service is known.
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        service: ServiceKind,
    }
    let text = read(file)?;
    if node_list::is_one(&text) {
        return Ok(ServiceKind::Files);
    }
    parse(file, &text).map(|named: Named| named.service)
}

pub(crate) fn read(file: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(file).map_err(|source| ConfigError::Unreadable {
        file: file.to_owned(),
        source,
    })
}

pub(crate) fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Malformed {
        file: file.to_owned(),
        message: in_words(&error),
    })
}

impl NodeConfig {
    /// A member that listens where others dial it, and everything else as usual.
    pub fn new(
        id: NodeId,
        peer_address: impl Into<String>,
        client_address: impl Into<String>,
        data_directory: impl Into<PathBuf>,
    ) -> Self {
        Self {
            id,
            member: true,
            data_centre: None,
            peer_address: peer_address.into(),
            client_address: client_address.into(),
            peer_listen: None,
            client_listen: None,
            metrics_address: None,
            data_directory: data_directory.into(),
            journal: Store::default(),
            record: None,
            record_bytes: None,
        }
    }

    /// Puts something between this node and the others, which know it at that address from now on. Returns
    /// where the node listens itself.
    ///
    /// # Errors
    /// When its address is no IP address.
    pub(crate) fn put_behind(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let own: SocketAddr = self.peer_address.parse().map_err(io::Error::other)?;
        self.peer_listen = Some(own.to_string());
        self.peer_address = address.to_string();
        Ok(own)
    }

    /// At this address for metrics.
    #[must_use]
    pub fn with_metrics(mut self, address: impl Into<String>) -> Self {
        self.metrics_address = Some(address.into());
        self
    }

    /// Where to listen for the other nodes.
    pub fn peer_listen(&self) -> &str {
        self.peer_listen.as_deref().unwrap_or(&self.peer_address)
    }

    /// Where to listen for clients.
    pub fn client_listen(&self) -> &str {
        let listen = self.client_listen.as_deref();
        listen.unwrap_or(&self.client_address)
    }

    /// Where to listen for metrics.
    pub fn metrics_address(&self) -> String {
        self.metrics_address.clone().unwrap_or_else(|| {
            let listen = self.peer_listen();
            match listen.parse::<Address>() {
                Ok(address) => address.next_port().to_string(),
                // Which `check` refuses.
                Err(_) => listen.to_owned(),
            }
        })
    }
}

pub(crate) fn fault(
    field: impl Into<String>,
    problem: impl Into<String>,
    remedy: impl Into<String>,
) -> Fault {
    Fault {
        field: field.into(),
        problem: problem.into(),
        remedy: remedy.into(),
    }
}

/// What the parser says. For a name that is not known, the nearest one that is.
fn in_words(error: &toml::de::Error) -> String {
    let text = error.to_string().trim_end().to_owned();
    match nearest_name(error.message()) {
        Some(name) => format!("{text}\ndid you mean `{name}`?"),
        None => text,
    }
}

/// Of the names that are known, the one most like the unknown one that `message` is about:
/// "unknown field `a`, expected one of `b`, `c`".
fn nearest_name(message: &str) -> Option<&str> {
    let names = message
        .strip_prefix("unknown field ")
        .or_else(|| message.strip_prefix("unknown variant "))?;
    let mut names = names.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    nearest(unknown, names)
}
