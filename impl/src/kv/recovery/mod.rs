//! The last resort: a new cluster of one node's data, once nobody of the old one answers.

pub mod recover;
pub(crate) mod survivors;
