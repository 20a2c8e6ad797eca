//! A key-value store over Raft: linearizable, with exactly-once writes, on every node.
//!
//! [`store`] is what is replicated. [`server::node`] puts one node together: Raft over TCP and a
//! journal, and in front of it HTTP (`server::api`), which hands requests to the
//! [router](request::router). That asks the local Raft node, correlates what comes back
//! ([`request::pending`]), and takes a request to the leader where the node does not lead
//! (`request::forward`). [`client`] talks to a cluster, [`local`] starts one as processes and shows
//! it failing over.
//!
//! **An answer of success means committed and applied.** A write whose outcome is not known
//! is answered as such (504), never as a failure; a retry with the same client and sequence
//! is applied at most once and gets the first answer.

pub mod admin;
pub mod client;
pub mod config;
pub mod encoding;
pub(crate) mod json_bytes;
pub mod local;
pub mod membership;
pub mod recovery;
pub mod request;
pub mod server;
pub mod snapshot;
pub mod status;
pub mod store;

pub use config::Config;
pub use server::node::KvNode;
pub use store::Kv;

/// The protocol that a node runs.
pub type KvRaft = models::raft::Raft<Kv>;

/// The name of the protocol, in handshakes and journals.
pub const PROTOCOL: &str = "raft-kv";
/// The version of its messages and records.
pub const VERSION: u32 = 4;

/// The names of the headers that this service adds to HTTP.
pub mod headers {
    pub use crate::service::headers::{CLIENT, LEADER, NODE, SEQUENCE, SINCE};

    /// Answer: the revision of the value, or of the change.
    pub const REVISION: &str = "lockstep-revision";
    /// Answer: the revision that created the key.
    pub const CREATE_REVISION: &str = "lockstep-create-revision";
    /// Answer: how often the key was written since it was created.
    pub const VERSION: &str = "lockstep-version";
    /// Answer: the lease that holds the key.
    pub const LEASE: &str = "lockstep-lease";
    /// Between nodes: how often the request has been forwarded.
    pub const HOPS: &str = "lockstep-hops";
    /// Between nodes: how many milliseconds the request may still take.
    pub const TIMEOUT: &str = "lockstep-timeout";
}
