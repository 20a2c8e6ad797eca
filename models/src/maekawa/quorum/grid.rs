//! Quorums from a grid (§3 of the paper, where no plane is at hand).
//!
//! The members fill a grid of ⌈√n⌉ columns row by row; a quorum is a row and a column. The row
//! of one member and the column of another meet in a cell, and where the last row is not full
//! and that cell is empty, in the two members' other row and column: of two rows one is not
//! the last, and only the last has empty cells.

use alloc::collections::BTreeSet;

/// The quorum of the member at `position` among `count`, as positions.
pub fn quorum(count: usize, position: usize) -> BTreeSet<usize> {
    let columns = columns(count);
    let (row, column) = (position / columns, position % columns);
    let cells = 0..count;
    cells
        .filter(|cell| cell / columns == row || cell % columns == column)
        .collect()
}

/// The least number whose square is at least `count`, and at least 1.
fn columns(count: usize) -> usize {
    let root = count.isqrt();
    let columns = if root * root == count { root } else { root + 1 };
    columns.max(1)
}
