//! What a service's node is to the process that runs it.

use models::NodeId;

use crate::runtime::driver::{Failure, Status};
use crate::service::config::ServiceConfig;
use crate::service::start::{Listeners, StartError};

/// A node of a service, running.
pub trait ServiceNode: Sized {
    /// The service's configuration.
    type Config: ServiceConfig;

    /// Waits until node `id` belongs to a cluster, if it does not yet, and gives the listeners back.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the data directory is of no use, or belongs to another node.
    fn until_member(
        config: &Self::Config,
        id: NodeId,
        listeners: Listeners,
    ) -> impl Future<Output = Result<Listeners, StartError>>;

    /// Starts node `id` of `config` on `listeners`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When it cannot. Nothing was sent to anybody then.
    fn start(config: &Self::Config, id: NodeId, listeners: Listeners) -> Result<Self, StartError>;

    /// Waits until the node has stopped or failed. End the process when it has failed.
    fn ended(&self) -> impl Future<Output = Status>;

    /// Waits until the node has done what it was there for, and is to be shut down: says why. Most
    /// never have.
    fn done(&self) -> impl Future<Output = String> {
        std::future::pending()
    }

    /// Takes no more requests, gives those that run a short while, puts everything on disk and closes
    /// all connections. Does not wait for a disk that hangs: after a few seconds what is not on disk is
    /// given up, and nobody was told of it. End the process then.
    ///
    /// # Errors
    /// When the node had failed before, fails on the way, or hangs.
    fn shutdown(self) -> impl Future<Output = Result<(), Failure>>;
}
