//! Puts another journal in the place of the one that a data directory holds, as one step.
//!
//! All of it happens within the directory, which may be a mount point that nobody can rename. The
//! new journal is written whole in a folder of its own. Then a file with the plan makes it count:
//! from there on each move may be made again, and after a crash is, before anybody looks at the
//! directory. Until then the old journal counts, and the folder is of no use.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::runtime::journal::DirectoryLock;
use crate::service::data_directory::DirectoryError;

/// The folder in which the new journal is written.
const FRESH: &str = "recovering";
/// The file with the plan.
const PLAN: &str = "recovery-plan";
/// The file that is locked. It stays where it is.
const LOCK: &str = "lock";

/// What is moved away. What takes its place is what the new journal's folder holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Plan {
    /// The folder that the old files are kept in.
    kept: String,
    /// Their names. One that is kept already is not moved again: by then its name may be that of
    /// a new one.
    old: Vec<String>,
}

/// How one file is moved.
type Rename<'a> = &'a mut dyn FnMut(&Path, &Path) -> io::Result<()>;

/// An empty folder for the new journal.
///
/// # Errors
/// When what an earlier try has left cannot be removed.
pub(crate) fn begin(lock: &DirectoryLock) -> Result<PathBuf, DirectoryError> {
    let fresh = lock.directory().join(FRESH);
    match fs::remove_dir_all(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&fresh)(error)),
        _ => Ok(fresh),
    }
}

/// Puts the journal that [`begin`]'s folder holds, all of it on disk, in the place of the one that
/// there is. Of its files those that `is_replaced` names go to the folder `kept`. Returns where that
/// is.
///
/// # Errors
/// When it cannot. Either nothing has changed then, or [`finish`] goes on.
pub(crate) fn replace(
    lock: &DirectoryLock,
    kept: &str,
    is_replaced: &dyn Fn(&str) -> bool,
) -> Result<PathBuf, DirectoryError> {
    let directory = lock.directory();
    let folder = directory.join(kept);
    if folder.exists() {
        return Err(failed(&folder)(io::ErrorKind::AlreadyExists.into()));
    }
    let old = files(directory).map_err(failed(directory))?;
    let stays = |name: &str| name == LOCK || name == PLAN || !is_replaced(name);
    let old = old.into_iter().filter(|name| !stays(name));
    let plan = Plan {
        kept: kept.to_owned(),
        old: old.collect(),
    };
    write_plan(directory, &plan).map_err(failed(&directory.join(PLAN)))?;
    carry_out(directory, &plan, &mut |from, to| fs::rename(from, to))
}

/// Goes on with a replacement that was cut short, if there is one. Returns where the old journal
/// is kept.
///
/// # Errors
/// When a file cannot be moved.
pub(crate) fn finish(lock: &DirectoryLock) -> Result<Option<PathBuf>, DirectoryError> {
    let directory = lock.directory();
    let path = directory.join(PLAN);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(unfinished(&path))?,
    };
    let plan = serde_json::from_str(&text).map_err(|error| unfinished(&path)(error.into()))?;
    let kept = carry_out(directory, &plan, &mut |from, to| fs::rename(from, to))?;
    tracing::warn!(
        directory = %directory.display(), kept = %kept.display(),
        "the journal in this data directory was being replaced by another, and now is"
    );
    Ok(Some(kept))
}

fn carry_out(directory: &Path, plan: &Plan, rename: Rename<'_>) -> Result<PathBuf, DirectoryError> {
    let (kept, fresh) = (directory.join(&plan.kept), directory.join(FRESH));
    fs::create_dir_all(&kept).map_err(unfinished(&kept))?;
    for name in &plan.old {
        let (from, to) = (directory.join(name), kept.join(name));
        if !to.exists() {
            rename(&from, &to).map_err(unfinished(&from))?;
        }
    }
    // Or a new file could be there without the old one of its name.
    sync(&kept).map_err(unfinished(&kept))?;
    sync(directory).map_err(unfinished(directory))?;
    // The folder goes last: where there is none, all that it held has been moved.
    let new = if fresh.exists() {
        files(&fresh).map_err(unfinished(&fresh))?
    } else {
        Vec::new()
    };
    for name in new.iter().filter(|name| *name != LOCK) {
        let from = fresh.join(name);
        rename(&from, &directory.join(name)).map_err(unfinished(&from))?;
    }
    sync(directory).map_err(unfinished(directory))?;
    let plan = directory.join(PLAN);
    fs::remove_file(&plan).map_err(unfinished(&plan))?;
    sync(directory).map_err(unfinished(directory))?;
    // An empty folder by now, and of no use: its end is no part of the step.
    let _ = fs::remove_dir_all(&fresh);
    Ok(kept)
}

/// The names of the files in `directory`, which may have folders too.
fn files(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push(text(&entry.file_name())?);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn text(name: &OsStr) -> io::Result<String> {
    let name = name.to_str().map(str::to_owned);
    name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a file's name is no UTF-8"))
}

/// The plan, whole or not at all.
fn write_plan(directory: &Path, plan: &Plan) -> io::Result<()> {
    let path = directory.join(PLAN);
    let unfinished = path.with_extension("unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(serde_json::to_string(plan)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, &path)?;
    sync(directory)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    let path = path.to_owned();
    move |source| DirectoryError::Io { path, source }
}

fn unfinished(path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    let path = path.to_owned();
    move |source| DirectoryError::Unfinished { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = "before-recovery-1";

    /// A directory with an old journal and a new one in its folder, some of the same names.
    fn prepared() -> (tempfile::TempDir, DirectoryLock) {
        let directory = tempfile::tempdir().expect("a folder");
        let lock = DirectoryLock::acquire(directory.path()).expect("free");
        for name in ["1.journal", "2.journal", "2.checkpoint"] {
            fs::write(directory.path().join(name), "old").expect("written");
        }
        fs::create_dir(directory.path().join("lost+found")).expect("a folder");
        let fresh = begin(&lock).expect("a name");
        fs::create_dir(&fresh).expect("a folder");
        for name in ["0.journal", "1.journal", "lock"] {
            fs::write(fresh.join(name), "new").expect("written");
        }
        (directory, lock)
    }

    fn contents(folder: &Path) -> Vec<(String, String)> {
        let names = files(folder).expect("a folder").into_iter();
        let names = names.filter(|name| name != LOCK);
        names
            .map(|name| {
                let text = fs::read_to_string(folder.join(&name)).expect("text");
                (name, text)
            })
            .collect()
    }

    fn pairs(names: &[&str], text: &str) -> Vec<(String, String)> {
        let names = names.iter();
        names.map(|name| ((*name).into(), text.into())).collect()
    }

    /// How it went when the moves after the first `moves` are not made, and it is begun again.
    fn cut_short_after(moves: usize) -> bool {
        let (directory, lock) = prepared();
        let directory = directory.path();
        let plan = Plan {
            kept: KEPT.into(),
            old: vec![
                "1.journal".into(),
                "2.checkpoint".into(),
                "2.journal".into(),
            ],
        };
        write_plan(directory, &plan).expect("written");
        let mut left = moves;
        let mut rename = |from: &Path, to: &Path| {
            if left == 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            left -= 1;
            fs::rename(from, to)
        };
        let was_cut = carry_out(directory, &plan, &mut rename).is_err();
        let finished = finish(&lock).expect("goes on");
        assert_eq!(finished.is_some(), was_cut, "after {moves}");
        let new = pairs(&["0.journal", "1.journal"], "new");
        assert_eq!(contents(directory), new, "after {moves}");
        let old = pairs(&["1.journal", "2.checkpoint", "2.journal"], "old");
        assert_eq!(contents(&directory.join(KEPT)), old, "after {moves}");
        assert!(directory.join("lost+found").exists());
        was_cut
    }

    #[test]
    fn a_replacement_that_is_cut_short_anywhere_is_ended_by_the_next_start() {
        let cuts = (0..).take_while(|&moves| cut_short_after(moves)).count();
        assert_eq!(cuts, 5, "one before each move");
    }

    #[test]
    fn one_that_has_no_plan_yet_has_changed_nothing() {
        let (directory, lock) = prepared();
        assert_eq!(finish(&lock).expect("nothing to do"), None);
        assert_eq!(contents(directory.path()).len(), 3);
        begin(&lock).expect("removed");
        assert!(!directory.path().join(FRESH).exists());
    }

    #[test]
    fn a_folder_that_is_there_already_is_left_alone() {
        let (directory, lock) = prepared();
        fs::create_dir(directory.path().join(KEPT)).expect("a folder");
        let error = replace(&lock, KEPT, &|_| true)
            .expect_err("refused")
            .to_string();
        assert!(error.contains("before-recovery-1"), "{error}");
        assert_eq!(contents(directory.path()).len(), 3);
        assert_eq!(finish(&lock).expect("nothing to do"), None);
    }
}
