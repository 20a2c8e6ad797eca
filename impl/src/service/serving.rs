//! A node's HTTP servers, one for clients and one for metrics, and how all of a node is stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use models::Protocol;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::runtime::driver::{Failure, RunningNode};
use crate::runtime::metrics::Metrics;
use crate::runtime::tls::Tls;
use crate::service::http_server::{self, ServerLimits};
use crate::service::open_files::METRICS_CONNECTIONS;

/// Requests that run when the node is told to stop have this long to end.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// A node that is told to stop waits this long for an fsync,
const DISK_PATIENCE: Duration = Duration::from_secs(3);
/// and this long for everything that it had taken.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// What is served.
pub(crate) struct Served {
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
}

/// The servers, running.
pub(crate) struct Servers {
    tasks: [JoinHandle<()>; 2],
    stop: watch::Sender<bool>,
    pub(crate) client_address: SocketAddr,
    pub(crate) metrics_address: SocketAddr,
}

impl Servers {
    /// Serves at most so many `connections` of clients, in TLS if there is any, until `stop` holds
    /// true; and `page` in the clear.
    ///
    /// # Errors
    /// When a listener is of no use.
    pub(crate) fn start(
        clients: Served,
        page: Served,
        tls: Option<Arc<Tls>>,
        connections: usize,
        metrics: &Arc<Metrics>,
        stop: watch::Sender<bool>,
    ) -> io::Result<Self> {
        let client_address = clients.listener.local_addr()?;
        let metrics_address = page.listener.local_addr()?;
        let serve = |served: Served, tls, connections| {
            let limits = ServerLimits::new(connections);
            let (metrics, stop) = (metrics.clone(), stop.subscribe());
            let Served { listener, router } = served;
            let serving = http_server::serve(listener, tls, router, limits, metrics, stop);
            tokio::spawn(serving)
        };
        let tasks = [
            serve(clients, tls, connections),
            serve(page, None, METRICS_CONNECTIONS),
        ];
        Ok(Self {
            tasks,
            stop,
            client_address,
            metrics_address,
        })
    }

    /// Takes no more requests, and gives those that run a short while.
    pub(crate) async fn shutdown(self) {
        self.stop.send_replace(true);
        let deadline = Instant::now() + GRACE;
        for server in self.tasks {
            let abort = server.abort_handle();
            if tokio::time::timeout_at(deadline, server).await.is_err() {
                abort.abort();
            }
        }
    }
}

/// Stops a node. Does not wait for a disk that hangs.
///
/// # Errors
/// When the node had failed before, fails on the way, or hangs.
pub(crate) async fn shutdown<P: Protocol>(node: RunningNode<P>) -> Result<(), Failure> {
    node.shutdown_within(DISK_PATIENCE, STOP_PATIENCE).await
}
