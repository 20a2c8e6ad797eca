//! Where values come from and go to: arguments, files, standard input and output.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use lockstep::kv::store::MAX_VALUE_BYTES;

/// A value that is to be written.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct ValueArgs {
    /// The value, at most 1 MiB; - for what standard input holds. Behind -- it may begin with a
    /// hyphen
    value: Option<OsString>,
    /// Read the value from this file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Where a value that was read goes.
#[derive(Debug, Args)]
pub(super) struct OutputArgs {
    /// Write the value to this file: it then has the whole value, or is as it was before. Nothing
    /// is written when the key is not there
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ValueArgs {
    /// The value.
    pub(super) fn read(self) -> anyhow::Result<Vec<u8>> {
        match (self.value, self.file) {
            (_, Some(file)) => {
                let name = file.display().to_string();
                let opened = File::open(&file).with_context(|| unreadable(&name))?;
                read_value(opened, &name)
            }
            (Some(value), None) if value == "-" => read_value(io::stdin().lock(), "standard input"),
            (Some(value), None) => Ok(value.into_vec()),
            (None, None) => bail!("there is no value; nothing was sent"),
        }
    }
}

/// Reads no more than one byte too many: standard input need not end.
fn read_value(source: impl Read, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut value = Vec::new();
    source
        .take(MAX_VALUE_BYTES as u64 + 1)
        .read_to_end(&mut value)
        .with_context(|| unreadable(name))?;
    if value.len() > MAX_VALUE_BYTES {
        bail!(
            "{name} holds more than the {MAX_VALUE_BYTES} bytes (1 MiB) that a value may have; \
             nothing was sent"
        );
    }
    Ok(value)
}

fn unreadable(name: &str) -> String {
    format!("{name} cannot be read, and nothing was sent")
}

impl OutputArgs {
    /// Writes the value.
    pub(super) fn write(&self, value: &[u8]) -> anyhow::Result<()> {
        match &self.output {
            Some(file) => write_file(file, value)
                .with_context(|| format!("{} cannot be written", file.display())),
            None => print(value).context("the value cannot be written to standard output"),
        }
    }
}

fn print(value: &[u8]) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(value)?;
    if out.is_terminal() {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Beside the file first, then under its name: nobody ever sees half of it.
fn write_file(file: &Path, value: &[u8]) -> io::Result<()> {
    match fs::metadata(file) {
        // Not a link to the file, but the file, and as readable as it was.
        Ok(found) if found.is_file() => {
            replace(&fs::canonicalize(file)?, Some(found.permissions()), value)
        }
        Ok(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
        // A device or a pipe is not to be replaced by a file.
        Ok(_) => File::options().write(true).open(file)?.write_all(value),
        Err(error) if error.kind() == ErrorKind::NotFound => replace(file, None, value),
        Err(error) => Err(error),
    }
}

fn replace(file: &Path, permissions: Option<Permissions>, value: &[u8]) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    // Gone again if anything fails from here on. As any new file: the system takes away what the
    // user's mask says.
    let mut beside = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    if let Some(permissions) = permissions {
        beside.as_file().set_permissions(permissions)?;
    }
    beside.write_all(value)?;
    beside.as_file().sync_all()?;
    beside.persist(file)?;
    Ok(())
}
