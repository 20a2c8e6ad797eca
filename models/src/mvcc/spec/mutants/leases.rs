//! Leases with one defect each.

use crate::machine::StateMachine;
use crate::mvcc::Store;
use crate::mvcc::command::{Command, Put};
use crate::mvcc::lease::{Lease, LeaseId, Renewal};
use crate::mvcc::response::{Outcome, Response};
use crate::specification::Mutant;

use super::{S, applies};

pub(super) const MUTANTS: &[Mutant<S>] = &[
    Mutant {
        id: "MVCC-LEASE-KEPT",
        defect: "a key that is set without a lease stays on the list of the one that it had",
        source: "etcd's API reference, PutRequest.lease: 0 detaches",
        model: "mvcc/leases",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, stays_on_the_list),
    },
    Mutant {
        id: "MVCC-LEASE-PIECEMEAL",
        defect: "the keys of a lease go one by one, a revision each",
        source: "etcd's API reference: all keys of a lease are deleted together",
        model: "mvcc/leases",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, ends_piecemeal),
    },
    Mutant {
        id: "MVCC-LEASE-LEAVES-KEY",
        defect: "a lease that ends leaves its last key, which names it for ever",
        source: "etcd's API reference: all keys of a lease are deleted",
        model: "mvcc/two-leases",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, leaves_the_last_key),
    },
    Mutant {
        id: "MVCC-LEASE-RENEWED-EXPIRES",
        defect: "a lease that was renewed since its time was up runs out all the same",
        source: "the order of the log decides",
        model: "mvcc/leases",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, expires_the_renewed),
    },
    Mutant {
        id: "MVCC-LEASE-GRANTED-TWICE",
        defect: "a lease that there is can be granted again, and forgets its keys",
        source: "etcd: lease already exists",
        model: "mvcc/leases",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, grants_again),
    },
    Mutant {
        id: "MVCC-LEASE-UNRENEWED",
        defect: "a sign of life is answered, and not counted",
        source: "etcd's API reference, LeaseKeepAlive",
        model: "mvcc/leases",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, does_not_renew),
    },
    Mutant {
        id: "MVCC-LEASE-COUNTS-ANEW",
        defect: "a lease's renewals are counted from its grant, so that who saw an earlier lease of its id ends it",
        source: "the order of the log decides: an end names what was seen",
        model: "mvcc/lease-again",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, counts_anew),
    },
    Mutant {
        id: "MVCC-LEASE-NAMED-AND-KEPT",
        defect: "a key without a lease that is to keep what it has gets the one that the request names",
        source: "etcd's API reference, PutRequest.ignore_lease: the key's current lease",
        model: "mvcc/transactions-fail",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, falls_back),
    },
];

fn stays_on_the_list(store: &mut Store, command: &Command) -> Response {
    let before = store.clone();
    let response = store.apply(command);
    if let Command::Put(Put { key, .. }) = command
        && let Some(lease) = before.history.get(key).and_then(|held| held.lease)
        && let Some(lease) = store.leases.get_mut(lease)
    {
        lease.keys.insert(key.clone());
    }
    response
}

/// The lease that a command ends, if it does.
fn ended(store: &Store, command: &Command) -> Option<LeaseId> {
    let (Command::Revoke { lease } | Command::Expire { lease, .. }) = command else {
        return None;
    };
    let response = store.clone().apply(command);
    matches!(response.outcome, Ok(Outcome::Ended { .. })).then_some(*lease)
}

fn ends_piecemeal(store: &mut Store, command: &Command) -> Response {
    if let Some(lease) = ended(store, command) {
        let keys = store.leases.get(lease).map(|lease| lease.keys.clone());
        for key in keys.into_iter().flatten() {
            store.delete(&key);
            store.history.end_revision();
        }
    }
    store.apply(command)
}

fn leaves_the_last_key(store: &mut Store, command: &Command) -> Response {
    let lease = ended(store, command);
    let keys = lease.and_then(|lease| store.leases.get(lease));
    let last = keys.and_then(|lease| lease.keys.get_max().cloned());
    if let (Some(lease), Some(key)) = (lease, last)
        && let Some(lease) = store.leases.get_mut(lease)
    {
        lease.keys.remove(&key);
    }
    store.apply(command)
}

fn expires_the_renewed(store: &mut Store, command: &Command) -> Response {
    match command {
        Command::Expire { lease, renewal }
            if { store.leases.get(*lease) }.is_some_and(|held| held.renewal > *renewal) =>
        {
            store.apply(&Command::Revoke { lease: *lease })
        }
        command => store.apply(command),
    }
}

fn grants_again(store: &mut Store, command: &Command) -> Response {
    if let Command::Grant { lease, .. } = command
        && let Some(held) = store.leases.get(*lease).cloned()
    {
        let fresh = Lease {
            keys: imbl::OrdSet::new(),
            ..held
        };
        store.leases.insert(*lease, fresh);
    }
    store.apply(command)
}

fn does_not_renew(store: &mut Store, command: &Command) -> Response {
    let before = store.clone();
    let response = store.apply(command);
    if matches!(command, Command::KeepAlive { .. }) {
        *store = before;
    }
    response
}

fn counts_anew(store: &mut Store, command: &Command) -> Response {
    let earlier = |lease: &LeaseId| store.leases.get(*lease).map_or(0, |lease| lease.renewal.0);
    let renewed = match command {
        Command::Grant { lease, .. } | Command::KeepAlive { lease } => {
            Some((*lease, Renewal(earlier(lease) + 1)))
        }
        _ => None,
    };
    let response = store.apply(command);
    if let (Ok(_), Some((lease, renewal))) = (&response.outcome, renewed)
        && let Some(lease) = store.leases.get_mut(lease)
    {
        lease.renewal = renewal;
    }
    response
}

fn falls_back(store: &mut Store, command: &Command) -> Response {
    match command {
        Command::Put(put) if put.keep_lease => {
            let held = store.history.get(&put.key);
            let is_free = held.is_some_and(|held| held.lease.is_none());
            store.apply(&Command::Put(Put {
                keep_lease: !is_free,
                ..put.clone()
            }))
        }
        command => store.apply(command),
    }
}
