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

/// A page beside what clients are served, running: in the clear, and for few at a time.
pub(crate) struct PageServer {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
    pub(crate) address: SocketAddr,
}

impl PageServer {
    /// Serves until `stop` holds true, or is dropped with what is returned.
    ///
    /// # Errors
    /// When the listener is of no use.
    pub(crate) fn start(
        page: Served,
        metrics: &Arc<Metrics>,
        stop: watch::Sender<bool>,
    ) -> io::Result<Self> {
        let address = page.listener.local_addr()?;
        Ok(Self {
            task: serve(page, None, METRICS_CONNECTIONS, metrics, &stop),
            stop,
            address,
        })
    }

    /// Takes no more requests, and gives those that run a short while.
    pub(crate) async fn shutdown(self) {
        self.stop.send_replace(true);
        end(self.task, Instant::now() + GRACE).await;
    }
}

/// The servers, running.
pub(crate) struct Servers {
    clients: JoinHandle<()>,
    page: Option<PageServer>,
    stop: watch::Sender<bool>,
    pub(crate) client_address: SocketAddr,
}

impl Servers {
    /// Serves at most so many `connections` of clients, in TLS if there is any, until `stop` holds
    /// true; and `page`, if there is one, in the clear.
    ///
    /// # Errors
    /// When a listener is of no use.
    pub(crate) fn start(
        clients: Served,
        page: Option<Served>,
        tls: Option<Arc<Tls>>,
        connections: usize,
        metrics: &Arc<Metrics>,
        stop: watch::Sender<bool>,
    ) -> io::Result<Self> {
        let client_address = clients.listener.local_addr()?;
        let page = page.map(|page| PageServer::start(page, metrics, stop.clone()));
        Ok(Self {
            page: page.transpose()?,
            clients: serve(clients, tls, connections, metrics, &stop),
            stop,
            client_address,
        })
    }

    /// Where the page is, if there is one.
    pub(crate) fn metrics_address(&self) -> Option<SocketAddr> {
        self.page.as_ref().map(|page| page.address)
    }

    /// Takes no more requests, and gives those that run a short while.
    pub(crate) async fn shutdown(self) {
        self.stop.send_replace(true);
        let deadline = Instant::now() + GRACE;
        end(self.clients, deadline).await;
        if let Some(page) = self.page {
            end(page.task, deadline).await;
        }
    }
}

fn serve(
    served: Served,
    tls: Option<Arc<Tls>>,
    connections: usize,
    metrics: &Arc<Metrics>,
    stop: &watch::Sender<bool>,
) -> JoinHandle<()> {
    let limits = ServerLimits::new(connections);
    let (metrics, stop) = (metrics.clone(), stop.subscribe());
    let Served { listener, router } = served;
    let serving = http_server::serve(listener, tls, router, limits, metrics, stop);
    tokio::spawn(serving)
}

/// Waits until a server that was told to stop has, and ends it then.
async fn end(server: JoinHandle<()>, deadline: Instant) {
    let abort = server.abort_handle();
    if tokio::time::timeout_at(deadline, server).await.is_err() {
        abort.abort();
    }
}

/// Stops a node. Does not wait for a disk that hangs.
///
/// # Errors
/// When the node had failed before, fails on the way, or hangs.
pub(crate) async fn shutdown<P: Protocol>(node: RunningNode<P>) -> Result<(), Failure> {
    node.shutdown_within(DISK_PATIENCE, STOP_PATIENCE).await
}
