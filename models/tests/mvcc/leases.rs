use models::machine::StateMachine;
use models::mvcc::Store;
use models::mvcc::command::{Command, Put};
use models::mvcc::history::Revision;
use models::mvcc::lease::{LeaseId, Renewal, Ttl};
use models::mvcc::response::{Fault, Outcome};

use super::{bytes, get, numbers, plain, put};

const LEASE: LeaseId = LeaseId(7);

fn granted() -> Store {
    let mut store = Store::default();
    let (lease, ttl) = (LEASE, Ttl(60));
    store.apply(&Command::Grant { lease, ttl });
    store
}

fn put_by(store: &mut Store, key: &str, lease: Option<LeaseId>) -> Result<Outcome, Fault> {
    let put = Put {
        lease,
        ..plain(key, "x")
    };
    store.apply(&Command::Put(put)).outcome
}

fn expire(renewal: u64) -> Command {
    let (lease, renewal) = (LEASE, Renewal(renewal));
    Command::Expire { lease, renewal }
}

fn keys(store: &Store) -> Vec<bytes::Bytes> {
    let lease = store.leases().get(LEASE).expect("the lease is there");
    lease.keys.iter().cloned().collect()
}

#[test]
fn a_lease_makes_no_revision_and_its_number_is_given_once() {
    let mut store = granted();
    let (lease, ttl) = (LEASE, Ttl(1));
    let again = store.apply(&Command::Grant { lease, ttl });
    assert_eq!(again.outcome, Err(Fault::LeaseExists));
    store.apply(&Command::KeepAlive { lease });
    assert_eq!(store.revision(), Revision(1));
}

#[test]
fn a_lease_that_is_not_there_holds_nothing() {
    let mut store = Store::default();
    let lease = LEASE;
    assert_eq!(
        put_by(&mut store, "a", Some(lease)),
        Err(Fault::LeaseNotFound)
    );
    for command in [
        Command::KeepAlive { lease },
        Command::Revoke { lease },
        Command::Expire {
            lease,
            renewal: Renewal(0),
        },
    ] {
        assert_eq!(store.apply(&command).outcome, Err(Fault::LeaseNotFound));
    }
    assert_eq!(store.revision(), Revision(1));
}

#[test]
fn a_put_without_a_lease_takes_the_key_from_it() {
    let mut store = granted();
    put_by(&mut store, "a", Some(LEASE)).expect("is done");
    assert_eq!(keys(&store), ["a"]);
    put(&mut store, "a", "y");
    assert!(keys(&store).is_empty());
    assert_eq!(get(&store, "a").expect("there").lease, None);
}

#[test]
fn a_put_may_keep_the_lease_and_one_that_keeps_the_value_alone_drops_it() {
    let mut store = granted();
    put_by(&mut store, "a", Some(LEASE)).expect("is done");
    let keeps = Put {
        keep_lease: true,
        ..plain("a", "y")
    };
    store.apply(&Command::Put(keeps));
    assert_eq!(keys(&store), ["a"]);
    let keeps = Put {
        value: None,
        ..plain("a", "")
    };
    store.apply(&Command::Put(keeps));
    assert!(keys(&store).is_empty());
    assert_eq!(get(&store, "a").expect("there").value, "y");
    assert_eq!(numbers(&store, "a"), (3, 2, 4));
}

#[test]
fn all_keys_go_in_one_revision() {
    let mut store = granted();
    for key in ["c", "a", "b"] {
        put_by(&mut store, key, Some(LEASE)).expect("is done");
    }
    put(&mut store, "other", "x");
    let answer = store.apply(&Command::Revoke { lease: LEASE });
    assert_eq!(answer.outcome, Ok(Outcome::Ended { keys: 3 }));
    assert_eq!(answer.revision, Revision(6));
    assert_eq!(store.history().len(), 1);
}

#[test]
fn one_that_was_renewed_since_does_not_run_out() {
    let mut store = granted();
    put_by(&mut store, "a", Some(LEASE)).expect("is done");
    store.apply(&Command::KeepAlive { lease: LEASE });
    assert_eq!(store.apply(&expire(1)).outcome, Ok(Outcome::Renewed));
    assert!(store.history().get(&bytes("a")).is_some());
    let ended = store.apply(&expire(2)).outcome;
    assert_eq!(ended, Ok(Outcome::Ended { keys: 1 }));
    assert!(store.leases().is_empty());
}

#[test]
fn one_that_was_revoked_and_granted_again_does_not_run_out_for_what_was_seen_before() {
    let mut store = granted();
    store.apply(&Command::Revoke { lease: LEASE });
    let (lease, ttl) = (LEASE, Ttl(60));
    store.apply(&Command::Grant { lease, ttl });
    put_by(&mut store, "a", Some(LEASE)).expect("is done");
    assert_eq!(store.apply(&expire(1)).outcome, Ok(Outcome::Renewed));
    assert_eq!(keys(&store), ["a"]);
    let ended = store.apply(&expire(2)).outcome;
    assert_eq!(ended, Ok(Outcome::Ended { keys: 1 }));
}
