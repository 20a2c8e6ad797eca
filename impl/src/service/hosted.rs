//! What runs in the process of every node: the protocol's node, its connections to peers, its HTTP
//! servers; and how all of it ends.

use models::Protocol;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::runtime::driver::{Failure, RunningNode, Status};
use crate::runtime::transport::tcp::Tcp;
use crate::service::serving::{self, Servers};

/// A node of protocol `P` in this process.
pub(crate) struct HostedNode<P: Protocol> {
    pub(crate) node: RunningNode<P>,
    /// Why the protocol takes part no more, once it does not.
    pub(crate) halted: watch::Receiver<Option<String>>,
    pub(crate) tcp: Tcp<P::Message>,
    pub(crate) servers: Servers,
}

impl<P: Protocol> HostedNode<P>
where
    P::Message: Serialize + DeserializeOwned + Send + 'static,
{
    /// Waits until the node has stopped or failed.
    pub(crate) async fn ended(&self) -> Status {
        let mut halted = self.halted.clone();
        let reason = async {
            match { halted.wait_for(Option::is_some).await }.map(|reason| reason.clone()) {
                Ok(Some(reason)) => reason,
                // The node has ended for another reason.
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            status = self.node.ended() => status,
            reason = reason => Status::Failed(Failure::Halted(reason)),
        }
    }

    /// Takes no more requests, gives those that run a short while, puts everything on disk and
    /// closes all connections. Does not wait for a disk that hangs: after a few seconds what is not
    /// on disk is given up, and nobody was told of it. End the process then.
    ///
    /// # Errors
    /// When the node had failed before, fails on the way, or hangs.
    pub(crate) async fn shutdown(self) -> Result<(), Failure> {
        self.servers.shutdown().await;
        let stopped = serving::shutdown(self.node).await;
        self.tcp.shutdown().await;
        stopped
    }
}
