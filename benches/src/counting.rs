//! A node of the counter and its clients, in this process: increments that wait for its disk.

use std::path::Path;
use std::time::{Duration, Instant};

use lockstep::counter::CounterNode;
use lockstep::counter::config::{Config, Exchange};
use lockstep::counter::server::replica::set_up;
use lockstep::service::config::NodeConfig;
use lockstep::service::running::ServiceNode;
use lockstep::service::start::Listeners;
use models::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const ONE: NodeId = NodeId(1);

/// A node that serves HTTP and exchanges nothing.
pub struct CountingNode {
    node: CounterNode,
}

impl CountingNode {
    /// With its journal in `folder`.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(folder: &Path) -> Self {
        let listeners = Listeners {
            peer: listener().await,
            client: listener().await,
            metrics: None,
        };
        let at = |listener: &TcpListener| listener.local_addr().expect("bound").to_string();
        let node = NodeConfig::new(ONE, at(&listeners.peer), at(&listeners.client), folder)
            .with_metrics("127.0.0.1:0");
        let mut config = Config::of("bench", vec![node]);
        config.counter.exchange = Exchange::Alone;
        set_up(&config, ONE).expect("an empty folder");
        let node = CounterNode::start(&config, ONE, listeners).expect("starts");
        Self { node }
    }

    /// Has so many clients count for so long, each on a connection of its own and one request at a
    /// time. Returns how many were acknowledged in a second.
    ///
    /// # Panics
    /// If one is not acknowledged, or the value is not what was counted.
    pub async fn count(&self, clients: u64, span: Duration) -> f64 {
        let address = self.node.client_address();
        let before = ask(
            &mut TcpStream::connect(address).await.expect("connects"),
            "GET",
            "/",
        )
        .await;
        let begun = Instant::now();
        let end = begun + span;
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            tasks.spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("connects");
                stream.set_nodelay(true).expect("it is a socket");
                let mut counted = 0;
                while Instant::now() < end {
                    ask(&mut stream, "POST", "/inc").await;
                    counted += 1;
                }
                counted
            });
        }
        let counted: u64 = tasks.join_all().await.into_iter().sum();
        let seconds = begun.elapsed().as_secs_f64();
        let after = ask(
            &mut TcpStream::connect(address).await.expect("connects"),
            "GET",
            "/",
        )
        .await;
        assert_eq!(after - before, counted, "each was counted once");
        counted as f64 / seconds
    }

    /// Stops it.
    pub async fn stop(self) {
        self.node.shutdown().await.expect("stops in order");
    }
}

/// A request, and the number that its answer is: as little as a client can do.
async fn ask(stream: &mut TcpStream, method: &str, path: &str) -> u64 {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: bench\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = Vec::with_capacity(512);
    loop {
        let count = stream.read_buf(&mut answer).await.expect("read");
        assert!(count > 0, "the node has closed the connection");
        if let Some(number) = number_in(&answer) {
            return number;
        }
    }
}

/// What a whole answer says.
fn number_in(answer: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(answer).expect("text");
    let (head, body) = text.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{text}");
    body.strip_suffix('\n')?.parse().ok()
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}
