//! One frame: the records of a step with their length, checksum, number and watermark.
//!
//! ```text
//! ┌──────────┬──────────┬──────────┬──────────┬─────────┐
//! │ length   │ crc32    │ number   │ flushed  │ payload │   little endian
//! │ u32      │ u32      │ u64      │ u64      │ length  │
//! └──────────┴──────────┴──────────┴──────────┴─────────┘
//!            checksum of everything but itself
//! ```
//!
//! `number` counts frames from 1 without a gap. `flushed` is the number of the last frame
//! that was known to be on disk when this one was written. It tells an interrupted write
//! from damage: several frames written before one fsync may reach the disk in any order, so
//! a bad frame followed by good ones is what a crash leaves, *unless* a later frame says
//! that the bad one had been flushed. A bad last frame has none behind it: it is an interrupted
//! write, unless the journal was [sealed](super::seal) behind it.

pub(super) const HEADER: usize = 4 + 4 + 8 + 8;
pub(super) const MAX_PAYLOAD: usize = u32::MAX as usize;

/// A frame that was read back intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) number: u64,
    pub(super) flushed: u64,
    pub(super) payload: &'a [u8],
}

impl Frame<'_> {
    /// How many bytes it takes in a segment.
    pub(super) fn size(&self) -> usize {
        HEADER + self.payload.len()
    }
}

/// Appends a frame to `buffer`. The payload must not exceed [`MAX_PAYLOAD`].
pub(super) fn encode(frame: &Frame<'_>, buffer: &mut Vec<u8>) {
    let payload = frame.payload;
    let start = buffer.len();
    buffer.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&frame.number.to_le_bytes());
    buffer.extend_from_slice(&frame.flushed.to_le_bytes());
    buffer.extend_from_slice(payload);
    let checksum = checksum(&buffer[start..]).to_le_bytes();
    buffer[start + 4..start + 8].copy_from_slice(&checksum);
}

/// The intact frame at the start of `bytes`, if there is one.
pub(super) fn decode(bytes: &[u8]) -> Option<Frame<'_>> {
    let length = u32_at(bytes, 0)? as usize;
    let frame = bytes.get(..HEADER.checked_add(length)?)?;
    if u32_at(frame, 4)? != checksum(frame) {
        return None;
    }
    Some(Frame {
        number: u64_at(frame, 8)?,
        flushed: u64_at(frame, 16)?,
        payload: &frame[HEADER..],
    })
}

/// The first intact frame anywhere in `bytes` which proves that frame `missing` had been on
/// disk. Numbers that could not follow are skipped before any checksum is computed, so this
/// takes linear time on garbage.
pub(super) fn find_witness(bytes: &[u8], missing: u64) -> Option<Frame<'_>> {
    let highest = missing.saturating_add((bytes.len() / HEADER) as u64);
    (0..bytes.len()).find_map(|offset| {
        let rest = &bytes[offset..];
        let plausible = u64_at(rest, 8)
            .zip(u64_at(rest, 16))
            .is_some_and(|(number, flushed)| {
                (missing < number && number <= highest) && (missing..number).contains(&flushed)
            });
        if plausible { decode(rest) } else { None }
    })
}

fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..4]);
    hasher.update(&frame[8..]);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u64, flushed: u64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(
            &Frame {
                number,
                flushed,
                payload,
            },
            &mut bytes,
        );
        bytes
    }

    #[test]
    fn a_frame_comes_back_and_zeros_are_none() {
        let bytes = frame(7, 6, b"abc");
        let read = decode(&bytes).expect("intact");
        assert_eq!(
            (read.number, read.flushed, read.payload),
            (7, 6, b"abc".as_slice())
        );
        assert_eq!(read.size(), bytes.len());
        assert_eq!(decode(&[0; 100]), None);
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let bytes = frame(7, 6, b"abc");
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bad), None, "bit {bit}");
        }
    }

    #[test]
    fn only_a_frame_written_after_the_flush_is_a_witness() {
        let same_group = [vec![9; 40], frame(4, 2, b"x")].concat();
        assert_eq!(find_witness(&same_group, 3), None);
        let later_group = [vec![9; 40], frame(4, 3, b"x")].concat();
        assert_eq!(
            find_witness(&later_group, 3).map(|frame| frame.number),
            Some(4)
        );
    }
}
