//! Nodes, clients and payloads that are alike: worlds in which they have changed places are as
//! good as each other, and who is said to be like another and is not is found out.

use std::path::Path;
use std::sync::Arc;

use checks::catalogue;
use checks::engine::native::search;
use checks::engine::{Engine, Limits, Reductions};
use checks::examine;
use checks::progress::Progress;
use checks::replay::replay;
use checks::report::{Report, Verdict};
use checks::subject::{Row, Run, Subject};
use checks::symmetry::{ALIKE, Renaming};
use models::maekawa::Maekawa;
use models::maekawa::state::Claim;
use models::raft::Raft;
use models::raft::session::RequestId;
use models::raft::spec::{Add, Adder, parties};
use models::specification::{Model, Specification};
use models::world::{Scenario, World};
use models::{Input, NodeId, Protocol as _, counter, maekawa, raft};
use tempfile::tempdir;

use crate::engines::{reductions, shown};
use crate::support::{on, shout};

fn scenario<P: Specification>(models: &[&[Model<P>]], name: &str) -> Scenario<P> {
    let mut models = models.iter().copied().flatten();
    let model = models.find(|model| model.name == name);
    (model.expect("a model of the catalogue").scenario)()
}

fn raft_scenario(name: &str) -> Scenario<Raft<Adder>> {
    scenario(raft::spec::MODELS, name)
}

fn verify(case: &dyn Subject, reductions: Reductions, traces: &Path) -> Report {
    let run = Run {
        progress: &Arc::new(Progress::default()),
        traces,
        reductions,
        seed: 0,
        checkpoint: None,
    };
    let report = case.verify(Engine::Native, &on(2), &run);
    report.expect("a report")
}

/// In how many ways nodes and clients may change places, that in which none does included.
fn ways(row: Row) -> u64 {
    let orders = |things: usize| (1..=things as u64).product::<u64>();
    orders(row.alike) * orders(row.alike_clients)
}

/// Every verdict on a model that declares something alike, and on every mutant in it, is the same
/// with one world of each orbit; what is shown is shown, as deep, and no counterexample is longer.
#[test]
fn looking_at_one_of_the_worlds_that_differ_in_names_changes_no_verdict() {
    const SMALL: u64 = 400_000;
    let traces = tempdir().expect("a folder");
    let (with, without) = (reductions("inert,symmetry"), Reductions::STANDARD);
    let (mut models, mut with_clients, mut mutants) = (0, 0, 0);
    for row in catalogue::protocols() {
        let is_small = |case: &dyn Subject| {
            let row = case.row();
            ways(row) > 1 && row.states.is_some_and(|states| states <= SMALL)
        };
        for case in row.models.iter().filter(|case| is_small(case.as_ref())) {
            let whole = verify(case.as_ref(), without, traces.path());
            let merged = verify(case.as_ref(), with, traces.path());
            assert_eq!(merged.verdict, Verdict::Verified, "{}", merged.to_text());
            assert_eq!(shown(&merged), shown(&whole), "{}", case.model());
            assert_eq!(merged.depth, whole.depth, "{}", case.model());
            let fewer = whole.unique / ways(case.row())..whole.unique;
            assert!(fewer.contains(&merged.unique), "{}", merged.to_text());
            assert_eq!(merged.reductions.last(), Some(&"symmetry"));
            models += 1;
            with_clients += usize::from(case.row().alike_clients > 1);
        }
        for case in row.mutants.iter().filter(|case| is_small(case.as_ref())) {
            let whole = verify(case.as_ref(), without, traces.path());
            let merged = verify(case.as_ref(), with, traces.path());
            let name = case.mutant().expect("a mutant").id;
            assert_eq!(merged.verdict, whole.verdict, "{name}");
            assert!(merged.steps.len() <= whole.steps.len(), "{name}");
            mutants += 1;
        }
    }
    assert!(models >= 18, "{models} models");
    assert!(with_clients >= 15, "{with_clients} models");
    assert!(mutants >= 20, "{mutants} mutants");
}

/// That the asymmetry which is planted is found, and that whoever takes the steps again sees it,
/// too. Without it there is none, as far as is looked here.
fn assert_found_out<P: Specification>(
    scenario: &Scenario<P>,
    plant: impl FnOnce(&mut Scenario<P>),
) {
    let some = Limits {
        max_states: Some(5_000),
        ..on(2)
    };
    let found = search(scenario, Reductions::ALL, &some, &Progress::default());
    assert!(found.violation.is_none(), "nothing has been planted yet");
    let mut scenario = scenario.clone();
    plant(&mut scenario);
    assert_is_found_out(&scenario);
}

/// That something is not alike in this scenario is found.
fn assert_is_found_out<P: Specification>(scenario: &Scenario<P>) {
    let found = search(scenario, Reductions::ALL, &on(2), &Progress::default());
    let violation = found.violation.expect("a violation");
    assert_eq!(violation.property, ALIKE);
    let replayed = replay(scenario, &violation.actions).expect("the steps are possible");
    assert_eq!(replayed.violated, Some(ALIKE));
}

/// One of three nodes hears nobody.
#[test]
fn a_node_that_is_unlike_others_is_found_out() {
    let scenario = raft_scenario("raft/election");
    assert_found_out(&scenario, |planted| {
        planted.step = |raft, node, input, out| {
            let is_deaf = raft.id() == NodeId(2) && matches!(input, Input::Deliver { .. });
            if !is_deaf {
                raft.step(node, input, out);
            }
        }
    });
}

/// An invariant, and a law, that look at what is under way and say of one of two nodes what they do
/// not say of the other.
#[test]
fn a_property_of_what_is_under_way_that_is_unlike_for_others_is_found_out() {
    assert_is_found_out(&shout::scenario::<false>());
    assert_is_found_out(&shout::scenario::<true>());
}

/// One of two clients is not listened to: told by its session, whatever it writes.
#[test]
fn a_client_that_is_treated_unlike_others_is_found_out() {
    let scenario = raft_scenario("raft/clients");
    assert_found_out(&scenario, |planted| {
        planted.step = |raft, node, input, out| {
            let is_ignored = |request: &RequestId| request.client.number == 1;
            let is_ignored = matches!(
                &input,
                Input::Ask(raft::Command::Propose { request, .. }) if is_ignored(request)
            );
            if !is_ignored {
                raft.step(node, input, out);
            }
        }
    });
}

/// As above, where a session is with a node, and some clients of it change places with others.
#[test]
fn a_session_that_is_treated_unlike_others_is_found_out() {
    let scenario = scenario(maekawa::spec::MODELS, "maekawa/clients");
    assert_found_out::<Maekawa>(&scenario, |planted| {
        planted.step = |member, node, input, out| {
            let is_ignored = |claim: &Claim| claim.session.number == 1;
            let is_ignored = matches!(
                &input,
                Input::Ask(maekawa::Command::Release { claim }) if is_ignored(claim)
            );
            if !is_ignored {
                member.step(node, input, out);
            }
        }
    });
}

/// One of two values is not written, whoever asks for it.
#[test]
fn a_payload_that_is_treated_unlike_others_is_found_out() {
    let scenario = raft_scenario("raft/clients");
    assert_found_out(&scenario, |planted| {
        planted.step = |raft, node, input, out| {
            let is_ignored = matches!(
                &input,
                Input::Ask(raft::Command::Propose {
                    command: Add(2),
                    ..
                })
            );
            if !is_ignored {
                raft.step(node, input, out);
            }
        }
    });
}

/// What comes of payloads is theirs as well: a total of one of them is the last that is counted,
/// and that of the other is not.
#[test]
fn a_total_that_is_treated_unlike_others_is_found_out() {
    let scenario = scenario(counter::spec::MODELS, "counter/sessions");
    assert_found_out(&scenario, |planted| {
        planted.step = |counter, node, input, out| {
            let is_last = node.durable().counts.total.value() == 2;
            if !(is_last && matches!(input, Input::Ask(_))) {
                counter.step(node, input, out);
            }
        }
    });
}

/// A number that a payload goes into, and that is not listed as one, tells payloads apart.
#[test]
fn a_type_that_is_not_listed_is_found_out() {
    let scenario = raft_scenario("raft/clients");
    assert_found_out(&scenario, |planted| {
        planted.alike_clients.payloads = &["Add", "Adder"]
    });
}

#[test]
#[should_panic(expected = "would not ask this")]
fn clients_that_do_not_ask_the_same_are_refused() {
    let scenario = raft_scenario("raft/reads").with_alike_clients(parties(&[&[0], &[1]]));
    Renaming::all(&scenario);
}

/// Both write, and what they write is not listed as what clients may differ in.
#[test]
#[should_panic(expected = "would not ask this")]
fn clients_that_differ_in_more_than_is_said_are_refused() {
    let mut scenario = raft_scenario("raft/clients");
    scenario.alike_clients.payloads = &[];
    Renaming::all(&scenario);
}

#[test]
#[should_panic(expected = "asks elsewhere")]
fn clients_that_ask_elsewhere_are_refused() {
    let mut scenario = raft_scenario("raft/clients");
    scenario.asks_at = |command, node| match command {
        raft::Command::Propose { request, .. } => request.client.number == u64::from(node.0),
        _ => true,
    };
    Renaming::all(&scenario);
}

#[test]
#[should_panic(expected = "in one party")]
fn a_client_of_two_parties_is_refused() {
    let mut scenario = raft_scenario("raft/clients");
    scenario.alike_clients.clients = &[&[0], &[0]];
    Renaming::all(&scenario);
}

#[test]
#[should_panic(expected = "as many clients each")]
fn a_party_that_is_larger_than_another_is_refused() {
    let mut scenario = raft_scenario("raft/follower-reads");
    scenario.alike_clients.clients = &[&[0, 1], &[2]];
    Renaming::all(&scenario);
}

#[test]
#[should_panic(expected = "no more than 120")]
fn more_ways_than_can_be_looked_at_are_refused() {
    let scenario = raft_scenario("raft/five-from-the-start").with_alike(&[0, 1, 2, 3, 4]);
    Renaming::all(&scenario);
}

/// The product of both groups is one: all ways are different, and each can be undone.
#[test]
fn whatever_has_changed_places_can_change_back() {
    assert_group(&scenario(counter::spec::MODELS, "counter/deltas-3"), 12);
    assert_group(&raft_scenario("raft/three-from-the-start"), 12);
    assert_group(&raft_scenario("raft/pipelining"), 6);
    assert_group(&raft_scenario("raft/follower-reads"), 2);
    let clients: Scenario<Maekawa> = scenario(maekawa::spec::MODELS, "maekawa/clients");
    assert_group(&clients, 2);
}

fn assert_group<P: Specification>(scenario: &Scenario<P>, ways: usize) {
    let renamings = Renaming::all(scenario);
    assert_eq!(renamings.len() + 1, ways);
    let most = (0..20).map(|seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = examine::initial(scenario).expect("a world");
        let mut most = 0;
        for _ in 0..30 {
            most = most.max(orbit(&renamings, &world));
            let actions = world.actions(scenario);
            let Some(action) = rng.choice(&actions) else {
                break;
            };
            world.enact(scenario, action);
        }
        most
    });
    assert_eq!(
        most.max(),
        Some(ways),
        "some world is different in all ways"
    );
}

/// How many worlds are the same but for names: each comes back to this one.
fn orbit<P: Specification>(renamings: &[Renaming], world: &World<P>) -> usize {
    let mirrored = renamings.iter().map(|renaming| world.renamed(renaming));
    let mut orbit: Vec<World<P>> = mirrored.collect();
    for other in &orbit {
        let mut back = renamings.iter().map(|renaming| other.renamed(renaming));
        assert!(other == world || back.any(|back| back == *world));
    }
    orbit.push(world.clone());
    orbit.sort();
    orbit.dedup();
    orbit.len()
}
