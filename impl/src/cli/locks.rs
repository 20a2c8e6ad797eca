//! `lockstep locks`: who belongs to a cluster of locks.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use lockstep::locks::Config;
use lockstep::locks::client::Client;
use lockstep::locks::server::AddBody;
use models::NodeId;

use super::target::TargetArgs;

/// Says which nodes of a cluster of locks are members, and adds nodes
///
/// A node registers by itself when it starts for the first time (unless its file says `member = false`),
/// and is a member from the next epoch on, and whenever it is restarted, until it deregisters. Each
/// change begins another epoch, over which locks are held on. Only at a node that deregisters they have to
/// be released: until they are, or timing.drain_ms has passed and they are revoked, nobody is granted any.
///
/// Exit code: 0 when it is so; 1 when it is noted on the node's disk, and will be so; 2 on any error.
#[derive(Debug, Args)]
pub(super) struct LocksArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(subcommand)]
    command: LocksCommand,
}

#[derive(Debug, Subcommand)]
enum LocksCommand {
    /// Makes a node a member
    Register {
        /// The node
        id: u16,
    },
    /// Makes a node none: its clients' claims are refused, and what they hold they may release first
    Deregister {
        /// The node
        id: u16,
    },
    /// Adds a node that runs on an empty data directory to the cluster
    ///
    /// A node that the orchestrator's file lists needs none of this: it is invited as soon as it runs.
    Add {
        /// The new node's id: one that no node of the cluster has had
        id: u16,
        /// Where the others reach it, host:port; from the cluster file if that lists it
        #[arg(long, value_name = "ADDRESS")]
        peer_address: Option<String>,
        /// Where clients reach it, host:port; from the cluster file if that lists it
        #[arg(long, value_name = "ADDRESS")]
        client_address: Option<String>,
        /// It does not register by itself
        #[arg(long)]
        no_register: bool,
    },
}

/// Asks the cluster.
pub(super) async fn run(args: LocksArgs) -> anyhow::Result<ExitCode> {
    let target = &args.target;
    let mut client = Client::with_access(
        target.access()?,
        target.nodes_of::<Config>()?,
        target.timeout(),
    )?;
    match args.command {
        LocksCommand::Register { id } => set_registered(target, &client, NodeId(id), true).await,
        LocksCommand::Deregister { id } => set_registered(target, &client, NodeId(id), false).await,
        LocksCommand::Add {
            id,
            peer_address,
            client_address,
            no_register,
        } => {
            let id = NodeId(id);
            let cluster = target.cluster()?;
            let listed = cluster.iter().flat_map(|cluster| &cluster.nodes);
            let listed = listed.into_iter().find(|node| node.id == id);
            let peer = peer_address.or_else(|| listed.map(|node| node.peer_address.clone()));
            let client_at =
                client_address.or_else(|| listed.map(|node| node.client_address.clone()));
            let (Some(peer_address), Some(client_address)) = (peer, client_at) else {
                bail!(
                    "where is node {}? Say so with --peer-address and --client-address, or list it in \
                     the file that --config names; nothing was changed",
                    id.0
                );
            };
            let node = AddBody {
                id,
                peer_address,
                client_address,
                register: !no_register,
            };
            let already = client.add(&node).await?;
            let already = if already { " already" } else { "" };
            println!("node {} belongs to the cluster{already}", id.0);
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn set_registered(
    target: &TargetArgs,
    client: &Client,
    id: NodeId,
    registered: bool,
) -> anyhow::Result<ExitCode> {
    let address = address_of(target, client, id).await?;
    let page = client.set_registered(&address, registered).await?;
    let (id, epoch) = (id.0, page.epoch);
    match (registered, page.member) {
        (true, true) => println!("node {id} is a member in epoch {epoch}"),
        (false, false) => println!("node {id} is no member since epoch {epoch}"),
        (true, false) => {
            println!(
                "node {id} is registered, and will be a member once the orchestrator has begun an epoch with it"
            );
            return Ok(ExitCode::from(1));
        }
        (false, true) => {
            println!(
                "node {id} is deregistered, and will be no member once the orchestrator has begun an epoch without it"
            );
            return Ok(ExitCode::from(1));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a node is: by the file, or by its own word.
async fn address_of(target: &TargetArgs, client: &Client, id: NodeId) -> anyhow::Result<String> {
    let cluster = target.cluster()?;
    let mut listed = cluster.iter().flat_map(|cluster| &cluster.nodes);
    if let Some(node) = listed.find(|node| node.id == id) {
        return Ok(node.client_address.clone());
    }
    for address in client.addresses() {
        if client
            .status(address)
            .await
            .is_ok_and(|report| report.id == id)
        {
            return Ok(address.clone());
        }
    }
    bail!(
        "where is node {}? Name its client address with --node, or a file that lists it with --config; \
         nothing was changed",
        id.0
    );
}
