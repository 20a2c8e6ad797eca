//! Transactions: comparisons, and a list of operations that is done whole or not at all.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Store;
use super::command::{Compare, Operation, Target, Txn};
use super::history::{History, Revision};
use super::key_range::KeyRange;
use super::read::Room;
use super::response::{Fault, KeyValue, Outcome};

/// What a list of operations changes.
#[derive(Default)]
struct Writes {
    puts: BTreeSet<Bytes>,
    deletes: Vec<KeyRange>,
}

impl Store {
    /// Does a transaction. Where one of its operations fails, none is done.
    pub(super) fn transact(&mut self, txn: &Txn) -> Result<Outcome, Fault> {
        Writes::of_txn(txn)?;
        let before = self.clone();
        let mut room = Room::default();
        let outcome = self.take_branch(txn, &before.history, &mut room);
        if outcome.is_err() {
            *self = before;
        }
        outcome
    }

    /// All comparisons, also those of transactions within this one, are made with what was there before the
    /// first operation.
    fn take_branch(
        &mut self,
        txn: &Txn,
        before: &History,
        room: &mut Room,
    ) -> Result<Outcome, Fault> {
        let succeeded = txn.compare.iter().all(|compare| compare.holds(before));
        let operations = match succeeded {
            true => &txn.success,
            false => &txn.failure,
        };
        let outcomes = operations
            .iter()
            .map(|operation| self.operate(operation, before, room))
            .collect::<Result<Vec<Outcome>, Fault>>()?;
        Ok(Outcome::Txn {
            succeeded,
            outcomes,
        })
    }

    fn operate(
        &mut self,
        operation: &Operation,
        before: &History,
        room: &mut Room,
    ) -> Result<Outcome, Fault> {
        match operation {
            Operation::Put(put) => self.put(put),
            Operation::DeleteRange(delete) => Ok(self.delete_range(delete)),
            Operation::Range(range) => self.history.range_within(range, room).map(Outcome::Range),
            Operation::Txn(txn) => self.take_branch(txn, before, room),
        }
    }
}

impl Compare {
    /// Whether it holds of all keys in its range, or, where there is none, of one that is not there.
    fn holds(&self, history: &History) -> bool {
        let mut keys = history.current(&self.range).peekable();
        match keys.peek() {
            None => self.holds_of_none(),
            Some(_) => keys.all(|(_, version)| self.holds_of(version)),
        }
    }

    fn holds_of(&self, version: &KeyValue) -> bool {
        let ordering = match &self.target {
            Target::Version(than) => version.version.cmp(than),
            Target::Create(than) => version.create_revision.cmp(than),
            Target::Mod(than) => version.mod_revision.cmp(than),
            Target::Value(than) => version.value.cmp(than),
            Target::Lease(than) => version.lease.cmp(than),
        };
        self.relation.allows(ordering)
    }

    fn holds_of_none(&self) -> bool {
        let none = KeyValue {
            value: Bytes::new(),
            create_revision: Revision(0),
            mod_revision: Revision(0),
            version: 0,
            lease: None,
        };
        !matches!(self.target, Target::Value(_)) && self.holds_of(&none)
    }
}

impl Writes {
    /// What a transaction may change, whichever list is done.
    ///
    /// # Errors
    /// If one of its lists would set a key twice, or set and remove it.
    fn of_txn(txn: &Txn) -> Result<Self, Fault> {
        let mut either = Self::of(&txn.success)?;
        let other = Self::of(&txn.failure)?;
        either.puts.extend(other.puts);
        either.deletes.extend(other.deletes);
        Ok(either)
    }

    fn of(operations: &[Operation]) -> Result<Self, Fault> {
        let mut all = Self::default();
        for operation in operations {
            let writes = match operation {
                Operation::Put(put) => Self {
                    puts: [put.key.clone()].into(),
                    deletes: Vec::new(),
                },
                Operation::DeleteRange(delete) => Self {
                    puts: BTreeSet::new(),
                    deletes: [delete.range.clone()].into(),
                },
                Operation::Range(_) => continue,
                Operation::Txn(txn) => Self::of_txn(txn)?,
            };
            all.join(writes)?;
        }
        Ok(all)
    }

    fn join(&mut self, other: Self) -> Result<(), Fault> {
        let collide = !self.puts.is_disjoint(&other.puts)
            || any_within(&self.puts, &other.deletes)
            || any_within(&other.puts, &self.deletes);
        if collide {
            return Err(Fault::DuplicateKey);
        }
        self.puts.extend(other.puts);
        self.deletes.extend(other.deletes);
        Ok(())
    }
}

fn any_within(keys: &BTreeSet<Bytes>, ranges: &[KeyRange]) -> bool {
    let mut ranges = ranges.iter();
    ranges.any(|range| keys.iter().any(|key| range.contains(key)))
}
