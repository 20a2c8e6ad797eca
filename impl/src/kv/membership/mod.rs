//! Who belongs to a cluster: how it is founded, who joins, and where the members are.

pub(crate) mod additions;
pub(crate) mod configured;
pub(crate) mod invitation;
pub mod members;
