//! Reading a journal back: which entries survive, where to go on, what to cut, what to refuse.
//!
//! Nothing here changes a file. The whole journal is read and judged first.

use std::fs;
use std::path::{Path, PathBuf};

use super::frame::{self, Frame};
use super::segment::{self, Kind};
use super::{Entry, JournalError, Visitor, checkpoint, seal};
use crate::runtime::identity::Identity;

/// Where a recovered journal goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The oldest segment that still matters. Those before it were replaced by a checkpoint.
    pub(super) oldest: u64,
    /// The segment to append to, and the offset at which its intact frames end.
    pub(super) newest: u64,
    pub(super) end: u64,
    /// The number of the next frame.
    pub(super) next: u64,
    pub(super) entries: u64,
    /// Bytes after `end` that an interrupted write left, to be cut.
    pub(super) torn_bytes: u64,
}

/// Hands every surviving entry to `visit`. `None` when the journal is new.
pub(super) fn recover(
    directory: &Path,
    identity: &Identity,
    visit: &mut Visitor<'_>,
) -> Result<Option<Outcome>, JournalError> {
    let stored = checkpoint::read_newest(directory, identity)?;
    let all = segment::list(directory, Kind::Segment)?;
    if stored.is_none() && all.is_empty() {
        check_nothing_sealed(directory, identity)?;
        return Ok(None);
    }
    let (oldest, uncovered) = stored
        .as_ref()
        .map_or((1, 1), |stored| (stored.stamp.index, stored.stamp.first));
    if stored.is_none()
        && let Some(&there) = all.first()
    {
        // One of another format, or of somebody else, is called that, whatever else is missing.
        Segment::read(directory, there, identity)?;
    }
    let mut outcome = Outcome {
        oldest,
        newest: all.last().copied().unwrap_or(0).max(oldest),
        end: 0,
        next: uncovered,
        entries: 0,
        torn_bytes: 0,
    };
    if let Some(stored) = stored {
        hand_out(Entry::Checkpoint(&stored.state), &mut outcome, visit)?;
    }
    for index in oldest..=outcome.newest {
        let segment = Segment::read(directory, index, identity)?;
        if index == oldest && segment.first < uncovered {
            outcome.next = segment.first;
        }
        check_continuity(&segment, outcome.next)?;
        read_frames(&segment, uncovered, &mut outcome, visit)?;
    }
    check_checkpoint_is_reached(directory, uncovered, &outcome)?;
    check_seal(directory, identity, &outcome)?;
    Ok(Some(outcome))
}

/// A journal that was sealed is not there any more.
fn check_nothing_sealed(directory: &Path, identity: &Identity) -> Result<(), JournalError> {
    match seal::read(directory, identity)? {
        Some(sealed) if sealed.first > 1 => {
            let what = format!(
                "entry {} was on disk when the node stopped in order, and no segment is left",
                sealed.first - 1
            );
            let missing = segment::path(directory, sealed.index);
            Err(JournalError::damaged(&missing, 0, what))
        }
        _ => Ok(()),
    }
}

/// A checkpoint was begun when everything before its end was on disk.
fn check_checkpoint_is_reached(
    directory: &Path,
    uncovered: u64,
    outcome: &Outcome,
) -> Result<(), JournalError> {
    if outcome.next >= uncovered {
        return Ok(());
    }
    let what = format!(
        "entry {} is altered or missing, and the checkpoint was taken when entry {} was on disk",
        outcome.next,
        uncovered - 1
    );
    let newest = segment::path(directory, outcome.newest);
    Err(JournalError::damaged(&newest, outcome.end, what))
}

/// What ends before the seal says that it did was cut or altered since.
fn check_seal(
    directory: &Path,
    identity: &Identity,
    outcome: &Outcome,
) -> Result<(), JournalError> {
    match seal::read(directory, identity)? {
        Some(sealed) if sealed.first > outcome.next => {
            let what = format!(
                "entry {} is altered or missing, and entry {} was on disk when the node stopped in \
                 order",
                outcome.next,
                sealed.first - 1
            );
            let newest = segment::path(directory, outcome.newest);
            Err(JournalError::damaged(&newest, outcome.end, what))
        }
        _ => Ok(()),
    }
}

fn hand_out(
    entry: Entry<'_>,
    outcome: &mut Outcome,
    visit: &mut Visitor<'_>,
) -> Result<(), JournalError> {
    visit(entry).map_err(|reason| JournalError::NotUnderstood { reason })?;
    outcome.entries += 1;
    Ok(())
}

/// A segment read into memory.
struct Segment {
    path: PathBuf,
    index: u64,
    bytes: Vec<u8>,
    header: usize,
    first: u64,
}

impl Segment {
    fn read(directory: &Path, index: u64, identity: &Identity) -> Result<Self, JournalError> {
        let path = segment::path(directory, index);
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => JournalError::damaged(
                &path,
                0,
                "the segment is missing, and what follows on it is not",
            ),
            _ => JournalError::io("reading", &path)(error),
        })?;
        let (stamp, header) = segment::read_header(&path, Kind::Segment, index, &bytes, identity)?;
        Ok(Self {
            path,
            index,
            bytes,
            header,
            first: stamp.first,
        })
    }
}

/// A segment goes on where the checkpoint, or the segment before it, ended.
fn check_continuity(segment: &Segment, expected: u64) -> Result<(), JournalError> {
    if segment.first == expected {
        return Ok(());
    }
    let what = format!(
        "it begins with entry {}, and entry {expected} should be the next",
        segment.first
    );
    Err(JournalError::damaged(&segment.path, 0, what))
}

/// Hands out the frames from number `uncovered` on: those before are in the checkpoint.
fn read_frames(
    segment: &Segment,
    uncovered: u64,
    outcome: &mut Outcome,
    visit: &mut Visitor<'_>,
) -> Result<(), JournalError> {
    let mut offset = segment.header;
    while let Some(frame) = frame::decode(&segment.bytes[offset..]) {
        check_number(segment, offset, &frame, outcome.next)?;
        if frame.number >= uncovered {
            hand_out(Entry::Step(frame.payload), outcome, visit)?;
        }
        offset += frame.size();
        outcome.next += 1;
    }
    outcome.end = offset as u64;
    judge_rest(segment, offset, outcome)
}

fn check_number(
    segment: &Segment,
    offset: usize,
    frame: &Frame<'_>,
    expected: u64,
) -> Result<(), JournalError> {
    if frame.number == expected {
        return Ok(());
    }
    let what = format!(
        "entry {} stands where entry {expected} belongs",
        frame.number
    );
    Err(JournalError::damaged(&segment.path, offset as u64, what))
}

/// What follows the intact frames: nothing, preallocated zeros, an interrupted write, or
/// damage.
fn judge_rest(segment: &Segment, offset: usize, outcome: &mut Outcome) -> Result<(), JournalError> {
    let rest = &segment.bytes[offset..];
    let written = rest.len() - rest.iter().rev().take_while(|byte| **byte == 0).count();
    let damaged = |what| Err(JournalError::damaged(&segment.path, offset as u64, what));
    if segment.index < outcome.newest {
        // A segment is flushed and trimmed before the next one is created.
        return if rest.is_empty() {
            Ok(())
        } else {
            damaged(format!(
                "entry {} is altered, and later segments exist",
                outcome.next
            ))
        };
    }
    if let Some(witness) = frame::find_witness(&rest[..written], outcome.next) {
        return damaged(format!(
            "entry {} is altered, and entry {} was written after it was on disk",
            outcome.next, witness.number
        ));
    }
    outcome.torn_bytes = written as u64;
    Ok(())
}
