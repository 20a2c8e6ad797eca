//! A node's two HTTP servers: one for clients, one for metrics.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::runtime::metrics::Metrics;
use crate::runtime::tls::Tls;
use crate::service::http_server::{self, ServerLimits};
use crate::service::open_files::METRICS_CONNECTIONS;

/// Requests that run when the node is told to stop have this long to end.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// The servers, running.
pub(crate) struct HttpServers {
    servers: [JoinHandle<()>; 2],
    stop: watch::Sender<bool>,
    client_address: SocketAddr,
    metrics_address: SocketAddr,
}

/// What clients are served, and how.
pub(crate) struct ClientSide {
    pub(crate) listener: TcpListener,
    /// In the clear where there are none.
    pub(crate) credentials: Option<Arc<Tls>>,
    pub(crate) api: Router,
    /// So many may be connected.
    pub(crate) connections: usize,
}

/// What is shown at the metrics port: always in the clear, to few.
pub(crate) struct MetricsSide {
    pub(crate) listener: TcpListener,
    pub(crate) page: Router,
}

impl HttpServers {
    /// Starts both. `stop` becomes true when they are to end; whoever else has to know may listen.
    ///
    /// # Errors
    /// When a listener is of no use.
    pub(crate) fn start(
        clients: ClientSide,
        page: MetricsSide,
        metrics: &Arc<Metrics>,
        stop: watch::Sender<bool>,
    ) -> io::Result<Self> {
        let client_address = clients.listener.local_addr()?;
        let metrics_address = page.listener.local_addr()?;
        let serve = |listener, credentials, router, connections| {
            let limits = ServerLimits::new(connections);
            let (metrics, stop) = (metrics.clone(), stop.subscribe());
            tokio::spawn(http_server::serve(
                listener,
                credentials,
                router,
                limits,
                metrics,
                stop,
            ))
        };
        let servers = [
            serve(
                clients.listener,
                clients.credentials,
                clients.api,
                clients.connections,
            ),
            serve(page.listener, None, page.page, METRICS_CONNECTIONS),
        ];
        Ok(Self {
            servers,
            stop,
            client_address,
            metrics_address,
        })
    }

    /// Where clients are served.
    pub(crate) fn client_address(&self) -> SocketAddr {
        self.client_address
    }

    /// Where metrics are served.
    pub(crate) fn metrics_address(&self) -> SocketAddr {
        self.metrics_address
    }

    /// Takes no more requests, and gives those that run a short while.
    pub(crate) async fn shutdown(self) {
        self.stop.send_replace(true);
        let deadline = Instant::now() + GRACE;
        for server in self.servers {
            let abort = server.abort_handle();
            if timeout_at(deadline, server).await.is_err() {
                abort.abort();
            }
        }
    }
}
