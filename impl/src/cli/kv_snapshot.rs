//! `lockstep kv snapshot`: the whole store as a file.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;
use lockstep::kv::Config;
use lockstep::kv::client::Client;
use lockstep::kv::snapshot::file::{Header, Snapshot};
use lockstep::kv::snapshot::restore::restore;
use models::NodeId;

use super::kv::client_of;
use super::target::TargetArgs;

#[derive(Debug, Subcommand)]
pub(super) enum SnapshotCommand {
    /// Saves the store of the running cluster, as it is now, in FILE
    ///
    /// Takes a token that may administrate, where the cluster wants tokens.
    Save {
        /// Is not there before; is whole and on disk afterwards
        file: PathBuf,
    },
    /// Shows what FILE holds
    Status {
        /// What `save` has written
        file: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Makes a node with an empty data directory the only member of a new cluster, with all that FILE
    /// holds
    ///
    /// The cluster file is that of --config. In it every other node is `member = false`: start the
    /// restored one, and add the others with `lockstep members add`. Revisions go on where they were.
    Restore {
        /// What `save` has written
        file: PathBuf,
        /// The node
        #[arg(long, value_name = "ID")]
        id: u16,
    },
}

/// Does what is asked: only `save` talks to the cluster.
pub(super) async fn run(target: &TargetArgs, command: SnapshotCommand) -> anyhow::Result<ExitCode> {
    match command {
        SnapshotCommand::Save { file } => save(&client_of(target)?, &file).await,
        SnapshotCommand::Status { file, json } => status(&file, json),
        SnapshotCommand::Restore { file, id } => restore_node(target.config_of()?, &file, id),
    }
}

async fn save(client: &Client, file: &Path) -> anyhow::Result<ExitCode> {
    if file.exists() {
        bail!(
            "{} is there already, and was not changed; name another file",
            file.display()
        );
    }
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let saved = fetch(client, &unfinished).await;
    let header = match saved {
        Ok(header) => header,
        Err(error) => {
            // It is of no use, and may not be there.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
    };
    fs::rename(&unfinished, file)
        .and_then(|()| sync_folder(file))
        .with_context(|| format!("{} cannot be named", file.display()))?;
    println!(
        "{}: revision {} of cluster {} ({})",
        file.display(),
        header.revision,
        header.cluster,
        header.cluster_id
    );
    Ok(ExitCode::SUCCESS)
}

/// Fetches a snapshot, puts it on disk, and sees that it is whole.
async fn fetch(client: &Client, unfinished: &Path) -> anyhow::Result<Header> {
    let cannot = || format!("{} cannot be written", unfinished.display());
    let file = File::create(unfinished).with_context(cannot)?;
    let mut out = BufWriter::new(file);
    client.snapshot(&mut out).await?;
    let file = out.into_inner().map_err(|error| error.into_error());
    file.and_then(|file| file.sync_all()).with_context(cannot)?;
    Ok(load(unfinished)?.header)
}

fn sync_folder(file: &Path) -> std::io::Result<()> {
    match file.parent() {
        Some(folder) if folder != Path::new("") => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn status(file: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let header = load(file)?.header;
    if json {
        println!("{}", serde_json::to_string(&header)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("cluster       {} ({})", header.cluster, header.cluster_id);
    println!("written by    node {}", header.node.0);
    println!("revision      {}", header.revision);
    println!(
        "last applied  {} of term {}",
        header.last_applied, header.term.0
    );
    Ok(ExitCode::SUCCESS)
}

fn restore_node(config: Option<Config>, file: &Path, id: u16) -> anyhow::Result<ExitCode> {
    let Some(config) = config else {
        bail!("which node? Name its cluster file with --config; nothing was changed");
    };
    let snapshot = load(file).context("nothing was changed")?;
    let revision = snapshot.header.revision;
    let cluster_id = restore(&config, NodeId(id), snapshot)?;
    println!(
        "node {id} is the only member of a new cluster, {cluster_id}, with the store at revision \
         {revision}.\nWrite `member = false` for every other node in the file, start this one, and add \
         the others with `lockstep members add`."
    );
    Ok(ExitCode::SUCCESS)
}

fn load(file: &Path) -> anyhow::Result<Snapshot> {
    let bytes = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Snapshot::read(&bytes).with_context(|| format!("{} is of no use", file.display()))
}
