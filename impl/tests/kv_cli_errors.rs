//! What the command line says when there is no result: who was not reached, what was not done, and
//! what nobody can know.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use lockstep::kv::client::Client;
use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use lockstep::kv::status::Report;
use models::NodeId;
use tokio::runtime::Runtime;

use crate::kv_cli::{PROGRAM, err, out, run};
use crate::support::kv::PATIENCE;

#[test]
fn an_address_that_is_none_is_refused_before_anything_is_sent() {
    for (address, words) in [
        (
            "http://127.0.0.1:7500",
            "is a URL; write \"127.0.0.1:7500\"",
        ),
        (
            "http://127.0.0.1:7500/kv",
            "is a URL; write \"127.0.0.1:7500\"",
        ),
        (
            "https://node-1",
            "is a URL; write host:port, such as \"node-1:7500\"",
        ),
        (
            "localhost",
            "has no port; write host:port, such as \"localhost:7500\"",
        ),
        (
            "::1",
            "write it in brackets and add the port: \"[::1]:7500\"",
        ),
        ("1:2:3:4:5:6:7:8:7500", "write \"[1:2:3:4:5:6:7:8]:7500\""),
        ("localhost:http", "has the port `http`"),
    ] {
        for command in [&["get", "k"][..], &["put", "k", "v"], &["list"]] {
            // The time-out would be felt: it is said at once.
            let arguments = ["kv", "--timeout", "3600", "--node", address];
            let output = run(&[&arguments, command].concat());
            assert_eq!(output.status.code(), Some(2), "{address}");
            let said = err(&output);
            assert!(said.contains(words), "{address}: {said}");
            assert!(said.contains("Nothing was sent"), "{address}: {said}");
        }
    }
    let names = run(&[
        "kv",
        "--timeout",
        "1",
        "--node",
        "localhost:1",
        "--node",
        "[::1]:1",
        "get",
        "k",
    ]);
    assert!(
        err(&names).contains("no node could be reached"),
        "{}",
        err(&names)
    );
}

/// A connection that was refused carried nothing.
#[test]
fn a_write_that_was_never_sent_was_not_done() {
    for command in [
        &["put", "k", "v"][..],
        &["delete", "k"],
        &["get", "k"],
        &["list"],
    ] {
        let arguments = ["kv", "--timeout", "1", "--node", "127.0.0.1:1"];
        let output = run(&[&arguments, command].concat());
        let said = err(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("no node could be reached within 1s"),
            "{said}"
        );
        assert!(said.contains("nothing was changed"), "{said}");
        assert!(said.contains("127.0.0.1:1?"), "{said}");
        assert!(!said.contains("may have been"), "{said}");
    }
}

/// A listener that never takes what it is sent: only a write may have been done, for all one knows.
#[test]
fn only_a_write_that_was_sent_may_have_been_done() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("bound").to_string();
    let said = |command: &[&str]| {
        let arguments = ["kv", "--timeout", "1", "--node", &address];
        let output = run(&[&arguments, command].concat());
        assert_eq!(output.status.code(), Some(2));
        err(&output)
    };
    for write in [&["put", "k", "v"][..], &["delete", "k"]] {
        let said = said(write);
        assert!(said.contains("no answer within 1s"), "{said}");
        assert!(said.contains("the write may have been done"), "{said}");
        assert!(said.contains("Read it back"), "{said}");
    }
    for read in [&["get", "k"][..], &["list"]] {
        let said = said(read);
        assert!(said.contains("no answer within 1s"), "{said}");
        assert!(said.contains("nothing was changed"), "{said}");
        assert!(!said.contains("write"), "{said}");
    }
}

/// One of three is left: it answers, and cannot know of a leader.
#[test]
fn a_cluster_without_a_leader_is_told_from_one_that_is_not_there() {
    let mut nodes = Processes::start(Path::new(PROGRAM), 3, Timing::default()).expect("starts");
    let alone = nodes.client_addresses()[0].clone();
    nodes.kill(NodeId(2)).expect("killed");
    nodes.kill(NodeId(3)).expect("killed");
    wait_until_it_knows_no_leader(&alone);
    for command in [&["put", "k", "v"][..], &["get", "k"], &["list"]] {
        // The node that is down comes last: it changes nothing about what is known.
        let arguments = [
            "kv",
            "--timeout",
            "4",
            "--node",
            &alone,
            "--node",
            "127.0.0.1:1",
        ];
        let output = run(&[&arguments, command].concat());
        let said = err(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("no leader within 4s"), "{said}");
        assert!(said.contains("nothing was changed"), "{said}");
        assert!(!said.contains("may have been"), "{said}");
    }
}

fn wait_until_it_knows_no_leader(address: &str) {
    let client = Client::new(vec![address.to_owned()], PATIENCE).expect("a client");
    let end = Instant::now() + PATIENCE;
    let runtime = Runtime::new().expect("starts");
    loop {
        let report: Result<Report, String> = runtime.block_on(client.status(address));
        if report.as_ref().is_ok_and(|report| report.leader.is_none()) {
            return;
        }
        assert!(Instant::now() < end, "{report:?}");
    }
}

/// It listens on all interfaces, and is dialled by name.
#[test]
fn a_node_listens_where_the_file_says_and_is_dialled_at_its_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut nodes = Vec::new();
    let free = || {
        let found = TcpListener::bind("127.0.0.1:0").expect("a port");
        found.local_addr().expect("bound").port()
    };
    let (peer, client, metrics) = (free(), free(), free());
    let file = folder.path().join("cluster.toml");
    let text = format!(
        "cluster = \"blue\"\nsecurity.plaintext = true\ninit_on_first_start = true\n[[nodes]]\nid = 1\n\
         peer_address = \"localhost:{peer}\"\nclient_address = \"localhost:{client}\"\n\
         peer_listen = \"0.0.0.0:{peer}\"\nclient_listen = \"0.0.0.0:{client}\"\n\
         metrics_address = \"0.0.0.0:{metrics}\"\ndata_directory = \"data\"\n"
    );
    std::fs::write(&file, text).expect("written");
    let file = file.to_str().expect("text");
    let node = Command::new(PROGRAM)
        .args(["node", "--stop-with-stdin", "--config", file, "--id", "1"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    nodes.push(node);
    let put = run(&["kv", "--timeout", "20", "--config", file, "put", "k", "v"]);
    assert_eq!(put.status.code(), Some(0), "{}", err(&put));
    let address = format!("127.0.0.1:{client}");
    assert_eq!(out(&run(&["kv", "--node", &address, "get", "k"])), "v");
    for mut node in nodes {
        // Its standard input ends here, and so does it.
        drop(node.stdin.take());
        assert!(node.wait().expect("ends").success());
    }
}
