//! A cluster with certificates and tokens, from its first file to a renewed certificate: as operators
//! make it, by the program alone.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use tempfile::{TempDir, tempdir};

use crate::support::kv::PATIENCE;
use crate::support::program::PROGRAM;

const READER: &str = "reader-0123456789";
const WRITER: &str = "writer-0123456789";
const ADMIN: &str = "admin-0123456789ab";

struct Secured {
    folder: TempDir,
    children: Vec<Child>,
}

impl Drop for Secured {
    fn drop(&mut self) {
        for child in &mut self.children {
            // One that has ended by itself needs none.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn run(folder: &Path, token: Option<&str>, args: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command
        .current_dir(folder)
        .args(args)
        .env_remove("LOCKSTEP_TOKEN");
    if let Some(token) = token {
        command.env("LOCKSTEP_TOKEN", token);
    }
    command.output().expect("runs")
}

fn succeeded(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Free ports of the loopback interface, all held until all are found.
fn ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("binds"));
    held.map(|listener| listener.local_addr().expect("bound").port())
}

impl Secured {
    fn new() -> Self {
        Self::of("kv")
    }

    /// The file as `config init` writes it, on free ports, and the certificates for it.
    fn of(service: &str) -> Self {
        let folder = tempdir().expect("a folder");
        let run = |args: &[&str]| succeeded(&run(folder.path(), None, args));
        run(&["config", "init", service, "--tls", "--cluster", "blue"]);
        let file = folder.path().join("cluster.toml");
        let mut text = fs::read_to_string(&file).expect("written");
        let free: [u16; 12] = ports();
        let written = [
            "7400", "7410", "7420", "7430", "7405", "7415", "7425", "7435", "7406", "7416", "7426",
            "7436",
        ];
        for (old, new) in written.iter().zip(free) {
            text = text.replace(&format!(":{old}\""), &format!(":{new}\""));
        }
        text = text
            .replace("# tokens = ", "tokens = ")
            .replace("# metrics_address", "metrics_address");
        fs::write(&file, text).expect("written");
        run(&["certs", "init", "--cluster", "blue"]);
        run(&["certs", "node", "--config", "cluster.toml"]);
        let token = |role: &str, token: &str| {
            format!("[[token]]\nname = \"{role}\"\nrole = \"{role}\"\ntoken = \"{token}\"\n")
        };
        let tokens = token("read", READER) + &token("write", WRITER) + &token("admin", ADMIN);
        let file = folder.path().join("tokens.toml");
        fs::write(&file, tokens).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
        Self {
            folder,
            children: Vec::new(),
        }
    }

    fn launch(&mut self, id: u16) {
        let log = File::create(self.folder.path().join(format!("{id}.log"))).expect("a log");
        let child = Command::new(PROGRAM)
            .current_dir(self.folder.path())
            .args(["node", "--config", "cluster.toml", "--stop-with-stdin"])
            .args(["--id", &id.to_string()])
            .stdin(Stdio::piped())
            .stderr(log)
            .spawn();
        self.children.push(child.expect("starts"));
    }

    fn log(&self, id: u16) -> String {
        fs::read_to_string(self.folder.path().join(format!("{id}.log"))).unwrap_or_default()
    }

    fn run(&self, token: Option<&str>, args: &[&str]) -> Output {
        let args: Vec<&str> = args
            .iter()
            .copied()
            .chain(["--config", "cluster.toml"])
            .collect();
        run(self.folder.path(), token, &args)
    }

    fn wait_until_all_agree(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.run(Some(READER), &["status"]);
            if status.status.success() {
                return;
            }
            assert!(Instant::now() < end, "{status:?}\n{}", self.log(1));
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

#[test]
fn a_cluster_with_certificates_and_tokens_serves_whom_it_should() {
    let mut secured = Secured::new();
    succeeded(&run(
        secured.folder.path(),
        None,
        &["config", "check", "cluster.toml"],
    ));
    for id in 1..=3 {
        secured.launch(id);
    }
    secured.wait_until_all_agree();

    // Through each node, so that some of them forward to the leader.
    succeeded(&secured.run(Some(WRITER), &["kv", "put", "colour", "blue"]));
    for _ in 0..3 {
        assert_eq!(
            succeeded(&secured.run(Some(READER), &["kv", "get", "colour"])),
            "blue"
        );
    }
    let said = refused(&secured.run(Some(READER), &["kv", "put", "colour", "red"]));
    assert!(
        said.contains("403") && said.contains("the token allows to read"),
        "{said}"
    );
    assert!(said.contains("nothing was changed"), "{said}");
    for token in [None, Some("writer-0123456788")] {
        let said = refused(&secured.run(token, &["kv", "get", "colour"]));
        assert!(
            said.contains("401") && said.contains("nothing was changed"),
            "{said}"
        );
    }
    for change in [["members", "remove", "3"], ["members", "move-leader", "3"]] {
        let said = refused(&secured.run(Some(WRITER), &change));
        assert!(said.contains("403"), "{said}");
    }
    let listed = succeeded(&secured.run(Some(READER), &["members", "list"]));
    assert_eq!(listed.matches("voter").count(), 3, "{listed}");

    // What a node logs is changed while it runs, by an operator alone.
    let said = secured.run(Some(WRITER), &["log-level", "debug"]);
    assert!(
        refused(&said).contains("the token allows to read and write"),
        "{said:?}"
    );
    let said = succeeded(&secured.run(Some(ADMIN), &["log-level", "debug"]));
    assert_eq!(said.matches("debug, which was info").count(), 3, "{said}");
    let said = refused(&secured.run(Some(ADMIN), &["log-level", "loud"]));
    assert!(
        said.contains("`loud` is no log level") && said.contains("nothing was changed"),
        "{said}"
    );
    let said = succeeded(&secured.run(Some(READER), &["log-level"]));
    assert_eq!(said.matches(": debug").count(), 3, "{said}");

    // Who believes another authority does not talk to these nodes.
    let other = tempdir().expect("a folder");
    succeeded(&run(other.path(), None, &["certs", "init", "--dir", "."]));
    let ca = other.path().join("ca.pem");
    let args = ["kv", "get", "colour", "--timeout", "1", "--ca"];
    let args: Vec<&str> = args
        .into_iter()
        .chain([ca.to_str().expect("a path")])
        .collect();
    let said = refused(&secured.run(Some(READER), &args));
    assert!(said.contains("certificate"), "{said}");
    for token in [READER, WRITER, ADMIN] {
        for id in 1..=3 {
            assert!(!secured.log(id).contains(token), "a token in a log");
        }
    }
}

#[test]
fn locks_are_for_whom_certificates_and_tokens_say() {
    let mut secured = Secured::of("locks");
    for id in 0..=3 {
        secured.launch(id);
    }
    secured.wait_until_all_agree();
    let run = ["lock", "run", "job", "--wait", "20s", "--config"];
    let run = |token: Option<&str>| {
        let args = [
            &run[..],
            &[
                "cluster.toml",
                "--",
                "sh",
                "-c",
                "echo $LOCKSTEP_FENCING_TOKEN",
            ],
        ];
        super::secured_cluster::run(secured.folder.path(), token, &args.concat())
    };
    let token = succeeded(&run(Some(WRITER)));
    assert!(token.contains('.'), "{token}");
    let said = refused(&run(Some(READER)));
    assert!(
        said.contains("403") && said.contains("nothing was changed"),
        "{said}"
    );
    for token in [None, Some("writer-0123456788")] {
        let said = refused(&run(token));
        assert!(said.contains("401"), "{said}");
    }
    succeeded(&secured.run(Some(READER), &["lock", "show"]));
    let said = refused(&secured.run(Some(WRITER), &["locks", "deregister", "3"]));
    assert!(said.contains("403"), "{said}");
    let said = succeeded(&secured.run(Some(ADMIN), &["locks", "deregister", "3"]));
    assert!(said.contains("no member since epoch"), "{said}");
}

#[test]
fn tokens_that_everybody_may_read_are_refused() {
    let secured = Secured::new();
    let file = secured.folder.path().join("tokens.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("set");
    let output = secured.run(None, &["node", "--id", "1"]);
    let said = refused(&output);
    assert!(
        said.contains("tokens.toml") && said.contains("chmod 600"),
        "{said}"
    );
    assert!(said.contains("nothing was started"), "{said}");
}

#[test]
fn a_node_without_its_certificate_says_which_file_is_missing() {
    let secured = Secured::new();
    fs::remove_file(secured.folder.path().join("certs/node-1.pem")).expect("removed");
    let said = refused(&secured.run(None, &["node", "--id", "1"]));
    assert!(
        said.contains("node-1.pem") && said.contains("lockstep certs"),
        "{said}"
    );
    let said = refused(&run(
        secured.folder.path(),
        None,
        &["config", "check", "cluster.toml"],
    ));
    assert!(said.contains("node 1 could not start"), "{said}");
}
