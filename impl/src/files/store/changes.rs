//! The latest changes: part of the state, so that every node has the same, also after a restart or
//! a snapshot, and a watch may go on at any of them.

use imbl::Vector;
use serde::{Deserialize, Serialize};

/// So many changes of files are remembered, at least those of the last command.
pub const MAX_REMEMBERED: u64 = 4096;

/// What a command has changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Change {
    /// The position of the command.
    pub position: u64,
    /// When, by the clock of the node that took the request, in milliseconds since 1970.
    pub time_ms: u64,
    /// The files, in the order of the operations.
    pub files: Vec<FileChange>,
}

/// What has become of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileChange {
    /// Its path.
    pub path: String,
    /// What was done.
    pub kind: ChangeKind,
    /// How many bytes it has now.
    pub size: u64,
}

/// What was done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was made.
    Created,
    /// It was added to.
    Appended,
    /// It has other content.
    Replaced,
    /// It is gone.
    Deleted,
}

/// The latest changes, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Changes {
    latest: Vector<Change>,
    /// How many changes of files are in them.
    count: u64,
    /// The position of the last change that is forgotten.
    forgotten: u64,
}

impl Changes {
    pub(super) fn push(&mut self, change: Change) {
        self.count += change.files.len() as u64;
        self.latest.push_back(change);
        while self.count > MAX_REMEMBERED && self.latest.len() > 1 {
            let Some(oldest) = self.latest.pop_front() else {
                return;
            };
            self.count -= oldest.files.len() as u64;
            self.forgotten = oldest.position;
        }
    }

    /// The changes after `position`, oldest first; nothing if one of them is forgotten.
    pub fn after(&self, position: u64) -> Option<Vec<Change>> {
        if position < self.forgotten {
            return None;
        }
        let newer = self.latest.iter().rev();
        let newer = newer.take_while(|change| change.position > position);
        let mut changes: Vec<Change> = newer.cloned().collect();
        changes.reverse();
        Some(changes)
    }

    /// The position of the last change that is forgotten: a watch may go on from here, and not
    /// from before.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}
