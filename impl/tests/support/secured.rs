//! A cluster with certificates and tokens, as operators make it: by the program alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use lockstep::runtime::tls::client_of;
use lockstep::service::http_client::Access;
use serde::Deserialize;
use tempfile::{TempDir, tempdir};

use super::kv::PATIENCE;
use super::program::PROGRAM;
pub(crate) use super::program::{refused, succeeded};

pub(crate) const READER: &str = "reader-0123456789";
pub(crate) const WRITER: &str = "writer-0123456789";
pub(crate) const ADMIN: &str = "admin-0123456789ab";

/// The cluster, with what its nodes have logged.
pub(crate) struct Secured {
    folder: TempDir,
    children: BTreeMap<u16, Child>,
}

impl Drop for Secured {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            // One that has ended by itself needs none.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn run(folder: &Path, token: Option<&str>, args: &[&str]) -> Output {
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

/// What the tests read of a cluster file, of whichever service.
#[derive(Deserialize)]
struct Listed {
    nodes: Vec<ListedNode>,
}

#[derive(Deserialize)]
struct ListedNode {
    id: u16,
    client_address: String,
}

impl Listed {
    fn load(file: &Path) -> Self {
        toml::from_str(&fs::read_to_string(file).expect("read")).expect("a cluster file")
    }
}

/// Free ports of the loopback interface, all held until all are found.
fn ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("binds"));
    held.map(|listener| listener.local_addr().expect("bound").port())
}

impl Secured {
    /// The file as `config init` writes it for `service`, on free ports, and the certificates for it.
    pub(crate) fn new(service: &str) -> Self {
        let folder = tempdir().expect("a folder");
        let run = |args: &[&str]| succeeded(&run(folder.path(), None, args));
        run(&["config", "init", service, "--tls", "--cluster", "blue"]);
        let file = folder.path().join("cluster.toml");
        let mut text = fs::read_to_string(&file).expect("written");
        // As many as a service with a node beside its members needs.
        let free: [u16; 12] = ports();
        let written = [
            "7400", "7410", "7420", "7430", "7405", "7415", "7425", "7435", "7401", "7411", "7421",
            "7431",
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
            children: BTreeMap::new(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn launch(&mut self, id: u16) {
        let log = File::create(self.folder.path().join(format!("{id}.log"))).expect("a log");
        let child = Command::new(PROGRAM)
            .current_dir(self.folder.path())
            .args(["node", "--config", "cluster.toml", "--stop-with-stdin"])
            .args(["--id", &id.to_string()])
            .stdin(Stdio::piped())
            .stderr(log)
            .spawn();
        self.children.insert(id, child.expect("starts"));
    }

    /// Has a node stop in order.
    pub(crate) fn stop(&mut self, id: u16) {
        let mut child = self.children.remove(&id).expect("up");
        drop(child.stdin.take());
        let status = child.wait().expect("ends");
        assert!(status.success(), "{status}\n{}", self.log(id));
    }

    pub(crate) fn log(&self, id: u16) -> String {
        fs::read_to_string(self.folder.path().join(format!("{id}.log"))).unwrap_or_default()
    }

    pub(crate) fn run(&self, token: Option<&str>, args: &[&str]) -> Output {
        let args: Vec<&str> = args
            .iter()
            .copied()
            .chain(["--config", "cluster.toml"])
            .collect();
        run(self.folder.path(), token, &args)
    }

    pub(crate) fn client_address(&self, id: u16) -> String {
        let nodes = Listed::load(&self.folder.path().join("cluster.toml")).nodes;
        let node = nodes.into_iter().find(|node| node.id == id);
        node.expect("listed").client_address
    }

    /// Asks a node over TLS at `path`, as a program would: for what no command shows.
    pub(crate) async fn get(&self, id: u16, token: Option<&str>, path: &str) -> (u16, String) {
        let ca = client_of(&self.folder.path().join("certs/ca.pem")).expect("an authority");
        let mut access = Access::plaintext().with_tls(ca);
        if let Some(token) = token {
            access = access.with_token(token).expect("a token");
        }
        let http = access.client(Duration::from_secs(2)).expect("a client");
        let url = access.url(&self.client_address(id), path);
        let answer = http.build().expect("a client").get(url).send().await;
        let answer = answer.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("text"))
    }

    /// Waits until a node has logged this.
    pub(crate) fn wait_for_log(&self, id: u16, wanted: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.log(id).contains(wanted) {
            assert!(Instant::now() < end, "no `{wanted}` in\n{}", self.log(id));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn wait_until_all_agree(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.run(Some(READER), &["status"]);
            if status.status.success() {
                return;
            }
            assert!(Instant::now() < end, "{status:?}\n{}", self.log(1));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
