//! What the process of every node has, whichever service it runs: addresses, an HTTP server with
//! limits, a data directory, open files, a log.

pub mod address;
pub mod certs;
pub mod cluster_status;
pub mod config;
pub mod data_directory;
pub(crate) mod datagram;
pub(crate) mod debug_vars;
pub mod disk_report;
pub(crate) mod event_client;
pub(crate) mod event_stream;
pub mod founding;
pub mod gossip_key;
pub(crate) mod hosted;
pub mod http_client;
pub(crate) mod http_error;
pub mod http_server;
pub(crate) mod leader_wait;
pub(crate) mod log_level_api;
pub mod logging;
pub(crate) mod looking;
pub mod member;
pub(crate) mod metrics_page;
pub mod narrator;
pub(crate) mod nearest;
pub mod open_files;
pub(crate) mod peering;
pub mod pending;
pub mod processes;
pub(crate) mod recording;
pub(crate) mod replacement;
pub mod running;
pub mod sealed_file;
pub mod security;
pub(crate) mod serving;
pub mod session_client;
pub(crate) mod session_fields;
pub mod session_pool;
pub(crate) mod signature;
pub mod slow_network;
pub mod split_network;
pub mod start;
pub mod status_page;
pub(crate) mod store_move;
pub mod tokens;

/// The names of the headers that every service adds to HTTP.
pub mod headers {
    /// Answer: the node that gives it.
    pub const NODE: &str = "lockstep-node";
    /// Answer: the leader as far as that node knows, or `unknown`.
    pub const LEADER: &str = "lockstep-leader";
    /// Request: the number of the client's session, below 2^63. Goes with [`SEQUENCE`].
    pub const CLIENT: &str = "lockstep-client";
    /// Request: the number of the request within the session. A retry bears the same.
    pub const SEQUENCE: &str = "lockstep-sequence";
    /// Request: where the client's session begins, 0 if nothing is said. A part of the session's
    /// name. Answer, with the status 410: where another session may begin.
    pub const SINCE: &str = "lockstep-since";
}
