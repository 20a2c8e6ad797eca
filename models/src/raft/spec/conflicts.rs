//! What must be true of how a leader and a follower find where their logs part: "the leader can
//! decrement nextIndex to bypass all of the conflicting entries in that term; one AppendEntries
//! RPC will be required for each term with conflicting entries" (§5.3).

use crate::machine::StateMachine;
use crate::raft::Raft;
use crate::raft::log::{Index, Log};
use crate::raft::message::{AppendOutcome, Message};
use crate::raft::progress::{Mode, Progress};
use crate::specification::Law;
use crate::world::{Action, Host, World};

use super::{leadership, said};

impl<M: StateMachine> Raft<M> {
    pub(super) const CONFLICTS_ARE_TRUE: Law<Self> = Law {
        name: "A conflict is what it says →",
        source: "§5.3: the term of the conflicting entry and the first index stored for that term",
        holds: |_, before, action, after| conflicts_are_true(before, action, after),
    };

    pub(super) const TERMS_ARE_SKIPPED: Law<Self> = Law {
        name: "A refusal skips a whole term →",
        source: "§5.3: one refusal for each term with conflicting entries, not for each entry",
        holds: |_, before, action, after| terms_are_skipped(before, action, after),
    };
}

fn conflicts_are_true<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    said(before, action, after).all(|envelope| {
        let Message::AppendEntriesResponse {
            outcome:
                AppendOutcome::Conflict {
                    prev_log_index,
                    conflict_term,
                    first_index,
                },
            ..
        } = *envelope.message
        else {
            return true;
        };
        let Some(log) = after.host(envelope.from).map(|host| &host.durable().log) else {
            return true;
        };
        let at = |index: Index| log.get(index).map(|entry| entry.term);
        match conflict_term {
            None => prev_log_index > log.last_index() && first_index == log.last_index().next(),
            Some(term) => {
                at(prev_log_index) == Some(term)
                    && at(first_index) == Some(term)
                    && first_index <= prev_log_index
                    && at(first_index.previous()) != Some(term)
            }
        }
    })
}

/// The last index at which the log is known to hold an entry like this.
fn last_such<C>(log: &Log<C>, is_such: impl Fn(Index) -> bool) -> Option<Index> {
    let indices = log.base_index().0.max(1)..=log.last_index().0;
    indices.rev().map(Index).find(|&index| is_such(index))
}

/// Behind the leader's own last entry of the conflicting term, if it has one, else to where the
/// follower's entries of that term begin; back by one at least, and never behind what matches.
fn terms_are_skipped<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let Message::AppendEntriesResponse {
        term,
        outcome:
            AppendOutcome::Conflict {
                prev_log_index,
                conflict_term,
                first_index,
            },
        ..
    } = envelope.message
    else {
        return true;
    };
    let progress = |host: Option<&Host<Raft<M>>>| -> Option<Progress> {
        let (led, leads) = leadership(host?)?;
        (led == term).then(|| leads.progress.get(&envelope.from).cloned())?
    };
    let Some(host) = before.host(envelope.to) else {
        return true;
    };
    let (Some(old), Some(new)) = (progress(Some(host)), progress(after.host(envelope.to))) else {
        return true;
    };
    let last_sent = old.next_index.previous();
    let is_news = prev_log_index > old.match_index
        && match old.mode {
            Mode::Probe => prev_log_index == last_sent,
            Mode::Replicate { .. } => prev_log_index <= last_sent,
            Mode::Snapshot(_) => false,
        };
    let log = &host.durable().log;
    let own =
        conflict_term.and_then(|term| last_such(log, |index| log.term_at(index) == Some(term)));
    let skipped_to = own.map_or(first_index, Index::next);
    let expected = skipped_to.min(prev_log_index).max(old.match_index.next());
    !is_news || matches!(new.mode, Mode::Snapshot(_)) || new.next_index == expected
}
