//! Three Raft nodes on one thread: the step function and nothing else.
//!
//! Messages pass through one queue in memory, first in, first out. No timer fires but the one
//! that begins the election. Records are taken from each step and dropped, where a driver
//! would put them on disk.

use std::collections::VecDeque;

use bytes::Bytes;
use models::raft::log::Index;
use models::raft::machine::StateMachine;
use models::raft::session::{ClientId, RequestId, Sequence};
use models::raft::{Command, Event, Raft, Timer};
use models::{Effect, Input, Node, NodeId, Outbox, Protocol};
use serde::{Deserialize, Serialize};

/// An append carries so many bytes of entries at most, as in the key-value service.
const MAX_APPEND_BYTES: usize = lockstep::kv::store::MAX_APPEND_WEIGHT;
const NODES: u16 = 3;
const LEADER: NodeId = NodeId(0);

/// A log is thrown away when it has so many entries: the model keeps its whole log, and the
/// memory that a longer one takes would be measured instead of the steps.
pub const LOG_LIMIT: u64 = 65_536;

/// A state machine that counts its commands, so that what it costs is next to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Count(u64);

impl StateMachine for Count {
    type Command = Bytes;
    type Query = ();
    type Response = u64;

    fn apply(&mut self, _command: &Bytes) -> u64 {
        self.0 += 1;
        self.0
    }

    fn query(&self, (): &()) -> u64 {
        self.0
    }

    fn weight(command: &Bytes) -> usize {
        lockstep::kv::store::ENTRY_OVERHEAD + command.len()
    }
}

type Server = Raft<Count>;

/// Three nodes, the first of which leads.
pub struct Trio {
    nodes: Vec<(Server, Node<Server>)>,
    inputs: VecDeque<(NodeId, Input<Server>)>,
    out: Outbox<Server>,
}

/// Clients who each have one command in flight, and ask the next when it is answered.
struct Clients<'a> {
    payload: &'a [u8],
    asked: u64,
    answered: u64,
    total: u64,
}

/// Commits `commits` commands of `payload` with `in_flight` of them in flight, on a new trio
/// each time that the log is full. Building the trio, its election and throwing it away are
/// part of the work.
///
/// # Panics
/// If not every command is answered once, in order, and on every node's log in the end.
pub fn commit(commits: u64, in_flight: u64, payload: &[u8]) {
    let mut left = commits;
    while left > 0 {
        let chunk = left.min(LOG_LIMIT);
        let mut trio = Trio::elect();
        trio.commit(chunk, in_flight, payload);
        trio.check(chunk);
        left -= chunk;
    }
}

impl Trio {
    /// Boots three nodes, and lets the first win an election.
    pub fn elect() -> Self {
        let ids = || (0..NODES).map(NodeId);
        let mut out = Outbox::new();
        let nodes = ids()
            .map(|id| {
                let mut server = Server::new(id, ids());
                server.max_append_weight = MAX_APPEND_BYTES;
                let node = Node::boot(&server, Node::formatted(&server), &mut out);
                (server, node)
            })
            .collect();
        let mut trio = Self {
            nodes,
            inputs: VecDeque::new(),
            out: Outbox::new(),
        };
        trio.inputs
            .push_back((LEADER, Input::Fire(Timer::Election)));
        trio.run(|event| {
            assert!(!matches!(event, Event::Reply { .. }), "nobody has asked");
            None
        });
        trio
    }

    /// Commits `commits` commands in a closed loop.
    fn commit(&mut self, commits: u64, in_flight: u64, payload: &[u8]) {
        let mut clients = Clients {
            payload,
            asked: 0,
            answered: 0,
            total: commits,
        };
        for client in 0..in_flight.min(commits) {
            let first = clients.ask(ClientId::new(client), Sequence(1));
            self.inputs.extend(first.map(|ask| (LEADER, ask)));
        }
        self.run(|event| clients.take(event));
        assert_eq!(clients.answered, commits, "not every command was answered");
    }

    /// Steps until nothing is left to do. What an event leads to is asked of the leader.
    fn run(&mut self, mut take: impl FnMut(Event<Count>) -> Option<Input<Server>>) {
        while let Some((to, input)) = self.inputs.pop_front() {
            let (server, node) = &mut self.nodes[usize::from(to.0)];
            server.step(node, input, &mut self.out);
            drop(node.take_records());
            for effect in self.out.drain() {
                match effect {
                    Effect::Send { to: peer, message }
                    | Effect::SendEarly { to: peer, message } => {
                        let input = Input::Deliver { from: to, message };
                        self.inputs.push_back((peer, input));
                    }
                    Effect::Emit(event) => {
                        self.inputs.extend(take(event).map(|ask| (LEADER, ask)));
                    }
                    // Nothing is lost here, so no timer has anything to do.
                    Effect::Arm(_) | Effect::Disarm(_) => {}
                }
            }
        }
    }

    /// Every node has the whole log, and, once told what is committed, has applied it.
    fn check(&mut self, commits: u64) {
        self.inputs
            .push_back((LEADER, Input::Fire(Timer::Heartbeat)));
        self.run(|_| None);
        // The leader's no-op is in the log, too.
        let last_index = Index(commits + 1);
        for (server, node) in &self.nodes {
            let id = server.id();
            assert_eq!(node.durable().log.last_index(), last_index, "{id}'s log");
            let applied = &node.volatile.applied;
            assert_eq!(applied.last_applied, last_index, "{id}'s application");
            assert_eq!(applied.machine, Count(commits), "{id}'s state machine");
        }
    }
}

impl Clients<'_> {
    fn ask(&mut self, client: ClientId, sequence: Sequence) -> Option<Input<Server>> {
        if self.asked == self.total {
            return None;
        }
        self.asked += 1;
        let request = RequestId { client, sequence };
        // A command of its own for each, as if it had come over the network.
        let command = Bytes::copy_from_slice(self.payload);
        Some(Input::Ask(Command::Propose { request, command }))
    }

    fn take(&mut self, event: Event<Count>) -> Option<Input<Server>> {
        let Event::Reply { request, response } = event else {
            panic!("the leader does not lead any more: {event:?}");
        };
        self.answered += 1;
        assert_eq!(response, self.answered, "commands are answered in order");
        self.ask(request.client, Sequence(request.sequence.0 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_commit_whatever_is_in_flight() {
        for in_flight in [1, 2, 64, 5000] {
            commit(1000, in_flight, &[0; 256]);
        }
    }

    #[test]
    fn a_full_log_is_followed_by_a_new_one() {
        commit(LOG_LIMIT + 3, 64, b"payload");
    }
}
