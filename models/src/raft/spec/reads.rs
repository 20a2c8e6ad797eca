//! What must be true of reads that wait (§8; thesis §6.4), beside that their answers are
//! linearizable.

use alloc::vec::Vec;

use crate::protocol::NodeId;
use crate::raft::machine::StateMachine;
use crate::raft::message::{Message, Round};
use crate::raft::session::RequestId;
use crate::raft::state::{FollowerRead, Reader, Role};
use crate::raft::{Command, Raft};
use crate::specification::{Invariant, Law, Reachable};
use crate::world::{Action, Host, Scenario, World};

use super::quorums::{in_force, reached_by_quorum};
use super::reachable::answers;
use super::{Said, leadership, said, told};

impl<M: StateMachine> Raft<M> {
    pub(super) const READS_ARE_BOUNDED: Invariant<Self> = Invariant {
        name: "Reads that wait are bounded",
        source: "thesis §6.4: a leader that is cut off can confirm none, and does not know it",
        holds: reads_are_bounded,
    };

    pub(super) const READS_HAVE_A_LEADER: Invariant<Self> = Invariant {
        name: "A follower's reads wait for its leader",
        source: "thesis §6.4; etcd 10392: none outlives the leader that it was asked of",
        holds: |_, world| reads_have_a_leader(world),
    };

    pub(super) const READS_WAIT_ONCE: Invariant<Self> = Invariant {
        name: "A follower's read waits once",
        source: "thesis §6.4: who asks again waits for the answer to the same question",
        holds: |_, world| reads_wait_once(world),
    };

    pub(super) const READS_ARE_ANSWERED: Invariant<Self> = Invariant {
        name: "A follower's read is answered when what it needs is applied",
        source: "thesis §6.4: as soon as the state machine has advanced as far as the read index, \
                 by entries or by a snapshot",
        holds: |_, world| reads_are_answered(world),
    };

    pub(super) const QUESTIONS_ARE_REPEATED: Law<Self> = Law {
        name: "What a heartbeat finds unanswered is asked again →",
        source: "thesis §6.4; §5.5: RPCs are retried",
        holds: |_, before, action, after| questions_are_repeated(before, action, after),
    };

    pub(super) const ROUNDS_ARE_NEEDED: Law<Self> = Law {
        name: "A confirmation round is begun when it is needed →",
        source: "thesis §6.4: a round of heartbeats for all reads that have come meanwhile, the \
                 next one when that is answered",
        holds: |_, before, action, after| rounds_are_needed(before, action, after),
    };

    pub(super) const FOLLOWER_ANSWERS: Reachable<Self> = Reachable {
        name: "a follower answers a read",
        seen: |scenario, world| {
            // Who never led when all is over has answered as a follower.
            let has_led = |id| world.ghost.leaders.iter().any(|&(_, leader)| leader == id);
            let mut read = answers(scenario, world);
            read.any(|command| {
                matches!(command, Command::ReadHere { .. })
                    && world
                        .all_hosts()
                        .all(|(id, _)| !(scenario.asks_at)(command, id) || !has_led(id))
            })
        },
    };

    pub(super) const FOLLOWER_WAITS: Reachable<Self> = Reachable {
        name: "a follower has yet to apply what a read needs",
        seen: |_, world| {
            world.running().any(|(_, node)| {
                let mut reads = node.volatile.follower_reads.iter();
                reads.any(|read| read.read_index.is_some())
            })
        },
    };

    pub(super) const READ_IS_REFUSED: Reachable<Self> = Reachable {
        name: "more reads wait than may",
        seen: |scenario, world| {
            world.all_hosts().any(|(id, host)| {
                let limit = scenario.nodes[usize::from(id.0)].max_pending_reads;
                let asked = world.clients.iter().zip(&scenario.scripts);
                let asked = asked.filter(|(client, script)| {
                    client.asking
                        && matches!(
                            script.get(client.next),
                            Some(Command::Read { .. } | Command::ReadHere { .. })
                        )
                });
                waiting(host) >= limit && asked.count() > limit
            })
        },
    };
}

/// How many reads wait at the host.
fn waiting<M: StateMachine>(host: &Host<Raft<M>>) -> usize {
    let Some(node) = host.node() else {
        return 0;
    };
    let led = match &node.volatile.role {
        Role::Leader(leadership) => leadership.reads.len(),
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => 0,
    };
    led + node.volatile.follower_reads.len()
}

fn reads_are_bounded<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    world
        .all_hosts()
        .all(|(id, host)| waiting(host) <= scenario.nodes[usize::from(id.0)].max_pending_reads)
}

/// Neither does the leader hold two questions of one follower for one read.
fn reads_wait_once<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().all(|(_, node)| {
        let here: Vec<RequestId> = { node.volatile.follower_reads.iter() }
            .map(|read| read.request)
            .collect();
        let asked: Vec<(NodeId, RequestId)> = match &node.volatile.role {
            Role::Leader(leadership) => { leadership.reads.iter() }
                .filter_map(|read| match read.reader {
                    Reader::Follower { node } => Some((node, read.request)),
                    Reader::Client { .. } => None,
                })
                .collect(),
            Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => {
                Vec::new()
            }
        };
        are_distinct(&here) && are_distinct(&asked)
    })
}

fn are_distinct<T: PartialEq>(them: &[T]) -> bool {
    let earlier = |position: usize| &them[..position];
    { them.iter().enumerate() }.all(|(position, it)| !earlier(position).contains(it))
}

fn reads_are_answered<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().all(|(_, node)| {
        let applied = node.volatile.applied.last_applied;
        let mut indices = node.volatile.follower_reads.iter();
        indices.all(|read| read.read_index.is_none_or(|index| index > applied))
    })
}

/// A heartbeat of the leader finds what has been asked and not answered: the first is patient,
/// each that follows leads to the question again. Nothing else does.
fn questions_are_repeated<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let pair = (before.host(envelope.to), after.host(envelope.to));
    let (Some(old), Some(new)) = (pair.0.and_then(Host::node), pair.1.and_then(Host::node)) else {
        return true;
    };
    let term = new.durable().current_term;
    let is_heartbeat = envelope.message.term() == term
        && match &envelope.message {
            Message::AppendEntries { entries, .. } => entries.is_empty(),
            Message::InstallSnapshot { data, .. } => data.is_empty(),
            _ => false,
        };
    let was = |request| {
        let mut reads = old.volatile.follower_reads.iter();
        reads.find(|read: &&FollowerRead<M>| read.request == request)
    };
    let leader = envelope.from;
    let is_it = |said: Said<'_, M::Command>, request| {
        let question = Message::ReadIndex { term, request };
        (said.from, said.to) == (envelope.to, leader) && *said.message == question
    };
    let is_asked = |request, is_due: bool| match is_due {
        true => told(after).any(|told| is_it(told, request)),
        false => said(before, action, after).any(|said| is_it(said, request)),
    };
    let mut waiting = new.volatile.follower_reads.iter();
    waiting.all(|read| {
        let Some(was) = was(read.request).filter(|_| read.read_index.is_none()) else {
            return true;
        };
        let is_lost = !after.network.connects(envelope.to, leader)
            || after.host(leader).is_none_or(|host| host.node().is_none());
        let is_due = is_heartbeat && was.is_overdue;
        read.is_overdue == (was.is_overdue || is_heartbeat)
            && (is_lost || is_asked(read.request, is_due) == is_due)
    })
}

/// A read waits for it, or is asked just now; and a quorum has answered the round before.
fn rounds_are_needed<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let is_asked = match action {
        Action::Ask { .. } | Action::AskUnheard { .. } => true,
        Action::Deliver(envelope) | Action::Duplicate(envelope) => {
            matches!(envelope.message, Message::ReadIndex { .. })
        }
        _ => false,
    };
    let hosts = before.all_hosts().zip(after.all_hosts());
    { hosts }.all(|((id, old), (_, new))| {
        let (Some((led, was)), Some((leads, is)), Some(node)) =
            (leadership(old), leadership(new), new.node())
        else {
            return true;
        };
        if led != leads || was.round == is.round {
            return true;
        }
        let mut reads = was.reads.iter().chain(&is.reads);
        let is_awaited = reads.any(|read| read.round >= is.round);
        let answered = reached_by_quorum(in_force(after, node).0, |voter| {
            let progress = is.progress.get(&voter);
            let round = progress.map_or(Round(0), |peer| peer.round);
            if voter == id { was.round } else { round }
        });
        (is_asked || is_awaited) && answered >= Some(was.round)
    })
}

fn reads_have_a_leader<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().all(|(_, node)| {
        node.volatile.follower_reads.is_empty()
            || matches!(node.volatile.role, Role::Follower { leader: Some(_) })
    })
}
