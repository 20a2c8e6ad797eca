//! `lockstep demo kv`: three nodes as processes, a leader that is killed, and everything
//! still there. Checks what it shows.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use models::NodeId;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::kv::client::Client;
use crate::kv::config::{Config, Timing};
use crate::kv::local::cluster::{KvMessage, Processes};
use crate::kv::status::Report;
use crate::service::narrator::{DemoError, Narrator, PATIENCE, SharedWriter};
use crate::service::slow_network::Sent;

const POLL: Duration = Duration::from_millis(10);
/// So many keys are written at a time.
const KEYS: usize = 20;
/// And so many where each takes long.
const SLOW_KEYS: usize = 2;
/// So much of a message is told, about a line.
const MESSAGE_LETTERS: usize = 120;

struct Demo<'a> {
    narrator: Narrator<'a, Config>,
    client: Client,
    /// Asks single nodes, with little patience.
    watcher: Client,
    /// What the store must hold.
    written: BTreeMap<String, String>,
    /// How many keys are written at a time.
    keys: usize,
}

/// Runs the demo with nodes of `executable`, and tells its steps to `out`.
///
/// # Errors
/// When a step does not show what it should.
pub async fn run(executable: &Path, out: &mut (dyn Write + Send)) -> Result<(), DemoError> {
    let nodes = Processes::start(executable, 3, Timing::default())?;
    Demo::new(nodes, KEYS, out)?.show().await
}

/// The same with nodes whose messages each take `delay`; tells them too, as they are sent.
///
/// # Errors
/// When a step does not show what it should.
pub async fn run_slowly(
    executable: &Path,
    delay: Duration,
    out: &mut (dyn Write + Send),
) -> Result<(), DemoError> {
    let (sent, messages) = mpsc::unbounded_channel();
    let began = Instant::now();
    let (nodes, _network) = Processes::start_on_slow_network(executable, 3, delay, &sent)?;
    let shared = SharedWriter::new(out);
    let (mut steps, mut between) = (shared.clone(), shared);
    let mut demo = Demo::new(nodes, SLOW_KEYS, &mut steps)?;
    tokio::select! {
        biased;
        shown = demo.show() => shown,
        never = tell(messages, began, &mut between) => match never {},
    }
}

/// Tells messages as they are sent.
async fn tell(
    mut messages: mpsc::UnboundedReceiver<Sent<KvMessage>>,
    began: Instant,
    out: &mut impl Write,
) -> Infallible {
    while let Some(Sent { from, to, message }) = messages.recv().await {
        let seconds = began.elapsed().as_secs_f64();
        let mut words = message.to_string();
        if let Some((end, _)) = words.char_indices().nth(MESSAGE_LETTERS) {
            words.truncate(end);
            words.push('…');
        }
        // Whether the demo passes does not depend on whether somebody reads along.
        let _ = writeln!(out, "      {seconds:7.3} s  {from} → {to}  {words}");
    }
    std::future::pending().await
}

impl<'a> Demo<'a> {
    fn new(
        nodes: Processes,
        keys: usize,
        out: &'a mut (dyn Write + Send),
    ) -> Result<Self, DemoError> {
        let client =
            |patience| Client::new(nodes.client_addresses(), patience).map_err(DemoError::client);
        Ok(Self {
            client: client(PATIENCE)?,
            watcher: client(Duration::from_secs(2))?,
            narrator: Narrator::new(nodes, out),
            written: BTreeMap::new(),
            keys,
        })
    }
}

impl Demo<'_> {
    async fn show(&mut self) -> Result<(), DemoError> {
        self.narrator.tell_start("three nodes");
        let first = self.leader(3, 0).await?;
        self.narrator
            .say(format!("{} leads in term {}", first.id, first.term));
        self.write("before", self.keys).await?;
        self.read_back().await?;
        let (second, dead) = self.fail_over(&first).await?;
        self.read_back().await?;
        self.write("after", self.keys).await?;
        self.delete("before-0").await?;
        self.catch_up(dead, &second).await?;
        self.read_through(dead).await?;
        self.narrator.stop()?;
        self.narrator.pass();
        Ok(())
    }

    async fn write(&mut self, name: &str, count: usize) -> Result<(), DemoError> {
        for number in 0..count {
            let (key, value) = (format!("{name}-{number}"), format!("value {number} {name}"));
            let done = self.client.put(key.as_bytes(), value.clone().into()).await;
            self.narrator.check(&format!("{key} is written"), done)?;
            self.written.insert(key, value);
        }
        self.narrator.say(format!(
            "{count} keys written: {name}-0 to {name}-{}",
            count - 1
        ));
        Ok(())
    }

    async fn delete(&mut self, key: &str) -> Result<(), DemoError> {
        let done = self.client.delete(key.as_bytes()).await;
        let was_there = self.narrator.check(&format!("{key} is deleted"), done)?;
        self.narrator
            .require(&format!("{key} was there"), was_there, "it was not")?;
        self.written.remove(key);
        let left = self.client.get(key.as_bytes()).await;
        let left = self.narrator.check(&format!("{key} is read"), left)?;
        self.narrator.require(
            &format!("{key} is gone"),
            left.is_none(),
            "it is still there",
        )?;
        self.narrator.say(format!("{key} deleted"));
        Ok(())
    }

    async fn read_back(&mut self) -> Result<(), DemoError> {
        for (key, value) in self.written.clone() {
            let read = self.client.get(key.as_bytes()).await;
            let read = self.narrator.check(&format!("{key} is read"), read)?;
            let same = read == Some(Bytes::from(value.clone()));
            self.narrator
                .require(&format!("{key} is `{value}`"), same, &format!("{read:?}"))?;
        }
        self.narrator
            .say(format!("all {} keys read back", self.written.len()));
        Ok(())
    }

    /// Kills the leader and waits for the next. Returns it, and who is dead.
    async fn fail_over(&mut self, seen: &Report) -> Result<(Report, NodeId), DemoError> {
        // On a busy machine the lead may have passed on since it was last looked at.
        let leader = self.leader(3, seen.term).await?;
        let killed = Instant::now();
        self.narrator.nodes.kill(leader.id)?;
        self.narrator
            .say(format!("{}, the leader, killed (SIGKILL)", leader.id));
        let next = self.leader(2, leader.term + 1).await?;
        let elected = killed.elapsed();
        let (key, value) = ("failover".to_owned(), "done".to_owned());
        let done = self.client.put(key.as_bytes(), value.clone().into()).await;
        self.narrator
            .check("a write is done after the failover", done)?;
        self.written.insert(key, value);
        let (id, term) = (next.id, next.term);
        self.narrator.say(format!(
            "{id} leads in term {term}: known to both {} ms after the kill, and a write was done \
             after {} ms",
            elected.as_millis(),
            killed.elapsed().as_millis()
        ));
        Ok((next, leader.id))
    }

    /// Restarts `dead` and waits until its log is that of the leader.
    async fn catch_up(&mut self, dead: NodeId, seen: &Report) -> Result<(), DemoError> {
        let restarted = Instant::now();
        self.narrator.nodes.launch(dead)?;
        self.narrator.say(format!("{dead} restarted"));
        let leader = self.leader(3, seen.term).await?;
        let expected = format!("{dead} has the committed log of {}", leader.id);
        let end = Instant::now() + PATIENCE;
        let (log, report) = loop {
            let theirs = self.committed_log(leader.id).await;
            let ours = self.committed_log(dead).await;
            let report = self.status(dead).await;
            match (theirs, ours, report) {
                (Ok(theirs), Ok(ours), Ok(report)) if theirs == ours => break (ours, report),
                (_, ours, report) if Instant::now() >= end => {
                    let found = format!("{ours:?}, {report:?}");
                    return self.narrator.require(&expected, false, &found);
                }
                _ => sleep(POLL).await,
            }
        };
        let keys = self.written.len() as u64;
        self.narrator.require(
            &format!("{keys} keys at {dead}"),
            report.keys == keys,
            &format!("{report:?}"),
        )?;
        let millis = restarted.elapsed().as_millis();
        self.narrator.say(format!(
            "{dead} has caught up after {millis} ms: {} entries committed, {keys} keys, the same \
             log as {}",
            log.len(),
            leader.id
        ));
        Ok(())
    }

    /// Reads everything through one node, which asks the leader.
    async fn read_through(&mut self, id: NodeId) -> Result<(), DemoError> {
        let mut through =
            Client::new(vec![self.narrator.address(id)], PATIENCE).map_err(DemoError::client)?;
        for (key, value) in self.written.clone() {
            let read = through.get(key.as_bytes()).await;
            let read = self
                .narrator
                .check(&format!("{key} is read through {id}"), read)?;
            let same = read == Some(Bytes::from(value.clone()));
            self.narrator.require(
                &format!("{key} is `{value}` at {id}"),
                same,
                &format!("{read:?}"),
            )?;
        }
        self.narrator
            .say(format!("all {} keys read through {id}", self.written.len()));
        Ok(())
    }

    /// Waits until `count` nodes agree on a leader, which is one of them, in `term` or later.
    async fn leader(&mut self, count: usize, term: u64) -> Result<Report, DemoError> {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut reports = Vec::new();
            for node in self.narrator.nodes.config().nodes.clone() {
                reports.extend(self.status(node.id).await.ok());
            }
            if let Some(leader) = agreed(&reports, count, term) {
                return Ok(leader);
            }
            if Instant::now() >= end {
                let expected = format!("{count} nodes agree on a leader in term {term} or later");
                return Err(self.narrator.unexpected(&expected, &format!("{reports:?}")));
            }
            sleep(POLL).await;
        }
    }

    async fn status(&self, id: NodeId) -> Result<Report, String> {
        if self.narrator.nodes.pid(id).is_none() {
            return Err(format!("{id} is dead"));
        }
        self.watcher.status(&self.narrator.address(id)).await
    }

    /// A node's whole committed log, page by page.
    async fn committed_log(&self, id: NodeId) -> Result<Vec<Value>, String> {
        let mut entries = Vec::new();
        let mut next = Some(1);
        while let Some(index) = next {
            let path = format!("/log?index={index}");
            let text = self.watcher.page(&self.narrator.address(id), &path).await?;
            let page: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            entries.extend(page["entries"].as_array().into_iter().flatten().cloned());
            next = page["next"].as_u64();
        }
        Ok(entries)
    }
}

/// The leader on which all of `reports` agree.
fn agreed(reports: &[Report], count: usize, term: u64) -> Option<Report> {
    let leader = reports.iter().find(|report| report.role == "leader")?;
    let same = reports
        .iter()
        .all(|report| (report.leader, report.term) == (Some(leader.id), leader.term));
    (reports.len() == count && leader.term >= term && same).then(|| leader.clone())
}
