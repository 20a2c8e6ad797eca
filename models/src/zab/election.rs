//! Phase 0: how a node comes to follow or to lead.
//!
//! ZAB takes the word of any election: it may name two leaders at once, or none, or one that
//! is dead. That costs time, never safety, which rests on epochs alone (DSN 2011, §IV).

use alloc::vec::Vec;
use core::fmt::Debug;

use derive_where::derive_where;

use super::history::Recency;
use super::state::{Following, Leading, Phase, Role};
use super::{Event, Message, Timer, Zab};
use crate::machine::StateMachine;
use crate::protocol::{Data, Node, NodeId, Outbox, Protocol};

/// An election, embedded in a node. `Self` is the node's configuration of it.
pub trait Election: Clone + Debug + Send + Sync + 'static {
    /// What the election remembers. A crash forgets it.
    type State: Data;
    /// What nodes send each other for it.
    type Message: Data;
    /// Its timers.
    type Timer: Data;

    /// The node has just come up, and looks for a leader. None can be named yet.
    fn boot(&self, recency: Recency, out: &mut Vec<Output<Self>>) -> Self::State;

    /// The node has lost its leader, or its office.
    fn look(&self, state: &mut Self::State, recency: Recency, out: &mut Vec<Output<Self>>);

    /// A message of the election has come.
    fn on_message(
        &self,
        state: &mut Self::State,
        recency: Recency,
        from: NodeId,
        message: Self::Message,
        out: &mut Vec<Output<Self>>,
    );

    /// A timer of the election has run out.
    fn on_timeout(
        &self,
        state: &mut Self::State,
        recency: Recency,
        timer: Self::Timer,
        out: &mut Vec<Output<Self>>,
    );
}

/// One thing that an election wants done.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub enum Output<E: Election> {
    /// Send a message of the election.
    Send {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: E::Message,
    },
    /// Start a timer of the election, or start it anew.
    Arm(E::Timer),
    /// Stop a timer of the election.
    Disarm(E::Timer),
    /// Take this node for the leader. It may be the node itself.
    Elect(NodeId),
}

impl<M: StateMachine, E: Election> Zab<M, E> {
    /// Gives up whatever this node was part of, and looks for a leader.
    pub(super) fn look_for_leader(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        self.leave(node, out);
        self.elect(node, out, |election, state, recency, outputs| {
            election.look(state, recency, outputs);
        });
    }

    /// Lets the election do something, and does what it wants.
    pub(super) fn elect(
        &self,
        node: &mut Node<Self>,
        out: &mut Outbox<Self>,
        work: impl FnOnce(&E, &mut E::State, Recency, &mut Vec<Output<E>>),
    ) {
        let recency = node.durable().recency();
        let mut outputs = Vec::new();
        let state = &mut node.volatile.election;
        work(&self.election, state, recency, &mut outputs);
        for output in outputs {
            if let Some(leader) = release(output, out) {
                self.elected(node, leader, out);
            }
        }
    }

    /// The election names a leader.
    pub(super) fn elected(&self, node: &mut Node<Self>, leader: NodeId, out: &mut Outbox<Self>) {
        match &node.volatile.role {
            Role::Leading(_) if leader == self.id() => {}
            Role::Following(following) if following.leader == leader => {
                // The leader may not have known yet that it is one when it was told first.
                if following.phase == Phase::Discovery {
                    self.introduce(node, leader, out);
                }
            }
            Role::Looking | Role::Following(_) | Role::Leading(_) => {
                self.leave(node, out);
                if leader == self.id() {
                    self.lead(node, out);
                } else if self.voters().contains(&leader) {
                    self.follow(node, leader, out);
                }
            }
        }
    }

    fn lead(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        node.volatile.role = Role::Leading(Leading::Elected {
            accepted: [].into(),
        });
        out.arm(Timer::Init);
        self.propose_epoch(node, out);
    }

    fn follow(&self, node: &mut Node<Self>, leader: NodeId, out: &mut Outbox<Self>) {
        node.volatile.role = Role::Following(Following {
            leader,
            phase: Phase::Discovery,
        });
        out.arm(Timer::Init);
        self.introduce(node, leader, out);
    }

    /// Ends what this node was part of. What its clients wait for may still be committed by
    /// others: they are told that nobody here knows.
    pub(super) fn leave(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let was_looking = node.volatile.role == Role::Looking;
        node.volatile.role = Role::Looking;
        if was_looking {
            return;
        }
        for timer in [Timer::Init, Timer::Sync, Timer::Ping] {
            out.disarm(timer);
        }
        for (request, _) in core::mem::take(&mut node.volatile.waiting) {
            out.emit(Event::Abandoned { request });
        }
        out.emit(Event::Looking);
    }
}

/// Does what the election wants done outside the node, and returns whom it has named.
pub(super) fn release<M: StateMachine, E: Election>(
    output: Output<E>,
    out: &mut Outbox<Zab<M, E>>,
) -> Option<NodeId> {
    match output {
        Output::Send { to, message } => out.send(to, Message::Election(message)),
        Output::Arm(timer) => out.arm(Timer::Election(timer)),
        Output::Disarm(timer) => out.disarm(Timer::Election(timer)),
        Output::Elect(leader) => return Some(leader),
    }
    None
}
