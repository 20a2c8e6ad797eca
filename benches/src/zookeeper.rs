//! Three ZooKeeper servers as processes of this machine, each forcing its log to disk as it does by
//! default, with their data in a temporary folder.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use lockstep::service::processes::free_addresses;
use tempfile::TempDir;

use crate::server_process::ServerProcess;

const SERVERS: usize = 3;
/// Where Debian's package has it.
const SCRIPT: &str = "/usr/share/zookeeper/bin/zkServer.sh";

/// Servers that form a quorum.
#[derive(Debug)]
pub struct Ensemble {
    servers: Vec<ServerProcess>,
    /// Where clients connect.
    addresses: Vec<String>,
    version: String,
    /// Removed after the servers have ended.
    _folder: TempDir,
}

/// The script that starts a server: the one that `ZK_SERVER` names, else Debian's, if it is there.
pub fn script() -> Option<PathBuf> {
    let named = env::var_os("ZK_SERVER").map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from(SCRIPT)).filter(|script| script.is_file()))
}

impl Ensemble {
    /// Starts the servers, and waits until one leads and the others follow.
    ///
    /// # Panics
    /// If they do not.
    pub fn start(script: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let all = free_addresses(3 * SERVERS).expect("free ports");
        let (clients, peers) = all.split_at(SERVERS);
        let members = members(peers);
        let servers = clients.iter().enumerate().map(|(index, client)| {
            let own = folder.path().join((index + 1).to_string());
            fs::create_dir(&own).expect("a folder for a server");
            fs::write(own.join("myid"), (index + 1).to_string()).expect("a file");
            let file = own.join("zoo.cfg");
            fs::write(&file, configuration(&own, client) + &members).expect("a file");
            let arguments = ["start-foreground".as_ref(), file.as_os_str()];
            let environment = [("JMXDISABLE", "true")];
            ServerProcess::start(script, arguments, &environment, own.join("log"))
        });
        let mut servers: Vec<ServerProcess> = servers.collect();
        for (server, client) in servers.iter_mut().zip(clients) {
            server.wait_until(|| said(client).is_some_and(|said| field(&said, "Mode: ").is_some()));
        }
        let said = said(&clients[0]).unwrap_or_default();
        let version = field(&said, "Zookeeper version: ").unwrap_or("unknown");
        Self {
            servers,
            addresses: clients.to_vec(),
            version: version.split('-').next().unwrap_or(version).to_owned(),
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
        self.servers.iter().map(ServerProcess::pid).collect()
    }
}

fn configuration(folder: &Path, client: &str) -> String {
    let (host, port) = client.split_once(':').expect("an address with a port");
    format!(
        "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={}\nclientPortAddress={host}\n\
         clientPort={port}\nmaxClientCnxns=0\nadmin.enableServer=false\n\
         4lw.commands.whitelist=srvr\n",
        folder.display()
    )
}

/// Each has a port for its followers and one for elections.
fn members(peers: &[String]) -> String {
    let pairs = peers.chunks_exact(2).enumerate();
    let line = |(index, pair): (usize, &[String])| {
        let (_, election) = pair[1].split_once(':').expect("an address with a port");
        format!("server.{}={}:{election}\n", index + 1, pair[0])
    };
    pairs.map(line).collect()
}

/// What a server says of itself.
fn said(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"srvr").ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}

fn field<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    said.lines().find_map(|line| line.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_knows_the_ports_of_all() {
        let peers = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"];
        let lines = members(&peers.map(str::to_owned));
        assert_eq!(lines, "server.1=127.0.0.1:1:2\nserver.2=127.0.0.1:3:4\n");
    }

    #[test]
    fn a_server_without_a_quorum_says_nothing_of_its_mode() {
        let said = "Zookeeper version: 3.8.0-1, built on 2022\nMode: follower\n";
        assert_eq!(field(said, "Mode: "), Some("follower"));
        let alone = "This ZooKeeper instance is not currently serving requests\n";
        assert_eq!(field(alone, "Mode: "), None);
    }
}
