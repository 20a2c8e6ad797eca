use bytes::Bytes;
use models::machine::StateMachine;
use models::mvcc::Store;
use models::mvcc::command::{Command, Compare, DeleteRange, Operation, Put, Relation, Target, Txn};
use models::mvcc::history::Revision;
use models::mvcc::key_range::KeyRange;
use models::mvcc::query::Range;
use models::mvcc::response::{Fault, Outcome};

use super::{get, key, names, numbers, plain, put};

/// Whether a comparison with a key holds.
fn holds(store: &Store, range: KeyRange, relation: Relation, target: Target) -> bool {
    let compare = Compare {
        range,
        target,
        relation,
    };
    let txn = Txn {
        compare: vec![compare],
        ..Txn::default()
    };
    match store.clone().apply(&Command::Txn(txn)).outcome {
        Ok(Outcome::Txn { succeeded, .. }) => succeeded,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_that_is_not_there_has_zeros_and_no_value() {
    let store = Store::default();
    let is = |relation, target| holds(&store, key("a"), relation, target);
    assert!(is(Relation::Equal, Target::Version(0)));
    assert!(is(Relation::Equal, Target::Create(Revision(0))));
    assert!(is(Relation::Less, Target::Mod(Revision(1))));
    assert!(is(Relation::Equal, Target::Lease(None)));
    for relation in [
        Relation::Equal,
        Relation::NotEqual,
        Relation::Less,
        Relation::Greater,
    ] {
        for value in ["", "x"] {
            let value = Bytes::from_static(value.as_bytes());
            assert!(!is(relation, Target::Value(value)), "{relation:?}");
        }
    }
}

#[test]
fn a_comparison_holds_of_all_keys_in_its_range() {
    let mut store = Store::default();
    put(&mut store, "a", "x");
    put(&mut store, "b", "x");
    put(&mut store, "b", "x");
    let all = |relation, target| holds(&store, KeyRange::all(), relation, target);
    assert!(all(Relation::Equal, Target::Value("x".into())));
    assert!(!all(Relation::Equal, Target::Version(1)));
    assert!(all(Relation::Greater, Target::Version(0)));
    let none = KeyRange::prefix("c".into());
    assert!(holds(
        &store,
        none.clone(),
        Relation::Equal,
        Target::Version(0)
    ));
    assert!(!holds(
        &store,
        none,
        Relation::Greater,
        Target::Create(Revision(0))
    ));
}

#[test]
fn a_transaction_makes_one_revision_and_sees_what_it_does() {
    let mut store = Store::default();
    put(&mut store, "old", "x");
    let delete = DeleteRange {
        range: key("old"),
        wants_previous: false,
    };
    let txn = Txn {
        success: vec![
            Operation::Put(plain("a", "1")),
            Operation::Range(Range::new(KeyRange::all())),
            Operation::DeleteRange(delete),
            Operation::Range(Range::new(KeyRange::all())),
        ],
        ..Txn::default()
    };
    let answer = store.apply(&Command::Txn(txn));
    assert_eq!(answer.revision, Revision(3));
    let Ok(Outcome::Txn { outcomes, .. }) = answer.outcome else {
        panic!("{answer:?}");
    };
    let seen = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Range(found) => Some(names(found)),
        _ => None,
    });
    let seen: Vec<_> = seen.collect();
    assert_eq!(seen, [vec!["a", "old"], vec!["a"]]);
    assert_eq!(numbers(&store, "a"), (1, 3, 3));
}

/// What it has done is of the revision to come, also where the latest one is named.
#[test]
fn what_a_transaction_reads_of_a_revision_is_of_that_revision() {
    let mut store = Store::default();
    put(&mut store, "a", "x");
    put(&mut store, "b", "x");
    let read = |revision: Option<u64>| {
        Operation::Range(Range {
            revision: revision.map(Revision),
            ..Range::new(KeyRange::all())
        })
    };
    let delete = Operation::DeleteRange(DeleteRange {
        range: key("b"),
        wants_previous: false,
    });
    let success = vec![
        Operation::Put(plain("c", "1")),
        delete,
        read(Some(2)),
        read(Some(3)),
        read(None),
    ];
    let answer = store.apply(&Command::Txn(Txn {
        success,
        ..Txn::default()
    }));
    let Ok(Outcome::Txn { outcomes, .. }) = answer.outcome else {
        panic!("{answer:?}");
    };
    let seen = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Range(found) => Some(names(found)),
        _ => None,
    });
    let seen: Vec<_> = seen.collect();
    assert_eq!(seen, [vec!["a"], vec!["a", "b"], vec!["a", "c"]]);
}

#[test]
fn one_that_changes_nothing_makes_no_revision() {
    let mut store = Store::default();
    let looks = Txn {
        success: vec![Operation::Range(Range::new(KeyRange::all()))],
        ..Txn::default()
    };
    for txn in [Txn::default(), looks] {
        assert_eq!(store.apply(&Command::Txn(txn)).revision, Revision(1));
    }
}

#[test]
fn one_that_fails_changes_nothing() {
    let mut store = Store::default();
    put(&mut store, "a", "before");
    let before = store.clone();
    let keeps = Put {
        value: None,
        ..plain("missing", "")
    };
    let txn = Txn {
        success: vec![Operation::Put(plain("a", "after")), Operation::Put(keeps)],
        ..Txn::default()
    };
    let answer = store.apply(&Command::Txn(txn));
    assert_eq!(answer.outcome, Err(Fault::KeyNotFound));
    assert_eq!(store.history(), before.history());
    assert_eq!(get(&store, "a").expect("there").value, "before");
}

#[test]
fn no_list_may_set_a_key_twice_or_set_and_remove_it() {
    let delete = Operation::DeleteRange(DeleteRange {
        range: KeyRange::all(),
        wants_previous: false,
    });
    let set = || Operation::Put(plain("a", "1"));
    let inner = |list| {
        Operation::Txn(Txn {
            failure: list,
            ..Txn::default()
        })
    };
    let refused: [Vec<Operation>; 5] = [
        vec![set(), set()],
        vec![set(), delete.clone()],
        vec![delete.clone(), set()],
        vec![set(), inner(vec![set()])],
        vec![inner(vec![set(), delete.clone()])],
    ];
    for list in refused {
        for (success, failure) in [(list.clone(), vec![]), (vec![], list)] {
            let txn = Txn {
                success,
                failure,
                ..Txn::default()
            };
            let mut store = Store::default();
            let answer = store.apply(&Command::Txn(txn)).outcome;
            assert_eq!(answer, Err(Fault::DuplicateKey));
        }
    }
    // Either list may, and keys may be removed twice.
    let txn = Txn {
        success: vec![set(), inner(vec![])],
        failure: vec![delete.clone(), delete],
        ..Txn::default()
    };
    assert!(Store::default().apply(&Command::Txn(txn)).outcome.is_ok());
}

#[test]
fn a_transaction_within_another_compares_what_was_there_before_both() {
    let mut store = Store::default();
    let is_there = Compare {
        range: key("a"),
        target: Target::Version(0),
        relation: Relation::Greater,
    };
    let inner = Txn {
        compare: vec![is_there],
        success: vec![Operation::Put(plain("b", "yes"))],
        failure: vec![Operation::Put(plain("b", "no"))],
    };
    let outer = Txn {
        success: vec![Operation::Put(plain("a", "1")), Operation::Txn(inner)],
        ..Txn::default()
    };
    store.apply(&Command::Txn(outer));
    assert_eq!(get(&store, "b").expect("there").value, "no");
}
