//! How a cluster begins, once, and how a node on an empty disk comes to belong to one: the same for
//! every service.

pub mod bootstrap;
pub mod request;
pub mod waiting;

use std::fmt::Display;

use models::{DiskId, NodeId};

use crate::runtime::identity::Identity;
use crate::runtime::journal::DirectoryLock;
use crate::service::address::Addresses;
use crate::service::data_directory::DirectoryError;

/// What a service speaks, by which its nodes know each other and their journals.
pub trait ServiceProtocol {
    /// The name of the service's protocol, in handshakes and journals.
    const PROTOCOL: &'static str;
    /// The version of its messages and records.
    const VERSION: u32;
}

/// What a cluster of a service begins with: who its members are, each with its disk.
pub trait InitialMembers:
    ServiceProtocol + Clone + Default + Display + Send + Sync + 'static
{
    /// What an operator does to have a node join a cluster that there is.
    const HOW_TO_JOIN: &'static str;
    /// What an operator does when a member has lost its disk.
    const AFTER_LOSS: &'static str;

    /// None yet, of a cluster that `founder` is about to found.
    fn begun_by(founder: NodeId) -> Self {
        let _ = founder;
        Self::default()
    }

    /// Adds a member.
    ///
    /// # Errors
    /// In words, when it cannot be one.
    fn add(&mut self, node: NodeId, disk: DiskId, addresses: &Addresses) -> Result<(), String>;

    /// How many members there are.
    fn count(&self) -> usize;

    /// What invites `node` to be one of them.
    fn encode(&self, node: NodeId) -> Option<Vec<u8>>;

    /// The members that an invitation names.
    fn decode(invitation: &[u8]) -> Option<Self>;

    /// Begins the journal of the member that `identity` names.
    ///
    /// # Errors
    /// When the directory holds something, or cannot be written. It holds nothing still, then.
    fn format(&self, lock: &DirectoryLock, identity: Identity) -> Result<(), DirectoryError>;
}
