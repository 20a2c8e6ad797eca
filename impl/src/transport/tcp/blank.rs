//! Nodes that belong to no cluster yet: how one is asked for its disk, and how one waits to be
//! invited.

use std::time::Duration;

use models::{DiskId, NodeId};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::admission::{Known, other_disk};
use super::handshake::{self, Call, HandshakeError};
use crate::identity::{ClusterId, Identity};

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
pub async fn probe(address: &str, identity: &Identity, to: NodeId, limit: Duration) -> Probed {
    let identity = Identity {
        cluster_id: ClusterId::default(),
        ..identity.clone()
    };
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
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
    /// Who it is; its cluster id is nobody's.
    pub identity: &'a Identity,
    /// A caller has this long to say who it is.
    pub limit: Duration,
}

impl Blank<'_> {
    /// Answers callers until one invites this node. `on_other_disk` is told of each caller by
    /// which cluster, and why, this node is taken for one that has lost its disk.
    pub async fn wait_for_invitation(
        &self,
        listener: &TcpListener,
        on_other_disk: impl Fn(ClusterId, String),
    ) -> Invitation {
        loop {
            let (mut stream, caller) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted; trying again");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            match handshake::answer_blank(&mut stream, self.identity, self.limit).await {
                Ok(call) => {
                    if let Some(invitation) = self.heed(call, &on_other_disk) {
                        return invitation;
                    }
                }
                Err(error) => tracing::warn!(%caller, %error, "a connection was turned away"),
            }
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
