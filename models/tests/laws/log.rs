//! The log against a naive model: a vector of terms that nothing is ever discarded from, and
//! how much of its beginning would be.

use models::Durable;
use models::raft::log::{Entry, Index, Log, Term};
use models::raft::spec::{Add, Adder};
use models::raft::state::Persistent;
use proptest::prelude::*;

use crate::support::bench::{Record, noop, truncate};

/// What a log may go through: another entry, or the loss of a suffix or of a prefix.
fn records() -> impl Strategy<Value = Vec<Record>> {
    let record = prop_oneof![
        6 => (0u64..5).prop_map(|term| Record::Append(noop(term))),
        1 => (0u64..14).prop_map(truncate),
        1 => (0u64..14).prop_map(|through| Record::Discard { through: Index(through) }),
    ];
    proptest::collection::vec(record, 0..24)
}

/// The terms of all entries that there ever were, and how many of them are discarded.
#[derive(Debug, Default)]
struct Naive {
    terms: Vec<u64>,
    discarded: usize,
}

impl Naive {
    /// The same changes, made to a vector.
    fn after(records: &[Record]) -> Self {
        let mut naive = Self::default();
        for record in records {
            naive.change(record);
        }
        naive
    }

    fn change(&mut self, record: &Record) {
        match record {
            Record::Append(entry) => self.terms.push(entry.term.0),
            Record::Truncate { from } => {
                let kept = (1..from.0).count();
                self.terms.truncate(kept.max(self.discarded));
            }
            Record::Discard { through } => {
                let through = usize::try_from(through.0).expect("small");
                if through <= self.terms.len() {
                    self.discarded = self.discarded.max(through);
                }
            }
            Record::Initialize { .. }
            | Record::Halt(_)
            | Record::Ballot { .. }
            | Record::Snapshot { .. }
            | Record::Install(_) => {}
        }
    }

    /// The kept entries: index and term.
    fn kept(&self) -> impl Iterator<Item = (u64, u64)> {
        let indexed = (1..).zip(self.terms.iter().copied());
        indexed.skip(self.discarded)
    }

    /// The terms of those kept entries whose index is wanted.
    fn kept_where(&self, wanted: impl Fn(u64) -> bool) -> Vec<u64> {
        let kept = self.kept().filter(|&(index, _)| wanted(index));
        kept.map(|(_, term)| term).collect()
    }

    /// The term of the last discarded entry.
    fn base_term(&self) -> u64 {
        let base = self.terms[..self.discarded].last();
        base.copied().unwrap_or(0)
    }
}

fn terms(entries: &[Entry<Add>]) -> Vec<u64> {
    entries.iter().map(|entry| entry.term.0).collect()
}

fn log(records: &[Record]) -> Log<Add> {
    let mut disk = Persistent::<Adder>::default();
    for record in records {
        disk.apply(record);
    }
    disk.log
}

proptest! {
    #[test]
    fn a_log_is_a_vector_that_starts_behind_its_base(records in records()) {
        let (log, naive) = (log(&records), Naive::after(&records));
        prop_assert_eq!(log.base_index(), Index(naive.discarded as u64));
        prop_assert_eq!(log.last_index(), Index(naive.terms.len() as u64));
        prop_assert_eq!(log.last_term(), Term(naive.terms.last().copied().unwrap_or(0)));
        for index in 0..26 {
            let kept = naive.kept().find(|&(kept, _)| kept == index);
            let kept = kept.map(|(_, term)| Term(term));
            let is_base = log.base_index() == Index(index);
            let known = is_base.then(|| Term(naive.base_term())).or(kept);
            prop_assert_eq!(log.get(Index(index)).map(|entry| entry.term), kept);
            prop_assert_eq!(log.term_at(Index(index)), known);
        }
    }

    #[test]
    fn from_and_up_to_split_the_log(records in records(), at in 0u64..26) {
        let (log, naive) = (log(&records), Naive::after(&records));
        prop_assert_eq!(terms(log.up_to(Index(at))), naive.kept_where(|index| index <= at));
        prop_assert_eq!(terms(log.from(Index(at))), naive.kept_where(|index| index >= at));
        prop_assert_eq!(terms(log.from(Index(0))), naive.kept_where(|_| true));
    }

    #[test]
    fn first_of_and_last_of_find_a_term(records in records(), term in 0u64..6) {
        let (log, naive) = (log(&records), Naive::after(&records));
        let kept = naive.kept().filter(|&(_, held)| held == term);
        let kept: Vec<Index> = kept.map(|(index, _)| Index(index)).collect();
        let is_base = naive.discarded > 0 && naive.base_term() == term;
        let base = is_base.then(|| log.base_index());
        prop_assert_eq!(log.first_of(Term(term)), kept.first().copied());
        prop_assert_eq!(log.last_of(Term(term)), kept.last().copied().or(base));
    }
}

#[test]
fn indices_count_from_one_and_stop_at_zero() {
    assert_eq!(Index(0).previous(), Index(0));
    assert_eq!(Index(1).previous(), Index(0));
    assert_eq!(Index(0).next(), Index(1));
    assert_eq!(Index(7).next().previous(), Index(7));
}
