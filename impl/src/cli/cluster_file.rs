//! The cluster file, whichever service it is of.

use std::path::Path;

use lockstep::service::config::{
    ClusterConfig, ConfigError, Fault, ServiceConfig, ServiceKind, service_of,
};
use lockstep::{counter, files, kv, locks};

/// Reads and checks a file, and returns what every service has in it.
pub(super) fn load_cluster(file: &Path) -> Result<ClusterConfig, ConfigError> {
    Ok(match service_of(file)? {
        ServiceKind::Kv => kv::Config::load(file)?.cluster_config(),
        ServiceKind::Files => files::Config::load(file)?.cluster_config(),
        ServiceKind::Locks => locks::Config::load(file)?.cluster_config(),
        ServiceKind::Counter => counter::Config::load(file)?.cluster_config(),
        ServiceKind::Heartbeat => {
            return Err(ConfigError::Faulty {
                file: file.to_owned(),
                fault: Fault {
                    field: "service".to_owned(),
                    problem: "it is `heartbeat`, whose file does not say where the members are"
                        .to_owned(),
                    remedy: "ask members with `lockstep heartbeat`, which finds them".to_owned(),
                },
            });
        }
    })
}
