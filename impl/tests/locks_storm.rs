//! Locks on the simulated runtime, and the model of Maekawa's algorithm beside them: losses, cuts,
//! crashes of members and of the orchestrator, members that join and leave; all from a seed.
//!
//! Verifies, besides what the model's properties say on the way, that at no time two living nodes hold a
//! lock, be it in different epochs, for clocks and messages keep here to what the timers trust; that the
//! tokens of each lock increase in the order in which it is granted; and that after the storm every claim
//! that is made is granted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lockstep::locks::Maekawa;
use lockstep::runtime::sim::SimulationOptions;
use lockstep::runtime::timers::TimerSpan;
use models::NodeId;
use models::maekawa::lock::LockName;
use models::maekawa::message::{Epoch, Token};
use models::maekawa::spec::Bounds;
use models::maekawa::state::{Claim, Session, Volatile};
use models::maekawa::{Command, Event, Timer, Times};
use models::world::Scenario;

use crate::support::refinement::Refuted;
use crate::support::storm::{Shown, Storm, millis, refuted, storms, weather};

const ORCHESTRATOR: NodeId = NodeId(0);
const MEMBERS: u16 = 5;
/// Two at each member.
const CLIENTS: usize = 2 * MEMBERS as usize;
const LOCKS: [&str; 3] = ["nightly", "report", "mail"];
/// More sessions than a client has in a storm, and more than an operator changes its mind.
const SESSIONS: u64 = 200;

/// Who asks in a storm, by its script.
#[derive(Clone, Copy)]
enum Asker {
    /// Claims one lock after the other, each in a session of its own, and lets it go.
    Client(usize),
    /// Ends some of a client's sessions while it waits, as a host does whose connection is broken.
    Host(usize),
    /// Makes a node a member, and none, by turns.
    Operator(NodeId),
}

impl Asker {
    fn script(self) -> usize {
        match self {
            Self::Client(client) => client,
            Self::Host(client) => CLIENTS + client,
            Self::Operator(node) => 2 * CLIENTS + usize::from(node.0) - 1,
        }
    }
}

struct LocksStorm {
    storm: Storm<Maekawa>,
    /// The greatest token of each lock that anybody was granted.
    greatest: BTreeMap<LockName, Token>,
    granted: BTreeSet<Claim>,
}

fn members() -> impl Iterator<Item = NodeId> {
    (1..=MEMBERS).map(NodeId)
}

/// The member at which a client is.
fn home(client: usize) -> NodeId {
    members()
        .nth(client % usize::from(MEMBERS))
        .expect("a member")
}

fn session(client: usize, number: u64) -> Session {
    Session {
        node: home(client),
        number: number * CLIENTS as u64 + client as u64,
    }
}

fn claim(client: usize, number: u64) -> Claim {
    let lock = LOCKS[(client + number as usize) % LOCKS.len()];
    Claim {
        lock: lock.into(),
        session: session(client, number),
        sequence: 1,
    }
}

fn client_script(client: usize) -> Vec<Command> {
    let one = |number| {
        let claim = claim(client, number);
        let session = claim.session;
        let acquire = Command::Acquire {
            claim: claim.clone(),
        };
        [
            acquire,
            Command::Release { claim },
            Command::End { session },
        ]
    };
    (1..=SESSIONS).flat_map(one).collect()
}

fn host_script(client: usize) -> Vec<Command> {
    let sessions = (1..=SESSIONS).step_by(3);
    let ends = sessions.map(|number| Command::End {
        session: session(client, number),
    });
    ends.collect()
}

fn operator_script() -> Vec<Command> {
    let turns = [Command::Register, Command::Deregister];
    turns.into_iter().cycle().take(SESSIONS as usize).collect()
}

fn scenario() -> Scenario<Maekawa> {
    let nodes = (0..=MEMBERS).map(|id| node(NodeId(id)));
    let bounds = Bounds {
        retries: true,
        leases: true,
        last_epoch: Epoch(u64::MAX),
        // What the model takes for an error of the health check is none if the node has given up.
        accurate: false,
    };
    let scripts = (0..CLIENTS).map(client_script);
    let scripts = scripts.chain((0..CLIENTS).map(host_script));
    let scripts = scripts.chain(members().map(|_| operator_script()));
    Scenario {
        scripts: scripts.collect(),
        keeps_history: false,
        ..Scenario::new(nodes.collect(), bounds)
    }
}

fn node(id: NodeId) -> Maekawa {
    let mut node = Maekawa::new(id, ORCHESTRATOR);
    node.misses = 3;
    node.max_idle_locks = 2;
    node
}

/// How long the timers last. A message is a latency on its way, and waits for two fsyncs at most.
fn times() -> Times {
    let times = Times {
        health_check: millis(200),
        lease: millis(450),
        delay: millis(75),
        drift: 0,
    };
    times.check(&node(ORCHESTRATOR)).expect("the lease is safe");
    times
}

fn spans(timer: &Timer) -> TimerSpan {
    TimerSpan::Exactly(match timer {
        Timer::Retry | Timer::Register => millis(100),
        Timer::HealthCheck => times().health_check,
        Timer::Lease => times().lease,
    })
}

impl LocksStorm {
    fn new(seed: u64) -> Result<Self, Refuted> {
        let options = SimulationOptions {
            checkpoint_after_bytes: 100,
            ..weather(seed)
        };
        Ok(Self {
            storm: Storm::new(options, spans, scenario())?,
            greatest: BTreeMap::new(),
            granted: BTreeSet::new(),
        })
    }

    fn rage(&mut self, rounds: usize) -> Result<(), Refuted> {
        for _ in 0..rounds {
            self.ask_somebody()?;
            self.storm.disturb()?;
            let pause = millis(self.storm.rng.u64(1..60));
            self.go_on(pause)?;
        }
        Ok(())
    }

    /// Lets time pass, and looks who holds what.
    fn go_on(&mut self, span: Duration) -> Result<(), Refuted> {
        self.storm.run_for(span)?;
        self.check_exclusion();
        self.hear();
        Ok(())
    }

    fn ask_somebody(&mut self) -> Result<(), Refuted> {
        for client in 0..CLIENTS {
            if self.wants_to_go_on(client) {
                self.ask(Asker::Client(client), home(client))?;
            }
            if self.storm.rng.u8(..10) == 0 {
                self.end_what_waits(client)?;
            }
        }
        for node in members() {
            let leaves = self.next(Asker::Operator(node)) == Some(&Command::Deregister);
            let patience = if leaves { 100 } else { 3 };
            if self.storm.rng.u8(..patience) == 0 {
                self.ask(Asker::Operator(node), node)?;
            }
        }
        Ok(())
    }

    /// Whoever holds a lock keeps it for a while.
    fn wants_to_go_on(&mut self, client: usize) -> bool {
        let next = self.next(Asker::Client(client));
        !matches!(next, Some(Command::Release { .. })) || self.storm.rng.u8(..4) == 0
    }

    fn end_what_waits(&mut self, client: usize) -> Result<(), Refuted> {
        let Some(Command::End { session }) = self.next(Asker::Host(client)) else {
            return Ok(());
        };
        let Some(Command::Acquire { claim }) = self.next(Asker::Client(client)) else {
            return Ok(());
        };
        // Of a session that is yet to come, or whose claim its node has not got, its client would
        // learn no more than that it is over.
        let is_past = claim.session.number > session.number;
        let is_it = claim.session == *session && self.is_claimed(claim);
        match is_past || is_it {
            true => self.ask(Asker::Host(client), home(client)),
            false => Ok(()),
        }
    }

    fn is_claimed(&self, claim: &Claim) -> bool {
        let node = self.storm.simulation.node(claim.session.node);
        match node.map(|node| &node.volatile) {
            Some(Volatile::Node(local)) => local.all_claims().any(|other| other == claim),
            Some(Volatile::Orchestrator(_)) | None => false,
        }
    }

    fn next(&self, asker: Asker) -> Option<&Command> {
        self.storm.refinement.next_request(asker.script())
    }

    fn ask(&mut self, asker: Asker, node: NodeId) -> Result<(), Refuted> {
        self.storm.ask(asker.script(), node)
    }

    /// In the runtime, whatever the epochs.
    fn check_exclusion(&self) {
        let mut held = BTreeMap::new();
        for id in members() {
            let node = self.storm.simulation.node(id);
            let Some(Volatile::Node(local)) = node.map(|node| &node.volatile) else {
                continue;
            };
            for (lock, _) in local.membership.iter().flat_map(|member| member.all_held()) {
                let other = held.insert(lock.clone(), id);
                assert_eq!(other, None, "{lock} is held by {id} as well");
            }
        }
    }

    fn hear(&mut self) {
        for said in self.storm.take_events() {
            match said.event {
                Event::Granted { claim, token } => {
                    if self.granted.insert(claim.clone()) {
                        self.storm.count("a lock is granted");
                        let before = self.greatest.insert(claim.lock.clone(), token);
                        let lock = &claim.lock;
                        assert!(before < Some(token), "{lock}: {token} after {before:?}");
                    }
                }
                Event::Revoked { .. } => self.storm.count("a lock is revoked"),
                Event::Installed { .. } => self.storm.count("an epoch begins"),
                Event::Left { .. } => self.storm.count("a member has left"),
                Event::Suspected { .. } => self.storm.count("a node is taken for dead"),
                Event::Joined { .. }
                | Event::Released { .. }
                | Event::Refused { .. }
                | Event::Ended { .. } => {}
            }
        }
    }

    /// All are members again, and every claim that is made then is granted.
    fn calm(&mut self) -> Result<(), Refuted> {
        self.storm.calm_down()?;
        for _ in 0..30 {
            for node in members() {
                // Who is about to leave leaves first.
                if !self.storm.node(node).durable().registered {
                    self.ask(Asker::Operator(node), node)?;
                }
            }
            self.go_on(millis(100))?;
        }
        let before = self.granted.clone();
        for _ in 0..60 {
            for client in 0..CLIENTS {
                self.ask(Asker::Client(client), home(client))?;
            }
            self.go_on(millis(100))?;
        }
        let new = self.granted.difference(&before);
        let served: BTreeSet<u64> = new
            .map(|claim| claim.session.number % CLIENTS as u64)
            .collect();
        assert_eq!(
            served.len(),
            CLIENTS,
            "only {served:?} were granted anything"
        );
        Ok(())
    }
}

fn storm(seed: u64) -> Result<Shown, Refuted> {
    let mut storm = LocksStorm::new(seed)?;
    storm.rage(120)?;
    storm.calm()?;
    Ok(storm.storm.shown())
}

#[test]
fn in_the_storm_nobody_holds_with_another_and_after_it_all_are_served() {
    let must_show = [
        "a crash",
        "a link is cut",
        "a message is lost",
        "a request is asked again",
        "a lock is granted",
        "a lock is revoked",
        "an epoch begins",
        "a node is taken for dead",
        "a member has left",
        "a lease runs out",
        "an epoch ends while the lock is held",
        "an arbiter inquires",
        "a session ends",
    ];
    storms("locks_storm::in_the_storm", 6, storm, &must_show);
}

#[test]
fn a_disk_that_lies_about_its_flushes_is_found() {
    let found = refuted(20, |seed| {
        let mut storm = LocksStorm::new(seed)?;
        storm.storm.lie(NodeId(1));
        storm.rage(120)
    });
    assert!(found.is_property_of::<Maekawa>(), "{found}");
}
