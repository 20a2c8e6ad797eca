//! Who belongs to a cluster: how it is founded, who joins, and where the members are.

pub(crate) mod additions;
pub mod bootstrap;
pub(crate) mod configured;
pub mod founding;
pub mod members;
pub mod waiting;
