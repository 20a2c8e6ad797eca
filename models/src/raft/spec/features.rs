//! What Raft can do and what it must bear: any two of these have to be seen in one run.

use crate::protocol::Node;
use crate::raft::log::Content;
use crate::raft::machine::StateMachine;
use crate::raft::message::Message;
use crate::raft::state::{Reader, Role};
use crate::raft::{Raft, Timer};
use crate::specification::{Apart, Feature};
use crate::world::{Action, Host, Kind, World};

use super::leadership;

impl<M: StateMachine> Raft<M> {
    pub(super) const ALL_FEATURES: &'static [Feature<Self>] = &[
        Feature {
            name: "a leader is deposed",
            happens: |_, before, _, after| {
                hosts(before, after).any(|(old, new)| {
                    leadership(old).is_some() && leadership(new).is_none() && new.node().is_some()
                })
            },
        },
        Feature {
            name: "a conflict is overwritten",
            happens: |_, before, _, after| {
                hosts(before, after).any(|(old, new)| {
                    let (old_log, new_log) = (&old.durable().log, &new.durable().log);
                    let last = old_log.last_index();
                    let is_kept = new_log.last_index() >= last && { new_log.term_at(last) }
                        .is_none_or(|term| old_log.term_at(last) == Some(term));
                    old.node().is_some() && new.node().is_some() && !is_kept
                })
            },
        },
        Feature {
            name: "a read at the leader",
            happens: |_, before, _, after| {
                let waits = |reader: &Reader<M>| matches!(reader, Reader::Client { .. });
                more(before, after, |host| reads(host, waits))
            },
        },
        Feature {
            name: "a read at a follower",
            happens: |_, before, _, after| {
                more(before, after, |host| {
                    host.node()
                        .map_or(0, |node| node.volatile.follower_reads.len())
                })
            },
        },
        Feature::RETRY,
        Feature {
            name: "a session expires",
            happens: |_, before, _, after| {
                let mut news = after.ghost.committed[before.ghost.committed.len()..].iter();
                news.any(|it| matches!(it.entry.content, Content::ExpireSessions { .. }))
            },
        },
        Feature {
            name: "appends are pipelined",
            happens: |scenario, _, _, after| (Self::APPENDS_ARE_PIPELINED.seen)(scenario, after),
        },
        Feature {
            name: "a snapshot is taken",
            happens: |_, _, action, _| action.fired() == Some(&Timer::Snapshot),
        },
        Feature {
            name: "a snapshot comes in parts",
            happens: |scenario, _, _, after| (Self::SNAPSHOT_IS_PARTIAL.seen)(scenario, after),
        },
        Feature {
            name: "a snapshot is installed",
            happens: |_, before, action, after| {
                let index = |host: &Host<Self>| host.durable().snapshot.last_included_index();
                matches!(action.delivered(), Some(Message::InstallSnapshot { .. }))
                    && hosts(before, after).any(|(old, new)| index(old) < index(new))
            },
        },
        Feature {
            name: "a joint configuration",
            happens: |scenario, _, _, after| {
                after.running().any(|(id, node)| {
                    let raft = &scenario.nodes[usize::from(id.0)];
                    raft.configuration(node).is_joint()
                })
            },
        },
        Feature {
            name: "a learner",
            happens: |scenario, _, _, after| {
                after.running().any(|(id, node)| {
                    let raft = &scenario.nodes[usize::from(id.0)];
                    !raft.configuration(node).learners.is_empty()
                })
            },
        },
        Feature {
            name: "leadership is transferred",
            happens: |_, _, action, _| {
                matches!(action.delivered(), Some(Message::TimeoutNow { .. }))
            },
        },
        Feature {
            name: "a pre-vote",
            happens: |_, before, _, after| {
                let asks = |host: &Host<Self>| {
                    is_role(host, |role| matches!(role, Role::PreCandidate { .. }))
                };
                hosts(before, after).any(|(old, new)| !asks(old) && asks(new))
            },
        },
        Feature {
            name: "a leader loses its quorum",
            happens: |_, before, action, after| {
                let Action::Fire {
                    node,
                    timer: Timer::Lease,
                } = action
                else {
                    return false;
                };
                let leads = |world: &World<Self>| world.host(*node).and_then(leadership).is_some();
                leads(before) && !leads(after)
            },
        },
        Feature {
            name: "a heartbeat does not wait for the disk",
            happens: |_, _, action, _| {
                matches!(action.delivered(), Some(Message::Heartbeat { .. }))
            },
        },
        Feature {
            name: "a disk takes its time",
            happens: |_, _, action, _| action.kind() == Kind::Sync,
        },
        Feature::CRASH,
        Feature::LOSS,
        Feature::DUPLICATE,
        Feature::CUT,
        Feature::LOST_ANSWER,
        Feature::LOST_DISK,
    ];

    pub(super) const FEATURES_APART: &'static [Apart] = &[];
}

/// Each host before and after, where it has changed.
fn hosts<'a, M: StateMachine>(
    before: &'a World<Raft<M>>,
    after: &'a World<Raft<M>>,
) -> impl Iterator<Item = (&'a Host<Raft<M>>, &'a Host<Raft<M>>)> {
    let pairs = before.all_hosts().zip(after.all_hosts());
    let pairs = pairs.map(|((_, old), (_, new))| (old, new));
    pairs.filter(|(old, new)| !core::ptr::eq(*old, *new))
}

/// Whether some host has more of it than before.
fn more<M: StateMachine>(
    before: &World<Raft<M>>,
    after: &World<Raft<M>>,
    count: impl Fn(&Host<Raft<M>>) -> usize,
) -> bool {
    hosts(before, after).any(|(old, new)| count(old) < count(new))
}

/// The reads that wait at a leader for such readers.
fn reads<M: StateMachine>(host: &Host<Raft<M>>, of: impl Fn(&Reader<M>) -> bool) -> usize {
    leadership(host).map_or(0, |(_, leads)| {
        leads.reads.iter().filter(|read| of(&read.reader)).count()
    })
}

fn is_role<M: StateMachine>(host: &Host<Raft<M>>, is: impl Fn(&Role<M>) -> bool) -> bool {
    let node: Option<&Node<Raft<M>>> = host.node();
    node.is_some_and(|node| is(&node.volatile.role))
}
