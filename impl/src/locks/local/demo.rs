//! `lockstep demo locks`: an orchestrator and four members as processes, contention for a lock, and
//! everything that may befall a holder. Checks what it shows.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use models::NodeId;

use super::cluster::{ORCHESTRATOR, Processes};
use crate::locks::client::{Client, Grant};
use crate::locks::config::{Config, Timing};
use crate::locks::holder::Holder;
use crate::locks::status::Report;
use crate::locks::token::TokenReport;
use crate::service::narrator::{DemoError, Narrator, PATIENCE};

const LOCK: &str = "counter";
/// So many clients count,
const COUNTERS: u16 = 4;
/// so often each.
const ROUNDS: usize = 5;
const TTL: Duration = Duration::from_secs(5);

struct Demo<'a> {
    narrator: Narrator<'a, Config>,
    /// Asks single nodes, with little patience.
    watcher: Client,
    /// The greatest token that the lock has been granted with.
    greatest: Option<TokenReport>,
}

/// Less patient than is usual, so that nobody waits for long.
fn timing() -> Timing {
    Timing {
        health_check_ms: 500,
        misses: 6,
        lease_ms: 2500,
        max_message_delay_ms: 200,
        retry_ms: 200,
        drain_ms: 5000,
        ..Timing::default()
    }
}

/// Runs the demo with nodes of `executable`, and tells its steps to `out`.
///
/// # Errors
/// When a step does not show what it should.
pub async fn run(executable: &Path, out: &mut (dyn Write + Send)) -> Result<(), DemoError> {
    let nodes = Processes::start(executable, 4, timing())?;
    let watcher = Client::new(nodes.client_addresses(), Duration::from_secs(2));
    let mut demo = Demo {
        watcher: watcher.map_err(DemoError::client)?,
        narrator: Narrator::new(nodes, out),
        greatest: None,
    };
    demo.show().await
}

impl Demo<'_> {
    async fn show(&mut self) -> Result<(), DemoError> {
        self.narrator.tell_start("an orchestrator and four members");
        let epoch = self.members(&[1, 2, 3, 4]).await?;
        let quorums = self.quorums(&[1, 2, 3, 4]).await?;
        self.narrator.say(format!(
            "all four are members in epoch {epoch}; each locks a quorum: {quorums}"
        ));
        self.hold_and_wait().await?;
        self.count().await?;
        self.client_dies().await?;
        self.orchestrator_restarts(epoch).await?;
        let epoch = self.holder_dies(epoch).await?;
        let epoch = self.comes_back(epoch).await?;
        let epoch = self.holder_is_held_up(epoch).await?;
        self.leave_and_join(epoch).await?;
        self.narrator.stop()?;
        self.narrator.pass();
        Ok(())
    }

    /// One holds, another waits and gives up, and another waits and is granted.
    async fn hold_and_wait(&mut self) -> Result<(), DemoError> {
        let grant = self.acquire(1, PATIENCE).await?;
        let first = grant.token;
        let holder = Holder::keep(&self.client(1)?, grant);
        let refused = self.client(2)?.acquire(LOCK, Duration::ZERO, TTL).await;
        let refused = self.narrator.check("a second claim is answered", refused)?;
        let found = format!("{refused:?}");
        self.narrator
            .require("it is not granted", refused.is_none(), &found)?;
        let mut waiting = self.client(3)?;
        let waiter = tokio::spawn(async move { waiting.acquire(LOCK, PATIENCE, TTL).await });
        self.until_waiting(3).await?;
        let released = holder.release().await;
        let held = self.narrator.check("the lock is released", released)?;
        self.narrator
            .require("it was held until then", held, "it was not")?;
        let second = waiter.await.map_err(DemoError::client)?;
        let second = self
            .narrator
            .check("the one that waits is granted the lock", second)?;
        let Some(second) = second else {
            return Err(self.narrator.unexpected("it is granted", "it is not"));
        };
        self.rise(second.token)?;
        let token = second.token;
        self.release(3, second).await?;
        self.narrator.say(format!(
            "`{LOCK}` granted at n1 with token {first}; not to one at n2 that does not wait; to one at \
             n3 that waits, with token {token}, once it was released"
        ));
        Ok(())
    }

    /// Clients at all nodes count in a file that knows no lock, each by reading and writing it.
    async fn count(&mut self) -> Result<(), DemoError> {
        let folder = tempfile::tempdir().map_err(DemoError::client)?;
        let file = folder.path().join("count");
        std::fs::write(&file, "0").map_err(DemoError::client)?;
        let before = self.messages().await?;
        let mut counters = tokio::task::JoinSet::new();
        for node in 1..=COUNTERS {
            let (client, file) = (self.client(node)?, file.clone());
            counters.spawn(async move { count_up(client, &file).await });
        }
        let mut tokens = Vec::new();
        while let Some(counted) = counters.join_next().await {
            let counted = counted.map_err(DemoError::client)?;
            tokens.extend(self.narrator.check("a client counts", counted)?);
        }
        let total = usize::from(COUNTERS) * ROUNDS;
        let count = std::fs::read_to_string(&file).map_err(DemoError::client)?;
        self.narrator
            .require_equal("the count", &count, &total.to_string())?;
        // As they entered: by what each has read.
        tokens.sort_unstable_by_key(|(count, _)| *count);
        let rise = tokens.is_sorted_by(|one, other| one.1 < other.1);
        let found = format!("{tokens:?}");
        self.narrator
            .require("each entry has a greater token", rise, &found)?;
        for (_, token) in tokens {
            self.rise(token)?;
        }
        let messages = self.messages().await? - before;
        self.narrator.say(format!(
            "{COUNTERS} clients at as many nodes have counted to {total} in a file, none of it lost; \
             each entry had a greater token, and cost {:.1} messages",
            messages as f64 / total as f64
        ));
        Ok(())
    }

    /// A client that is gone, without a word, loses its lock with its session.
    async fn client_dies(&mut self) -> Result<(), DemoError> {
        let ttl = Duration::from_secs(1);
        let acquired = self.client(1)?.acquire(LOCK, PATIENCE, ttl).await;
        let granted = self.narrator.check("the lock is acquired", acquired)?;
        let granted = granted.map(|grant| grant.token);
        let since = Instant::now();
        let next = self.acquire(2, PATIENCE).await?;
        let waited = since.elapsed();
        let found = format!("{granted:?} before {:?}", next.token);
        self.narrator
            .require("its token is greater", granted < Some(next.token), &found)?;
        self.release(2, next).await?;
        self.narrator.say(format!(
            "a client that says nothing more loses its lock with its session: after {} ms another had it",
            waited.as_millis()
        ));
        Ok(())
    }

    /// The orchestrator is killed and restarted while a lock is held: within a lease nobody notices.
    async fn orchestrator_restarts(&mut self, epoch: u64) -> Result<(), DemoError> {
        let grant = self.acquire(1, PATIENCE).await?;
        let token = grant.token;
        let holder = Holder::keep(&self.client(1)?, grant);
        self.narrator.nodes.kill(ORCHESTRATOR)?;
        let acquired = self.client(2)?.acquire("another", PATIENCE, TTL).await;
        let other = self
            .narrator
            .check("another lock is acquired without it", acquired)?;
        self.narrator.nodes.launch(ORCHESTRATOR)?;
        let after = self.members(&[1, 2, 3, 4]).await?;
        let released = holder.release().await;
        let held = self.narrator.check("the lock is released", released)?;
        let words = if after == epoch && held {
            format!("the lock with token {token} was held all the time")
        } else {
            format!("on this machine that took longer than a lease: epoch {after} has begun")
        };
        self.narrator.require(
            "a lock is lost only with its epoch",
            held || after > epoch,
            &format!("held: {held}, epoch {after} after {epoch}"),
        )?;
        let token_of_other = other.as_ref().map(|grant| grant.token.to_string());
        if let Some(other) = other {
            self.release(2, other).await?;
        }
        self.narrator.say(format!(
            "the orchestrator killed (SIGKILL): `another` was granted without it, with token {}; \
             restarted: {words}",
            token_of_other.unwrap_or_default()
        ));
        Ok(())
    }

    /// The node of a holder is killed: the others begin an epoch without it, and the lock is free.
    async fn holder_dies(&mut self, epoch: u64) -> Result<u64, DemoError> {
        let grant = self.acquire(4, PATIENCE).await?;
        let holder = Holder::keep(&self.client(4)?, grant.clone());
        self.narrator.nodes.kill(NodeId(4))?;
        let killed = Instant::now();
        let loss = holder.lost().await;
        let lost = killed.elapsed();
        let next = self.acquire(1, PATIENCE).await?;
        let granted = killed.elapsed();
        let in_order = next.token > grant.token && granted > lost;
        let found = format!(
            "{} after {lost:?}, and {} after {granted:?}",
            grant.token, next.token
        );
        self.narrator.require(
            "the holder gives up before the next enters",
            in_order,
            &found,
        )?;
        let after = self.members(&[1, 2, 3]).await?;
        self.narrator.require(
            "another epoch has begun",
            after > epoch,
            &format!("epoch {after} after {epoch}"),
        )?;
        let token = next.token;
        self.release(1, next).await?;
        self.narrator.say(format!(
            "n4, whose client held the lock, killed (SIGKILL): the client gave it up after {} ms ({loss}); \
             epoch {after} without n4, and the lock was granted again after {} ms, with token {token}",
            lost.as_millis(),
            granted.as_millis()
        ));
        Ok(after)
    }

    async fn comes_back(&mut self, epoch: u64) -> Result<u64, DemoError> {
        self.narrator.nodes.launch(NodeId(4))?;
        let after = self.members(&[1, 2, 3, 4]).await?;
        self.narrator.require(
            "another epoch has begun",
            after > epoch,
            &format!("epoch {after} after {epoch}"),
        )?;
        self.narrator.say(format!(
            "n4 restarted: it registers, and is a member in epoch {after}"
        ));
        Ok(after)
    }

    /// The node of a holder is stopped for longer than its lease, and goes on.
    async fn holder_is_held_up(&mut self, epoch: u64) -> Result<u64, DemoError> {
        let grant = self.acquire(3, PATIENCE).await?;
        let holder = Holder::keep(&self.client(3)?, grant.clone());
        self.signal(3, "-STOP")?;
        let stopped = Instant::now();
        let loss = holder.lost().await;
        let lost = stopped.elapsed();
        let next = self.acquire(1, PATIENCE).await;
        let granted = stopped.elapsed();
        self.signal(3, "-CONT")?;
        let next = next?;
        let in_order = next.token > grant.token && granted > lost;
        let found = format!(
            "{} after {lost:?}, and {} after {granted:?}",
            grant.token, next.token
        );
        self.narrator.require(
            "the holder gives up before the next enters",
            in_order,
            &found,
        )?;
        let late = self.client(3)?.release(LOCK, grant.session).await;
        let late = format!("{late:?}");
        self.narrator.require(
            "the node that was stopped does not say that the lock was held",
            !late.contains("Held"),
            &late,
        )?;
        self.release(1, next).await?;
        let after = self.members(&[1, 2, 3, 4]).await?;
        self.narrator.require(
            "another epoch has begun",
            after > epoch,
            &format!("epoch {after} after {epoch}"),
        )?;
        self.narrator.say(format!(
            "n3, whose client held the lock, stopped for longer than its lease (SIGSTOP): the client gave \
             it up after {} ms, before another had it after {} ms; {loss}; n3 goes on, knows that it has \
             lost the lock, and is a member again in epoch {after}",
            lost.as_millis(),
            granted.as_millis()
        ));
        Ok(after)
    }

    /// A member leaves and comes back while others wait for the lock.
    async fn leave_and_join(&mut self, epoch: u64) -> Result<(), DemoError> {
        let grant = self.acquire(1, PATIENCE).await?;
        let holder = Holder::keep(&self.client(1)?, grant);
        let mut waiting = self.client(2)?;
        let waiter = tokio::spawn(async move { waiting.acquire(LOCK, PATIENCE, TTL).await });
        self.until_waiting(2).await?;
        let client = self.client(4)?;
        let address = self.narrator.address(NodeId(4));
        let leaving = tokio::spawn(async move { client.set_registered(&address, false).await });
        let ended = holder.release().await;
        self.narrator.check("the lock is released", ended)?;
        let granted = waiter.await.map_err(DemoError::client)?;
        let granted = self
            .narrator
            .check("the one that waits is granted the lock", granted)?;
        let Some(granted) = granted else {
            return Err(self.narrator.unexpected("it is granted", "it is not"));
        };
        self.rise(granted.token)?;
        let token = granted.token;
        self.release(2, granted).await?;
        let left = leaving.await.map_err(DemoError::client)?;
        self.narrator.check("n4 deregisters", left)?;
        let without = self.members(&[1, 2, 3]).await?;
        let client = self.client(4)?;
        let joined = client
            .set_registered(&self.narrator.address(NodeId(4)), true)
            .await;
        self.narrator.check("n4 registers", joined)?;
        let with = self.members(&[1, 2, 3, 4]).await?;
        self.narrator.require(
            "epochs go on",
            epoch < without && without < with,
            &format!("epochs {epoch}, {without} and {with}"),
        )?;
        self.narrator.say(format!(
            "n4 left in epoch {without} while others waited, one of which was granted the lock with token \
             {token}, and joined again in epoch {with}"
        ));
        Ok(())
    }

    /// A client of one node.
    fn client(&self, node: u16) -> Result<Client, DemoError> {
        let address = self.narrator.address(NodeId(node));
        Client::new(vec![address], PATIENCE).map_err(DemoError::client)
    }

    /// Acquires the lock at a node: its token must be greater than all before.
    async fn acquire(&mut self, node: u16, wait: Duration) -> Result<Grant, DemoError> {
        let acquired = self.client(node)?.acquire(LOCK, wait, TTL).await;
        let expected = format!("the lock is acquired at n{node}");
        let Some(grant) = self.narrator.check(&expected, acquired)? else {
            return Err(self.narrator.unexpected(&expected, "it is not granted"));
        };
        self.rise(grant.token)?;
        Ok(grant)
    }

    fn rise(&mut self, token: TokenReport) -> Result<(), DemoError> {
        let before = self.greatest.replace(token);
        let found = format!("{token} after {before:?}");
        self.narrator
            .require("tokens rise", before < Some(token), &found)
    }

    async fn release(&self, node: u16, grant: Grant) -> Result<(), DemoError> {
        let mut client = self.client(node)?;
        let released = client.end(grant.session).await;
        self.narrator.check("the lock is released", released)?;
        Ok(())
    }

    /// Waits until a client waits at the node.
    async fn until_waiting(&self, node: u16) -> Result<(), DemoError> {
        let address = self.narrator.address(NodeId(node));
        let expected = format!("a claim waits at n{node}");
        let waits = || async {
            let report = self.watcher.status(&address).await?;
            let waits = report.member.as_ref().is_some_and(|own| own.waiting > 0);
            waits.then_some(()).ok_or_else(|| format!("{report:?}"))
        };
        self.narrator.until(&expected, waits).await
    }

    /// Waits until exactly these nodes are members of one epoch, by the word of all that run, and
    /// returns it.
    async fn members(&self, ids: &[u16]) -> Result<u64, DemoError> {
        let expected = format!("{ids:?} are the members of one epoch");
        let agree = || async {
            let mut reports = Vec::new();
            for id in [0].iter().chain(ids) {
                let address = self.narrator.address(NodeId(*id));
                reports.push(self.watcher.status(&address).await?);
            }
            agreed(&reports, ids).ok_or_else(|| format!("{reports:?}"))
        };
        self.narrator.until(&expected, agree).await
    }

    async fn quorums(&self, ids: &[u16]) -> Result<String, DemoError> {
        let mut words = Vec::new();
        for id in ids {
            let status = self
                .watcher
                .status(&self.narrator.address(NodeId(*id)))
                .await;
            let report = self.narrator.check("a node shows its status", status)?;
            let own = report.member.unwrap_or_default();
            let quorum: Vec<String> = own.quorum.iter().map(|node| node.0.to_string()).collect();
            words.push(format!("n{id} {{{}}}", quorum.join(" ")));
        }
        Ok(words.join(", "))
    }

    /// How many messages for locks all members have sent.
    async fn messages(&self) -> Result<u64, DemoError> {
        let mut all = 0;
        for id in 1..=4 {
            let status = self
                .watcher
                .status(&self.narrator.address(NodeId(id)))
                .await;
            all += self
                .narrator
                .check("a node shows its status", status)?
                .lock_messages;
        }
        Ok(all)
    }

    fn signal(&self, node: u16, signal: &str) -> Result<(), DemoError> {
        let pid = self.narrator.nodes.pid(NodeId(node)).unwrap_or_default();
        let sent = Command::new("kill")
            .args([signal, &pid.to_string()])
            .status();
        let found = format!("{sent:?}");
        let is_sent = sent.is_ok_and(|status| status.success());
        self.narrator
            .require(&format!("{signal} is sent to n{node}"), is_sent, &found)
    }
}

/// The epoch in which exactly these are members, if all say so.
fn agreed(reports: &[Report], ids: &[u16]) -> Option<u64> {
    let epoch = reports.first()?.epoch;
    let same = reports.iter().all(|report| {
        let members: Vec<u16> = report.members.iter().map(|id| id.0).collect();
        report.epoch == epoch && !report.ending && members == ids
    });
    same.then_some(epoch)
}

/// Counts up in a file, by reading and writing it while it holds the lock. Returns what it read, with
/// the tokens.
async fn count_up(mut client: Client, file: &Path) -> Result<Vec<(u64, TokenReport)>, String> {
    let mut seen = Vec::new();
    for _ in 0..ROUNDS {
        let acquired = client.acquire(LOCK, PATIENCE, TTL).await;
        let grant = acquired.map_err(|error| error.to_string())?;
        let grant = grant.ok_or("it was not granted in time")?;
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        let count: u64 = text
            .parse()
            .map_err(|_| format!("the file holds `{text}`"))?;
        // Time for somebody else to come between, if anybody could.
        tokio::time::sleep(Duration::from_millis(5)).await;
        std::fs::write(file, (count + 1).to_string()).map_err(|error| error.to_string())?;
        seen.push((count, grant.token));
        let ended = client.end(grant.session).await;
        ended.map_err(|error| error.to_string())?;
    }
    Ok(seen)
}
