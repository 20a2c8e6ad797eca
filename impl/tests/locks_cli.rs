//! `lockstep lock`, `lockstep locks` and `lockstep orchestrator`, as people and scripts use them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use lockstep::locks::Config;
use lockstep::locks::config::{Limits, Timing};
use lockstep::locks::local::cluster::Processes;
use lockstep::service::config::ServiceConfig;
use models::NodeId;
use serde_json::Value;

use crate::support::locks::{ZERO, acquire, cluster, until_members, until_waiting};
use crate::support::processes::{ONE, refused, succeeded};
use crate::support::program::{PROGRAM, send_signal};

/// The arguments in front of a command behind `--`, with the cluster's file.
fn lock(nodes: &Processes, args: &[&str], command: &[&str]) -> Command {
    let mut program = Command::new(PROGRAM);
    program
        .arg("lock")
        .args(args)
        .arg("--config")
        .arg(nodes.config_file())
        .env_remove("LOCKSTEP_TOKEN");
    if !command.is_empty() {
        program.arg("--").args(command);
    }
    program
}

fn run(nodes: &Processes, args: &[&str], command: &[&str]) -> Output {
    lock(nodes, args, command).output().expect("runs")
}

fn locks(nodes: &Processes, args: &[&str]) -> Output {
    let mut program = Command::new(PROGRAM);
    program.arg("locks").args(args).arg("--config");
    program.arg(nodes.config_file()).output().expect("runs")
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lock_run_passes_on_what_its_command_says() {
    let nodes = cluster(2).await;
    let shell = |script: &str| run(&nodes, &["run", "job"], &["sh", "-c", script]);
    let shown = shell("echo $LOCKSTEP_LOCK $LOCKSTEP_FENCING_TOKEN $LOCKSTEP_FENCING_TOKEN_ORDER");
    let shown = succeeded(&shown);
    let told: Vec<&str> = shown.split_whitespace().collect();
    let [name, token, order] = told.as_slice() else {
        panic!("{shown}");
    };
    assert_eq!(*name, "job");
    let (epoch, counter) = token.split_once('.').expect("two numbers");
    let (epoch, counter): (u64, u64) = (epoch.parse().expect("one"), counter.parse().expect("one"));
    assert_eq!(*order, format!("{epoch:016x}{counter:016x}"));
    assert_eq!(shell("exit 3").status.code(), Some(3));
    assert_eq!(shell("kill -TERM $$").status.code(), Some(128 + 15));
    let missing = run(&nodes, &["run", "job"], &["/no/such/command"]);
    assert_eq!(missing.status.code(), Some(127), "{missing:?}");
    let folder = run(&nodes, &["run", "job"], &["/"]);
    assert_eq!(folder.status.code(), Some(126), "{folder:?}");

    // While another holds it.
    let taken = acquire(&nodes, 1, "job", Duration::from_secs(60)).await;
    for (args, code) in [
        (&["run", "job", "--no-wait"][..], 75),
        (&["run", "job", "--wait", "300ms"], 75),
        (&["run", "job", "-n", "-E", "9"], 9),
    ] {
        let late = run(&nodes, args, &["sh", "-c", "echo never"]);
        assert_eq!(late.status.code(), Some(code), "{late:?}");
        assert!(late.stdout.is_empty(), "{late:?}");
        assert!(words(&late).contains("the command was not run"), "{late:?}");
    }
    let session = taken.session.to_string();
    succeeded(&run(
        &nodes,
        &["release", "job", "--session", &session],
        &[],
    ));
    assert_eq!(shell("exit 0").status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lock_run_ends_its_command_when_the_lock_is_lost() {
    let mut nodes = cluster(3).await;
    let folder = tempfile::tempdir().expect("a folder");
    let [begun, ended] = ["begun", "ended"].map(|name| folder.path().join(name));
    let script = format!(
        "trap 'touch {}; exit 0' TERM; echo $LOCKSTEP_FENCING_TOKEN > {}; while :; do sleep 0.05; done",
        ended.display(),
        begun.display()
    );
    // At the node of which is known that it will be killed.
    let node = crate::support::locks::address(&nodes, 1);
    let mut command = Command::new(PROGRAM);
    command.args([
        "lock", "run", "job", "--node", &node, "--", "sh", "-c", &script,
    ]);
    let running = command.stderr(Stdio::piped()).spawn().expect("starts");
    let end = Instant::now() + Duration::from_secs(20);
    while !begun.exists() {
        assert!(Instant::now() < end, "the command does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    nodes.kill(ONE).expect("killed");
    let output = running.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(76), "{output:?}");
    assert!(words(&output).contains("the lock is lost"), "{output:?}");
    assert!(ended.exists(), "it had no time to end in order");
    // One that does not heed SIGTERM is killed.
    nodes.launch(ONE).expect("restarts");
    until_members(&nodes, &[1, 2, 3]).await;
    fs::remove_file(&begun).expect("there");
    let script = format!(
        "trap '' TERM; touch {}; while :; do sleep 0.05; done",
        begun.display()
    );
    let mut command = Command::new(PROGRAM);
    command.args([
        "lock",
        "run",
        "job",
        "--node",
        &node,
        "--kill-after",
        "200ms",
    ]);
    command.args(["--", "sh", "-c", &script]);
    let running = command.stderr(Stdio::piped()).spawn().expect("starts");
    let end = Instant::now() + Duration::from_secs(20);
    while !begun.exists() {
        assert!(Instant::now() < end, "the command does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    nodes.kill(ONE).expect("killed");
    let output = running.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(76), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lock_run_hands_sigterm_to_its_command_and_releases_the_lock() {
    let nodes = cluster(2).await;
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let mut running = lock(&nodes, &["run", "job"], &["sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut out = std::io::BufReader::new(running.stdout.take().expect("piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).expect("a line");
    send_signal(running.id(), "-TERM");
    assert_eq!(running.wait().expect("ends").code(), Some(7));
    // At once: it was released, and did not run out.
    let next = run(&nodes, &["acquire", "job", "--wait", "3s"], &[]);
    succeeded(&next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_acquired_shown_renewed_and_released() {
    let nodes = cluster(2).await;
    let acquired = run(
        &nodes,
        &["acquire", "nightly job", "--ttl", "20s", "--json"],
        &[],
    );
    let grant: Value = serde_json::from_str(&succeeded(&acquired)).expect("JSON");
    let session = grant["session"].as_str().expect("a name");
    let token = format!("{}.{}", grant["token"]["epoch"], grant["token"]["counter"]);
    let late = run(&nodes, &["acquire", "nightly job", "--no-wait"], &[]);
    assert_eq!(late.status.code(), Some(1), "{late:?}");
    let waiting = lock(&nodes, &["acquire", "nightly job", "--wait", "20s"], &[])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    // At either node.
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let shown = succeeded(&run(&nodes, &["show"], &[]));
        let line = shown.lines().nth(1).unwrap_or_default().to_owned();
        let parts: Vec<&str> = line.split_whitespace().collect();
        let node = grant["node"].to_string();
        if parts == [&node, &token, "1", "nightly", "job"] {
            break;
        }
        assert!(Instant::now() < end, "{shown}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let shown = succeeded(&run(&nodes, &["show", "nightly job", "--json"], &[]));
    assert!(shown.lines().count() >= 1, "{shown}");
    let renewed = succeeded(&run(&nodes, &["renew", "--session", session], &[]));
    assert!(
        renewed.starts_with("held") && renewed.contains(&token),
        "{renewed}"
    );
    succeeded(&run(
        &nodes,
        &["release", "nightly job", "--session", session],
        &[],
    ));
    let next = waiting.wait_with_output().expect("ends");
    assert!(succeeded(&next).starts_with("token"), "{next:?}");
    let again = run(
        &nodes,
        &["release", "nightly job", "--session", session],
        &[],
    );
    assert!(
        refused(&again).contains("this session is over"),
        "{again:?}"
    );
    let bad = run(
        &nodes,
        &["release", "nightly job", "--session", "nonsense"],
        &[],
    );
    assert!(refused(&bad).contains("names no session"), "{bad:?}");
    let bad = run(&nodes, &["acquire", "x", "--wait", "soon"], &[]);
    assert!(refused(&bad).contains("write a whole number"), "{bad:?}");
    let empty = run(&nodes, &["acquire", ""], &[]);
    assert!(refused(&empty).contains("from 1 to 512 bytes"), "{empty:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_register_and_deregister_by_command_and_status_shows_it() {
    let mut nodes = cluster(3).await;
    let status = |nodes: &Processes| {
        let mut program = Command::new(PROGRAM);
        program
            .arg("status")
            .arg("--config")
            .arg(nodes.config_file());
        program.output().expect("runs")
    };
    let shown = succeeded(&status(&nodes));
    assert!(
        shown.contains("orchestrator") && shown.contains("member"),
        "{shown}"
    );
    let said = succeeded(&locks(&nodes, &["deregister", "3"]));
    assert!(
        said.starts_with("node 3 is no member since epoch"),
        "{said}"
    );
    let first = until_members(&nodes, &[1, 2]).await;
    // One that is no member, on purpose, is no reason to complain.
    let shown = succeeded(&status(&nodes));
    assert!(shown.contains("unregistered"), "{shown}");
    let said = succeeded(&locks(&nodes, &["register", "3"]));
    assert!(said.starts_with("node 3 is a member in epoch"), "{said}");
    assert!(until_members(&nodes, &[1, 2, 3]).await > first);
    let said = refused(&locks(&nodes, &["register", "0"]));
    assert!(said.contains("never a member"), "{said}");
    let said = refused(&locks(&nodes, &["register", "8"]));
    assert!(said.contains("where is node 8?"), "{said}");
    // Without the orchestrator a node leaves when its lease has run out, and does not come back.
    nodes.kill(ZERO).expect("killed");
    let said = succeeded(&locks(&nodes, &["deregister", "3"]));
    assert!(
        said.starts_with("node 3 is no member since epoch"),
        "{said}"
    );
    let output = locks(&nodes, &["register", "3"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("will be a member once the orchestrator"),
        "{said}"
    );
    let json = Command::new(PROGRAM)
        .args(["status", "--json", "--config"])
        .arg(nodes.config_file())
        .output()
        .expect("runs");
    assert_eq!(json.status.code(), Some(1), "{json:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_orchestrator_has_a_command_of_its_own() {
    let mut nodes = cluster(2).await;
    nodes.kill(ZERO).expect("killed");
    let mut orchestrator = Command::new(PROGRAM)
        .args([
            "orchestrator",
            "--stop-with-stdin",
            "--log-level",
            "error",
            "--config",
        ])
        .arg(nodes.config_file())
        .stdin(Stdio::piped())
        .spawn()
        .expect("starts");
    until_members(&nodes, &[1, 2]).await;
    acquire(&nodes, 1, "job", Duration::from_secs(5)).await;
    until_waiting(&nodes, 1, 0).await;
    drop(orchestrator.stdin.take());
    assert_eq!(orchestrator.wait().expect("ends").code(), Some(0));
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_with_the_field() {
    let node = |id: u16| {
        format!(
            "[[nodes]]\nid = {id}\npeer_address = \"a:1{id}0\"\nclient_address = \"a:2{id}0\"\ndata_directory = \"{id}\"\n"
        )
    };
    let folder = tempfile::tempdir().expect("a folder");
    let check = |text: &str| {
        let file = folder.path().join("cluster.toml");
        fs::write(&file, text).expect("written");
        Command::new(PROGRAM)
            .args(["config", "check"])
            .arg(file)
            .output()
            .expect("runs")
    };
    let text = |rest: &str| {
        format!(
            "service = \"locks\"\ncluster = \"x\"\n{rest}\n[security]\nplaintext = true\n{}{}",
            node(0),
            node(1)
        )
    };
    let good = succeeded(&check(&text("[locks]\norchestrator = 0\n")));
    assert!(
        good.contains("a cluster of locks, `x`, of the nodes 0, 1"),
        "{good}"
    );
    for (rest, said) in [
        (
            "[locks]\norchestrator = 7\n",
            "locks.orchestrator: there is no node with id 7",
        ),
        (
            "[locks]\norchestrater = 0\n",
            "did you mean `orchestrator`?",
        ),
        ("[lock]\norchestrator = 0\n", "did you mean `locks`?"),
        ("", "missing field `locks`"),
        (
            "[locks]\norchestrator = 0\n[timing]\nlease_m = 5\n",
            "did you mean `lease_ms`?",
        ),
        (
            "[locks]\norchestrator = 0\n[timing]\nlease_ms = 60000\n",
            "timing.lease_ms: the lease is so long",
        ),
        (
            "[locks]\norchestrator = 0\n[limits]\nmax_claims = 0\n",
            "limits.max_claims: it is 0",
        ),
        (
            "[locks]\norchestrator = 0\nquorums = \"planes\"\n",
            "did you mean `plane`?",
        ),
    ] {
        let words = refused(&check(&text(rest)));
        assert!(words.contains(said), "{rest}: {words}");
    }
    let words = refused(&check("service = \"lockz\"\ncluster = \"x\"\n"));
    assert!(words.contains("did you mean `locks`?"), "{words}");
}

#[test]
fn the_example_is_the_usual_configuration() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../locks.example.toml");
    let config = Config::load(&file).expect("a good file");
    assert_eq!(config.nodes.len(), 4);
    assert_eq!(config.locks.orchestrator, NodeId(0));
    assert_eq!(config.timing, Timing::default());
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.cluster_config().founder(), Some(NodeId(0)));
}

#[test]
fn the_demo_passes() {
    let shown = Command::new(PROGRAM).args(["demo", "locks"]).output();
    let shown = shown.expect("runs");
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success(), "{shown:?}");
    assert!(text.ends_with("PASS\n"), "{text}");
}
