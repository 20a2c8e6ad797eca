//! `lockstep files`, and a cluster that a list of nodes describes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use lockstep::files::config::{Config, LogLimits, Timing};
use lockstep::files::local::cluster::Processes;
use lockstep::service::config::{NodeConfig, ServiceConfig, ServiceKind, service_of};
use models::NodeId;

use crate::support::files::{PATIENCE, leader, processes, report};
use crate::support::loopback::http;
use crate::support::program::PROGRAM;

fn run(nodes: &Processes, args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("files").args(args);
    // Everybody has all that was written by then.
    command
        .args(["--sync", "--config"])
        .arg(nodes.config_file());
    let mut child: Child = { command.stdin(Stdio::piped()).stdout(Stdio::piped()) }
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A command that does not read its input ends before.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("ends");
    writer.join().expect("written");
    output
}

fn done(nodes: &Processes, args: &[&str]) -> String {
    let output = run(nodes, args, b"");
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn fails(nodes: &Processes, args: &[&str], code: i32, said: &str) {
    let output = run(nodes, args, b"");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    assert!(error.contains(said), "{args:?}: {error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_written_and_read_from_the_command_line() {
    let nodes = processes(3, LogLimits::default());
    leader(&nodes, 3).await;
    done(&nodes, &["create", "notes/today", "one\n"]);
    done(&nodes, &["append", "notes/today", "two\n"]);
    assert_eq!(done(&nodes, &["read", "notes/today"]), "one\ntwo\n");
    assert_eq!(
        done(
            &nodes,
            &["read", "notes/today", "--offset", "4", "--length", "3"]
        ),
        "two"
    );
    fails(&nodes, &["create", "notes/today", "x"], 2, "there already");
    fails(
        &nodes,
        &["append", "notes/today", "x", "--if-version", "1"],
        2,
        "nothing was changed",
    );
    fails(&nodes, &["read", "nowhere"], 1, "no such file");
    fails(&nodes, &["stat", "nowhere"], 1, "no such file");
    fails(&nodes, &["delete", "nowhere"], 1, "no such file");
    fails(&nodes, &["create", "a//b", "x"], 2, "nothing was sent");
    fails(
        &nodes,
        &["create", "a", "--file", "/nowhere"],
        2,
        "nothing was sent",
    );
    let stat = done(&nodes, &["stat", "notes/today", "--json"]);
    let stat: serde_json::Value = serde_json::from_str(&stat).expect("JSON");
    assert_eq!(stat["size"], 8);
    assert!(done(&nodes, &["stat", "notes/today"]).contains("size         8\n"));

    // More than one request can carry, byte for byte.
    let folder = tempfile::tempdir().expect("a folder");
    let (source, copy) = (folder.path().join("source"), folder.path().join("copy"));
    let large: Vec<u8> = (0..5 << 20).map(|at: u32| (at ^ (at >> 8)) as u8).collect();
    fs::write(&source, &large).expect("written");
    done(
        &nodes,
        &["create", "large", "--file", source.to_str().expect("text")],
    );
    done(
        &nodes,
        &["read", "large", "--output", copy.to_str().expect("text")],
    );
    assert!(
        fs::read(&copy).expect("read") == large,
        "the copy is another"
    );
    let piped = run(&nodes, &["append", "large", "-"], &large);
    assert!(piped.status.success(), "{piped:?}");
    assert!(run(&nodes, &["read", "large"], b"").stdout == [&large[..], &large[..]].concat());

    let batch = r#"{"operations":[{"op":"create","path":"a","content":"x"},{"op":"delete","path":"large"}]}"#;
    let output = run(&nodes, &["batch"], batch.as_bytes());
    assert!(output.status.success(), "{output:?}");
    let output = run(&nodes, &["batch"], batch.as_bytes());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("operation 0 failed"), "{error}");
    assert_eq!(done(&nodes, &["ls"]), "a\nnotes/today\n");
    assert!(done(&nodes, &["ls", "n", "--long"]).ends_with("\tnotes/today\n"));
    let seen = done(&nodes, &["watch", "notes/", "--from", "0", "--limit", "2"]);
    assert_eq!(seen.lines().count(), 2);
    assert!(seen.contains("\"kind\":\"created\""), "{seen}");

    let lines = b"# a comment\ncreate s/1 some words\nappend s/1  more\nread s/1\nls s/\n\
                  create \"s/a b\" x\nread \"s/a b\"\ndelete s/1\nquit\nread s/2\n";
    let output = run(&nodes, &["shell"], lines);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.starts_with("some words more\n"), "{text}");
    assert!(text.ends_with("x\n"), "{text}");
    let output = run(&nodes, &["shell"], b"read s/2\nmove a\n");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("no such file") && error.contains("no command `move`"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shell_does_batches_and_watches() {
    let nodes = processes(3, LogLimits::default());
    leader(&nodes, 3).await;
    let shell = |lines: &str| {
        let output = run(&nodes, &["shell"], lines.as_bytes());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let lines = "batch\n# a remark\ncreate b/1 one\ncreate \"b/two words\" x\ncheck b/3 absent\n\
                 commit\nls b/\nread b/1\nwatch b/ from 0 limit 1\nread b/1\n";
    let (code, shown, said) = shell(lines);
    assert_eq!((code, &*said), (Some(0), ""), "{shown}");
    let shown: Vec<&str> = shown.lines().collect();
    assert!(shown[0].starts_with("done, in version "), "{shown:?}");
    assert!(
        shown[1].ends_with("\tb/1") && shown[2].ends_with("\tb/two words"),
        "{shown:?}"
    );
    assert_eq!(
        (shown[3], shown[5], shown.len()),
        ("one", "one", 6),
        "the shell goes on"
    );
    let change: serde_json::Value = serde_json::from_str(shown[4]).expect("a change");
    assert_eq!(
        change["files"].as_array().map(Vec::len),
        Some(2),
        "{change}"
    );

    // None is done where one fails, is not understood, or is given up.
    let version = change["position"].as_u64().expect("a position");
    for (lines, code, words) in [
        (
            format!("batch\ncreate b/4 x\ncheck b/1 {}\ncommit\n", version + 1),
            2,
            "nothing was changed",
        ),
        (
            "batch\ncreate b/4 x\nrename b/1 b/2\ncommit\n".to_owned(),
            2,
            "a batch has no `rename`",
        ),
        (
            "batch\ncreate b/4 x\n".to_owned(),
            2,
            "the input ended within a batch",
        ),
        ("batch now\n".to_owned(), 2, "a line for each"),
        (
            "watch b/ until dawn\n".to_owned(),
            2,
            "watch has no `until`",
        ),
        (
            "batch\ncreate b/4 x\nabort\nstat b/4\n".to_owned(),
            1,
            "no such file",
        ),
    ] {
        let (ended, shown, said) = shell(&lines);
        assert_eq!(ended, Some(code), "{lines}: {shown}{said}");
        assert!(said.contains(words), "{lines}: {said}");
    }
    fails(&nodes, &["stat", "b/4"], 1, "no such file");
    let lines =
        format!("batch\nreplace b/1 {version} other\ndelete \"b/two words\" {version}\ncommit\n");
    assert_eq!(shell(&lines).0, Some(0));
    assert_eq!(done(&nodes, &["read", "b/1"]), "other");
    assert_eq!(done(&nodes, &["ls", "b/"]), "b/1\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_nodes_is_a_cluster() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("nodes.txt");
    let mut lines = String::from("# id address peer-port client-port\n");
    let mut clients = Vec::new();
    for id in 1..=3 {
        let node = Processes::new_node(NodeId(id)).expect("free ports");
        let port = |address: &str| address.rsplit(':').next().expect("a port").to_owned();
        let (peer, client) = (port(&node.peer_address), port(&node.client_address));
        lines += &format!("{id} 127.0.0.1 {peer} {client}\n");
        clients.push(node.client_address);
    }
    fs::write(&file, lines).expect("written");
    let mut nodes: Vec<Child> = (1..=3).map(|id| start(&file, id)).collect();
    let end = std::time::Instant::now() + PATIENCE;
    let http = http();
    loop {
        let mut served = 0;
        for address in &clients {
            served += usize::from(
                report(&http, address)
                    .await
                    .is_some_and(|one| one.leader.is_some()),
            );
        }
        if served == 3 {
            break;
        }
        assert!(std::time::Instant::now() < end, "the cluster is not there");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let created = Command::new(PROGRAM)
        .args(["files", "create", "f", "x", "--config"])
        .arg(&file)
        .output()
        .expect("runs");
    assert!(created.status.success(), "{created:?}");
    for node in &mut nodes {
        drop(node.stdin.take());
    }
    for mut node in nodes {
        assert!(node.wait().expect("ends").success());
    }
}

fn start(file: &Path, id: u16) -> Child {
    let mut command = Command::new(PROGRAM);
    command.args([
        "node",
        "--stop-with-stdin",
        "--id",
        &id.to_string(),
        "--config",
    ]);
    let command = command
        .arg(file)
        .stdin(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().expect("starts")
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused() {
    let node = |id: u16| {
        let address = |port: u16| format!("a:{port}");
        NodeConfig::new(
            NodeId(id),
            address(10 * id),
            address(10 * id + 5),
            format!("data/{id}"),
        )
    };
    let good = Config::of("blue", vec![node(1), node(2)]);
    assert_eq!(good.check(), Ok(()));
    let refused = |change: &dyn Fn(&mut Config)| {
        let mut config = good.clone();
        change(&mut config);
        config.check().expect_err("refused").to_string()
    };
    for (said, change) in [
        (
            "timing.tick_ms: 0",
            &(|config: &mut Config| config.timing.tick_ms = 0) as &dyn Fn(&mut Config),
        ),
        ("timing.ping_ticks: 0", &|config| {
            config.timing.ping_ticks = 0
        }),
        ("timing.sync_ticks: 5", &|config| {
            config.timing.sync_ticks = 5
        }),
        ("timing.init_ticks: 11", &|config| {
            config.timing.init_ticks = 11
        }),
        ("timing.okay_ticks: 0", &|config| {
            config.timing.okay_ticks = 0
        }),
        ("timing.coordinator_ticks: 7", &|config| {
            config.timing.coordinator_ticks = 7
        }),
        ("timing.request_timeout_ms: 2399", &|config| {
            config.timing.request_timeout_ms = 2399
        }),
        ("log.snapshot_every", &|config| {
            config.log.snapshot_every = 0
        }),
        ("log.diff_bytes", &|config| config.log.diff_bytes = 0),
        ("nodes[1].member", &|config| config.nodes[1].member = false),
        ("limits.max_client_connections", &|config| {
            config.limits.max_client_connections = Some(0);
        }),
        ("nodes[1].id", &|config| config.nodes[1].id = NodeId(1)),
    ] {
        let words = refused(change);
        assert!(words.starts_with(said), "{said}: {words}");
    }
    assert_eq!(Timing::default().sync_ticks, 12);
}

#[test]
fn the_demo_passes() {
    let shown = Command::new(PROGRAM).args(["demo", "files"]).output();
    let shown = shown.expect("runs");
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success(), "{shown:?}");
    assert!(text.ends_with("PASS\n"), "{text}");
}

#[test]
fn the_example_is_the_usual_configuration() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../files.example.toml");
    let config = Config::load(&file).expect("a good file");
    assert_eq!(config.nodes.len(), 3);
    assert_eq!(config.timing, Timing::default());
    assert_eq!(config.log, LogLimits::default());
}

#[test]
fn the_service_is_told_from_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cluster.toml");
    fs::write(&file, "service = \"files\"\ncluster = \"x\"\n").expect("written");
    assert_eq!(service_of(&file).expect("read"), ServiceKind::Files);
    let error = lockstep::kv::Config::load(&file)
        .expect_err("another service")
        .to_string();
    assert!(
        error.contains("it is `files`, and this is asked of `kv`"),
        "{error}"
    );
    fs::write(&file, "1 127.0.0.1 7400\n").expect("written");
    assert_eq!(service_of(&file).expect("read"), ServiceKind::Files);
    let error = Config::load(&file)
        .expect_err("a word is missing")
        .to_string();
    assert!(
        error.contains("line 1") && error.contains("1 10.0.0.1 7400 7500"),
        "{error}"
    );
}
