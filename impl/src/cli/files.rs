//! `lockstep files`: a client of the file service.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::{Args, Subcommand};
use lockstep::files::Config;
use lockstep::files::client::parse_batch;
use lockstep::files::client::{Client, ClientError, Entry};
use lockstep::files::store::MAX_FILE_BYTES;
use lockstep::files::store::command::MAX_CONTENT_BYTES;
use lockstep::kv::encoding::escape;

use super::NOT_FOUND;
use super::files_shell;
use super::target::TargetArgs;
use super::values::OutputArgs;

/// Reads and writes the replicated files
///
/// Tries every node, and retries until the timeout; a write is done once at most,
/// however often it is retried. Reads answer what is committed at the node that is asked, perhaps
/// not the latest: --sync has them wait for that.
///
/// Exit code: 0 when it is done; 1 when the file is not there; 2 on any error.
#[derive(Debug, Args)]
pub(super) struct FilesArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Read a state at least as new as every write that was acknowledged before
    #[arg(long, global = true)]
    sync: bool,
    #[command(subcommand)]
    command: FilesCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum FilesCommand {
    /// Makes a file that is not there yet, of any size up to 64 MiB
    ///
    /// More than 1 MiB is sent in pieces, each to the version that the one before has made: if
    /// somebody else writes meanwhile, it stops there and says so.
    Create {
        /// Its path, such as notes/today
        path: String,
        #[command(flatten)]
        content: ContentArgs,
    },
    /// Adds to the end of a file
    Append {
        /// Its path
        path: String,
        #[command(flatten)]
        content: ContentArgs,
        /// Only if the file has this version, as stat shows it
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
    },
    /// Writes a file to standard output, byte for byte (with a line end after it on a terminal), or
    /// to a file
    Read {
        /// Its path
        path: String,
        /// From this byte on
        #[arg(long, value_name = "BYTES", default_value_t = 0)]
        offset: u64,
        /// At most so many bytes
        #[arg(long, value_name = "BYTES")]
        length: Option<u64>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Removes a file
    Delete {
        /// Its path
        path: String,
        /// Only if the file has this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
    },
    /// Lists the paths that begin with PREFIX, in order
    Ls {
        /// What they begin with; all if it is left out
        #[arg(default_value = "")]
        prefix: String,
        /// With size, version and time of the last change
        #[arg(long, short)]
        long: bool,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Shows what is said of a file
    Stat {
        /// Its path
        path: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Does several operations, all or none
    ///
    /// For example, in a file or from standard input:
    ///
    ///   {"operations": [
    ///     {"op": "check", "path": "a", "version": 7},
    ///     {"op": "create", "path": "b", "content": "text"},
    ///     {"op": "append", "path": "c", "content_base64": "AAE=", "if_version": 3},
    ///     {"op": "replace", "path": "d", "content": "text", "if_version": 5},
    ///     {"op": "delete", "path": "e"}
    ///   ]}
    #[command(verbatim_doc_comment)]
    Batch {
        /// The file with the operations; - for standard input
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Prints what changes as it happens, one JSON object a line, until it is interrupted
    Watch {
        /// Only files whose paths begin so
        #[arg(default_value = "")]
        prefix: String,
        /// Go on after this position; from now on if it is left out
        #[arg(long, value_name = "POSITION")]
        from: Option<u64>,
        /// End after so many changes
        #[arg(long, value_name = "COUNT")]
        limit: Option<usize>,
    },
    /// Takes commands line by line, from a terminal or a pipe: help lists them
    Shell,
}

/// What is to be written.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct ContentArgs {
    /// The content; - for what standard input holds. Behind -- it may begin with a hyphen
    content: Option<OsString>,
    /// Read the content from this file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl ContentArgs {
    fn open(self) -> anyhow::Result<Box<dyn Read>> {
        match (self.content, self.file) {
            (_, Some(file)) => {
                let name = file.display().to_string();
                let words = || format!("{name} cannot be read, and nothing was sent");
                let opened = File::open(&file).with_context(words)?;
                let bytes = opened.metadata().with_context(words)?.len();
                if bytes > MAX_FILE_BYTES {
                    bail!(
                        "{name} has {bytes} bytes, more than the {MAX_FILE_BYTES} (64 MiB) that a \
                         file may have; nothing was sent"
                    );
                }
                Ok(Box::new(opened))
            }
            (Some(content), None) if content == "-" => Ok(Box::new(io::stdin())),
            (Some(content), None) => Ok(Box::new(io::Cursor::new(content.into_vec()))),
            (None, None) => bail!("there is no content; nothing was sent"),
        }
    }
}

/// Asks the cluster.
pub(super) async fn run(args: FilesArgs) -> anyhow::Result<ExitCode> {
    let client = Client::with_access(
        args.target.access()?,
        args.target.nodes_of::<Config>()?,
        args.target.timeout(),
    )?;
    let done = match args.command {
        FilesCommand::Watch {
            prefix,
            from,
            limit,
        } => watch(client, &prefix, from, limit).await,
        FilesCommand::Shell => return files_shell::run(client, args.sync).await,
        command => carry_out(client, command, args.sync).await,
    };
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if is_missing(&error) => {
            eprintln!("no such file");
            Ok(ExitCode::from(NOT_FOUND))
        }
        Err(error) => Err(error),
    }
}

/// Whether there is no such file, which is an answer and no error.
pub(super) fn is_missing(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<ClientError>();
    error.is_some_and(ClientError::is_missing)
}

async fn carry_out(mut client: Client, command: FilesCommand, sync: bool) -> anyhow::Result<()> {
    match command {
        FilesCommand::Create { path, content } => {
            create(&mut client, &path, content.open()?).await?;
        }
        FilesCommand::Append {
            path,
            content,
            if_version,
        } => append(&mut client, &path, content.open()?, if_version).await?,
        FilesCommand::Read {
            path,
            offset,
            length,
            output,
        } => {
            let found = if offset == 0 && length.is_none() {
                client.read(&path, sync).await?
            } else {
                let length = length.unwrap_or(u64::MAX);
                client.read_range(&path, offset, length, sync).await?
            };
            output.write(&found.ok_or_else(missing)?)?;
        }
        FilesCommand::Delete { path, if_version } => {
            client.delete(&path, if_version).await?;
        }
        FilesCommand::Ls { prefix, long, json } => {
            list(&mut client, &prefix, Show::of(long, json), sync).await?;
        }
        FilesCommand::Stat { path, json } => stat(&mut client, &path, json, sync).await?,
        FilesCommand::Batch { file } => {
            let mut text = Vec::new();
            let name = file.display().to_string();
            let read = if name == "-" {
                io::stdin().read_to_end(&mut text)
            } else {
                File::open(&file).and_then(|mut file| file.read_to_end(&mut text))
            };
            read.with_context(|| format!("{name} cannot be read, and nothing was sent"))?;
            let operations = parse_batch(&text);
            let operations =
                operations.map_err(|error| anyhow::anyhow!("{name}: {error}; nothing was sent"))?;
            let version = client.batch(operations).await?;
            println!("done, in version {version}");
        }
        FilesCommand::Watch { .. } | FilesCommand::Shell => {}
    }
    Ok(())
}

pub(super) fn missing() -> anyhow::Error {
    ClientError::missing().into()
}

/// Makes a file of what `source` holds.
pub(super) async fn create(
    client: &mut Client,
    path: &str,
    mut source: impl Read,
) -> anyhow::Result<()> {
    let first = next_piece(&mut source)?;
    let is_all = first.len() < MAX_CONTENT_BYTES;
    let bytes = first.len() as u64;
    let version = client.create(path, first).await?;
    if is_all {
        return Ok(());
    }
    append_rest(client, path, source, Some(version), bytes).await
}

/// Appends what `source` holds.
pub(super) async fn append(
    client: &mut Client,
    path: &str,
    mut source: impl Read,
    if_version: Option<u64>,
) -> anyhow::Result<()> {
    let first = next_piece(&mut source)?;
    let is_all = first.len() < MAX_CONTENT_BYTES;
    let bytes = first.len() as u64;
    let version = client.append(path, first, if_version).await?;
    if is_all {
        return Ok(());
    }
    append_rest(client, path, source, Some(version), bytes).await
}

/// Each piece to the version that the one before has made: what somebody else writes in between is
/// noticed.
async fn append_rest(
    client: &mut Client,
    path: &str,
    mut source: impl Read,
    mut version: Option<u64>,
    mut bytes: u64,
) -> anyhow::Result<()> {
    loop {
        let done = async {
            let piece = next_piece(&mut source)?;
            let length = piece.len();
            if length > 0 {
                version = Some(client.append(path, piece, version).await?);
            }
            anyhow::Ok(length)
        };
        let length = done.await.with_context(|| {
            format!(
                "the first {bytes} bytes were written to {path}, and the rest was not: look at it, \
                 and delete it or append the rest"
            )
        })?;
        bytes += length as u64;
        if length < MAX_CONTENT_BYTES {
            return Ok(());
        }
    }
}

fn next_piece(source: &mut impl Read) -> anyhow::Result<Bytes> {
    let mut piece = Vec::new();
    {
        source
            .take(MAX_CONTENT_BYTES as u64)
            .read_to_end(&mut piece)
    }
    .context("the content cannot be read any further")?;
    Ok(piece.into())
}

/// How a list is shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Show {
    Paths,
    Long,
    Json,
}

impl Show {
    fn of(long: bool, json: bool) -> Self {
        match (long, json) {
            (_, true) => Self::Json,
            (true, false) => Self::Long,
            (false, false) => Self::Paths,
        }
    }
}

pub(super) async fn list(
    client: &mut Client,
    prefix: &str,
    show: Show,
    sync: bool,
) -> anyhow::Result<()> {
    let mut after: Option<String> = None;
    let mut out = BufWriter::new(io::stdout());
    loop {
        let page = client.list(prefix, after.as_deref(), None, sync).await?;
        for entry in &page.entries {
            print_entry(&mut out, entry, show)
                .context("the list cannot be written to standard output")?;
        }
        out.flush()
            .context("the list cannot be written to standard output")?;
        after = page.entries.last().map(|entry| entry.path.clone());
        if !page.more || after.is_none() {
            return Ok(());
        }
    }
}

fn print_entry(out: &mut impl Write, entry: &Entry, show: Show) -> io::Result<()> {
    let path = escape(entry.path.as_bytes());
    match show {
        Show::Paths => writeln!(out, "{path}"),
        Show::Long => {
            let Entry {
                size,
                version,
                modified_ms,
                ..
            } = entry;
            writeln!(out, "{size}\t{version}\t{modified_ms}\t{path}")
        }
        Show::Json => writeln!(out, "{}", serde_json::to_string(entry)?),
    }
}

pub(super) async fn stat(
    client: &mut Client,
    path: &str,
    json: bool,
    sync: bool,
) -> anyhow::Result<()> {
    let entry = client.stat(path, sync).await?.ok_or_else(missing)?;
    if json {
        println!("{}", serde_json::to_string(&entry)?);
        return Ok(());
    }
    println!("path         {}", escape(entry.path.as_bytes()));
    println!("size         {}", entry.size);
    println!("version      {}", entry.version);
    println!("created      {}", entry.created);
    println!("created_ms   {}", entry.created_ms);
    println!("modified_ms  {}", entry.modified_ms);
    Ok(())
}

pub(super) async fn watch(
    client: Client,
    prefix: &str,
    from: Option<u64>,
    limit: Option<usize>,
) -> anyhow::Result<()> {
    let mut watch = client.watch(prefix, from);
    let mut left = limit.unwrap_or(usize::MAX);
    while left > 0 {
        let seen = watch.next().await?;
        let line = serde_json::to_string(&seen)?;
        let mut out = io::stdout().lock();
        { writeln!(out, "{line}").and_then(|()| out.flush()) }
            .context("a change cannot be written to standard output")?;
        left -= 1;
    }
    Ok(())
}
