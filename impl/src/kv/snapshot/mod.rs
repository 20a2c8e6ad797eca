//! The whole store as a file: a backup, and the beginning of another cluster.

pub mod file;
pub mod restore;
