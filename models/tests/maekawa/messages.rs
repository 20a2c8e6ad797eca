//! §4, "performance": what an entry costs, and how long it may be put off. Counted over every way
//! that small worlds can go.

use std::collections::BTreeMap;

use models::NodeId;
use models::maekawa::Maekawa;
use models::maekawa::quorum::Construction;
use models::maekawa::spec::{contention, the_lock};
use models::world::{Action, Scenario, World};

use super::search::{holders, members, messages_sent, shortest};

/// K − 1, summed over the requests that have been made: one for each claim of each client that
/// has been asked. In these worlds nobody gives up.
fn remote_arbiters(scenario: &Scenario<Maekawa>, world: &World<Maekawa>) -> usize {
    let members = members(world);
    let clients = world.clients.iter().zip(&scenario.scripts);
    clients
        .map(|(client, script)| {
            let models::maekawa::Command::Acquire { claim } = &script[0] else {
                panic!("not in these worlds");
            };
            let asked = client.next + usize::from(client.asking);
            let of = |(id, _): &&(NodeId, _)| *id == claim.session.node;
            let (_, member) = members.iter().find(of).expect("a member");
            asked.div_ceil(2) * (member.quorum.len() - 1)
        })
        .sum()
}

/// The least and the most messages of any way to the end, in units of Σ(K − 1), and whether a
/// state on the way has had more than six.
fn costs(scenario: &Scenario<Maekawa>) -> (usize, usize, usize) {
    let (mut least, mut most, mut units) = (usize::MAX, 0, 0);
    let too_many = shortest::<usize>(
        scenario,
        |sent, before, action, _| sent + messages_sent(scenario, before, action),
        |&sent, world| {
            let made = remote_arbiters(scenario, world);
            let scripts = world.clients.iter().zip(&scenario.scripts);
            let is_over = { scripts }.all(|(client, script)| client.next == script.len())
                && world.network.in_flight().is_empty();
            if is_over {
                (least, most, units) = (least.min(sent), most.max(sent), made);
            }
            sent > 6 * made
        },
    );
    assert_eq!(too_many, None, "more than 6(K − 1) for each request");
    (least, most, units)
}

/// Nobody else wants to enter: REQUEST, LOCKED, RELEASE, 3(K − 1).
#[test]
fn s4_an_entry_without_contention_costs_three() {
    for members in [2, 3, 4, 7] {
        let scenario = contention(members, Construction::Plane, &[(1, 1)]);
        let (least, most, units) = costs(&scenario);
        assert_eq!((least, most), (3 * units, 3 * units), "{members}");
    }
}

/// With contention from 3(K − 1) to, with Sanders' correction, 6(K − 1) for each entry.
#[test]
fn s4_an_entry_with_contention_costs_up_to_six() {
    let two = contention(2, Construction::Plane, &[(1, 1), (2, 1)]);
    let three = contention(3, Construction::Plane, &[(1, 1), (2, 1), (3, 1)]);
    let four = contention(4, Construction::Plane, &[(1, 1), (3, 1), (4, 1)]);
    let costs = [costs(&two), costs(&three), costs(&four)];
    assert_eq!(
        costs,
        [(6, 7, 2), (9, 11, 3), (18, 27, 6)],
        "least, most, Σ(K − 1)"
    );
}

/// How often a node has entered since another's request has been known to all its arbiters.
type Overtaken = BTreeMap<(NodeId, NodeId), u8>;

/// Whether all arbiters of the node's request know it.
fn is_known(world: &World<Maekawa>, id: NodeId) -> bool {
    let members = members(world);
    let of = |id: NodeId| members.iter().find(|(other, _)| *other == id);
    let attempt = of(id).and_then(|(_, member)| member.attempts.get(&the_lock()));
    attempt
        .filter(|made| made.held.is_none())
        .is_some_and(|made| {
            made.arbiters.keys().all(|&arbiter| {
                of(arbiter).is_some_and(|(_, member)| {
                    let arbiter = member.arbiters.get(&the_lock());
                    arbiter.is_some_and(|arbiter| {
                        arbiter.waiting.contains(&made.request) || { arbiter.locked }
                            .is_some_and(|it| it.request == made.request)
                    })
                })
            })
        })
}

fn overtaken(
    counted: &Overtaken,
    before: &World<Maekawa>,
    _: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> Overtaken {
    let mut counted = counted.clone();
    let was = holders(before);
    for entered in holders(after).into_iter().filter(|id| !was.contains(id)) {
        counted.retain(|(waiting, _), _| *waiting != entered);
        for (waiting, _) in members(before) {
            if waiting != entered && is_known(before, waiting) {
                *counted.entry((waiting, entered)).or_default() += 1;
            }
        }
    }
    counted
}

/// Priorities are respected up to what is under way: once all arbiters know of a request, any
/// other node enters at most twice before it. Once for what was granted before it came, and once
/// with a request that was made without knowing of it. From then on the other node knows.
#[test]
fn s4_nobody_is_overtaken_for_long() {
    let three = contention(2, Construction::Plane, &[(1, 3), (2, 2)]);
    let grid = contention(3, Construction::Grid, &[(1, 2), (2, 2), (3, 1)]);
    for scenario in [three, grid] {
        let mut most = 0;
        let often = shortest::<Overtaken>(&scenario, overtaken, |counted, _| {
            most = most.max(counted.values().copied().max().unwrap_or(0));
            most > 2
        });
        assert_eq!(often, None);
        assert!(most >= 1, "somebody is overtaken");
    }
}
