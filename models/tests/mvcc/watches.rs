use models::machine::StateMachine;
use models::mvcc::Store;
use models::mvcc::command::{Command, Operation, Txn};
use models::mvcc::history::Revision;
use models::mvcc::key_range::KeyRange;
use models::mvcc::query::Query;
use models::mvcc::response::{Fault, Outcome};
use models::mvcc::watch::{Changes, Cursor, Page};

use super::{compact, delete, key, plain, put};

fn changes(store: &Store, from: u64, limit: usize) -> Result<Page, Fault> {
    let asked = Changes {
        keys: KeyRange::all(),
        from: Revision(from),
        limit,
        wants_previous: true,
    };
    match store.query(&Query::Changes(asked)).outcome {
        Ok(Outcome::Changes(page)) => Ok(page),
        Ok(other) => panic!("{other:?}"),
        Err(fault) => Err(fault),
    }
}

/// Each event's key, revision, and whether it is a removal.
fn told(page: &Page) -> Vec<(&[u8], u64, bool)> {
    let events = page.events.iter();
    events
        .map(|event| (&*event.key, event.revision.0, event.version.is_none()))
        .collect()
}

fn both(store: &mut Store) {
    let set = |key| Operation::Put(plain(key, "t"));
    let success = vec![set("b"), set("a")];
    let txn = Txn {
        success,
        ..Txn::default()
    };
    store.apply(&Command::Txn(txn));
}

#[test]
fn a_page_never_ends_within_a_revision() {
    let mut store = Store::default();
    put(&mut store, "a", "1");
    both(&mut store);
    delete(&mut store, KeyRange::all());
    let first = changes(&store, 1, 2).expect("not compacted");
    // In the order of the transaction's operations; removals in that of the keys.
    let expected: [(&[u8], u64, bool); 3] = [(b"a", 2, false), (b"b", 3, false), (b"a", 3, false)];
    assert_eq!(told(&first), expected);
    assert_eq!(first.next, Revision(4));
    let second = changes(&store, 4, 1).expect("not compacted");
    let expected: [(&[u8], u64, bool); 2] = [(b"a", 4, true), (b"b", 4, true)];
    assert_eq!(told(&second), expected);
    assert_eq!(second.next, Revision(5));
}

#[test]
fn a_watch_may_begin_with_what_is_to_come() {
    let mut store = Store::default();
    put(&mut store, "a", "1");
    let nothing = changes(&store, 9, 5).expect("not compacted");
    assert_eq!((nothing.events.len(), nothing.next), (0, Revision(9)));
}

#[test]
fn the_changes_of_the_compacted_revision_itself_are_told() {
    let mut store = Store::default();
    put(&mut store, "a", "1");
    delete(&mut store, key("a"));
    put(&mut store, "b", "1");
    compact(&mut store, 3).expect("can be compacted");
    let page = changes(&store, 3, 9).expect("the revision itself");
    let expected: [(&[u8], u64, bool); 2] = [(b"a", 3, true), (b"b", 4, false)];
    assert_eq!(told(&page), expected);
    // What was there before is of a revision that is compacted.
    assert_eq!(page.events[0].previous, None);
    let compacted = Revision(3);
    assert_eq!(changes(&store, 2, 9), Err(Fault::Compacted { compacted }));
}

#[test]
fn what_was_there_before_is_told_who_asks() {
    let mut store = Store::default();
    put(&mut store, "a", "1");
    put(&mut store, "a", "2");
    let page = changes(&store, 2, 9).expect("not compacted");
    assert_eq!(page.events[0].previous, None);
    let before = page.events[1].previous.as_ref().expect("was there");
    assert_eq!(
        (before.value.as_ref(), before.mod_revision),
        (&b"1"[..], Revision(2))
    );
}

#[test]
fn a_cursor_takes_each_page_once() {
    let mut store = Store::default();
    put(&mut store, "a", "1");
    put(&mut store, "a", "2");
    let mut cursor = Cursor {
        keys: KeyRange::all(),
        next: Revision(1),
        wants_previous: false,
    };
    let first = changes(&store, 1, 1).expect("not compacted");
    assert_eq!(cursor.take(first.clone()).len(), 1);
    assert_eq!(cursor.take(first), []);
    let late = changes(&store, 1, 9).expect("not compacted");
    assert_eq!(cursor.take(late), []);
    assert_eq!(cursor.next, Revision(3));
}
