//! `lockstep heartbeat`: a member, and questions to members.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use lockstep::heartbeat::{
    ClusterConfig, Discovery, MemberInfo, MemberList, MemberPage, MembersPage, Observer,
};
use serde_json::json;

use super::heartbeat_run::{RunArgs, run_member};
use super::target::access;
use super::values::{OutputArgs, ValueArgs};
use super::{ERROR, NOT_FOUND};

/// Members that know of each other: who lives, who leads, a shared dictionary, and whom to give work
///
/// `run` is a member; the other commands ask members, and are none. Members are found as the file's
/// `discovery` says, or by --member.
///
/// Exit code: 0 when it is done; 1 when there is no such key, or nobody can be given work; 2 on any error,
/// which says whether anything was changed.
#[derive(Debug, Args)]
pub(super) struct HeartbeatArgs {
    #[command(subcommand)]
    pub(super) command: HeartbeatCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum HeartbeatCommand {
    /// Runs a member until Ctrl-C or SIGTERM, and tells who joins, leaves and leads
    ///
    /// For example, three voters on this machine, which find each other by broadcast:
    ///
    ///   lockstep heartbeat run --config heartbeat.example.toml --id 1 --data data/hb-1
    ///   lockstep heartbeat run --config heartbeat.example.toml --id 2 --data data/hb-2
    ///   lockstep heartbeat run --config heartbeat.example.toml --id 3 --data data/hb-3
    ///
    /// and a member that does not vote:
    ///
    ///   lockstep heartbeat run --config heartbeat.example.toml --id 4
    #[command(verbatim_doc_comment)]
    Run(RunArgs),
    /// Sets a key of the shared dictionary; done when a majority of the voters has it on disk
    Set {
        /// The key
        key: String,
        #[command(flatten)]
        value: ValueArgs,
        #[command(flatten)]
        asked: AskedArgs,
    },
    /// Prints the value of a key, as a majority of the voters confirms it
    Get {
        /// The key
        key: String,
        /// Print what a member's own copy has, also where no majority can be reached: it may be out of date
        #[arg(long)]
        stale: bool,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        asked: AskedArgs,
    },
    /// Removes a key; done when a majority of the voters has that on disk
    Delete {
        /// The key
        key: String,
        #[command(flatten)]
        asked: AskedArgs,
    },
    /// Prints who lives and who leads
    ///
    /// Exit code: 0; 2 also when the list is not current, because its members are cut off from a majority of
    /// the voters: it is printed all the same, with its age.
    Members {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        asked: AskedArgs,
    },
    /// Prints which members can be given work, the least loaded first
    Balance {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        asked: AskedArgs,
    },
}

/// Which cluster, and how it is spoken to.
#[derive(Debug, Args)]
pub(super) struct ClusterArgs {
    /// The file that all members have. `lockstep config init heartbeat` writes one
    #[arg(long, value_name = "FILE", required_unless_present = "name")]
    config: Option<PathBuf>,
    /// Without a file: the name of the cluster, on a network that belongs to it alone; members are found by
    /// broadcast, or by --member
    #[arg(long, conflicts_with = "config", requires = "voters")]
    name: Option<String>,
    /// Without a file: the ids of the members that vote, with commas between
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "ID",
        conflicts_with = "config"
    )]
    voters: Vec<u16>,
    /// An address, ip:port, at which a member listens; may be repeated. Without a file members are found by
    /// these then, and not by broadcast
    #[arg(long, value_name = "ADDRESS")]
    pub(super) member: Vec<SocketAddr>,
    /// A file that holds the token to show to voters, and nothing else; the environment variable
    /// LOCKSTEP_TOKEN, if nothing is said
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

/// How members are asked.
#[derive(Debug, Args)]
pub(super) struct AskedArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Where to listen for answers, ip:port
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:0")]
    listen: SocketAddr,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

impl ClusterArgs {
    pub(super) fn load(&self) -> anyhow::Result<ClusterConfig> {
        let mut cluster = match (&self.config, &self.name) {
            (Some(file), _) => ClusterConfig::load(file)?,
            (None, name) => {
                let name = name.clone().unwrap_or_default();
                let mut cluster = ClusterConfig::new(name, self.voters.iter().copied());
                if !self.member.is_empty() {
                    cluster.discovery = Discovery::Static {
                        members: Vec::new(),
                    };
                }
                cluster
            }
        };
        if let Discovery::Static { members } = &mut cluster.discovery {
            members.extend_from_slice(&self.member);
        }
        cluster.check().context("nothing was started or sent")?;
        Ok(cluster)
    }
}

impl AskedArgs {
    async fn observer(&self) -> anyhow::Result<Observer> {
        let cluster = self.cluster.load()?;
        let timeout = Duration::from_secs(self.timeout);
        let known = self.cluster.member.clone();
        Ok(Observer::start(cluster, self.listen, known, timeout).await?)
    }

    async fn dictionary(&self) -> anyhow::Result<lockstep::heartbeat::ObserverDictionary> {
        let ca = self.cluster.load()?.security.ca;
        let access = access(ca.as_deref(), self.cluster.token_file.as_deref())?;
        Ok(self.observer().await?.dictionary(access).await?)
    }
}

/// Runs, or asks.
pub(super) async fn run(args: HeartbeatArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        HeartbeatCommand::Run(args) => run_member(args).await,
        HeartbeatCommand::Set { key, value, asked } => {
            let value = value.read()?.into();
            asked.dictionary().await?.set(key.as_bytes(), value).await?;
            Ok(ExitCode::SUCCESS)
        }
        HeartbeatCommand::Get {
            key,
            stale,
            output,
            asked,
        } => {
            let value = match stale {
                true => stale_value(&asked, &key).await?,
                false => asked.dictionary().await?.get(key.as_bytes()).await?,
            };
            let Some(value) = value else {
                eprintln!("there is no key `{key}`");
                return Ok(ExitCode::from(NOT_FOUND));
            };
            output.write(&value)?;
            Ok(ExitCode::SUCCESS)
        }
        HeartbeatCommand::Delete { key, asked } => {
            if asked.dictionary().await?.delete(key.as_bytes()).await? {
                return Ok(ExitCode::SUCCESS);
            }
            eprintln!("there is no key `{key}`");
            Ok(ExitCode::from(NOT_FOUND))
        }
        HeartbeatCommand::Members { json, asked } => {
            let list = asked.observer().await?.members().await?;
            Ok(show_members(&list, json))
        }
        HeartbeatCommand::Balance { json, asked } => {
            let balance = asked.cluster.load()?.balance;
            let list = asked.observer().await?.members().await?;
            Ok(show_available(&list, &balance, json))
        }
    }
}

async fn stale_value(asked: &AskedArgs, key: &str) -> anyhow::Result<Option<bytes::Bytes>> {
    let stale = asked.observer().await?.get_stale(key.as_bytes()).await?;
    eprintln!(
        "as it was at revision {}; the member was last in touch with a leader {:.1} s ago",
        stale.revision,
        stale.age.as_secs_f64()
    );
    Ok(stale.value)
}

fn show_members(list: &MemberList, as_json: bool) -> ExitCode {
    if as_json {
        println!("{}", json!(MembersPage::from(list)));
    } else {
        for member in &list.members {
            println!("{}", member_words(member, list));
        }
    }
    if list.is_current {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "no leader is known: this is who lived {:.1} s ago. A majority of the voters cannot be reached from \
         there, so nothing can be changed",
        list.age.as_secs_f64()
    );
    ExitCode::from(ERROR)
}

fn member_words(member: &MemberInfo, list: &MemberList) -> String {
    let leads = list.leader.is_some_and(|leader| leader.id == member.id);
    let role = match (leads, &member.voter) {
        (true, _) => "leader",
        (false, Some(_)) => "voter",
        (false, None) => "member",
    };
    let load = member
        .load
        .map_or_else(|| "-".to_owned(), |load| format!("{load:.2}"));
    let service = member
        .service_address
        .map_or_else(|| "-".to_owned(), |address| address.to_string());
    format!(
        "{:>5}  {role:<6}  {:<21}  load {load:<5}  {service}",
        member.id.0,
        member.address.to_string()
    )
}

fn show_available(
    list: &MemberList,
    balance: &lockstep::heartbeat::Balance,
    as_json: bool,
) -> ExitCode {
    if !list.is_current {
        eprintln!(
            "no leader is known, so nobody knows who lives, and nobody is given work: the list is {:.1} s old",
            list.age.as_secs_f64()
        );
        return ExitCode::from(ERROR);
    }
    let available = list.available(balance);
    if as_json {
        let members: Vec<MemberPage> = available.iter().map(MemberPage::from).collect();
        println!("{}", json!(members));
    } else {
        for member in &available {
            println!("{}", member_words(member, list));
        }
    }
    if available.is_empty() {
        eprintln!(
            "none of {} members says that its load is below {}",
            list.members.len(),
            balance.load_limit
        );
        return ExitCode::from(NOT_FOUND);
    }
    ExitCode::SUCCESS
}
