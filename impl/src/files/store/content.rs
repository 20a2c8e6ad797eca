//! What a file holds: segments, so that an append copies none of what is there already, and clones
//! share all they have in common.

use bytes::{Bytes, BytesMut};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

/// An append that leaves the last segment no larger than this is copied to its end: else a file
/// written a line at a time would have a segment for each line.
const SMALL_BYTES: usize = 16 << 10;

/// What a file holds. Equal appends in equal order make equal segments, so that replicas are equal
/// in every respect.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Content {
    /// Each by its offset. None is empty.
    segments: OrdMap<u64, Bytes>,
    size: u64,
}

impl Content {
    /// With these bytes.
    pub fn of(bytes: &Bytes) -> Self {
        let mut content = Self::default();
        content.append(bytes);
        content
    }

    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many segments there are.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &Bytes) {
        if bytes.is_empty() {
            return;
        }
        let (offset, segment) = match self.segments.get_max() {
            Some((offset, last)) if last.len() + bytes.len() <= SMALL_BYTES => {
                let mut joined = BytesMut::with_capacity(last.len() + bytes.len());
                joined.extend_from_slice(last);
                joined.extend_from_slice(bytes);
                (*offset, joined.freeze())
            }
            _ => (self.size, bytes.clone()),
        };
        self.segments.insert(offset, segment);
        self.size += bytes.len() as u64;
    }

    /// The bytes from `offset` on, at most `length`, in order. Copies nothing.
    pub fn range(&self, offset: u64, length: u64) -> Vec<Bytes> {
        let end = offset.saturating_add(length).min(self.size);
        if offset >= end {
            return Vec::new();
        }
        let first = self.segments.range(..=offset).next_back();
        let first = first.map_or(0, |(start, _)| *start);
        let within = self.segments.range(first..end);
        within
            .map(|(&start, segment)| {
                let from = offset.saturating_sub(start) as usize;
                let to = (end - start).min(segment.len() as u64) as usize;
                segment.slice(from..to)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(content: &Content, offset: u64, length: u64) -> Vec<u8> {
        content.range(offset, length).concat()
    }

    #[test]
    fn every_range_is_the_bytes_that_were_appended() {
        let mut content = Content::default();
        let mut all = Vec::new();
        for (number, length) in [3, 0, SMALL_BYTES, 1, 5, SMALL_BYTES, SMALL_BYTES - 6, 7]
            .into_iter()
            .enumerate()
        {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 7 + number) as u8).collect();
            content.append(&bytes.clone().into());
            all.extend(bytes);
        }
        assert_eq!(content.size(), all.len() as u64);
        assert_eq!(joined(&content, 0, u64::MAX), all);
        for offset in (0..all.len() + 2).step_by(977) {
            for length in [0, 1, 100, SMALL_BYTES, 3 * SMALL_BYTES] {
                let start = offset.min(all.len());
                let end = (offset + length).min(all.len());
                let found = joined(&content, offset as u64, length as u64);
                assert_eq!(found, all[start..end], "{offset}+{length}");
            }
        }
    }

    #[test]
    fn a_file_of_many_lines_has_few_segments() {
        let mut content = Content::default();
        for _ in 0..10_000 {
            content.append(&Bytes::from_static(b"a line\n"));
        }
        assert!(content.segments() <= 5, "{}", content.segments());
    }
}
