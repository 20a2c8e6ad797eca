//! The cluster file of a service that has a section on timing, one on limits and one on its log.

use std::fmt::Debug;
use std::path::Path;

use models::NodeId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ClusterConfig, ConfigError, Fault, NodeConfig, ServiceConfig, ServiceKind};
use crate::service::security::SecurityConfig;

/// A section of the file. What is left out is as usual.
pub trait Section: Clone + Debug + PartialEq + Eq + Default + Serialize + DeserializeOwned {
    /// Checks that its values make sense together.
    ///
    /// # Errors
    /// With the first value that does not.
    fn check(&self) -> Result<(), Fault>;
}

/// What a service has in the file.
pub trait Sections: Clone + Debug + PartialEq + Eq {
    /// The service.
    const SERVICE: ServiceKind;
    /// How patient the nodes are.
    type Timing: Section;
    /// How much the nodes keep and bear.
    type Limits: Section;
    /// How the log is kept and sent.
    type Log: Section;

    /// How many clients may be connected to a node, if the file says so.
    fn max_client_connections(limits: &Self::Limits) -> Option<usize>;

    /// Checks what the service wants of its nodes.
    ///
    /// # Errors
    /// With the first that is not so.
    fn check_nodes(nodes: &[NodeConfig]) -> Result<(), Fault> {
        let _ = nodes;
        Ok(())
    }

    /// As [`ServiceConfig::of_node_list`].
    fn of_node_list(nodes: Vec<NodeConfig>) -> Option<ClusterFile<Self>> {
        let _ = nodes;
        None
    }
}

/// A cluster's configuration: the same file for all its nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
pub struct ClusterFile<S: Sections> {
    /// The service: this one.
    #[serde(default)]
    pub service: ServiceKind,
    /// The name of the cluster. Nodes of another name are refused.
    pub cluster: String,
    /// Whether the first node founds the cluster by itself when all nodes are there and on empty
    /// disks. Otherwise it waits for `lockstep init`.
    #[serde(default)]
    pub init_on_first_start: bool,
    /// How the nodes know each other, and their clients.
    #[serde(default)]
    pub security: SecurityConfig,
    /// How patient the nodes are.
    #[serde(default)]
    pub timing: S::Timing,
    /// How much the nodes keep and bear.
    #[serde(default)]
    pub limits: S::Limits,
    /// How the log is kept and sent.
    #[serde(default)]
    pub log: S::Log,
    /// The nodes.
    #[serde(default)]
    pub nodes: Vec<NodeConfig>,
}

impl<S: Sections> ClusterFile<S> {
    /// A cluster of these nodes, in the clear, and everything else as usual.
    pub fn of(cluster: impl Into<String>, nodes: Vec<NodeConfig>) -> Self {
        Self {
            service: S::SERVICE,
            security: SecurityConfig::plaintext(),
            cluster: cluster.into(),
            init_on_first_start: true,
            timing: S::Timing::default(),
            limits: S::Limits::default(),
            log: S::Log::default(),
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
        super::node(&self.nodes, id)
    }
}

impl<S: Sections> ServiceConfig for ClusterFile<S> {
    const SERVICE: ServiceKind = S::SERVICE;

    fn cluster_config(&self) -> ClusterConfig {
        ClusterConfig {
            cluster: self.cluster.clone(),
            init_on_first_start: self.init_on_first_start,
            security: self.security.clone(),
            nodes: self.nodes.clone(),
            appointed: None,
        }
    }

    fn max_client_connections(&self) -> Option<usize> {
        S::max_client_connections(&self.limits)
    }

    fn security_mut(&mut self) -> &mut SecurityConfig {
        &mut self.security
    }

    fn nodes_mut(&mut self) -> &mut Vec<NodeConfig> {
        &mut self.nodes
    }

    fn check_service(&self) -> Result<(), Fault> {
        self.timing.check()?;
        self.limits.check()?;
        S::check_nodes(&self.nodes)?;
        self.log.check()
    }

    fn of_node_list(nodes: Vec<NodeConfig>) -> Option<Self> {
        S::of_node_list(nodes)
    }
}
