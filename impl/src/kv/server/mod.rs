//! One node: Raft over TCP and a journal, and in front of it HTTP.

pub(crate) mod api;
pub(crate) mod auto_compaction;
pub(crate) mod debug_vars;
pub(crate) mod events;
pub mod handover;
pub(crate) mod http_error;
pub(crate) mod json_answer;
pub(crate) mod json_request;
pub(crate) mod key_api;
pub(crate) mod lease_api;
pub(crate) mod lease_expiry;
pub(crate) mod log_page;
pub mod members_api;
pub(crate) mod metrics_page;
pub mod node;
pub(crate) mod numbers;
pub(crate) mod range_query;
pub(crate) mod root;
pub(crate) mod snapshot_api;
pub(crate) mod txn_api;
pub(crate) mod watch;
