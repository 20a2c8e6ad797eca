//! The replicated store, against a plain map. What etcd's data model asks of it is checked in `models`.

use std::collections::BTreeMap;

use bytes::Bytes;
use lockstep::kv::Kv;
use lockstep::kv::store::{
    Command, Compare, DeleteRange, ENTRY_OVERHEAD, KeyRange, LeaseId, MAX_APPEND_WEIGHT,
    MAX_KEY_BYTES, MAX_RANGE_BYTES, MAX_RANGE_ENTRIES, MAX_TTL, MAX_TXN_BYTES, MAX_TXN_DEPTH,
    MAX_TXN_OPERATIONS, MAX_VALUE_BYTES, Operation, Outcome, Put, Query, Range, Relation, Revision,
    Target, Ttl, Txn, Unfit, check_command,
};
use lockstep::runtime::transport::tcp::TcpConfig;
use models::raft::log::{Content, Entry, Term};
use models::raft::machine::StateMachine;
use models::raft::session::{ClientId, RequestId, Sequence};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::journals::identity;

fn put(key: &str, value: &str) -> Command {
    Command::Put(Put::new(key.to_owned().into(), value.to_owned().into()))
}

fn delete(key: Bytes) -> Command {
    Command::DeleteRange(DeleteRange {
        range: KeyRange::key(key),
        wants_previous: false,
    })
}

fn range(kv: &Kv, prefix: &str, after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
    let keys = KeyRange::prefix(prefix.to_owned().into());
    let keys = match after {
        Some(after) => keys.after(after.as_bytes()),
        None => keys,
    };
    let query = Query::Range(Range {
        limit,
        ..Range::new(keys)
    });
    match kv.query(&query).outcome {
        Ok(Outcome::Range(found)) => {
            let text = |key: Bytes| String::from_utf8(key.to_vec()).expect("text");
            let keys = found.entries.into_iter().map(|(key, _)| text(key));
            (keys.collect(), found.more)
        }
        other => panic!("{other:?}"),
    }
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
    let of = |key, value| {
        let (key, value) = (vec![b'k'; key], vec![b'v'; value]);
        Command::Put(Put::new(key.into(), value.into()))
    };
    assert_eq!(check_command(&of(MAX_KEY_BYTES, MAX_VALUE_BYTES)), Ok(()));
    assert_eq!(check_command(&of(0, 1)), Err(Unfit::EmptyKey));
    let long = MAX_KEY_BYTES + 1;
    assert_eq!(check_command(&of(long, 1)), Err(Unfit::KeyTooLong(long)));
    let large = of(1, MAX_VALUE_BYTES + 1);
    assert_eq!(check_command(&large), Err(Unfit::ValueTooLarge));
    let longest = delete(vec![b'k'; MAX_KEY_BYTES].into());
    assert_eq!(check_command(&longest), Ok(()));
    assert_eq!(check_command(&delete(Bytes::new())), Err(Unfit::EmptyKey));
    let longer = delete(vec![b'k'; long].into());
    assert_eq!(check_command(&longer), Err(Unfit::KeyTooLong(long)));
}

#[test]
fn transactions_and_leases_have_bounds() {
    let puts = |many: usize| -> Vec<Operation> {
        let put = |key: usize| Put::new(key.to_string().into(), Bytes::new());
        (0..many).map(put).map(Operation::Put).collect()
    };
    let check = |txn: Txn| check_command(&Command::Txn(txn));
    let with = |success| Txn {
        success,
        ..Txn::default()
    };
    assert_eq!(check(with(puts(MAX_TXN_OPERATIONS))), Ok(()));
    let many = check(with(puts(MAX_TXN_OPERATIONS + 1)));
    assert!(matches!(many, Err(Unfit::TooManyOperations(_))), "{many:?}");
    // Those of a transaction within it count.
    let within = with([Operation::Txn(with(puts(MAX_TXN_OPERATIONS)))].into());
    assert!(matches!(check(within), Err(Unfit::TooManyOperations(_))));
    let nested = |depth: usize| {
        let inner = (1..depth).fold(Txn::default(), |txn, _| with([Operation::Txn(txn)].into()));
        check(inner)
    };
    assert_eq!(nested(MAX_TXN_DEPTH), Ok(()));
    assert_eq!(nested(MAX_TXN_DEPTH + 1), Err(Unfit::TooDeep));
    let value = Bytes::from(vec![0; MAX_TXN_BYTES / 2]);
    let large = ["a", "b"].map(|key| Operation::Put(Put::new(key.into(), value.clone())));
    assert!(matches!(
        check(with(large.into())),
        Err(Unfit::TxnTooLarge(_))
    ));
    let grant = |ttl| {
        let (lease, ttl) = (LeaseId(1), Ttl(ttl));
        check_command(&Command::Grant { lease, ttl })
    };
    assert_eq!((grant(1), grant(MAX_TTL)), (Ok(()), Ok(())));
    assert_eq!(grant(0), Err(Unfit::BadTtl(0)));
    assert_eq!(grant(MAX_TTL + 1), Err(Unfit::BadTtl(MAX_TTL + 1)));
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
    let commands = MAX_APPEND_WEIGHT + MAX_TXN_BYTES;
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

fn bytes() -> impl Strategy<Value = Bytes> + Clone {
    vec(any::<u8>(), 0..4).prop_map(Bytes::from)
}

/// Puts and removals of single keys.
fn change() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => (bytes(), bytes()).prop_map(|(key, value)| Command::Put(Put::new(key, value))),
        1 => bytes().prop_map(delete),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let keyed = (bytes(), bytes(), any::<Option<u64>>(), any::<bool>());
    let put = keyed.prop_map(|(key, value, lease, flag)| Put {
        lease: lease.map(LeaseId),
        keep_lease: flag,
        wants_previous: flag,
        ..Put::new(key, value)
    });
    let compare = (bytes(), bytes(), any::<u64>()).prop_map(|(start, end, number)| Compare {
        range: KeyRange::span(start, end),
        target: Target::Mod(Revision(number)),
        relation: Relation::Less,
    });
    let operations = || vec(put.clone().prop_map(Operation::Put), 0..5);
    let txn = (vec(compare, 0..5), operations(), operations());
    let txn = txn.prop_map(|(compare, success, failure)| Txn {
        compare,
        success,
        failure,
    });
    let (lease, ttl) = (any::<u64>().prop_map(LeaseId), any::<u64>().prop_map(Ttl));
    prop_oneof![
        change(),
        put.clone().prop_map(Command::Put),
        txn.prop_map(Command::Txn),
        (lease, ttl).prop_map(|(lease, ttl)| Command::Grant { lease, ttl }),
        any::<u64>().prop_map(|revision| Command::Compact {
            revision: Revision(revision)
        }),
    ]
}

proptest! {
    #[test]
    fn it_holds_what_a_plain_map_holds(commands in vec(change(), 0..200)) {
        let mut kv = Kv::default();
        let mut plain = BTreeMap::new();
        let mut last = Revision(1);
        for command in &commands {
            let answer = kv.apply(command);
            let (replaced, is_change) = match (answer.outcome, command) {
                (Ok(Outcome::Put { replaced, .. }), Command::Put(put)) => {
                    let held = (put.value.clone().expect("a value"), answer.revision);
                    let old = plain.insert(put.key.clone(), held);
                    prop_assert_eq!(replaced, old.map(|(_, revision)| revision));
                    (replaced, true)
                }
                (Ok(Outcome::Deleted { replaced, .. }), Command::DeleteRange(delete)) => {
                    let old = plain.remove(delete.range.start());
                    prop_assert_eq!(replaced, old.map(|(_, revision)| revision));
                    (replaced, replaced.is_some())
                }
                other => panic!("{other:?}"),
            };
            prop_assert!(replaced.is_none_or(|replaced| replaced <= last));
            prop_assert_eq!(answer.revision, if is_change { last.next() } else { last });
            last = answer.revision;
        }
        let all = KeyRange::all();
        let held = kv.history().current(&all);
        let held: Vec<_> = held
            .map(|(key, found)| (key.clone(), (found.value.clone(), found.mod_revision)))
            .collect();
        prop_assert_eq!(held, plain.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn no_entry_takes_more_room_than_its_weight(command in command(), size in 0..100_000usize) {
        prop_assert!(encoded(&entry(command.clone())) <= Kv::weight(&command));
        let large = Put::new(vec![1; size % 4096].into(), vec![2; size].into());
        let large = Command::Put(large);
        prop_assert!(encoded(&entry(large.clone())) <= Kv::weight(&large));
        prop_assert!(ENTRY_OVERHEAD < 100);
    }

    #[test]
    fn what_is_encoded_comes_back(command in command()) {
        let bytes = postcard::to_extend(&command, Vec::new()).expect("encodes");
        prop_assert_eq!(postcard::from_bytes::<Command>(&bytes), Ok(command));
    }
}
