//! What changes the files, and why a change is not made.

use std::fmt::{self, Display};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::path::{BadPath, check_path};
use super::{MAX_FILE_BYTES, MAX_STATE_BYTES};

/// No command carries more content, be it of one operation or of many.
pub const MAX_CONTENT_BYTES: usize = 1 << 20;
/// A batch has at most so many operations: each session keeps the answer to its last one.
pub const MAX_OPERATIONS: usize = 128;
/// A command's room in a message beside its paths and content, for each operation: numbers, lengths,
/// tags. Each number takes at most ten bytes.
pub const OPERATION_OVERHEAD: usize = 64;

/// What changes the files: all of its operations, or none of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Command {
    /// What is done, in order. Each sees what those before it have done.
    pub operations: Vec<Operation>,
    /// The time at the node that took the request, in milliseconds since 1970: only to be shown.
    /// Nothing is decided by it, for clocks differ.
    pub time_ms: u64,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// Makes a file that is not there.
    Create {
        /// Its path.
        path: String,
        /// What it holds.
        content: Bytes,
    },
    /// Adds to the end of a file.
    Append {
        /// Its path.
        path: String,
        /// What is added.
        content: Bytes,
        /// Only if it has this version.
        if_version: Option<u64>,
    },
    /// Gives a file other content.
    Replace {
        /// Its path.
        path: String,
        /// What it holds from now on.
        content: Bytes,
        /// Only if it has this version.
        if_version: u64,
    },
    /// Removes a file.
    Delete {
        /// Its path.
        path: String,
        /// Only if it has this version.
        if_version: Option<u64>,
    },
    /// Changes nothing, and fails if the file is not as it is said to be.
    Check {
        /// Its path.
        path: String,
        /// Its version; none for a file that is not there.
        version: Option<u64>,
    },
}

impl Operation {
    /// The path that it is about.
    pub fn path(&self) -> &str {
        match self {
            Self::Create { path, .. }
            | Self::Append { path, .. }
            | Self::Replace { path, .. }
            | Self::Delete { path, .. }
            | Self::Check { path, .. } => path,
        }
    }

    /// What it carries.
    pub fn content(&self) -> &[u8] {
        match self {
            Self::Create { content, .. }
            | Self::Append { content, .. }
            | Self::Replace { content, .. } => content,
            Self::Delete { .. } | Self::Check { .. } => &[],
        }
    }
}

impl Command {
    /// How much room it takes in a message, about.
    pub fn weight(&self) -> usize {
        let operations = self.operations.iter();
        operations
            .map(|one| OPERATION_OVERHEAD + one.path().len() + one.content().len())
            .sum()
    }
}

/// Why an operation, and with it the whole command, was not done.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
pub enum Fault {
    /// The file is there already.
    #[error("the file is there already, in version {version}")]
    Exists {
        /// Its version.
        version: u64,
    },
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// The file has another version.
    #[error("the file has version {version}, not the one that was named: somebody has changed it")]
    OtherVersion {
        /// The version that it has.
        version: u64,
    },
    /// The file would be too large.
    #[error(
        "the file would have {bytes} bytes, and at most {MAX_FILE_BYTES} (64 MiB) are allowed: begin \
         another file"
    )]
    FileTooLarge {
        /// How large it would be.
        bytes: u64,
    },
    /// All files together would be too large.
    #[error(
        "all files together would take {bytes} bytes, and at most {MAX_STATE_BYTES} (512 MiB) are \
         allowed: delete some first"
    )]
    Full {
        /// How much all would take.
        bytes: u64,
    },
}

/// What is wrong with a command: no node would take it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A path is none.
    #[error("{place}{path}")]
    Path {
        /// Which operation.
        place: Place,
        /// What is wrong with it.
        path: BadPath,
    },
    /// There is too much content.
    #[error(
        "{0} bytes are more than the {MAX_CONTENT_BYTES} (1 MiB) that one request may carry: create \
         the file, and append the rest in pieces"
    )]
    TooMuchContent(usize),
    /// Nothing is to be done.
    #[error("the batch has no operations")]
    NoOperations,
    /// There are too many operations.
    #[error("the batch has {0} operations, and at most {MAX_OPERATIONS} are allowed")]
    TooManyOperations(usize),
}

/// Which of a batch's operations; nothing where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub Option<usize>);

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(index) => write!(f, "operation {index}: "),
            None => Ok(()),
        }
    }
}

/// Checks a command: what is not refused here goes into every node's history.
///
/// # Errors
/// When it is not fit.
pub fn check_command(command: &Command) -> Result<(), Unfit> {
    let operations = &command.operations;
    match operations.len() {
        0 => return Err(Unfit::NoOperations),
        1..=MAX_OPERATIONS => {}
        many => return Err(Unfit::TooManyOperations(many)),
    }
    for (index, operation) in operations.iter().enumerate() {
        let place = Place((operations.len() > 1).then_some(index));
        check_path(operation.path()).map_err(|path| Unfit::Path { place, path })?;
    }
    let bytes = operations.iter().map(|one| one.content().len()).sum();
    if bytes > MAX_CONTENT_BYTES {
        return Err(Unfit::TooMuchContent(bytes));
    }
    Ok(())
}
