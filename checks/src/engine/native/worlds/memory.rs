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
use models::world::{Action, Change, Envelope, Flight, Host, World};

use super::answers::{Answer, Answers};
use super::brief::Brief;
use super::commuting::{self, Way};
use super::lab::{Lab, Step};
use super::lessons::{Lesson, Topic};
use super::mirror::{self, Mirror};
use super::pages::Pages;
use super::tables::{Core, Handle, Hashed, Tables};
use crate::symmetry::Renaming;
use crate::veiled::{self, Sight};

/// The most worlds that a thread keeps put together: a power of two. A few kilobytes each.
const MOST_WORLDS: usize = 1 << 9;

/// A core's place in a thread's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CoreId(u32);

impl CoreId {
    /// Its position among the cores that the thread remembers.
    pub(super) fn position(self) -> usize {
        self.0 as usize
    }
}

/// What a thread remembers.
pub(super) struct Memory<P: Specification> {
    /// Where the core with these numbers is.
    places: HashMap<Arc<[u32]>, CoreId, FixedState>,
    cores: Pages<Known>,
    steps: Pages<Remembered<P>>,
    /// The same steps in short.
    briefs: Pages<Brief>,
    /// Some cores' worlds, put together, with their networks veiled: each in the place that its
    /// number tells.
    worlds: Vec<Option<(CoreId, Box<World<P>>)>>,
    /// After so many steps a thread forgets all and begins again.
    most: usize,
    /// By their numbers, as far as they have been met.
    messages: Vec<Message<P>>,
    /// This thread's own copies of hosts, by their numbers, as those of messages are: worlds that
    /// come and go count who holds them, and threads that count the same wait for each other.
    hosts: Vec<Option<Arc<Host<P>>>>,
    /// What the host with that number answers to the message with that number; nothing known if it
    /// does more.
    pub(super) replies: HashMap<(u32, u32), Option<Arc<[Handle]>>, FixedState>,
    /// Parts after what is alike has changed places, in each way in which it does.
    mirrors: Vec<Mirror>,
}

/// A message and its handle.
struct Message<P: Specification> {
    handle: Handle,
    envelope: Arc<Envelope<P::Message>>,
}

/// What is known of a core.
pub(super) struct Known {
    pub(super) core: Core,
    seen: Option<Seen>,
    /// What may happen to a message that may arrive next, in the order of the messages' numbers.
    reactions: Vec<(u32, Reactions)>,
    /// What may happen but to messages: while timers may not run out, and while they may.
    others: [Option<Listed>; 2],
    /// Its hash after what is alike has changed places in each of the ways, if that has been asked.
    mirrors: Box<[Hashed]>,
    /// Whether the message with this number is inert, if that has been asked; confirmed if it would
    /// make no difference.
    pub(super) inert: Answers,
}

/// What is to be seen in a core; the message, if looking panics whatever is under way.
struct Seen {
    sight: Result<Sight, String>,
    /// Whether something else is to be seen where what is alike has changed places.
    is_lopsided: bool,
}

/// A step, as this thread knows it.
struct Remembered<P: Specification> {
    step: Arc<Step<P>>,
    /// Where it leads; where it begins, if it panics.
    end: CoreId,
    /// Whether it commutes with those of the message with this number, if that has been asked.
    commutes: Answers,
}

/// What may happen to a message that may arrive next.
#[derive(Clone, Copy)]
pub(super) struct Reactions {
    /// Whether it can arrive.
    pub(super) is_deliverable: bool,
    /// The steps.
    pub(super) steps: Listed,
}

/// Steps from a core.
#[derive(Clone, Copy)]
pub(super) struct Listed {
    first: u32,
    count: u16,
    /// Whether they, or the properties, are not the same where what is alike has changed places.
    pub(super) is_lopsided: bool,
}

impl Listed {
    /// Where they are.
    pub(super) fn range(self) -> Range<usize> {
        let first = self.first as usize;
        first..first + usize::from(self.count)
    }
}

impl<P: Specification> Memory<P> {
    /// Nothing yet, and never much more than so many steps.
    pub(super) fn new(ways: usize, most: usize) -> Self {
        Self {
            places: HashMap::default(),
            cores: Pages::new(),
            steps: Pages::new(),
            briefs: Pages::new(),
            worlds: (0..MOST_WORLDS).map(|_| None).collect(),
            most,
            messages: Vec::new(),
            hosts: Vec::new(),
            replies: HashMap::default(),
            mirrors: (0..ways).map(|_| Mirror::default()).collect(),
        }
    }

    /// Forgets, if there is too much. Places of cores and steps are then no longer valid.
    pub(super) fn make_room(&mut self) {
        if self.steps.len() > self.most || self.cores.len() > self.most / 2 {
            self.places.clear();
            self.cores.clear();
            self.steps.clear();
            self.briefs.clear();
            self.worlds.fill_with(|| None);
            self.replies.clear();
        }
    }

    /// Whether all is forgotten.
    pub(super) fn is_empty(&self) -> bool {
        self.cores.len() == 0
    }

    /// The place of the core with these numbers.
    pub(super) fn place_at(&mut self, tables: &Tables<P>, numbers: &[u32]) -> CoreId {
        match self.places.get(numbers) {
            Some(place) => *place,
            None => self.place(&tables.core_at(numbers)),
        }
    }

    /// The core's place.
    pub(super) fn place(&mut self, core: &Core) -> CoreId {
        if let Some(place) = self.places.get(&core.numbers) {
            return *place;
        }
        let place = CoreId(self.cores.len() as u32);
        self.places.insert(Arc::clone(&core.numbers), place);
        self.cores.push(Known::new(core.clone()));
        place
    }

    /// The core at this place.
    pub(super) fn core(&self, place: CoreId) -> &Core {
        &self.known(place).core
    }

    /// How many messages have been met.
    pub(super) fn messages(&self) -> usize {
        self.messages.len()
    }

    /// The message with this number, which has been met.
    pub(super) fn met(&self, number: u32) -> Handle {
        self.messages[number as usize].handle
    }

    /// The handle of the message with this number.
    pub(super) fn handle(&mut self, tables: &Tables<P>, number: u32) -> Handle {
        self.message(tables, number).handle
    }

    /// The step with this position.
    pub(super) fn step(&self, position: usize) -> &Arc<Step<P>> {
        &self.steps[position].step
    }

    /// The step with this position in short.
    pub(super) fn brief(&self, position: usize) -> &Brief {
        &self.briefs[position]
    }

    /// Where the step with this position leads; where it begins, if it panics.
    pub(super) fn end(&self, position: usize) -> CoreId {
        self.steps[position].end
    }

    /// What may happen from this core to this message, if it may arrive next.
    pub(super) fn reactions(&mut self, lab: Lab<'_, P>, place: CoreId, head: Handle) -> Reactions {
        let find = |row: &(u32, Reactions)| row.0.cmp(&head.number);
        match self.known(place).reactions.binary_search_by(find) {
            Ok(position) => self.known(place).reactions[position].1,
            Err(position) => {
                let reactions = self.react(lab, place, head);
                let new = (head.number, reactions);
                self.known_mut(place).reactions.insert(position, new);
                reactions
            }
        }
    }

    fn react(&mut self, lab: Lab<'_, P>, place: CoreId, head: Handle) -> Reactions {
        let lesson = self.lesson(lab, place, Topic::Message(head.number), |memory| {
            let envelope = Arc::clone(&memory.message(lab.tables, head.number).envelope);
            let list = |world: &World<P>, renaming: Option<&Renaming>| {
                let mirrored = renaming.map(|names| Arc::new(envelope.renamed(names)));
                let envelope = mirrored.as_ref().unwrap_or(&envelope);
                lab.listed(|rules| world.actions_with(rules, envelope))
            };
            let is_deliverable = memory.veiled(lab.tables, place).is_deliverable(&envelope);
            memory.learn(lab, place, is_deliverable, list)
        });
        Reactions {
            is_deliverable: lesson.is_deliverable,
            steps: self.remember(lab.tables, place, &lesson),
        }
    }

    /// The other steps from this core: where they are.
    pub(super) fn others(&mut self, lab: Lab<'_, P>, place: CoreId, timers: bool) -> Listed {
        if let Some(remembered) = self.known(place).others[usize::from(timers)] {
            return remembered;
        }
        let lesson = self.lesson(lab, place, Topic::Others { timers }, |memory| {
            let list = |world: &World<P>, _: Option<&Renaming>| {
                lab.listed(|rules| world.other_actions(rules, timers))
            };
            memory.learn(lab, place, false, list)
        });
        let steps = self.remember(lab.tables, place, &lesson);
        self.known_mut(place).others[usize::from(timers)] = Some(steps);
        steps
    }

    /// A lesson that some thread has had; else this one has it.
    fn lesson(
        &mut self,
        lab: Lab<'_, P>,
        place: CoreId,
        topic: Topic,
        learn: impl FnOnce(&mut Self) -> Lesson<P>,
    ) -> Arc<Lesson<P>> {
        lab.lessons.get(self.core(place), topic).unwrap_or_else(|| {
            let lesson = Arc::new(learn(self));
            lab.lessons.put(self.core(place), topic, &lesson);
            lesson
        })
    }

    /// Remembers the steps of a lesson.
    fn remember(&mut self, tables: &Tables<P>, place: CoreId, lesson: &Lesson<P>) -> Listed {
        let first = self.steps.len() as u32;
        for step in &lesson.steps {
            let end = match &step.outcome {
                Ok(next) => self.place(&next.core),
                Err(_) => place,
            };
            let brief = Brief::of(step, end, self.core(end));
            for (_, message) in brief.changes().into_iter().flatten() {
                self.message(tables, message);
            }
            self.briefs.push(brief);
            self.steps.push(Remembered {
                step: Arc::clone(step),
                end,
                commutes: Answers::default(),
            });
        }
        Listed {
            first,
            count: lesson.steps.len() as u16,
            is_lopsided: lesson.is_lopsided,
        }
    }

    /// Takes the steps that `list` lists.
    fn learn(
        &mut self,
        lab: Lab<'_, P>,
        place: CoreId,
        is_deliverable: bool,
        list: impl Fn(&World<P>, Option<&Renaming>) -> Vec<Action<P>>,
    ) -> Lesson<P> {
        let world = self.take_world(lab.tables, place);
        let core = self.core(place);
        let take = |action: Action<P>| {
            let action = lab.tables.action(action);
            let mut outcome = lab.take(&world, core, &action);
            // The numbers of a core that has been met are kept already.
            if let Ok(next) = &mut outcome
                && let Some((numbers, _)) = self.places.get_key_value(&next.core.numbers)
            {
                next.core.numbers = Arc::clone(numbers);
            }
            Arc::new(Step {
                counted: lab.counted(&world, &action),
                outcome,
                action,
            })
        };
        let steps: Box<[Arc<Step<P>>]> = list(&world, None).into_iter().map(take).collect();
        let is_lopsided = self.way(lab, place).is_some_and(|way| {
            let (names, mirror) = (&lab.renamings[way], &mut self.mirrors[way]);
            let core = mirror.core(lab.tables, names, &self.cores[place.0 as usize].core);
            let possible = |world: &World<P>| list(world, Some(names));
            mirror::is_lopsided(lab, mirror, names, &core, possible, &steps)
        });
        self.put_world(place, world);
        Lesson {
            is_deliverable,
            steps,
            is_lopsided,
        }
    }

    /// In which way what is alike changes places where it is asked whether what is known of a core
    /// is the same then. One for each core: to ask of all ways takes longer than to look at all
    /// worlds.
    pub(super) fn way(&self, lab: Lab<'_, P>, place: CoreId) -> Option<usize> {
        let ways = lab.renamings.len() as u64;
        let [hash, _] = self.core(place).hash;
        hash.checked_rem(ways).map(|way| way as usize)
    }

    /// The hash of the core after what is alike has changed places in the way with this number.
    pub(super) fn mirrored_core(&mut self, lab: Lab<'_, P>, place: CoreId, way: usize) -> Hashed {
        let known = &mut self.cores[place.0 as usize];
        if known.mirrors.is_empty() {
            let pairs = lab.renamings.iter().zip(&mut self.mirrors);
            let hashes =
                pairs.map(|(names, mirror)| mirror.core(lab.tables, names, &known.core).hash);
            known.mirrors = hashes.collect();
        }
        known.mirrors[way]
    }

    /// The hash of the message after what is alike has changed places in the way with this number.
    pub(super) fn mirrored(&mut self, lab: Lab<'_, P>, message: Handle, way: usize) -> Hashed {
        let names = &lab.renamings[way];
        self.mirrors[way].message(lab.tables, names, message).hash
    }

    /// What is to be seen in this core.
    ///
    /// # Errors
    /// The message, if looking at it panics whatever is under way.
    pub(super) fn sight(&mut self, lab: Lab<'_, P>, place: CoreId) -> Result<&Sight, &str> {
        let sight = &self.seen(lab, place).sight;
        sight.as_ref().map_err(String::as_str)
    }

    /// Whether something else is to be seen in this core where what is alike has changed places.
    pub(super) fn sees_otherwise(&mut self, lab: Lab<'_, P>, place: CoreId) -> bool {
        self.seen(lab, place).is_lopsided
    }

    fn seen(&mut self, lab: Lab<'_, P>, place: CoreId) -> &Seen {
        if self.known(place).seen.is_none() {
            let look = |world: &World<P>| veiled::look(lab.scenario, world);
            let sight = look(self.veiled(lab.tables, place));
            let mut is_lopsided = false;
            if let (Ok(_), Some(way)) = (&sight, self.way(lab, place)) {
                let (names, core) = (&lab.renamings[way], self.core(place).clone());
                let mirror = self.mirrors[way].core(lab.tables, names, &core);
                is_lopsided = look(&lab.tables.world(&mirror)) != sight;
            }
            self.known_mut(place).seen = Some(Seen { sight, is_lopsided });
        }
        let seen = self.known(place).seen.as_ref();
        seen.expect("it has just been seen")
    }

    /// Whether each step that the message has part in commutes with the step that was taken.
    pub(super) fn commute(&mut self, lab: Lab<'_, P>, way: Way, message: Handle) -> bool {
        let known = self.steps[way.step].commutes.get(message.number);
        known.is_so().unwrap_or_else(|| {
            let commute = commuting::commute(self, lab, way, message);
            let commutes = &mut self.steps[way.step].commutes;
            commutes.set(message.number, Answer::of(commute));
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
        self.put_world(place, world);
    }

    /// Takes out the core's world, put together, with its network veiled.
    fn take_world(&mut self, tables: &Tables<P>, place: CoreId) -> Box<World<P>> {
        let slot = &mut self.worlds[place.0 as usize % MOST_WORLDS];
        match slot.take_if(|(of, _)| *of == place) {
            Some((_, world)) => world,
            None => {
                let (core, hosts) = (&self.cores[place.0 as usize].core, &mut self.hosts);
                Box::new(tables.world_with(core, |number| own(hosts, tables, number)))
            }
        }
    }

    /// Keeps the core's world, until another one needs its place.
    fn put_world(&mut self, place: CoreId, world: Box<World<P>>) {
        self.worlds[place.0 as usize % MOST_WORLDS] = Some((place, world));
    }

    /// The core's world, put together, with its network veiled.
    pub(super) fn veiled(&mut self, tables: &Tables<P>, place: CoreId) -> &World<P> {
        let world = self.take_world(tables, place);
        let slot = &mut self.worlds[place.0 as usize % MOST_WORLDS];
        &slot.insert((place, world)).1
    }

    fn message(&mut self, tables: &Tables<P>, number: u32) -> &Message<P> {
        while self.messages.len() <= number as usize {
            let next = self.messages.len() as u32;
            let (handle, envelope) = tables.message(next);
            self.messages.push(Message {
                handle,
                envelope: Arc::new(Envelope::clone(envelope)),
            });
        }
        &self.messages[number as usize]
    }

    pub(super) fn known(&self, place: CoreId) -> &Known {
        &self.cores[place.0 as usize]
    }

    pub(super) fn known_mut(&mut self, place: CoreId) -> &mut Known {
        &mut self.cores[place.0 as usize]
    }
}

/// A thread's own copy of the host with this number.
fn own<P: Specification>(
    hosts: &mut Vec<Option<Arc<Host<P>>>>,
    tables: &Tables<P>,
    number: u32,
) -> Arc<Host<P>> {
    let position = number as usize;
    if hosts.len() <= position {
        hosts.resize(position + 1, None);
    }
    let copy = || Arc::new(Host::clone(&tables.hosts.part(number).content));
    Arc::clone(hosts[position].get_or_insert_with(copy))
}

impl Known {
    fn new(core: Core) -> Self {
        Self {
            core,
            seen: None,
            reactions: Vec::new(),
            others: [None, None],
            mirrors: Box::default(),
            inert: Answers::default(),
        }
    }
}
