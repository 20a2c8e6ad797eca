//! What becomes of those who wait for an answer: clients that read, change the membership or
//! transfer the leadership, and followers that ask for a read index (§6, §8; thesis §3.10, §6.4).
//!
//! Verifies: of each step, that whoever waited before it waits after it or is answered in it, once;
//! that a read waits for what was committed and for a round that had not begun when it was asked; and
//! that it is answered when a quorum, of both halves of a joint configuration, has answered a message
//! sent since. Of one step each, these are together what makes a read linearizable. Not verified
//! here: that somebody answers in the end.

use crate::machine::StateMachine;
use crate::protocol::{Node, NodeId};
use crate::raft::log::{Index, Term};
use crate::raft::message::{Message, ReadIndexOutcome, Round};
use crate::raft::session::RequestId;
use crate::raft::state::{Leadership, PendingRead, Reader, Role};
use crate::raft::{Command, Event, Raft};
use crate::specification::Law;
use crate::world::{Action, Host, Scenario, World};

use super::quorums::{are_quorum, in_force};
use super::{Step, said, told};

impl<M: StateMachine> Raft<M> {
    pub(super) const WHO_WAITS_IS_ANSWERED: Law<Self> = Law {
        name: "Who has asked waits until it is answered, and is answered once →",
        source: "§6, §8; thesis §3.10, §6.4: whatever becomes of what others have asked",
        holds: |scenario, before, action, after| {
            Step::taken(scenario, before, action, after)
                .is_none_or(|step| who_waits_is_answered(&step, before.asked(scenario, action)))
        },
    };

    pub(super) const WHO_IS_ANSWERED_HAS_ASKED: Law<Self> = Law {
        name: "Who is answered has asked there →",
        source: "§8: an answer goes to where the client waits; a follower's reads are its own to answer",
        holds: |scenario, before, action, after| {
            Step::taken(scenario, before, action, after).is_none_or(|step| {
                let asked = before.asked(scenario, action);
                who_is_answered_has_asked(scenario, &step, asked)
            })
        },
    };

    pub(super) const QUESTIONS_ARE_ANSWERED: Law<Self> = Law {
        name: "A follower's question waits until it is answered, and is answered once →",
        source: "thesis §6.4: as long as the leader leads; whatever other followers have asked, or \
                 this one for other reads",
        holds: questions_are_answered,
    };

    pub(super) const READS_BEGIN_NOW: Law<Self> = Law {
        name: "A read waits for a round that is yet to begin, and for what is committed →",
        source: "thesis §6.4, steps 1 to 3: an entry of the leader's term, its commit index, and \
                 heartbeats sent after that",
        holds: reads_begin_now,
    };

    pub(super) const READS_ARE_CONFIRMED: Law<Self> = Law {
        name: "A read is answered when a quorum has confirmed the leader since it was asked →",
        source: "thesis §6.4, step 3; §6: a majority of each half while the configuration is joint",
        holds: reads_are_confirmed,
    };

    pub(super) const MESSAGES_BEAR_THEIR_ROUND: Law<Self> = Law {
        name: "A message bears the round that it is sent in, and its answer the same →",
        source: "thesis §6.4, step 3: an answer confirms nothing that came after what it answers",
        holds: messages_bear_their_round,
    };
}

/// The requests of clients that wait at the node.
fn waiting<M: StateMachine>(node: &Node<Raft<M>>) -> impl Iterator<Item = RequestId> {
    let leads = led(node);
    let reads = leads.map(|leads| leads.reads.iter()).into_iter().flatten();
    let reads = reads.filter(|read| matches!(read.reader, Reader::Client { .. }));
    let here = node.volatile.follower_reads.iter().map(|read| read.request);
    reads
        .map(|read| read.request)
        .chain(here)
        .chain(leads.and_then(|leads| leads.change))
        .chain(leads.and_then(|leads| Some(leads.transfer?.request)))
}

fn led<M: StateMachine>(node: &Node<Raft<M>>) -> Option<&Leadership<M>> {
    match &node.volatile.role {
        Role::Leader(leads) => Some(leads),
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => None,
    }
}

/// The request that the event answers.
fn answered<M: StateMachine>(event: &Event<M>) -> Option<RequestId> {
    match event {
        Event::Reply { request, .. }
        | Event::Redirect { request, .. }
        | Event::Superseded { request }
        | Event::SessionExpired { request, .. }
        | Event::Overloaded { request }
        | Event::Changed { request, .. }
        | Event::Refused { request, .. }
        | Event::Transfer { request, .. } => Some(*request),
        Event::MembershipChanged { .. }
        | Event::MembershipCommitted { .. }
        | Event::Retired
        | Event::Halted { .. }
        | Event::Denied { .. }
        | Event::Installed { .. }
        | Event::Leading { .. }
        | Event::Following { .. } => None,
    }
}

/// Each try is answered once. But who asks a follower again for a read that waits there, or for the
/// change under way, waits as before, for one answer. Commands wait for nothing but the log.
fn who_waits_is_answered<M: StateMachine>(step: &Step<'_, M>, asked: Option<&Command<M>>) -> bool {
    let asked = asked.filter(|asked| !matches!(asked, Command::Propose { .. }));
    let joins = asked.is_some_and(|asked| {
        let request = asked.request();
        match asked {
            Command::ReadHere { .. } => {
                let mut here = step.old.volatile.follower_reads.iter();
                here.any(|read| read.request == request)
            }
            Command::ChangeMembership { .. } => {
                led(step.old).is_some_and(|leads| leads.change == Some(request))
            }
            Command::Propose { .. } | Command::Read { .. } | Command::TransferLeadership { .. } => {
                false
            }
        }
    });
    let asked = asked.map(Command::request);
    let mut known = waiting(step.old).chain(asked).chain(waiting(step.new));
    known.all(|request| {
        let of_it = |node| waiting(node).filter(|it| *it == request).count();
        let new = usize::from(asked == Some(request) && !joins);
        let answers = step.emitted.iter().filter_map(answered);
        let answers = answers.filter(|it| *it == request).count();
        of_it(step.old) + new == of_it(step.new) + answers
    })
}

/// Or has asked for a command, sometime and somewhere: what the log says is said by whoever leads.
fn who_is_answered_has_asked<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    step: &Step<'_, M>,
    asked: Option<&Command<M>>,
) -> bool {
    step.emitted.iter().all(|event| {
        let Some(request) = answered(event) else {
            return true;
        };
        let is_the_logs = matches!(
            event,
            Event::Reply { .. } | Event::Superseded { .. } | Event::SessionExpired { .. }
        );
        let is_command =
            |it: &Command<M>| matches!(it, Command::Propose { .. }) && it.request() == request;
        asked.is_some_and(|asked| asked.request() == request)
            || waiting(step.old).any(|waits| waits == request)
            || is_the_logs && scenario.scripts.iter().flatten().any(is_command)
    })
}

/// What followers have asked of the leader: who, for which read.
fn questions<M: StateMachine>(
    leads: &Leadership<M>,
) -> impl Iterator<Item = (NodeId, RequestId)> + '_ {
    leads.reads.iter().filter_map(|read| match read.reader {
        Reader::Follower { node } => Some((node, read.request)),
        Reader::Client { .. } => None,
    })
}

/// The question that is delivered to the leader of this term.
fn question<M: StateMachine>(action: &Action<Raft<M>>, led: Term) -> Option<(NodeId, RequestId)> {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return None;
    };
    match envelope.message {
        Message::ReadIndex { term, request } if term == led => Some((envelope.from, request)),
        _ => None,
    }
}

/// A follower that has asked twice for one read waits for one answer. Who leads no longer answers
/// none: whoever asked learns of the new term.
fn questions_are_answered<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Some(step) = Step::taken(scenario, before, action, after) else {
        return true;
    };
    let Some((was, is, term)) = step.leads_on() else {
        return true;
    };
    let asked = question(action, term);
    let mut open = questions(was).chain(asked);
    let is_answer = |(follower, request): (NodeId, RequestId), from, to, message: &Message<_>| {
        (from, to) == (step.id, follower)
            && matches!(message, Message::ReadIndexResponse { request: it, .. } if *it == request)
    };
    let waits = |it| questions(is).any(|other| other == it);
    let is_known = |it| questions(was).any(|other| other == it) || asked == Some(it);
    questions(is).all(is_known)
        && open.all(|it| {
            if waits(it) {
                let mut now = said(before, action, after);
                return !now.any(|said| is_answer(it, said.from, said.to, said.message));
            }
            let is_lost = !after.network.connects(step.id, it.0)
                || after.host(it.0).and_then(Host::node).is_none();
            is_lost || told(after).any(|told| is_answer(it, told.from, told.to, told.message))
        })
}

/// The read that is asked of a leader in this step, by whom: a client, or a follower.
fn asked_now<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    term: Term,
) -> Option<(Option<NodeId>, RequestId)> {
    match before.asked(scenario, action) {
        Some(Command::Read { request, .. } | Command::ReadHere { request, .. }) => {
            Some((None, *request))
        }
        Some(_) => None,
        None => question(action, term).map(|(follower, request)| (Some(follower), request)),
    }
}

fn reader<M: StateMachine>(read: &PendingRead<M>) -> (Option<NodeId>, RequestId) {
    let follower = match read.reader {
        Reader::Client { .. } => None,
        Reader::Follower { node } => Some(node),
    };
    (follower, read.request)
}

/// Only what is asked in this step is new. It is the last in the row.
fn reads_begin_now<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Some(step) = Step::taken(scenario, before, action, after) else {
        return true;
    };
    let Some((was, is, term)) = step.leads_on() else {
        return true;
    };
    let Some(read) = is.reads.last().filter(|_| is.reads.len() > was.reads.len()) else {
        return true;
    };
    asked_now(scenario, before, action, term) == Some(reader(read))
        && read.round > was.round
        && read.read_index >= step.old.volatile.commit_index
        && step.new.durable().log.term_at(read.read_index) == Some(term)
}

/// The peer whose answer is delivered to the leader of this term, and the round it is to.
fn confirms<M: StateMachine>(action: &Action<Raft<M>>, led: Term) -> Option<(NodeId, Round)> {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return None;
    };
    match envelope.message {
        Message::AppendEntriesResponse { term, round, .. }
        | Message::HeartbeatResponse { term, round, .. }
        | Message::InstallSnapshotResponse { term, round, .. }
            if term == led =>
        {
            Some((envelope.from, round))
        }
        _ => None,
    }
}

/// By the configuration that was in force, or the one that the step has entered.
fn reads_are_confirmed<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Some(step) = Step::taken(scenario, before, action, after) else {
        return true;
    };
    let (Some(was), term) = (led(step.old), step.old.durable().current_term) else {
        return true;
    };
    let asked = asked_now(scenario, before, action, term);
    if was.reads.is_empty() && asked.is_none() {
        return true;
    }
    let news = confirms(action, term);
    let has_confirmed = |voter: NodeId, wanted: Option<Round>| {
        let heard = |round: Round| wanted.is_some_and(|wanted| round >= wanted);
        let known = was.progress.get(&voter);
        voter == step.id
            || known.is_some_and(|peer| heard(peer.round))
            || news.is_some_and(|(peer, round)| peer == voter && heard(round))
    };
    let is_right = |read: (Option<NodeId>, RequestId), answer: Index| {
        let is_so = |round: Option<Round>, index: Index| {
            let configurations = [(before, step.old), (after, step.new)];
            let configurations = configurations.map(|(world, node)| in_force(world, node).0);
            answer >= index
                && configurations
                    .iter()
                    .any(|it| are_quorum(it, |voter| has_confirmed(voter, round)))
        };
        let mut waited = was.reads.iter().filter(|it| reader(it) == read);
        // Who is asked in this step has had no time to ask others.
        waited.any(|it| is_so(Some(it.round), it.read_index))
            || asked == Some(read) && is_so(None, step.old.volatile.commit_index)
    };
    let mut replies = step.emitted.iter().filter_map(|event| match event {
        Event::Reply { request, .. } => Some((None, *request)),
        _ => None,
    });
    let is_read = |read| asked == Some(read) || was.reads.iter().any(|it| reader(it) == read);
    let applied = step.new.volatile.applied.last_applied;
    let mut indices = said(before, action, after).filter_map(|said| match said.message {
        Message::ReadIndexResponse {
            request,
            outcome: ReadIndexOutcome::Confirmed { read_index },
            ..
        } if said.from == step.id => Some(((Some(said.to), *request), *read_index)),
        _ => None,
    });
    replies.all(|read| !is_read(read) || is_right(read, applied))
        && indices.all(|(read, index)| is_right(read, index))
}

/// The round of what a leader says to a peer.
fn round_of<C>(message: &Message<C>) -> Option<Round> {
    match message {
        Message::AppendEntries { round, .. }
        | Message::Heartbeat { round, .. }
        | Message::InstallSnapshot { round, .. } => Some(*round),
        _ => None,
    }
}

/// A round that is begun in the middle of a step is borne by what follows.
fn messages_bear_their_round<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Some(step) = Step::taken(scenario, before, action, after) else {
        return true;
    };
    let rounds = led(step.new).map(|is| {
        let began = step.leads_on().map_or(Round(0), |(was, ..)| was.round);
        began..=is.round
    });
    let heard = action.delivered().and_then(round_of);
    if rounds.is_none() && heard.is_none() {
        return true;
    }
    said(before, action, after).all(|said| match said.message {
        Message::AppendEntriesResponse { round, .. }
        | Message::HeartbeatResponse { round, .. }
        | Message::InstallSnapshotResponse { round, .. } => heard == Some(*round),
        message => match (round_of(message), &rounds) {
            (Some(round), Some(rounds)) => rounds.contains(&round),
            _ => true,
        },
    })
}
