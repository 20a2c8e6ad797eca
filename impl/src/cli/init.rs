//! `lockstep init`: founds a cluster, once.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use lockstep::kv::admin::Admin;
use lockstep::service::founding::request::Founding;

use super::cluster_file::load_cluster;
use super::target::access;

/// Founds the cluster of a file, once: all its nodes must run, on empty data directories
///
/// The node with the lowest id asks the others for their disks, draws the cluster id, and invites
/// them. From then on the members are what the cluster's log says; the file's list of nodes no
/// longer counts, and a node whose file says otherwise does not start.
///
/// It may be asked again: where this very cluster, of this file's name and nodes, was founded
/// already, that is success. Of other nodes it is an error, and nothing is changed.
///
/// A node whose data directory has been emptied is never invited again under its id: in a key-value
/// cluster, remove it with `lockstep members remove`, and add another with `lockstep members add`.
///
/// Exit code: 0 when the cluster is founded, now or before; 2 on any error.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The cluster file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A file that holds the token to show, and nothing else; the environment variable
    /// LOCKSTEP_TOKEN, if nothing is said
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// Asks the first node of the file.
pub(super) async fn run(args: InitArgs) -> anyhow::Result<ExitCode> {
    let config = load_cluster(&args.config)?;
    let Some(founder) = config.founder() else {
        bail!("the file has no node that is to be a member; nothing was done");
    };
    let address = config.node(founder)?.client_address.clone();
    let access = access(config.security.ca.as_deref(), args.token_file.as_deref())?;
    let mut admin = Admin::new(access, vec![address], Duration::from_secs(args.timeout))?;
    let founded = admin.init(&Founding::of(&config)).await?;
    let already = if founded.already { " already" } else { "" };
    let (cluster, cluster_id) = (&config.cluster, founded.cluster_id);
    println!("the cluster `{cluster}` is founded{already}: {cluster_id}");
    Ok(ExitCode::SUCCESS)
}
