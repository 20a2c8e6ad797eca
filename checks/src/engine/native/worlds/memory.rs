//! What a thread remembers of cores and of the steps between them.
//!
//! What a step does to nodes, clients and ghost, which messages it sends, and whether it keeps
//! the laws, depends on the core of the world and the action, not on what else is under way;
//! where a property does look there, the veiled network tells, and it is asked again in each
//! world. A core is met with many different messages under way, so most steps have been taken
//! before: they cost a look-up.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::FixedState;
use models::Specification;
use models::world::{Action, Change, Envelope, Flight, Travels as _, World};

use super::answers::Answers;
use super::commuting::{self, Way};
use super::lab::{Lab, Sight, Step, Taken};
use super::mirror::{self, Mirror};
use super::tables::{Core, Handle, Tables};
use crate::symmetry::Renaming;

/// After so many steps a thread forgets all and begins again. Some hundred bytes each.
const MOST_STEPS: usize = 1 << 18;

/// A core's place in a thread's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CoreId(u32);

/// What a thread remembers.
pub(super) struct Memory<P: Specification> {
    /// Where the core with this hash is.
    places: HashMap<u64, CoreId, FixedState>,
    cores: Vec<Known<P>>,
    steps: Vec<Step<P>>,
    /// By their numbers, as far as they have been met.
    messages: Vec<Message<P>>,
    /// Whether the message with that number makes the host with that number act.
    acts: HashMap<(u32, u32), bool, FixedState>,
    /// Parts after nodes have changed places, in each way in which they do.
    mirrors: Vec<Mirror>,
}

/// A message and its handle.
struct Message<P: Specification> {
    handle: Handle,
    envelope: Arc<Envelope<P::Message>>,
}

/// What is known of a core.
struct Known<P: Specification> {
    core: Core,
    /// Put together, with its network veiled, if it was needed yet.
    world: Option<Box<World<P>>>,
    sight: Option<Result<Sight, String>>,
    /// What may happen to a message that may arrive next, in the order of the messages' numbers.
    reactions: Vec<(u32, Reactions)>,
    /// What may happen but to messages: while timers may not run out, and while they may.
    others: [Option<Listed>; 2],
    /// Its hash after nodes have changed places in each of the ways, if that has been asked.
    mirrors: Box<[u64]>,
    /// Whether the message with this number is inert, if that has been asked.
    inert: Answers,
}

/// What may happen to a message that may arrive next.
#[derive(Clone)]
pub(super) struct Reactions {
    /// Whether it can arrive.
    pub(super) is_deliverable: bool,
    /// The steps.
    pub(super) steps: Listed,
}

/// Steps from a core.
#[derive(Clone)]
pub(super) struct Listed {
    /// Where they are.
    pub(super) range: Range<usize>,
    /// Whether they, or the properties, are not the same where nodes have changed places.
    pub(super) is_lopsided: bool,
}

impl<P: Specification> Memory<P> {
    /// Nothing yet.
    pub(super) fn new(ways: usize) -> Self {
        Self {
            places: HashMap::default(),
            cores: Vec::new(),
            steps: Vec::new(),
            messages: Vec::new(),
            acts: HashMap::default(),
            mirrors: (0..ways).map(|_| Mirror::default()).collect(),
        }
    }

    /// Forgets, if there is too much. Places of cores and steps are then no longer valid.
    pub(super) fn make_room(&mut self) {
        if self.steps.len() > MOST_STEPS || self.cores.len() > MOST_STEPS / 2 {
            self.places.clear();
            self.cores.clear();
            self.steps.clear();
            self.acts.clear();
        }
    }

    /// The place of the core with this hash; if it is new here, it has these numbers.
    pub(super) fn place(&mut self, hash: u64, numbers: impl FnOnce() -> Box<[u32]>) -> CoreId {
        let cores = &mut self.cores;
        *self.places.entry(hash).or_insert_with(|| {
            let numbers = numbers();
            cores.push(Known::new(Core { numbers, hash }));
            CoreId(cores.len() as u32 - 1)
        })
    }

    /// The core at this place.
    pub(super) fn core(&self, place: CoreId) -> &Core {
        &self.known(place).core
    }

    /// The handle of the message with this number.
    pub(super) fn handle(&mut self, tables: &Tables<P>, number: u32) -> Handle {
        self.message(tables, number).handle
    }

    /// The step with this position.
    pub(super) fn step(&self, position: usize) -> &Step<P> {
        &self.steps[position]
    }

    /// What may happen from this core to this message, if it may arrive next.
    pub(super) fn reactions(&mut self, lab: Lab<'_, P>, place: CoreId, head: Handle) -> Reactions {
        let find = |row: &(u32, Reactions)| row.0.cmp(&head.number);
        match self.known(place).reactions.binary_search_by(find) {
            Ok(position) => self.known(place).reactions[position].1.clone(),
            Err(position) => {
                let reactions = self.react(lab, place, head);
                let new = (head.number, reactions.clone());
                self.known_mut(place).reactions.insert(position, new);
                reactions
            }
        }
    }

    fn react(&mut self, lab: Lab<'_, P>, place: CoreId, head: Handle) -> Reactions {
        let envelope = Arc::clone(&self.message(lab.tables, head.number).envelope);
        let is_deliverable = self.veiled(lab.tables, place).is_deliverable(&envelope);
        let list = |world: &World<P>, renaming: Option<&Renaming>| {
            let mirrored = renaming.map(|names| Arc::new(envelope.renamed(names)));
            let envelope = mirrored.as_ref().unwrap_or(&envelope);
            lab.listed(|rules| world.actions_with(rules, envelope))
        };
        Reactions {
            is_deliverable,
            steps: self.learn(lab, place, list),
        }
    }

    /// The other steps from this core: where they are.
    pub(super) fn others(&mut self, lab: Lab<'_, P>, place: CoreId, timers: bool) -> Listed {
        if let Some(remembered) = &self.known(place).others[usize::from(timers)] {
            return remembered.clone();
        }
        let list = |world: &World<P>, _: Option<&Renaming>| {
            lab.listed(|rules| world.other_actions(rules, timers))
        };
        let steps = self.learn(lab, place, list);
        self.known_mut(place).others[usize::from(timers)] = Some(steps.clone());
        steps
    }

    /// Takes the steps that `list` lists.
    fn learn(
        &mut self,
        lab: Lab<'_, P>,
        place: CoreId,
        list: impl Fn(&World<P>, Option<&Renaming>) -> Vec<Action<P>>,
    ) -> Listed {
        let first = self.steps.len();
        let world = self.take_world(lab.tables, place);
        for action in list(&world, None) {
            let counted = lab.counted(&world, &action);
            let taken = lab.take(&world, self.core(place), &action);
            let outcome = taken.map(|Taken { core, next }| {
                let place = self.place(core.hash, || core.numbers);
                (place, next)
            });
            self.steps.push(Step {
                action,
                counted,
                outcome,
                commutes: Answers::default(),
            });
        }
        let is_lopsided = self.way(lab, place).is_some_and(|way| {
            let names = &lab.renamings[way];
            let mut mirror = std::mem::take(&mut self.mirrors[way]);
            let core = mirror.core(lab.tables, names, self.core(place));
            let possible = |world: &World<P>| list(world, Some(names));
            let (steps, core_at) = (&self.steps[first..], |end| self.core(end).clone());
            let is_lopsided =
                mirror::is_lopsided(lab, &mut mirror, names, &core, possible, steps, core_at);
            self.mirrors[way] = mirror;
            is_lopsided
        });
        self.known_mut(place).world = Some(world);
        Listed {
            range: first..self.steps.len(),
            is_lopsided,
        }
    }

    /// In which way nodes change places where it is asked whether what is known of a core is the
    /// same then. One for each core: to ask of all ways takes longer than to look at all worlds.
    fn way(&self, lab: Lab<'_, P>, place: CoreId) -> Option<usize> {
        let ways = lab.renamings.len() as u64;
        self.core(place)
            .hash
            .checked_rem(ways)
            .map(|way| way as usize)
    }

    /// The hash of the core after nodes have changed places in the way with this number.
    pub(super) fn mirrored_core(&mut self, lab: Lab<'_, P>, place: CoreId, way: usize) -> u64 {
        let known = &mut self.cores[place.0 as usize];
        if known.mirrors.is_empty() {
            let pairs = lab.renamings.iter().zip(&mut self.mirrors);
            let hashes =
                pairs.map(|(names, mirror)| mirror.core(lab.tables, names, &known.core).hash);
            known.mirrors = hashes.collect();
        }
        known.mirrors[way]
    }

    /// The hash of the message after nodes have changed places in the way with this number.
    pub(super) fn mirrored(&mut self, lab: Lab<'_, P>, message: Handle, way: usize) -> u64 {
        let names = &lab.renamings[way];
        self.mirrors[way].message(lab.tables, names, message).hash
    }

    /// What is to be seen in this core.
    ///
    /// # Errors
    /// The message, if looking at it panics whatever is under way.
    pub(super) fn sight(&mut self, lab: Lab<'_, P>, place: CoreId) -> Result<&Sight, &str> {
        if self.known(place).sight.is_none() {
            let mut sight = lab.sight(self.veiled(lab.tables, place));
            if let (Ok(sight), Some(way)) = (&mut sight, self.way(lab, place)) {
                let (names, core) = (&lab.renamings[way], self.core(place).clone());
                let mirror = self.mirrors[way].core(lab.tables, names, &core);
                let mirrored = lab.sight(&lab.tables.world(&mirror));
                sight.is_lopsided = mirrored.as_ref() != Ok(sight);
            }
            self.known_mut(place).sight = Some(sight);
        }
        let sight = self.known(place).sight.as_ref();
        let sight = sight.expect("it has just been seen");
        sight.as_ref().map_err(String::as_str)
    }

    /// Whether the message is inert in a world with this core.
    pub(super) fn is_inert(&mut self, tables: &Tables<P>, place: CoreId, message: Handle) -> bool {
        let known = &mut self.cores[place.0 as usize];
        known.inert.get(message.number).unwrap_or_else(|| {
            let (from, to) = message.link();
            let host = |node| Some(tables.hosts.part(known.core.host(node)?).content);
            let is_inert = match (host(from), host(to)) {
                (Some(sender), Some(receiver)) => {
                    P::is_inert(&tables.message(message.number).1, &sender, &receiver)
                }
                _ => false,
            };
            known.inert.set(message.number, is_inert);
            is_inert
        })
    }

    /// Whether the message's receiver, in a world with this core, would act on it.
    pub(super) fn would_act_on(&mut self, lab: Lab<'_, P>, place: CoreId, message: Handle) -> bool {
        let Some(receiver) = self.core(place).host(message.link().1) else {
            return false;
        };
        let known = self.acts.entry((message.number, receiver));
        *known.or_insert_with(|| {
            let receiver = lab.tables.hosts.part(receiver).content;
            receiver.would_act_on(lab.scenario, &lab.tables.message(message.number).1)
        })
    }

    /// Whether each step that the message has part in commutes with the step that was taken.
    pub(super) fn commute(&mut self, lab: Lab<'_, P>, way: Way, message: Handle) -> bool {
        let known = self.steps[way.step].commutes.get(message.number);
        known.unwrap_or_else(|| {
            let commute = commuting::commute(self, lab, way, message);
            self.steps[way.step].commutes.set(message.number, commute);
            commute
        })
    }

    /// Takes out the world with this core and these messages, to be looked at. The last step has
    /// made these changes.
    pub(super) fn lend_world(
        &mut self,
        tables: &Tables<P>,
        place: CoreId,
        flight: &Flight<Handle>,
        changes: &[Change<Handle>],
    ) -> Box<World<P>> {
        let mut envelope = |handle: &Handle| {
            let message = self.message(tables, handle.number);
            Arc::clone(&message.envelope)
        };
        let sent = changes.iter().filter_map(|change| match change {
            Change::Put(handle) => Some(envelope(handle)),
            Change::Take(_) | Change::Disconnect(_) => None,
        });
        let sent = sent.collect();
        let under_way = flight.iter().map(envelope).collect();
        let mut world = self.take_world(tables, place);
        let flight = Flight::in_order(flight.delivery(), under_way);
        world.network.unveil(flight, sent);
        world
    }

    /// Takes back what was lent.
    pub(super) fn give_back(&mut self, place: CoreId, mut world: Box<World<P>>) {
        world.network.veil();
        self.known_mut(place).world = Some(world);
    }

    fn take_world(&mut self, tables: &Tables<P>, place: CoreId) -> Box<World<P>> {
        let known = self.known_mut(place);
        let kept = known.world.take();
        kept.unwrap_or_else(|| Box::new(tables.world(&known.core)))
    }

    fn veiled(&mut self, tables: &Tables<P>, place: CoreId) -> &World<P> {
        let known = &mut self.cores[place.0 as usize];
        let core = &known.core;
        let world = &mut known.world;
        world.get_or_insert_with(|| Box::new(tables.world(core)))
    }

    fn message(&mut self, tables: &Tables<P>, number: u32) -> &Message<P> {
        while self.messages.len() <= number as usize {
            let next = self.messages.len() as u32;
            let (handle, envelope) = tables.message(next);
            self.messages.push(Message { handle, envelope });
        }
        &self.messages[number as usize]
    }

    fn known(&self, place: CoreId) -> &Known<P> {
        &self.cores[place.0 as usize]
    }

    fn known_mut(&mut self, place: CoreId) -> &mut Known<P> {
        &mut self.cores[place.0 as usize]
    }
}

impl<P: Specification> Known<P> {
    fn new(core: Core) -> Self {
        Self {
            core,
            world: None,
            sight: None,
            reactions: Vec::new(),
            others: [None, None],
            mirrors: Box::default(),
            inert: Answers::default(),
        }
    }
}
