//! What a node did: every input with the records and effects that came of it.
//!
//! A recording is enough to step the same code again and to judge every property of the
//! model on what really happened.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use derive_where::derive_where;
use models::{Durable, Effect, Input, Protocol};
use serde::{Deserialize, Serialize};

use crate::runtime::codec;

type Record<P> = <<P as Protocol>::Durable as Durable>::Record;

/// Sees everything that a node does, on the thread that does it. Must be quick.
pub trait Recorder<P: Protocol>: Send + 'static {
    /// The node has booted from `durable`.
    fn booted(&mut self, at: Duration, durable: &P::Durable, effects: &[Effect<P>]);

    /// The node has stepped `input`.
    fn stepped(
        &mut self,
        at: Duration,
        input: &Input<P>,
        records: &[Record<P>],
        effects: &[Effect<P>],
    );

    /// A batch of steps has ended. None of its effects has left yet.
    fn flush(&mut self);
}

/// One entry of a recording.
#[derive_where(Clone, Debug, PartialEq, Eq)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Recorded<P: Protocol> {
    /// The node has booted.
    Booted {
        /// By the node's clock.
        at: Duration,
        /// What its disk remembered.
        durable: P::Durable,
        /// What booting wanted done.
        effects: Vec<Effect<P>>,
    },
    /// The node has stepped an input.
    Stepped {
        /// By the node's clock.
        at: Duration,
        /// The input.
        input: Input<P>,
        /// What the step wrote.
        records: Vec<Record<P>>,
        /// What the step wanted done.
        effects: Vec<Effect<P>>,
    },
}

/// Why a recording could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{doing} the recording {path} failed: {source}; the node itself is not affected")]
pub struct RecordingError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl RecordingError {
    fn new(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            doing,
            path,
            source,
        }
    }
}

/// Appends a recording to a file: entries with their length before them. An error ends the
/// recording, not the node.
#[derive(Debug)]
pub struct FileRecorder {
    path: PathBuf,
    /// `None` after an error.
    file: Option<BufWriter<File>>,
}

impl FileRecorder {
    /// Appends to `path`, or creates it.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RecordingError> {
        let path = path.into();
        let file = File::options()
            .append(true)
            .create(true)
            .open(&path)
            .map_err(RecordingError::new("opening", &path))?;
        Ok(Self {
            path,
            file: Some(BufWriter::new(file)),
        })
    }

    fn attempt(&mut self, act: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = act(file) {
            let error = RecordingError::new("writing", &self.path)(error);
            tracing::error!(%error, "the recording ends here");
            self.file = None;
        }
    }

    fn write(&mut self, entry: &impl Serialize) {
        self.attempt(|file| {
            let bytes = codec::encode(entry).map_err(io::Error::other)?;
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            file.write_all(&length.to_le_bytes())?;
            file.write_all(&bytes)
        });
    }
}

impl<P: Protocol> Recorder<P> for FileRecorder {
    fn booted(&mut self, at: Duration, durable: &P::Durable, effects: &[Effect<P>]) {
        self.write(&Recorded::<P>::Booted {
            at,
            durable: durable.clone(),
            effects: effects.to_vec(),
        });
    }

    fn stepped(
        &mut self,
        at: Duration,
        input: &Input<P>,
        records: &[Record<P>],
        effects: &[Effect<P>],
    ) {
        self.write(&Recorded::<P>::Stepped {
            at,
            input: input.clone(),
            records: records.to_vec(),
            effects: effects.to_vec(),
        });
    }

    /// To the operating system, not to the disk: a recording survives the end of its process.
    fn flush(&mut self) {
        self.attempt(BufWriter::flush);
    }
}

/// Reads a recording. An entry that was cut short by a crash ends it.
///
/// # Errors
/// When the file cannot be read, or holds something else.
pub fn read_recording<P: Protocol>(path: &Path) -> Result<Vec<Recorded<P>>, RecordingError> {
    let failed = || RecordingError::new("reading", path);
    let mut file = BufReader::new(File::open(path).map_err(failed())?);
    let mut entries = Vec::new();
    while let Some(bytes) = read_entry(&mut file).map_err(failed())? {
        let entry = codec::decode(&bytes)
            .map_err(io::Error::other)
            .map_err(failed())?;
        entries.push(entry);
    }
    Ok(entries)
}

fn read_entry(file: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    let mut bytes = Vec::new();
    match file.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes(length);
    // Not allocated ahead: the length may be garbage.
    file.take(length.into()).read_to_end(&mut bytes)?;
    Ok((bytes.len() == length as usize).then_some(bytes))
}
