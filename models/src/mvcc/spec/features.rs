//! What the store can do and what it must bear: any two of these have to be seen in one run.

use super::store;
use crate::mvcc::command::Command;
use crate::mvcc::query::{Query, Range};
use crate::mvcc::standalone::{Asked, Disk, Message, Seen, Standalone};
use crate::specification::Feature;
use crate::world::World;

pub(super) const FEATURES: &[Feature<Standalone>] = &[
    Feature {
        name: "a put",
        happens: |_, before, _, after| {
            applied(before, after, |_, command| {
                matches!(command, Command::Put(_))
            })
        },
    },
    Feature {
        name: "keys are removed",
        happens: |_, before, _, after| {
            applied(before, after, |_, command| {
                matches!(command, Command::DeleteRange(_))
            })
        },
    },
    Feature {
        name: "a transaction",
        happens: |_, before, _, after| {
            applied(before, after, |_, command| {
                matches!(command, Command::Txn(_))
            })
        },
    },
    Feature {
        name: "a lease is renewed",
        happens: |_, before, _, after| {
            applied(before, after, |disk, command| match command {
                Command::KeepAlive { lease } => disk.store.leases().contains(*lease),
                _ => false,
            })
        },
    },
    Feature {
        name: "a lease ends with its keys",
        happens: |_, before, _, after| {
            applied(before, after, |disk, command| match command {
                Command::Revoke { lease } | Command::Expire { lease, .. } => {
                    let lease = disk.store.leases().get(*lease);
                    lease.is_some_and(|lease| !lease.keys.is_empty())
                }
                _ => false,
            })
        },
    },
    Feature {
        name: "a compaction",
        happens: |_, before, _, after| {
            applied(before, after, |_, command| {
                matches!(command, Command::Compact { .. })
            })
        },
    },
    Feature {
        name: "a revision is asked for",
        happens: |scenario, before, action, _| {
            let request = before.asked(scenario, action);
            matches!(
                request.map(|request| &request.asked),
                Some(Asked::Tell(Query::Range(Range {
                    revision: Some(_),
                    ..
                })))
            )
        },
    },
    Feature {
        name: "a watcher sees a change",
        happens: |_, before, _, after| seen(before, after, |seen| matches!(seen, Seen::Event(_))),
    },
    Feature {
        name: "a watcher is told of a gap",
        happens: |_, before, _, after| seen(before, after, |seen| matches!(seen, Seen::Gap { .. })),
    },
    Feature {
        name: "a watcher asks",
        happens: |_, _, action, _| matches!(action.delivered(), Some(Message::Changes(_))),
    },
    Feature::CRASH,
    Feature::LOSS,
    Feature::DUPLICATE,
];

/// Whether the store applies a command of which something is true, on the disk as it was.
fn applied(
    before: &World<Standalone>,
    after: &World<Standalone>,
    holds: fn(&Disk, &Command) -> bool,
) -> bool {
    let (Some(old), Some(new)) = (store(before), store(after)) else {
        return false;
    };
    let (old, new) = (old.durable(), new.durable());
    let new = new.log.get(old.log.len()..).unwrap_or_default();
    new.iter().any(|command| holds(old, command))
}

/// Whether a watcher sees something of which something is true.
fn seen(before: &World<Standalone>, after: &World<Standalone>, holds: fn(&Seen) -> bool) -> bool {
    let hosts = before.hosts.iter().zip(&after.hosts);
    hosts.into_iter().any(|(old, new)| {
        let (old, new) = (&old.durable().seen, &new.durable().seen);
        let new = new.get(old.len()..).unwrap_or_default();
        new.iter().any(holds)
    })
}
