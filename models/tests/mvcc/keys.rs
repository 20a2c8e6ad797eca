use models::machine::StateMachine;
use models::mvcc::Store;
use models::mvcc::command::{Command, Put};
use models::mvcc::history::Revision;
use models::mvcc::key_range::KeyRange;
use models::mvcc::query::{Order, Range, SortBy};
use models::mvcc::response::{Fault, Outcome};

use super::{bytes, delete, get, key, names, numbers, plain, put, range};

#[test]
fn an_empty_store_is_at_revision_1_and_the_first_put_makes_2() {
    let mut store = Store::default();
    assert_eq!(store.revision(), Revision(1));
    assert_eq!(put(&mut store, "a", "x").revision, Revision(2));
    assert_eq!(numbers(&store, "a"), (1, 2, 2));
}

#[test]
fn a_deletion_ends_a_generation() {
    let mut store = Store::default();
    put(&mut store, "a", "x");
    delete(&mut store, key("a"));
    put(&mut store, "a", "y");
    assert_eq!(numbers(&store, "a"), (1, 4, 4));
    put(&mut store, "a", "z");
    assert_eq!(numbers(&store, "a"), (2, 4, 5));
}

#[test]
fn removing_nothing_makes_no_revision() {
    let mut store = Store::default();
    put(&mut store, "a", "x");
    let nothing = delete(&mut store, key("b"));
    assert_eq!(nothing.revision, Revision(2));
    let backwards = KeyRange::span(bytes("b"), bytes("a"));
    assert_eq!(delete(&mut store, backwards).revision, Revision(2));
}

#[test]
fn several_keys_are_removed_in_one_revision_and_told_in_their_order() {
    let mut store = Store::default();
    for name in ["c", "a", "b"] {
        put(&mut store, name, name);
    }
    let answer = delete(&mut store, KeyRange::all());
    assert_eq!(answer.revision, Revision(5));
    let Ok(Outcome::Deleted {
        count: 3, previous, ..
    }) = answer.outcome
    else {
        panic!("{answer:?}");
    };
    let told: Vec<_> = previous.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(told, ["a", "b", "c"]);
}

#[test]
fn a_put_that_keeps_what_is_not_there_is_refused() {
    let mut store = Store::default();
    let keeps_value = Put {
        value: None,
        ..plain("a", "")
    };
    let keeps_lease = Put {
        keep_lease: true,
        ..plain("a", "x")
    };
    for keeps in [keeps_value, keeps_lease] {
        let answer = store.apply(&Command::Put(keeps));
        assert_eq!(answer.outcome, Err(Fault::KeyNotFound));
        assert_eq!(answer.revision, Revision(1));
    }
}

#[test]
fn who_asks_is_told_what_was_there() {
    let mut store = Store::default();
    let first = put(&mut store, "a", "x").outcome;
    let nothing = Ok(Outcome::Put {
        replaced: None,
        previous: None,
    });
    assert_eq!(first, nothing);
    let held = get(&store, "a");
    let second = put(&mut store, "a", "y").outcome;
    let before = Ok(Outcome::Put {
        replaced: Some(Revision(2)),
        previous: held,
    });
    assert_eq!(second, before);
}

#[test]
fn a_range_is_of_its_revision() {
    let mut store = Store::default();
    put(&mut store, "a", "1");
    put(&mut store, "b", "1");
    put(&mut store, "a", "2");
    delete(&mut store, key("b"));
    let at = |revision| {
        let entries = range(
            &store,
            Range {
                revision: Some(Revision(revision)),
                ..Range::new(KeyRange::all())
            },
        );
        entries.map(|entries| {
            let found = entries.entries.into_iter();
            let found = found.map(|(key, held)| (key, held.value, held.mod_revision.0));
            found.collect::<Vec<_>>()
        })
    };
    let (a, b) = (
        |value, at| ("a".into(), value, at),
        ("b".into(), "1".into(), 3),
    );
    assert_eq!(at(1), Ok(vec![]));
    assert_eq!(at(2), Ok(vec![a("1".into(), 2)]));
    assert_eq!(at(3), Ok(vec![a("1".into(), 2), b.clone()]));
    assert_eq!(at(4), Ok(vec![a("2".into(), 4), b]));
    assert_eq!(at(5), Ok(vec![a("2".into(), 4)]));
    assert_eq!(at(6), Err(Fault::FutureRevision));
}

#[test]
fn the_limit_counts_after_the_order() {
    let mut store = Store::default();
    for name in ["k3", "k1", "k5", "k2", "k4"] {
        put(&mut store, name, "same");
    }
    let sorted = |by, descending, limit| {
        let asked = Range {
            order: Order { by, descending },
            limit,
            counts: true,
            ..Range::new(KeyRange::all())
        };
        let found = range(&store, asked).expect("can be read");
        assert_eq!(found.count, Some(5));
        (names(&found), found.more)
    };
    let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(sorted(SortBy::Key, false, 2), (of(&["k1", "k2"]), true));
    assert_eq!(sorted(SortBy::Key, true, 2), (of(&["k5", "k4"]), true));
    assert_eq!(sorted(SortBy::Mod, false, 2), (of(&["k3", "k1"]), true));
    assert_eq!(sorted(SortBy::Mod, true, 1), (of(&["k4"]), true));
    // What is equal stays in the order of the keys, also descending.
    let all = of(&["k1", "k2", "k3", "k4", "k5"]);
    assert_eq!(sorted(SortBy::Value, true, 5), (all, false));
    assert_eq!(sorted(SortBy::Key, false, 0), (of(&[]), true));
}

#[test]
fn a_prefix_ends_where_the_next_one_begins() {
    let within = |prefix: &[u8], key: &[u8]| {
        let prefix = bytes::Bytes::copy_from_slice(prefix);
        KeyRange::prefix(prefix).contains(key)
    };
    assert!(within(b"a", b"a") && within(b"a", b"a\xff\xff") && !within(b"a", b"b"));
    assert!(within(b"a\xff", b"a\xff\x00") && !within(b"a\xff", b"b"));
    assert!(within(b"\xff", b"\xff\xff") && !within(b"\xff", b"\xfe"));
    assert!(within(b"", b"") && within(b"", b"\xff"));
}
