//! `lockstep lock`: a client of the lock service.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use lockstep::kv::encoding::escape;
use lockstep::locks::Config;
use lockstep::locks::client::{Client, Grant};
use lockstep::locks::server::{LockReport, SessionPage, Was};
use lockstep::locks::sessions::session_id::SessionId;
use models::NodeId;
use serde_json::json;

use super::NOT_FOUND;
use super::duration;
use super::lock_run::{self, RunArgs};
use super::target::TargetArgs;

/// Takes and releases distributed locks
///
/// A lock has any name of up to 512 bytes, and is there as soon as it is named. Who holds it does so in a
/// session, which lives for a while after its client's last sign of life (--ttl); `lock run` keeps it
/// alive by itself. Each grant bears a fencing token, greater than all before it: a resource that
/// remembers the greatest it has seen refuses whoever comes too late.
///
/// Exit code: 0 when it is done; 1 when a lock is not granted in time, or was not held any more; 2 on any
/// error; see `lock run --help` for its own.
#[derive(Debug, Args)]
pub(super) struct LockArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(subcommand)]
    command: LockCommand,
}

#[derive(Debug, Subcommand)]
enum LockCommand {
    /// Acquires a lock, and prints its token and the session that holds it
    ///
    /// Nobody keeps the session alive: it ends after its TTL, if `lock renew` does not renew it.
    Acquire {
        /// The lock
        name: String,
        #[command(flatten)]
        how: HowArgs,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Releases a lock, and ends the session that holds it
    Release {
        /// The lock
        name: String,
        /// The session, as `lock acquire` has printed it
        #[arg(long)]
        session: SessionId,
    },
    /// Keeps a session alive for another TTL, and prints what it holds
    Renew {
        /// The session, as `lock acquire` has printed it
        #[arg(long)]
        session: SessionId,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Shows who holds a lock, and how many wait for it; or all locks that somebody wants
    ///
    /// Asks all nodes: each knows its own clients.
    Show {
        /// The lock; all if it is left out
        name: Option<String>,
        /// Print it as JSON, a line for each node's word on each lock
        #[arg(long)]
        json: bool,
    },
    Run(RunArgs),
}

/// How a lock is acquired.
#[derive(Debug, Args)]
pub(super) struct HowArgs {
    /// Wait for so long at most, such as 500ms, 30s or 5m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "24h")]
    wait: Duration,
    /// Do not wait: give up as soon as it is known that somebody else has the lock
    #[arg(long, short, conflicts_with = "wait")]
    no_wait: bool,
    /// The session lives for so long after its client's last sign of life
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "10s")]
    ttl: Duration,
}

impl HowArgs {
    /// Acquires the lock; nothing if it is not granted in time.
    pub(super) async fn acquire(
        &self,
        client: &mut Client,
        name: &str,
    ) -> anyhow::Result<Option<Grant>> {
        let wait = if self.no_wait {
            Duration::ZERO
        } else {
            self.wait
        };
        Ok(client.acquire(name, wait, self.ttl).await?)
    }
}

/// Asks the cluster.
pub(super) async fn run(args: LockArgs) -> anyhow::Result<ExitCode> {
    if let LockCommand::Run(args) = &args.command
        && let Some(code) = lock_run::become_command(args)
    {
        return code;
    }
    let mut client = Client::with_access(
        args.target.access()?,
        args.target.nodes_of::<Config>()?,
        args.target.timeout(),
    )?;
    match args.command {
        LockCommand::Acquire { name, how, json } => {
            let Some(grant) = how.acquire(&mut client, &name).await? else {
                eprintln!("not granted in time; nothing is held");
                return Ok(ExitCode::from(NOT_FOUND));
            };
            print_grant(&grant, json);
        }
        LockCommand::Release { name, session } => {
            let was = client.release(&name, session).await?;
            if was != Was::Held {
                eprintln!("{}", not_held(was));
                return Ok(ExitCode::from(NOT_FOUND));
            }
            client
                .end(session)
                .await
                .context("the lock is released, and its session was not ended")?;
        }
        LockCommand::Renew { session, json } => {
            let page = client.renew_session(session).await?;
            print_session(&page, json)?;
        }
        LockCommand::Show { name, json } => show(&client, name.as_deref(), json).await?,
        LockCommand::Run(args) => return lock_run::run(client, args).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn not_held(was: Was) -> &'static str {
    match was {
        Was::Held => "it was held",
        Was::Waiting => "the claim had not been granted; it is given up",
        Was::Revoked => "the lock was lost before: another may have had it meanwhile",
        Was::Nothing => "the session does not hold this lock",
    }
}

fn print_grant(grant: &Grant, json: bool) {
    if json {
        let page = json!({
            "lock": grant.lock,
            "token": grant.token,
            "session": grant.session,
            "node": grant.session.node,
            "ttl_ms": u64::try_from(grant.ttl.as_millis()).unwrap_or(u64::MAX),
        });
        println!("{page}");
        return;
    }
    println!("token    {}", grant.token);
    println!("session  {}", grant.session);
    println!("node     {}", grant.session.node.0);
    println!("ttl_ms   {}", grant.ttl.as_millis());
}

fn print_session(page: &SessionPage, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(page)?);
        return Ok(());
    }
    for lock in &page.locks {
        let token = lock.token.map_or(String::new(), |token| token.to_string());
        let state = serde_json::to_value(lock.state)?;
        let state = state.as_str().unwrap_or_default().to_owned();
        println!("{state:8}  {token:12}  {}", escape(lock.lock.as_bytes()));
    }
    Ok(())
}

/// What one node says of one lock.
struct Word {
    node: NodeId,
    report: LockReport,
}

async fn show(client: &Client, name: Option<&str>, json: bool) -> anyhow::Result<()> {
    let mut words = Vec::new();
    let mut silent = Vec::new();
    for address in client.addresses() {
        let asked = async {
            let node = client.status(address).await?.id;
            let reports = match name {
                Some(name) => vec![client.lock(address, name).await?],
                None => client.locks(address).await?,
            };
            Ok::<_, String>(reports.into_iter().map(move |report| Word { node, report }))
        };
        match asked.await {
            Ok(said) => words.extend(said.filter(|word| word.report.is_of_interest())),
            Err(error) => silent.push(error),
        }
    }
    if silent.len() == client.addresses().len() {
        bail!("no node says anything: {}", silent.join("; "));
    }
    for error in silent {
        eprintln!("warning: {error}");
    }
    words.sort_by(|one, other| {
        let key = |word: &Word| (word.report.lock.clone(), word.node);
        key(one).cmp(&key(other))
    });
    if json {
        for word in words {
            let mut line = serde_json::to_value(&word.report)?;
            line["node"] = json!(word.node);
            println!("{line}");
        }
        return Ok(());
    }
    print_locks(&words);
    Ok(())
}

/// A line for each lock: at which node its holder is, with which token, and how many wait where.
fn print_locks(words: &[Word]) {
    println!("{:>6}  {:12}  {:>7}  LOCK", "HOLDER", "TOKEN", "WAITING");
    for said in words.chunk_by(|one, other| one.report.lock == other.report.lock) {
        // Of two holders, one of which does not know yet that it is none, the one with the greater
        // token.
        let holder = said.iter().max_by_key(|word| word.report.held);
        let holder = holder.and_then(|word| Some((word.node, word.report.held?)));
        let (node, token) = holder.map_or(("-".into(), "-".into()), |(node, token)| {
            (node.0.to_string(), token.to_string())
        });
        let waiting: usize = said.iter().map(|word| word.report.waiting).sum();
        let lock = said.first().map(|word| word.report.lock.as_str());
        let lock = escape(lock.unwrap_or_default().as_bytes());
        println!("{node:>6}  {token:12}  {waiting:>7}  {lock}");
    }
}
