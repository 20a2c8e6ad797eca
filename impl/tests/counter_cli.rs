//! `lockstep counter`, and nodes without a cluster file.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use lockstep::counter::Config;
use serde_json::Value;

use crate::support::counter::{PATIENCE, exchanges_with, processes};
use crate::support::processes::{ONE, THREE, TWO, lockstep};
use crate::support::program::{PROGRAM, refused, succeeded};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_counts_and_reads_from_the_command_line() {
    let nodes = processes(3);
    exchanges_with(&nodes, ONE, &[TWO, THREE]).await;
    let run = |args: &[&str]| succeeded(&lockstep(&nodes, &[&["counter"], args].concat()));
    assert_eq!(run(&["get"]), "0\n");
    assert_eq!(run(&["inc"]), "1\n");
    assert_eq!(run(&["inc", "41"]), "42\n");
    assert_eq!(run(&["get"]), "42\n");
    let json = |args: &[&str]| -> Value { serde_json::from_str(&run(args)).expect("JSON") };
    assert_eq!(json(&["window", "--secs", "60"])["value"], 42);
    assert_eq!(
        json(&["verbose"])["components"]
            .as_array()
            .expect("a list")
            .len(),
        1
    );
    assert_eq!(
        json(&["cluster"])["members"]
            .as_array()
            .expect("a list")
            .len(),
        3
    );
    let fails = |args: &[&str], words: &str| {
        let said = refused(&lockstep(&nodes, &[&["counter"], args].concat()));
        assert!(said.contains(words), "{args:?}: {said}");
    };
    fails(&["inc", "0"], "nothing was counted");
    fails(&["inc", "ten"], "invalid value 'ten'");
    fails(&["inc", "18446744073709551616"], "invalid value");
    fails(&["window", "--secs", "301"], "in the latest 300 seconds");
    fails(&["leave"], "name the node that is to leave");
    fails(
        &["get", "--timeout", "1", "--node", "nowhere"],
        "Nothing was sent",
    );
    assert_eq!(run(&["get"]), "42\n");
    // All know it in the end, and `status` says so.
    let end = Instant::now() + PATIENCE;
    while !lockstep(&nodes, &["status"]).status.success() {
        assert!(Instant::now() < end, "{:?}", lockstep(&nodes, &["status"]));
    }
    let mut check = Command::new(PROGRAM);
    check.args(["config", "check"]).arg(nodes.config_file());
    let said = succeeded(&check.output().expect("runs"));
    assert!(said.contains("a cluster of counter"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_answers_it_is_said_that_nothing_was_counted() {
    let mut nodes = processes(1);
    nodes.kill_all().expect("killed");
    let said = refused(&lockstep(&nodes, &["counter", "inc", "--timeout", "1"]));
    assert!(said.contains("nothing was counted"), "{said}");
}

/// A node that ends with this value.
struct Served {
    child: Child,
}

impl Drop for Served {
    fn drop(&mut self) {
        // One that has ended by itself needs none.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Three free ports, one after the other.
fn ports() -> u16 {
    for _ in 0..100 {
        let first = fastrand::u16(20_000..31_000);
        let held = (first..first + 3).map(|port| TcpListener::bind(("127.0.0.1", port)));
        if held.collect::<Result<Vec<_>, _>>().is_ok() {
            return first;
        }
    }
    panic!("no free ports");
}

fn serve(folder: &Path, args: &[&str]) -> Served {
    let child = Command::new(PROGRAM)
        .current_dir(folder)
        .args(["counter", "serve", "--stop-with-stdin"])
        .args(args)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    Served {
        child: child.expect("starts"),
    }
}

fn at(port: u16, args: &[&str]) -> Output {
    let node = format!("127.0.0.1:{port}");
    let output = Command::new(PROGRAM)
        .arg("counter")
        .args(args)
        .args(["--timeout", "20", "--node", &node])
        .output();
    output.expect("runs")
}

/// The flags of the program that this one is after: a port for clients, a port for the others, and
/// whom to join.
#[test]
fn nodes_without_a_file_join_by_the_members_that_they_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let [first, second] = [ports(), ports()].map(|port| port.to_string());
    let other = |port: &str, by| port.parse::<u16>().expect("a port") + by;
    let _one = serve(folder.path(), &["--id", "1", "--port", &first]);
    let members = format!("127.0.0.1:{},127.0.0.1:1", other(&first, 1));
    let rpc_port = other(&second, 1).to_string();
    let args = ["--id", "2", "--port", &second, "--rpc_port", &rpc_port];
    let _two = serve(
        folder.path(),
        &[&args[..], &["--members", &members]].concat(),
    );
    let counted = |port: &str, amount| {
        let output = at(other(port, 0), &["inc", amount]);
        succeeded(&output).trim().parse::<u64>().expect("a number")
    };
    assert_eq!(counted(&first, "5"), 5);
    assert!(counted(&second, "37") >= 37);
    let end = Instant::now() + PATIENCE;
    for port in [&first, &second] {
        while succeeded(&at(other(port, 0), &["get"])) != "42\n" {
            assert!(Instant::now() < end, "they do not come together");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let output = Command::new(PROGRAM)
        .args(["counter", "serve", "--members", "nowhere"])
        .output();
    let said = refused(&output.expect("runs"));
    assert!(
        said.contains("counter.members[0]") && said.contains("nothing was started"),
        "{said}"
    );
}

#[test]
fn the_demo_passes() {
    let ran = Command::new(PROGRAM).args(["demo", "counter"]).output();
    let said = succeeded(&ran.expect("runs"));
    assert!(said.ends_with("PASS\n"), "{said}");
}

#[test]
fn the_example_is_the_usual_configuration() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../counter.example.toml");
    let config = Config::load(&file).expect("right in every respect");
    assert_eq!(config, Config::of("clicks", config.nodes.clone()));
}
