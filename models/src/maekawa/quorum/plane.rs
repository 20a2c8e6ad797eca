//! Quorums from finite projective planes (§3 of the paper).
//!
//! A plane of order k has N = k² + k + 1 points and as many lines; a line has k + 1 points, and
//! any two lines meet in exactly one. Such a plane is given by a *perfect difference set* D
//! modulo N: k + 1 numbers of which every number from 1 to N − 1 is a difference exactly once
//! (Singer, 1938). The lines are D + i, and since 0 is in each D here, line i holds point i.
//!
//! For a number of members between two planes the larger one is *folded*: its points are taken
//! modulo n, and its first n lines are kept. Two lines that have a point in common still do.

use alloc::collections::BTreeSet;

/// Perfect difference sets, by the size of the plane. There is none of order 6 or 10: no such
/// plane exists (Bruck and Ryser, 1949; Lam, 1989).
pub const DIFFERENCE_SETS: &[(usize, &[usize])] = &[
    (1, &[0]),
    (3, &[0, 1]),
    (7, &[0, 1, 3]),
    (13, &[0, 1, 3, 9]),
    (21, &[0, 3, 4, 9, 11]),
    (31, &[0, 4, 10, 23, 24, 26]),
    (57, &[0, 1, 3, 13, 32, 36, 43, 52]),
    (73, &[0, 1, 3, 7, 15, 31, 36, 54, 63]),
    (91, &[0, 1, 3, 9, 27, 49, 56, 61, 77, 81]),
    (133, &[0, 1, 3, 12, 20, 34, 38, 81, 88, 94, 104, 109]),
];

/// The quorum of the member at `position` among `count`, as positions; `None` if no plane that
/// is known here is large enough.
pub fn quorum(count: usize, position: usize) -> Option<BTreeSet<usize>> {
    let (points, differences) = DIFFERENCE_SETS
        .iter()
        .find(|(points, _)| *points >= count)?;
    let line = differences
        .iter()
        .map(|difference| (position + difference) % points);
    Some(line.map(|point| point % count).collect())
}
