//! Installing a leader's snapshot on a follower that is too far behind (§7, Figure 13).
//!
//! A snapshot travels as bytes, in chunks, one at a time: each names where it begins, and its
//! answer how much the follower has. A heartbeat is an empty chunk, whose answer shows whether
//! the last one has arrived. Nothing of an incomplete snapshot is durable: a follower that
//! crashes meanwhile says that it has nothing, and is sent it from the start.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::log::{Index, Term};
use super::message::{InstallOutcome, Message, Round};
use super::progress::{Mode, progress_of};
use super::snapshot::Snapshot;
use super::state::{Leadership, Record, Role};
use super::{Event, Raft};
use crate::machine::StateMachine;
use crate::protocol::{Node, NodeId, Outbox, Protocol};

/// What an InstallSnapshot message says beside its term.
pub(super) struct Chunk {
    pub(super) last_included: (Index, Term),
    pub(super) offset: u64,
    pub(super) data: Vec<u8>,
    pub(super) done: bool,
    pub(super) round: Round,
}

/// How far a peer has been sent a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sending {
    /// Which snapshot.
    pub last_included_index: Index,
    /// The next byte to send. It runs ahead of what the peer has acknowledged by one chunk.
    pub offset: u64,
}

/// A snapshot as it travels. A leader keeps it for as long as some peer is being sent it: what
/// it snapshots meanwhile does not disturb the sending.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Blob {
    /// The index and the term of the last entry that the snapshot replaces.
    pub last_included: (Index, Term),
    /// The snapshot, encoded.
    pub bytes: Vec<u8>,
}

/// What a follower has of a snapshot that it is being sent: the bytes from the start on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partial {
    /// The term of the leader that sends it. Another leader's bytes are not mixed with its:
    /// it may run another version of the program.
    pub term: Term,
    /// The index and the term of the last entry that the snapshot replaces.
    pub last_included: (Index, Term),
    /// The bytes so far.
    pub bytes: Vec<u8>,
}

impl<M: StateMachine> Raft<M> {
    /// Begins to send `peer` a snapshot: "when the leader has already discarded the next log
    /// entry that it needs to send to a follower" (§7).
    pub(super) fn begin_snapshot(
        &self,
        node: &mut Node<Self>,
        peer: NodeId,
        out: &mut Outbox<Self>,
    ) {
        let Some(last_included_index) = prepare_blob(node) else {
            return;
        };
        if let Some(progress) = progress_of(node, peer) {
            progress.mode = Mode::Snapshot(Sending {
                last_included_index,
                offset: 0,
            });
            progress.next_index = last_included_index.next();
        }
        self.send_chunk(node, peer, self.max_chunk_bytes.max(1), out);
    }

    /// Sends `peer` at most `limit` bytes of its snapshot, or begins with another where the log
    /// no longer continues the one it was being sent.
    pub(super) fn send_chunk(
        &self,
        node: &mut Node<Self>,
        peer: NodeId,
        limit: usize,
        out: &mut Outbox<Self>,
    ) {
        let term = node.durable().current_term;
        let base_index = node.durable().log.base_index();
        let Role::Leader(Leadership {
            progress,
            blob,
            round,
            ..
        }) = &mut node.volatile.role
        else {
            return;
        };
        let Some(progress) = progress.get_mut(&peer) else {
            return;
        };
        let Mode::Snapshot(sending) = &mut progress.mode else {
            return;
        };
        let current = blob.as_ref().filter(|blob| {
            let index = blob.last_included.0;
            index == sending.last_included_index && index >= base_index
        });
        let Some(blob) = current else {
            return self.begin_snapshot(node, peer, out);
        };
        let rest = usize::try_from(sending.offset)
            .ok()
            .and_then(|offset| blob.bytes.get(offset..))
            .unwrap_or(&[]);
        let data = rest[..rest.len().min(limit)].to_vec();
        let message = Message::InstallSnapshot {
            term,
            last_included_index: blob.last_included.0,
            last_included_term: blob.last_included.1,
            offset: sending.offset,
            done: data.len() == rest.len() && !data.is_empty(),
            round: *round,
            data,
        };
        if let Message::InstallSnapshot { data, .. } = &message {
            sending.offset += data.len() as u64;
        }
        out.send(peer, message);
    }

    /// Forgets the encoded snapshot once no peer needs it.
    pub(super) fn forget_unused_blob(&self, node: &mut Node<Self>) {
        if let Role::Leader(leadership) = &mut node.volatile.role {
            let mut modes = leadership.progress.values().map(|progress| &progress.mode);
            if !modes.any(|mode| matches!(mode, Mode::Snapshot(_))) {
                leadership.blob = None;
            }
        }
    }

    /// "InstallSnapshot RPC, receiver implementation" (Figure 13).
    pub(super) fn on_install_snapshot(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        term: Term,
        chunk: Chunk,
        out: &mut Outbox<Self>,
    ) {
        let round = chunk.round;
        let is_heartbeat = chunk.data.is_empty();
        let current_term = node.durable().current_term;
        let outcome = if term < current_term {
            InstallOutcome::StaleTerm { current_term }
        } else {
            self.recognise(node, leader, out);
            self.hear_leader(node, out);
            let (last_included_index, last_included_term) = chunk.last_included;
            let contradiction = self.contradicts(node, last_included_index, last_included_term);
            if let Some(contradiction) = contradiction {
                return self.halt(node, contradiction, out);
            }
            self.install(node, term, chunk, out)
        };
        out.send(
            leader,
            Message::InstallSnapshotResponse {
                term,
                outcome,
                round,
            },
        );
        if is_heartbeat && term == current_term {
            self.ask_again(node, leader, out);
        }
    }

    /// Receiver implementation, steps 2 to 8.
    fn install(
        &self,
        node: &mut Node<Self>,
        term: Term,
        chunk: Chunk,
        out: &mut Outbox<Self>,
    ) -> InstallOutcome {
        let (last_included_index, last_included_term) = chunk.last_included;
        // A snapshot of what this node has in its log, whether it knows it to be committed or
        // not, is not needed: its log stays, with all that follows (step 6). That a snapshot
        // exists shows that its entries are committed. One behind the commit index would take
        // the node back.
        let has_all = last_included_index <= node.volatile.commit_index
            || node.durable().log.term_at(last_included_index) == Some(last_included_term);
        if has_all {
            self.commit_up_to(node, last_included_index, out);
            return InstallOutcome::Installed {
                last_included_index,
            };
        }
        let sent = chunk.offset.saturating_add(chunk.data.len() as u64);
        let is_last = chunk.done;
        let received = receive(&mut node.volatile.partial, term, chunk);
        let unfinished = InstallOutcome::Received {
            last_included_index,
            sent,
            received,
        };
        if !is_last || received != sent {
            return unfinished;
        }
        let snapshot = node.volatile.partial.take();
        let snapshot = snapshot.and_then(|partial| Snapshot::<M>::decode(&partial.bytes));
        match snapshot {
            Some(snapshot)
                if snapshot.last_included() == (last_included_index, last_included_term) =>
            {
                self.replace_state(node, snapshot, out);
                InstallOutcome::Installed {
                    last_included_index,
                }
            }
            // Damaged, or from a program that encodes it in another way: once more.
            _ => InstallOutcome::Received {
                last_included_index,
                sent,
                received: 0,
            },
        }
    }

    /// "Discard the entire log. Reset state machine using snapshot contents" (Figure 13, steps 7
    /// and 8). On disk, as one record, before the answer leaves.
    fn replace_state(&self, node: &mut Node<Self>, snapshot: Snapshot<M>, out: &mut Outbox<Self>) {
        let last_included_index = snapshot.last_included_index();
        let was_changing = self.is_changing(node);
        let belonged = self.belongs(node);
        node.volatile.applied = snapshot.state.clone();
        node.volatile.commit_index = last_included_index;
        node.volatile.unsaved = 0;
        node.write(Record::Install(snapshot));
        let in_force = self.latest_configuration(node.durable());
        let is_news = in_force != node.volatile.configuration;
        if is_news {
            self.enter(node, in_force, out);
        }
        // A snapshot holds what is committed, and nothing else.
        if (is_news || was_changing) && !self.is_changing(node) {
            out.emit(Event::MembershipCommitted {
                configuration: self.configuration(node).clone(),
            });
            if belonged && !self.configuration(node).is_member(self.id()) {
                out.emit(Event::Retired);
            }
        }
        out.emit(Event::Installed {
            last_included_index,
        });
        self.answer_follower_reads(node, out);
    }

    /// The answer to a chunk: the next one follows, or the log does.
    pub(super) fn on_install_snapshot_response(
        &self,
        node: &mut Node<Self>,
        follower: NodeId,
        outcome: InstallOutcome,
        round: Round,
        out: &mut Outbox<Self>,
    ) {
        match outcome {
            // The follower's term was higher: this node no longer leads.
            InstallOutcome::StaleTerm { .. } => return,
            InstallOutcome::Installed {
                last_included_index,
            } => self.accepted(node, follower, last_included_index, out),
            InstallOutcome::Received {
                last_included_index,
                sent,
                received,
            } => {
                if let Some(progress) = progress_of(node, follower)
                    && let Mode::Snapshot(sending) = &mut progress.mode
                    && sending.last_included_index == last_included_index
                    // The answer to an earlier chunk says nothing that is not known.
                    && sending.offset == sent
                {
                    sending.offset = received.min(sent);
                    self.send_chunk(node, follower, self.max_chunk_bytes.max(1), out);
                }
            }
        }
        self.on_answer(node, follower, round, out);
    }
}

/// Makes sure that the leader has an encoded snapshot that its log continues, and says which.
fn prepare_blob<M: StateMachine>(node: &mut Node<Raft<M>>) -> Option<Index> {
    let base_index = node.durable().log.base_index();
    let Role::Leader(leadership) = &node.volatile.role else {
        return None;
    };
    let usable = leadership.blob.as_ref();
    if let Some(blob) = usable.filter(|blob| blob.last_included.0 >= base_index) {
        return Some(blob.last_included.0);
    }
    let snapshot = &node.durable().snapshot;
    let last_included = snapshot.last_included();
    let bytes = snapshot.encode()?;
    if let Role::Leader(leadership) = &mut node.volatile.role {
        leadership.blob = Some(Blob {
            last_included,
            bytes,
        });
    }
    Some(last_included.0)
}

/// "Write data into snapshot file at given offset" (Figure 13, step 3): only where it continues
/// what is there. Returns how many bytes are there of the chunk's snapshot.
fn receive(partial: &mut Option<Partial>, term: Term, chunk: Chunk) -> u64 {
    let Chunk {
        last_included,
        offset,
        data,
        ..
    } = chunk;
    let belongs =
        |partial: &Partial| partial.term == term && partial.last_included == last_included;
    // An older snapshot of the same leader: a late chunk.
    let is_late = |partial: &Partial| partial.term == term && partial.last_included > last_included;
    if partial.as_ref().is_some_and(is_late) {
        return 0;
    }
    if !partial.as_ref().is_some_and(belongs) {
        *partial = Some(Partial {
            term,
            last_included,
            bytes: Vec::new(),
        });
    }
    let Some(partial) = partial else {
        return 0;
    };
    if partial.bytes.len() as u64 == offset {
        partial.bytes.extend(data);
    }
    partial.bytes.len() as u64
}
