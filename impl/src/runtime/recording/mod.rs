//! What a node did: every input with the records and effects that came of it.
//!
//! A recording is enough to step the same code again and to judge every property of the
//! model on what really happened. It is a folder of files, the oldest of which are deleted as
//! new ones are begun. Each file stands for itself: it begins with the node's state, as booting
//! found it on disk or as the steps before the file had left it.
//!
//! The node never waits for a recording. Entries are handed to a thread that writes them; when
//! that is too far behind, what comes next is left out, and the recording goes on in a new file as
//! soon as there is room. So within a file nothing is missing, and between two files nothing but
//! what [`Recorded::Continued`] says it is later by.

mod folder;
mod folder_recorder;
mod format;
mod reader;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use derive_where::derive_where;
use models::{Durable, Effect, Input, Node, Protocol};
use serde::{Deserialize, Serialize};

pub use folder::recordings;
pub use folder_recorder::{FolderRecorder, RecordingOptions};
pub use format::Header;
pub use reader::{Recording, read_recording};

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

    /// A batch of steps has ended and left the node like this. None of its effects has left yet.
    fn flush(&mut self, at: Duration, node: &Node<P>);
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
    /// A file begins in the middle of the node's life.
    Continued {
        /// By the node's clock.
        at: Duration,
        /// What its disk remembers, or is about to.
        durable: P::Durable,
        /// What a crash would forget.
        volatile: P::Volatile,
        /// How many steps before this have not been recorded, since the node last booted.
        left_out: u64,
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
#[error("{doing} the recording {path} failed: {source}; {consequence}")]
pub struct RecordingError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
    consequence: &'static str,
}

impl RecordingError {
    /// Before the node runs.
    fn opening(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::new(
            "opening",
            path,
            "nothing was started. Choose another folder, or record nothing",
        )
    }

    fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::new(
            "writing",
            path,
            "it ends here, and the node goes on without. Make room and start the node again to \
             record it again",
        )
    }

    fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::new("reading", path, "nothing was changed")
    }

    fn new(
        doing: &'static str,
        path: &Path,
        consequence: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            doing,
            path,
            source,
            consequence,
        }
    }
}
