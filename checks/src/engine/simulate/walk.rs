//! One walk: a world to begin at, a weather, and so many steps.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use fastrand::Rng;
use models::Specification;
use models::world::{Action, Duplicates, Envelope, Scenario, World};

use super::frontier::{Frontier, Place, Signature, Way};
use crate::arms;
use crate::engine::{Fired, Violation};
use crate::examine::{self, NO_PANIC, Outcome, Sight};
use crate::weather::{Choice, FaultsOn, Swarm, Weather, Weights};

/// How many steps a walk takes at most: then it is time for another weather.
pub(super) const LENGTH: usize = 50;

/// How much a message is favoured that has not been delivered before.
const NEW: u64 = 16;

/// What one walk came to.
pub(super) struct Walk<P: Specification> {
    pub(super) steps: u64,
    /// How far from the start it led.
    pub(super) depth: usize,
    /// The worlds on the way that show something new.
    pub(super) discoveries: Vec<Place<P>>,
    /// The fingerprints of the worlds on the way.
    pub(super) fingerprints: Vec<u64>,
    /// The reachability properties that the worlds on the way satisfy.
    pub(super) seen: BTreeSet<&'static str>,
    pub(super) fired: Fired,
    pub(super) violation: Option<Violation<P>>,
}

/// Takes a walk of up to so many steps.
pub(super) fn walk<P: Specification>(
    scenario: &Scenario<P>,
    begin: &Place<P>,
    length: usize,
    frontier: &Frontier<P>,
    rng: &mut Rng,
) -> Walk<P> {
    let swarm = swarm(scenario.nodes.len(), rng);
    let mut walker = Walker {
        scenario,
        weather: Weather::new(scenario, &swarm),
        temper: Temper::drawn(rng),
        world: begin.world.clone(),
        actions: Vec::new(),
        delivered: HashSet::new(),
        shows: begin.shows,
        news: Vec::new(),
        fingerprints: Vec::with_capacity(length),
        seen: BTreeSet::new(),
        fired: Fired::default(),
    };
    let mut broken = None;
    while walker.actions.len() < length && broken.is_none() {
        let Some(action) = walker.choose(rng) else {
            break;
        };
        broken = walker.take(action, frontier);
    }
    walker.into_walk(&begin.way, broken)
}

/// A property that does not hold, and a panic's message.
type Broken = (&'static str, Option<String>);

/// What a walk has drawn for itself, beside its weather.
struct Temper {
    /// In how many steps of a thousand what was sent in the step before is delivered, where
    /// anything was.
    promptness: u16,
    /// How much a message is favoured that has been delivered before, and not sent since.
    repetition: u64,
}

impl Temper {
    fn drawn(rng: &mut Rng) -> Self {
        Self {
            promptness: any_of(&[0, 300, 700, 900], rng),
            repetition: any_of(&[0, 0, 1, 4], rng),
        }
    }
}

/// A weather. Deliveries come before all else, for a node that acts hears many; how far is
/// drawn.
fn swarm(nodes: usize, rng: &mut Rng) -> Swarm {
    let mut weight = |unit: u8| unit * any_of(&[1, 2, 4, 8], rng);
    let weights = Weights {
        deliver: weight(8),
        fire: weight(1),
        ask: weight(1),
        restart: weight(1),
        sync: weight(1),
        heal: weight(1),
    };
    let mut on = || rng.bool();
    let faults = FaultsOn {
        drops: on(),
        duplicates: on(),
        crashes: on(),
        crashes_within: on(),
        cuts: on(),
    };
    let fault_rate = match rng.u8(..3) {
        0 => 0,
        1 => rng.u16(1..=20),
        _ => rng.u16(20..=120),
    };
    let mut of_nodes = || (0..nodes).map(|_| any_of(&[1, 5, 25], rng)).collect();
    Swarm {
        faults,
        fault_rate,
        weights,
        pace: of_nodes(),
        impatience: of_nodes(),
    }
}

fn any_of<T: Copy>(choices: &[T], rng: &mut Rng) -> T {
    choices[rng.usize(..choices.len())]
}

/// A walk under way.
struct Walker<'a, P: Specification> {
    scenario: &'a Scenario<P>,
    weather: Weather<'a, P>,
    temper: Temper,
    world: World<P>,
    actions: Vec<Action<P>>,
    /// What has been delivered in this walk and not been sent since, where that leaves it
    /// under way.
    delivered: HashSet<Envelope<P::Message>>,
    /// What the world shows.
    shows: Signature,
    /// The worlds on the way that show something new, each after how many steps.
    news: Vec<(World<P>, Signature, usize)>,
    fingerprints: Vec<u64>,
    seen: BTreeSet<&'static str>,
    fired: Fired,
}

impl<P: Specification> Walker<'_, P> {
    /// What happens next. Nothing where nothing can.
    fn choose(&self, rng: &mut Rng) -> Option<Action<P>> {
        let choice = Choice {
            fault: rng.u16(..),
            kind: rng.u16(..),
            which: rng.u16(..),
        };
        let is_prompt = rng.u16(..1000) < self.temper.promptness;
        if is_prompt && self.world.network.sent().next().is_some() {
            let answers = self.weather.choose(&self.world, &choice, |action| {
                u64::from(self.was_just_sent(action))
            });
            if answers.is_some() {
                return answers;
            }
        }
        let favour = |action: &Action<P>| self.favour(action);
        self.weather.choose(&self.world, &choice, favour)
    }

    fn was_just_sent(&self, action: &Action<P>) -> bool {
        let Action::Deliver(envelope) = action else {
            return false;
        };
        self.world.network.sent().any(|sent| sent == envelope)
    }

    fn favour(&self, action: &Action<P>) -> u64 {
        match action {
            Action::Deliver(envelope) if self.delivered.contains(envelope) => {
                self.temper.repetition
            }
            _ => NEW,
        }
    }

    /// Takes a step, and looks at the world that it leads to: what is broken there, or by it.
    fn take(&mut self, action: Action<P>, frontier: &Frontier<P>) -> Option<Broken> {
        self.count(&action);
        let outcome = examine::take_listed(self.scenario, &self.world, &action);
        self.actions.push(action);
        match outcome {
            Outcome::NotEnabled => unreachable!("it is among what is possible"),
            Outcome::Panicked(message) => Some((NO_PANIC, Some(message))),
            Outcome::Next(after, law) => {
                self.world = after;
                self.fingerprints.push(examine::fingerprint(&self.world));
                match law {
                    Some(law) => Some((law, None)),
                    None => self.look(frontier),
                }
            }
        }
    }

    fn look(&mut self, frontier: &Frontier<P>) -> Option<Broken> {
        self.note_delivery();
        let sights = match examine::look(self.scenario, &self.world) {
            Sight::Broken(property) => return Some((property, None)),
            Sight::Sound(sights) => sights,
        };
        let shows = Signature::of(&self.world, sights);
        if shows != self.shows && !frontier.knows(shows) {
            self.news
                .push((self.world.clone(), shows, self.actions.len()));
        }
        self.shows = shows;
        self.seen.extend(sights.names::<P>());
        None
    }

    /// Notes what has been delivered and is still there, and what was sent anew.
    fn note_delivery(&mut self) {
        if self.scenario.faults.duplicates != Duplicates::Unlimited {
            return;
        }
        if let Some(Action::Deliver(envelope)) = self.actions.last() {
            self.delivered.insert(envelope.clone());
        }
        for sent in self.world.network.sent() {
            self.delivered.remove(sent);
        }
    }

    fn count(&mut self, action: &Action<P>) {
        let command = |client: usize| {
            let next = self.world.clients[client].next;
            self.scenario.scripts[client].get(next).cloned()
        };
        let arm = arms::of(action, command);
        let kind = format!("{:?}", action.kind());
        *self.fired.actions.entry(kind).or_default() += 1;
        if let Some(arm) = arm {
            *self.fired.arms.entry(arm).or_default() += 1;
        }
    }

    fn into_walk(self, begins: &Arc<Way<P>>, broken: Option<Broken>) -> Walk<P> {
        let steps: Arc<[Action<P>]> = self.actions.into();
        let way = |taken| Arc::new(Way::after(begins, &steps, taken));
        let end = way(steps.len());
        let discoveries = self.news.into_iter().map(|(world, shows, taken)| Place {
            world,
            shows,
            way: way(taken),
        });
        Walk {
            steps: steps.len() as u64,
            depth: end.length(),
            discoveries: discoveries.collect(),
            fingerprints: self.fingerprints,
            seen: self.seen,
            fired: self.fired,
            violation: broken.map(|(property, panic)| Violation {
                property,
                panic,
                actions: end.actions(),
                loop_start: None,
            }),
        }
    }
}
