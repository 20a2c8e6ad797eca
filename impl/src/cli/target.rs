//! Whom a command talks to.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use lockstep::kv::Config;
use lockstep::service::config::{ConfigError, ServiceConfig};

/// The nodes that a command asks, and for how long.
#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// A node's client address, host:port, with an IPv6 address in brackets; may be repeated
    #[arg(long, value_name = "ADDRESS", global = true)]
    node: Vec<String>,
    /// A cluster file: all its nodes are tried
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, global = true,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

impl TargetArgs {
    /// The cluster file, if one is named.
    pub(super) fn config(&self) -> Result<Option<Config>, ConfigError> {
        self.config.as_deref().map(Config::load).transpose()
    }

    /// The client addresses of the nodes.
    pub(super) fn nodes(&self) -> Result<Vec<String>, ConfigError> {
        self.nodes_of::<Config>()
    }

    /// The same, of a cluster of another service.
    pub(super) fn nodes_of<C: ServiceConfig>(&self) -> Result<Vec<String>, ConfigError> {
        let mut nodes = self.node.clone();
        if let Some(file) = &self.config {
            let listed = C::load(file)?.cluster_config().nodes.into_iter();
            nodes.extend(listed.map(|node| node.client_address));
        }
        Ok(nodes)
    }

    /// When to give up.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}
