//! The replicated map, against a plain one.

use std::collections::BTreeMap;

use bytes::Bytes;
use lockstep::kv::Kv;
use lockstep::kv::store::{
    Command, ENTRY_OVERHEAD, MAX_APPEND_WEIGHT, MAX_KEY_BYTES, MAX_RANGE_BYTES, MAX_RANGE_ENTRIES,
    MAX_VALUE_BYTES, Query, Response, Unfit, check_command,
};
use lockstep::runtime::transport::tcp::TcpConfig;
use models::raft::log::{Content, Entry, Term};
use models::raft::machine::StateMachine;
use models::raft::session::{ClientId, RequestId, Sequence};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::journals::identity;

fn put(key: &str, value: &str) -> Command {
    Command::Put {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
    }
}

fn get(kv: &Kv, key: &str) -> Option<(Bytes, u64)> {
    let key = key.to_owned().into();
    match kv.query(&Query::Get { key }) {
        Response::Value(found) => found.map(|found| (found.value, found.revision)),
        other => panic!("{other:?}"),
    }
}

fn range(kv: &Kv, prefix: &str, after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
    let query = Query::Range {
        prefix: prefix.to_owned().into(),
        after: after.map(|after| after.to_owned().into()),
        limit,
    };
    match kv.query(&query) {
        Response::Range { entries, more } => {
            let text = |key: Bytes| String::from_utf8(key.to_vec()).expect("text");
            (
                entries.into_iter().map(|(key, _)| text(key)).collect(),
                more,
            )
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_change_has_a_revision_and_names_the_one_before() {
    let mut kv = Kv::default();
    let wrote = |revision, previous| Response::Put { revision, previous };
    assert_eq!(kv.apply(&put("a", "1")), wrote(1, None));
    assert_eq!(kv.apply(&put("b", "1")), wrote(2, None));
    assert_eq!(kv.apply(&put("a", "2")), wrote(3, Some(1)));
    assert_eq!(get(&kv, "a"), Some(("2".into(), 3)));
    let delete = Command::Delete { key: "a".into() };
    let deleted = |revision, previous| Response::Deleted { revision, previous };
    assert_eq!(kv.apply(&delete), deleted(4, Some(3)));
    assert_eq!(kv.apply(&delete), deleted(4, None), "nothing was changed");
    assert_eq!(get(&kv, "a"), None);
}

#[test]
fn a_range_goes_on_where_the_page_before_ended() {
    let mut kv = Kv::default();
    for key in ["a", "b1", "b2", "b3", "c"] {
        kv.apply(&put(key, "x"));
    }
    let keys = |keys: &[&str]| keys.iter().map(|key| key.to_string()).collect::<Vec<_>>();
    assert_eq!(range(&kv, "b", None, 2), (keys(&["b1", "b2"]), true));
    assert_eq!(range(&kv, "b", Some("b2"), 2), (keys(&["b3"]), false));
    assert_eq!(
        range(&kv, "b", Some("a"), 9),
        (keys(&["b1", "b2", "b3"]), false)
    );
    assert_eq!(range(&kv, "", None, 9).0.len(), 5);
    assert_eq!(range(&kv, "d", None, 9), (vec![], false));
    assert_eq!(range(&kv, "b", None, 0), (vec![], true));
}

#[test]
fn a_range_is_bounded_in_number_and_size() {
    let mut kv = Kv::default();
    for number in 0..=MAX_RANGE_ENTRIES {
        kv.apply(&put(&format!("{number:05}"), ""));
    }
    assert_eq!(range(&kv, "", None, usize::MAX).0.len(), MAX_RANGE_ENTRIES);
    let large = "x".repeat(MAX_RANGE_BYTES / 2);
    for key in ["x1", "x2", "x3"] {
        kv.apply(&put(key, &large));
    }
    let (keys, more) = range(&kv, "x", None, usize::MAX);
    assert_eq!((keys.len(), more), (2, true));
}

#[test]
fn keys_and_values_have_bounds() {
    let of = |key, value| Command::Put {
        key: vec![b'k'; key].into(),
        value: vec![b'v'; value].into(),
    };
    assert_eq!(check_command(&of(MAX_KEY_BYTES, MAX_VALUE_BYTES)), Ok(()));
    assert_eq!(check_command(&of(0, 1)), Err(Unfit::EmptyKey));
    let long = MAX_KEY_BYTES + 1;
    assert_eq!(check_command(&of(long, 1)), Err(Unfit::KeyTooLong(long)));
    let large = of(1, MAX_VALUE_BYTES + 1);
    assert_eq!(check_command(&large), Err(Unfit::ValueTooLarge));
    let delete = Command::Delete { key: Bytes::new() };
    assert_eq!(check_command(&delete), Err(Unfit::EmptyKey));
}

fn entry(command: Command) -> Entry<Command> {
    let request = RequestId {
        client: ClientId::new(u64::MAX),
        sequence: Sequence(u64::MAX),
    };
    Entry {
        term: Term(u64::MAX),
        content: Content::Command { request, command },
    }
}

fn encoded(value: &impl serde::Serialize) -> usize {
    postcard::to_extend(value, Vec::new())
        .expect("encodes")
        .len()
}

/// The largest append is far below what the transport carries, so that none is ever
/// undeliverable.
#[test]
fn the_largest_append_fits_into_a_frame() {
    let largest = Command::Put {
        key: vec![b'k'; MAX_KEY_BYTES].into(),
        value: vec![b'v'; MAX_VALUE_BYTES].into(),
    };
    let commands = MAX_APPEND_WEIGHT + Kv::weight(&largest);
    // A no-op weighs 1 and takes more: as many of them as an append admits.
    let noop = Entry::<Command> {
        term: Term(u64::MAX),
        content: Content::Noop,
    };
    let noops = MAX_APPEND_WEIGHT * encoded(&noop);
    let limit = TcpConfig::new(identity(), BTreeMap::new()).max_message_bytes;
    assert!(
        commands + noops + 1024 < limit / 2,
        "{commands} {noops} {limit}"
    );
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..4).prop_map(Bytes::from)
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => (bytes(), bytes()).prop_map(|(key, value)| Command::Put { key, value }),
        1 => bytes().prop_map(|key| Command::Delete { key }),
    ]
}

proptest! {
    #[test]
    fn it_holds_what_a_plain_map_holds(commands in vec(command(), 0..200)) {
        let mut kv = Kv::default();
        let mut plain = BTreeMap::new();
        let mut last = 0;
        for command in &commands {
            let (revision, change) = match (kv.apply(command), command) {
                (Response::Put { revision, previous }, Command::Put { key, value }) => {
                    let old = plain.insert(key.clone(), (value.clone(), revision));
                    prop_assert_eq!(previous, old.map(|(_, revision)| revision));
                    (revision, true)
                }
                (Response::Deleted { revision, previous }, Command::Delete { key }) => {
                    let old = plain.remove(key);
                    prop_assert_eq!(previous, old.map(|(_, revision)| revision));
                    (revision, previous.is_some())
                }
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(revision, last + u64::from(change));
            last = revision;
        }
        let held: Vec<_> = kv
            .iter()
            .map(|(key, found)| (key.clone(), (found.value.clone(), found.revision)))
            .collect();
        prop_assert_eq!(held, plain.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn no_entry_takes_more_room_than_its_weight(command in command(), size in 0..100_000usize) {
        prop_assert!(encoded(&entry(command.clone())) <= Kv::weight(&command));
        let large = Command::Put { key: vec![1; size % 4096].into(), value: vec![2; size].into() };
        prop_assert!(encoded(&entry(large.clone())) <= Kv::weight(&large));
        prop_assert!(ENTRY_OVERHEAD < 100);
    }

    #[test]
    fn what_is_encoded_comes_back(command in command()) {
        let bytes = postcard::to_extend(&command, Vec::new()).expect("encodes");
        prop_assert_eq!(postcard::from_bytes::<Command>(&bytes), Ok(command));
    }
}
