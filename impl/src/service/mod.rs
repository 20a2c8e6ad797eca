//! What the process of every node has, whichever service it runs: addresses, an HTTP server with
//! limits, a data directory, open files, a log.

pub mod address;
pub mod certs;
pub mod cluster_status;
pub mod config;
pub mod data_directory;
pub mod founding;
pub mod http_client;
pub mod http_server;
pub(crate) mod log_level_api;
pub mod logging;
pub mod open_files;
pub(crate) mod replacement;
pub mod running;
pub mod security;
pub mod start;
pub mod status_page;
pub mod tokens;

/// The names of the headers that every service adds to HTTP.
pub mod headers {
    /// Answer: the node that gives it.
    pub const NODE: &str = "lockstep-node";
    /// Answer: the leader as far as that node knows, or `unknown`.
    pub const LEADER: &str = "lockstep-leader";
}
