//! The world as a whole: what may happen does, what may not does not, and Raft keeps its
//! properties on the way.

use std::collections::{BTreeMap, BTreeSet};

use models::raft::state::Persistent;
use models::world::{Action, Disk, Host, Kind, NotEnabled, Scenario, World};
use models::{Durable, Input, Node, NodeId, Outbox, Protocol};
use proptest::prelude::*;

use crate::support::bench::{Checked, Record};
use crate::support::runs::{any_troubled, broken, choices, fixed_choices, troubled, walk};

const HONEST: &[Disk<Checked>] = &[Disk::WriteThrough];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// What `actions` lists can happen, and what it does not list cannot: an action of an
    /// earlier time is refused, and the world stays as it is.
    #[test]
    fn actions_lists_what_apply_accepts(
        scenario in any_troubled(HONEST),
        choices in choices(80),
    ) {
        let mut known: BTreeSet<Action<Checked>> = BTreeSet::new();
        walk(&scenario, &choices, |_, _, world| {
            let actions = world.actions(&scenario);
            for action in &actions {
                assert_eq!(world.clone().apply(&scenario, action), Ok(()), "{action:?}");
            }
            for action in known.iter().filter(|action| !actions.contains(action)) {
                let mut after = world.clone();
                assert_eq!(after.apply(&scenario, action), Err(NotEnabled), "{action:?}");
                assert_eq!(&after, world);
            }
            if known.len() < 200 {
                known.extend(actions);
            }
        });
    }

    /// Each action is listed once, in the same order each time.
    #[test]
    fn actions_are_listed_once(scenario in any_troubled(HONEST), choices in choices(80)) {
        walk(&scenario, &choices, |_, _, world| {
            let actions = world.actions(&scenario);
            let distinct: BTreeSet<&Action<Checked>> = actions.iter().collect();
            assert_eq!(distinct.len(), actions.len());
            assert_eq!(world.clone().actions(&scenario), actions);
        });
    }

    /// A list of actions is a trace: written down and read back, it leads to the same world.
    #[test]
    fn a_trace_replays(scenario in any_troubled(HONEST), choices in choices(120)) {
        let mut trace = Vec::new();
        let end = walk(&scenario, &choices, |_, action, _| trace.push(action.clone()));
        let json = serde_json::to_string(&trace).expect("a trace as JSON");
        let read: Vec<Action<Checked>> = serde_json::from_str(&json).expect("JSON as a trace");
        prop_assert_eq!(&read, &trace);
        let mut world = World::initial(&scenario);
        for action in &read {
            prop_assert_eq!(world.apply(&scenario, action), Ok(()));
        }
        prop_assert_eq!(world, end);
    }

    /// What the properties and the clients remember can be written down as well.
    #[test]
    fn ghosts_and_histories_survive_json(
        scenario in any_troubled(HONEST),
        choices in choices(120),
    ) {
        let end = walk(&scenario, &choices, |_, _, _| {});
        let json = serde_json::to_string(&end.ghost).expect("a ghost as JSON");
        prop_assert_eq!(serde_json::from_str::<models::raft::spec::Ghost<_>>(&json).ok(), Some(end.ghost));
        let json = serde_json::to_string(&end.history).expect("a history as JSON");
        prop_assert_eq!(serde_json::from_str(&json).ok(), Some(end.history));
        let envelopes = end.network.in_flight();
        let json = serde_json::to_string(&envelopes).expect("envelopes as JSON");
        prop_assert_eq!(serde_json::from_str(&json).ok(), Some(envelopes));
    }

    /// The records that a node has written since its disk was set up, crashes included, make what
    /// the disk remembers.
    #[test]
    fn journals_make_disks(scenario in any_troubled(HONEST), choices in choices(120)) {
        let empty = scenario.nodes.iter().map(|raft| (raft.id(), Node::formatted(raft)));
        let mut journals: BTreeMap<NodeId, Persistent<_>> = empty.collect();
        walk(&scenario, &choices, |before, action, after| {
            if let Some((id, records)) = written(&scenario, before, action) {
                let disk = journals.entry(id).or_default();
                records.iter().for_each(|record| disk.apply(record));
            }
            for (id, host) in after.all_hosts() {
                let disk = journals.entry(id).or_default();
                assert_eq!(host.durable(), disk, "{id} after {action:?}");
                assert_eq!(host.on_disk(), disk);
            }
        });
    }

    /// All that is left of a node after a crash is its disk, and a node that restarts is one
    /// that boots from it.
    #[test]
    fn a_restart_is_a_boot(scenario in any_troubled(HONEST), choices in choices(120)) {
        walk(&scenario, &choices, |before, action, after| {
            if let Action::Restart(id) = action {
                let durable = before.host(*id).expect("a host").durable().clone();
                let raft = &scenario.nodes[usize::from(id.0)];
                let booted = Node::boot(raft, durable, &mut Outbox::new());
                assert_eq!(after.host(*id).and_then(Host::node), Some(&booted));
            }
        });
    }

    /// No random run breaks an invariant or a law of Raft.
    #[test]
    fn raft_keeps_its_properties(scenario in any_troubled(HONEST), choices in choices(200)) {
        walk(&scenario, &choices, |before, action, after| {
            assert_eq!(broken(&scenario, before, action, after), [""; 0], "{action:?}");
        });
    }

    /// An action touches one host at most: the others are shared with the world before.
    #[test]
    fn an_action_touches_one_host(scenario in any_troubled(HONEST), choices in choices(80)) {
        walk(&scenario, &choices, |before, action, after| {
            for ((id, old), (_, new)) in before.all_hosts().zip(after.all_hosts()) {
                let shared = std::ptr::eq(old, new);
                assert!(shared || action.node() == Some(id), "{id} by {action:?}");
            }
        });
    }
}

/// The node that takes a step in this action, and what it writes.
fn written(
    scenario: &Scenario<Checked>,
    before: &World<Checked>,
    action: &Action<Checked>,
) -> Option<(NodeId, Vec<Record>)> {
    let (id, input, kept) = match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) => {
            let (from, message) = (envelope.from, envelope.message.clone());
            let input = Input::Deliver { from, message };
            (envelope.to, input, usize::MAX)
        }
        Action::Fire { node, timer } => (*node, Input::Fire(*timer), usize::MAX),
        Action::Ask { client, node } | Action::AskUnheard { client, node } => {
            let command = &scenario.scripts[*client][before.clients[*client].next];
            (*node, Input::Ask(command.clone()), usize::MAX)
        }
        Action::CrashWithin { node, input, kept } => (*node, input.clone(), *kept),
        _ => return None,
    };
    let mut node = before.host(id)?.node()?.clone();
    let raft = &scenario.nodes[usize::from(id.0)];
    (scenario.step)(raft, &mut node, input, &mut Outbox::new());
    let mut records = node.take_records();
    records.truncate(kept);
    Some((id, records))
}

/// Walks come to something: every kind of action an honest disk allows, leaders, commits,
/// answers.
#[test]
fn walks_are_not_idle() {
    let scenario = troubled(3);
    let mut kinds = BTreeSet::new();
    let (mut leaders, mut committed, mut answered) = (0, 0, 0);
    for seed in 0..60 {
        let end = walk(&scenario, &fixed_choices(seed, 200), |_, action, _| {
            kinds.insert(action.kind());
        });
        leaders += end.ghost.leaders.len();
        committed += end.ghost.committed.len();
        answered += end.clients.iter().map(|client| client.next).sum::<usize>();
    }
    let expected = [
        Kind::Deliver,
        Kind::Duplicate,
        Kind::Drop,
        Kind::Fire,
        Kind::Ask,
        Kind::Crash,
        Kind::CrashWithin,
        Kind::Restart,
        Kind::Cut,
        Kind::Isolate,
        Kind::Heal,
    ];
    assert_eq!(kinds, BTreeSet::from(expected));
    assert!(leaders > 60, "{leaders} leaders");
    assert!(committed > 60, "{committed} commits");
    assert!(answered > 20, "{answered} answers");
}
