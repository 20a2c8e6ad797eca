//! One node: Raft over TCP and a journal, and in front of it HTTP.

pub(crate) mod api;
pub(crate) mod debug_vars;
pub(crate) mod events;
pub mod handover;
pub(crate) mod http_error;
pub(crate) mod log_page;
pub mod members_api;
pub(crate) mod metrics_page;
pub mod node;
pub(crate) mod range_query;
