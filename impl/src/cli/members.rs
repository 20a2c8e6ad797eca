//! `lockstep members`: who belongs to the cluster.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use lockstep::kv::admin::Admin;
use lockstep::kv::membership::members::MemberRole;
use lockstep::kv::server::members_api::Members;
use models::NodeId;

use super::target::TargetArgs;

/// Shows and changes who belongs to a cluster
///
/// Every change is made by joint consensus, and done when the command says so. It may be asked for
/// again: who is there already, or gone already, stays so.
///
/// A node that has lost its disk, or whose disk was emptied, is refused by the others, for it would
/// deny what it has acknowledged. Start another node on an empty data directory, under an id that
/// no node has had, and let it take the lost one's place:
///
///   lockstep members replace 2 4 --config cluster.toml
///
/// Exit code: 0 when it is so; 2 on any error.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct MembersArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(subcommand)]
    command: MembersCommand,
}

#[derive(Debug, Subcommand)]
enum MembersCommand {
    /// Shows the members: id, role, disk id, addresses; and which peers the asked node refuses.
    /// Where the asked node's file has other addresses than the log, it uses and shows these
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Adds a node that runs on an empty data directory: it receives the log, and does not vote
    Add(NewNode),
    /// Lets a learner vote, once it has caught up
    Promote {
        /// The node
        id: u16,
    },
    /// Removes a node
    Remove {
        /// The node
        id: u16,
    },
    /// Adds a node, waits until it has caught up, and lets it vote in the place of another, which
    /// leaves, in one change
    Replace {
        /// The node that leaves
        old: u16,
        #[command(flatten)]
        new: NewNode,
    },
    /// Makes a voter the leader
    MoveLeader {
        /// The node
        id: u16,
    },
}

/// A node that is to join.
#[derive(Debug, Args)]
struct NewNode {
    /// The new node's id: one that no node of the cluster has had
    id: u16,
    /// Where the others reach it, host:port; from the cluster file if that lists it
    #[arg(long, value_name = "ADDRESS")]
    peer_address: Option<String>,
    /// Where clients reach it, host:port; from the cluster file if that lists it
    #[arg(long, value_name = "ADDRESS")]
    client_address: Option<String>,
}

/// Asks the cluster.
pub(super) async fn run(args: MembersArgs) -> anyhow::Result<ExitCode> {
    let target = &args.target;
    let mut admin = Admin::new(target.access()?, target.nodes()?, target.timeout())?;
    let members = match args.command {
        MembersCommand::List { json } => {
            let members = admin.members().await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&members)?);
                return Ok(ExitCode::SUCCESS);
            }
            members
        }
        MembersCommand::Add(new) => new.add(target, &mut admin).await?,
        MembersCommand::Promote { id } => admin.promote(id).await?,
        MembersCommand::Remove { id } => admin.remove(id).await?,
        MembersCommand::Replace { old, new } => {
            new.add(target, &mut admin).await?;
            admin.replace(old, new.id).await?
        }
        MembersCommand::MoveLeader { id } => {
            admin.move_leader(id).await?;
            println!("node {id} takes over the leadership");
            return Ok(ExitCode::SUCCESS);
        }
    };
    print(&members);
    Ok(ExitCode::SUCCESS)
}

impl NewNode {
    async fn add(&self, target: &TargetArgs, admin: &mut Admin) -> anyhow::Result<Members> {
        let config = target.cluster()?;
        let listed = config.as_ref().and_then(|config| {
            let mut nodes = config.nodes.iter();
            nodes.find(|node| node.id == NodeId(self.id))
        });
        let peer = self.peer_address.clone();
        let peer = peer.or_else(|| listed.map(|node| node.peer_address.clone()));
        let client = self.client_address.clone();
        let client = client.or_else(|| listed.map(|node| node.client_address.clone()));
        let (Some(peer), Some(client)) = (peer, client) else {
            bail!(
                "where is node {}? Say so with --peer-address and --client-address, or list it in \
                 the file that --config names; nothing was changed",
                self.id
            );
        };
        Ok(admin.add(self.id, &peer, &client).await?)
    }
}

fn print(page: &Members) {
    println!(
        "{:>5}  {:8}  {:32}  {:21}  CLIENT ADDRESS",
        "ID", "ROLE", "DISK ID", "PEER ADDRESS"
    );
    for member in &page.members {
        let role = match member.role {
            MemberRole::Voter => "voter",
            MemberRole::Learner => "learner",
            MemberRole::Leaving => "leaving",
        };
        println!(
            "{:>5}  {role:8}  {:32}  {:21}  {}",
            member.id.0, member.disk_id, member.peer_address, member.client_address
        );
    }
    for member in &page.members {
        if let Some(in_log) = &member.in_log {
            println!(
                "node {}: these addresses are of the asked node's file; the log has {} and {}",
                member.id.0, in_log.peer, in_log.client
            );
        }
    }
    if page.joint {
        println!("a change is under way: one set of voters takes over from another");
    }
    for reason in page.refused.values() {
        println!("refused: {reason}");
    }
}
