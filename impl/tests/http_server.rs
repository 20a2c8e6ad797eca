//! The HTTP server before clients that say nothing, say it slowly, or are too many.
//!
//! Verifies who is closed, answered or left alone, and what is counted. Does not verify what
//! the service answers: `kv_http` does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use lockstep::runtime::metrics::Metrics;
use lockstep::service::http_server::{ServerLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::cluster::listener;
use crate::support::watch::eventually;

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(600);

struct Served {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    /// A permit lets one request to `/wait` go on.
    gate: Arc<Semaphore>,
}

async fn served(connections: usize, head_timeout: Duration, body_timeout: Duration) -> Served {
    let (listener, address) = listener().await;
    let (metrics, stop) = (Arc::new(Metrics::default()), watch::Sender::new(false));
    let gate = Arc::new(Semaphore::new(0));
    let wait = gate.clone();
    let router = Router::new()
        .route("/", get(|| async { "here" }))
        .route("/echo", post(|body: Bytes| async move { body }))
        .route(
            "/wait",
            get(move || {
                let wait = wait.clone();
                async move {
                    wait.acquire().await.expect("open").forget();
                    "waited"
                }
            }),
        );
    let limits = ServerLimits {
        connections,
        head_timeout,
        body_timeout,
        ..ServerLimits::new(connections)
    };
    let server = serve(
        listener,
        None,
        router,
        limits,
        metrics.clone(),
        stop.subscribe(),
    );
    Served {
        address,
        metrics,
        stop,
        server: tokio::spawn(server),
        gate,
    }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connects")
    }

    async fn begin(&self, text: &str) -> TcpStream {
        let mut client = self.connect().await;
        client.write_all(text.as_bytes()).await.expect("sent");
        client
    }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: there\r\n\r\n")
}

/// Reads an answer up to the words that end it.
async fn read_up_to(client: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut buffer = [0; 1024];
        let count = timeout(PATIENCE, client.read(&mut buffer)).await;
        let count = count.expect("in time").expect("no error");
        assert!(count > 0, "closed after `{text}`");
        text.push_str(std::str::from_utf8(&buffer[..count]).expect("text"));
    }
    text
}

/// What comes until the connection is closed.
async fn read_to_end(client: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end too.
    let _ = timeout(PATIENCE, client.read_to_end(&mut bytes))
        .await
        .expect("closed in time");
    String::from_utf8(bytes).expect("text")
}

async fn is_open(client: &mut TcpStream) -> bool {
    let read = timeout(Duration::from_millis(50), client.read(&mut [0])).await;
    read.is_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_nothing_or_half_a_head_is_closed() {
    let served = served(10, SHORT, LONG).await;
    let mut silent = served.connect().await;
    let mut half = served.begin("GET / HTTP/1.1\r\nHost: th").await;
    read_to_end(&mut silent).await;
    read_to_end(&mut half).await;
    eventually("both are counted", || {
        served.metrics.client_connections_timed_out.get() == 2
            && served.metrics.client_connections.get() == 0
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_idle_after_an_answer_is_closed() {
    let served = served(10, SHORT, LONG).await;
    let mut client = served.begin(&request("/")).await;
    read_up_to(&mut client, "here").await;
    client
        .write_all(request("/").as_bytes())
        .await
        .expect("kept alive");
    read_up_to(&mut client, "here").await;
    assert_eq!(read_to_end(&mut client).await, "");
    eventually("it is counted", || {
        served.metrics.client_connections_timed_out.get() == 1
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_trickles_is_answered_in_time() {
    let served = served(10, LONG, SHORT).await;
    let head = "POST /echo HTTP/1.1\r\nHost: there\r\nContent-Length: 1000\r\n\r\nabc";
    let mut client = served.begin(head).await;
    let answer = read_to_end(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(served.metrics.client_connections_timed_out.get(), 1);
}

/// However long it takes: longer than a head or a body may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_runs_is_not_cut_off() {
    let served = served(1, SHORT, SHORT).await;
    let mut client = served.begin(&request("/wait")).await;
    tokio::time::sleep(3 * SHORT).await;
    let mut second = served.connect().await;
    let answer = read_to_end(&mut second).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("nothing was changed"), "{answer}");
    assert_eq!(served.metrics.client_connections_refused.get(), 1);
    assert!(is_open(&mut client).await);
    served.gate.add_permits(1);
    read_up_to(&mut client, "waited").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_clients_make_room_for_one_that_speaks() {
    let served = served(3, LONG, LONG).await;
    let mut useful = served.begin(&request("/")).await;
    read_up_to(&mut useful, "here").await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(served.connect().await);
    }
    let mut client = served.begin(&request("/")).await;
    read_up_to(&mut client, "here").await;
    assert!(is_open(&mut useful).await, "one that was of use goes last");
    assert!(!is_open(&mut silent[0]).await);
    assert!(is_open(&mut silent[99]).await);
    assert!(served.metrics.client_connections_evicted.get() >= 98);
    eventually("those that were closed are gone", || {
        served.metrics.client_connections.get() == 3
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_requests_that_run_are_finished_and_the_rest_is_closed() {
    let served = served(10, LONG, LONG).await;
    let mut silent = served.connect().await;
    let mut running = served.begin(&request("/wait")).await;
    eventually("both are there", || {
        served.metrics.client_connections.get() == 2
    });
    // The request has to be there too.
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.stop.send_replace(true);
    assert_eq!(read_to_end(&mut silent).await, "");
    served.gate.add_permits(1);
    let answer = read_to_end(&mut running).await;
    assert!(answer.ends_with("waited"), "{answer}");
    timeout(PATIENCE, served.server)
        .await
        .expect("ends")
        .expect("no panic");
}
