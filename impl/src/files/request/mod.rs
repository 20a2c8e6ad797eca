//! The way of a request: to the local node, and back.

pub mod router;
