//! `checks explore`, as a program and over HTTP. What the page looks like is tested in a
//! browser: `checks/browser`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use checks::catalogue;
use checks::engine::Engine;
use checks::trace_file::TraceFile;
use serde_json::Value;
use tempfile::tempdir;

use crate::support::{on, verify};

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
    /// Where on the page it says to begin.
    place: String,
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
        let (address, rest) = rest.split_once('/').expect("the address ends");
        let (place, _) = rest.split_once(' ').expect("the place ends");
        Self {
            address: address.to_owned(),
            place: place.to_owned(),
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

/// The trace of a run that goes round for ever.
fn trace_of_a_loop(folder: &Path) -> String {
    let subject = catalogue::with_mutant("raft/live-retransmission", "RAFT-SENDS-ONCE");
    let subject = subject.expect("it is in the catalogue");
    let report = verify(subject.as_ref(), Engine::Native, &on(1), folder);
    assert_eq!((report.loop_start, report.steps.len()), (Some(6), 8));
    report.trace_file.expect("a trace")
}

#[test]
fn a_trace_is_followed_to_its_loop_and_round_it() {
    let folder = tempdir().expect("a folder");
    let explorer = Explorer::start(&["--trace", &trace_of_a_loop(folder.path())]);
    let place = explorer.place.clone();
    assert_eq!(place.matches('/').count(), 2 + 8, "{place}");

    let at = |place: &str| {
        let next = explorer.get(&format!("/.states{place}"));
        let next = next.as_array().expect("a list").clone();
        let words = |step: &Value| step["action"].as_str().expect("words").to_owned();
        let of_trace = next.into_iter().filter(|step| words(step).contains('◂'));
        let mut of_trace: Vec<_> = of_trace.map(|step| (words(&step), step)).collect();
        assert_eq!(of_trace.len(), 1, "one choice is the trace's: {of_trace:?}");
        of_trace.remove(0)
    };
    let place = place.strip_prefix("#/steps").expect("a place");
    let (words, _) = at("/0");
    assert_eq!(words, "n0: Election timeout  ◂ trace, step 1 of 6");
    let (words, begins) = at(place);
    let loop_begins = "n0: Heartbeat timeout  ◂ here the loop begins, step 1 of 2";
    assert_eq!(words, loop_begins);
    let around = format!("{place}/{}", begins["actionIndex"]);
    let (words, comes_round) = at(&around);
    assert!(words.ends_with("◂ loop, step 2 of 2"), "{words}");
    let svg = comes_round["svg"].as_str().expect("a picture");
    let ever = "and from here on for ever: violated: Every request is answered";
    for turn in [ever, "once round", "2 times round"] {
        assert!(svg.contains(turn), "{turn} is not in {svg}");
    }
    let (words, _) = at(&format!("{around}/{}", comes_round["actionIndex"]));
    assert_eq!(words, loop_begins, "and so on for ever");
}

#[test]
fn a_trace_that_does_not_fit_is_refused() {
    let folder = tempdir().expect("a folder");
    let file = trace_of_a_loop(folder.path());
    let mut trace = TraceFile::read(file.as_ref()).expect("a trace");
    let actions = trace.actions.as_array_mut().expect("a list");
    actions.remove(0);
    let edited = trace.write(folder.path()).expect("a writable folder");
    let edited = edited.display().to_string();
    for (arguments, hint) in [
        (["--trace", "missing.json"], "cannot read the trace"),
        (["--trace", &edited], "step 1 is not possible"),
    ] {
        let refused = output(&arguments);
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains(hint), "{said}");
    }
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
