//! Whom a command talks to.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use lockstep::runtime::tls::client_of;
use lockstep::service::config::{ClusterConfig, ConfigError, ServiceConfig};
use lockstep::service::http_client::Access;

use super::cluster_file::load_cluster;

/// The environment variable with the token to show.
const TOKEN_VARIABLE: &str = "LOCKSTEP_TOKEN";

/// The nodes that a command asks, and for how long.
#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// A node's client address, host:port, with an IPv6 address in brackets; may be repeated
    #[arg(long, value_name = "ADDRESS", global = true)]
    node: Vec<String>,
    /// A cluster file: all its nodes are tried
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The certificate of the cluster's authority, as PEM: the nodes are asked in TLS. That of the
    /// cluster file, if nothing is said
    #[arg(long, value_name = "FILE", global = true)]
    ca: Option<PathBuf>,
    /// A file that holds the token to show, and nothing else; the environment variable
    /// LOCKSTEP_TOKEN, if nothing is said
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, global = true,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

impl TargetArgs {
    /// What stands in the cluster file of any service, if one is named.
    pub(super) fn cluster(&self) -> Result<Option<ClusterConfig>, ConfigError> {
        self.config.as_deref().map(load_cluster).transpose()
    }

    /// The client addresses of the nodes, of whichever service.
    pub(super) fn nodes(&self) -> Result<Vec<String>, ConfigError> {
        Ok(self.with(self.cluster()?))
    }

    /// The client addresses of the nodes, which must be of this service.
    pub(super) fn nodes_of<C: ServiceConfig>(&self) -> Result<Vec<String>, ConfigError> {
        let config = self.config_of::<C>()?;
        Ok(self.with(config.map(|config| config.cluster_config())))
    }

    /// The cluster file, which must be of this service, if one is named.
    pub(super) fn config_of<C: ServiceConfig>(&self) -> Result<Option<C>, ConfigError> {
        self.config.as_deref().map(C::load).transpose()
    }

    /// The nodes that are named one by one.
    pub(super) fn named(&self) -> Vec<String> {
        self.node.clone()
    }

    fn with(&self, cluster: Option<ClusterConfig>) -> Vec<String> {
        let listed = cluster.into_iter().flat_map(|cluster| cluster.nodes);
        let listed = listed.map(|node| node.client_address);
        self.node.iter().cloned().chain(listed).collect()
    }

    /// How to speak to them.
    pub(super) fn access(&self) -> anyhow::Result<Access> {
        let in_file = self.cluster()?.and_then(|cluster| cluster.security.ca);
        access(
            self.ca.clone().or(in_file).as_deref(),
            self.token_file.as_deref(),
        )
    }

    /// When to give up.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// How to speak to nodes whose authority is `ca`, showing the token in `token_file`, or in the
/// environment.
pub(super) fn access(ca: Option<&Path>, token_file: Option<&Path>) -> anyhow::Result<Access> {
    let mut access = Access::plaintext();
    if let Some(ca) = ca {
        let tls = client_of(ca).map_err(|error| anyhow!("{error}").context("nothing was sent"))?;
        access = access.with_tls(tls);
    }
    let token = match token_file {
        Some(file) => {
            let text = fs::read_to_string(file);
            let text = text.with_context(|| format!("--token-file {}", file.display()))?;
            Some(text.trim().to_owned())
        }
        None => std::env::var(TOKEN_VARIABLE).ok(),
    };
    match token {
        Some(token) => access.with_token(&token).map_err(|words| anyhow!(words)),
        None => Ok(access),
    }
}
