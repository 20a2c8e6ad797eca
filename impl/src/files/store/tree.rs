//! The files by their paths, and how much they take together.

use std::ops::Bound;

use bytes::Bytes;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::changes::{ChangeKind, FileChange};
use super::command::{Fault, Operation};
use super::content::Content;
use super::{FILE_OVERHEAD, MAX_FILE_BYTES, MAX_LIST_ENTRIES, MAX_STATE_BYTES};

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct File {
    /// What it holds.
    pub content: Content,
    /// What is said of it.
    pub stat: Stat,
}

/// What is said of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stat {
    /// The position of its last change. No two contents of a path ever have the same, even if the
    /// file was deleted between.
    pub version: u64,
    /// The position of its creation.
    pub created: u64,
    /// How many bytes it has.
    pub size: u64,
    /// When it was created, by the clock of the node that took the request, in milliseconds since
    /// 1970.
    pub created_ms: u64,
    /// When it was changed last, in the same way.
    pub modified_ms: u64,
}

/// The files. Clones share what they have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tree {
    files: OrdMap<String, File>,
    /// How much they take: paths, contents, and a fixed amount each.
    bytes: u64,
}

/// Where and when a change is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) position: u64,
    pub(super) time_ms: u64,
}

impl Tree {
    /// A file.
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// All files, in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &File)> {
        self.files.iter()
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// How much they take together, of [`MAX_STATE_BYTES`].
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The paths that begin with `prefix` and come after `after`, at most `limit` of them, and
    /// whether there are more.
    pub fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<(String, Stat)>, bool) {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let rest = self.files.range::<_, str>((start, Bound::Unbounded));
        let mut rest = rest.take_while(|(path, _)| path.starts_with(prefix));
        let limit = limit.min(MAX_LIST_ENTRIES);
        let page = rest.by_ref().take(limit);
        let page = page.map(|(path, file)| (path.clone(), file.stat)).collect();
        (page, rest.next().is_some())
    }

    /// Does one operation, or changes nothing. Returns the size of the file after it, if there is
    /// one, and what has changed.
    pub(super) fn carry_out(
        &mut self,
        operation: &Operation,
        moment: Moment,
    ) -> Result<(Option<u64>, Option<FileChange>), Fault> {
        let (path, kind, size) = match operation {
            Operation::Create { path, content } => (
                path,
                ChangeKind::Created,
                self.create(path, content, moment)?,
            ),
            Operation::Append {
                path,
                content,
                if_version,
            } => {
                let size = self.append(path, content, *if_version, moment)?;
                (path, ChangeKind::Appended, size)
            }
            Operation::Replace {
                path,
                content,
                if_version,
            } => {
                let size = self.replace(path, content, *if_version, moment)?;
                (path, ChangeKind::Replaced, size)
            }
            Operation::Delete { path, if_version } => {
                self.delete(path, *if_version)?;
                (path, ChangeKind::Deleted, 0)
            }
            Operation::Check { path, version } => return Ok((self.check(path, *version)?, None)),
        };
        let change = FileChange {
            path: path.clone(),
            kind,
            size,
        };
        let is_there = kind != ChangeKind::Deleted;
        Ok((is_there.then_some(size), Some(change)))
    }

    fn create(&mut self, path: &str, content: &Bytes, moment: Moment) -> Result<u64, Fault> {
        if let Some(file) = self.files.get(path) {
            let version = file.stat.version;
            return Err(Fault::Exists { version });
        }
        let content = Content::of(content);
        let size = content.size();
        let room = (path.len() + FILE_OVERHEAD) as u64 + size;
        self.bytes = fits(size, self.bytes + room)?;
        let stat = Stat {
            version: moment.position,
            created: moment.position,
            size,
            created_ms: moment.time_ms,
            modified_ms: moment.time_ms,
        };
        self.files.insert(path.to_owned(), File { content, stat });
        Ok(size)
    }

    fn append(
        &mut self,
        path: &str,
        content: &Bytes,
        if_version: Option<u64>,
        moment: Moment,
    ) -> Result<u64, Fault> {
        let stat = self.expect(path, if_version)?;
        let more = content.len() as u64;
        let size = stat.size + more;
        self.bytes = fits(size, self.bytes + more)?;
        if let Some(file) = self.files.get_mut(path) {
            file.content.append(content);
            file.stat = stat.after(size, moment);
        }
        Ok(size)
    }

    fn replace(
        &mut self,
        path: &str,
        content: &Bytes,
        if_version: u64,
        moment: Moment,
    ) -> Result<u64, Fault> {
        let stat = self.expect(path, Some(if_version))?;
        let size = content.len() as u64;
        self.bytes = fits(size, self.bytes - stat.size + size)?;
        if let Some(file) = self.files.get_mut(path) {
            file.content = Content::of(content);
            file.stat = stat.after(size, moment);
        }
        Ok(size)
    }

    fn delete(&mut self, path: &str, if_version: Option<u64>) -> Result<(), Fault> {
        let stat = self.expect(path, if_version)?;
        self.files.remove(path);
        self.bytes -= (path.len() + FILE_OVERHEAD) as u64 + stat.size;
        Ok(())
    }

    fn check(&self, path: &str, version: Option<u64>) -> Result<Option<u64>, Fault> {
        match (self.files.get(path), version) {
            (None, None) => Ok(None),
            (Some(file), None) => {
                let version = file.stat.version;
                Err(Fault::Exists { version })
            }
            (_, Some(_)) => Ok(Some(self.expect(path, version)?.size)),
        }
    }

    /// The file, if it is there in this version.
    fn expect(&self, path: &str, version: Option<u64>) -> Result<Stat, Fault> {
        let stat = self.files.get(path).ok_or(Fault::Missing)?.stat;
        match version {
            Some(version) if version != stat.version => {
                let version = stat.version;
                Err(Fault::OtherVersion { version })
            }
            _ => Ok(stat),
        }
    }
}

impl Stat {
    fn after(self, size: u64, moment: Moment) -> Self {
        Self {
            version: moment.position,
            size,
            modified_ms: moment.time_ms,
            ..self
        }
    }
}

/// What all files take after a change, if that and the file's size are within the limits.
fn fits(file: u64, all: u64) -> Result<u64, Fault> {
    if file > MAX_FILE_BYTES {
        return Err(Fault::FileTooLarge { bytes: file });
    }
    if all > MAX_STATE_BYTES {
        return Err(Fault::Full { bytes: all });
    }
    Ok(all)
}
