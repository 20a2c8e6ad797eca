//! Controls: the seed program's defects don't show where they did not show there. A check that
//! finds them in these worlds would find anything.

use models::NodeId;
use models::world::{Action, World};
use models::zab::spec::{self, MUTANTS};

use super::{apply, delivered, settle};
use crate::support::runs;

/// Writes one after the other, each settled before the next: how far each node delivers.
fn sequential_writes(id: &str, size: u16) -> Vec<u64> {
    let mut scenario = spec::broadcast(size, &[1, 1], 1);
    let mutant = MUTANTS
        .iter()
        .copied()
        .flatten()
        .find(|mutant| mutant.id == id);
    (mutant.expect("a mutant").inject)(&mut scenario);
    let mut world = World::initial(&scenario);
    for client in 0..2 {
        let node = NodeId(0);
        runs::apply(&scenario, &mut world, &Action::Ask { client, node });
        while let Some(envelope) = world.network.in_flight().into_iter().next() {
            apply(&scenario, &mut world, &Action::Deliver(envelope));
        }
    }
    let nodes = world.running();
    nodes
        .map(|(_, node)| u64::from(node.volatile.delivered.machine.0))
        .collect()
}

#[test]
fn three_and_four_nodes_deliver_sequential_writes_despite_zab_1_and_zab_2() {
    for id in ["ZAB-1", "ZAB-2"] {
        for size in [3, 4] {
            assert_eq!(
                sequential_writes(id, size),
                vec![3; usize::from(size)],
                "{id}, {size}"
            );
        }
    }
}

/// The second write is never delivered.
#[test]
fn five_nodes_do_not_deliver_the_second_write_with_zab_1() {
    for size in [5, 6] {
        assert_ne!(
            sequential_writes("ZAB-1", size),
            vec![3; usize::from(size)],
            "{size}"
        );
    }
}

#[test]
fn five_nodes_deliver_both_without_a_defect() {
    let scenario = spec::broadcast(5, &[1, 1], 1);
    let mut world = World::initial(&scenario);
    for client in 0..2 {
        let node = NodeId(0);
        super::act(&scenario, &mut world, &Action::Ask { client, node });
        settle(&scenario, &mut world);
    }
    assert!(delivered(&world).iter().all(|zxid| zxid.counter == 2));
}
