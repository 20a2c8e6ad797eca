//! `cluster.toml`: who is in the cluster, where they are, and how patient they are.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::kv::server::node::PEER_QUEUE;
use crate::runtime::transport::tcp::MAX_MESSAGE_BYTES;
use crate::service::config::{ClusterFile, Fault, Section, Sections, ServiceKind, fault};

/// What a message has beside a chunk of a snapshot takes less than 1 KiB.
const MAX_CHUNK_BYTES: usize = MAX_MESSAGE_BYTES - 1024;

/// A cluster's configuration: the same file for all its nodes.
pub type Config = ClusterFile<KvSections>;

/// What the store has in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KvSections {}

impl Sections for KvSections {
    const SERVICE: ServiceKind = ServiceKind::Kv;
    type Timing = Timing;
    type Limits = Limits;
    type Log = LogLimits;

    fn max_client_connections(limits: &Limits) -> Option<usize> {
        limits.max_client_connections
    }
}

/// How patient the nodes are, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// A leader shows that it lives this often.
    pub heartbeat_ms: u64,
    /// A node that has heard of no leader for a while stands for election; how long that is,
    /// is drawn anew each time, from here
    pub election_min_ms: u64,
    /// up to here.
    pub election_max_ms: u64,
    /// A client's request is answered after this time at the latest.
    pub request_timeout_ms: u64,
}

/// How much the nodes keep and bear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// So many sessions are remembered, about 100 bytes each: of more, the least recently used
    /// expire. Must be well above the number of clients that write within a retry's time.
    pub max_sessions: usize,
    /// So many reads wait at a node for the leader to be confirmed: of more, the last are
    /// answered 503.
    pub max_pending_reads: usize,
    /// So many revisions of the store can be read and watched, and up to twice as many: those before are
    /// compacted. 0 for any number.
    pub history_revisions: u64,
    /// And no more than so many bytes of versions that were replaced, counted with their keys and 256
    /// bytes each, and up to twice as many. 0 for any number.
    pub history_bytes: usize,
    /// So many clients may be connected to a node: of more, one that has no request running
    /// makes room, or the last is answered 503. As many as the process's limit on open files
    /// allows where nothing is said, and at most 8192.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_client_connections: Option<usize>,
}

/// How the log is compacted and sent. Entries are counted with their keys, their values and
/// [`ENTRY_OVERHEAD`](super::machine::ENTRY_OVERHEAD) bytes each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogLimits {
    /// A node applies entries to its last snapshot, and discards the log before it, whenever entries
    /// of so many bytes have been applied to its store since. Meanwhile it does nothing else: the
    /// fewer, the shorter; how large the store is does not matter. 0 for never.
    pub snapshot_after_bytes: usize,
    /// The last entries of so many bytes stay in the log when the rest is discarded: a node that
    /// is behind by less needs no snapshot.
    pub trailing_bytes: usize,
    /// A snapshot is sent in chunks of so many bytes.
    pub chunk_bytes: usize,
    /// So many messages with entries may be under way to a node that has not acknowledged them.
    pub appends_in_flight: usize,
}

impl Default for Timing {
    /// Patient enough for a busy machine of two cores.
    fn default() -> Self {
        Self {
            heartbeat_ms: 50,
            election_min_ms: 300,
            election_max_ms: 600,
            request_timeout_ms: 5000,
        }
    }
}

/// How much of the store's history is kept; up to twice as much, so that it is not compacted with each
/// change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeptHistory {
    /// So many revisions before the latest, if there is a limit.
    pub(crate) revisions: Option<u64>,
    /// So many bytes of versions that were replaced, if there is a limit.
    pub(crate) bytes: Option<usize>,
}

impl Limits {
    pub(crate) fn kept_history(&self) -> KeptHistory {
        KeptHistory {
            revisions: (self.history_revisions > 0).then_some(self.history_revisions),
            bytes: (self.history_bytes > 0).then_some(self.history_bytes),
        }
    }
}

impl Default for Limits {
    /// Some megabytes.
    fn default() -> Self {
        Self {
            max_sessions: 1 << 16,
            max_pending_reads: 1 << 14,
            history_revisions: 10_000,
            history_bytes: 256 << 20,
            max_client_connections: None,
        }
    }
}

impl Default for LogLimits {
    /// A log of a few megabytes; snapshots and chunks that delay no heartbeat for long.
    fn default() -> Self {
        Self {
            snapshot_after_bytes: 64 << 10,
            trailing_bytes: 4 << 20,
            chunk_bytes: 1 << 20,
            appends_in_flight: 16,
        }
    }
}

impl Timing {
    /// How long a client's request may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// An fsync that takes so long is slow: an election waits for two of them, the candidate's and
    /// its voters', and others may stand meanwhile.
    pub fn slow_flush(&self) -> Duration {
        Duration::from_millis(self.election_min_ms / 2)
    }

    /// A node whose disk has kept a record waiting for so long falls silent. A record waits for two
    /// fsyncs at most, so a leader whose fsyncs take less than the election time-out never does.
    pub fn early_patience(&self) -> Duration {
        Duration::from_millis(2 * self.election_min_ms)
    }

    /// How long a request waits for a leader before it is sent away: time for two elections. Well before its
    /// deadline, at which nobody could tell any more whether it was done.
    pub fn leader_patience(&self) -> Duration {
        Duration::from_millis(2 * self.election_max_ms).min(self.request_timeout() * 3 / 4)
    }
}

impl Section for LogLimits {
    fn check(&self) -> Result<(), Fault> {
        let chunk = self.chunk_bytes;
        if chunk == 0 || chunk > MAX_CHUNK_BYTES {
            return Err(fault(
                "log.chunk_bytes",
                match chunk {
                    0 => "it is 0: a snapshot would never arrive".to_owned(),
                    _ => format!(
                        "{chunk} does not fit in a message, which has at most {MAX_MESSAGE_BYTES} bytes"
                    ),
                },
                format!("choose at least 1 and at most {MAX_CHUNK_BYTES}, such as 1048576"),
            ));
        }
        let appends = self.appends_in_flight;
        if appends == 0 || appends > PEER_QUEUE / 2 {
            return Err(fault(
                "log.appends_in_flight",
                match appends {
                    0 => "it is 0: nothing would be replicated".to_owned(),
                    _ => format!("{appends} would crowd out heartbeats and votes"),
                },
                format!(
                    "choose at least 1 and at most {}, such as 16",
                    PEER_QUEUE / 2
                ),
            ));
        }
        Ok(())
    }
}

impl Section for Timing {
    fn check(&self) -> Result<(), Fault> {
        let heartbeat = self.heartbeat_ms;
        if heartbeat == 0 {
            let remedy = "choose at least 1, such as 50";
            return Err(fault("timing.heartbeat_ms", "it is 0", remedy));
        }
        // Two heartbeats may be lost or late before anybody stands against a living leader.
        let least = heartbeat.saturating_mul(3);
        if self.election_min_ms < least {
            return Err(fault(
                "timing.election_min_ms",
                format!(
                    "{} is not well above the heartbeat of {heartbeat}",
                    self.election_min_ms
                ),
                format!("choose at least three times the heartbeat, {least}"),
            ));
        }
        let least = self.election_min_ms.saturating_add(heartbeat);
        if self.election_max_ms < least {
            return Err(fault(
                "timing.election_max_ms",
                format!(
                    "{} leaves no room for chance above election_min_ms, {}: nodes would stand \
                     for election together again and again",
                    self.election_max_ms, self.election_min_ms
                ),
                format!("choose at least election_min_ms + heartbeat_ms, {least}"),
            ));
        }
        let least = self.election_max_ms.saturating_mul(2);
        if self.request_timeout_ms < least {
            return Err(fault(
                "timing.request_timeout_ms",
                format!("{} gives an election no time", self.request_timeout_ms),
                format!("choose at least twice election_max_ms, {least}"),
            ));
        }
        Ok(())
    }
}

impl Section for Limits {
    fn check(&self) -> Result<(), Fault> {
        if self.max_sessions == 0 {
            let remedy = "choose at least 1, such as 65536";
            return Err(fault("limits.max_sessions", "it is 0", remedy));
        }
        if self.max_pending_reads == 0 {
            let remedy = "choose at least 1, such as 16384";
            return Err(fault("limits.max_pending_reads", "it is 0", remedy));
        }
        Ok(())
    }
}
