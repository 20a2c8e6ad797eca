//! What the process of every node has, whichever service it runs: addresses, an HTTP server with
//! limits, a data directory, open files, a log.

pub mod address;
pub(crate) mod connection_limit;
pub mod data_directory;
pub mod http_client;
pub mod http_server;
pub mod logging;
pub mod open_files;
pub(crate) mod replacement;
