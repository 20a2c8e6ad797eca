//! The files of recordings in a folder: `NODE-NUMBER.recording`, numbered upwards over all starts of
//! the node.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use models::NodeId;

use super::RecordingError;

const EXTENSION: &str = "recording";

/// The files with the recording of `node` in `folder`, the oldest first.
///
/// # Errors
/// When the folder cannot be read.
pub fn recordings(folder: &Path, node: NodeId) -> Result<Vec<PathBuf>, RecordingError> {
    let numbers = numbers(folder, node).map_err(RecordingError::reading(folder))?;
    Ok(numbers
        .into_iter()
        .map(|number| path(folder, node, number))
        .collect())
}

/// The numbers of the node's files, in order.
pub(super) fn numbers(folder: &Path, node: NodeId) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| number(name, node)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn path(folder: &Path, node: NodeId, number: u64) -> PathBuf {
    folder.join(format!("{}-{number:08}.{EXTENSION}", node.0))
}

fn number(name: &str, node: NodeId) -> Option<u64> {
    let (stem, extension) = name.rsplit_once('.')?;
    let (id, number) = stem.split_once('-')?;
    let is_of_node = extension == EXTENSION && id.parse() == Ok(node.0);
    number.parse().ok().filter(|_| is_of_node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_node_and_number_and_others_are_let_alone() {
        let one = NodeId(1);
        let name = path(Path::new(""), one, 7);
        assert_eq!(name, Path::new("1-00000007.recording"));
        assert_eq!(number("1-00000007.recording", one), Some(7));
        assert_eq!(
            number("1-123456789012.recording", one),
            Some(123_456_789_012)
        );
        for other in ["2-00000007.recording", "1-x.recording", "1-7.log", "1", ""] {
            assert_eq!(number(other, one), None, "{other}");
        }
    }
}
