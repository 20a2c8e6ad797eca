//! An HTTP server that bears clients which say nothing, say it slowly, or are too many.
//!
//! A connection has some time for the head of its next request, and a body for arriving whole;
//! then it is closed. Of more connections than are allowed, one that has no request running
//! makes room for the next; if all have one, the next is told so (503) and closed. **A request
//! that runs is never cut off, and nobody is left waiting in the backlog.**

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::runtime::connection_limit::{Admission, Busy, ConnectionLimit, Handle, Slot};
use crate::runtime::metrics::Metrics;
use crate::runtime::secure_stream::SecureStream;
use crate::runtime::throttle::Throttle;
use crate::runtime::tls::Tls;

/// What one that was closed to make room has for what it still writes.
const LAST_WRITE: Duration = Duration::from_secs(1);
/// The pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(20);
/// The same is logged this often at most.
const LOG_PERIOD: Duration = Duration::from_secs(5);

const REFUSAL: &str = "all client connections of this node are busy; nothing was changed: \
                       try again, or ask another node\n";

/// What a server bears.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// So many connections at a time.
    pub connections: usize,
    /// A connection has this long for the head of its first request, and for that of the next
    /// one after each answer: slow and idle ones are closed. Clients should give up idle
    /// connections well before.
    pub head_timeout: Duration,
    /// A request's body has this long to arrive.
    pub body_timeout: Duration,
}

impl ServerLimits {
    /// The usual patience with so many connections.
    pub fn new(connections: usize) -> Self {
        Self {
            connections,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
        }
    }
}

/// Serves `router` on `listener`, in TLS if there is any, until `stop` holds true; requests that run then are finished.
/// Dropping what is returned ends everything at once.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: ServerLimits,
    metrics: Arc<Metrics>,
    stop: watch::Receiver<bool>,
) {
    let server = Server {
        tls,
        router: TowerToHyperService::new(router),
        limits,
        slots: ConnectionLimit::new(limits.connections),
        metrics,
        stop,
        crowded: Throttle::new(LOG_PERIOD),
        failing: Throttle::new(LOG_PERIOD),
    };
    server.run(listener).await;
}

struct Server {
    tls: Option<Arc<Tls>>,
    router: TowerToHyperService<Router>,
    limits: ServerLimits,
    slots: ConnectionLimit,
    metrics: Arc<Metrics>,
    stop: watch::Receiver<bool>,
    crowded: Throttle,
    failing: Throttle,
}

impl Server {
    async fn run(self, listener: TcpListener) {
        let mut stop = self.stop.clone();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.admit(stream, &mut connections).await,
                    Err(error) => self.bear(&error).await,
                },
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn admit(&self, stream: TcpStream, connections: &mut JoinSet<()>) {
        match self.slots.admit().await {
            Admission::Admitted { slot, evicted } => {
                if evicted {
                    self.metrics.client_connections_evicted.increment();
                    self.tell_of_the_crowd("an idle one is closed for each new one");
                }
                let connection = self.connection(slot);
                connections.spawn(connection.run(stream));
            }
            Admission::Refused => {
                self.metrics.client_connections_refused.increment();
                self.tell_of_the_crowd("all are busy, and more are refused");
                self.refuse(&stream);
            }
        }
    }

    /// Says why, as far as there is room in the kernel, and closes the connection. In TLS there is
    /// nothing that could be said so soon.
    fn refuse(&self, stream: &TcpStream) {
        let socket = socket2::SockRef::from(stream);
        if self.tls.is_none() {
            let answer = format!(
                "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n\
                 retry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{REFUSAL}",
                REFUSAL.len()
            );
            // The caller sees a closed connection if this fails, which says as much.
            let _ = socket.send(answer.as_bytes());
        }
        let _ = socket.shutdown(std::net::Shutdown::Write);
    }

    fn connection(&self, slot: Slot) -> Connection {
        Connection {
            tls: self.tls.clone(),
            router: self.router.clone(),
            limits: self.limits,
            slot,
            open: Open::new(self.metrics.clone()),
            stop: self.stop.clone(),
        }
    }

    fn tell_of_the_crowd(&self, consequence: &str) {
        if let Some(more) = self.crowded.pass(Instant::now()) {
            let limit = self.limits.connections;
            tracing::warn!(
                limit,
                more,
                "there are as many client connections as are allowed: {consequence}"
            );
        }
    }

    /// Goes on after a connection that could not be accepted: most often for want of a file,
    /// which an idle connection can give.
    async fn bear(&self, error: &io::Error) {
        self.metrics.accepts_failed.increment();
        if let Some(more) = self.failing.pass(Instant::now()) {
            tracing::warn!(%error, more, "a client connection could not be accepted; trying again");
        }
        if self.slots.evict() {
            self.metrics.client_connections_evicted.increment();
        }
        sleep(PAUSE).await;
    }
}

/// Resolves when the server is to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means that the node is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

struct Connection {
    tls: Option<Arc<Tls>>,
    router: TowerToHyperService<Router>,
    limits: ServerLimits,
    slot: Slot,
    open: Open,
    stop: watch::Receiver<bool>,
}

/// Counts a connection for as long as it is open.
struct Open(Arc<Metrics>);

impl Open {
    fn new(metrics: Arc<Metrics>) -> Self {
        metrics.client_connections.increment();
        Self(metrics)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.client_connections.decrement();
    }
}

impl Connection {
    async fn run(mut self, stream: TcpStream) {
        self.prepare(&stream);
        let mut stop = self.stop.clone();
        let secured = tokio::select! {
            biased;
            secured = self.secure(stream) => secured,
            () = self.slot.evicted() => return,
            () = stopped(&mut stop) => return,
        };
        let Some(stream) = secured else {
            return;
        };
        let answers = Answers {
            router: self.router.clone(),
            limits: self.limits,
            handle: self.slot.handle(),
            metrics: self.open.0.clone(),
        };
        let service = service_fn(|request| answers.answer(request));
        let http = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .serve_connection(TokioIo::new(stream), service);
        let mut http = pin!(http);
        let ended = tokio::select! {
            biased;
            ended = http.as_mut() => ended,
            () = self.slot.evicted() => {
                if self.slot.was_busy() {
                    http.as_mut().graceful_shutdown();
                    // Its last answer may not have been taken yet.
                    let _ = timeout(LAST_WRITE, http).await;
                }
                return;
            }
            () = stopped(&mut self.stop) => {
                http.as_mut().graceful_shutdown();
                http.await
            }
        };
        if let Err(error) = ended {
            if error.is_timeout() {
                self.open.0.client_connections_timed_out.increment();
            }
            tracing::debug!(%error, "a client connection has ended");
        }
    }

    /// In TLS, if the server is; none where it does not come about in time.
    async fn secure(&self, stream: TcpStream) -> Option<SecureStream> {
        let Some(tls) = &self.tls else {
            return Some(SecureStream::Plain(stream));
        };
        let accepting = TlsAcceptor::from(tls.for_clients()).accept(stream);
        match timeout(self.limits.head_timeout, accepting).await {
            Ok(Ok(stream)) => Some(SecureStream::Tls(Box::new(stream.into()))),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a client's TLS has failed");
                None
            }
            Err(_) => {
                self.open.0.client_connections_timed_out.increment();
                None
            }
        }
    }

    fn prepare(&self, stream: &TcpStream) {
        // An answer is one write: it need not wait in the kernel for more.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        // A client that takes no answer any more, or is gone, holds its place no longer than this.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Err(error) =
            socket2::SockRef::from(stream).set_tcp_user_timeout(Some(self.limits.body_timeout))
        {
            tracing::debug!(%error, "TCP_USER_TIMEOUT could not be set");
        }
    }
}

/// Answers the requests of one connection.
struct Answers {
    router: TowerToHyperService<Router>,
    limits: ServerLimits,
    handle: Handle,
    metrics: Arc<Metrics>,
}

impl Answers {
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
        let busy = self.handle.busy();
        let late = Arc::new(AtomicBool::new(false));
        let metrics = self.metrics.clone();
        let request = request.map(|body| {
            Body::new(TimedBody {
                body,
                deadline: Box::pin(sleep(self.limits.body_timeout)),
                late: late.clone(),
            })
        });
        let answering = self.router.call(request);
        async move {
            let mut answer = answering.await?;
            if late.load(Ordering::Relaxed) {
                metrics.client_connections_timed_out.increment();
                *answer.status_mut() = StatusCode::REQUEST_TIMEOUT;
                let close = header::HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(answer.map(|body| Body::new(Answer { body, _busy: busy })))
        }
    }
}

/// A request's body, which must arrive in time.
struct TimedBody {
    body: Incoming,
    deadline: Pin<Box<Sleep>>,
    late: Arc<AtomicBool>,
}

/// A body came too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time; nothing was changed")]
struct Late;

impl http_body::Body for TimedBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if self.deadline.as_mut().poll(context).is_ready() {
            self.late.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(Late.into())));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body. The connection is busy until it is written.
struct Answer {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
