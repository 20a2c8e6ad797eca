//! The way of a request: to the local node, to the leader, and back.

pub(crate) mod forward;
pub mod pending;
pub mod router;

pub use crate::service::session_pool;
