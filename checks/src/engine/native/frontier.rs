//! The states that wait to be expanded, as bytes; what memory has no room for goes to a file.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use super::checkpoint::{Reader, Writer};

/// How many states a chunk holds: the piece of work that a thread takes at a time.
pub(super) const CHUNK: usize = 128;

/// Some states that were found one after the other.
#[derive(Default)]
pub(super) struct Chunk {
    /// The number of the first.
    pub(super) first: u64,
    /// How many there are.
    pub(super) states: usize,
    /// The states, one behind the other.
    pub(super) bytes: Vec<u8>,
}

/// A chunk, here or in the file.
enum Kept {
    Here(Chunk),
    Away {
        first: u64,
        states: usize,
        offset: u64,
        len: usize,
    },
}

/// States in the order in which they were found.
#[derive(Default)]
pub(super) struct Frontier {
    chunks: VecDeque<Kept>,
    filling: Chunk,
    states: u64,
    bytes: u64,
    spilled: Option<Spill>,
}

/// The file, and where its end is.
struct Spill {
    file: File,
    end: u64,
}

impl Frontier {
    /// How many states wait.
    pub(super) fn len(&self) -> u64 {
        self.states
    }

    /// The memory taken.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes + self.filling.bytes.capacity() as u64
    }

    /// Appends state number `number`.
    pub(super) fn push(&mut self, number: u64, state: &[u8]) {
        if self.filling.states == 0 {
            self.filling.first = number;
        }
        self.filling.bytes.extend_from_slice(state);
        self.filling.states += 1;
        self.states += 1;
        if self.filling.states == CHUNK {
            self.seal();
        }
    }

    /// Nothing more is appended: what is there may be taken.
    pub(super) fn seal(&mut self) {
        if self.filling.states > 0 {
            let mut chunk = std::mem::take(&mut self.filling);
            chunk.bytes.shrink_to_fit();
            self.bytes += chunk.bytes.len() as u64;
            self.chunks.push_back(Kept::Here(chunk));
        }
    }

    /// Takes up to so many chunks from the front.
    ///
    /// # Errors
    /// If one that went to the file cannot be read. All states are still there.
    pub(super) fn take(&mut self, most: usize) -> io::Result<Vec<Chunk>> {
        let most = most.min(self.chunks.len());
        for position in 0..most {
            self.bring(position)?;
        }
        let mut taken = Vec::with_capacity(most);
        while taken.len() < most
            && let Some(Kept::Here(chunk)) = self.chunks.pop_front()
        {
            self.bytes -= chunk.bytes.len() as u64;
            self.states -= chunk.states as u64;
            taken.push(chunk);
        }
        Ok(taken)
    }

    /// Brings a chunk back, if it is in the file.
    fn bring(&mut self, position: usize) -> io::Result<()> {
        if let Kept::Away {
            first,
            states,
            offset,
            len,
        } = self.chunks[position]
        {
            let bytes = fetch(&mut self.spilled, offset, len)?;
            self.bytes += bytes.len() as u64;
            self.chunks[position] = Kept::Here(Chunk {
                first,
                states,
                bytes,
            });
        }
        Ok(())
    }

    /// Sends chunks to the file, the last first, until at most `limit` bytes are in memory.
    ///
    /// # Errors
    /// If the file cannot be made or written. All states are still there.
    pub(super) fn spill(&mut self, limit: u64) -> io::Result<()> {
        for position in (0..self.chunks.len()).rev() {
            if self.bytes() <= limit {
                break;
            }
            if let Kept::Here(chunk) = &self.chunks[position] {
                let offset = send(&mut self.spilled, &chunk.bytes)?;
                let (first, states, len) = (chunk.first, chunk.states, chunk.bytes.len());
                self.bytes -= len as u64;
                self.chunks[position] = Kept::Away {
                    first,
                    states,
                    offset,
                    len,
                };
            }
        }
        Ok(())
    }

    /// Writes all states that have been sealed.
    ///
    /// # Errors
    /// If they cannot be written, or those in the file not be read.
    pub(super) fn save(&mut self, into: &mut Writer<'_>) -> io::Result<()> {
        into.number(self.chunks.len() as u64)?;
        for position in 0..self.chunks.len() {
            let away;
            let (first, states, bytes) = match &self.chunks[position] {
                Kept::Here(chunk) => (chunk.first, chunk.states, &chunk.bytes),
                &Kept::Away {
                    first,
                    states,
                    offset,
                    len,
                } => {
                    away = fetch(&mut self.spilled, offset, len)?;
                    (first, states, &away)
                }
            };
            into.number(first)?;
            into.number(states as u64)?;
            into.bytes(bytes)?;
        }
        Ok(())
    }

    /// Reads what was written. What is more than `limit` bytes goes to a file.
    ///
    /// # Errors
    /// If there is less, or it cannot be sent to a file.
    pub(super) fn load(from: &mut Reader, limit: u64) -> io::Result<Self> {
        let mut frontier = Self::default();
        for _ in 0..from.number()? {
            let (first, states) = (from.number()?, from.number()?);
            let chunk = Chunk {
                first,
                states: usize::try_from(states).map_err(io::Error::other)?,
                bytes: from.bytes()?,
            };
            frontier.states += states;
            frontier.bytes += chunk.bytes.len() as u64;
            frontier.chunks.push_back(Kept::Here(chunk));
            if frontier.bytes > limit {
                frontier.spill(limit / 2)?;
            }
        }
        Ok(frontier)
    }
}

fn fetch(spill: &mut Option<Spill>, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    if let Some(spill) = spill {
        spill.file.seek(SeekFrom::Start(offset))?;
        spill.file.read_exact(&mut bytes)?;
    }
    Ok(bytes)
}

/// Appends to the file, which is made when it is needed and has no name: it goes with the
/// process, however that ends.
fn send(spill: &mut Option<Spill>, bytes: &[u8]) -> io::Result<u64> {
    let spill = match spill {
        Some(spill) => spill,
        none => none.insert(Spill {
            file: tempfile::tempfile()?,
            end: 0,
        }),
    };
    let offset = spill.end;
    spill.file.seek(SeekFrom::Start(offset))?;
    spill.file.write_all(bytes)?;
    spill.end += bytes.len() as u64;
    Ok(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes in comes out in order, whether it went to the file or not.
    #[test]
    fn what_was_spilled_comes_back_in_its_place() {
        let state = |number: u64| number.to_le_bytes().repeat(1 + (number % 5) as usize);
        let mut frontier = Frontier::default();
        for number in 7..5000 {
            frontier.push(number, &state(number));
        }
        frontier.seal();
        let before = frontier.bytes();
        frontier.spill(before / 3).expect("a temporary file");
        assert!(frontier.bytes() <= before / 3);
        assert_eq!(frontier.len(), 4993);
        let mut number = 7;
        loop {
            let chunks = frontier.take(2).expect("what was written is read");
            if chunks.is_empty() {
                break;
            }
            for chunk in chunks {
                assert_eq!(chunk.first, number);
                let states = (number..).take(chunk.states);
                number += chunk.states as u64;
                assert_eq!(chunk.bytes, states.flat_map(state).collect::<Vec<_>>());
            }
        }
        assert_eq!((number, frontier.len(), frontier.bytes()), (5000, 0, 0));
    }
}
