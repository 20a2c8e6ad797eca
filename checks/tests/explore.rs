//! `checks explore`, as a program and over HTTP. What the page looks like is tested in a
//! browser: `checks/browser`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_checks"));
    command.arg("explore").args(arguments);
    command
}

fn output(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program runs")
}

/// A running Explorer, which ends with the test.
struct Explorer {
    child: Child,
    address: String,
}

impl Explorer {
    fn start(arguments: &[&str]) -> Self {
        let mut command = command(&[arguments, &["--port", "0"]].concat());
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it serves");
        let (_, rest) = line.split_once("http://").unwrap_or_else(|| {
            panic!("no address in \"{line}\"");
        });
        let (address, _) = rest.split_once('/').expect("the address ends");
        Self {
            address: address.to_owned(),
            child,
        }
    }

    fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let timeout = Some(Duration::from_secs(20));
        stream.set_read_timeout(timeout).expect("not zero");
        let host = &self.address;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(" 200 "), "{head}");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    /// Presses Ctrl-C and waits for the end.
    fn interrupt(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -INT \"$0\"", &pid])
            .status();
        assert!(sent.expect("there is a shell").success());
        let ended = self.child.wait().expect("it can be waited for");
        ended.code()
    }
}

impl Drop for Explorer {
    fn drop(&mut self) {
        // It may have ended already, as it should.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_answers_and_ends_well() {
    let explorer = Explorer::start(&["raft/election"]);
    let status = explorer.get("/.status");
    let properties = status["properties"].as_array().expect("a list");
    assert!(properties.iter().any(|row| row[1] == "Election Safety"));

    let start = explorer.get("/.states/");
    let state = start[0]["state"].as_str().expect("words");
    assert!(state.contains("n0: follower t0"), "{state}");

    let next = explorer.get("/.states/0");
    let next = next.as_array().expect("a list");
    let timeout = next
        .iter()
        .find(|step| step["action"] == "n0: Election timeout");
    let timeout = timeout.expect("n0 may stand for election");
    let outcome = timeout["outcome"].as_str().expect("words");
    assert!(outcome.contains("+ n0: candidate with n0 t1"), "{outcome}");
    let svg = timeout["svg"].as_str().expect("a picture");
    assert!(svg.starts_with("<svg"), "{svg}");
    assert!(svg.contains("Election timeout"), "{svg}");

    assert_eq!(explorer.interrupt(), Some(0));
}

#[test]
fn a_mutant_shows_its_violation() {
    let explorer = Explorer::start(&["--mutant", "RAFT-QUORUM"]);
    let next = explorer.get("/.states/0");
    let next = next.as_array().expect("a list");
    let drawn = next.iter().filter_map(|step| step["svg"].as_str());
    assert!({ drawn }.any(|svg| svg.contains("violated: Votes are durable")));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
    let port = listener
        .local_addr()
        .expect("it has one")
        .port()
        .to_string();
    let output = output(&["raft/election", "--port", &port]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&port) && said.contains("--port"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn an_unknown_name_gets_the_right_ones() {
    let unknown = output(&["raft/erection"]);
    assert_eq!(unknown.status.code(), Some(2));
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(said.contains("raft/election"), "{said}");

    let unknown = output(&["--mutant", "RAFT-0"]);
    assert_eq!(unknown.status.code(), Some(2));
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(said.contains("RAFT-1"), "{said}");
}
