//! A cluster of counter nodes as processes of this machine: for the demo and for tests that kill.

use std::path::Path;

use crate::counter::config::{Config, Timing};
use crate::service::processes;
pub use crate::service::processes::ProcessError;

/// A cluster of processes.
pub type Processes = processes::Processes<Config>;

impl Processes {
    /// Starts `count` nodes of `executable` on free ports of the loopback interface, with
    /// their data in a temporary folder.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start(executable: &Path, count: u16, timing: Timing) -> Result<Self, ProcessError> {
        let config = Config {
            timing,
            ..Config::of("loopback", Vec::new())
        };
        Self::start_cluster(executable, &config, count)
    }
}
