//! How far a follower commits: as far as its leader has shown it the log, and no further. What it has
//! beyond that may be of another leader, and be overwritten yet.

use crate::machine::StateMachine;
use crate::raft::Raft;
use crate::raft::log::Index;
use crate::raft::message::Message;
use crate::raft::state::{Persistent, Role};
use crate::specification::Law;
use crate::world::{Action, Scenario, World};

use super::Step;

impl<M: StateMachine> Raft<M> {
    pub(super) const COMMITS_WHAT_IS_SHOWN: Law<Self> = Law {
        name: "Who follows commits what it is shown →",
        source: "Figure 2, AppendEntries RPC, step 5: \"min(leaderCommit, index of last new entry)\"; \
                 Figure 13: what a snapshot replaces is committed",
        holds: commits_what_is_shown,
    };
}

/// Of a step that begins and ends with another node's reign: who leads commits what a quorum has.
fn commits_what_is_shown<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Some(step) = Step::taken(scenario, before, action, after) else {
        return true;
    };
    let leads = |role: &Role<M>| matches!(role, Role::Leader(_));
    if leads(&step.old.volatile.role)
        || leads(&step.new.volatile.role)
        || !step.new.durable().takes_part()
    {
        return true;
    }
    let (was, is) = (
        step.old.volatile.commit_index,
        step.new.volatile.commit_index,
    );
    let shown = action.delivered().and_then(|message| {
        let is_current = message.term() == step.new.durable().current_term;
        is_current.then(|| shown(step.old.durable(), message))?
    });
    match shown {
        Some(Shown::Committed(index)) => is == was.max(index),
        Some(Shown::InPart(index)) => is == was || is == was.max(index),
        None => is == was,
    }
}

/// What a message shows to be committed.
enum Shown {
    /// The entries up to here.
    Committed(Index),
    /// The entries up to here, if this is the last part that was missing.
    InPart(Index),
}

/// What the message shows to be committed to the node on this disk, if it is one that shows anything.
fn shown<M: StateMachine>(disk: &Persistent<M>, message: &Message<M::Command>) -> Option<Shown> {
    let log = &disk.log;
    match message {
        Message::AppendEntries {
            prev_log_index,
            prev_log_term,
            entries,
            leader_commit,
            ..
        } => {
            let follows = *prev_log_index < log.base_index()
                || log.term_at(*prev_log_index) == Some(*prev_log_term);
            let last = Index(prev_log_index.0.saturating_add(entries.len() as u64));
            follows.then_some(Shown::Committed(last.min(*leader_commit)))
        }
        Message::InstallSnapshot {
            last_included_index,
            last_included_term,
            ..
        } => match log.term_at(*last_included_index) == Some(*last_included_term) {
            true => Some(Shown::Committed(*last_included_index)),
            false => Some(Shown::InPart(*last_included_index)),
        },
        _ => None,
    }
}
