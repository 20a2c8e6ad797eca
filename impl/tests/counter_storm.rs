//! The counter on the simulated runtime, and the G-Counter's model beside it: losses, cuts, crashes that
//! lose what was not flushed, restarts, slow disks, disks that are lost; members that come and go; all
//! from a seed.
//!
//! Verifies, besides what the model's properties say on the way, that after the storm all nodes know the
//! same, and owe each other nothing; that all that was acknowledged at a node whose disk is whole has been
//! counted, and no more than was asked: acknowledged ≤ value ≤ attempted, also on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lockstep::counter::Counter;
use lockstep::counter::config::{Exchange, Timing};
use lockstep::counter::server::node::spans;
use models::NodeId;
use models::counter::g_counter::{DataCentre, Incarnation};
use models::counter::spec::Bounds;
use models::counter::window::Window;
use models::counter::{Command, Event, Increment};
use models::session::{ClientId, RequestId, Sequence};
use models::world::Scenario;

use crate::support::refinement::Refuted;
use crate::support::storm::{Shown, Storm, millis, refuted, storms, weather};

const NODES: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];
/// Clients that count and read.
const CLIENTS: usize = 3;
/// So many requests has each of them: more than it asks in a storm.
const REQUESTS: u64 = 100;
/// So often a host may draw a name, and say that a member comes or goes, or that the node is to leave.
const HOST_WORDS: usize = 60;

struct CounterStorm {
    storm: Storm<Counter>,
    /// The host's words that have not been said yet: a client of the world says each, once.
    names: Vec<usize>,
    comings: BTreeMap<NodeId, Vec<usize>>,
    goings: Vec<usize>,
    leavings: Vec<usize>,
    attempted: BTreeSet<(NodeId, RequestId)>,
    acknowledged: BTreeSet<(NodeId, RequestId)>,
    /// The nodes whose disk was lost at some time.
    lost: BTreeSet<NodeId>,
}

fn timing() -> Timing {
    Timing {
        broadcast_ms: 15,
        push_pull_ms: 150,
        ..Timing::default()
    }
}

fn counter(id: NodeId) -> Counter {
    let mut counter = Counter::new(id, DataCentre(id.0 % 2), NODES);
    counter.window = Some(Window::new(100, 3));
    counter
}

fn scenario() -> Scenario<Counter> {
    let bounds = Bounds {
        broadcasters: NODES.into(),
        push_pullers: NODES.into(),
        proposers: [].into(),
    };
    let scripts = (1..=CLIENTS as u64).map(script).chain(host_words());
    Scenario {
        scripts: scripts.collect(),
        ..Scenario::new(NODES.map(counter).into(), bounds)
    }
}

/// The client of the world that says this word of a kind.
fn word(kind: usize, number: usize) -> usize {
    CLIENTS + kind * HOST_WORDS + number
}

fn script(client: u64) -> Vec<Command> {
    let request = |sequence| RequestId {
        client: ClientId::new(client),
        sequence: Sequence(sequence),
    };
    let command = |sequence| {
        let (request, now) = (request(sequence), sequence * 20);
        match sequence % 8 {
            3 => Command::Read { request },
            6 => Command::ReadWindow {
                request,
                now,
                latest: sequence % 3 + 1,
            },
            _ => Command::Increment(Increment {
                request,
                amount: amount(request),
                now,
            }),
        }
    };
    (1..=REQUESTS).map(command).collect()
}

/// Another for each request.
fn amount(request: RequestId) -> u64 {
    request.client.number * 1000 + request.sequence.0
}

/// What the hosts say: in this order, so many of each kind. Names once more at the end, for a host that
/// gives them out twice.
fn host_words() -> impl Iterator<Item = Vec<Command>> {
    let names = || {
        (0..HOST_WORDS as u64).map(|number| Command::Identify {
            incarnation: Incarnation(number + 1),
        })
    };
    let about = |say: fn(NodeId) -> Command| {
        (0..HOST_WORDS).map(move |word| say(NODES[word % NODES.len()]))
    };
    let leavings = (0..HOST_WORDS).map(|_| Command::Leave);
    names()
        .chain(about(Command::PeerJoined))
        .chain(about(Command::PeerGone))
        .chain(leavings)
        .chain(names())
        .map(|command| vec![command])
}

impl CounterStorm {
    fn new(seed: u64) -> Result<Self, Refuted> {
        let spans = spans(&timing(), Exchange::Deltas, Arc::default());
        let words = |kind| word(kind, 0)..word(kind + 1, 0);
        let comings = NODES.iter().enumerate().map(|(position, &peer)| {
            let about_it = words(1).skip(position).step_by(NODES.len());
            (peer, about_it.collect())
        });
        let mut storm = Self {
            storm: Storm::new(weather(seed), spans, scenario())?,
            names: words(0).collect(),
            comings: comings.collect(),
            goings: words(2).collect(),
            leavings: words(3).collect(),
            attempted: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            lost: BTreeSet::new(),
        };
        // A name is drawn for each empty disk before anybody counts.
        storm.listen_for(100)?;
        Ok(storm)
    }

    fn rage(&mut self, rounds: usize) -> Result<(), Refuted> {
        for _ in 0..rounds {
            self.ask_somebody()?;
            self.change_members()?;
            self.storm.disturb()?;
            self.storm.pause()?;
            self.hear()?;
        }
        Ok(())
    }

    /// Each client asks a random node, or does not.
    fn ask_somebody(&mut self) -> Result<(), Refuted> {
        for client in 0..CLIENTS {
            let node = self.storm.any_node();
            if self.storm.rng.bool() {
                self.ask(client, node)?;
            }
        }
        Ok(())
    }

    fn ask(&mut self, client: usize, node: NodeId) -> Result<(), Refuted> {
        let next = self.storm.refinement.next_request(client);
        if let Some(Command::Increment(increment)) = next {
            self.attempted.insert((node, increment.request));
        }
        self.storm.ask(client, node)
    }

    /// SWIM is mistaken now and then, and a node is to leave.
    fn change_members(&mut self) -> Result<(), Refuted> {
        let (node, peer) = (self.storm.any_node(), self.storm.any_node());
        let word = match self.storm.rng.u8(..20) {
            0 => self.goings.pop(),
            1 | 2 => self.comings.get_mut(&peer).and_then(Vec::pop),
            3 if self.storm.rng.bool() => self.leavings.pop(),
            _ => None,
        };
        word.map_or(Ok(()), |word| self.storm.ask(word, node))
    }

    fn lose_disk(&mut self, id: NodeId) -> Result<(), Refuted> {
        self.lost.insert(id);
        self.storm.lose_disk(id)
    }

    fn hear(&mut self) -> Result<(), Refuted> {
        for said in self.storm.take_events() {
            match said.event {
                Event::Incremented {
                    request, repeated, ..
                } => {
                    self.acknowledged.insert((said.node, request));
                    if repeated {
                        self.storm.count("a retry counts once");
                    }
                }
                // A node that crashes before it has a name says so again.
                Event::IdentityNeeded { .. } => {
                    let word = self.names.pop().expect("enough names");
                    self.storm.ask(word, said.node)?;
                }
                Event::Value { value, .. } | Event::Changed { value } => self.check_most(value),
                Event::WindowValue { .. }
                | Event::Identified { .. }
                | Event::Refused { .. }
                | Event::PeerAdded(_)
                | Event::PeerRemoved(_)
                | Event::Folded { .. }
                | Event::Drained => {}
            }
        }
        Ok(())
    }

    fn check_most(&self, value: u128) {
        let attempted = sum(&self.attempted);
        assert!(value <= attempted, "{value} of {attempted} attempted");
    }

    /// The storm's last messages are gone, and nobody leaves or is taken for gone any more.
    fn calm(&mut self) -> Result<(), Refuted> {
        self.storm.calm_down()?;
        self.listen_for(200)?;
        for id in NODES {
            if self.storm.node(id).volatile.leaving {
                self.storm.crash(id)?;
                self.storm.restart(id)?;
            }
            for peer in NODES {
                let word = self.comings.get_mut(&peer).and_then(Vec::pop);
                self.storm.ask(word.expect("enough words"), id)?;
            }
        }
        self.listen_for(1000)?;
        let before = self.acknowledged.len();
        for client in 0..CLIENTS {
            for node in NODES {
                self.ask(client, node)?;
                self.listen_for(100)?;
            }
        }
        assert!(self.acknowledged.len() > before, "no progress in the calm");
        self.listen_for(1000)
    }

    fn listen_for(&mut self, span: u64) -> Result<(), Refuted> {
        const EVERY: u64 = 20;
        for _ in 0..span / EVERY {
            self.storm.run_for(millis(EVERY))?;
            self.hear()?;
        }
        Ok(())
    }

    fn check(&self) {
        let known = |id: NodeId| &self.storm.node(id).durable().counts.total;
        let value = known(NODES[0]).value();
        for id in NODES {
            assert_eq!(known(id), known(NODES[0]), "{id} knows something else");
            assert!(
                self.storm.node(id).volatile.is_settled(),
                "{id} owes something"
            );
        }
        let whole = { self.acknowledged.iter() }.filter(|(node, _)| !self.lost.contains(node));
        let acknowledged = sum(whole);
        assert!(
            acknowledged <= value,
            "{value} of {acknowledged} acknowledged"
        );
        self.check_most(value);
    }
}

/// What these requests count together: once for each node that they were asked at.
fn sum<'a>(requests: impl IntoIterator<Item = &'a (NodeId, RequestId)>) -> u128 {
    let amounts = requests.into_iter().map(|(_, request)| amount(*request));
    amounts.map(u128::from).sum()
}

fn storm(seed: u64) -> Result<Shown, Refuted> {
    let mut storm = CounterStorm::new(seed)?;
    storm.rage(120)?;
    storm.calm()?;
    storm.check();
    Ok(storm.storm.shown())
}

#[test]
fn after_the_storm_all_know_the_same_and_what_was_acknowledged_is_counted() {
    let must_show = [
        "a crash",
        "a link is cut",
        "a message is lost",
        "a message comes twice",
        "an answer is lost",
        "a delta is acknowledged",
        "states are exchanged",
        "a replica tells what is new",
        "a retry counts once",
        "a retry elsewhere is counted again",
        "a window is read",
        "a bucket expires",
        "a replica joins",
        "a replica is gone",
        "a replica leaves",
        "a node is told that it may leave",
    ];
    storms("counter_storm::after_the_storm", 6, storm, &must_show);
}

/// Disks are lost in the middle of the storm, one after the other, and each node comes back under
/// another name.
#[test]
fn a_storm_in_which_disks_are_lost_counts_what_others_have_heard_once() {
    let storm = |seed| {
        let mut storm = CounterStorm::new(seed)?;
        for id in [NODES[2], NODES[1], NODES[2]] {
            storm.rage(30)?;
            storm.lose_disk(id)?;
        }
        storm.rage(30)?;
        storm.calm()?;
        storm.check();
        Ok(storm.storm.shown())
    };
    storms(
        "counter_storm::a_storm_in_which_disks",
        4,
        storm,
        &[
            "a disk is lost",
            "a node counts again under a new name after its disk was lost",
        ],
    );
}

#[test]
fn a_disk_that_lies_about_its_flushes_is_found() {
    let found = refuted(20, |seed| {
        let mut storm = CounterStorm::new(seed)?;
        storm.storm.lie(NODES[1]);
        storm.rage(120)
    });
    assert!(found.is_property_of::<Counter>(), "{found}");
}

/// A host that gives an emptied disk the name that the node has had before.
#[test]
fn a_name_that_is_given_out_twice_is_found() {
    let found = refuted(20, |seed| {
        let mut storm = CounterStorm::new(seed)?;
        storm.rage(40)?;
        let identity = { storm.storm.simulation.remembered(NODES[1]) }.and_then(|it| it.identity);
        let again = identity.map(|name| name.incarnation.0);
        storm.lose_disk(NODES[1])?;
        if let Some(number) = again {
            storm.names.push(word(4, number as usize - 1));
        }
        storm.rage(80)
    });
    assert!(found.is_property_of::<Counter>(), "{found}");
}
