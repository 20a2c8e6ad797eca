//! Clients: any node takes a request, and answers it once it has itself delivered what came
//! of it, so that a client sees its own writes wherever it asked (Medeiros 2012, §2).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::election::Election;
use super::message::Message;
use super::state::{Phase, Role, Waiting};
use super::{Event, Zab};
use crate::machine::StateMachine;
use crate::protocol::{Node, NodeId, Outbox};
use crate::session::{Known, RequestId, Sequence};

impl<M: StateMachine, E: Election> Zab<M, E> {
    /// A client wants a command done.
    pub(super) fn on_write(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        command: M::Command,
        out: &mut Outbox<Self>,
    ) {
        match node.volatile.delivered.sessions.find(request) {
            Known::New => {
                self.submit(node, request, Waiting::Command(command), out);
            }
            Known::Applied(response) => out.emit(Event::Reply {
                request,
                response: response.clone(),
            }),
            // No session expires here: no transaction says so.
            Known::Superseded | Known::Expired => out.emit(Event::Superseded { request }),
        }
    }

    /// A client wants to know what is here, at once: a state that was committed, perhaps not
    /// the latest.
    pub(super) fn on_read(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        query: &M::Query,
        out: &mut Outbox<Self>,
    ) {
        if !self.serves(node) {
            return out.emit(Event::Refused { request });
        }
        let response = node.volatile.delivered.machine.query(query);
        out.emit(Event::Reply { request, response });
    }

    /// A client wants to know the latest state. It waits until this node has delivered a
    /// transaction that was broadcast for it, and with that all that was committed before it
    /// asked. (ZooKeeper's `sync` spares the broadcast: its leader answers from what it knows
    /// itself, so that one which has been deposed answers wrongly.)
    pub(super) fn on_synced_read(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        query: M::Query,
        out: &mut Outbox<Self>,
    ) {
        self.submit(node, request, Waiting::Read(query), out);
    }

    /// Whether this node is part of a quorum that broadcasts, as far as it knows.
    fn serves(&self, node: &Node<Self>) -> bool {
        match &node.volatile.role {
            Role::Looking => false,
            Role::Following(following) => following.phase == Phase::Broadcast,
            Role::Leading(_) => self.leads_established(node),
        }
    }

    /// Proposes, or passes on to who may.
    fn submit(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        waiting: Waiting<M>,
        out: &mut Outbox<Self>,
    ) {
        if !self.serves(node) {
            return out.emit(Event::Refused { request });
        }
        let content = waiting.content(request);
        node.volatile.waiting.insert(request, waiting);
        match &node.volatile.role {
            Role::Following(following) => {
                let epoch = node.durable().accepted_epoch;
                out.send(following.leader, Message::Request { epoch, content });
            }
            Role::Looking | Role::Leading(_) => self.propose(node, content, out),
        }
    }

    /// Passes on again what this node's clients wait for, if the leader seems not to know of it:
    /// it has proposed nothing that this node lacks, and this is not among it. The request was
    /// lost, or what was broadcast for a read has come within a snapshot. If it is only late,
    /// the leader knows it for the same, or broadcasts a sync in vain.
    pub(super) fn request_again(&self, node: &Node<Self>, leader: NodeId, out: &mut Outbox<Self>) {
        let epoch = node.durable().accepted_epoch;
        let delivered = node.volatile.delivered.zxid;
        let proposed = node.durable().history.after(delivered).iter();
        let proposed: BTreeSet<_> = proposed.map(|next| next.content.request()).collect();
        let waiting = node.volatile.waiting.iter();
        for (&request, waiting) in waiting.filter(|(request, _)| !proposed.contains(request)) {
            let content = waiting.content(request);
            out.send(leader, Message::Request { epoch, content });
        }
    }

    /// Answers the client of a delivered command, if it waits here: for that command, or for
    /// earlier ones, which it has given up.
    pub(super) fn answer_command(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        out: &mut Outbox<Self>,
    ) {
        let first = RequestId {
            sequence: Sequence::default(),
            ..request
        };
        let waiting = node.volatile.waiting.range(first..=request);
        let waiting: Vec<RequestId> = waiting.map(|(&id, _)| id).collect();
        for request in waiting {
            self.answer_from_session(node, request, out);
        }
    }

    /// Answers what has come to be done with a snapshot.
    pub(super) fn answer_commands(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let waiting: Vec<RequestId> = node.volatile.waiting.keys().copied().collect();
        for request in waiting {
            self.answer_from_session(node, request, out);
        }
    }

    fn answer_from_session(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        out: &mut Outbox<Self>,
    ) {
        let waiting = node.volatile.waiting.get(&request);
        if !matches!(waiting, Some(Waiting::Command(_))) {
            return;
        }
        let event = match node.volatile.delivered.sessions.find(request) {
            Known::New => return,
            Known::Applied(response) => Event::Reply {
                request,
                response: response.clone(),
            },
            Known::Superseded | Known::Expired => Event::Superseded { request },
        };
        node.volatile.waiting.remove(&request);
        out.emit(event);
    }

    /// Answers the client whose read this node has been synced for, if it waits here.
    pub(super) fn answer_read(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        out: &mut Outbox<Self>,
    ) {
        let Some(Waiting::Read(query)) = node.volatile.waiting.get(&request) else {
            return;
        };
        let response = node.volatile.delivered.machine.query(query);
        node.volatile.waiting.remove(&request);
        out.emit(Event::Reply { request, response });
    }
}
