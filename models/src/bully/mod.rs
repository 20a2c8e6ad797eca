//! The Bully algorithm after "Elections in a Distributed Computing System" (Garcia-Molina,
//! IEEE Transactions on Computers C-31(1), 1982): of the nodes that are up, the highest leads.
//!
//! **It is right only if delays are bounded**: a message arrives within a known time or its
//! receiver has failed, and a node that is up answers at once (the paper assumes a network that
//! never fails, and nodes that never pause). Then its Assertion 1 holds: no two nodes that are up
//! and not electing disagree on the leader. Without it two nodes may lead at once, and no tuning
//! prevents it: whoever cannot have that needs quorums. The models show both.
//!
//! Like the paper's, a candidate halts the lower nodes before it wins, which is what Assertion
//! 1 rests on. Unlike the paper's: elections are numbered, so that messages of old ones are
//! told apart; a lower node that comes up is told who leads and disturbs nobody; and a node
//! checks that its leader is up by that leader's repeated Coordinator, not by polling it.
//!
//! **Nothing is on disk**, so a lost one loses nothing: a node that comes up has promised nothing that
//! it could have forgotten, and elections are numbered by what is heard of them.
//!
//! [`election`] is the algorithm, to be embedded by whoever has a failure detector of its own;
//! [`Bully`] is a protocol on top of it, which adds one.

pub mod election;
pub mod spec;

mod message;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use self::election::{Candidate, Contender, Output, State};
pub use self::message::{Message, Number};
use crate::protocol::{Data, Input, Node, NodeId, Outbox, Protocol};

/// One node's configuration. `R` is its rank, by which nodes are ordered; equal ranks are
/// ordered by id. Use `()` to order by id alone.
#[derive(Clone, Debug)]
pub struct Bully<R> {
    me: Candidate<R>,
    peers: BTreeSet<NodeId>,
}

/// Bully's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// One of the election's.
    Election(election::Timer),
    /// Runs on who follows: the leader must have failed. Longer than the leader's heartbeat and
    /// a message delay, else elections are begun in vain.
    Leader,
    /// Runs on who leads: time to show that it is up.
    Heartbeat,
}

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Command {
    /// Who leads?
    WhoLeads,
}

/// What a node tells its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Event {
    /// How far an election is.
    Election(election::Event),
    /// The answer to [`Command::WhoLeads`].
    Leads {
        /// Who leads, unless an election is under way.
        leader: Option<NodeId>,
        /// The election.
        election: Number,
    },
}

/// A configuration that no cluster can have. Nothing has been started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigurationError {
    /// Two nodes have the same id. Ranks may be equal, ids may not: they break the tie.
    DuplicateId(NodeId),
    /// The node itself is not among the nodes.
    NotAMember(NodeId),
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateId(id) => write!(f, "two nodes have the id {id}: ids must differ"),
            Self::NotAMember(id) => write!(f, "{id} is not among the cluster's nodes"),
        }
    }
}

impl core::error::Error for ConfigurationError {}

impl<R: Data> Bully<R> {
    /// The node `id`, of this rank, in a cluster of `nodes`, itself included.
    ///
    /// # Errors
    /// If two of `nodes` are equal, or `id` is not among them.
    pub fn new(
        id: NodeId,
        rank: R,
        nodes: impl IntoIterator<Item = NodeId>,
    ) -> Result<Self, ConfigurationError> {
        let mut peers = BTreeSet::new();
        for node in nodes {
            if !peers.insert(node) {
                return Err(ConfigurationError::DuplicateId(node));
            }
        }
        if !peers.remove(&id) {
            return Err(ConfigurationError::NotAMember(id));
        }
        let me = Candidate { rank, id };
        Ok(Self { me, peers })
    }

    /// This node, with its rank.
    pub fn candidate(&self) -> &Candidate<R> {
        &self.me
    }

    /// The cluster's other nodes.
    pub fn peers(&self) -> &BTreeSet<NodeId> {
        &self.peers
    }

    fn contender(&self) -> Contender<'_, R> {
        Contender {
            me: self.me.clone(),
            peers: &self.peers,
        }
    }

    fn on_message(
        &self,
        state: &mut State<R>,
        from: NodeId,
        message: Message<R>,
        out: &mut Outbox<Self>,
    ) {
        // Nobody else has a say, least of all one that speaks in this node's own name.
        if !self.peers.contains(&from) {
            return;
        }
        let heartbeat = match message {
            Message::Coordinator { election, .. } => Some(election),
            Message::Election { .. } | Message::Okay { .. } | Message::Stale { .. } => None,
        };
        let mut outputs = Vec::new();
        self.contender()
            .on_message(state, from, message, &mut outputs);
        self.release(outputs, out);
        if state.leader() == Some(from) && heartbeat == Some(state.election) {
            out.arm(Timer::Leader);
        }
    }

    fn on_election_timeout(
        &self,
        state: &mut State<R>,
        timer: election::Timer,
        out: &mut Outbox<Self>,
    ) {
        let mut outputs = Vec::new();
        self.contender().on_timeout(state, timer, &mut outputs);
        self.release(outputs, out);
    }

    /// The leader has been silent for too long.
    fn on_leader_timeout(&self, state: &mut State<R>, out: &mut Outbox<Self>) {
        if state.leader().is_some_and(|leader| leader != self.me.id) {
            let mut outputs = Vec::new();
            self.contender().stand(state, &mut outputs);
            self.release(outputs, out);
        }
    }

    fn on_heartbeat_timeout(&self, state: &State<R>, out: &mut Outbox<Self>) {
        if state.leader() == Some(self.me.id) {
            let mut outputs = Vec::new();
            self.contender().repeat_coordinator(state, &mut outputs);
            self.release(outputs, out);
            out.arm(Timer::Heartbeat);
        }
    }

    /// Does what the election wants done. While one is under way there is no leader to watch.
    fn release(&self, outputs: Vec<Output<R>>, out: &mut Outbox<Self>) {
        for output in outputs {
            match output {
                Output::Send { to, message } => out.send(to, message),
                Output::Arm(timer) => out.arm(Timer::Election(timer)),
                Output::Disarm(timer) => out.disarm(Timer::Election(timer)),
                Output::Emit(event) => {
                    self.watch(event, out);
                    out.emit(Event::Election(event));
                }
            }
        }
    }

    /// Who follows watches the leader, who leads shows that it is up.
    fn watch(&self, event: election::Event, out: &mut Outbox<Self>) {
        out.disarm(Timer::Leader);
        out.disarm(Timer::Heartbeat);
        match event {
            election::Event::Electing { .. } => {}
            election::Event::Elected { leader, .. } if leader == self.me.id => {
                out.arm(Timer::Heartbeat);
            }
            election::Event::Elected { .. } => out.arm(Timer::Leader),
        }
    }
}

impl<R: Data> Protocol for Bully<R> {
    /// Nothing: see [`election`].
    type Durable = ();
    type Volatile = State<R>;
    type Message = Message<R>;
    type Timer = Timer;
    type Command = Command;
    type Event = Event;

    fn id(&self) -> NodeId {
        self.me.id
    }

    fn boot(&self, (): &(), out: &mut Outbox<Self>) -> State<R> {
        let mut outputs = Vec::new();
        let state = self.contender().boot(&mut outputs);
        self.release(outputs, out);
        state
    }

    fn step(&self, node: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>) {
        let state = &mut node.volatile;
        match input {
            Input::Deliver { from, message } => self.on_message(state, from, message, out),
            Input::Fire(Timer::Election(timer)) => self.on_election_timeout(state, timer, out),
            Input::Fire(Timer::Leader) => self.on_leader_timeout(state, out),
            Input::Fire(Timer::Heartbeat) => self.on_heartbeat_timeout(state, out),
            Input::Ask(Command::WhoLeads) => out.emit(Event::Leads {
                leader: state.leader(),
                election: state.election,
            }),
        }
    }
}
