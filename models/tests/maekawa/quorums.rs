//! §2, "conditions (a) to (d)", of the quorums of §3, for every number of members from 1 to 133
//! and some beyond.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use models::NodeId;
use models::maekawa::quorum::plane::DIFFERENCE_SETS;
use models::maekawa::quorum::{Construction, grid, plane};
use models::maekawa::spec::FLAWED_TABLE_OF_21;
use proptest::prelude::*;

const BOTH: [Construction; 2] = [Construction::Plane, Construction::Grid];

/// The largest plane that is known here.
const LARGEST: usize = 133;

fn all(construction: Construction, count: usize) -> Vec<BTreeSet<usize>> {
    let positions = 0..count;
    positions
        .map(|position| construction.positions(count, position))
        .collect()
}

/// The pairs that have no member in common.
fn disjoint_pairs(quorums: &[BTreeSet<usize>]) -> Vec<(usize, usize)> {
    let pairs = (0..quorums.len()).flat_map(|a| (a + 1..quorums.len()).map(move |b| (a, b)));
    pairs
        .filter(|&(a, b)| quorums[a].is_disjoint(&quorums[b]))
        .collect()
}

/// In how many quorums each member is: the least and the most.
fn responsibility(quorums: &[BTreeSet<usize>]) -> (usize, usize) {
    let of = |member| {
        quorums
            .iter()
            .filter(|quorum| quorum.contains(&member))
            .count()
    };
    let all = || (0..quorums.len()).map(of);
    (all().min().unwrap_or(0), all().max().unwrap_or(0))
}

fn sizes(quorums: &[BTreeSet<usize>]) -> (usize, usize) {
    let all = || quorums.iter().map(BTreeSet::len);
    (all().min().unwrap_or(0), all().max().unwrap_or(0))
}

/// (a): "S_i ∩ S_j is not empty".
#[test]
fn s2_a_any_two_quorums_have_a_common_member() {
    for construction in BOTH {
        for count in 1..=LARGEST + 60 {
            let disjoint = disjoint_pairs(&all(construction, count));
            assert_eq!(disjoint, [], "{construction:?} of {count}");
        }
    }
}

/// (b): each node is in its own quorum, and so need not send itself anything.
#[test]
fn s2_b_each_quorum_holds_its_own_node() {
    for construction in BOTH {
        for count in 1..=LARGEST + 60 {
            for (position, quorum) in all(construction, count).iter().enumerate() {
                assert!(quorum.contains(&position), "{construction:?} of {count}");
                assert!(quorum.iter().all(|&member| member < count));
            }
        }
    }
}

/// (c): all quorums are about equally large, and about √n. Folding costs: a quorum is as large
/// as the next plane's lines, or one or two less where points fall together.
#[test]
fn s2_c_quorums_are_small_and_about_equal() {
    for count in 1..=LARGEST {
        let (points, line) = DIFFERENCE_SETS
            .iter()
            .find(|(points, _)| *points >= count)
            .expect("a plane");
        let (least, most) = sizes(&all(Construction::Plane, count));
        assert!(most <= line.len(), "{count}: {most} of {points}");
        assert!(least + 2 >= most, "{count}: {least} to {most}");
        let columns = count.isqrt() + usize::from(count.isqrt().pow(2) < count);
        let (least, most) = sizes(&all(Construction::Grid, count));
        assert!(most < 2 * columns, "{count}: {most}");
        assert!(2 * least + 2 >= most, "{count}: {least} to {most}");
    }
}

/// (d): all nodes are in about equally many quorums. Exactly so where there is a plane. Where it is
/// folded no member stands for more than two points, each of which is on k + 1 lines; and none
/// for less than one.
#[test]
fn s2_d_responsibility_is_shared() {
    for count in 1..=LARGEST {
        let (points, line) = DIFFERENCE_SETS
            .iter()
            .find(|(points, _)| *points >= count)
            .expect("a plane");
        let (least, most) = responsibility(&all(Construction::Plane, count));
        if *points == count {
            assert_eq!((least, most), (line.len(), line.len()), "{count}");
        }
        assert!(points <= &(2 * count), "{count} of {points}");
        assert!(most <= 2 * line.len(), "{count}: {least} to {most}");
        assert!(
            least >= 1 && most <= 4 * least,
            "{count}: {least} to {most}"
        );
    }
}

/// §3: a plane of order k has k² + k + 1 points, k + 1 on a line, and any two lines meet in one.
#[test]
fn s3_the_planes_are_planes() {
    for (points, line) in DIFFERENCE_SETS {
        let order = line.len() - 1;
        assert_eq!(*points, order * order + order + 1);
        let mut differences = BTreeSet::new();
        for a in *line {
            for b in line.iter().filter(|b| *b != a) {
                assert!(
                    differences.insert((points + a - b) % points),
                    "{points}: {a} - {b}"
                );
            }
        }
        assert_eq!(differences.len(), points - 1);
        let quorums = all(Construction::Plane, *points);
        for (i, a) in quorums.iter().enumerate() {
            let others = quorums.iter().skip(i + 1);
            assert!(others.into_iter().all(|b| a.intersection(b).count() == 1));
        }
    }
}

/// Sizes at a glance: against them read √n.
#[test]
fn s3_the_sizes_of_quorums() {
    let mut table = String::from("members: on a plane, on a grid\n");
    for count in [
        1, 2, 3, 4, 5, 6, 7, 10, 13, 14, 21, 22, 30, 31, 32, 57, 73, 91, 100, 133,
    ] {
        let (plane, grid) = (
            sizes(&all(Construction::Plane, count)),
            sizes(&all(Construction::Grid, count)),
        );
        let _ = writeln!(
            table,
            "{count:>3}: {}-{} {}-{}",
            plane.0, plane.1, grid.0, grid.1
        );
    }
    let expected = "\
members: on a plane, on a grid
  1: 1-1 1-1
  2: 2-2 2-2
  3: 2-2 2-3
  4: 3-3 3-3
  5: 2-3 3-4
  6: 3-3 4-4
  7: 3-3 3-5
 10: 4-4 4-6
 13: 4-4 4-7
 14: 4-5 5-7
 21: 5-5 5-9
 22: 5-6 6-9
 30: 5-6 10-10
 31: 6-6 6-11
 32: 7-8 7-11
 57: 8-8 8-15
 73: 9-9 9-17
 91: 10-10 10-19
100: 11-12 19-19
133: 12-12 12-23
";
    assert_eq!(table, expected);
}

/// From 6 to 30 members quorums on a plane have 3 to 6 arbiters, where a grid has 4 to 11.
#[test]
fn s3_a_plane_beats_a_grid() {
    for count in 6..=30 {
        let (least, most) = sizes(&all(Construction::Plane, count));
        assert!(
            (3..=6).contains(&least) && (3..=6).contains(&most),
            "{count}"
        );
        let (_, grid) = sizes(&all(Construction::Grid, count));
        assert!(grid >= most, "{count}: {grid} on a grid, {most} on a plane");
    }
}

/// Beyond the largest plane there is the grid.
#[test]
fn s3_any_number_of_members_has_quorums() {
    assert_eq!(plane::quorum(LARGEST + 1, 0), None);
    for count in [LARGEST + 1, 500, 1_000] {
        for position in [0, count / 2, count - 1] {
            let quorum = Construction::Plane.positions(count, position);
            assert_eq!(quorum, grid::quorum(count, position));
        }
    }
}

/// A table written by hand: slips in two rows, and six pairs of nodes could be in the critical
/// section at once; by their numbers, from 1, (2, 4), (3, 4) and (5, 20) among them. Each of its
/// quorums looks well: five members, the node's own among them.
#[test]
fn s3_a_table_with_slips_in_two_rows_has_six_disjoint_pairs() {
    let quorums: Vec<BTreeSet<usize>> = FLAWED_TABLE_OF_21.map(BTreeSet::from).to_vec();
    assert!(quorums.iter().all(|quorum| quorum.len() == 5));
    assert!(
        quorums
            .iter()
            .enumerate()
            .all(|(own, quorum)| quorum.contains(&own))
    );
    let expected = [(1, 3), (2, 3), (3, 12), (3, 16), (4, 7), (4, 19)];
    assert_eq!(disjoint_pairs(&quorums), expected);
    let right = all(Construction::Plane, 21);
    let wrong = quorums
        .iter()
        .zip(&right)
        .filter(|(one, other)| one != other);
    assert_eq!(wrong.count(), 2);
}

proptest! {
    /// Members have any ids: the conditions hold of them as of positions.
    #[test]
    fn quorums_of_any_members(
        ids in proptest::collection::btree_set(any::<u16>(), 1..60),
        stranger in any::<u16>(),
        grid in any::<bool>(),
    ) {
        let construction = BOTH[usize::from(grid)];
        let members: BTreeSet<NodeId> = ids.iter().copied().map(NodeId).collect();
        let quorum = |member| construction.quorum(&members, member).expect("a member");
        for &one in &members {
            prop_assert!(quorum(one).contains(&one));
            prop_assert!(quorum(one).is_subset(&members));
            for &other in &members {
                prop_assert!(!quorum(one).is_disjoint(&quorum(other)));
            }
        }
        if !ids.contains(&stranger) {
            prop_assert_eq!(construction.quorum(&members, NodeId(stranger)), None);
        }
    }
}
