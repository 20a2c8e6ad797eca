//! Bully proposes the leader: of the nodes that are up, the one with the most recent history,
//! and of several the one with the highest id. Where delays are not bounded it may propose two
//! at once; ZAB bears that.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::election::{Election, Output};
use super::history::Recency;
use crate::bully::election::{self, Candidate, Contender, Event, State};
use crate::bully::{Message, election::Timer};
use crate::protocol::NodeId;

/// A node's part in the elections.
#[derive(Clone, Debug)]
pub struct Bully {
    id: NodeId,
    peers: BTreeSet<NodeId>,
}

impl Bully {
    /// The node `id` of an ensemble of `nodes`.
    pub fn new(id: NodeId, nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let peers = nodes.into_iter().filter(|&node| node != id).collect();
        Self { id, peers }
    }

    /// The node as it is now: it ranks by its history.
    fn contender(&self, rank: Recency) -> Contender<'_, Recency> {
        let me = Candidate { rank, id: self.id };
        let peers = &self.peers;
        Contender { me, peers }
    }
}

impl Election for Bully {
    type State = State<Recency>;
    type Message = Message<Recency>;
    type Timer = Timer;

    fn boot(&self, recency: Recency, out: &mut Vec<Output<Self>>) -> State<Recency> {
        let mut outputs = Vec::new();
        let state = self.contender(recency).boot(&mut outputs);
        release(outputs, out);
        state
    }

    /// An election that is under way will end without a new one.
    fn look(&self, state: &mut State<Recency>, recency: Recency, out: &mut Vec<Output<Self>>) {
        if state.leader().is_some() {
            let mut outputs = Vec::new();
            self.contender(recency).stand(state, &mut outputs);
            release(outputs, out);
        }
    }

    fn on_message(
        &self,
        state: &mut State<Recency>,
        recency: Recency,
        from: NodeId,
        message: Message<Recency>,
        out: &mut Vec<Output<Self>>,
    ) {
        let mut outputs = Vec::new();
        let contender = self.contender(recency);
        contender.on_message(state, from, message, &mut outputs);
        release(outputs, out);
    }

    fn on_timeout(
        &self,
        state: &mut State<Recency>,
        recency: Recency,
        timer: Timer,
        out: &mut Vec<Output<Self>>,
    ) {
        let mut outputs = Vec::new();
        let contender = self.contender(recency);
        contender.on_timeout(state, timer, &mut outputs);
        release(outputs, out);
    }
}

fn release(outputs: Vec<election::Output<Recency>>, out: &mut Vec<Output<Bully>>) {
    let outputs = outputs.into_iter().filter_map(|output| match output {
        election::Output::Send { to, message } => Some(Output::Send { to, message }),
        election::Output::Arm(timer) => Some(Output::Arm(timer)),
        election::Output::Disarm(timer) => Some(Output::Disarm(timer)),
        election::Output::Emit(Event::Elected { leader, .. }) => Some(Output::Elect(leader)),
        // Until it is over, who has a leader keeps it.
        election::Output::Emit(Event::Electing { .. }) => None,
    });
    out.extend(outputs);
}
