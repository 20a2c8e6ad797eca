//! `lockstep heartbeat`.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use lockstep::heartbeat::ClusterConfig;
use serde_json::Value;

use crate::support::program::{PROGRAM, refused, succeeded};

/// Members as processes, in a folder with their file.
struct Members {
    folder: tempfile::TempDir,
    running: Vec<Child>,
}

impl Drop for Members {
    fn drop(&mut self) {
        for child in &mut self.running {
            // One that has ended by itself needs none.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
    socket.local_addr().expect("bound").port()
}

impl Members {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let text = format!(
            "service = \"heartbeat\"\nname = \"blue\"\nvoters = [1, 2, 3]\n\
             [discovery]\nmethod = \"broadcast\"\nport = {}\naddress = \"127.255.255.255\"\n\
             [security]\nplaintext = true\n\
             [timing]\nrequest_timeout_ms = 3000\n",
            free_port()
        );
        std::fs::write(folder.path().join("heartbeat.toml"), text).expect("written");
        Self {
            folder,
            running: Vec::new(),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(["heartbeat"])
            .args(args)
            .args(["--config", "heartbeat.toml"]);
        command
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(self.folder.path());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("runs")
    }

    /// Starts a member, and waits until it says so.
    fn launch(&mut self, id: u16, load: &str) {
        let (id, data) = (id.to_string(), format!("data-{id}"));
        let mut command = self.command(&["run", "--id", &id, "--data", &data, "--load", load]);
        command.args(["--stop-with-stdin", "--service", "127.0.0.1:8080"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let out = child.stdout.take().expect("a pipe");
        self.running.push(child);
        let mut out = BufReader::new(out);
        let mut line = String::new();
        out.read_line(&mut line).expect("it says where it listens");
        assert!(line.contains("listens on 127.0.0.1:"), "{line}");
        // Nobody reads on: what it tells is dropped here.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    }

    fn members(&self) -> Value {
        let output = self.run(&["members", "--json", "--timeout", "1"]);
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let end = std::time::Instant::now() + crate::support::heartbeat::PATIENCE;
        loop {
            let members = self.members();
            if is_so(&members) {
                return;
            }
            assert!(std::time::Instant::now() < end, "{what}: {members}");
        }
    }
}

#[test]
fn members_are_run_and_asked_from_the_command_line() {
    let mut members = Members::new();
    for (id, load) in [(1, "0.1"), (2, "0.1"), (3, "0.1"), (4, "0.9"), (5, "0.3")] {
        members.launch(id, load);
    }
    members.until("five members with their loads", |list| {
        let told = list["members"].as_array().map(|members| {
            members
                .iter()
                .filter(|member| member["load"].is_number())
                .count()
        });
        list["current"] == true && told == Some(5)
    });
    let said = succeeded(&members.run(&["members"]));
    assert_eq!(said.lines().count(), 5, "{said}");
    assert_eq!(said.matches(" leader ").count(), 1, "{said}");

    assert_eq!(
        succeeded(&members.run(&["set", "colour", "blue - or green"])),
        ""
    );
    assert_eq!(
        succeeded(&members.run(&["get", "colour"])),
        "blue - or green"
    );
    assert_eq!(succeeded(&members.run(&["delete", "colour"])), "");
    for missing in [&["get", "colour"][..], &["delete", "colour"]] {
        let output = members.run(missing);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("there is no key `colour`"));
    }
    succeeded(&members.run(&["set", "colour", "red"]));

    // The leader is given none, and neither is who has too much.
    let said = succeeded(&members.run(&["balance"]));
    let ids: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(ids.len(), 3, "{said}");
    assert_eq!(ids.last(), Some(&"5"), "{said}");
    assert!(!ids.contains(&"4"), "{said}");

    // A majority of the voters dies, once the third knows what is committed: a heartbeat later.
    std::thread::sleep(std::time::Duration::from_secs(1));
    for child in &mut members.running[..2] {
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    members.until("nobody leads", |list| {
        list["current"] == false && list["leader"].is_null()
    });
    let output = members.run(&["members", "--timeout", "1"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = refused(&members.run(&["set", "colour", "green"]));
    assert!(said.contains("nothing was changed"), "{said}");
    let said = refused(&members.run(&["get", "colour"]));
    assert!(said.contains("no majority"), "{said}");
    let output = members.run(&["get", "colour", "--stale"]);
    assert_eq!(succeeded(&output), "red");
    assert!(String::from_utf8_lossy(&output.stderr).contains("last in touch with a leader"));
    let said = refused(&members.run(&["balance", "--timeout", "1"]));
    assert!(said.contains("nobody is given work"), "{said}");
}

fn run_in(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command
        .args(args)
        .current_dir(folder)
        .output()
        .expect("runs")
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cluster.toml");
    let run = |args: &[&str]| run_in(folder.path(), args);
    let said = succeeded(&run(&["config", "init", "heartbeat"]));
    assert!(said.contains("cluster.toml is written"), "{said}");
    let said = succeeded(&run(&["config", "check", "cluster.toml"]));
    assert!(
        said.contains("a cluster of heartbeat, `example`, of the voters 1, 2, 3"),
        "{said}"
    );

    let member = |args: &[&str]| {
        let args = [&["heartbeat", "run", "--config", "cluster.toml"], args].concat();
        refused(&run(&args))
    };
    let said = member(&["--id", "1"]);
    assert!(
        said.contains("member 1 votes, and has no folder") && said.contains("--data"),
        "{said}"
    );
    let said = member(&["--id", "4", "--listen", "192.0.2.1:1"]);
    assert!(said.contains("cannot listen on 192.0.2.1:1"), "{said}");
    let said = refused(&run(&["node", "--config", "cluster.toml", "--id", "1"]));
    assert!(said.contains("lockstep heartbeat run"), "{said}");
    let said = refused(&run(&["status", "--config", "cluster.toml"]));
    assert!(said.contains("lockstep heartbeat"), "{said}");
    let said = refused(&run(&[
        "config",
        "init",
        "heartbeat",
        "--nodes",
        "8",
        "--file",
        "other.toml",
    ]));
    assert!(said.contains("nothing was written"), "{said}");

    let text = std::fs::read_to_string(&file).expect("a file");
    for (from, to, words) in [
        ("voters", "votrs", "did you mean `voters`?"),
        ("\"broadcast\"", "\"brodcast\"", "did you mean `broadcast`?"),
        (
            "heartbeat_ms = 150",
            "heartbeat_ms = 400",
            "timing.election_min_ms",
        ),
        (
            "dead_after_ms = 2000",
            "dead_after_ms = 20",
            "timing.dead_after_ms",
        ),
        ("[1, 2, 3]", "[]", "voters: there is none"),
    ] {
        std::fs::write(&file, text.replacen(from, to, 1)).expect("written");
        let said = refused(&run(&["config", "check", "cluster.toml"]));
        assert!(said.contains(words), "{to}: {said}");
    }
}

#[test]
fn the_example_is_right_and_says_the_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../heartbeat.example.toml");
    let written = ClusterConfig::load(&file).expect("right in every respect");
    let mut usual = ClusterConfig::new("workshop", [1, 2, 3]);
    usual.discovery = written.discovery.clone();
    assert_eq!(written, usual);
}

#[test]
fn who_is_not_there_is_not_found() {
    let members = Members::new();
    let said = refused(&members.run(&["members", "--timeout", "1"]));
    assert!(said.contains("no member of `blue` has answered"), "{said}");
    let said = refused(&members.run(&["get", "colour", "--timeout", "1"]));
    assert!(said.contains("nothing was changed"), "{said}");
}
