//! One Raft node on a workbench: an input goes in, records and effects come out.

use models::raft::configuration::Configuration;
use models::raft::log::{Content, Entry, Index, Term};
use models::raft::membership::{Change, Refusal};
use models::raft::message::{AppendOutcome, Message, Round, VoteOutcome};
use models::raft::progress::{Mode, Progress};
use models::raft::session::{ClientId, RequestId, Sequence};
use models::raft::spec::{Add, Adder, Sum, Total};
use models::raft::state::{Leadership, Persistent, Role};
use models::raft::{Command, Event, Raft, Timer};
use models::{Durable, Effect, Input, Node, NodeId, Outbox, Protocol};

/// The Raft that the tests run: its state machine adds up bytes.
pub(crate) type Checked = Raft<Adder>;
/// Its messages.
pub(crate) type Msg = Message<Add>;
/// Its records.
pub(crate) type Record = models::raft::state::Record<Adder>;
/// Its effects.
pub(crate) type Effects = Vec<Effect<Checked>>;

/// A node, and what its latest step has written.
#[derive(Clone)]
pub(crate) struct Bench {
    raft: Checked,
    node: Node<Checked>,
    records: Vec<Record>,
}

impl Bench {
    /// Node `id` of a cluster of `size`, started from a disk at `term` that has voted for
    /// `voted_for` and whose log holds an entry of each of `log`.
    pub(crate) fn start(
        id: u16,
        size: u16,
        term: u64,
        voted_for: Option<u16>,
        log: &[u64],
    ) -> Self {
        let raft = Raft::new(NodeId(id), (0..size).map(NodeId));
        let disk = Node::format(&raft, disk(term, voted_for, log));
        Self::on_disk(raft, disk)
    }

    /// The node, started from what its disk remembers.
    pub(crate) fn on_disk(raft: Checked, disk: Persistent<Adder>) -> Self {
        let node = Node::boot(&raft, disk, &mut Outbox::new());
        Self {
            raft,
            node,
            records: Vec::new(),
        }
    }

    /// Node `id`, which joins a cluster that it does not know yet.
    pub(crate) fn joining(id: u16) -> Self {
        let raft = Raft::joining(NodeId(id));
        let disk = Node::formatted(&raft);
        Self::on_disk(raft, disk)
    }

    /// Node 0 of three, a follower at `term` that has not voted.
    pub(crate) fn follower(term: u64, log: &[u64]) -> Self {
        Self::start(0, 3, term, None, log)
    }

    /// Node 0 of `size`, standing for election in `term`.
    pub(crate) fn candidate(size: u16, term: u64, log: &[u64]) -> Self {
        let mut bench = Self::start(0, size, term - 1, None, log);
        bench.fire(Timer::Election);
        bench
    }

    /// Node 0 of `size`, just elected in `term` by the nodes that follow it: its log is
    /// `log` and the no-op of `term`, sent to all.
    pub(crate) fn leader(size: u16, term: u64, log: &[u64]) -> Self {
        let mut bench = Self::candidate(size, term, log);
        for voter in 1..=size / 2 {
            bench.deliver(voter, granted(term));
        }
        bench
    }

    /// As [`leader`](Self::leader), of three; node 1 has acknowledged the no-op, which is
    /// therefore committed.
    pub(crate) fn established(term: u64, log: &[u64]) -> Self {
        let mut bench = Self::leader(3, term, log);
        bench.deliver(1, accepted(term, log.len() as u64 + 1));
        bench
    }

    /// Lets an append carry only so many entries.
    pub(crate) fn carrying(mut self, entries: usize) -> Self {
        self.raft.max_append_weight = entries;
        self
    }

    /// Lets a leader keep so many sessions.
    pub(crate) fn keeping(mut self, sessions: usize) -> Self {
        self.raft.max_sessions = sessions;
        self
    }

    /// Lets so many reads wait.
    pub(crate) fn admitting(mut self, reads: usize) -> Self {
        self.raft.max_pending_reads = reads;
        self
    }

    /// Turns PreVote and CheckQuorum on from here on.
    pub(crate) fn guarded(mut self) -> Self {
        self.raft.pre_vote = true;
        self.raft.check_quorum = true;
        self
    }

    /// Lets it rely on the order of messages.
    pub(crate) fn with_ordered_delivery(mut self) -> Self {
        self.raft.ordered_delivery = true;
        self
    }

    /// The same, with heartbeats that wait for no disk.
    pub(crate) fn beating_early(mut self) -> Self {
        self.raft.early_heartbeats = true;
        self
    }

    /// Lets so many appends be under way to a peer.
    pub(crate) fn with_window(mut self, appends: usize) -> Self {
        self.raft.window.appends = appends;
        self
    }

    /// Makes it take a snapshot after so many entries, and keep some of them behind it.
    pub(crate) fn compacting(mut self, snapshot_after: usize, trailing: usize) -> Self {
        self.raft.compaction.snapshot_after = snapshot_after;
        self.raft.compaction.trailing = trailing;
        self
    }

    /// Lets a chunk of a snapshot have so many bytes.
    pub(crate) fn chunking(mut self, bytes: usize) -> Self {
        self.raft.max_chunk_bytes = bytes;
        self
    }

    /// Takes one step and hands back its effects, without the checksums that appends bear beside
    /// all else: most tests are not about them.
    pub(crate) fn feed(&mut self, input: Input<Checked>) -> Effects {
        let mut effects = self.feed_whole(input);
        for effect in &mut effects {
            if let Effect::Send {
                message: Message::AppendEntries { checksum, .. },
                ..
            } = effect
            {
                *checksum = None;
            }
        }
        effects
    }

    /// Takes one step and hands back its effects as they are.
    pub(crate) fn feed_whole(&mut self, input: Input<Checked>) -> Effects {
        let mut out = Outbox::new();
        self.raft.step(&mut self.node, input, &mut out);
        self.records = self.node.take_records();
        out.drain().collect()
    }

    /// A message from node `from` arrives.
    pub(crate) fn deliver(&mut self, from: u16, message: Msg) -> Effects {
        let from = NodeId(from);
        self.feed(Input::Deliver { from, message })
    }

    /// A message from node 1 arrives and is answered; this is the answer.
    pub(crate) fn answer(&mut self, message: Msg) -> Msg {
        let effects = self.deliver(1, message);
        let mut sent = sent_to(1, &effects);
        assert_eq!(sent.len(), 1, "not one answer: {effects:?}");
        sent.remove(0)
    }

    /// A timer runs out.
    pub(crate) fn fire(&mut self, timer: Timer) -> Effects {
        self.feed(Input::Fire(timer))
    }

    /// A client asks for something.
    pub(crate) fn ask(&mut self, command: Command<Adder>) -> Effects {
        self.feed(Input::Ask(command))
    }

    /// The node crashes and starts again. What booting does is handed back.
    pub(crate) fn crash(&mut self) -> Effects {
        let mut out = Outbox::new();
        let durable = self.node.durable().clone();
        self.node = Node::boot(&self.raft, durable, &mut out);
        self.records.clear();
        out.drain().collect()
    }

    /// What the latest step has written.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// The configuration.
    pub(crate) fn raft(&self) -> &Checked {
        &self.raft
    }

    /// The node.
    pub(crate) fn node(&self) -> &Node<Checked> {
        &self.node
    }

    /// The configuration that it acts on.
    pub(crate) fn acts_on(&self) -> &Configuration {
        self.raft.configuration(&self.node)
    }

    /// Its term.
    pub(crate) fn term(&self) -> u64 {
        self.node.durable().current_term.0
    }

    /// Who has its vote.
    pub(crate) fn voted_for(&self) -> Option<NodeId> {
        self.node.durable().voted_for
    }

    /// The terms of its log's entries.
    pub(crate) fn log(&self) -> Vec<u64> {
        let entries = self.node.durable().log.from(Index(1));
        entries.iter().map(|entry| entry.term.0).collect()
    }

    /// Its commit index.
    pub(crate) fn commit_index(&self) -> u64 {
        self.node.volatile.commit_index.0
    }

    /// Its state machine's total.
    pub(crate) fn total(&self) -> u8 {
        self.node.volatile.applied.machine.0
    }

    /// Whether it follows, and whom.
    pub(crate) fn follows(&self) -> Option<Option<NodeId>> {
        match &self.node.volatile.role {
            Role::Follower { leader } => Some(*leader),
            Role::PreCandidate { .. } | Role::Candidate { .. } | Role::Leader(_) => None,
        }
    }

    /// Whether it stands for election.
    pub(crate) fn stands(&self) -> bool {
        matches!(self.node.volatile.role, Role::Candidate { .. })
    }

    /// Its leadership, if it leads.
    pub(crate) fn leads(&self) -> Option<&Leadership<Adder>> {
        match &self.node.volatile.role {
            Role::Leader(leadership) => Some(leadership),
            Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => None,
        }
    }

    /// What it knows of node `peer`. It must lead.
    pub(crate) fn progress(&self, peer: u16) -> Progress {
        self.leads().expect("leads").progress[&NodeId(peer)].clone()
    }

    /// The prevLogIndex of the append by which it probes node `peer`, if it does.
    pub(crate) fn probes(&self, peer: u16) -> Option<u64> {
        let progress = self.progress(peer);
        (progress.mode == Mode::Probe).then(|| progress.next_index.previous().0)
    }
}

/// A disk at `term`, with a vote, whose log holds an entry of each of `log`.
pub(crate) fn disk(term: u64, voted_for: Option<u16>, log: &[u64]) -> Persistent<Adder> {
    let mut disk = Persistent::default();
    disk.apply(&ballot(term, voted_for));
    for &term in log {
        disk.apply(&Record::Append(noop(term)));
    }
    disk
}

/// A record of a term and the vote in it.
pub(crate) fn ballot(term: u64, voted_for: Option<u16>) -> Record {
    Record::Ballot {
        term: Term(term),
        voted_for: voted_for.map(NodeId),
    }
}

/// A record of the loss of the entry at `from` and all that follow.
pub(crate) fn truncate(from: u64) -> Record {
    Record::Truncate { from: Index(from) }
}

/// An entry of `term` that holds nothing.
pub(crate) fn noop(term: u64) -> Entry<Add> {
    Entry {
        term: Term(term),
        content: Content::Noop,
    }
}

/// An entry of `term` with the client's `sequence`th command, which adds `amount`.
pub(crate) fn entry(term: u64, sequence: u64, amount: u8) -> Entry<Add> {
    Entry {
        term: Term(term),
        content: Content::Command {
            request: request(sequence),
            command: Add(amount),
        },
    }
}

/// The client's `sequence`th request.
pub(crate) fn request(sequence: u64) -> RequestId {
    RequestId {
        client: ClientId::new(0),
        sequence: Sequence(sequence),
    }
}

/// The client's `sequence`th request: add `amount`.
pub(crate) fn add(sequence: u64, amount: u8) -> Command<Adder> {
    Command::Propose {
        request: request(sequence),
        command: Add(amount),
    }
}

/// The client's `sequence`th request: change the membership.
pub(crate) fn change(sequence: u64, change: Change) -> Command<Adder> {
    Command::ChangeMembership {
        request: request(sequence),
        change,
    }
}

/// The members that take over from `outgoing`, if from any; the last are learners.
pub(crate) fn members(outgoing: &[u16], voters: &[u16], learners: &[u16]) -> Configuration {
    let set = |ids: &[u16]| ids.iter().copied().map(NodeId).collect();
    Configuration {
        voters: set(voters),
        outgoing: set(outgoing),
        learners: set(learners),
        ..Configuration::default()
    }
}

/// An entry of `term` that holds a configuration.
pub(crate) fn membership(term: u64, configuration: Configuration) -> Entry<Add> {
    Entry {
        term: Term(term),
        content: Content::Configuration(configuration),
    }
}

/// The effect of saying that another configuration is in force.
pub(crate) fn membership_changed(configuration: Configuration) -> Effect<Checked> {
    Effect::Emit(Event::MembershipChanged { configuration })
}

/// The effect of saying that the configuration in force is committed.
pub(crate) fn membership_committed(configuration: Configuration) -> Effect<Checked> {
    Effect::Emit(Event::MembershipCommitted { configuration })
}

/// The effect of saying that the `sequence`th request, for a change, is done.
pub(crate) fn changed(sequence: u64, configuration: Configuration) -> Effect<Checked> {
    let request = request(sequence);
    Effect::Emit(Event::Changed {
        request,
        configuration,
    })
}

/// The effect of refusing the `sequence`th request, for a change.
pub(crate) fn refusal(sequence: u64, refusal: Refusal) -> Effect<Checked> {
    let request = request(sequence);
    Effect::Emit(Event::Refused { request, refusal })
}

/// The client's `sequence`th request: what is the total?
pub(crate) fn read(sequence: u64) -> Command<Adder> {
    Command::Read {
        request: request(sequence),
        query: Total,
    }
}

/// The client's `sequence`th request: let node `to` lead.
pub(crate) fn transfer(sequence: u64, to: u16) -> Command<Adder> {
    Command::TransferLeadership {
        request: request(sequence),
        to: NodeId(to),
    }
}

/// A candidate of `term` whose last entry is at `last.0` and of term `last.1` asks for a vote.
pub(crate) fn request_vote(term: u64, last: (u64, u64)) -> Msg {
    Message::RequestVote {
        term: Term(term),
        last_log_index: Index(last.0),
        last_log_term: Term(last.1),
        leadership_transfer: false,
    }
}

/// The same, of a candidate whom the leader has told to stand.
pub(crate) fn request_vote_by_leave(term: u64, last: (u64, u64)) -> Msg {
    Message::RequestVote {
        term: Term(term),
        last_log_index: Index(last.0),
        last_log_term: Term(last.1),
        leadership_transfer: true,
    }
}

/// A node asks whether it would get a vote in `term`; its last entry is at `last.0` and of
/// term `last.1`.
pub(crate) fn pre_vote(term: u64, last: (u64, u64)) -> Msg {
    Message::PreVote {
        term: Term(term),
        last_log_index: Index(last.0),
        last_log_term: Term(last.1),
    }
}

/// The answer to such a question.
pub(crate) fn pre_voted(term: u64, outcome: VoteOutcome) -> Msg {
    let term = Term(term);
    Message::PreVoteResponse { term, outcome }
}

/// The answer to a vote request of `term`.
pub(crate) fn vote(term: u64, outcome: VoteOutcome) -> Msg {
    let term = Term(term);
    Message::RequestVoteResponse { term, outcome }
}

/// A vote in `term`.
pub(crate) fn granted(term: u64) -> Msg {
    vote(term, VoteOutcome::Granted)
}

/// No vote in `term`: it is another's, or the candidate's log is behind.
pub(crate) fn refused(term: u64) -> Msg {
    vote(term, VoteOutcome::Refused)
}

/// The vote request was of `term`, and the voter is in `current`.
pub(crate) fn stale_vote(term: u64, current: u64) -> Msg {
    let current_term = Term(current);
    vote(term, VoteOutcome::StaleTerm { current_term })
}

/// The leader of `term` sends `entries` to follow the one at `prev.0`, of term `prev.1`.
pub(crate) fn append(term: u64, prev: (u64, u64), entries: &[Entry<Add>], commit: u64) -> Msg {
    append_in_round(term, prev, entries, commit, 0)
}

/// As [`append`], in a confirmation round.
pub(crate) fn append_in_round(
    term: u64,
    prev: (u64, u64),
    entries: &[Entry<Add>],
    commit: u64,
    round: u64,
) -> Msg {
    Message::AppendEntries {
        term: Term(term),
        prev_log_index: Index(prev.0),
        prev_log_term: Term(prev.1),
        entries: entries.to_vec(),
        leader_commit: Index(commit),
        checksum: None,
        round: Round(round),
    }
}

/// The answer to an append of `term`, in a confirmation round.
pub(crate) fn appended(term: u64, outcome: AppendOutcome, round: u64) -> Msg {
    Message::AppendEntriesResponse {
        term: Term(term),
        outcome,
        round: Round(round),
    }
}

/// The append was of `term`, and the follower's log equals the leader's up to `match_index`.
pub(crate) fn accepted(term: u64, match_index: u64) -> Msg {
    accepted_in_round(term, match_index, 0)
}

/// As [`accepted`], in a confirmation round.
pub(crate) fn accepted_in_round(term: u64, match_index: u64, round: u64) -> Msg {
    let match_index = Index(match_index);
    appended(term, AppendOutcome::Accepted { match_index }, round)
}

/// The append was of `term`, and the follower's log has another entry at `prev`, or none.
pub(crate) fn conflict(term: u64, prev: u64, conflict_term: Option<u64>, first: u64) -> Msg {
    let outcome = AppendOutcome::Conflict {
        prev_log_index: Index(prev),
        conflict_term: conflict_term.map(Term),
        first_index: Index(first),
    };
    appended(term, outcome, 0)
}

/// The append was of `term`, and the follower is in `current`.
pub(crate) fn stale_append(term: u64, current: u64) -> Msg {
    let current_term = Term(current);
    appended(term, AppendOutcome::StaleTerm { current_term }, 0)
}

/// The effect of sending `message` to node `to`.
pub(crate) fn send(to: u16, message: Msg) -> Effect<Checked> {
    let to = NodeId(to);
    Effect::Send { to, message }
}

/// The effect of saying that the `sequence`th request is done.
pub(crate) fn reply(sequence: u64, response: u8) -> Effect<Checked> {
    let (request, response) = (request(sequence), Sum(response));
    Effect::Emit(Event::Reply { request, response })
}

/// The effect of sending the client elsewhere.
pub(crate) fn redirect(sequence: u64, leader: Option<u16>) -> Effect<Checked> {
    let request = request(sequence);
    let leader = leader.map(NodeId);
    Effect::Emit(Event::Redirect { request, leader })
}

/// The effect of saying that the client no longer waits for this request.
pub(crate) fn superseded(sequence: u64) -> Effect<Checked> {
    let request = request(sequence);
    Effect::Emit(Event::Superseded { request })
}

/// The effect of saying that this node leads.
pub(crate) fn leading(term: u64) -> Effect<Checked> {
    let term = Term(term);
    Effect::Emit(Event::Leading { term })
}

/// The effect of saying that this node follows.
pub(crate) fn following(term: u64, leader: Option<u16>) -> Effect<Checked> {
    let term = Term(term);
    let leader = leader.map(NodeId);
    Effect::Emit(Event::Following { term, leader })
}

/// The messages among `effects` that go to node `to`.
pub(crate) fn sent_to(to: u16, effects: &[Effect<Checked>]) -> Vec<Msg> {
    let message = |effect: &Effect<Checked>| match effect {
        Effect::Send { to: peer, message } | Effect::SendEarly { to: peer, message }
            if *peer == NodeId(to) =>
        {
            Some(message.clone())
        }
        Effect::Send { .. }
        | Effect::SendEarly { .. }
        | Effect::Arm(_)
        | Effect::Disarm(_)
        | Effect::Emit(_) => None,
    };
    effects.iter().filter_map(message).collect()
}
