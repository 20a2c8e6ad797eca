//! What the seed programs' defects come to in the end, and where they come to nothing: the checks
//! are specific. The engines stop at the first property that a mutant breaks; here it may go on
//! until two nodes are in the critical section.

use models::maekawa::quorum::Construction;
use models::maekawa::spec::{contention, death, four_become_five, suspicion, the_lock};
use models::world::Timing;

use super::search::{holders, members, mutant, shortest, shortest_to_two_holders};

/// A node that grants itself: three nodes, and two are in.
#[test]
fn mae_1_breaks_mutual_exclusion() {
    let scenario = contention(3, Construction::Plane, &[(1, 1), (2, 1), (3, 1)]);
    assert_eq!(shortest_to_two_holders(&mutant("MAE-1", scenario)), Some(6));
}

/// Grants that are not cleared: two nodes, and each wants to enter twice.
#[test]
fn mae_2_breaks_mutual_exclusion() {
    let scenario = contention(2, Construction::Plane, &[(1, 2), (2, 2)]);
    assert_eq!(shortest_to_two_holders(&mutant("MAE-2", scenario)), Some(9));
}

/// The table for 21 members: the nodes at places 1 and 3 have no arbiter in common.
#[test]
fn mae_3_breaks_mutual_exclusion() {
    let scenario = contention(21, Construction::Plane, &[(2, 1), (4, 1)]);
    assert_eq!(
        shortest_to_two_holders(&mutant("MAE-3", scenario)),
        Some(18)
    );
}

/// Quorums that change under a held lock: of four the third locks the second, third and fourth;
/// of five the fifth locks itself and the first.
#[test]
fn mae_4_breaks_mutual_exclusion() {
    let mutant = mutant("MAE-4", four_become_five());
    assert!(shortest_to_two_holders(&mutant).is_some());
    assert_eq!(
        shortest_to_two_holders(&four_become_five()),
        None,
        "the control"
    );
}

/// RELEASE overtaken by the next REQUEST, where messages bear no request.
#[test]
fn mae_7_breaks_mutual_exclusion() {
    let scenario = contention(2, Construction::Plane, &[(1, 2), (2, 2)]);
    assert_eq!(
        shortest_to_two_holders(&mutant("MAE-7", scenario)),
        Some(16)
    );
}

/// The control: two nodes that want to enter once each exclude each other even so.
#[test]
fn two_nodes_with_one_request_each_are_safe_all_the_same() {
    let scenario = || contention(2, Construction::Plane, &[(1, 1), (2, 1)]);
    for id in ["MAE-1", "MAE-2"] {
        assert_eq!(
            shortest_to_two_holders(&mutant(id, scenario())),
            None,
            "{id}"
        );
    }
}

/// A health check that errs: two living nodes are in at once. One that does not: never.
#[test]
fn exclusion_of_living_nodes_needs_a_health_check_that_is_right() {
    let mut scenario = death(2, 2, 0);
    assert_eq!(shortest_to_two_holders(&scenario), None);
    scenario.timing = Timing::Any;
    scenario.delivery = models::world::Delivery::Bag;
    scenario.bounds.retries = false;
    assert_eq!(shortest_to_two_holders(&scenario), Some(9));
}

/// But then one of them has the greater token, by which a resource can tell them apart: of those
/// who have lost the lock and do not know it, none has the greatest.
#[test]
fn tokens_tell_living_holders_apart() {
    let scenario = suspicion(2, 2, false);
    let is_ambiguous = |(): &(), world: &models::world::World<_>| {
        let members = members(world);
        let mut tokens: Vec<_> = members
            .iter()
            .filter_map(|(_, it)| it.held(&the_lock()))
            .collect();
        tokens.sort();
        let greatest = tokens.last().copied();
        tokens
            .iter()
            .filter(|token| Some(**token) == greatest)
            .count()
            > 1
            || tokens.len() > 1 && greatest != world.ghost.greatest(&the_lock())
    };
    assert_eq!(
        shortest::<()>(&scenario, |_, _, _, _| (), is_ambiguous),
        None
    );
    let mut most = 0;
    shortest::<()>(
        &scenario,
        |_, _, _, _| (),
        |(), world| {
            most = most.max(holders(world).len());
            false
        },
    );
    assert_eq!(most, 2, "there are such holders");
}
