//! Phase 3 (DSN 2011, §IV.B; Medeiros 2012, §3.5).

use models::NodeId;
use models::raft::spec::Adder;
use models::world::{Action, Scenario, World};
use models::zab::Zab;
use models::zab::spec::Oracle;

use super::{act, ask, deliver, delivered, free, histories, in_flight, name, settle};

type Z = Zab<Adder, Oracle>;

/// n0 leads all of `size`.
fn established(size: u16) -> (Scenario<Z>, World<Z>) {
    let scenario = free(usize::from(size));
    let mut world = World::initial(&scenario);
    let all: Vec<u16> = (0..size).collect();
    name(&scenario, &mut world, 0, &all);
    settle(&scenario, &mut world);
    (scenario, world)
}

/// "Leader L proposes to all followers in increasing order of zxid" (l.3.1): with each proposal
/// it goes up, not with each commit.
#[test]
fn each_proposal_has_the_next_zxid() {
    let (scenario, mut world) = established(3);
    ask(&scenario, &mut world, 0, 0);
    ask(&scenario, &mut world, 1, 0);
    assert_eq!(histories(&world)[0], ["1.1", "1.2"]);
    assert_eq!(in_flight(&world).len(), 4);
}

/// "Upon receiving acknowledgements from a quorum of followers, leader L sends a commit"
/// (l.3.2). The leader is one of the quorum.
#[test]
fn a_quorum_commits() {
    let (scenario, mut world) = established(5);
    ask(&scenario, &mut world, 0, 0);
    for follower in ["n1", "n2"] {
        assert_eq!(delivered(&world)[0].counter, 0);
        deliver(&scenario, &mut world, &format!("n0->{follower} PROPOSE"));
        deliver(&scenario, &mut world, &format!("{follower}->n0 ACK 1.1"));
    }
    assert_eq!(delivered(&world)[0].counter, 1);
    let commits = in_flight(&world);
    let commits = commits
        .iter()
        .filter(|message| message.ends_with("COMMIT 1.1"));
    assert_eq!(commits.count(), 4);
}

/// "Follower F accepts proposals from L following reception order" (f.3.2). One that overtakes
/// another leaves no gap; a ping shows what is missing.
#[test]
fn a_proposal_that_overtakes_is_not_accepted() {
    let (scenario, mut world) = established(3);
    ask(&scenario, &mut world, 0, 0);
    ask(&scenario, &mut world, 1, 0);
    deliver(&scenario, &mut world, "n0->n1 PROPOSE 1.2");
    assert_eq!(histories(&world)[1], [""; 0]);
    deliver(&scenario, &mut world, "n0->n1 PROPOSE 1.1");
    assert_eq!(histories(&world)[1], ["1.1"]);
    let timer = models::zab::Timer::Ping;
    let node = NodeId(0);
    let mut pinging = scenario.clone();
    pinging.bounds.pings = true;
    act(&pinging, &mut world, &Action::Fire { node, timer });
    settle(&pinging, &mut world);
    assert_eq!(histories(&world)[1], ["1.1", "1.2"]);
}

/// "It has delivered all transactions <v', z'> such that z' precedes z" (f.3.3).
#[test]
fn a_commit_delivers_all_before_it_in_order() {
    let (scenario, mut world) = established(3);
    ask(&scenario, &mut world, 0, 0);
    ask(&scenario, &mut world, 1, 0);
    for zxid in ["1.1", "1.2"] {
        deliver(&scenario, &mut world, &format!("n0->n1 PROPOSE {zxid}"));
        deliver(&scenario, &mut world, &format!("n1->n0 ACK {zxid}"));
    }
    deliver(&scenario, &mut world, "n0->n1 COMMIT 1.2");
    assert_eq!(delivered(&world)[1].counter, 2);
    let order = world.ghost.delivered.iter();
    let order: Vec<u64> = order.map(|next| next.transaction.zxid.counter).collect();
    assert_eq!(order, [1, 2]);
    // What comes late changes nothing.
    deliver(&scenario, &mut world, "n0->n1 COMMIT 1.1");
    assert_eq!(delivered(&world)[1].counter, 2);
}

/// A follower that a client asks passes the request on, and the client sees its own write
/// there (Medeiros 2012, §2).
#[test]
fn a_follower_answers_once_it_has_delivered() {
    let (scenario, mut world) = established(3);
    ask(&scenario, &mut world, 0, 2);
    assert_eq!(in_flight(&world).len(), 1);
    deliver(&scenario, &mut world, "n2->n0 REQUEST e1");
    deliver(&scenario, &mut world, "n0->n1 PROPOSE");
    deliver(&scenario, &mut world, "n1->n0 ACK");
    assert_eq!(delivered(&world)[0].counter, 1);
    assert_eq!(world.clients[0].next, 0, "n2 has delivered nothing yet");
    settle(&scenario, &mut world);
    assert_eq!(world.clients[0].next, 1);
}

/// A request that is asked again, elsewhere, is broadcast once and answered.
#[test]
fn a_retry_is_no_second_transaction() {
    let (scenario, mut world) = established(3);
    ask(&scenario, &mut world, 0, 0);
    ask(&scenario, &mut world, 0, 1);
    settle(&scenario, &mut world);
    assert_eq!(histories(&world), [["1.1"]; 3]);
    assert_eq!(world.clients[0].next, 1);
}
