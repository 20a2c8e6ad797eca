//! A journal in memory: for tests, benchmarks, and the simulated runtime.

use std::sync::Arc;

use super::{
    Checkpoint, CheckpointError, Encode, Entry, Journal, JournalError, Recovered, Visitor,
};
use crate::runtime::sync::{Mutex, MutexGuard};

/// A simulated disk. It outlives the journals that are opened on it, as a disk outlives a
/// process, and it can lose what was not flushed, refuse to flush, and lie about it.
#[derive(Clone, Debug)]
pub struct MemoryDisk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    checkpoint: Option<Vec<u8>>,
    /// How many steps the checkpoint has replaced.
    replaced: usize,
    /// Those that came after them.
    steps: Vec<Vec<u8>>,
    /// How many of `steps` have been flushed.
    flushed: usize,
    failing: bool,
    lying: bool,
}

impl Platter {
    fn flush(&mut self) {
        if !self.lying {
            self.flushed = self.steps.len();
        }
    }
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Platter::default())))
    }

    /// Loses what was not flushed, as a power failure does.
    pub fn crash(&self) {
        let mut platter = self.platter();
        let flushed = platter.flushed;
        platter.steps.truncate(flushed);
    }

    /// From now on every write and flush fails, or works again.
    pub fn set_failing(&self, failing: bool) {
        self.platter().failing = failing;
    }

    /// From now on flushes say that they have flushed, and have not, as those of a disk do that keeps
    /// what it is given in a cache without a battery; or they keep their word again.
    pub fn set_lying(&self, lying: bool) {
        self.platter().lying = lying;
    }

    /// How many steps are on disk since the last checkpoint, and how many of them are flushed.
    pub fn steps(&self) -> (usize, usize) {
        let platter = self.platter();
        (platter.steps.len(), platter.flushed)
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock()
    }
}

/// A journal on a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryJournal {
    disk: MemoryDisk,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Open,
    Dead,
}

impl MemoryJournal {
    /// A journal on a disk that may hold something already.
    pub fn new(disk: MemoryDisk) -> Self {
        Self {
            disk,
            state: State::New,
        }
    }

    fn usable(&mut self) -> Result<MutexGuard<'_, Platter>, JournalError> {
        match self.state {
            State::New => return Err(JournalError::NotRecovered),
            State::Dead => return Err(JournalError::Dead),
            State::Open => {}
        }
        let platter = self.disk.0.lock();
        if platter.failing {
            self.state = State::Dead;
            let refused = std::io::Error::other("the simulated disk fails");
            return Err(JournalError::io("writing", "memory".as_ref())(refused));
        }
        Ok(platter)
    }
}

impl Journal for MemoryJournal {
    fn recover(&mut self, visit: &mut Visitor<'_>) -> Result<Recovered, JournalError> {
        if self.state != State::New {
            return Err(JournalError::NotRecovered);
        }
        let platter = self.disk.0.lock();
        let checkpoint = platter
            .checkpoint
            .iter()
            .map(|state| Entry::Checkpoint(state));
        let steps = platter.steps.iter().map(|step| Entry::Step(step));
        let mut recovered = Recovered::default();
        for entry in checkpoint.chain(steps) {
            visit(entry).map_err(|reason| JournalError::NotUnderstood { reason })?;
            recovered.entries += 1;
        }
        self.state = State::Open;
        Ok(recovered)
    }

    fn append(&mut self, step: &[u8]) -> Result<(), JournalError> {
        self.usable()?.steps.push(step.to_vec());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        self.usable()?.flush();
        Ok(())
    }

    fn begin_checkpoint(&mut self) -> Result<Box<dyn Checkpoint>, JournalError> {
        let mut platter = self.usable()?;
        platter.flush();
        let replaces = platter.replaced + platter.steps.len();
        drop(platter);
        Ok(Box::new(MemoryCheckpoint {
            disk: self.disk.clone(),
            replaces,
        }))
    }

    /// Nothing spoils what is flushed here, so there is nothing to tell from it.
    fn seal(&mut self) -> Result<(), JournalError> {
        self.flush()
    }
}

/// A checkpoint that has been begun on a [`MemoryDisk`].
struct MemoryCheckpoint {
    disk: MemoryDisk,
    /// How many steps, of all that there ever were.
    replaces: usize,
}

impl Checkpoint for MemoryCheckpoint {
    fn write(self: Box<Self>, encode: &mut Encode<'_>) -> Result<u64, CheckpointError> {
        let failed = || CheckpointError::new("writing", "memory".as_ref());
        let mut state = Vec::new();
        encode(&mut state).map_err(failed())?;
        let bytes = state.len() as u64;
        let mut platter = self.disk.platter();
        if platter.failing {
            return Err(failed()(std::io::Error::other("the simulated disk fails")));
        }
        let gone = self.replaces.saturating_sub(platter.replaced);
        platter.checkpoint = Some(state);
        platter.steps.drain(..gone);
        platter.flushed = platter.flushed.saturating_sub(gone);
        platter.replaced += gone;
        Ok(bytes)
    }
}
