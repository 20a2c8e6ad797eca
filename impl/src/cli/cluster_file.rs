//! The cluster file, whichever service it is of.

use std::path::Path;

use lockstep::service::config::{
    ClusterConfig, ConfigError, ServiceConfig, ServiceKind, service_of,
};
use lockstep::{files, kv, locks};

/// Reads and checks a file, and returns what every service has in it.
pub(super) fn load_cluster(file: &Path) -> Result<ClusterConfig, ConfigError> {
    Ok(match service_of(file)? {
        ServiceKind::Kv => kv::Config::load(file)?.cluster_config(),
        ServiceKind::Files => files::Config::load(file)?.cluster_config(),
        ServiceKind::Locks => locks::Config::load(file)?.cluster_config(),
    })
}
