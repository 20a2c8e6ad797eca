//! `lockstep heartbeat run`: a member.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use lockstep::heartbeat::{Config, Event, HeartbeatError, Member, MemberList, VoterConfig};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::interval;

use super::heartbeat::ClusterArgs;
use super::node::{ProcessArgs, end_of_stdin};

/// The machine's load is looked at so often.
const LOAD_EVERY: Duration = Duration::from_secs(1);

/// A member.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Its number, which no other member has
    #[arg(long)]
    id: u16,
    /// Where it keeps its vote and the dictionary, if it votes: a folder of its own, never to be emptied
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// Where it listens for other members, ip:port; port 0 for any
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:0")]
    listen: SocketAddr,
    /// Where other members reach it, ip:port, where that cannot be found out; port 0 for the one it listens on
    #[arg(long, value_name = "ADDRESS")]
    address: Option<SocketAddr>,
    /// Where this machine takes jobs, ip:port: told to all members
    #[arg(long, value_name = "ADDRESS")]
    service: Option<SocketAddr>,
    /// How loaded it says it is, 0 to 1; that of the machine (its load average for each processor), if nothing
    /// is said
    #[arg(long)]
    load: Option<f64>,
    /// If it votes, the port for the other voters: any, and the same from then on, if nothing is said
    #[arg(long, default_value_t = 0)]
    peer_port: u16,
    /// If it votes, the port for clients of the dictionary: as --peer-port
    #[arg(long, default_value_t = 0)]
    client_port: u16,
    /// Where it shows how it fares, over HTTP, ip:port; port 0 for any. At / is a page for people, and there are
    /// /members, /healthz, /readyz, /metrics and /debug/vars; those of a voter show its node of the key-value
    /// store as well. In the clear, and for whoever reaches it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    metrics: SocketAddr,
    #[command(flatten)]
    process: ProcessArgs,
}

impl RunArgs {
    pub(super) fn process(&self) -> &ProcessArgs {
        &self.process
    }

    fn config(&self) -> anyhow::Result<Config> {
        let mut config = Config::new(self.cluster.load()?, self.id).on(self.listen);
        // It goes on trying, and says so.
        config.cluster.timing.join_timeout_ms = 0;
        config.address = self.address;
        config.service_address = self.service;
        config.metrics_address = Some(self.metrics);
        config.token_file = self.cluster.token_file.clone();
        config.voter = VoterConfig {
            data_directory: self.data.clone(),
            peer_port: self.peer_port,
            client_port: self.client_port,
            peer_address: None,
        };
        Ok(config)
    }
}

/// Runs a member until it is told to stop, or fails.
pub(super) async fn run_member(args: RunArgs) -> anyhow::Result<ExitCode> {
    let config = args.config()?;
    // Before anything is sent: a signal that comes now must find somebody.
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
    let stdin = end_of_stdin(args.process.stop_with_stdin());
    let member = Member::start(config).await?;
    let mut events = member.subscribe();
    let mut loads = interval(LOAD_EVERY);
    let mut stdin = std::pin::pin!(stdin);
    println!("member {} listens on {}", member.id().0, member.address());
    if let Some(address) = member.metrics_address() {
        println!("it shows how it fares at http://{address}/");
    }
    loop {
        tokio::select! {
            biased;
            error = member.ended() => {
                // What it says of its end is said already.
                let _ = member.shutdown().await;
                return Err(error.into());
            }
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = &mut stdin => break,
            _ = loads.tick() => report(&member, args.load)?,
            Some(event) = events.next() => tell(&event, &member.members()),
        }
    }
    tracing::info!("stopping");
    member.shutdown().await?;
    println!("left");
    Ok(ExitCode::SUCCESS)
}

fn report(member: &Member, said: Option<f64>) -> Result<(), HeartbeatError> {
    match said.or_else(load_of_machine) {
        Some(load) => member.report_load(load),
        None => Ok(()),
    }
}

/// The load average of the last minute for each processor, where the system says it.
fn load_of_machine() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let average: f64 = text.split(' ').next()?.parse().ok()?;
    let processors = std::thread::available_parallelism().ok()?;
    Some(average / processors.get() as f64)
}

fn tell(event: &Event, list: &MemberList) {
    let ids: Vec<String> = list
        .members
        .iter()
        .map(|member| member.id.0.to_string())
        .collect();
    let ids = ids.join(", ");
    match event {
        Event::Joined(member) => println!("{} joined; list: {ids}", member.id.0),
        Event::Left(member) => println!("{} left; list: {ids}", member.id.0),
        Event::Leader(Some(leader)) => println!("{} leads in term {}", leader.id.0, leader.term),
        Event::Leader(None) => println!(
            "no leader is known: a majority of the voters cannot be reached, and the list is what it was"
        ),
        Event::Set { .. } | Event::Deleted { .. } => {}
        Event::Missed(events) => println!("{events} events were not told; list: {ids}"),
    }
}
