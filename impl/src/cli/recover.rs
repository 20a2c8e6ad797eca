//! `lockstep recover`: a new cluster of what one node has.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use lockstep::kv::Config;
use lockstep::kv::recovery::recover::recover;
use models::NodeId;

/// The last resort when the disks of a majority are lost for good: makes a cluster of its own of
/// what one node has
///
/// LOSES what the others had acknowledged and this node has not. As long as a majority can be had
/// back, start that instead: nothing is lost then.
///
/// The node must not run. It becomes the only member of a new cluster, which has another id: no
/// node of the old one talks to it, and none should be started any more. The other members are
/// asked first, at the addresses of the log and of the file: while one of them lives, nothing is
/// done. Start the node with a file in which every other one is `member = false`, and add new nodes
/// with `lockstep members add`. Of the nodes that are left take the one whose log goes furthest
/// (`last_index` in its status). What its data directory held is kept in a folder there. A recovery
/// that is cut short has either changed nothing, or is ended when the node is started.
///
/// Exit code: 0 when it is done; 2 on any error.
#[derive(Debug, Args)]
pub(super) struct RecoverArgs {
    /// The cluster file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The node whose data is to be the new cluster's
    #[arg(long, value_name = "ID")]
    id: u16,
    /// Says that what the other nodes had, and this one has not, may be lost
    #[arg(long)]
    accept_data_loss: bool,
    /// Does not ask the other members whether they live. For where they cannot be asked from this
    /// machine, and are known to be gone: if enough of them live to lead the old cluster on, there
    /// are two clusters then, and neither has what the other is told
    #[arg(long)]
    force: bool,
}

/// Recovers.
pub(super) async fn run(args: RecoverArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    if !args.accept_data_loss {
        bail!(
            "this loses what the other nodes had acknowledged and node {} has not; nothing was \
             changed. If a majority of the disks is lost for good, say so with --accept-data-loss",
            args.id
        );
    }
    let recovered = recover(&config, NodeId(args.id), args.force).await?;
    println!(
        "node {} is the only member of a new cluster, {}, with its log up to {}.\n\
         What it had before is kept in {}.\n\
         Never start another node of the old cluster again. Write `member = false` for every other \
         node in the file, start this one, and add new nodes with `lockstep members add`.",
        args.id,
        recovered.cluster_id,
        recovered.last_index,
        recovered.kept.display()
    );
    Ok(ExitCode::SUCCESS)
}
