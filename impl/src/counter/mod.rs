//! A counter that any node counts on without asking another, over the G-Counter of
//! [`models::counter`]; SWIM says which nodes are there.
//!
//! [`server::node`] puts one node together: the counter's step function over TCP and a journal, and in
//! front of it HTTP (`server::api`). [`swim`] is the membership: packets over UDP, which tell of nodes
//! that come, that go, and that do not answer. [`client`] talks to a cluster, the nearest node first;
//! [`local`] starts one as processes and shows it at work.
//!
//! **An increment waits for the disk of the node that it was asked at, and for nobody else.** It is on
//! that disk before its client hears of it; the others hear of it in their own time.
//!
//! **Nobody founds a cluster.** There is nothing that its nodes would have to agree on: whoever bears the
//! cluster's name, and reaches one of its nodes, belongs to it. A data directory that is empty gets a name
//! to count under at once ([`server::replica`]), and one that has been emptied another: what the node had
//! counted under the old name stays, as far as others had heard of it.

pub mod client;
pub mod config;
pub mod local;
pub mod server;
pub mod status;
pub mod swim;

pub use models::counter::Counter;

pub use config::Config;
pub use server::node::CounterNode;

/// What nodes send each other.
pub type Message = models::counter::message::Message;

/// The name of the protocol, in handshakes and journals.
pub const PROTOCOL: &str = "g-counter";
/// The version of its messages and records.
pub const VERSION: u32 = 2;

/// The names of the headers that this service adds to HTTP.
pub mod headers {
    pub use crate::service::headers::{CLIENT, NODE, SEQUENCE};

    /// Answer: whether the increment had been counted before, by an earlier try of the same request.
    pub const REPEATED: &str = "lockstep-repeated";
    /// Answer: the name under which the node counts.
    pub const REPLICA: &str = "lockstep-replica";
}
