//! A list of lists of numbers, each as few bytes as it needs.

use super::graph::State;

/// How many rows one allocation holds: nothing large ever moves.
const ROWS: usize = 1 << 12;

/// Rows of bytes, one behind the other.
pub(super) struct Rows {
    blocks: Vec<Block>,
    bytes: usize,
}

/// Some rows in order.
struct Block {
    /// Where each row begins, and where the last one ends.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Rows {
    /// No row.
    pub(super) fn new() -> Self {
        Self {
            blocks: vec![Block::new()],
            bytes: 0,
        }
    }

    /// Appends a row. `write` appends its bytes.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.last().ends.len() > ROWS {
            let full = self.last();
            full.bytes.shrink_to_fit();
            self.blocks.push(Block::new());
        }
        let block = self.last();
        let before = block.bytes.len();
        write(&mut block.bytes);
        let end = block.bytes.len();
        let to = u32::try_from(end).expect("a few thousand rows of fewer than 2^32 bytes");
        block.ends.push(to);
        self.bytes += end - before;
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let full = self.blocks.len() - 1;
        full * ROWS + self.blocks[full].ends.len() - 1
    }

    /// The bytes of a row.
    pub(super) fn get(&self, row: State) -> &[u8] {
        let block = &self.blocks[row as usize / ROWS];
        let row = row as usize % ROWS;
        &block.bytes[block.ends[row] as usize..block.ends[row + 1] as usize]
    }

    /// The memory taken.
    pub(super) fn memory(&self) -> u64 {
        (self.bytes + self.blocks.len() * ROWS * size_of::<u32>()) as u64
    }

    fn last(&mut self) -> &mut Block {
        self.blocks.last_mut().expect("there is always one")
    }
}

impl Block {
    fn new() -> Self {
        let mut ends = Vec::with_capacity(ROWS + 1);
        ends.push(0);
        Self {
            ends,
            bytes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_what_was_pushed_across_blocks() {
        let mut rows = Rows::new();
        let all: Vec<Vec<u8>> = (0..3 * ROWS).map(|row| vec![row as u8; row % 5]).collect();
        for row in &all {
            rows.push(|bytes| bytes.extend(row));
        }
        assert_eq!(rows.len(), all.len());
        for (number, row) in (0..).zip(&all) {
            assert_eq!(rows.get(number), row);
        }
    }
}
