//! Breadth-first search: shortest counterexamples, the same whatever the number of threads.
//!
//! Level by level, block by block. The states of a block are expanded in parallel, while nobody
//! adds to the visited states; then what was found is added to them in parallel, each thread having
//! some of the fingerprints, and what is new gets its number, in order, from one thread. So states,
//! depth and traces do not depend on who was faster.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::checkpoint::{Keeper, Reader, Writer};
use super::discovery::Discovery;
use super::frontier::{Chunk, Frontier};
use super::space::{Breach, Found, Marks, Origin, Recent, Sink, Space};
use super::visited::{Fingerprint, Visited};
use crate::engine::{Limits, Stop};
use crate::progress::Progress;

/// How many chunks are expanded between two merges: enough to keep the threads busy, few
/// enough that what they find needs little memory.
const BLOCK: usize = Limits::MOST_THREADS;

/// A block that takes less than so long is not worth waking other threads for.
const WORTH_A_THREAD: Duration = Duration::from_millis(1);

/// What a search has come to.
pub struct Walked {
    /// Distinct states.
    pub unique: u64,
    /// Steps taken, and the initial state.
    pub generated: u64,
    /// How many of those steps were not really taken, because they lead where others lead.
    pub left_out: u64,
    /// The greatest distance from the initial state.
    pub depth: usize,
    /// What the states show.
    pub marks: Marks,
    /// How many steps of each kind were taken, by the number of the kind.
    pub tally: Vec<u64>,
    /// What was broken first, and the numbers of the steps that lead there.
    pub breach: Option<(Breach, Vec<u32>)>,
    /// Why not every state was seen; `None` when every state was.
    pub stopped: Option<Stop>,
    /// The most memory that waiting states have taken.
    pub most_waiting: u64,
    /// How many pairs of states with one fingerprint are to be expected.
    pub expected_collisions: f64,
}

/// Walks a space until a property is broken, a limit is exceeded, or there is no state left.
pub fn walk<S: Space>(space: &S, limits: &Limits, progress: &Progress) -> Walked {
    let mut search = Search::new(space, limits);
    let breach = search
        .begin()
        .or_else(|| search.levels(limits, progress, None));
    search.end(breach)
}

/// As [`walk`], and the search is kept: every now and then, and when a limit ends it. If there is
/// one already, it is gone on with.
///
/// # Errors
/// If what was kept cannot be read.
pub fn walk_kept<S: Space>(
    space: &S,
    limits: &Limits,
    progress: &Progress,
    keeper: &mut Keeper,
) -> io::Result<Walked> {
    let mut search = Search::new(space, limits);
    let broken = match keeper.found() {
        Some(mut found) => {
            search.load(&mut found, limits)?;
            None
        }
        None => search.begin(),
    };
    let breach = broken.or_else(|| search.levels(limits, progress, Some(keeper)));
    Ok(search.end(breach))
}

/// What is broken, and the way there.
type Broken = (Breach, Vec<u32>);

/// What a search has counted, as it is kept.
#[derive(Serialize, Deserialize)]
struct Counted {
    generated: u64,
    left_out: u64,
    depth: usize,
    marks: Marks,
    tally: Vec<u64>,
}

struct Search<'a, S: Space> {
    space: &'a S,
    /// Those that have been needed: each takes some memory.
    threads: Vec<Thread<S>>,
    most_threads: usize,
    visited: Visited,
    discovery: Discovery,
    /// The level that is being expanded.
    level: Frontier,
    /// The states found from it.
    next: Frontier,
    /// What came of the last block: room for what comes of the next.
    found: Vec<Found>,
    /// How long a state of the last block took, on one thread or on all.
    each: Duration,
    generated: u64,
    left_out: u64,
    depth: usize,
    marks: Marks,
    tally: Vec<u64>,
    most_waiting: u64,
    stopped: Option<Stop>,
}

/// What a thread keeps from block to block.
struct Thread<S: Space> {
    worker: S::Worker,
    recent: Recent,
}

impl<S: Space> Thread<S> {
    fn new(space: &S) -> Self {
        Self {
            worker: space.worker(),
            recent: Recent::default(),
        }
    }
}

impl<'a, S: Space> Search<'a, S> {
    fn new(space: &'a S, limits: &Limits) -> Self {
        Self {
            space,
            threads: vec![Thread::new(space)],
            most_threads: limits.threads.get(),
            visited: Visited::new(limits.fingerprints),
            discovery: Discovery::default(),
            level: Frontier::default(),
            next: Frontier::default(),
            found: Vec::new(),
            each: Duration::ZERO,
            generated: 0,
            left_out: 0,
            depth: 0,
            marks: 0,
            tally: Vec::new(),
            most_waiting: 0,
            stopped: None,
        }
    }

    /// What the search has come to.
    fn end(self, breach: Option<Broken>) -> Walked {
        Walked {
            unique: self.visited.count(),
            generated: self.generated,
            left_out: self.left_out,
            depth: self.depth,
            marks: self.marks,
            tally: self.tally,
            breach,
            stopped: self.stopped,
            most_waiting: self.most_waiting,
            expected_collisions: self.visited.expected_collisions(),
        }
    }

    /// Writes all that the search knows.
    fn save(&mut self, into: &mut Writer<'_>) -> io::Result<()> {
        into.value(&Counted {
            generated: self.generated,
            left_out: self.left_out,
            depth: self.depth,
            marks: self.marks,
            tally: self.tally.clone(),
        })?;
        self.space.save(into)?;
        self.visited.save(into)?;
        self.discovery.save(into)?;
        self.level.save(into)?;
        self.next.seal();
        self.next.save(into)
    }

    /// Reads what was written, in place of a beginning.
    fn load(&mut self, from: &mut Reader, limits: &Limits) -> io::Result<()> {
        let counted: Counted = from.value()?;
        self.space.load(from)?;
        self.visited = Visited::load(from, limits.fingerprints)?;
        self.discovery = Discovery::load(from)?;
        let room = limits.memory.map_or(u64::MAX, |memory| memory / 4);
        self.level = Frontier::load(from, room)?;
        self.next = Frontier::load(from, room)?;
        from.end()?;
        (self.generated, self.left_out) = (counted.generated, counted.left_out);
        (self.depth, self.marks, self.tally) = (counted.depth, counted.marks, counted.tally);
        if self.level.len() == 0 && self.next.len() > 0 {
            // It was kept when a level was done and the next one not yet begun.
            self.depth += 1;
        }
        Ok(())
    }

    /// Looks at the initial state. What is broken there is broken after no step.
    fn begin(&mut self) -> Option<Broken> {
        let thread = &mut self.threads[0];
        let nothing = Found::default();
        let mut sink = Sink::new(&self.visited, &mut thread.recent, 0, nothing);
        self.space.begin(&mut thread.worker, &mut sink);
        let found = sink.into_found();
        self.generated = 1;
        if let Some((breach, _)) = found.breach {
            return Some((breach, Vec::new()));
        }
        for (initial, &fingerprint) in found.candidates.iter().zip(&found.fingerprints) {
            self.visited.insert(fingerprint);
            self.marks |= initial.marks;
            self.next.push(0, &found.bytes);
        }
        None
    }

    fn levels(
        &mut self,
        limits: &Limits,
        progress: &Progress,
        mut keeper: Option<&mut Keeper>,
    ) -> Option<Broken> {
        loop {
            if self.level.len() == 0 {
                self.next.seal();
                self.level = std::mem::take(&mut self.next);
            }
            if self.level.len() == 0 {
                return None;
            }
            if limits.max_depth.is_some_and(|max| self.depth >= max) {
                self.stop(Stop::Depth, keeper);
                return None;
            }
            match self.expand_level(limits, progress, keeper.as_deref_mut()) {
                Ok(None) => {}
                Ok(Some(broken)) => {
                    self.depth += 1;
                    return Some(broken);
                }
                Err(stop) => {
                    self.stop(stop, keeper);
                    return None;
                }
            }
            if self.next.len() > 0 {
                self.depth += 1;
            }
        }
    }

    /// Ends before every state was seen.
    fn stop(&mut self, stop: Stop, keeper: Option<&mut Keeper>) {
        self.stopped = Some(stop);
        if let Some(keeper) = keeper {
            keeper.keep(|writer| self.save(writer));
        }
    }

    fn expand_level(
        &mut self,
        limits: &Limits,
        progress: &Progress,
        mut keeper: Option<&mut Keeper>,
    ) -> Result<Option<Broken>, Stop> {
        loop {
            let waiting = self.level.len() + self.next.len();
            let unique = self.visited.count();
            progress.update(unique, self.generated, self.depth, waiting as usize);
            if let Some(stop) = limits.exceeded(progress) {
                return Err(stop);
            }
            if let Some(keeper) = keeper.as_deref_mut().filter(|keeper| keeper.is_due()) {
                keeper.keep(|writer| self.save(writer));
            }
            self.make_room(limits)?;
            let block = self.level.take(BLOCK).map_err(|_| Stop::Disk)?;
            if block.is_empty() {
                return Ok(None);
            }
            let found = self.expand(&block);
            let broken = self.merge(&found);
            self.found = found;
            if broken.is_some() {
                return Ok(broken);
            }
        }
    }

    /// Sends states to disk where memory is short. What has been visited must stay.
    fn make_room(&mut self, limits: &Limits) -> Result<(), Stop> {
        let waiting = self.level.bytes() + self.next.bytes();
        self.most_waiting = self.most_waiting.max(waiting);
        let Some(memory) = limits.memory else {
            return Ok(());
        };
        let must_stay = self.visited.bytes() + self.discovery.bytes() + self.space.bytes();
        let room = memory.checked_sub(must_stay).ok_or(Stop::Memory)?;
        if waiting > room {
            // What was found last is needed last.
            let spilled: io::Result<()> = self
                .next
                .spill(room / 2)
                .and_then(|()| self.level.spill(room / 2));
            spilled.map_err(|_| Stop::Disk)?;
        }
        Ok(())
    }

    /// Expands a block, in parallel if that is worth while. What is found is in the order of the
    /// block.
    fn expand(&mut self, block: &[Chunk]) -> Vec<Found> {
        let started = Instant::now();
        let states: usize = block.iter().map(|chunk| chunk.states).sum();
        let states = u32::try_from(states).unwrap_or(u32::MAX);
        let mut found = std::mem::take(&mut self.found);
        found.resize_with(block.len(), Found::default);
        let is_short = self.each.saturating_mul(states) < WORTH_A_THREAD;
        let found = match is_short || self.most_threads == 1 || block.len() == 1 {
            true => self.expand_alone(block, found),
            false => self.expand_together(block, found),
        };
        self.each = started.elapsed() / states.max(1);
        found
    }

    fn expand_alone(&mut self, block: &[Chunk], mut found: Vec<Found>) -> Vec<Found> {
        let thread = &mut self.threads[0];
        for (found, chunk) in found.iter_mut().zip(block) {
            expand(self.space, thread, &self.visited, self.marks, chunk, found);
        }
        found
    }

    fn expand_together(&mut self, block: &[Chunk], found: Vec<Found>) -> Vec<Found> {
        // More than there are chunks would have nothing to do.
        let threads = self.most_threads.min(block.len());
        while self.threads.len() < threads {
            self.threads.push(Thread::new(self.space));
        }
        let (space, visited, marks) = (self.space, &self.visited, self.marks);
        let results: Vec<Mutex<Found>> = found.into_iter().map(Mutex::new).collect();
        let next = AtomicUsize::new(0);
        // Relaxed: each position is handed out once, and the scope's end orders the results before
        // they are read. In order: so what a thread has found of late was found in an earlier
        // chunk, and of equal states the first in the order of the block is never left out.
        let work = |thread: &mut Thread<S>| loop {
            let position = next.fetch_add(1, Ordering::Relaxed);
            let Some(chunk) = block.get(position) else {
                break;
            };
            let mut found = results[position].lock();
            let found = found.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut());
            expand(space, thread, visited, marks, chunk, found);
        };
        if let Some((mine, others)) = self.threads[..threads].split_first_mut() {
            thread::scope(|scope| {
                for thread in others {
                    scope.spawn(|| work(thread));
                }
                work(mine);
            });
        }
        let results = results.into_iter().map(Mutex::into_inner);
        results
            .map(|found| found.unwrap_or_else(PoisonError::into_inner))
            .collect()
    }

    /// Takes in what came of a block, up to the first breach.
    fn merge(&mut self, found: &[Found]) -> Option<Broken> {
        let breach = found.iter().position(|found| found.breach.is_some());
        let found = &found[..breach.map_or(found.len(), |breach| breach + 1)];
        let batches = found.iter().map(|found| found.fingerprints.as_slice());
        let batches: Vec<&[Fingerprint]> = batches.collect();
        let new = self.visited.insert_all(&batches, self.most_threads);
        let mut new = new.iter().peekable();
        let mut before = 0;
        for found in found {
            let after = before + found.candidates.len();
            let ours = std::iter::from_fn(|| new.next_if(|position| *position < after));
            self.number(found, ours.map(|position| position - before));
            before = after;
        }
        let (breach, last) = found.last()?.breach.as_ref()?;
        let mut path = self.discovery.path_to(last.parent);
        path.push(last.step);
        Some((breach.clone(), path))
    }

    /// Takes in what came of a chunk; the states at these positions are new.
    fn number(&mut self, found: &Found, new: impl Iterator<Item = usize>) {
        self.generated += found.generated;
        self.left_out += found.left_out;
        let kinds = self.tally.len().max(found.tally.len());
        self.tally.resize(kinds, 0);
        for (all, these) in self.tally.iter_mut().zip(&found.tally) {
            *all += these;
        }
        for position in new {
            let candidate = &found.candidates[position];
            let Origin { parent, step } = candidate.origin;
            self.discovery.push(parent, step);
            self.next.push(self.discovery.len(), found.state(position));
            self.marks |= candidate.marks;
        }
    }
}

/// Expands the states of a chunk, up to the first breach, into what held what came of others.
fn expand<S: Space>(
    space: &S,
    thread: &mut Thread<S>,
    visited: &Visited,
    marks: Marks,
    chunk: &Chunk,
    found: &mut Found,
) {
    let mut sink = Sink::new(visited, &mut thread.recent, marks, std::mem::take(found));
    let mut states = chunk.bytes.as_slice();
    for number in (chunk.first..).take(chunk.states) {
        sink.of(number);
        space.expand(&mut thread.worker, &mut states, &mut sink);
        if sink.is_broken() {
            break;
        }
    }
    *found = sink.into_found();
}
