//! Clients: any node takes a request, and answers it once it has itself delivered what came
//! of it, so that a client sees its own writes wherever it asked (Medeiros 2012, §2).

use alloc::vec::Vec;

use super::election::Election;
use super::history::Content;
use super::message::Message;
use super::state::{Phase, Role, Waiting};
use super::{Event, Zab};
use crate::machine::StateMachine;
use crate::protocol::{Node, Outbox};
use crate::session::{Known, RequestId};

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
                let content = Content::Command { request, command };
                self.submit(node, content, Waiting::Command, out);
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
        self.submit(node, Content::Sync { request }, Waiting::Read(query), out);
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
        content: Content<M::Command>,
        waiting: Waiting<M>,
        out: &mut Outbox<Self>,
    ) {
        let request = content.request();
        if !self.serves(node) {
            return out.emit(Event::Refused { request });
        }
        node.volatile.waiting.insert(request, waiting);
        match &node.volatile.role {
            Role::Following(following) => {
                let epoch = node.durable().accepted_epoch;
                out.send(following.leader, Message::Request { epoch, content });
            }
            Role::Looking | Role::Leading(_) => self.propose(node, content, out),
        }
    }

    /// Answers what has come to be done with a snapshot.
    pub(super) fn answer_from_sessions(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let waiting: Vec<RequestId> = node.volatile.waiting.keys().copied().collect();
        for request in waiting {
            let event = match node.volatile.delivered.sessions.find(request) {
                Known::New => continue,
                Known::Applied(response) => Event::Reply {
                    request,
                    response: response.clone(),
                },
                Known::Superseded | Known::Expired => Event::Superseded { request },
            };
            node.volatile.waiting.remove(&request);
            out.emit(event);
        }
    }
}
