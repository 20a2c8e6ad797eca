//! Defects of snapshots and of log compaction (§7).

use alloc::vec::Vec;

use super::{R, forget, message, step_and_rewrite};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::Timer;
use crate::raft::configuration::InForce;
use crate::raft::install::{Blob, Sending};
use crate::raft::log::{Entry, Index};
use crate::raft::message::{InstallOutcome, Message};
use crate::raft::progress::{Mode, progress_of};
use crate::raft::snapshot::Snapshot;
use crate::raft::spec::machine::{Add, Adder};
use crate::raft::state::{Record, Role, Volatile};
use crate::session::{RequestId, Sessions};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-SNAP-SUFFIX-KEPT",
        defect: "installing a snapshot keeps a conflicting suffix",
        source: "Figure 13, InstallSnapshot RPC, step 7",
        model: "raft/install",
        inject: |scenario| scenario.step = keeps_suffix,
    },
    Mutant {
        id: "RAFT-SNAP-SUFFIX-LOST",
        defect: "installing a snapshot discards a matching suffix",
        source: "Figure 13, InstallSnapshot RPC, step 6",
        model: "raft/install",
        inject: |scenario| scenario.step = loses_suffix,
    },
    Mutant {
        id: "RAFT-SNAP-MATCH-TRUNCATES",
        defect: "a snapshot of what a follower has, and does not know to be committed, takes what follows it",
        source: "§7; Figure 13, InstallSnapshot RPC, step 6: \"retain log entries following it\"",
        model: "raft/install-overtaken",
        inject: |scenario| scenario.step = loses_what_follows_a_match,
    },
    Mutant {
        id: "RAFT-SNAP-STALE",
        defect: "a snapshot older than the commit index is installed",
        source: "§7: a snapshot describes a prefix of the log",
        model: "raft/install",
        inject: |scenario| scenario.step = installs_stale_snapshots,
    },
    Mutant {
        id: "RAFT-SNAP-NO-SESSIONS",
        defect: "the sessions are not in the snapshot: a retry after a restart is applied again",
        source: "§8; thesis §6.3",
        model: "raft/compaction",
        inject: |scenario| scenario.boot = restores_without_sessions,
    },
    Mutant {
        id: "RAFT-SNAP-NO-SESSIONS-SENT",
        defect: "the sessions are not in the snapshot that is sent",
        source: "§8; thesis §6.3",
        model: "raft/install",
        inject: |scenario| scenario.step = installs_without_sessions,
    },
    Mutant {
        id: "RAFT-SNAP-NO-HORIZON",
        defect: "an installed snapshot brings the sessions, and forgets that others have expired",
        source: "§7; thesis §6.3: the sessions are part of the state, and so is what they have lost",
        model: "raft/install-sessions",
        inject: |scenario| scenario.step = installs_without_horizon,
    },
    Mutant {
        id: "RAFT-SNAP-UNAPPLIED",
        defect: "the log is compacted beyond what is applied",
        source: "§7: covering just the committed entries in its log",
        model: "raft/compaction",
        inject: |scenario| scenario.step = compacts_all,
    },
    Mutant {
        id: "RAFT-SNAP-GAP",
        defect: "more is discarded than the snapshot includes",
        source: "§7, Figure 12",
        model: "raft/compaction",
        inject: |scenario| scenario.step = discards_too_much,
    },
    Mutant {
        id: "RAFT-SNAP-DISCARD-FIRST",
        defect: "the log is discarded, and the snapshot is not yet on disk",
        source: "§7: once a server completes writing a snapshot, it may delete entries",
        model: "raft/compaction",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Snapshot { .. })),
    },
    Mutant {
        id: "RAFT-SNAP-MEMBERS-AHEAD",
        defect: "a snapshot names the latest members, not those as of its last index",
        source: "§7: the latest configuration in the log as of last included index",
        model: "raft/install-member",
        inject: |scenario| scenario.step = snapshots_latest_members,
    },
    Mutant {
        id: "RAFT-SNAP-MEMBERS-STALE",
        defect: "a snapshot names the members that the one before named",
        source: "§7; seen in openraft (issue 1808)",
        model: "raft/install-member",
        inject: |scenario| scenario.step = snapshots_former_members,
    },
    Mutant {
        id: "RAFT-SNAP-MEMBERS-NOT-RESTORED",
        defect: "who installs a snapshot goes on with the members that it knew",
        source: "§7: to enable cluster membership changes",
        model: "raft/install-member",
        inject: |scenario| scenario.step = keeps_members,
    },
    Mutant {
        id: "RAFT-SNAP-LOST",
        defect: "a snapshot is acknowledged and not persisted",
        source: "Figure 13, InstallSnapshot RPC, step 5",
        model: "raft/install",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Install(_))),
    },
    Mutant {
        id: "RAFT-SNAP-MIXED",
        defect: "chunks of two snapshots are put together",
        source: "Figure 13: offset is of the snapshot that the last included index names",
        model: "raft/install-chunks",
        inject: |scenario| scenario.step = mixes_chunks,
    },
    Mutant {
        id: "RAFT-SNAP-PARTIAL-ACK",
        defect: "a chunk's answer counts as if the snapshot were installed",
        source: "Figure 13",
        model: "raft/install-chunks",
        inject: |scenario| scenario.step = counts_chunks,
    },
    Mutant {
        id: "RAFT-SNAP-NOT-TAKEN",
        defect: "what is unsaved goes on being counted when a snapshot is taken: the next one is \
                 never due. As a safety property: the timer of one that is due runs",
        source: "§7: once the log reaches a fixed size",
        model: "raft/compaction",
        inject: |scenario| scenario.step = snapshots_once,
    },
    Mutant {
        id: "RAFT-SNAP-TOO-SOON",
        defect: "a snapshot is taken of each entry, however small the log",
        source: "§7: once the log reaches a fixed size",
        model: "raft/trailing",
        inject: |scenario| scenario.step = snapshots_each_entry,
    },
    Mutant {
        id: "RAFT-SNAP-NOTHING-TRAILS",
        defect: "all that a snapshot includes is discarded: who lacks one entry is sent the whole \
                 state",
        source: "§7",
        model: "raft/trailing",
        inject: |scenario| scenario.step = discards_what_trails,
    },
    Mutant {
        id: "RAFT-SNAP-BLOB-KEPT",
        defect: "a leader keeps the encoded snapshot when nobody is sent it any more",
        source: "§7: it is a copy of the whole state",
        model: "raft/install",
        inject: |scenario| scenario.step = keeps_blob,
    },
    Mutant {
        id: "RAFT-SNAP-PARTIAL-KEPT",
        defect: "a node keeps what has arrived of a snapshot that it needs no longer",
        source: "Figure 13, step 6",
        model: "raft/install-chunks",
        inject: |scenario| scenario.step = keeps_partial,
    },
    Mutant {
        id: "RAFT-SNAP-LATE-CHUNK",
        defect: "a late chunk of an older snapshot takes the place of what has arrived of a newer",
        source: "Figure 13, step 5: discard any existing or partial snapshot with a smaller index",
        model: "raft/install-chunks",
        inject: |scenario| scenario.step = heeds_late_chunks,
    },
    Mutant {
        id: "RAFT-SNAP-LATE-ANSWER",
        defect: "the answer to an earlier chunk takes the sending back",
        source: "Figure 13",
        model: "raft/install-chunks",
        inject: |scenario| scenario.step = heeds_late_answers,
    },
    Mutant {
        id: "RAFT-SNAP-LATE-INSTALLED",
        defect: "that an older snapshot is installed ends the sending of the next one, which begins \
                 anew",
        source: "§7",
        model: "raft/install-chunks",
        inject: |scenario| scenario.step = begins_again,
    },
    Mutant {
        id: "RAFT-SNAP-NOT-DONE",
        defect: "the last chunk does not say that it is the last: the snapshot is whole with the \
                 next heartbeat",
        source: "Figure 13: \"done: true if this is the last chunk\"",
        model: "raft/install",
        inject: |scenario| scenario.step = never_done,
    },
    Mutant {
        id: "RAFT-SNAP-UNHEARD",
        defect: "who is sent a snapshot stands by nobody meanwhile: a chunk is not taken for a sign of the leader",
        source: "thesis §4.2.3: hearing from a current leader, by whatever it sends",
        model: "raft/install-guarded",
        inject: |scenario| scenario.step = hears_no_chunk,
    },
    Mutant {
        id: "RAFT-SNAP-OUTDATED",
        defect: "the sending of a snapshot goes on that the log no longer continues: who installs it \
                 needs the next one at once",
        source: "§7",
        model: "raft/install-chunks",
        inject: |scenario| scenario.step = sends_outdated_chunks,
    },
];

/// The snapshot that the input delivers whole, unless it is of an earlier term.
fn whole_snapshot(node: &Node<R>, input: &Input<R>) -> Option<Snapshot<Adder>> {
    match message(input)? {
        Message::InstallSnapshot {
            term,
            offset: 0,
            data,
            done: true,
            ..
        } if *term >= node.durable().current_term => Snapshot::decode(data),
        _ => None,
    }
}

fn snapshots_each_entry(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let applied = node.volatile.applied.last_applied;
    raft.step(node, input, out);
    if node.volatile.applied.last_applied > applied {
        out.arm(Timer::Snapshot);
    }
}

fn discards_what_trails(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut tidy = raft.clone();
    tidy.compaction.trailing = 0;
    tidy.step(node, input, out);
}

fn begins_again(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        from,
        message:
            Message::InstallSnapshotResponse {
                outcome:
                    InstallOutcome::Installed {
                        last_included_index,
                    },
                ..
            },
    } = &input
        && let Some(progress) = progress_of(node, *from)
        && *last_included_index > progress.match_index
    {
        progress.mode = Mode::Probe;
    }
    raft.step(node, input, out);
}

fn keeps_suffix(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let before = node.durable().snapshot.last_included_index();
    let log: Vec<Entry<Add>> = node.durable().log.from(Index(1)).to_vec();
    let base = node.durable().log.base_index();
    let installs = whole_snapshot(node, &input).is_some();
    raft.step(node, input, out);
    let after = node.durable().snapshot.last_included_index();
    if installs && after > before {
        let replaced = usize::try_from(after.0 - base.0).unwrap_or(usize::MAX);
        for entry in log.into_iter().skip(replaced) {
            node.write(Record::Append(entry));
        }
    }
}

fn loses_suffix(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let installed = whole_snapshot(node, &input).map(|snapshot| snapshot.last_included_index());
    raft.step(node, input, out);
    if let Some(index) = installed {
        node.write(Record::Truncate { from: index.next() });
    }
}

fn loses_what_follows_a_match(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let matching = whole_snapshot(node, &input).filter(|snapshot| {
        let (index, term) = snapshot.last_included();
        index > node.volatile.commit_index && node.durable().log.term_at(index) == Some(term)
    });
    raft.step(node, input, out);
    if let Some(snapshot) = matching {
        let from = snapshot.last_included_index().next();
        node.write(Record::Truncate { from });
    }
}

fn installs_stale_snapshots(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let snapshot = whole_snapshot(node, &input);
    raft.step(node, input, out);
    if let Some(snapshot) = snapshot {
        node.volatile.applied = snapshot.state.clone();
        node.volatile.commit_index = snapshot.last_included_index();
        node.write(Record::Install(snapshot));
    }
}

fn restores_without_sessions(
    raft: &R,
    durable: &<R as Protocol>::Durable,
    out: &mut Outbox<R>,
) -> Volatile<Adder> {
    let mut volatile = raft.boot(durable, out);
    volatile.applied.sessions = Sessions::default();
    volatile
}

fn installs_without_sessions(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let before = node.durable().snapshot.last_included_index();
    let installs = whole_snapshot(node, &input).is_some();
    raft.step(node, input, out);
    if installs && node.durable().snapshot.last_included_index() > before {
        node.volatile.applied.sessions = Sessions::default();
    }
}

fn installs_without_horizon(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let before = node.durable().snapshot.last_included_index();
    let installs = whole_snapshot(node, &input).is_some();
    raft.step(node, input, out);
    if installs && node.durable().snapshot.last_included_index() > before {
        let table = core::mem::take(&mut node.volatile.applied.sessions);
        for (client, sequence, _, response) in table.iter() {
            let request = RequestId { client, sequence };
            node.volatile.applied.sessions.record(request, *response);
        }
    }
}

fn compacts_all(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_snapshot = matches!(input, Input::Fire(Timer::Snapshot));
    raft.step(node, input, out);
    if is_snapshot {
        let through = node.durable().log.last_index();
        node.write(Record::Snapshot { through });
        node.write(Record::Discard { through });
    }
}

fn discards_too_much(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_snapshot = matches!(input, Input::Fire(Timer::Snapshot));
    raft.step(node, input, out);
    if is_snapshot {
        let through = node.durable().log.last_index();
        node.write(Record::Discard { through });
    }
}

/// Lets the snapshot that `node` has just taken name these members.
fn rename_members(node: &mut Node<R>, members: Option<InForce>) {
    let mut snapshot = node.durable().snapshot.clone();
    snapshot.state.configuration = members;
    node.write(Record::Install(snapshot));
}

fn snapshots_latest_members(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_snapshot = matches!(input, Input::Fire(Timer::Snapshot));
    raft.step(node, input, out);
    if is_snapshot {
        let latest = node.volatile.configuration.clone();
        rename_members(node, latest);
    }
}

fn snapshots_former_members(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_snapshot = matches!(input, Input::Fire(Timer::Snapshot));
    let former = node.durable().snapshot.state.configuration.clone();
    raft.step(node, input, out);
    if is_snapshot {
        rename_members(node, former);
    }
}

fn keeps_members(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let installs = whole_snapshot(node, &input).is_some();
    let known = node.volatile.configuration.clone();
    raft.step(node, input, out);
    if installs {
        node.volatile.configuration = known;
    }
}

fn snapshots_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_snapshot = matches!(input, Input::Fire(Timer::Snapshot));
    let unsaved = node.volatile.unsaved;
    raft.step(node, input, out);
    if is_snapshot {
        node.volatile.unsaved = unsaved;
    }
}

fn keeps_blob(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    fn blob(node: &mut Node<R>) -> Option<&mut Option<Blob>> {
        match &mut node.volatile.role {
            Role::Leader(leadership) => Some(&mut leadership.blob),
            Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => None,
        }
    }
    let before = blob(node).and_then(|blob| blob.clone());
    raft.step(node, input, out);
    if let Some(after) = blob(node) {
        *after = after.take().or(before);
    }
}

fn keeps_partial(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let before = node.volatile.partial.clone();
    raft.step(node, input, out);
    let partial = &mut node.volatile.partial;
    *partial = partial.take().or(before);
}

fn heeds_late_chunks(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if let Some(Message::InstallSnapshot {
        term,
        last_included_index,
        ..
    }) = message(&input)
        && let Some(partial) = &node.volatile.partial
        && partial.term == *term
        && partial.last_included.0 > *last_included_index
    {
        node.volatile.partial = None;
    }
    raft.step(node, input, out);
}

fn heeds_late_answers(raft: &R, node: &mut Node<R>, mut input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        from,
        message:
            Message::InstallSnapshotResponse {
                outcome: InstallOutcome::Received { sent, received, .. },
                ..
            },
    } = &mut input
        && let Some(progress) = progress_of(node, *from)
        && let Mode::Snapshot(sending) = &progress.mode
    {
        // The right one starts from no more than this.
        *received = (*received).min(*sent);
        *sent = sending.offset;
    }
    raft.step(node, input, out);
}

fn never_done(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_and_rewrite(raft, node, input, out, |_, mut effect| {
        if let Effect::Send {
            message: Message::InstallSnapshot { done, .. },
            ..
        } = &mut effect
        {
            *done = false;
        }
        effect
    });
}

/// A chunk is taken for one of the snapshot that is being received, whatever it says.
fn mixes_chunks(raft: &R, node: &mut Node<R>, mut input: Input<R>, out: &mut Outbox<R>) {
    let mut named = None;
    if let Input::Deliver {
        message:
            Message::InstallSnapshot {
                term,
                last_included_index,
                last_included_term,
                ..
            },
        ..
    } = &mut input
        && let Some(partial) = &node.volatile.partial
        && partial.term == *term
    {
        named = Some(*last_included_index);
        (*last_included_index, *last_included_term) = partial.last_included;
    }
    step_and_rewrite(raft, node, input, out, |_, effect| {
        let mut effect = effect;
        if let Some(named) = named
            && let Effect::Send {
                message:
                    Message::InstallSnapshotResponse {
                        outcome:
                            InstallOutcome::Received {
                                last_included_index,
                                ..
                            },
                        ..
                    },
                ..
            } = &mut effect
        {
            *last_included_index = named;
        }
        effect
    });
}

fn counts_chunks(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let counted = match &input {
        Input::Deliver {
            from,
            message:
                Message::InstallSnapshotResponse {
                    term,
                    outcome:
                        InstallOutcome::Received {
                            last_included_index,
                            ..
                        },
                    ..
                },
        } if *term == node.durable().current_term => Some((*from, *last_included_index)),
        _ => None,
    };
    raft.step(node, input, out);
    if let Some((follower, last_included_index)) = counted
        && let Some(progress) = progress_of(node, follower)
    {
        progress.accepted(last_included_index, true);
    }
}

/// A snapshot that a peer is being sent.
struct Outdated {
    peer: NodeId,
    sending: Sending,
    blob: Blob,
}

/// What a leader is sending of a snapshot that its log no longer continues.
fn outdated(node: &Node<R>) -> Vec<Outdated> {
    let base_index = node.durable().log.base_index();
    let Role::Leader(leads) = &node.volatile.role else {
        return Vec::new();
    };
    let blob = leads.blob.as_ref();
    let Some(blob) = blob.filter(|blob| blob.last_included.0 < base_index) else {
        return Vec::new();
    };
    let modes = leads.progress.iter();
    modes
        .filter_map(|(&peer, progress)| match progress.mode {
            Mode::Snapshot(sending) if progress.match_index < sending.last_included_index => {
                let blob = blob.clone();
                Some(Outdated {
                    peer,
                    sending,
                    blob,
                })
            }
            _ => None,
        })
        .collect()
}

/// Where the right leader begins with another snapshot, this one goes on with the one before.
fn sends_outdated_chunks(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let before = outdated(node);
    let most = raft.max_chunk_bytes;
    step_and_rewrite(raft, node, input, out, |_, mut effect| {
        if let Effect::Send {
            to,
            message:
                Message::InstallSnapshot {
                    last_included_index,
                    last_included_term,
                    offset,
                    data,
                    done,
                    ..
                },
        } = &mut effect
            && let Some(old) = before.iter().find(|old| old.peer == *to)
            && *last_included_index > old.blob.last_included.0
        {
            let start = usize::try_from(old.sending.offset).unwrap_or(usize::MAX);
            let rest = old.blob.bytes.get(start..).unwrap_or_default();
            (*last_included_index, *last_included_term) = old.blob.last_included;
            *offset = old.sending.offset;
            *data = rest[..rest.len().min(most)].to_vec();
            *done = data.len() == rest.len() && !data.is_empty();
        }
        effect
    });
    goes_on_with(node, before, most);
}

/// The leader notes that it has sent a chunk of the snapshot before, and keeps that.
fn goes_on_with(node: &mut Node<R>, before: Vec<Outdated>, most: usize) {
    for Outdated {
        peer,
        mut sending,
        blob,
    } in before
    {
        if let Some(progress) = progress_of(node, peer)
            && let Mode::Snapshot(begun) = &mut progress.mode
            && begun.last_included_index > sending.last_included_index
            && progress.match_index < sending.last_included_index
        {
            let rest = blob.bytes.len() as u64 - sending.offset;
            sending.offset += rest.min(most as u64);
            *begun = sending;
            if let Role::Leader(leads) = &mut node.volatile.role {
                leads.blob = Some(blob);
            }
        }
    }
}

fn hears_no_chunk(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_chunk = matches!(message(&input), Some(Message::InstallSnapshot { .. }));
    let heard = node.volatile.hears_leader;
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    let of_lease = |effect: &Effect<R>| is_chunk && *effect == Effect::Arm(Timer::Lease);
    for effect in right.drain().filter(|effect| !of_lease(effect)) {
        out.push(effect);
    }
    if is_chunk {
        node.volatile.hears_leader &= heard;
    }
}
