//! The linearizability checker against brute force: all orders of all subsets.

use models::raft::spec::{Add, Adder, Sum, is_linearizable, request};
use models::raft::{Command, Event};
use models::world::{Scenario, World};
use proptest::prelude::*;
use serde_json::json;

use crate::support::bench::Checked;
use crate::support::runs::cluster;

/// One request: what it asks, when it was asked, when and what it was answered.
#[derive(Clone, Debug)]
struct Operation {
    client: usize,
    sequence: usize,
    /// What it adds; 0 is a read.
    amount: u8,
    invoked: usize,
    returned: Option<(usize, u8)>,
}

impl Operation {
    fn command(&self) -> Command<Adder> {
        let request = request(self.client, self.sequence);
        match self.amount {
            0 => Command::Read {
                request,
                query: models::raft::spec::Total,
            },
            amount => Command::Propose {
                request,
                command: Add(amount),
            },
        }
    }
}

/// Some clients' requests, one after the other by each, in some interleaving: `steps` says
/// who goes on, and what an answer says. A client's last request may stay unanswered.
fn operations(steps: &[(usize, u8, u8)]) -> Vec<Operation> {
    let mut operations: Vec<Operation> = Vec::new();
    for (time, &(client, amount, response)) in steps.iter().enumerate() {
        let is_done = |op: &&Operation| op.client == client && op.returned.is_some();
        let sequence = operations.iter().filter(is_done).count();
        let open = operations
            .iter_mut()
            .find(|operation| operation.client == client && operation.returned.is_none());
        match open {
            Some(operation) => operation.returned = Some((time, response)),
            None => operations.push(Operation {
                client,
                sequence,
                amount,
                invoked: time,
                returned: None,
            }),
        }
    }
    operations
}

/// Answers everything as a machine does that carries requests out in the order `order` of
/// their positions, as far as real time allows: a history that is linearizable.
fn answered_honestly(mut operations: Vec<Operation>, order: &[usize]) -> Vec<Operation> {
    let mut total = 0u8;
    let mut left: Vec<usize> = (0..operations.len()).collect();
    while !left.is_empty() {
        let returned = |&position: &usize| operations[position].returned.map(|(time, _)| time);
        let first = left.iter().filter_map(returned).min().unwrap_or(usize::MAX);
        let may_be_next = |&&position: &&usize| operations[position].invoked < first;
        let rank = |position: usize| order.get(position).copied().unwrap_or(position);
        let next = *left
            .iter()
            .filter(may_be_next)
            .min_by_key(|&&position| (rank(position), position))
            .expect("the one that returns first was asked before it returned");
        total = total.wrapping_add(operations[next].amount);
        if let Some((_, response)) = &mut operations[next].returned {
            *response = total;
        }
        left.retain(|&position| position != next);
    }
    operations
}

/// A world with this history. A history has no public way in but its serialised form.
fn world(operations: &[Operation]) -> (Scenario<Checked>, World<Checked>) {
    let clients = 1 + operations.iter().map(|op| op.client).max().unwrap_or(0);
    let mut scripts = vec![Vec::new(); clients];
    let mut occurrences = Vec::new();
    for operation in operations {
        let client = operation.client;
        scripts[client].push(operation.command());
        occurrences.push((operation.invoked, json!({ "Invoke": { "client": client } })));
        if let Some((time, response)) = operation.returned {
            let (request, response) = (request(client, operation.sequence), Sum(response));
            let event = Event::<Adder>::Reply { request, response };
            let seen = json!({ "Return": { "client": client, "event": event } });
            occurrences.push((time, seen));
        }
    }
    occurrences.sort_by_key(|(time, _)| *time);
    let occurrences: Vec<_> = occurrences.into_iter().map(|(_, seen)| seen).collect();
    let scenario = Scenario {
        scripts,
        ..cluster(1, 0)
    };
    let mut world = World::initial(&scenario);
    let history = json!({ "occurrences": occurrences });
    world.history = serde_json::from_value(history).expect("a history");
    (scenario, world)
}

/// Whether some order of some of the operations, all answered ones among them, respects real
/// time and gives the answers seen. Tries them all.
fn by_brute_force(operations: &[Operation]) -> bool {
    let mut orders = vec![Vec::new()];
    let mut all = orders.clone();
    for _ in 0..operations.len() {
        orders = orders
            .iter()
            .flat_map(|order: &Vec<usize>| {
                let others = (0..operations.len()).filter(|next| !order.contains(next));
                others
                    .map(|next| [&order[..], &[next]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
        all.extend(orders.iter().cloned());
    }
    all.iter().any(|order| explains(operations, order))
}

fn explains(operations: &[Operation], order: &[usize]) -> bool {
    let answered = (0..operations.len()).filter(|&op| operations[op].returned.is_some());
    let is_complete = { answered }.all(|op| order.contains(&op));
    let respects_time = order.iter().enumerate().all(|(position, &later)| {
        order[..position].iter().all(|&earlier| {
            let returned = operations[later].returned;
            returned.is_none_or(|(time, _)| time > operations[earlier].invoked)
        })
    });
    let mut total = 0u8;
    let gives_answers = order.iter().all(|&op| {
        total = total.wrapping_add(operations[op].amount);
        operations[op]
            .returned
            .is_none_or(|(_, seen)| seen == total)
    });
    is_complete && respects_time && gives_answers
}

fn steps() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    let step = (0usize..3, prop_oneof![Just(0u8), Just(1), Just(2)], 0u8..5);
    proptest::collection::vec(step, 0..10)
}

proptest! {
    #[test]
    fn the_checker_agrees_with_brute_force(steps in steps()) {
        let operations = operations(&steps);
        let (scenario, world) = world(&operations);
        prop_assert_eq!(is_linearizable(&scenario, &world), by_brute_force(&operations));
    }

    #[test]
    fn honest_histories_are_linearizable(
        steps in steps(),
        order in proptest::collection::vec(0usize..9, 6),
    ) {
        let operations = answered_honestly(operations(&steps), &order);
        let (scenario, world) = world(&operations);
        prop_assert!(is_linearizable(&scenario, &world));
    }

    /// Near misses: one answer of an honest history is off.
    #[test]
    fn the_checker_and_brute_force_agree_on_near_misses(
        steps in steps(),
        order in proptest::collection::vec(0usize..9, 6),
        victim in 0usize..6,
        off_by in 1u8..3,
    ) {
        let mut operations = answered_honestly(operations(&steps), &order);
        if let Some(Operation { returned: Some((_, response)), .. }) = operations.get_mut(victim) {
            *response = response.wrapping_add(off_by);
        }
        let (scenario, world) = world(&operations);
        prop_assert_eq!(is_linearizable(&scenario, &world), by_brute_force(&operations));
    }
}

/// The textbook cases, so that the tests above are known to meet both verdicts.
#[test]
fn stale_reads_and_lost_writes_are_refuted() {
    for (steps, expected) in [
        (vec![(0, 1, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1)], true),
        (vec![(0, 1, 0), (0, 0, 1), (1, 0, 0), (1, 0, 0)], false),
        (vec![(0, 1, 0), (1, 0, 0), (1, 0, 0), (0, 0, 1)], true),
        (
            vec![(0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 0, 0), (1, 0, 0)],
            false,
        ),
        (vec![(0, 1, 0), (1, 0, 0), (1, 0, 1)], true),
        (vec![(0, 1, 0), (0, 0, 2)], false),
        (vec![], true),
    ] {
        let operations = operations(&steps);
        let (scenario, world) = world(&operations);
        assert_eq!(is_linearizable(&scenario, &world), expected, "{steps:?}");
        assert_eq!(by_brute_force(&operations), expected, "{steps:?}");
    }
}
