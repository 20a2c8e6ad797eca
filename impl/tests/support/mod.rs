//! What the tests share.

pub(crate) mod cluster;
pub(crate) mod counter;
pub(crate) mod disks;
pub(crate) mod files;
pub(crate) mod heartbeat;
pub(crate) mod journals;
pub(crate) mod kv;
pub(crate) mod locks;
pub(crate) mod loopback;
pub(crate) mod processes;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod refinement;
pub(crate) mod replay;
pub(crate) mod secured;
pub(crate) mod storm;
pub(crate) mod tally;
pub(crate) mod watch;
