//! Phase 1 (DSN 2011, §IV.B; Medeiros 2012, §4.2).

use models::world::World;
use models::zab::state::{Leading, Role};
use models::zab::zxid::Epoch;

use super::{deliver, disk, free, in_flight, name, role, settle};

/// "A follower sends to the prospective leader its last promise in a CEPOCH message" (f.1.1).
#[test]
fn a_follower_sends_its_last_promise() {
    let mut scenario = free(3);
    scenario.disks = vec![disk(0, 0, &[]), disk(7, 0, &[])];
    let mut world = World::initial(&scenario);
    name(&scenario, &mut world, 0, &[1]);
    assert_eq!(in_flight(&world), ["n1->n0 FOLLOWERINFO accepted=e7"]);
}

/// "Upon receiving CEPOCH messages from a quorum" (l.1.1), and no sooner.
#[test]
fn no_epoch_is_proposed_without_a_quorum() {
    let scenario = free(5);
    let mut world = World::initial(&scenario);
    name(&scenario, &mut world, 0, &[0, 1, 2]);
    deliver(&scenario, &mut world, "n1->n0 FOLLOWERINFO");
    assert_eq!(in_flight(&world), ["n2->n0 FOLLOWERINFO accepted=e0"]);
    deliver(&scenario, &mut world, "n2->n0 FOLLOWERINFO");
    assert_eq!(
        in_flight(&world),
        ["n0->n1 NEWEPOCH e1", "n0->n2 NEWEPOCH e1"]
    );
}

/// "e' is later than any e received in a CEPOCH message", and the leader's own (l.1.1). Its
/// promise is on disk with the proposal.
#[test]
fn the_new_epoch_is_later_than_any_that_a_quorum_has_promised() {
    for (own, other) in [(2, 5), (5, 2)] {
        let mut scenario = free(3);
        scenario.disks = vec![disk(own, 0, &[]), disk(other, 0, &[])];
        let mut world = World::initial(&scenario);
        name(&scenario, &mut world, 0, &[0, 1]);
        deliver(&scenario, &mut world, "n1->n0 FOLLOWERINFO");
        assert_eq!(in_flight(&world), ["n0->n1 NEWEPOCH e6"]);
        let leader = world.host(models::NodeId(0)).expect("a host");
        assert_eq!(leader.on_disk().accepted_epoch, Epoch(6));
    }
}

/// "If the last promise is earlier than e'" (f.1.2): two that lead at once propose one epoch
/// each, and who has promised it to one does not promise it to the other.
#[test]
fn an_epoch_is_promised_once() {
    let scenario = free(3);
    let mut world = World::initial(&scenario);
    // n1 introduces itself to both before it hears of an epoch.
    name(&scenario, &mut world, 0, &[0, 1]);
    name(&scenario, &mut world, 2, &[2, 1]);
    deliver(&scenario, &mut world, "n1->n0 FOLLOWERINFO");
    deliver(&scenario, &mut world, "n1->n2 FOLLOWERINFO");
    deliver(&scenario, &mut world, "n2->n1 NEWEPOCH e1");
    name(&scenario, &mut world, 0, &[1]);
    deliver(&scenario, &mut world, "n0->n1 NEWEPOCH e1");
    let acks = in_flight(&world);
    let promises = |ack: &str| acks.iter().any(|message| message.starts_with(ack));
    assert!(promises(
        "n1->n0 ACKEPOCH e1 current=e0 last=0.0, no promise"
    ));
    settle(&scenario, &mut world);
    assert_eq!(world.ghost.reigns[&Epoch(1)].leader, models::NodeId(2));
}

/// "It selects the history of one follower such that it is the most recent": by the current
/// epoch first, then by the last zxid, never by length (l.1.2). A leader whose own is not the
/// most recent stands down (Medeiros 2012, §4.2).
#[test]
fn a_leader_with_an_older_history_stands_down() {
    let older = [
        (disk(2, 1, &[(1, 1), (1, 2)]), disk(2, 2, &[(2, 1)])),
        (disk(1, 1, &[(1, 1)]), disk(1, 1, &[(1, 1), (1, 2)])),
        (disk(2, 1, &[(1, 1), (1, 2)]), disk(2, 2, &[(1, 1)])),
    ];
    for (own, other) in older {
        let mut scenario = free(3);
        scenario.disks = vec![own, other];
        let mut world = World::initial(&scenario);
        name(&scenario, &mut world, 0, &[0, 1]);
        deliver(&scenario, &mut world, "n1->n0 FOLLOWERINFO");
        deliver(&scenario, &mut world, "n0->n1 NEWEPOCH");
        deliver(&scenario, &mut world, "n1->n0 ACKEPOCH");
        assert_eq!(role(&world, 0), &Role::Looking);
        assert!(world.ghost.reigns.is_empty());
    }
}

/// A follower that comes later hears of the same epoch (l.3.3).
#[test]
fn who_comes_later_hears_of_the_same_epoch() {
    let scenario = free(3);
    let mut world = World::initial(&scenario);
    name(&scenario, &mut world, 0, &[0, 1]);
    settle(&scenario, &mut world);
    name(&scenario, &mut world, 0, &[2]);
    deliver(&scenario, &mut world, "n2->n0 FOLLOWERINFO");
    assert_eq!(in_flight(&world), ["n0->n2 NEWEPOCH e1"]);
    settle(&scenario, &mut world);
    assert_eq!(world.ghost.reigns.len(), 1);
    let Role::Leading(Leading::Primary(primary)) = role(&world, 0) else {
        panic!("n0 no longer leads");
    };
    assert_eq!(primary.learners.len(), 2);
}
