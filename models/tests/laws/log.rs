//! The log against a naive model: a vector of terms.

use models::Durable;
use models::raft::log::{Entry, Index, Log, Term};
use models::raft::spec::Add;
use models::raft::state::Persistent;
use proptest::prelude::*;

use crate::support::bench::{Record, noop, truncate};

/// What a log may go through: another entry, or the loss of a suffix.
fn records() -> impl Strategy<Value = Vec<Record>> {
    let record = prop_oneof![
        4 => (0u64..5).prop_map(|term| Record::Append(noop(term))),
        1 => (0u64..14).prop_map(truncate),
    ];
    proptest::collection::vec(record, 0..16)
}

/// The same changes, made to a vector.
fn naive(records: &[Record]) -> Vec<u64> {
    let mut terms = Vec::new();
    for record in records {
        match record {
            Record::Append(entry) => terms.push(entry.term.0),
            Record::Truncate { from } => {
                let kept = (1..from.0).count();
                terms.truncate(kept);
            }
            Record::Ballot { .. } => {}
        }
    }
    terms
}

fn terms(entries: &[Entry<Add>]) -> Vec<u64> {
    entries.iter().map(|entry| entry.term.0).collect()
}

fn log(records: &[Record]) -> Log<Add> {
    let mut disk = Persistent::default();
    for record in records {
        disk.apply(record);
    }
    disk.log
}

proptest! {
    #[test]
    fn a_log_is_a_vector_that_starts_at_one(records in records()) {
        let (log, naive) = (log(&records), naive(&records));
        prop_assert_eq!(log.last_index(), Index(naive.len() as u64));
        prop_assert_eq!(log.last_term(), Term(naive.last().copied().unwrap_or(0)));
        prop_assert_eq!(log.term_at(Index(0)), Some(Term(0)));
        prop_assert_eq!(log.get(Index(0)), None);
        for position in 0..20 {
            let index = Index(position as u64 + 1);
            let expected = naive.get(position).map(|&term| Term(term));
            prop_assert_eq!(log.term_at(index), expected);
            prop_assert_eq!(log.get(index).map(|entry| entry.term), expected);
        }
    }

    #[test]
    fn from_and_up_to_split_the_log(records in records(), index in 0u64..20) {
        let (log, naive) = (log(&records), naive(&records));
        let before = naive.len().min(usize::try_from(index).expect("small"));
        prop_assert_eq!(terms(log.up_to(Index(index))), &naive[..before]);
        prop_assert_eq!(terms(log.from(Index(index).next())), &naive[before..]);
        prop_assert_eq!(terms(log.from(Index(0))), naive);
    }

    #[test]
    fn first_of_and_last_of_find_a_term(records in records(), term in 0u64..6) {
        let (log, naive) = (log(&records), naive(&records));
        let positions = naive.iter().zip(1..).filter(|&(&held, _)| held == term);
        let indices: Vec<Index> = positions.map(|(_, index)| Index(index)).collect();
        prop_assert_eq!(log.first_of(Term(term)), indices.first().copied());
        prop_assert_eq!(log.last_of(Term(term)), indices.last().copied());
    }
}

#[test]
fn indices_count_from_one_and_stop_at_zero() {
    assert_eq!(Index(0).previous(), Index(0));
    assert_eq!(Index(1).previous(), Index(0));
    assert_eq!(Index(0).next(), Index(1));
    assert_eq!(Index(7).next().previous(), Index(7));
}
