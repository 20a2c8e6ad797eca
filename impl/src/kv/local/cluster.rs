//! A key-value cluster as processes of this machine: for the demo and for tests that kill.

use std::path::Path;
use std::time::Duration;

use models::Protocol;
use tokio::sync::mpsc;

use crate::kv::KvRaft;
use crate::kv::config::{Config, Limits, LogLimits, Timing};
use crate::service::config::ServiceKind;
use crate::service::processes;
pub use crate::service::processes::ProcessError;
use crate::service::security::SecurityConfig;
use crate::service::slow_network::{Sent, SlowNetwork};

/// What the nodes send each other.
pub type KvMessage = <KvRaft as Protocol>::Message;

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

    /// As [`Processes::start`], with a network between the nodes on which each message takes `delay`, and is
    /// told to `sent` when it is sent. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start_on_slow_network(
        executable: &Path,
        count: u16,
        delay: Duration,
        sent: &mpsc::UnboundedSender<Sent<KvMessage>>,
    ) -> Result<(Self, SlowNetwork<KvMessage>), ProcessError> {
        let config = config(slow_timing(delay), LogLimits::default(), true);
        Self::start_on_network(executable, &config, count, |nodes| {
            SlowNetwork::before(nodes, delay, sent)
        })
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

/// For messages that take `delay`: a heartbeat is answered before the next is sent, and an election, which
/// takes two round trips and the first heartbeat, is over before another node's patience ends.
fn slow_timing(delay: Duration) -> Timing {
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    let usual = Timing::default();
    let election_min_ms = delay_ms.saturating_mul(6).max(usual.election_min_ms);
    let election_max_ms = election_min_ms.saturating_mul(2);
    Timing {
        heartbeat_ms: delay_ms.saturating_mul(2).max(usual.heartbeat_ms),
        election_min_ms,
        election_max_ms,
        request_timeout_ms: election_max_ms
            .saturating_mul(2)
            .max(usual.request_timeout_ms),
    }
}
