//! The clients' history and its normal form.

use models::NodeId;
use models::raft::Event;
use models::raft::spec::{Adder, client_commands};
use models::world::{Action, Disk, Occurrence, Scenario, World};
use proptest::prelude::*;

use crate::support::bench::Checked;
use crate::support::runs::{any_troubled, apply, choices, cluster, walk};

type Seen = Occurrence<Event<Adder>>;

fn is_invoke(occurrence: &Seen) -> bool {
    matches!(occurrence, Occurrence::Invoke { .. })
}

/// What one action has added to the history. In one step requests come before answers.
fn news(before: &World<Checked>, after: &World<Checked>) -> Vec<Seen> {
    let mut news = after.history.occurrences().to_vec();
    for old in before.history.occurrences() {
        let position = news.iter().position(|occurrence| occurrence == old);
        news.remove(position.expect("nothing is ever forgotten"));
    }
    news.sort_by_key(|occurrence| !is_invoke(occurrence));
    news
}

/// How many answers come before each request, in this order of things, listed by request.
fn answers_before_requests(occurrences: &[Seen]) -> Vec<(Seen, Vec<Seen>)> {
    let mut answers: Vec<Seen> = Vec::new();
    let mut seen = Vec::new();
    for occurrence in occurrences {
        if is_invoke(occurrence) {
            let mut before = answers.clone();
            before.sort();
            seen.push((occurrence.clone(), before));
        } else {
            answers.push(occurrence.clone());
        }
    }
    seen.sort();
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The normal form keeps all that linearizability asks: which answers came before which
    /// requests. And it is normal: neighbours of a kind are sorted.
    #[test]
    fn the_normal_form_keeps_what_counts(
        scenario in any_troubled(&[Disk::WriteThrough]),
        choices in choices(200),
    ) {
        let mut raw: Vec<Seen> = Vec::new();
        walk(&scenario, &choices, |before, _, after| {
            raw.extend(news(before, after));
            let normal = after.history.occurrences();
            assert_eq!(answers_before_requests(normal), answers_before_requests(&raw));
            for pair in normal.windows(2) {
                assert!(is_invoke(&pair[0]) != is_invoke(&pair[1]) || pair[0] <= pair[1]);
            }
        });
    }
}

/// Clients that ask in one order or the other, with nothing between, are one history.
#[test]
fn neighbouring_requests_have_no_order() {
    let scenario = Scenario {
        scripts: client_commands(&[1, 1, 1]),
        ..cluster(2, 1)
    };
    let asked = |order: [usize; 3]| {
        let mut world = World::initial(&scenario);
        for client in order {
            let node = NodeId(0);
            apply(&scenario, &mut world, &Action::Ask { client, node });
        }
        world
    };
    assert_eq!(asked([0, 1, 2]), asked([2, 0, 1]));
    assert_eq!(asked([0, 1, 2]).history.occurrences().len(), 3);
}

/// Asking again is no new request.
#[test]
fn a_retry_is_not_in_the_history() {
    let scenario = Scenario {
        scripts: client_commands(&[1]),
        tries: 3,
        ..cluster(2, 1)
    };
    let mut world = World::initial(&scenario);
    for node in [0, 1, 0] {
        let (client, node) = (0, NodeId(node));
        apply(&scenario, &mut world, &Action::Ask { client, node });
    }
    assert_eq!(
        world.history.occurrences(),
        [Occurrence::Invoke { client: 0 }]
    );
}
