//! `lockstep demo files`: three nodes as processes, a leader that is killed while files are written,
//! nodes that are brought up to date, one that has lost its disk. Checks what it shows.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use models::NodeId;
use tokio::time::{sleep, timeout};

use crate::files::client::{Client, ClientError, Watch};
use crate::files::config::{Config, LogLimits, Timing};
use crate::files::local::cluster::Processes;
use crate::files::server::catch_up::Method;
use crate::files::status::Report;
use crate::files::store::Operation;
use crate::service::narrator::{DemoError, Narrator, PATIENCE};

const POLL: Duration = Duration::from_millis(20);
/// So few, that a node which misses some lines needs a snapshot.
const SNAPSHOT_EVERY: usize = 40;
const RETAINED: usize = 10;
const LINES: usize = 20;

struct Demo<'a> {
    narrator: Narrator<'a, Config>,
    client: Client,
    /// Asks single nodes, with little patience.
    watcher: Client,
    /// What the files must hold.
    written: BTreeMap<String, Vec<u8>>,
}

/// Runs the demo with nodes of `executable`, and tells its steps to `out`.
///
/// # Errors
/// When a step does not show what it should.
pub async fn run(executable: &Path, out: &mut (dyn Write + Send)) -> Result<(), DemoError> {
    let log = LogLimits {
        snapshot_every: SNAPSHOT_EVERY,
        retained: RETAINED,
        ..LogLimits::default()
    };
    let nodes = Processes::start(executable, 3, Timing::default(), log)?;
    let mut demo = Demo {
        client: Client::new(nodes.client_addresses(), PATIENCE).map_err(DemoError::client)?,
        watcher: Client::new(nodes.client_addresses(), Duration::from_secs(2))
            .map_err(DemoError::client)?,
        narrator: Narrator::new(nodes, out),
        written: BTreeMap::new(),
    };
    demo.show().await
}

impl Demo<'_> {
    async fn show(&mut self) -> Result<(), DemoError> {
        self.narrator.tell_start("three nodes");
        let first = self.leader(3, 0).await?;
        self.narrator.say(format!(
            "{} leads in epoch {}, proposed by Bully in election {}",
            first.id, first.epoch, first.election
        ));
        let mut watch = self.begin_watch(first.position)?;
        self.create("notes/today", "a first line\n").await?;
        self.append_lines("notes/today", LINES).await?;
        self.narrator
            .say(format!("notes/today created, and {LINES} lines appended"));
        self.see_changes(&mut watch).await?;
        self.condition().await?;
        self.batches().await?;
        let (second, dead) = self.fail_over(&first).await?;
        self.restart(dead, &second, Method::Diff).await?;
        self.snapshot(&second).await?;
        self.equal_everywhere().await?;
        self.lose_a_disk().await?;
        self.narrator.stop()?;
        self.narrator.pass();
        Ok(())
    }

    fn begin_watch(&mut self, from: u64) -> Result<Watch, DemoError> {
        let client = Client::new(self.narrator.nodes.client_addresses(), PATIENCE)
            .map_err(DemoError::client)?;
        Ok(client.watch("notes/", Some(from)))
    }

    async fn create(&mut self, path: &str, text: &str) -> Result<u64, DemoError> {
        let done = self.client.create(path, Bytes::from(text.to_owned())).await;
        let version = self.narrator.check(&format!("{path} is created"), done)?;
        self.written
            .insert(path.to_owned(), text.as_bytes().to_vec());
        Ok(version)
    }

    async fn append_lines(&mut self, path: &str, count: usize) -> Result<(), DemoError> {
        for _ in 0..count {
            let have = self.written.entry(path.to_owned()).or_default();
            let line = format!("a line at {}\n", have.len());
            have.extend_from_slice(line.as_bytes());
            let done = self.client.append(path, line.into(), None).await;
            self.narrator
                .check(&format!("a line is appended to {path}"), done)?;
        }
        Ok(())
    }

    async fn see_changes(&mut self, watch: &mut Watch) -> Result<(), DemoError> {
        let expected = LINES + 1;
        for number in 0..expected {
            let next = timeout(PATIENCE, watch.next()).await;
            let is_next = matches!(&next, Ok(Ok(seen)) if seen.files[0].path == "notes/today");
            let found = format!("{next:?}");
            self.narrator
                .require(&format!("change {number} is seen"), is_next, &found)?;
        }
        self.narrator
            .say(format!("a watch has seen all {expected} changes, in order"));
        Ok(())
    }

    async fn condition(&mut self) -> Result<(), DemoError> {
        let path = "notes/today";
        let stat = self.client.stat(path, true).await;
        let stat = self.narrator.check("notes/today has a version", stat)?;
        let version = stat.map_or(0, |stat| stat.version);
        let line = "only once\n";
        let first = self.client.append(path, line.into(), Some(version)).await;
        self.narrator
            .check("an append to the version that was read is done", first)?;
        let have = self.written.entry(path.to_owned()).or_default();
        have.extend_from_slice(line.as_bytes());
        let second = self.client.append(path, line.into(), Some(version)).await;
        let status = second.as_ref().err().and_then(ClientError::status);
        let refused = status.is_some_and(|status| status.as_u16() == 412);
        self.narrator
            .require("the same again is refused", refused, &format!("{second:?}"))?;
        self.narrator.say(format!(
            "an append to version {version} was done once, and refused the second time (412)"
        ));
        Ok(())
    }

    async fn batches(&mut self) -> Result<(), DemoError> {
        let create = |path: &str| Operation::Create {
            path: path.to_owned(),
            content: Bytes::from_static(b"from a batch"),
        };
        let done = self
            .client
            .batch(vec![create("batch/a"), create("batch/b")])
            .await;
        self.narrator.check("a batch is done", done)?;
        for path in ["batch/a", "batch/b"] {
            self.written
                .insert(path.to_owned(), b"from a batch".to_vec());
        }
        let failing = vec![create("batch/c"), create("batch/a")];
        let failed = self.client.batch(failing).await;
        let is_second = matches!(failed, Err(ClientError::NotDone { failed: 1, .. }));
        self.narrator.require(
            "its second operation fails",
            is_second,
            &format!("{failed:?}"),
        )?;
        let left = self.client.stat("batch/c", true).await;
        let left = self.narrator.check("batch/c is looked for", left)?;
        self.narrator
            .require("batch/c is not there", left.is_none(), "it is")?;
        self.narrator.say(
            "a batch created two files; another, whose second operation failed, changed nothing",
        );
        Ok(())
    }

    /// Kills the leader while lines are appended, and waits for the next. Returns it, and who is
    /// dead.
    async fn fail_over(&mut self, seen: &Report) -> Result<(Report, NodeId), DemoError> {
        // On a busy machine the lead may have passed on since it was last looked at.
        let leader = self.leader(3, seen.epoch).await?;
        let killed = Instant::now();
        self.narrator.nodes.kill(leader.id)?;
        self.narrator
            .say(format!("{}, the leader, killed (SIGKILL)", leader.id));
        self.append_lines("notes/today", 5).await?;
        let written = killed.elapsed();
        let next = self.leader(2, leader.epoch + 1).await?;
        self.narrator.say(format!(
            "{} leads in epoch {}: lines were appended {} ms after the kill",
            next.id,
            next.epoch,
            written.as_millis()
        ));
        self.read_back().await?;
        Ok((next, leader.id))
    }

    async fn read_back(&mut self) -> Result<(), DemoError> {
        for (path, content) in self.written.clone() {
            let read = self.client.read(&path, true).await;
            let read = self.narrator.check(&format!("{path} is read"), read)?;
            let same = read.as_deref() == Some(&content[..]);
            self.narrator
                .require(&format!("{path} is as written"), same, &format!("{read:?}"))?;
        }
        self.narrator.say(format!(
            "all {} files read back, each line once",
            self.written.len()
        ));
        Ok(())
    }

    /// Restarts `dead`, and waits until it is up to date.
    async fn restart(&mut self, dead: NodeId, seen: &Report, by: Method) -> Result<(), DemoError> {
        let restarted = Instant::now();
        self.narrator.nodes.launch(dead)?;
        self.leader(3, seen.epoch).await?;
        let expected = format!("{dead} is brought up to date by {by}");
        let end = Instant::now() + PATIENCE;
        loop {
            let reports = self.reports().await;
            let own = reports.iter().find(|report| report.id == dead);
            let same = reports
                .iter()
                .all(|report| report.checksum == reports[0].checksum);
            // A restarted node may lead: then it is the others that are brought up to date.
            let right = own.is_some_and(|own| {
                own.caught_up.last == Some(by) || own.role == "leader" && by == Method::Diff
            });
            if reports.len() == 3 && same && right {
                break;
            }
            if Instant::now() >= end {
                return self
                    .narrator
                    .require(&expected, false, &format!("{reports:?}"));
            }
            sleep(POLL).await;
        }
        self.narrator.say(format!(
            "{dead} restarted, and brought up to date by {by} within {} ms",
            restarted.elapsed().as_millis()
        ));
        Ok(())
    }

    /// A follower that misses more than is kept gets everything.
    async fn snapshot(&mut self, seen: &Report) -> Result<(), DemoError> {
        let leader = self.leader(3, seen.epoch).await?;
        let mut others = self
            .narrator
            .nodes
            .config()
            .nodes
            .iter()
            .map(|node| node.id);
        let follower = others.rfind(|id| *id != leader.id);
        let follower = follower.unwrap_or(leader.id);
        self.narrator.nodes.kill(follower)?;
        self.append_lines("notes/later", 0).await?;
        self.create("notes/later", "").await?;
        let count = 2 * SNAPSHOT_EVERY + RETAINED;
        self.append_lines("notes/later", count).await?;
        self.narrator.say(format!(
            "{follower} killed, and {count} lines appended without it"
        ));
        self.restart(follower, &leader, Method::Snap).await
    }

    /// Reads everything at every node, and compares.
    async fn equal_everywhere(&mut self) -> Result<(), DemoError> {
        for node in self.narrator.nodes.config().nodes.clone() {
            let mut only =
                Client::new(vec![node.client_address], PATIENCE).map_err(DemoError::client)?;
            for (path, content) in self.written.clone() {
                let read = only.read(&path, true).await;
                let read = self
                    .narrator
                    .check(&format!("{path} is read at {}", node.id), read)?;
                let same = read.as_deref() == Some(&content[..]);
                let expected = format!("{path} is the same at {}", node.id);
                self.narrator
                    .require(&expected, same, &format!("{read:?}"))?;
            }
        }
        self.narrator.say(format!(
            "all {} files are the same at every node, byte for byte",
            self.written.len()
        ));
        Ok(())
    }

    /// A node whose disk is emptied must not come back as if it were the one that it was.
    async fn lose_a_disk(&mut self) -> Result<(), DemoError> {
        let leader = self.leader(3, 0).await?;
        let mut others = self
            .narrator
            .nodes
            .config()
            .nodes
            .iter()
            .map(|node| node.id);
        let victim = others.rfind(|id| *id != leader.id);
        let victim = victim.unwrap_or(leader.id);
        self.narrator.nodes.kill(victim)?;
        let directory = self.narrator.nodes.data_directory(victim);
        let emptied = fs::remove_dir_all(&directory);
        let found = format!("{emptied:?}");
        self.narrator
            .require("the data directory is removed", emptied.is_ok(), &found)?;
        self.narrator.nodes.launch(victim)?;
        let address = self.narrator.address(victim);
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.watcher.status(&address).await;
            let denied = matches!(&said, Err(words) if words.contains("what it has acknowledged"));
            if denied {
                break;
            }
            if Instant::now() >= end {
                let expected = format!("{victim} says that it is refused");
                return self
                    .narrator
                    .require(&expected, false, &format!("{said:?}"));
            }
            sleep(POLL).await;
        }
        self.append_lines("notes/today", 1).await?;
        self.narrator.say(format!(
            "{victim} restarted on an emptied disk: the others refuse it, it says why, and they \
             write on without it"
        ));
        Ok(())
    }

    /// Waits until `count` nodes agree on a leader, which is one of them, in `epoch` or later.
    async fn leader(&mut self, count: usize, epoch: u64) -> Result<Report, DemoError> {
        let end = Instant::now() + PATIENCE;
        loop {
            let reports = self.reports().await;
            if let Some(leader) = agreed(&reports, count, epoch) {
                return Ok(leader);
            }
            if Instant::now() >= end {
                let expected = format!("{count} nodes agree on a leader in epoch {epoch} or later");
                return Err(self.narrator.unexpected(&expected, &format!("{reports:?}")));
            }
            sleep(POLL).await;
        }
    }

    /// What the nodes that run say of themselves.
    async fn reports(&self) -> Vec<Report> {
        let mut reports = Vec::new();
        for node in &self.narrator.nodes.config().nodes {
            if self.narrator.nodes.pid(node.id).is_some() {
                reports.extend(self.watcher.status(&node.client_address).await.ok());
            }
        }
        reports
    }
}

/// The leader on which all of `reports` agree.
fn agreed(reports: &[Report], count: usize, epoch: u64) -> Option<Report> {
    let leader = reports.iter().find(|report| report.role == "leader")?;
    let same = reports
        .iter()
        .all(|report| (report.leader, report.epoch) == (Some(leader.id), leader.epoch));
    (reports.len() == count && leader.epoch >= epoch && same).then(|| leader.clone())
}
