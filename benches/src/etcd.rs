//! Three members of etcd as processes of this machine, with their data in a temporary folder.

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockstep::service::processes::free_addresses;
use tempfile::TempDir;

use crate::server_process::ServerProcess;

const MEMBERS: usize = 3;
/// Where Debian's package has it.
const PROGRAM: &str = "/usr/bin/etcd";

/// Members that have a leader.
#[derive(Debug)]
pub struct EtcdCluster {
    members: Vec<ServerProcess>,
    /// Where clients connect.
    addresses: Vec<String>,
    version: String,
    /// Removed after the members have ended.
    _folder: TempDir,
}

/// The program: the one that `ETCD_BIN` names, else Debian's, if it is there.
pub fn program() -> Option<PathBuf> {
    let named = env::var_os("ETCD_BIN").map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from(PROGRAM)).filter(|program| program.is_file()))
}

impl EtcdCluster {
    /// Starts the members, and waits until they are in good health.
    ///
    /// # Panics
    /// If they do not come to be.
    pub fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let all = free_addresses(2 * MEMBERS).expect("free ports");
        let (clients, peers) = all.split_at(MEMBERS);
        let cluster: Vec<String> = { peers.iter().enumerate() }
            .map(|(index, peer)| format!("{index}=http://{peer}"))
            .collect();
        let cluster = cluster.join(",");
        let members = clients.iter().zip(peers).enumerate();
        let members = members.map(|(index, (client, peer))| {
            let data = folder.path().join(index.to_string());
            let log = folder.path().join(format!("{index}.log"));
            let arguments = [
                format!("--name={index}"),
                format!("--data-dir={}", data.display()),
                format!("--listen-client-urls=http://{client}"),
                format!("--advertise-client-urls=http://{client}"),
                format!("--listen-peer-urls=http://{peer}"),
                format!("--initial-advertise-peer-urls=http://{peer}"),
                format!("--initial-cluster={cluster}"),
                "--initial-cluster-state=new".to_owned(),
            ];
            ServerProcess::start(program, arguments, &[], log)
        });
        let mut members: Vec<ServerProcess> = members.collect();
        for (member, client) in members.iter_mut().zip(clients) {
            member.wait_until(|| {
                health(client).is_some_and(|said| said.contains("\"health\":\"true\""))
            });
        }
        Self {
            members,
            addresses: clients.to_vec(),
            version: version(program),
            _folder: folder,
        }
    }

    /// Where clients connect.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Which release it is.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The ids of the processes.
    pub fn pids(&self) -> Vec<u32> {
        self.members.iter().map(ServerProcess::pid).collect()
    }
}

fn health(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let asked = format!("GET /health HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(asked.as_bytes()).ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}

fn version(program: &Path) -> String {
    let said = Command::new(program).arg("--version").output();
    let said = said.map_or_else(|_| Vec::new(), |output| output.stdout);
    let said = String::from_utf8_lossy(&said);
    let version = { said.lines() }.find_map(|line| line.strip_prefix("etcd Version: "));
    version.unwrap_or("unknown").to_owned()
}
