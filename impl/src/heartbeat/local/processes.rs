//! Members as processes of this machine, which can be killed. Each ends with its [`MemberProcesses`], in
//! whatever way that ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::heartbeat::{ClusterConfig, Discovery};

/// A member has this long to stop.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

pub(super) struct MemberProcesses {
    executable: PathBuf,
    folder: TempDir,
    pub(super) cluster: ClusterConfig,
    running: BTreeMap<u16, Child>,
}

impl MemberProcesses {
    /// None yet, of a cluster whose members find each other by broadcast on the loopback interface.
    pub(super) fn new(executable: &Path, mut cluster: ClusterConfig) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        // Free now; another process could take it, and then the demo says that it cannot listen.
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        cluster.discovery = Discovery::Broadcast {
            port,
            address: Ipv4Addr::new(127, 255, 255, 255),
        };
        let text = toml::to_string(&cluster).map_err(io::Error::other)?;
        std::fs::write(folder.path().join("heartbeat.toml"), text)?;
        Ok(Self {
            executable: executable.to_owned(),
            folder,
            cluster,
            running: BTreeMap::new(),
        })
    }

    /// Starts a member, or starts it again. Returns its process's number.
    pub(super) fn launch(&mut self, id: u16) -> io::Result<u32> {
        let folder = self.folder.path();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log(id))?;
        let child = Command::new(&self.executable)
            .args([
                "heartbeat",
                "run",
                "--listen",
                "127.0.0.1:0",
                "--stop-with-stdin",
            ])
            .arg("--config")
            .arg(folder.join("heartbeat.toml"))
            .args(["--id", &id.to_string()])
            .arg("--data")
            .arg(folder.join(id.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let pid = child.id();
        self.running.insert(id, child);
        Ok(pid)
    }

    /// Kills a member: SIGKILL.
    pub(super) fn kill(&mut self, id: u16) -> io::Result<()> {
        if let Some(mut child) = self.running.remove(&id) {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Has a member leave in order: its standard input ends.
    pub(super) fn stop(&mut self, id: u16) -> io::Result<()> {
        let Some(mut child) = self.running.remove(&id) else {
            return Ok(());
        };
        drop(child.stdin.take());
        let end = Instant::now() + PATIENCE;
        let status: ExitStatus = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() >= end => {
                    child.kill()?;
                    break child.wait()?;
                }
                None => std::thread::sleep(POLL),
            }
        };
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "member {id} did not stop in order: {status}\n{}",
                self.log_tail(id)
            ))),
        }
    }

    /// Those that run.
    pub(super) fn ids(&self) -> Vec<u16> {
        self.running.keys().copied().collect()
    }

    fn log(&self, id: u16) -> PathBuf {
        self.folder.path().join(format!("{id}.log"))
    }

    /// The end of a member's log.
    fn log_tail(&self, id: u16) -> String {
        let text = std::fs::read_to_string(self.log(id)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// The ends of all logs.
    pub(super) fn log_tails(&self) -> String {
        let tails = self
            .running
            .keys()
            .map(|id| format!("--- {id}\n{}\n", self.log_tail(*id)));
        tails.collect()
    }
}

impl Drop for MemberProcesses {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            // One that has ended by itself needs none.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
