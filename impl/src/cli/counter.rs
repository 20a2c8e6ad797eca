//! `lockstep counter`: a client of the counter, and a node of it without a file.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use lockstep::counter::client::{Client, nearest_first};
use lockstep::counter::config::Exchange;
use lockstep::counter::{Config, CounterNode};
use lockstep::service::config::{NodeConfig, ServiceConfig};
use models::NodeId;
use models::counter::g_counter::DataCentre;

use super::node::{ProcessArgs, run_node};
use super::target::TargetArgs;

/// Counts at a node, and reads what all have counted
///
/// Asks the nearest node first: that of --data-centre, or else the first that is named. An increment is on
/// the disk of the node that counts it before it is acknowledged; the others hear of it within moments.
/// An increment whose outcome is not known is retried at the same node only, where it counts once.
///
/// Exit code: 0 when it is done; 2 on any error, which says whether anything was counted.
#[derive(Debug, Args)]
pub(super) struct CounterArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// The number of the data centre that is near: its nodes, as the cluster file has them, are asked first
    #[arg(long, value_name = "NUMBER", global = true)]
    data_centre: Option<u16>,
    #[command(subcommand)]
    pub(super) command: CounterCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum CounterCommand {
    /// Counts, and prints the value with it
    Inc {
        /// By how much: a whole number above 0
        #[arg(default_value = "1")]
        amount: u64,
    },
    /// Prints the value, as the nearest node knows it
    Get,
    /// Prints what was counted lately, as JSON with the time that it covers
    Window {
        /// In the latest so many seconds; in the whole window, if nothing is said
        #[arg(long, value_name = "SECONDS")]
        secs: Option<u64>,
    },
    /// Prints what each replica has counted, as JSON
    Verbose,
    /// Prints which members there are, nearest first, and what each says of itself, as JSON
    Cluster,
    /// Has the node that is named with --node leave for good: it counts no more, waits until every member
    /// knows what is on its disk, and ends; its data directory is not needed any more then
    Leave,
    /// Runs a node without a cluster file, until Ctrl-C or SIGTERM
    ///
    /// For example, three nodes on this machine:
    ///
    ///   lockstep counter serve --id 1 --port 4000
    ///   lockstep counter serve --id 2 --port 4010 --members 127.0.0.1:4001
    ///   lockstep counter serve --id 3 --port 4020 --members 127.0.0.1:4001,127.0.0.1:4011
    #[command(verbatim_doc_comment)]
    Serve(ServeArgs),
}

/// A node without a file.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Its number, which no other node of the cluster has
    #[arg(long, default_value_t = 1)]
    id: u16,
    /// The address of this machine at which clients and the other nodes reach it
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port for clients
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The port for the other nodes, over TCP and UDP: the next after --port, if nothing is said. Metrics
    /// are at the port after it
    #[arg(long, alias = "rpc_port", value_parser = clap::value_parser!(u16).range(1..=65534))]
    rpc_port: Option<u16>,
    /// Members to join by, as host:port of their ports for other nodes, with commas between; none begins a
    /// cluster, or waits for others to join
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS")]
    members: Vec<String>,
    /// The name of the cluster: nodes of another name are not heard
    #[arg(long, default_value = "counter")]
    cluster: String,
    /// The number of the data centre where it stands
    #[arg(long = "at", value_name = "NUMBER")]
    at: Option<u16>,
    /// How increments get from node to node
    #[arg(long, value_enum, default_value_t)]
    exchange: ExchangeArg,
    /// A node exchanges all that it knows with one other this often, in milliseconds
    #[arg(long, value_name = "MILLISECONDS")]
    push_pull_ms: Option<u64>,
    /// Where it keeps its journal: counter-data/ID, if nothing is said
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    #[command(flatten)]
    process: ProcessArgs,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ExchangeArg {
    /// It counts alone, and knows of no other
    Alone,
    /// The nodes know of each other, and exchange nothing
    Members,
    /// Now and then a node exchanges all that it knows with one other
    PushPull,
    /// Each increment is sent to all within moments, and push-pull beside it
    #[default]
    Deltas,
}

impl ServeArgs {
    pub(super) fn process(&self) -> &ProcessArgs {
        &self.process
    }

    /// The file that it would have.
    fn config(&self) -> anyhow::Result<Config> {
        let rpc_port = match self.rpc_port {
            Some(port) => port,
            None => self
                .port
                .checked_add(1)
                .context("--rpc-port: none is left after --port")?,
        };
        let metrics_port = rpc_port
            .checked_add(1)
            .context("--rpc-port: none is left after it for metrics")?;
        let at = |port| std::net::SocketAddr::new(self.host, port).to_string();
        let data = self.data.clone();
        let data = data.unwrap_or_else(|| PathBuf::from(format!("counter-data/{}", self.id)));
        let mut node = NodeConfig::new(NodeId(self.id), at(rpc_port), at(self.port), data)
            .with_metrics(at(metrics_port));
        node.data_centre = self.at;
        let mut config = Config::of(self.cluster.clone(), vec![node]);
        config.counter.members = self.members.clone();
        config.counter.exchange = match self.exchange {
            ExchangeArg::Alone => Exchange::Alone,
            ExchangeArg::Members => Exchange::Members,
            ExchangeArg::PushPull => Exchange::PushPull,
            ExchangeArg::Deltas => Exchange::Deltas,
        };
        if let Some(millis) = self.push_pull_ms {
            config.timing.push_pull_ms = millis;
        }
        config.check().context("nothing was started")?;
        Ok(config)
    }
}

/// Asks, or serves.
pub(super) async fn run(args: CounterArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        CounterCommand::Serve(serve) => {
            let config = serve.config()?;
            run_node::<CounterNode>(&config, NodeId(serve.id), &serve.process).await
        }
        CounterCommand::Inc { amount } => {
            let counted = client(&args)?.increment(*amount).await?;
            println!("{}", counted.value);
            Ok(ExitCode::SUCCESS)
        }
        CounterCommand::Get => {
            println!("{}", client(&args)?.value().await?);
            Ok(ExitCode::SUCCESS)
        }
        CounterCommand::Window { secs } => {
            let page = client(&args)?.window(*secs).await?;
            println!("{}", serde_json::to_string(&page)?);
            Ok(ExitCode::SUCCESS)
        }
        CounterCommand::Verbose => {
            let page = client(&args)?.verbose().await?;
            println!("{}", serde_json::to_string_pretty(&page)?);
            Ok(ExitCode::SUCCESS)
        }
        CounterCommand::Cluster => {
            let page = client(&args)?.cluster().await?;
            println!("{}", serde_json::to_string_pretty(&page)?);
            Ok(ExitCode::SUCCESS)
        }
        CounterCommand::Leave => {
            let named = args.target.named();
            if named.len() != 1 {
                bail!(
                    "name the node that is to leave with --node, and no other; nothing was changed"
                );
            }
            let mut client = Client::with(args.target.access()?, named, args.target.timeout())?;
            println!("{}", client.leave().await?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A client of the nodes that are named, and then of those of the file, the nearest first.
fn client(args: &CounterArgs) -> anyhow::Result<Client> {
    let mut nodes = args.target.named();
    if let Some(config) = args.target.config_of::<Config>()? {
        nodes.extend(nearest_first(
            &config.nodes,
            args.data_centre.map(DataCentre),
        ));
    }
    let access = args.target.access()?;
    Ok(Client::with(access, nodes, args.target.timeout())?)
}
