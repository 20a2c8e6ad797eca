//! The replicated files: what a command changes, what a query answers.
//!
//! A **position** is the number of a command in the order in which all are applied, from 1: the
//! same on every node. It counts commands, where a zxid also counts transactions that only bring a
//! node up to date. A file's version is the position of its last change.

pub mod changes;
pub mod command;
pub mod content;
pub mod path;
pub mod tree;

use bytes::Bytes;
use models::machine::{Checksum, StateMachine};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use self::changes::{Change, Changes};
pub use self::command::{Command, Fault, Operation};
use self::tree::Moment;
pub use self::tree::{Stat, Tree};

/// No file is larger.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// All files together take no more: a follower that is far behind gets all of them in one message.
pub const MAX_STATE_BYTES: u64 = 512 << 20;
/// What a file counts for beside its path and content.
pub const FILE_OVERHEAD: usize = 256;
/// A list answers at most so many paths.
pub const MAX_LIST_ENTRIES: usize = 1000;

/// The files with their latest changes. Clones share what they have in common, so that a clone costs
/// the same for a state of any size: a snapshot begins with one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Files {
    tree: Tree,
    changes: Changes,
    /// How many commands have been applied.
    position: u64,
    /// What they come to.
    checksum: u64,
}

/// What asks about the files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Query {
    /// What is said of a file.
    Stat {
        /// Its path.
        path: String,
    },
    /// What a file holds.
    Read {
        /// Its path.
        path: String,
        /// From here on
        offset: u64,
        /// so many bytes at most.
        length: u64,
    },
    /// The last bytes of a file.
    ReadLast {
        /// Its path.
        path: String,
        /// So many.
        length: u64,
    },
    /// The paths that begin with `prefix`, in order.
    List {
        /// The prefix; empty for all.
        prefix: String,
        /// Only paths after this one: the last of the page before.
        after: Option<String>,
        /// At most so many, and never more than [`MAX_LIST_ENTRIES`].
        limit: usize,
    },
}

/// What a command or a query answers. A command's answer is small: each session keeps its last one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Response {
    /// All operations are done.
    Done {
        /// The position of the command: the version of every file that it has changed.
        position: u64,
        /// The size of each operation's file after it; none where there is no file.
        sizes: Vec<Option<u64>>,
    },
    /// One operation could not be done, and so none is: the files are as they were.
    Failed {
        /// The position of the command.
        position: u64,
        /// Which operation.
        index: usize,
        /// Why not.
        fault: Fault,
    },
    /// What is said of a file, if it is there.
    Stat(Option<Stat>),
    /// A part of a file, if it is there.
    Content(Option<Part>),
    /// A page of a list.
    List {
        /// The paths, in order.
        entries: Vec<(String, Stat)>,
        /// Whether there are more after the last one.
        more: bool,
    },
}

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Part {
    /// What is said of the file.
    pub stat: Stat,
    /// Where the part begins.
    pub offset: u64,
    /// The bytes, in order.
    pub segments: Vec<Bytes>,
}

impl Files {
    /// The files.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The latest changes.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// How many commands have been applied.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The running checksum, in hexadecimal digits.
    pub fn checksum_words(&self) -> String {
        format!("{:016x}", self.checksum)
    }

    /// Chains a command to those before it. XXH3 is the same on every machine and in every build.
    fn chain(&mut self, command: &Command) {
        let mut add = |part: &[u8]| self.checksum = xxh3_64_with_seed(part, self.checksum);
        add(&command.time_ms.to_le_bytes());
        for operation in &command.operations {
            let (kind, version) = match operation {
                Operation::Create { .. } => (0u8, None),
                Operation::Append { if_version, .. } => (1, *if_version),
                Operation::Replace { if_version, .. } => (2, Some(*if_version)),
                Operation::Delete { if_version, .. } => (3, *if_version),
                Operation::Check { version, .. } => (4, *version),
            };
            add(&[kind, u8::from(version.is_some())]);
            add(&version.unwrap_or_default().to_le_bytes());
            add(operation.path().as_bytes());
            add(operation.content());
        }
    }

    /// Does all operations, or none.
    fn carry_out(&mut self, command: &Command) -> Result<Vec<Option<u64>>, (usize, Fault)> {
        let moment = Moment {
            position: self.position,
            time_ms: command.time_ms,
        };
        // A single operation is done or changes nothing; of several, one that fails undoes those
        // before it.
        let before = (command.operations.len() > 1).then(|| self.tree.clone());
        let mut sizes = Vec::with_capacity(command.operations.len());
        let mut files = Vec::new();
        for (index, operation) in command.operations.iter().enumerate() {
            match self.tree.carry_out(operation, moment) {
                Ok((size, change)) => {
                    sizes.push(size);
                    files.extend(change);
                }
                Err(fault) => {
                    if let Some(before) = before {
                        self.tree = before;
                    }
                    return Err((index, fault));
                }
            }
        }
        if !files.is_empty() {
            self.changes.push(Change {
                position: moment.position,
                time_ms: moment.time_ms,
                files,
            });
        }
        Ok(sizes)
    }

    fn part(&self, path: &str, range: impl FnOnce(u64) -> (u64, u64)) -> Response {
        Response::Content(self.tree.get(path).map(|file| {
            let (offset, length) = range(file.stat.size);
            Part {
                stat: file.stat,
                offset,
                segments: file.content.range(offset, length),
            }
        }))
    }
}

impl StateMachine for Files {
    type Command = Command;
    type Query = Query;
    type Response = Response;

    fn checksum(&self) -> Option<Checksum> {
        Some(Checksum(self.checksum))
    }

    fn apply(&mut self, command: &Command) -> Response {
        self.position += 1;
        self.chain(command);
        let position = self.position;
        match self.carry_out(command) {
            Ok(sizes) => Response::Done { position, sizes },
            Err((index, fault)) => Response::Failed {
                position,
                index,
                fault,
            },
        }
    }

    fn query(&self, query: &Query) -> Response {
        match query {
            Query::Stat { path } => Response::Stat(self.tree.get(path).map(|file| file.stat)),
            Query::Read {
                path,
                offset,
                length,
            } => self.part(path, |_| (*offset, *length)),
            Query::ReadLast { path, length } => {
                self.part(path, |size| (size.saturating_sub(*length), *length))
            }
            Query::List {
                prefix,
                after,
                limit,
            } => {
                let (entries, more) = self.tree.list(prefix, after.as_deref(), *limit);
                Response::List { entries, more }
            }
        }
    }

    fn weight(command: &Command) -> usize {
        command.weight()
    }
}
