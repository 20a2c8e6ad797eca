//! What a member knows of the others, and what it tells whoever follows.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use models::NodeId;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::balance::Balancer;
use super::config::Balance;
use super::list::{ById, Version};
use super::member_info::MemberInfo;
use super::packet::Leader;

/// What a member knows, as it last was.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) members: Arc<ById>,
    pub(crate) version: Option<Version>,
    pub(crate) leader: Option<Leader>,
    /// The greatest of which a leader was heard; 0 before.
    pub(crate) term: u64,
    /// When a leader last took it for alive; when it was started, if none has.
    pub(crate) contact: Instant,
    /// Whether this member, in this life, is in the list.
    pub(crate) joined: bool,
}

impl View {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            members: Arc::default(),
            version: None,
            leader: None,
            term: 0,
            contact: now,
            joined: false,
        }
    }

    pub(crate) fn list(&self, now: Instant, dead_after: Duration) -> MemberList {
        let age = now.saturating_duration_since(self.contact);
        MemberList {
            members: self.members.values().cloned().collect(),
            leader: self.leader,
            age,
            is_current: self.leader.is_some() && age < dead_after,
        }
    }
}

/// Who lives, as far as a member knows.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberList {
    /// The members, by their ids.
    pub members: Vec<MemberInfo>,
    /// Who leads; nobody, as far as it knows, if nothing is said.
    pub leader: Option<Leader>,
    /// How long ago a leader last said so.
    pub age: Duration,
    /// Whether that was lately enough to believe it. Where it is not, this member is cut off from a majority
    /// of the voters, or they from each other: the list is what it was.
    pub is_current: bool,
}

impl MemberList {
    /// The ids.
    pub fn ids(&self) -> Vec<NodeId> {
        self.members.iter().map(|member| member.id).collect()
    }

    /// The members that may be given work, the least loaded first, as they say it themselves. Of a list that is
    /// not current nobody knows who of them lives.
    pub fn available(&self, balance: &Balance) -> Vec<MemberInfo> {
        let members = self
            .members
            .iter()
            .map(|member| (member.id, member.clone()));
        let leader = self.leader.map(|leader| leader.id);
        let available = Balancer::default().available(&members.collect(), leader, balance);
        available.into_iter().map(|one| one.member).collect()
    }

    /// The member with this id.
    pub fn get(&self, id: NodeId) -> Option<&MemberInfo> {
        self.members.iter().find(|member| member.id == id)
    }
}

/// Something has changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A member has joined, or come back.
    Joined(MemberInfo),
    /// A member has left, or was not heard for too long.
    Left(MemberInfo),
    /// Another member leads, or none, as far as this one knows.
    Leader(Option<Leader>),
    /// A key was set, which is committed.
    Set {
        /// The key.
        key: Bytes,
        /// Its value.
        value: Bytes,
        /// The revision of the dictionary.
        revision: u64,
    },
    /// A key was removed, which is committed.
    Deleted {
        /// The key.
        key: Bytes,
        /// The revision of the dictionary.
        revision: u64,
    },
    /// So many events were lost, for they were not taken in time.
    Missed(u64),
}

/// Tells what changes, until the member ends.
#[derive(Debug)]
pub struct Subscription {
    events: broadcast::Receiver<Event>,
}

impl Subscription {
    pub(crate) fn new(events: broadcast::Receiver<Event>) -> Self {
        Self { events }
    }

    /// The next event; nothing once the member has ended. Cancel-safe: what was not returned is returned
    /// by the next call.
    pub async fn next(&mut self) -> Option<Event> {
        match self.events.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(Event::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}
