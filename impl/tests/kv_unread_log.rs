//! Real processes whose log nobody reads.
//!
//! Verifies that a full pipe behind standard error delays no write and no end, that strangers
//! who knock do not either, and that what is dropped is counted and told of.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lockstep::kv::client::Client;
use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use tempfile::{TempDir, tempdir};

use crate::support::kv::PATIENCE;
use crate::support::loopback::http;
use crate::support::program::{PROGRAM, program_after, send_signal, wait_until_it_ends};

const STRANGERS: usize = 300;
/// An orderly end takes less, also on a busy machine.
const END: Duration = Duration::from_secs(10);

/// A pipe that the process itself keeps open, that nobody reads, and that is full already.
const FULL_PIPE: &str = r#"pipe="$0.$$"
mkfifo "$pipe" && exec 2<>"$pipe" && rm "$pipe"
timeout 0.5 cat /dev/zero >&2"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_strangers_nor_a_full_pipe_stop_a_node_from_serving_and_ending() {
    let folder = tempdir().expect("a folder");
    let program = program_after(folder.path(), FULL_PIPE);
    let mut nodes = Processes::start(&program, 3, Timing::default()).expect("starts");
    let mut client = Client::new(nodes.client_addresses(), PATIENCE).expect("a client");
    client.put(b"before", "x".into()).await.expect("served");

    let mut strangers = Vec::new();
    for node in &nodes.config().nodes {
        for n in 0..STRANGERS {
            let mut stranger = TcpStream::connect(&node.peer_address).expect("connects");
            if n % 2 == 0 {
                // It may be turned away before it has spoken.
                let _ = stranger.write_all(b"GET / HTTP/1.1\r\nHost: there\r\n\r\n");
            }
            strangers.push(stranger);
        }
    }
    for n in 0..20 {
        let put = client.put(b"key", n.to_string().into()).await;
        put.expect("strangers stop no write");
    }

    let pids: Vec<u32> = nodes
        .config()
        .nodes
        .iter()
        .map(|node| nodes.pid(node.id).expect("runs"))
        .collect();
    for pid in &pids {
        send_signal(*pid, "-TERM");
    }
    for pid in pids {
        println!("ended after {:?}", wait_until_it_ends(pid, END));
    }
    let ended = nodes.stop_all().expect("stopped");
    assert!(
        ended.iter().all(|(_, status)| status.success()),
        "{ended:?}"
    );
}

/// All are told of, in a line a second for each kind.
#[test]
fn strangers_who_knock_fill_no_log() {
    let program = Path::new(PROGRAM);
    let nodes = Processes::start(program, 1, Timing::default()).expect("starts");
    let node = &nodes.config().nodes[0];
    for _ in 0..STRANGERS {
        let mut stranger = TcpStream::connect(&node.peer_address).expect("connects");
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
        // It is closed when it has been read.
        let _ = stranger.read(&mut [0]);
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let log = nodes.log_tail(node.id);
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("turned away"))
            .collect();
        let more: usize = lines.iter().map(|line| number_after(line, "more=")).sum();
        let is_reminder = |line: &&&str| line.contains("more connections were");
        let reminders = lines.iter().filter(is_reminder).count();
        if lines.len() - reminders + more == STRANGERS {
            assert!(reminders > 0 && lines.len() < 20, "{log}");
            return;
        }
        assert!(Instant::now() < end, "not all are told of:\n{log}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn number_after(line: &str, word: &str) -> usize {
    let (_, rest) = line.split_once(word).expect("it says how many");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

/// One node that logs much, to a pipe that is not read until it is asked for.
struct Talkative {
    child: Child,
    client: SocketAddr,
    metrics: SocketAddr,
    _folder: TempDir,
}

impl Talkative {
    fn start() -> Self {
        let folder = tempdir().expect("a folder");
        let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("binds"));
        let [peer, client, metrics] = held.map(|held| held.local_addr().expect("bound"));
        let file = folder.path().join("cluster.toml");
        let text = format!(
            "cluster = \"talk\"\nsecurity.plaintext = true\ninit_on_first_start = true\n[[nodes]]\nid = 1\npeer_address = \"{peer}\"\n\
             client_address = \"{client}\"\nmetrics_address = \"{metrics}\"\n\
             data_directory = \"data\"\n"
        );
        fs::write(&file, text).expect("written");
        let child = Command::new(PROGRAM)
            .args(["node", "--stop-with-stdin", "--id", "1", "--config"])
            .arg(&file)
            .env("RUST_LOG", "debug")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let node = Self {
            child,
            client,
            metrics,
            _folder: folder,
        };
        let end = Instant::now() + PATIENCE;
        while !node.has_metrics() {
            assert!(Instant::now() < end, "it does not serve");
            std::thread::sleep(Duration::from_millis(10));
        }
        node
    }

    /// Whether the node has metrics already: before it has founded its cluster it says that it has none.
    fn has_metrics(&self) -> bool {
        let asked = || -> std::io::Result<String> {
            let mut page = TcpStream::connect(self.metrics)?;
            page.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            page.read_to_string(&mut answer)?;
            Ok(answer)
        };
        asked().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Has it log a line for each of many connections.
    fn annoy(&self) {
        for _ in 0..500 {
            let mut client = TcpStream::connect(self.client).expect("connects");
            // It is closed by the other side as soon as that is read.
            let _ = client.write_all(b"nonsense\r\n\r\n");
        }
    }

    async fn dropped_lines(&self) -> u64 {
        let page = http()
            .get(format!("http://{}/metrics", self.metrics))
            .send()
            .await;
        let page = page.expect("served").text().await.expect("a page");
        let name = "lockstep_log_lines_dropped_total";
        assert!(page.contains(&format!("# TYPE {name} counter\n")), "{page}");
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("listed");
        line.trim().parse().expect("a number")
    }
}

impl Drop for Talkative {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_lines_are_counted_and_told_of_when_there_is_room_again() {
    let mut node = Talkative::start();
    assert_eq!(node.dropped_lines().await, 0);
    let end = Instant::now() + 3 * PATIENCE;
    while node.dropped_lines().await == 0 {
        assert!(Instant::now() < end, "nothing is dropped");
        node.annoy();
    }
    let log = BufReader::new(node.child.stderr.take().expect("piped"));
    let told = log
        .lines()
        .map(|line| line.expect("text"))
        .find(|line| line.contains("log lines were dropped here"));
    let told = told.expect("told before the log ends");
    let count: u64 = told
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .expect("a number");
    assert!((1..=node.dropped_lines().await).contains(&count), "{told}");
    send_signal(node.child.id(), "-TERM");
    wait_until_it_ends(node.child.id(), END);
}
