//! Distributed locks by name, over Maekawa's algorithm: any number of them on one membership.
//!
//! [`server::node`] puts one node together: [`Maekawa`] over TCP and a journal, and in front of it
//! HTTP (`server::api`), where clients open sessions and claim locks in them. [`sessions`] is what the
//! host adds to the protocol: the sessions of clients, how long they live, and who waits for what.
//! [`client`] talks to a cluster, [`holder`] keeps a lock for as long as it can be kept, [`local`]
//! starts a cluster as processes and shows it at work.
//!
//! **One node is the orchestrator**: it has no locks, and says who the members are. The others are
//! members as soon as they register, by themselves on their first start, and until they are told
//! to deregister. While the orchestrator is down locks are taken and given as before, until the
//! members' leases run out.
//!
//! **A lock is held for as long as its session lives**, and no longer than its node's lease. Both
//! are by the clock, so a client that is held up, or whose node is, may believe that it holds a lock
//! when another does. An answer says for how long it may be believed (`valid_ms`), and each grant
//! bears a [fencing token](token::TokenReport) that is greater than all before it: a resource that
//! remembers the greatest token it has seen refuses whoever comes late.
//!
//! **A member's crash forgets its sessions**: the numbers of sessions are never given out twice
//! ([`numbers`]), so a client of one that is over is told so.

pub mod client;
pub mod config;
pub mod holder;
pub mod local;
pub mod numbers;
pub mod registry;
pub mod server;
pub mod sessions;
pub mod status;
pub mod token;

pub use config::Config;
pub use models::maekawa::Maekawa;
pub use models::maekawa::message::Message;
pub use server::node::LocksNode;

/// The name of the protocol, in handshakes and journals.
pub const PROTOCOL: &str = "maekawa-locks";
/// The version of its messages and records.
pub const VERSION: u32 = 2;
