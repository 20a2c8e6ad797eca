//! The node, and what it shows over HTTP.

pub(crate) mod api;
pub(crate) mod batch;
pub mod catch_up;
pub(crate) mod debug_vars;
pub(crate) mod events;
pub(crate) mod file_body;
pub(crate) mod http_error;
pub(crate) mod metrics_page;
pub mod node;
pub(crate) mod range;
pub(crate) mod status_page;
pub(crate) mod watch;
