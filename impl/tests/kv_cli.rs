//! The program, from its command line.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use lockstep::kv::config::{LogLimits, Timing};
use lockstep::kv::local::cluster::Processes;
use models::NodeId;
use tempfile::tempdir;

use crate::support::kv::PATIENCE;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_lockstep");

pub(crate) fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("RUST_LOG");
    command.output().expect("runs")
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_tells_every_command_flag_and_exit_code() {
    let pages: &[(&[&str], &[&str])] = &[
        (
            &["--help"],
            &["node", "kv", "demo", "--version", "RUST_LOG"],
        ),
        (
            &["node", "--help"],
            &[
                "--config",
                "--id",
                "--stop-with-stdin",
                "Exit code: 0",
                "lockstep config init kv",
                "lockstep config check",
                "hands its leadership over",
            ],
        ),
        (
            &["kv", "--help"],
            &[
                "put",
                "get",
                "delete",
                "--node",
                "--config",
                "--timeout",
                "0 when",
                "1 when",
                "2 on",
            ],
        ),
        (
            &["kv", "put", "--help"],
            &[
                "<KEY>",
                "[VALUE]",
                "1 MiB",
                "--file",
                "--key-base64",
                "--key-hex",
                "standard input",
            ],
        ),
        (
            &["kv", "get", "--help"],
            &["<KEY>", "byte for byte", "--output"],
        ),
        (&["kv", "delete", "--help"], &["<KEY>", "--key-hex"]),
        (
            &["kv", "list", "--help"],
            &["[PREFIX]", "--keys-only", "--json", "--limit"],
        ),
        (&["demo", "--help"], &["kv"]),
        (&["demo", "kv", "--help"], &["PASS", "Exit code"]),
    ];
    for (arguments, expected) in pages {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", err(&output));
        for part in *expected {
            assert!(
                out(&output).contains(part),
                "{arguments:?} lacks `{part}`\n{}",
                out(&output)
            );
        }
    }
}

/// The help of `node` names the command that writes a file, instead of one that nobody reads to the
/// end.
#[test]
fn the_file_that_the_help_names_is_right() {
    let page = out(&run(&["node", "--help"]));
    assert!(page.lines().count() < 60, "{page}");
    let command = "config init kv";
    assert!(page.contains(&format!("lockstep {command}")), "{page}");
    let folder = tempdir().expect("a folder");
    let file = folder.path().join("cluster.toml");
    let mut arguments: Vec<&str> = command.split(' ').collect();
    arguments.extend(["--file", file.to_str().expect("text")]);
    let written = run(&arguments);
    assert!(written.status.success(), "{}", err(&written));
    let config = lockstep::kv::Config::load(&file).expect("it is right");
    assert_eq!(
        (config.timing, config.log),
        (Timing::default(), LogLimits::default())
    );
    let text = fs::read_to_string(&file).expect("read");
    for value in [
        "election_min_ms = 300",
        "member = false",
        "peer_listen = ",
        "client_listen = ",
        "metrics_address = ",
    ] {
        assert!(text.contains(value), "{value} is not in\n{text}");
    }
}

/// What was put under the key, as the log shows it.
fn values_in_log(config_file: &str, key: &str) -> Vec<String> {
    let log = run(&["kv", "--config", config_file, "log", "--limit", "9"]);
    assert_eq!(log.status.code(), Some(0), "{}", err(&log));
    let log = out(&log);
    let entries = log.lines().map(serde_json::from_str::<serde_json::Value>);
    let entries = entries.map(|entry| entry.expect("JSON"));
    let puts = entries.filter(|entry| entry["key"] == key);
    puts.map(|entry| entry["value"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_cluster_is_used_from_the_command_line() {
    let nodes = Processes::start(Path::new(PROGRAM), 3, Timing::default()).expect("starts");
    let file = nodes.config_file();
    let file = file.to_str().expect("text");
    let put = run(&["kv", "--config", file, "put", "a key", "a value"]);
    assert_eq!(put.status.code(), Some(0), "{}", err(&put));
    let one = nodes.client_addresses()[0].clone();
    let get = run(&["kv", "--node", &one, "get", "a key"]);
    assert_eq!(
        (get.status.code(), out(&get).as_str()),
        (Some(0), "a value")
    );
    // The first node is not there: the others are tried.
    let get = run(&[
        "kv",
        "get",
        "a key",
        "--node",
        "127.0.0.1:1",
        "--node",
        &one,
    ]);
    assert_eq!(
        (get.status.code(), out(&get).as_str()),
        (Some(0), "a value")
    );
    // A follower hears a moment later what is committed.
    let end = Instant::now() + PATIENCE;
    while values_in_log(file, "a key") != ["a value"] {
        assert!(Instant::now() < end, "the write is not in the log");
    }
    let delete = run(&["kv", "--config", file, "delete", "a key"]);
    assert_eq!(delete.status.code(), Some(0));
    for command in ["get", "delete"] {
        let missing = run(&["kv", "--config", file, command, "a key"]);
        assert_eq!(missing.status.code(), Some(1), "{}", err(&missing));
        assert_eq!(err(&missing), "no such key\n");
    }
}

#[test]
fn what_cannot_be_done_exits_with_2_and_says_why() {
    let bad: &[(&[&str], &str)] = &[
        (&["kv", "get", "k"], "name one with --node"),
        (&["kv", "get", "k", "--timeout", "0", "--node", "x:1"], "0"),
        (
            &["kv", "get", "k", "--timeout", "1", "--node", "127.0.0.1:1"],
            "no node could be reached within 1s",
        ),
        (
            &["kv", "get", "k", "--config", "/nowhere.toml"],
            "/nowhere.toml: cannot be read",
        ),
        (
            &["node", "--config", "/nowhere.toml", "--id", "1"],
            "/nowhere.toml: cannot be read",
        ),
        (&["node", "--id", "1"], "--config"),
        (&["nonsense"], "nonsense"),
    ];
    for (arguments, expected) in bad {
        let output = run(arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            err(&output)
        );
        assert!(
            err(&output).contains(expected),
            "{arguments:?}: {}",
            err(&output)
        );
    }
}

#[test]
fn a_node_says_why_it_does_not_start() {
    let nodes = Processes::start(Path::new(PROGRAM), 1, Timing::default()).expect("starts");
    let file = nodes.config_file();
    let file = file.to_str().expect("text");
    let absent = run(&["node", "--config", file, "--id", "9"]);
    assert_eq!(absent.status.code(), Some(2));
    assert!(
        err(&absent).contains("there is no node with id 9"),
        "{}",
        err(&absent)
    );
    // The node runs already, and has its addresses.
    let second = run(&["node", "--config", file, "--id", "1"]);
    assert_eq!(second.status.code(), Some(2));
    assert!(err(&second).contains("(peer_address)"), "{}", err(&second));
}

#[test]
fn the_demo_passes() {
    let demo = run(&["demo", "kv"]);
    assert_eq!(demo.status.code(), Some(0), "{}{}", out(&demo), err(&demo));
    assert!(out(&demo).ends_with("PASS\n"), "{}", out(&demo));
}

/// Each message is shown when it is sent; and the same steps pass.
#[test]
fn the_slow_demo_shows_messages_and_passes() {
    let demo = run(&["demo", "kv", "--slow", "10ms"]);
    let text = out(&demo);
    assert_eq!(demo.status.code(), Some(0), "{text}{}", err(&demo));
    assert!(text.ends_with("PASS\n"), "{text}");
    for message in [
        " PreVote ",
        " RequestVote ",
        " AppendEntries ",
        " AppendEntriesResponse ",
    ] {
        let shown = text
            .lines()
            .filter(|line| line.contains(" s  n") && line.contains(message));
        assert!(shown.count() > 0, "{message} is not in\n{text}");
    }
    for wrong in ["2s", "9ms", "soon"] {
        let refused = run(&["demo", "kv", "--slow", wrong]);
        assert_eq!(refused.status.code(), Some(2), "{}", err(&refused));
    }
}

/// The node takes SIGTERM as a wish, and what it has acknowledged is there again.
#[test]
fn a_terminated_node_stops_in_order_and_keeps_everything() {
    let mut nodes = Processes::start(Path::new(PROGRAM), 1, Timing::default()).expect("starts");
    let address = nodes.client_addresses()[0].clone();
    assert!(
        run(&["kv", "--node", &address, "put", "k", "v"])
            .status
            .success()
    );
    let pid = nodes.pid(NodeId(1)).expect("runs").to_string();
    let kill = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(kill.expect("runs").success());
    let ended = nodes.stop_all().expect("stops");
    assert!(ended[0].1.success(), "{ended:?}");
    assert!(nodes.log_tail(NodeId(1)).contains("stopped in order"));
    nodes.launch(NodeId(1)).expect("starts again");
    let get = run(&["kv", "--node", &address, "get", "k"]);
    assert_eq!(out(&get), "v");
}

/// A limit on the size of files stands for a disk that fails.
#[test]
fn a_node_whose_journal_fails_exits_and_says_so() {
    let mut nodes = Processes::start(Path::new(PROGRAM), 1, Timing::default()).expect("starts");
    let address = nodes.client_addresses()[0].clone();
    nodes.kill(NodeId(1)).expect("killed");
    let file = nodes.config_file();
    // In blocks of 512 bytes: less than two values of a megabyte.
    let script = "trap '' XFSZ; ulimit -f 3000; exec \"$0\" node --id 1 --config \"$1\"";
    let folder = tempdir().expect("a folder");
    let log = folder.path().join("log");
    let mut node = KillOnDrop(
        Command::new("sh")
            .args(["-c", script, PROGRAM])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("starts"),
    );
    let large = "x".repeat(100_000);
    let mut acknowledged = 0;
    for number in 0..40 {
        let key = number.to_string();
        let put = run(&[
            "kv",
            "--node",
            &address,
            "--timeout",
            "3",
            "put",
            &key,
            &large,
        ]);
        if !put.status.success() {
            break;
        }
        acknowledged += 1;
    }
    let status = node.wait();
    let log = fs::read_to_string(log).expect("a log");
    assert!(
        (1..40).contains(&acknowledged),
        "{acknowledged} acknowledged: {log}"
    );
    assert_eq!(status.code(), Some(2), "{log}");
    assert!(
        log.contains("answers nothing more, because its journal failed"),
        "{log}"
    );
    // With the limit gone, everything acknowledged is there.
    nodes.launch(NodeId(1)).expect("starts again");
    let last = (acknowledged - 1).to_string();
    let get = run(&["kv", "--node", &address, "get", &last]);
    assert_eq!(out(&get), large);
}

/// A process that does not outlive its test.
struct KillOnDrop(Child);

impl KillOnDrop {
    /// Waits until it has ended by itself.
    fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().expect("a process") {
                return status;
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // One that has ended is there no more: that is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
