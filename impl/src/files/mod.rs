//! A replicated file system over ZAB, with Bully to propose its leaders.
//!
//! [`store`] is what is replicated: files that are created, appended to, replaced, read and deleted,
//! alone or as an atomic batch. [`server::node`] puts one node together: ZAB over TCP and a journal,
//! and in front of it HTTP (`server::api`), which hands requests to the [router](request::router).
//! That asks the local ZAB node, which takes them to its leader by itself, and correlates what comes
//! back. [`client`] talks to a cluster, [`local`] starts one as processes and shows it at work.
//!
//! **An answer of success means committed, and delivered where it was asked.** A write whose outcome
//! is not known is answered as such (504), never as a failure; a retry with the same client and
//! sequence is done at most once and gets the first answer.
//!
//! **The members of an ensemble are fixed** when it is founded: who they are, each by its disk, is
//! in every data directory ([`members`]). A node that has lost its disk takes no part any more; the
//! others go on as long as they are a majority.
//!
//! What a cluster remembers of its clients grows: the last answer of each session, some hundred
//! bytes, is kept for good, for ZAB has no way to let sessions expire. Nodes reuse the sessions of
//! their own, which they lend to requests that bring none; a client should keep to one session for
//! as long as it lives.

pub mod client;
pub mod config;
pub mod local;
pub mod members;
pub mod request;
pub mod server;
pub mod status;
pub mod store;

use models::zab::Zab;
use models::zab::bully::Bully;

pub use config::Config;
pub use server::node::FilesNode;
pub use store::Files;

/// The protocol that a node runs.
pub type FilesZab = Zab<Files, Bully>;
/// What nodes send each other.
pub type Message = models::zab::message::Message<Files, Bully>;

/// The name of the protocol, in handshakes and journals.
pub const PROTOCOL: &str = "zab-files";
/// The version of its messages and records.
pub const VERSION: u32 = 2;

/// The names of the headers that this service adds to HTTP.
pub mod headers {
    pub use crate::service::headers::{CLIENT, LEADER, NODE, SEQUENCE};

    /// Answer: the version of the file, or of the change.
    pub const VERSION: &str = "lockstep-version";
    /// Answer: the position at which a file was created.
    pub const CREATED: &str = "lockstep-created";
}
