//! The node, and what it shows over HTTP.

pub(crate) mod amount;
pub(crate) mod api;
pub(crate) mod debug_vars;
pub(crate) mod events;
pub(crate) mod follower;
pub(crate) mod http_error;
pub(crate) mod metrics_page;
pub mod node;
pub mod replica;
pub(crate) mod service;
pub(crate) mod status_page;
pub(crate) mod tally;
pub(crate) mod window_query;

pub use self::status_page::{ClusterReport, ComponentPage, VerbosePage};
pub use self::window_query::WindowPage;
