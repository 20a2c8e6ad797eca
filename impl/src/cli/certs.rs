//! `lockstep certs`: a cluster's authority, and the certificates of its nodes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use lockstep::service::address::{Address, Host};
use lockstep::service::certs::{
    CA_FILE, CA_KEY_FILE, GOSSIP_KEY_FILE, NodeCertificate, make_authority, make_node,
};
use lockstep::service::config::NodeConfig;
use models::NodeId;

use super::cluster_file::load_cluster;

/// Makes a cluster's authority, and the certificates of its nodes
///
/// Each node shows the others its certificate, which names its number, and is refused without one of
/// the same authority. In the cluster file:
///
///   [security]
///   ca = "certs/ca.pem"
///   certificate = "certs/node-{id}.pem"   # {id} stands for the node's number
///   key = "certs/node-{id}.key"
///
/// A node needs ca.pem and its own two files. Keep ca.key elsewhere: whoever has it can be any node.
/// Files that are replaced are read anew within a second or two, without a restart.
#[derive(Debug, Args)]
pub(super) struct CertsArgs {
    #[command(subcommand)]
    command: CertsCommand,
}

#[derive(Debug, Subcommand)]
enum CertsCommand {
    /// Makes an authority: ca.pem and ca.key. One that is there is left alone
    Init {
        /// Where the files are put
        #[arg(long, value_name = "DIRECTORY", default_value = "certs")]
        dir: PathBuf,
        /// The name of the cluster, to be told from others by people
        #[arg(long, value_name = "NAME", default_value = "lockstep")]
        cluster: String,
        /// How long it is valid
        #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
    /// Makes the certificate and key of a node, node-ID.pem and node-ID.key, or those of all nodes of a
    /// cluster file. Replaces those that are there
    Node {
        /// The number of the node; all of the file, if nothing is said
        #[arg(long, required_unless_present = "config")]
        id: Option<u16>,
        /// The cluster file: the hosts at which clients reach the nodes are taken from it
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// A name or address at which clients reach the node; may be repeated
        #[arg(long, value_name = "HOST")]
        host: Vec<String>,
        /// Where the authority is, and the files are put
        #[arg(long, value_name = "DIRECTORY", default_value = "certs")]
        dir: PathBuf,
        /// How long it is valid
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
}

/// Makes what is asked for, and says where it is.
pub(super) fn run(args: CertsArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        CertsCommand::Init { dir, cluster, days } => {
            let file = make_authority(&dir, &cluster, days)?;
            println!("{}: the authority's certificate", file.display());
            println!(
                "{}: its key; belongs on no node",
                dir.join(CA_KEY_FILE).display()
            );
            println!(
                "{}: signs the datagrams of a counter's nodes and of heartbeat's members; belongs on each of them",
                dir.join(GOSSIP_KEY_FILE).display()
            );
        }
        CertsCommand::Node {
            id,
            config,
            host,
            dir,
            days,
        } => {
            let wanted = wanted(id, config, &host, days)?;
            for certificate in &wanted {
                let file = make_node(&dir, certificate)?;
                println!(
                    "{}: node {}, for {} days, clients reach it at {}",
                    file.display(),
                    certificate.node.0,
                    days,
                    certificate.hosts.join(", ")
                );
            }
            println!("each node needs its own two files, and {CA_FILE}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn wanted(
    id: Option<u16>,
    config: Option<PathBuf>,
    hosts: &[String],
    days: u32,
) -> anyhow::Result<Vec<NodeCertificate>> {
    let nodes = match config {
        Some(file) => load_cluster_nodes(&file)?,
        None => Vec::new(),
    };
    let ids: Vec<NodeId> = match id {
        Some(id) => vec![NodeId(id)],
        None => nodes.iter().map(|node| node.id).collect(),
    };
    if ids.len() > 1 && !hosts.is_empty() {
        bail!("--host is of one node: say which with --id; nothing was made");
    }
    Ok(ids
        .into_iter()
        .map(|id| {
            let own = nodes.iter().find(|node| node.id == id);
            let mut all: BTreeSet<String> = hosts.iter().cloned().collect();
            all.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
            all.extend(own.and_then(client_host));
            NodeCertificate {
                node: id,
                hosts: all.into_iter().collect(),
                days,
            }
        })
        .collect())
}

fn load_cluster_nodes(file: &Path) -> anyhow::Result<Vec<NodeConfig>> {
    let cluster = load_cluster(file).context("nothing was made")?;
    Ok(cluster.nodes)
}

fn client_host(node: &NodeConfig) -> Option<String> {
    let address = node.client_address.parse::<Address>().ok()?;
    Some(match address.host {
        Host::Name(name) => name,
        // Without the brackets that an address of version 6 has in text.
        Host::Ip(ip) => ip.to_string(),
    })
}
