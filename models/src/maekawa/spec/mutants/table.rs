//! A hard-coded table of quorums, with the kind of slip that such tables have.

/// Quorums for 21 members, as positions: the lines of the plane of order 4, by whose formula
/// one would have written them down. In two of them one number is wrong; each still has five
/// members and holds its own. That is enough for six pairs that have no member in common.
///
/// A wrong number takes a line off a point that four others go through; with one of these it
/// meets again in the wrong point, and three pairs are left.
pub const FLAWED_TABLE_OF_21: [[usize; 5]; 21] = {
    let mut table = [[0; 5]; 21];
    let differences = [0, 3, 4, 9, 11];
    let mut line = 0;
    while line < 21 {
        let mut place = 0;
        while place < 5 {
            table[line][place] = (line + differences[place]) % 21;
            place += 1;
        }
        line += 1;
    }
    // One too large, twice: 13 for 12, and 14 for 13.
    table[3][3] = 13;
    table[4][3] = 14;
    table
};
