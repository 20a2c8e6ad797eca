use models::mvcc::Store;
use models::mvcc::history::Revision;
use models::mvcc::key_range::KeyRange;
use models::mvcc::query::Range;
use models::mvcc::response::{Fault, Outcome};

use super::{compact, delete, key, names, put, range};

fn at(store: &Store, revision: u64) -> Result<Vec<String>, Fault> {
    let asked = Range {
        revision: Some(Revision(revision)),
        ..Range::new(KeyRange::all())
    };
    range(store, asked).map(|found| names(&found))
}

#[test]
fn what_was_there_at_the_revision_can_be_read_and_nothing_before() {
    let mut store = Store::default();
    put(&mut store, "a", "1");
    put(&mut store, "b", "1");
    put(&mut store, "a", "2");
    delete(&mut store, key("b"));
    assert_eq!(compact(&mut store, 4), Ok(Outcome::Compacted));
    assert_eq!(at(&store, 4), Ok(vec!["a".into(), "b".into()]));
    assert_eq!(at(&store, 5), Ok(vec!["a".into()]));
    let compacted = Revision(4);
    assert_eq!(at(&store, 3), Err(Fault::Compacted { compacted }));
    assert_eq!(store.revision(), Revision(5));
}

#[test]
fn only_what_is_newer_can_be_compacted_to_and_nothing_to_come() {
    let mut store = Store::default();
    assert_eq!(compact(&mut store, 1), Ok(Outcome::Compacted));
    put(&mut store, "a", "1");
    put(&mut store, "a", "2");
    assert_eq!(compact(&mut store, 2), Ok(Outcome::Compacted));
    for earlier in [0, 1, 2] {
        let compacted = Revision(2);
        let refused = compact(&mut store, earlier);
        assert_eq!(refused, Err(Fault::Compacted { compacted }), "{earlier}");
    }
    assert_eq!(compact(&mut store, 4), Err(Fault::FutureRevision));
    assert_eq!(compact(&mut store, 3), Ok(Outcome::Compacted));
    assert_eq!(at(&store, 3), Ok(vec!["a".into()]));
}

#[test]
fn nothing_is_kept_that_nobody_can_ask_for() {
    let mut store = Store::default();
    for round in 0..50 {
        put(&mut store, "a", &round.to_string());
        put(&mut store, "b", &round.to_string());
        delete(&mut store, key("b"));
    }
    assert_eq!(store.history().changes(), 150);
    let latest = store.revision().0;
    compact(&mut store, latest).expect("can be compacted");
    assert_eq!(
        store.history().changes(),
        1,
        "the removal at the revision itself"
    );
    put(&mut store, "c", "x");
    compact(&mut store, latest + 1).expect("can be compacted");
    let mut fresh = Store::default();
    for (name, value) in [("a", "49"), ("c", "x")] {
        put(&mut fresh, name, value);
    }
    let kept = |store: &Store| (store.history().len(), store.history().changes());
    assert_eq!(kept(&store), (2, 1));
    assert_eq!(kept(&fresh), (2, 2));
}
