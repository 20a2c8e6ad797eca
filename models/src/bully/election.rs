//! The election itself, for embedding: no timers of a host, no failure detector, no disk.
//!
//! A protocol that wants Bully to propose its leader keeps a [`State`], wraps [`Message`] and
//! [`Timer`] in its own, hands what arrives to a [`Contender`], and does what the [`Output`]s
//! say. It decides when a leader is suspected and calls [`Contender::stand`] then. The node's
//! rank is an argument of every call, for an embedder's rank may grow; within one election a
//! node should keep to one rank. [`Bully`](super::Bully) is such an embedder.
//!
//! **Nothing here has to survive a crash.** A node that recovers stands for election anew, and
//! whoever is up tells it the number to go on from. What durable numbers would buy is
//! uniqueness, and they can't: a node that was down the whole time, and is alone when it comes
//! up, has never heard of the number that it takes. An embedder that must not have two leaders
//! needs a quorum and an epoch of its own; to such a one, Bully's leader is a proposal.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use super::message::{Message, Number};
use crate::protocol::{Data, NodeId};

/// A node and its rank. Nodes are ordered by rank, equal ranks by id; the highest node that
/// is up must lead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Candidate<R> {
    /// Its rank.
    pub rank: R,
    /// Its id.
    pub id: NodeId,
}

/// How far a node is in an election. A crash may forget it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct State<R> {
    /// The last election that this node knows of.
    pub election: Number,
    /// What it is in that election.
    pub standing: Standing,
    /// The highest candidate that it knows to take part; once it is over, the winner.
    pub highest: Candidate<R>,
}

/// What a node is in its current election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Standing {
    /// It stands: it has asked all others, and nobody higher has answered yet.
    Candidate,
    /// It waits for a coordinator, for a higher node takes part.
    Waiting,
    /// The election is over.
    Elected {
        /// Who leads.
        leader: NodeId,
    },
}

impl<R> State<R> {
    /// Who leads, unless an election is under way.
    pub fn leader(&self) -> Option<NodeId> {
        match self.standing {
            Standing::Elected { leader } => Some(leader),
            Standing::Candidate | Standing::Waiting => None,
        }
    }
}

/// The election's timers. At most one of them runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Runs on candidates: a higher node that is up would have answered by now. Longer than a
    /// round trip between any two nodes that are up: this is what the algorithm rests on.
    Okay,
    /// Runs on who waits: the higher node must have failed. Longer than an Okay timeout and
    /// two message delays, else elections are begun in vain.
    Coordinator,
}

impl Timer {
    /// Whether this one is set so much longer than `other` that `other` runs out first.
    pub fn outlasts(self, other: Self) -> bool {
        (self, other) == (Self::Coordinator, Self::Okay)
    }
}

/// What the election wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Output<R> {
    /// Send a message to a peer.
    Send {
        /// The receiver.
        to: NodeId,
        /// What to send.
        message: Message<R>,
    },
    /// Start a timer, or start it anew.
    Arm(Timer),
    /// Stop a timer.
    Disarm(Timer),
    /// Tell the host something.
    Emit(Event),
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Event {
    /// An election is under way: until it is over this node knows no leader.
    Electing {
        /// The election.
        election: Number,
    },
    /// An election is over.
    Elected {
        /// Who leads; perhaps this node itself.
        leader: NodeId,
        /// The election.
        election: Number,
    },
}

/// A node as it is now, taking part in elections.
#[derive(Clone, Debug)]
pub struct Contender<'a, R> {
    /// The node, with the rank that it has now.
    pub me: Candidate<R>,
    /// The other nodes.
    pub peers: &'a BTreeSet<NodeId>,
}

impl<R: Data> Contender<'_, R> {
    /// A node that has just come up, for the first time or after a crash, stands at once:
    /// the highest node must lead, even if another leads already.
    pub fn boot(&self, out: &mut Vec<Output<R>>) -> State<R> {
        let mut state = State {
            election: Number::default(),
            standing: Standing::Waiting,
            highest: self.me.clone(),
        };
        self.stand(&mut state, out);
        state
    }

    /// Stands in a new election. For the host to call when it has reason to think that the
    /// leader has failed.
    pub fn stand(&self, state: &mut State<R>, out: &mut Vec<Output<R>>) {
        self.stand_in(state, state.election.next(), out);
    }

    /// Handles a message. One from a node that is no peer is ignored, and so is one from
    /// further ahead than numbers can have come.
    pub fn on_message(
        &self,
        state: &mut State<R>,
        from: NodeId,
        message: Message<R>,
        out: &mut Vec<Output<R>>,
    ) {
        if !self.peers.contains(&from) || !state.election.may_reach(message.election()) {
            return;
        }
        match message {
            Message::Election { election, rank } => {
                self.on_election(state, election, Candidate { rank, id: from }, out);
            }
            Message::Okay { election } => on_okay(state, election, out),
            Message::Coordinator { election, rank } => {
                self.on_coordinator(state, election, Candidate { rank, id: from }, out);
            }
            Message::Stale { election, current } => self.on_stale(state, election, current, out),
        }
    }

    /// Handles a timeout.
    pub fn on_timeout(&self, state: &mut State<R>, timer: Timer, out: &mut Vec<Output<R>>) {
        match timer {
            Timer::Okay => self.on_okay_timeout(state, out),
            Timer::Coordinator => self.on_coordinator_timeout(state, out),
        }
    }

    /// Says again to all that this node leads, if it does: shows that it is up, and makes good
    /// for a Coordinator message that was lost. For hosts without a heartbeat of their own.
    pub fn repeat_coordinator(&self, state: &State<R>, out: &mut Vec<Output<R>>) {
        if state.leader() == Some(self.me.id) {
            self.send_to_all(&self.coordinator(state), out);
        }
    }

    /// A node stands. Whoever is higher must take part as well; whoever is lower gives way,
    /// without a word as long as it knows of nobody higher still.
    fn on_election(
        &self,
        state: &mut State<R>,
        election: Number,
        them: Candidate<R>,
        out: &mut Vec<Output<R>>,
    ) {
        let is_over = election == state.election && state.leader().is_some();
        let is_past = election < state.election || is_over;
        let is_new = election > state.election;
        if is_new && self.me > them {
            // To be asked in turn is answer enough.
            self.stand_in(state, election, out);
        } else if is_new || !is_past && them > state.highest {
            self.wait_for(state, election, them, out);
        } else if is_past || them < state.highest {
            self.answer(state, election, &them, out);
        }
    }

    /// Tells one who stands why it must not win.
    ///
    /// A candidate asks it in turn, which says that a higher node is up, or that one wants to
    /// know. Asking once is not enough: who comes up later has neither answered nor been halted.
    /// One that is higher than all, or was the leader itself and has come up again, must have an
    /// election, and is told where to go on from. To any other the leader simply says that it
    /// leads, and the rest keep it from winning meanwhile, on behalf of the one they wait for or
    /// follow: a lower node that comes up disturbs nobody.
    fn answer(
        &self,
        state: &State<R>,
        election: Number,
        them: &Candidate<R>,
        out: &mut Vec<Output<R>>,
    ) {
        let current = state.election;
        let answer = match state.standing {
            Standing::Candidate => self.question(state),
            Standing::Waiting | Standing::Elected { .. } if *them >= state.highest => {
                Message::Stale { election, current }
            }
            Standing::Elected { leader } if leader == self.me.id => self.coordinator(state),
            Standing::Waiting | Standing::Elected { .. } => Message::Okay { election },
        };
        send(out, them, answer);
    }

    /// A node has won. Accepted from a higher node alone, and not if it is of an old election.
    ///
    /// Of the same election not if one still higher takes part: that one will win, or be found
    /// out. Two win the same only if delays are not bounded, and then the higher one counts.
    fn on_coordinator(
        &self,
        state: &mut State<R>,
        election: Number,
        them: Candidate<R>,
        out: &mut Vec<Output<R>>,
    ) {
        let is_new = election > state.election;
        let is_news = state.leader() != Some(them.id);
        if election < state.election {
            self.answer_stale_coordinator(state, election, &them, out);
        } else if self.me > them {
            // The bullying: a higher node puts up with no lower leader.
            self.stand_in(state, election.next(), out);
        } else if is_new || is_news && them >= state.highest {
            self.follow(state, election, them, out);
        }
    }

    /// A leader that has missed an election. If it was a lower one it is enough that the leader
    /// of now tells it; if it is higher than all, it must stand again.
    fn answer_stale_coordinator(
        &self,
        state: &State<R>,
        election: Number,
        them: &Candidate<R>,
        out: &mut Vec<Output<R>>,
    ) {
        let current = state.election;
        if state.highest < *them {
            send(out, them, Message::Stale { election, current });
        } else if state.leader() == Some(self.me.id) {
            send(out, them, self.coordinator(state));
        }
    }

    /// This node has missed something, and is higher than all who know of it. Who waits goes on
    /// waiting: a higher one sees to it.
    fn on_stale(
        &self,
        state: &mut State<R>,
        election: Number,
        current: Number,
        out: &mut Vec<Output<R>>,
    ) {
        let is_current = election == state.election && current >= election;
        let stands_or_leads =
            state.standing == Standing::Candidate || state.leader() == Some(self.me.id);
        if is_current && stands_or_leads && election.may_reach(current) {
            self.stand_in(state, current.next(), out);
        }
    }

    /// Nobody higher has answered: nobody higher is up. (So it is if delays are bounded.)
    fn on_okay_timeout(&self, state: &mut State<R>, out: &mut Vec<Output<R>>) {
        if state.standing != Standing::Candidate {
            return;
        }
        self.follow(state, state.election, self.me.clone(), out);
        self.send_to_all(&self.coordinator(state), out);
    }

    /// A higher node has answered and then not won: it has failed, so it begins all over.
    fn on_coordinator_timeout(&self, state: &mut State<R>, out: &mut Vec<Output<R>>) {
        if state.standing == Standing::Waiting {
            self.stand(state, out);
        }
    }

    /// Stands in `election`, which this node has not stood in before.
    fn stand_in(&self, state: &mut State<R>, election: Number, out: &mut Vec<Output<R>>) {
        *state = State {
            election,
            standing: Standing::Candidate,
            highest: self.me.clone(),
        };
        out.push(Output::Emit(Event::Electing { election }));
        out.push(Output::Disarm(Timer::Coordinator));
        out.push(Output::Arm(Timer::Okay));
        self.send_to_all(&self.question(state), out);
    }

    /// Gives way to a higher candidate, in this election or a new one.
    fn wait_for(
        &self,
        state: &mut State<R>,
        election: Number,
        highest: Candidate<R>,
        out: &mut Vec<Output<R>>,
    ) {
        if election != state.election {
            out.push(Output::Emit(Event::Electing { election }));
        }
        out.push(Output::Disarm(Timer::Okay));
        out.push(Output::Arm(Timer::Coordinator));
        let standing = Standing::Waiting;
        self.turn_to(state, election, standing, highest, out);
    }

    /// The election is over, and `winner` leads.
    fn follow(
        &self,
        state: &mut State<R>,
        election: Number,
        winner: Candidate<R>,
        out: &mut Vec<Output<R>>,
    ) {
        let leader = winner.id;
        out.push(Output::Disarm(Timer::Okay));
        out.push(Output::Disarm(Timer::Coordinator));
        out.push(Output::Emit(Event::Elected { leader, election }));
        let standing = Standing::Elected { leader };
        self.turn_to(state, election, standing, winner, out);
    }

    /// Turns to another candidate. The one that this node has waited for until now was given
    /// way to without a word, and may win if nobody else knows better: it gets its answer now.
    fn turn_to(
        &self,
        state: &mut State<R>,
        election: Number,
        standing: Standing,
        highest: Candidate<R>,
        out: &mut Vec<Output<R>>,
    ) {
        let now = State {
            election,
            standing,
            highest,
        };
        let before = core::mem::replace(state, now);
        let gave_way = before.standing == Standing::Waiting && before.highest != self.me;
        if gave_way && before.highest != state.highest {
            self.answer(state, before.election, &before.highest, out);
        }
    }

    fn question(&self, state: &State<R>) -> Message<R> {
        Message::Election {
            election: state.election,
            rank: self.me.rank.clone(),
        }
    }

    fn coordinator(&self, state: &State<R>) -> Message<R> {
        Message::Coordinator {
            election: state.election,
            rank: self.me.rank.clone(),
        }
    }

    fn send_to_all(&self, message: &Message<R>, out: &mut Vec<Output<R>>) {
        out.extend(self.peers.iter().map(|&to| Output::Send {
            to,
            message: message.clone(),
        }));
    }
}

/// A higher node is up: it will win, or another still higher.
fn on_okay<R>(state: &mut State<R>, election: Number, out: &mut Vec<Output<R>>) {
    if election == state.election && state.standing == Standing::Candidate {
        state.standing = Standing::Waiting;
        out.push(Output::Disarm(Timer::Okay));
        out.push(Output::Arm(Timer::Coordinator));
    }
}

fn send<R>(out: &mut Vec<Output<R>>, to: &Candidate<R>, message: Message<R>) {
    out.push(Output::Send { to: to.id, message });
}
