//! Heartbeats that wait for no disk.
//!
//! A follower that acknowledges an append has written it (Figure 2), and a leader tells nobody
//! what it has not written itself. Where heartbeats are appends, as in the paper, they and their
//! answers wait in line behind that: with a disk that takes longer than an election timeout is
//! away nobody keeps office, though all are up and hear each other. So a leader may show that it
//! lives by a message that says nothing else (etcd has the same two), and what needs no disk does
//! not wait for one.
//!
//! What is promised by a message, and so must be on disk before it leaves:
//!
//! | message | promises that a crash of its sender does not undo |
//! |---|---|
//! | RequestVote | its term, and the sender's vote for itself (§5.2) |
//! | RequestVoteResponse, granted | its term and the vote (§5.2) |
//! | AppendEntries, InstallSnapshot | the sender's ballot, and the log that it counts as its own (§5.3) |
//! | AppendEntriesResponse, InstallSnapshotResponse | the log up to `match_index` (§5.3, §7) |
//! | answers to clients | what they are told (§8) |
//! | Heartbeat | the ballot by which its sender was elected; which is there, see below |
//! | HeartbeatResponse | nothing |
//!
//! All but the last two are held until the disk has what was written before them, also those that
//! would need it less (pre-votes, refusals, read indices): they are rare, or lead to what waits
//! anyway.
//!
//! **A heartbeat** needs its sender's ballot to be on disk. Were it lost in a crash, the same node
//! could be elected for the same term again, and count its rounds from the beginning, while
//! answers to the first reign's rounds are under way. But who was elected by others' votes has
//! asked for them, and the question left after the ballot was on disk. Who is a quorum by itself
//! need have asked nobody, so its heartbeats are appends, held like all else; and when voters join
//! it, each has acknowledged an append of this term before (thesis §4.2.1).
//!
//! A heartbeat carries no commit index: of a follower that answers it nothing is known of its log,
//! which may hold other entries there. (etcd's carries the lesser of that and what the follower
//! has acknowledged.)
//!
//! **An answer** tells that its sender was in no later term when it was asked, though a crash may
//! make it forget the term. That is enough
//! * to count it as heard (thesis §6.2), for that is a matter of who is up, and rests on memory
//!   alone on both sides, as does the refusal of votes by who hears a leader (thesis §4.2.3);
//! * to confirm a read (thesis §6.4). Let a write be acknowledged by the leader of a later term
//!   before the read is asked for. A quorum has voted for that leader, and those votes were on
//!   disk before they left, so before the read: whoever of them is asked in the round that begins
//!   after the read is in that term or a later one, crash or no crash, and says so. What happens
//!   after the answer, and so what its sender forgets by then, matters only to writes that are
//!   concurrent with the read. And leaders of earlier terms commit nothing any more that this one
//!   lacks: a quorum has promised that with its votes, not with these answers.
//!
//! It is not enough to count as a vote, or as an acknowledgement of anything in the log.
//!
//! Who counts answers that need no disk learns nothing of disks. That a leader whose own disk
//! hangs must not keep office for ever is its host's to see: it need only let nothing leave early
//! while the disk has kept a record waiting for too long. Nobody hears the leader then.
//!
//! A term that is made known by either need be on nobody's disk. Terms are numbers; who has heard
//! of a higher one enters it whatever its source (§5.1).

use super::Raft;
use super::log::Term;
use super::machine::StateMachine;
use super::message::{HeartbeatOutcome, Message, Round};
use super::replication::note_round;
use super::state::Role;
use crate::protocol::{Node, NodeId, Outbox, Protocol};

impl<M: StateMachine> Raft<M> {
    /// Whether this node, which leads, shows so without waiting for its disk: its ballot must be
    /// there, and so it is where others had to vote for it.
    pub(super) fn needs_no_disk(&self, node: &Node<Self>) -> bool {
        let is_elected = || !self.configuration(node).has_quorum(&[self.id()].into());
        self.early_heartbeats && is_elected()
    }

    /// Shows every peer that this node leads, and nothing else.
    pub(super) fn send_early_heartbeats(&self, node: &Node<Self>, out: &mut Outbox<Self>) {
        let Role::Leader(leadership) = &node.volatile.role else {
            return;
        };
        let (term, round) = (node.durable().current_term, leadership.round);
        for peer in self.peers(node) {
            out.send_early(peer, Message::Heartbeat { term, round });
        }
    }

    /// The leader lives. What it has to say of the log it says in appends.
    pub(super) fn on_heartbeat(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        term: Term,
        round: Round,
        out: &mut Outbox<Self>,
    ) {
        let current_term = node.durable().current_term;
        let outcome = if term < current_term {
            HeartbeatOutcome::StaleTerm { current_term }
        } else {
            self.recognise(node, leader, out);
            self.hear_leader(node, out);
            HeartbeatOutcome::Heard
        };
        let answer = Message::HeartbeatResponse {
            term,
            round,
            outcome,
        };
        out.send_early(leader, answer);
    }

    /// The follower lives, and was in no later term when it was asked.
    pub(super) fn on_heartbeat_response(
        &self,
        node: &mut Node<Self>,
        follower: NodeId,
        outcome: HeartbeatOutcome,
        round: Round,
        out: &mut Outbox<Self>,
    ) {
        match outcome {
            // The follower's term was higher: this node no longer leads.
            HeartbeatOutcome::StaleTerm { .. } => {}
            HeartbeatOutcome::Heard => {
                self.hear_from(node, follower);
                note_round(node, follower, round);
                self.confirm_reads(node, out);
            }
        }
    }
}
