//! The election as another protocol embeds it: with a rank that grows, messages and timers
//! wrapped, and a failure detector of its own.

use std::collections::BTreeSet;

use models::NodeId;
use models::bully::election::{Candidate, Contender, Event, Message, Output, State, Timer};

/// A rank such as ZAB's: the last transaction's epoch and counter.
type Rank = (u32, u32);

/// A host that knows nothing of elections but what the outputs say.
struct Host {
    id: NodeId,
    rank: Rank,
    peers: BTreeSet<NodeId>,
    state: State<Rank>,
    armed: Option<Timer>,
    leader: Option<NodeId>,
    outgoing: Vec<(NodeId, Message<Rank>)>,
}

impl Host {
    fn start(id: u16, rank: Rank, size: u16) -> Self {
        let id = NodeId(id);
        let peers = (0..size).map(NodeId).filter(|&peer| peer != id).collect();
        let mut outputs = Vec::new();
        let state = contender(id, rank, &peers).boot(&mut outputs);
        let mut host = Self {
            id,
            rank,
            peers,
            state,
            armed: None,
            leader: None,
            outgoing: Vec::new(),
        };
        host.release(outputs);
        host
    }

    fn with(&mut self, act: impl FnOnce(&Contender<'_, Rank>, &mut State<Rank>, &mut Outputs)) {
        let mut outputs = Vec::new();
        let contender = contender(self.id, self.rank, &self.peers);
        act(&contender, &mut self.state, &mut outputs);
        self.release(outputs);
    }

    fn release(&mut self, outputs: Outputs) {
        for output in outputs {
            match output {
                Output::Send { to, message } => self.outgoing.push((to, message)),
                Output::Arm(timer) => self.armed = Some(timer),
                Output::Disarm(timer) if self.armed == Some(timer) => self.armed = None,
                Output::Disarm(_) => {}
                Output::Emit(Event::Electing { .. }) => self.leader = None,
                Output::Emit(Event::Elected { leader, .. }) => self.leader = Some(leader),
            }
        }
    }
}

type Outputs = Vec<Output<Rank>>;

fn contender(id: NodeId, rank: Rank, peers: &BTreeSet<NodeId>) -> Contender<'_, Rank> {
    let me = Candidate { rank, id };
    Contender { me, peers }
}

/// Delivers all there is, then lets one timer run out, the shortest, until nothing is left to
/// do.
fn settle(hosts: &mut [Host]) {
    loop {
        let mail: Vec<_> = hosts
            .iter_mut()
            .flat_map(|host| {
                let from = host.id;
                let outgoing = host.outgoing.drain(..);
                outgoing.map(move |(to, message)| (from, to, message))
            })
            .collect();
        let is_quiet = mail.is_empty();
        for (from, to, message) in mail {
            let receiver = hosts.iter_mut().find(|host| host.id == to);
            if let Some(host) = receiver {
                host.with(|me, state, out| me.on_message(state, from, message, out));
            }
        }
        if is_quiet {
            let armed = hosts.iter_mut().filter(|host| host.armed.is_some());
            let due = armed.min_by_key(|host| host.armed);
            let Some((host, timer)) = due.and_then(|host| {
                let timer = host.armed.take()?;
                Some((host, timer))
            }) else {
                return;
            };
            host.with(|me, state, out| me.on_timeout(state, timer, out));
        }
    }
}

fn leaders(hosts: &[Host]) -> Vec<Option<u16>> {
    let leader = |host: &Host| host.leader.map(|leader| leader.0);
    hosts.iter().map(leader).collect()
}

/// The rank decides, not the id.
#[test]
fn the_highest_rank_leads() {
    let ranks = [(1, 7), (2, 0), (1, 9)];
    let start = |(id, rank)| Host::start(id, rank, 3);
    let mut hosts: Vec<Host> = (0..).zip(ranks).map(start).collect();
    settle(&mut hosts);
    assert_eq!(leaders(&hosts), [Some(1); 3]);
}

/// Equal ranks are ordered by id.
#[test]
fn ties_are_broken_by_id() {
    let mut hosts: Vec<Host> = (0..4).map(|id| Host::start(id, (1, 1), 4)).collect();
    settle(&mut hosts);
    assert_eq!(leaders(&hosts), [Some(3); 4]);
}

/// Ranks have grown when the host suspects the leader: the next election goes by the new ones.
#[test]
fn a_rank_that_has_grown_counts_in_the_next_election() {
    let mut hosts: Vec<Host> = (0..3).map(|id| Host::start(id, (0, 0), 3)).collect();
    settle(&mut hosts);
    assert_eq!(leaders(&hosts), [Some(2); 3]);
    hosts[0].rank = (1, 5);
    hosts[1].rank = (1, 4);
    hosts.remove(2);
    hosts[1].with(|me, state, out| me.stand(state, out));
    settle(&mut hosts);
    assert_eq!(leaders(&hosts), [Some(0); 2]);
    assert_eq!(hosts[0].state.election.0, 2);
}

/// A node that comes up late is told who leads, and the number to go on from.
#[test]
fn a_newcomer_is_told() {
    let mut hosts: Vec<Host> = (0..3).map(|id| Host::start(id, (1, 1), 3)).collect();
    settle(&mut hosts);
    hosts[0] = Host::start(0, (0, 9), 3);
    settle(&mut hosts);
    assert_eq!(leaders(&hosts), [Some(2); 3]);
    hosts[0] = Host::start(0, (3, 0), 3);
    settle(&mut hosts);
    assert_eq!(leaders(&hosts), [Some(0); 3]);
}
