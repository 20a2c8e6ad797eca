//! One Bully node on a workbench.

use models::bully::election::{self, Standing, State};
use models::bully::{Bully, Command, Event, Message, Number, Timer};
use models::{Effect, Input, Node, NodeId, Outbox, Protocol};

/// The Bully that the tests run: nodes are ordered by id alone.
pub(super) type Plain = Bully<()>;
pub(super) type Msg = Message<()>;
pub(super) type Effects = Vec<Effect<Plain>>;

pub(super) const OKAY: Timer = Timer::Election(election::Timer::Okay);
pub(super) const COORDINATOR: Timer = Timer::Election(election::Timer::Coordinator);

/// A node, and what its boot did.
pub(super) struct Bench {
    bully: Plain,
    node: Node<Plain>,
}

impl Bench {
    /// Node `id` of a cluster of `size`, as it is when it has just come up: it stands in
    /// election 1.
    pub(super) fn start(id: u16, size: u16) -> (Self, Effects) {
        let bully = Bully::new(NodeId(id), (), (0..size).map(NodeId)).expect("it is a member");
        let mut out = Outbox::new();
        let node = Node::boot(&bully, (), &mut out);
        (Self { bully, node }, out.drain().collect())
    }

    /// As [`start`](Self::start), without what it did.
    pub(super) fn candidate(id: u16, size: u16) -> Self {
        Self::start(id, size).0
    }

    /// Node `id` of `size`, which waits in election 1 for the higher `highest` to win.
    pub(super) fn waiting(id: u16, size: u16, highest: u16) -> Self {
        let mut bench = Self::candidate(id, size);
        bench.deliver(highest, election(1));
        bench
    }

    /// Node `id` of `size`, which follows `leader` since election 1.
    pub(super) fn follower(id: u16, size: u16, leader: u16) -> Self {
        let mut bench = Self::candidate(id, size);
        bench.deliver(leader, coordinator(1));
        bench
    }

    /// Node `id` of `size`, which leads since election 1.
    pub(super) fn leader(id: u16, size: u16) -> Self {
        let mut bench = Self::candidate(id, size);
        bench.fire(OKAY);
        bench
    }

    fn feed(&mut self, input: Input<Plain>) -> Effects {
        let mut out = Outbox::new();
        self.bully.step(&mut self.node, input, &mut out);
        out.drain().collect()
    }

    /// A message from node `from` arrives.
    pub(super) fn deliver(&mut self, from: u16, message: Msg) -> Effects {
        let from = NodeId(from);
        self.feed(Input::Deliver { from, message })
    }

    /// A timer runs out.
    pub(super) fn fire(&mut self, timer: Timer) -> Effects {
        self.feed(Input::Fire(timer))
    }

    /// A client asks for something.
    pub(super) fn ask(&mut self, command: Command) -> Effects {
        self.feed(Input::Ask(command))
    }

    /// How far the node is.
    pub(super) fn state(&self) -> &State<()> {
        &self.node.volatile
    }

    /// What it is in its current election, and which that is.
    pub(super) fn standing(&self) -> (u64, Standing) {
        (self.state().election.0, self.state().standing)
    }

    /// Who leads, and since which election.
    pub(super) fn leads(&self) -> Option<(u16, u64)> {
        let leader = self.state().leader()?;
        Some((leader.0, self.state().election.0))
    }
}

/// The sender stands.
pub(super) fn election(election: u64) -> Msg {
    let (election, rank) = (Number(election), ());
    Message::Election { election, rank }
}

/// A higher node takes part.
pub(super) fn okay(election: u64) -> Msg {
    let election = Number(election);
    Message::Okay { election }
}

/// The sender has won.
pub(super) fn coordinator(election: u64) -> Msg {
    let (election, rank) = (Number(election), ());
    Message::Coordinator { election, rank }
}

/// That is over: `current` is the election of now.
pub(super) fn stale(election: u64, current: u64) -> Msg {
    let (election, current) = (Number(election), Number(current));
    Message::Stale { election, current }
}

/// The effect of sending `message` to node `to`.
pub(super) fn send(to: u16, message: Msg) -> Effect<Plain> {
    let to = NodeId(to);
    Effect::Send { to, message }
}

/// The effects of an election's beginning or end: there is no leader to watch, or none to be.
pub(super) fn said(event: election::Event) -> Effects {
    let mut effects = vec![
        Effect::Disarm(Timer::Leader),
        Effect::Disarm(Timer::Heartbeat),
    ];
    if let election::Event::Elected { .. } = event {
        effects.push(Effect::Arm(Timer::Leader));
    }
    effects.push(Effect::Emit(Event::Election(event)));
    effects
}

/// The effects of standing in an election, with the messages to `peers`.
pub(super) fn stands(number: u64, peers: &[u16]) -> Effects {
    let mut effects = said(electing(number));
    effects.push(Effect::Disarm(COORDINATOR));
    effects.push(Effect::Arm(OKAY));
    effects.extend(peers.iter().map(|&peer| send(peer, election(number))));
    effects
}

/// The effects of giving way to a higher candidate of the same election.
pub(super) fn gives_way() -> Effects {
    vec![Effect::Disarm(OKAY), Effect::Arm(COORDINATOR)]
}

/// The effects of giving way to a higher candidate of a new election.
pub(super) fn joins_and_gives_way(number: u64) -> Effects {
    [said(electing(number)), gives_way()].concat()
}

/// The effects of following `leader`: its own message restarts the watch.
pub(super) fn follows(leader: u16, election: u64) -> Effects {
    let mut effects = vec![Effect::Disarm(OKAY), Effect::Disarm(COORDINATOR)];
    let (leader, election) = (NodeId(leader), Number(election));
    effects.extend(said(election::Event::Elected { leader, election }));
    effects.push(Effect::Arm(Timer::Leader));
    effects
}

fn electing(election: u64) -> election::Event {
    let election = Number(election);
    election::Event::Electing { election }
}
