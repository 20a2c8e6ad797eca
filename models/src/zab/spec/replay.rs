//! What the delivered transactions come to, told by the specification alone: it knows nothing of
//! the nodes' session tables, nor of how a node delivers.
//!
//! A client numbers its commands upwards (`session`), so of a session a command is done exactly if
//! none of the same or of a higher number was delivered before it; a session is then remembered by
//! the last that was done, and none is ever forgotten, for no transaction says so.

use alloc::collections::BTreeMap;

use super::{Delivered, Ghost};
use crate::machine::StateMachine;
use crate::session::{ClientId, Position, RequestId, Sequence};
use crate::zab::history::{Content, Snapshot};
use crate::zab::zxid::Zxid;

/// The state after the transactions up to one of them.
pub(super) struct Replay<M: StateMachine> {
    zxid: Zxid,
    machine: M,
    /// How many commands have been done.
    done: u64,
    last: BTreeMap<ClientId, Last<M::Response>>,
}

/// The last command of a session that was done.
struct Last<R> {
    sequence: Sequence,
    at: Position,
    response: R,
}

impl<M: StateMachine> Replay<M> {
    fn empty() -> Self {
        Self {
            zxid: Zxid::default(),
            machine: M::default(),
            done: 0,
            last: BTreeMap::new(),
        }
    }

    /// Delivers the next, and returns what a command that is done by it is answered.
    fn deliver(&mut self, next: &Delivered<M::Command>) -> Option<&M::Response> {
        let transaction = &next.transaction;
        self.zxid = transaction.zxid;
        let Content::Command { request, command } = &transaction.content else {
            return None;
        };
        let RequestId { client, sequence } = *request;
        let is_past = { self.last.get(&client) }.is_some_and(|last| last.sequence >= sequence);
        if is_past {
            return None;
        }
        let response = self.machine.apply(command);
        self.done += 1;
        let last = Last {
            sequence,
            at: Position(self.done),
            response,
        };
        self.last.insert(client, last);
        self.last.get(&client).map(|last| &last.response)
    }

    /// The state machine.
    pub(super) fn machine(&self) -> &M {
        &self.machine
    }

    /// Whether a node's state is this one.
    pub(super) fn is(&self, state: &Snapshot<M>) -> bool {
        let last = { self.last.iter() }
            .map(|(&client, last)| (client, last.sequence, last.at, &last.response));
        state.zxid == self.zxid
            && state.machine == self.machine
            && state.sessions.position() == Position(self.done)
            && state.sessions.horizon() == Position(0)
            && state.sessions.iter().eq(last)
    }
}

impl<M: StateMachine> Ghost<M> {
    fn delivered_up_to(&self, zxid: Zxid) -> impl Iterator<Item = &Delivered<M::Command>> {
        let delivered = self.delivered.iter();
        delivered.take_while(move |next| next.transaction.zxid <= zxid)
    }

    /// The state that the transactions delivered up to `zxid` make.
    pub(super) fn replay(&self, zxid: Zxid) -> Replay<M> {
        let mut state = Replay::<M>::empty();
        for next in self.delivered_up_to(zxid) {
            state.deliver(next);
        }
        state
    }

    /// What a command that the transactions up to `zxid` have done is answered.
    pub(super) fn response_to(&self, request: RequestId, zxid: Zxid) -> Option<M::Response> {
        let mut state = Replay::<M>::empty();
        self.delivered_up_to(zxid).find_map(|next| {
            let response = state.deliver(next);
            let is_it = next.transaction.content.request() == request;
            response.filter(|_| is_it).cloned()
        })
    }

    /// Whether the transactions up to `zxid` have the command, or a later one of its session: then it
    /// is done, or never will be.
    pub(super) fn has_passed(&self, request: RequestId, zxid: Zxid) -> bool {
        self.has_command_of(request.client, zxid, |sequence| {
            sequence >= request.sequence
        })
    }

    /// Whether the transactions up to `zxid` have a later command of its session.
    pub(super) fn is_superseded(&self, request: RequestId, zxid: Zxid) -> bool {
        self.has_command_of(request.client, zxid, |sequence| sequence > request.sequence)
    }

    fn has_command_of(
        &self,
        client: ClientId,
        zxid: Zxid,
        is_it: impl Fn(Sequence) -> bool,
    ) -> bool {
        let mut delivered = self.delivered_up_to(zxid);
        delivered.any(|next| match &next.transaction.content {
            Content::Command { request, .. } => request.client == client && is_it(request.sequence),
            Content::Sync { .. } => false,
        })
    }
}
