//! An HTTP server that bears clients which say nothing, say it slowly, or are too many.
//!
//! A connection has some time for the head of its next request, and a body for arriving whole;
//! then it is closed. Of more connections than are allowed, one that has no request running
//! makes room for the next; if all have one, the next is told so (503) and closed. **A request
//! that runs is never cut off, and nobody is left waiting in the backlog.**

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
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

/// What is read ahead of a connection: thousands of them have it at the same time. The head of a
/// request is no longer than that.
const READ_BYTES: usize = 64 << 10;

const OVERLOAD: &str = "this node has as many requests under way as it bears; nothing was changed: try \
                        again, or ask another node\n";

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
    /// So many requests run at a time; of more, the last are told so (503) at once.
    pub requests: usize,
    /// The bodies of the requests that run have so many bytes together; of more, the last are told so
    /// at once. One whose length is not said beforehand counts as [`UNSAID_BYTES`].
    pub body_bytes: usize,
}

/// What a body counts for whose length is not said beforehand.
pub const UNSAID_BYTES: usize = 2 << 20;

impl ServerLimits {
    /// The usual patience with so many connections.
    pub fn new(connections: usize) -> Self {
        Self {
            connections,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            requests: 4096,
            body_bytes: 256 << 20,
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
        load: Load::new(limits),
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
    load: Load,
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
                    self.metrics.client_connections_evicted.inc();
                    self.tell_of_the_crowd("an idle one is closed for each new one");
                }
                let connection = self.connection(slot);
                connections.spawn(connection.run(stream));
            }
            Admission::Refused => {
                self.metrics.client_connections_refused.inc();
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
            load: self.load.clone(),
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
        self.metrics.accepts_failed.inc();
        if let Some(more) = self.failing.pass(Instant::now()) {
            tracing::warn!(%error, more, "a client connection could not be accepted; trying again");
        }
        if self.slots.evict() {
            self.metrics.client_connections_evicted.inc();
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
    load: Load,
    open: Open,
    stop: watch::Receiver<bool>,
}

/// Counts a connection for as long as it is open.
struct Open(Arc<Metrics>);

impl Open {
    fn new(metrics: Arc<Metrics>) -> Self {
        metrics.client_connections.inc();
        Self(metrics)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.client_connections.dec();
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
            load: self.load.clone(),
            metrics: self.open.0.clone(),
        };
        let service = service_fn(|request| answers.answer(request));
        let http = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(READ_BYTES)
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
                self.open.0.client_connections_timed_out.inc();
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
                self.open.0.client_connections_timed_out.inc();
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
    load: Load,
    metrics: Arc<Metrics>,
}

impl Answers {
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
        let busy = self.handle.busy();
        let share = self.load.take(request.headers());
        let late = Arc::new(AtomicBool::new(false));
        let metrics = self.metrics.clone();
        let request = request.map(|body| {
            Body::new(TimedBody {
                body,
                deadline: Box::pin(sleep(self.limits.body_timeout)),
                late: late.clone(),
            })
        });
        let handling = match &share {
            Some(_) => Handling::Taken(self.router.call(request)),
            None => Handling::Refused(request.into_body()),
        };
        async move {
            let mut answer = match handling {
                Handling::Taken(answering) => answering.await?,
                Handling::Refused(body) => {
                    metrics.client_requests_refused.inc();
                    discard(body).await;
                    overloaded()
                }
            };
            if late.load(Ordering::Relaxed) {
                metrics.client_connections_timed_out.inc();
                *answer.status_mut() = StatusCode::REQUEST_TIMEOUT;
                let close = header::HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(answer.map(|body| {
                let _share = share;
                Body::new(Answer {
                    body,
                    _busy: busy,
                    _share,
                })
            }))
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
    /// Of what all requests may have together.
    _share: Option<Share>,
}

/// What all requests of a server may have together.
#[derive(Clone)]
struct Load {
    requests: Arc<Semaphore>,
    body_bytes: Arc<Semaphore>,
}

/// What a request has of it, until its answer is written.
struct Share {
    _request: OwnedSemaphorePermit,
    _body: OwnedSemaphorePermit,
}

impl Load {
    fn new(limits: ServerLimits) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits));
        Self {
            requests: semaphore(limits.requests),
            body_bytes: semaphore(limits.body_bytes),
        }
    }

    /// None where there is no room. A body that is larger than all of it finds none.
    fn take(&self, headers: &HeaderMap) -> Option<Share> {
        let length = headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u32>().ok());
        let unsaid = headers.contains_key(header::TRANSFER_ENCODING);
        let bytes = length.unwrap_or(if unsaid { UNSAID_BYTES as u32 } else { 0 });
        Some(Share {
            _request: self.requests.clone().try_acquire_owned().ok()?,
            _body: { self.body_bytes.clone() }
                .try_acquire_many_owned(bytes)
                .ok()?,
        })
    }
}

/// What becomes of a request.
enum Handling<F> {
    Taken(F),
    Refused(Body),
}

/// Reads a body to its end and keeps none of it: a client that is still sending would not see the
/// answer, but a connection that is reset.
async fn discard(mut body: Body) {
    while let Some(Ok(_)) =
        poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut body), context)).await
    {}
}

/// The answer to a request that finds no room.
fn overloaded() -> Response<Body> {
    let mut answer = Response::new(Body::from(OVERLOAD));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let fields = answer.headers_mut();
    let text = header::HeaderValue::from_static("text/plain; charset=utf-8");
    fields.insert(header::CONTENT_TYPE, text);
    fields.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    answer
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
