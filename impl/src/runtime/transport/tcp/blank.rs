//! Nodes that belong to no cluster yet: how one is asked for its disk, and how one waits to be
//! invited.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use models::{DiskId, NodeId};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::UNAUTHENTICATED;
use super::admission::{Known, other_disk};
use super::handshake::{self, Call, HandshakeError};
use super::security::{Security, certified};
use super::turned_away::TurnedAway;
use crate::runtime::connection_limit::{Admission, ConnectionLimit, Slot};
use crate::runtime::identity::{ClusterId, Identity};
use crate::runtime::secure_stream::SecureStream;

/// The pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// What a node that was asked for its disk says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    /// It belongs to no cluster, and its empty disk is this one.
    Blank(DiskId),
    /// It belongs to one already, or refuses for another reason, which it says.
    Refuses(String),
    /// It cannot be reached, for this reason.
    Silent(String),
}

/// Asks the node `to` at `address` for its disk, before there is a cluster, or before it belongs
/// to one. Tells it nothing that it could join.
pub async fn probe(
    address: &str,
    security: &Security,
    identity: &Identity,
    to: NodeId,
    limit: Duration,
) -> Probed {
    let identity = Identity {
        cluster_id: ClusterId::default(),
        ..identity.clone()
    };
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let mut stream = security.connect(stream, to, limit).await?;
        handshake::call(&mut stream, (&identity, None), to, Known::default(), limit).await
    };
    match timeout(limit, exchange).await {
        Ok(Err(HandshakeError::Blank { disk, .. })) => Probed::Blank(disk),
        Ok(Err(HandshakeError::RefusedByPeer(reason))) => Probed::Refuses(reason),
        Ok(Err(error)) => Probed::Silent(error.to_string()),
        Ok(Ok(_)) => Probed::Refuses("it takes us for a member".into()),
        Err(_) => Probed::Silent(format!("it did not answer within {limit:?}")),
    }
}

/// Whether node `to` at `address` belongs to the cluster of `identity`, which is that of a member
/// that does not run.
pub async fn is_member(
    address: &str,
    security: &Security,
    identity: &Identity,
    to: NodeId,
    limit: Duration,
) -> bool {
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let mut stream = security.connect(stream, to, limit).await?;
        handshake::call(&mut stream, (identity, None), to, Known::default(), limit).await
    };
    matches!(timeout(limit, exchange).await, Ok(Ok(_)))
}

/// What makes a blank node a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Who invites.
    pub from: NodeId,
    /// The encoded records that the disk is to be set up with.
    pub records: Vec<u8>,
}

/// A node that belongs to no cluster.
#[derive(Debug)]
pub struct Blank<'a> {
    /// How the nodes know each other.
    pub security: &'a Security,
    /// Who it is; its cluster id is nobody's.
    pub identity: &'a Identity,
    /// A caller has this long to say who it is.
    pub limit: Duration,
}

/// Answers one caller.
struct Answerer {
    security: Security,
    identity: Arc<Identity>,
    limit: Duration,
    /// Whether an invitation is accepted already: it is the only one.
    invited: Arc<AtomicBool>,
    turned_away: Arc<TurnedAway>,
}

impl Blank<'_> {
    /// Answers callers, all at the same time, until one invites this node. Of more than a node
    /// bears, one that has not said yet who it is makes room. `on_other_disk` is told of each
    /// caller by which cluster, and why, this node is taken for one that has lost its disk.
    pub async fn wait_for_invitation(
        &self,
        listener: &TcpListener,
        on_other_disk: impl Fn(ClusterId, String),
    ) -> Invitation {
        let unauthenticated = ConnectionLimit::new(UNAUTHENTICATED);
        let identity = Arc::new(self.identity.clone());
        let invited = Arc::new(AtomicBool::new(false));
        let turned_away = Arc::new(TurnedAway::new());
        let mut calls = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                Some(heard) = calls.join_next(), if !calls.is_empty() => {
                    // A call that was given up, or whose task has failed, says nothing.
                    let call = heard.ok().flatten();
                    match call.and_then(|call| self.heed(call, &on_other_disk)) {
                        Some(invitation) => return invitation,
                        None => continue,
                    }
                }
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted; trying again");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let Admission::Admitted { slot, .. } = unauthenticated.admit().await else {
                turned_away.evicted(stream.peer_addr().ok());
                continue;
            };
            let answerer = Answerer {
                security: self.security.clone(),
                identity: identity.clone(),
                limit: self.limit,
                invited: invited.clone(),
                turned_away: turned_away.clone(),
            };
            calls.spawn(answerer.answer(stream, slot));
        }
    }

    fn heed(&self, call: Call, on_other_disk: &impl Fn(ClusterId, String)) -> Option<Invitation> {
        let ours = self.identity;
        let (cluster_id, from) = (call.from.cluster_id, call.from.node);
        if let Some(expected) = call.to_disk.filter(|expected| *expected != ours.disk) {
            on_other_disk(cluster_id, other_disk(ours.node, expected, ours.disk));
        }
        call.invitation.map(|records| Invitation {
            cluster_id,
            from,
            records,
        })
    }
}

impl Answerer {
    async fn answer(self, stream: TcpStream, slot: Slot) -> Option<Call> {
        let caller = stream.peer_addr().ok();
        let heard = tokio::select! {
            biased;
            heard = self.hear(stream) => heard,
            () = slot.evicted() => {
                self.turned_away.evicted(caller);
                return None;
            }
        };
        let tell = |error: &HandshakeError| self.turned_away.failed(caller, error);
        let (mut stream, mut heard) = heard.inspect_err(tell).ok()?;
        if let Ok(call) = &mut heard
            && call.invitation.is_some()
            && self.invited.swap(true, Ordering::Relaxed)
        {
            call.invitation = None;
        }
        let disk = self.identity.disk;
        let answered = handshake::answer_blank(&mut stream, disk, &heard, self.limit).await;
        // An invitation is accepted whether or not the caller hears so.
        if let Err(error) = answered {
            tell(&error);
        }
        let heard = heard.map_err(HandshakeError::RefusedHere);
        heard.inspect_err(tell).ok()
    }

    /// What a caller says, who is who its certificate says it is.
    async fn hear(
        &self,
        stream: TcpStream,
    ) -> Result<(SecureStream, Result<Call, String>), HandshakeError> {
        let mut stream = self.security.accept(stream, self.limit).await?;
        let heard = handshake::hear_blank(&mut stream, &self.identity, self.limit).await?;
        let heard = heard.and_then(|call| match certified(&stream).objection(call.from.node) {
            None => Ok(call),
            Some(reason) => Err(reason),
        });
        Ok((stream, heard))
    }
}
