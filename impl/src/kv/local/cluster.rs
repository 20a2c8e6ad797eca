//! A key-value cluster as processes of this machine: for the demo and for tests that kill.

use std::path::Path;

use crate::kv::config::{Config, Limits, LogLimits, Timing};
use crate::service::config::ServiceKind;
use crate::service::processes;
pub use crate::service::processes::ProcessError;
use crate::service::security::SecurityConfig;

/// A cluster of processes.
pub type Processes = processes::Processes<Config>;

impl Processes {
    /// Starts `count` nodes of `executable` on free ports of the loopback interface, with
    /// their data in a temporary folder.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start(executable: &Path, count: u16, timing: Timing) -> Result<Self, ProcessError> {
        Self::start_with(executable, count, timing, LogLimits::default())
    }

    /// As [`Processes::start`], with these limits on the log.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start_with(
        executable: &Path,
        count: u16,
        timing: Timing,
        log: LogLimits,
    ) -> Result<Self, ProcessError> {
        Self::start_cluster(executable, &config(timing, log, true), count)
    }

    /// As [`Processes::start`], but nobody founds the cluster: the nodes wait for it.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start_blank(
        executable: &Path,
        count: u16,
        timing: Timing,
    ) -> Result<Self, ProcessError> {
        let config = config(timing, LogLimits::default(), false);
        Self::start_waiting(executable, &config, count)
    }
}

fn config(timing: Timing, log: LogLimits, init_on_first_start: bool) -> Config {
    Config {
        service: ServiceKind::Kv,
        security: SecurityConfig::plaintext(),
        cluster: "loopback".to_owned(),
        init_on_first_start,
        timing,
        limits: Limits::default(),
        log,
        nodes: Vec::new(),
    }
}
