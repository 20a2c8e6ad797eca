//! A cluster of lock nodes as processes of this machine: for the demo and for tests that kill.

use std::path::Path;

use models::NodeId;

use crate::locks::config::{Config, Timing};
use crate::service::processes;
pub use crate::service::processes::ProcessError;

/// The orchestrator; the members have the numbers from 1.
pub const ORCHESTRATOR: NodeId = NodeId(0);

/// A cluster of processes.
pub type Processes = processes::Processes<Config>;

impl Processes {
    /// Starts an orchestrator and so many members of `executable` on free ports of the loopback
    /// interface, with their data in a temporary folder.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start(executable: &Path, members: u16, timing: Timing) -> Result<Self, ProcessError> {
        let config = Config {
            timing,
            ..Config::of("loopback", ORCHESTRATOR, Vec::new())
        };
        Self::start_nodes(executable, &config, 0..=members)
    }
}
