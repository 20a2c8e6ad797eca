//! Defects of quorums.

use crate::maekawa::Maekawa;
use crate::maekawa::quorum::Construction;
use crate::protocol::Protocol;
use crate::specification::Mutant;

use super::{In, N, Out, member_mut};

pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[
    Mutant {
        id: "MAE-3",
        defect: "a hard-coded table of quorums for 21 members, in which six pairs are disjoint",
        source: "a seed program; §2 (a)",
        model: "maekawa/twenty-one",
        inject: |scenario| scenario.step = looks_quorums_up,
    },
    Mutant {
        id: "MAE-QUORUM-WITHOUT-SELF",
        defect: "a quorum lacks its own node",
        source: "§2 (b)",
        model: "maekawa/three",
        inject: |scenario| scenario.step = leaves_itself_out,
    },
    Mutant {
        id: "MAE-QUORUM-ALL",
        defect: "every member is an arbiter of each: right, and no better than to ask them all",
        source: "§3: K is about √N",
        model: "maekawa/twenty-one",
        inject: |scenario| scenario.step = asks_everybody,
    },
    Mutant {
        id: "MAE-QUORUM-GRID",
        defect: "quorums are those of a grid though a plane was wanted: right, and nearly twice as \
                 large",
        source: "§3: K is about √N",
        model: "maekawa/twenty-one",
        inject: |scenario| scenario.step = asks_a_grid,
    },
];

/// A hard-coded table of quorums for 21 members, with the kind of slip that such tables have: the
/// lines of the plane of order 4, as places from 0, with three wrong numbers in two of them. Each
/// still has five members and holds its own.
///
/// A wrong number takes a line off a point that four others go through; with one of these it
/// meets again in the wrong point. That leaves six pairs of nodes without a common arbiter, by
/// their numbers from 1: (2, 4), (3, 4), (4, 13), (4, 17), (5, 8) and (5, 20). The seed
/// program's table has as many, of which three are known and are among these: (2, 4), (3, 4) and
/// (5, 20). The table itself is not.
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
    // Of node 4: 8 for 6, and 9 for 12.
    table[3][1] = 8;
    table[3][3] = 9;
    // Of node 5: 5 for 7.
    table[4][1] = 5;
    table
};

fn asks_everybody(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    maekawa.step(node, input, out);
    if let Some(member) = member_mut(node)
        && member.attempts.is_empty()
    {
        member.quorum = member.members.clone();
    }
}

fn asks_a_grid(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    maekawa.step(node, input, out);
    if let Some(member) = member_mut(node)
        && member.attempts.is_empty()
        && let Some(quorum) = Construction::Grid.quorum(&member.members, maekawa.id())
    {
        member.quorum = quorum;
    }
}

fn looks_quorums_up(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    maekawa.step(node, input, out);
    if let Some(member) = member_mut(node)
        && member.members.len() == FLAWED_TABLE_OF_21.len()
        && member.attempts.is_empty()
    {
        let ids = || member.members.iter().copied();
        if let Some(position) = ids().position(|id| id == maekawa.id()) {
            let line = FLAWED_TABLE_OF_21[position];
            member.quorum = line.iter().filter_map(|&place| ids().nth(place)).collect();
        }
    }
}

fn leaves_itself_out(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    maekawa.step(node, input, out);
    if let Some(member) = member_mut(node) {
        member.quorum.remove(&maekawa.id());
    }
}
