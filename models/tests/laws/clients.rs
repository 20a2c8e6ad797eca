//! What clients do: they ask, they are refused and ask elsewhere, they lose patience and ask
//! again. Scribe 0 answers; the others refuse.

use models::NodeId;
use models::raft::spec::client_commands;
use models::world::{Action, Client, Kind, Occurrence, Scenario, World};
use proptest::prelude::*;

use crate::support::runs::{apply, choices, troubled, walk};
use crate::support::scribe::{Said, Scribe, scribes};

fn ask(client: usize, node: u16) -> Action<Scribe> {
    let node = NodeId(node);
    Action::Ask { client, node }
}

/// Clients that ask 7 and 8, and 9.
fn asked(tries: u8) -> Scenario<Scribe> {
    Scenario {
        scripts: vec![vec![7, 8], vec![9]],
        tries,
        ..scribes(2, 6)
    }
}

#[test]
fn an_answer_leads_to_the_next_request() {
    let scenario = asked(1);
    let mut world = World::initial(&scenario);
    apply(&scenario, &mut world, &ask(0, 0));
    let next = Client {
        next: 1,
        ..Client::default()
    };
    assert_eq!(world.clients, [next, Client::default()]);
    let seen = [
        Occurrence::Invoke { client: 0 },
        Occurrence::Return {
            client: 0,
            event: Said::Yes(7),
        },
    ];
    assert_eq!(world.history.occurrences(), seen);
    apply(&scenario, &mut world, &ask(0, 0));
    assert!(
        world.apply(&scenario, &ask(0, 0)).is_err(),
        "its script is done"
    );
}

/// A client that knows where its request belongs asks nowhere else.
#[test]
fn a_client_asks_only_where_it_would() {
    let scenario = Scenario {
        asks_at: |&command, node| (command == 9) == (node == NodeId(1)),
        ..asked(1)
    };
    let world = World::initial(&scenario);
    let mut actions = world.actions(&scenario);
    actions.retain(|action| action.kind() == Kind::Ask);
    assert_eq!(actions, [ask(0, 0), ask(1, 1)]);
    assert!(world.clone().apply(&scenario, &ask(0, 1)).is_err());
}

/// Without a history the same happens, and nothing is remembered of it.
#[test]
fn a_history_that_nobody_needs_is_not_kept() {
    let kept = asked(1);
    let scenario = Scenario {
        keeps_history: false,
        ..asked(1)
    };
    let run = |scenario| {
        let mut world = World::initial(scenario);
        for action in [ask(0, 0), ask(1, 1), ask(0, 0)] {
            apply(scenario, &mut world, &action);
        }
        world
    };
    assert_eq!(run(&kept).history.occurrences().len(), 5);
    let expected = World {
        history: World::initial(&scenario).history,
        ..run(&kept)
    };
    assert_eq!(run(&scenario), expected);
}

/// A refusal is no try: the node has not done the request and will not.
#[test]
fn a_refused_client_asks_elsewhere() {
    let scenario = asked(1);
    let mut world = World::initial(&scenario);
    for _ in 0..3 {
        apply(&scenario, &mut world, &ask(0, 1));
        assert_eq!((world.clients[0].tries, world.clients[0].next), (0, 0));
        assert!(world.clients[0].waits_at.is_empty());
    }
    apply(&scenario, &mut world, &ask(0, 0));
    assert_eq!(world.clients[0].next, 1);
    let invocations = world.history.occurrences().iter();
    let invocations = invocations.filter(|seen| matches!(seen, Occurrence::Invoke { .. }));
    assert_eq!(invocations.count(), 1);
}

/// A client that hears nothing asks so often, and no more; a crash makes it hear nothing.
#[test]
fn a_client_that_hears_nothing_asks_again_so_often() {
    let mut scenario = asked(2);
    scenario.step = |_, _, _, _| {};
    scenario.faults.crashes = 1;
    let mut world = World::initial(&scenario);
    apply(&scenario, &mut world, &ask(0, 0));
    apply(&scenario, &mut world, &Action::Crash(NodeId(0)));
    assert!(world.clients[0].waits_at.is_empty());
    assert!(
        world.apply(&scenario, &ask(0, 0)).is_err(),
        "nobody is there"
    );
    apply(&scenario, &mut world, &ask(0, 1));
    assert_eq!(world.clients[0].tries, 2);
    let asks = world.actions(&scenario).into_iter();
    let asks: Vec<_> = asks.filter(|action| action.kind() == Kind::Ask).collect();
    assert_eq!(asks, [ask(1, 1)], "the first client has no try left");
}

/// What must not be asked twice is asked once, however often a client may ask; a refusal is no try of
/// it either.
#[test]
fn what_is_not_asked_again_is_asked_once() {
    let mut scenario = Scenario {
        asks_again: |&command| command != 7,
        ..asked(3)
    };
    scenario.faults.lost_replies = 2;
    let unheard = |client| Action::AskUnheard {
        client,
        node: NodeId(0),
    };
    let mut world = World::initial(&scenario);
    apply(&scenario, &mut world, &ask(0, 1));
    for client in [0, 1] {
        apply(&scenario, &mut world, &unheard(client));
    }
    let asks = world.actions(&scenario).into_iter();
    let asks: Vec<_> = asks.filter(|action| action.kind() == Kind::Ask).collect();
    assert_eq!(asks, [ask(1, 0), ask(1, 1)]);
    assert!(world.apply(&scenario, &ask(0, 0)).is_err());
}

/// An answer that is lost on its way leaves its client asking, and the node none the wiser;
/// so many get lost, and no more.
#[test]
fn a_client_whose_answer_is_lost_asks_again() {
    let mut scenario = asked(3);
    scenario.faults.lost_replies = 1;
    let unheard = Action::AskUnheard {
        client: 0,
        node: NodeId(0),
    };
    let mut world = World::initial(&scenario);
    apply(&scenario, &mut world, &unheard);
    let asking = Client {
        tries: 1,
        asking: true,
        ..Client::default()
    };
    assert_eq!(world.clients[0], asking);
    let invoked = [Occurrence::Invoke { client: 0 }];
    assert_eq!(world.history.occurrences(), invoked);
    assert!(world.apply(&scenario, &unheard).is_err(), "one is lost");
    apply(&scenario, &mut world, &ask(0, 0));
    assert_eq!(world.clients[0].next, 1);
}

/// Only who waits at a node hears what it says.
#[test]
fn an_answer_reaches_who_asked() {
    let mut scenario = asked(3);
    scenario.scripts[1] = vec![7];
    let mut world = World::initial(&scenario);
    apply(&scenario, &mut world, &ask(0, 0));
    assert_eq!(world.clients[1], Client::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// A client asks its requests in order, one at a time, each at most so often as it may,
    /// and is answered each at most once.
    #[test]
    fn clients_keep_to_their_scripts(choices in choices(200)) {
        let scenario = Scenario { scripts: client_commands(&[2, 2]), ..troubled(3) };
        walk(&scenario, &choices, |_, _, world| {
            let mut open = [false; 2];
            let mut answered = [0; 2];
            for seen in world.history.occurrences() {
                match seen {
                    Occurrence::Invoke { client } => {
                        assert!(!std::mem::replace(&mut open[*client], true));
                    }
                    Occurrence::Return { client, .. } => {
                        assert!(std::mem::replace(&mut open[*client], false));
                        answered[*client] += 1;
                    }
                }
            }
            for (client, state) in world.clients.iter().enumerate() {
                assert_eq!(state.next, answered[client]);
                assert_eq!(state.asking, open[client]);
                assert!(state.tries <= scenario.tries);
                assert!(state.waits_at.is_empty() || state.asking);
                assert!(state.waits_at.keys().all(|&node| {
                    world.host(node).is_some_and(|host| host.node().is_some())
                }));
            }
        });
    }
}
