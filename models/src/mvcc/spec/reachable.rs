//! What some run must show.

use super::reference::Reference;
use super::store;
use crate::mvcc::command::Command;
use crate::mvcc::history::Revision;
use crate::mvcc::query::Query;
use crate::mvcc::response::{Fault, KeyValue, Outcome, Response};
use crate::mvcc::standalone::{Asked, Seen, Standalone};
use crate::specification::Reachable;
use crate::world::World;

type Checked = World<Standalone>;

pub(super) const REACHABLE: &[Reachable<Standalone>] = &[
    Reachable {
        name: "a key is created anew",
        seen: |_, world| {
            some_event(world, |reference, at| {
                let (now, before) = (reference.revisions.get(at), &reference.revisions[..at]);
                let created = now.into_iter().flatten();
                let mut created =
                    created.filter(|(_, held)| held.create_revision.0 == at as u64 + 1);
                created.any(|(key, _)| before.iter().any(|keys| keys.contains_key(key)))
            })
        },
    },
    Reachable {
        name: "a key is written again",
        seen: |_, world| {
            some_event(world, |reference, at| {
                reference.revisions[at]
                    .values()
                    .any(|held| held.version > 1)
            })
        },
    },
    Reachable {
        name: "several keys change at once",
        seen: |_, world| some_event(world, |reference, at| reference.events[at].len() > 1),
    },
    Reachable {
        name: "several keys are removed at once",
        seen: |_, world| {
            some_event(world, |reference, at| {
                let removed = reference.events[at].iter();
                removed.filter(|event| event.version.is_none()).count() > 1
            })
        },
    },
    Reachable {
        name: "the past is read",
        seen: |scenario, world| {
            let latest = store(world).map(|host| host.durable().store.revision());
            let clients = world.clients.iter().zip(&scenario.scripts);
            let mut answered = clients.filter_map(|(client, script)| {
                let last = client.next.checked_sub(1)?;
                Some(&script.get(last)?.asked)
            });
            answered.any(|asked| match asked {
                Asked::Tell(Query::Range(range)) => {
                    range.revision.is_some_and(|it| Some(it) < latest)
                }
                _ => false,
            })
        },
    },
    Reachable {
        name: "a transaction does the first list",
        seen: |_, world| {
            last(world, |_, response| {
                matches!(
                    response.outcome,
                    Ok(Outcome::Txn {
                        succeeded: true,
                        ..
                    })
                )
            })
        },
    },
    Reachable {
        name: "a transaction does the second list",
        seen: |_, world| {
            last(world, |_, response| {
                matches!(
                    response.outcome,
                    Ok(Outcome::Txn {
                        succeeded: false,
                        ..
                    })
                )
            })
        },
    },
    Reachable {
        name: "a transaction fails",
        seen: |_, world| {
            last(world, |command, response| {
                matches!(command, Command::Txn(_)) && response.outcome == Err(Fault::KeyNotFound)
            })
        },
    },
    Reachable {
        name: "a lease takes its keys along",
        seen: |_, world| {
            last(world, |_, response| {
                matches!(response.outcome, Ok(Outcome::Ended { keys: 1.. }))
            })
        },
    },
    Reachable {
        name: "a lease is renewed before it would have run out",
        seen: |_, world| {
            last(world, |_, response| {
                response.outcome == Ok(Outcome::Renewed)
            })
        },
    },
    Reachable {
        name: "a lease that was granted again outlives the end of the earlier one",
        seen: |_, world| store(world).is_some_and(|host| outlives(&host.durable().log)),
    },
    Reachable {
        name: "a lease lets a key go",
        seen: |_, world| {
            some_event(world, |reference, at| {
                reference.events[at].iter().any(|event| {
                    let lease = |version: &Option<_>| {
                        let version: Option<&KeyValue> = version.as_ref();
                        version.and_then(|version| version.lease)
                    };
                    event.version.is_some()
                        && lease(&event.previous).is_some()
                        && lease(&event.previous) != lease(&event.version)
                })
            })
        },
    },
    Reachable {
        name: "something is compacted",
        seen: |_, world| {
            store(world)
                .is_some_and(|host| host.durable().store.history().compacted() > Revision(1))
        },
    },
    Reachable {
        name: "what is compacted is asked for",
        seen: |_, world| {
            last(world, |_, response| {
                matches!(response.outcome, Err(Fault::Compacted { .. }))
            })
        },
    },
    Reachable {
        name: "a watcher sees a change",
        seen: |_, world| some_seen(world, |seen| matches!(seen, [.., Seen::Event(_)])),
    },
    Reachable {
        name: "a watcher sees several changes of a revision",
        seen: |_, world| {
            some_seen(world, |seen| match seen {
                [.., Seen::Event(one), Seen::Event(other)] => one.revision == other.revision,
                _ => false,
            })
        },
    },
    Reachable {
        name: "a watcher is told of a gap",
        seen: |_, world| some_seen(world, |seen| matches!(seen, [.., Seen::Gap { .. }])),
    },
    Reachable {
        name: "a watcher has seen all there is",
        seen: |scenario, world| {
            let end = store(world).map(|host| host.durable().store.revision().next());
            let is_done = { world.clients.iter().zip(&scenario.scripts) }
                .all(|(client, script)| client.next == script.len());
            is_done
                && world
                    .hosts
                    .iter()
                    .any(|host| host.durable().seen_up_to == end)
        },
    },
];

/// Whether something is true of some revision.
fn some_event(world: &Checked, holds: fn(&Reference, usize) -> bool) -> bool {
    store(world).is_some_and(|host| {
        let reference = Reference::of(&host.durable().log);
        (0..reference.revisions.len()).any(|at| holds(&reference, at))
    })
}

/// Whether something is true of the latest command and what it comes to.
fn last(world: &Checked, holds: fn(&Command, &Response) -> bool) -> bool {
    store(world).is_some_and(|host| match &*host.durable().log {
        [before @ .., last] => holds(last, &Reference::of(before).apply(last)),
        [] => false,
    })
}

/// Whether the latest command is to end a lease that was revoked after the renewal it names, and doesn't
/// end the one of its id that there is now.
fn outlives(log: &[Command]) -> bool {
    let [before @ .., last] = log else {
        return false;
    };
    let Command::Expire { lease, renewal } = last else {
        return false;
    };
    let is_spared = Reference::of(before).apply(last).outcome == Ok(Outcome::Renewed);
    let revokes =
        |command: &Command| matches!(command, Command::Revoke { lease: of } if of == lease);
    is_spared
        && (0..before.len())
            .filter(|&at| revokes(&before[at]))
            .any(|at| {
                let held = Reference::of(&before[..at]).leases.get(lease).copied();
                held.is_some_and(|(_, latest)| latest >= *renewal)
            })
}

/// Whether something is true of what some watcher has seen.
fn some_seen(world: &Checked, holds: fn(&[Seen]) -> bool) -> bool {
    world.hosts.iter().any(|host| holds(&host.durable().seen))
}
