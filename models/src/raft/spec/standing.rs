//! Whom a node asks that wants to lead (§5.2, §6; thesis §9.6).
//!
//! Verifies: it asks everybody whose vote may be needed, old voters and new. That votes count for no
//! more than they are is said elsewhere; here, that none is missing for want of a question, which
//! nobody would ask another time.

use crate::machine::StateMachine;
use crate::protocol::NodeId;
use crate::raft::message::Message;
use crate::raft::state::Role;
use crate::raft::{Raft, Timer};
use crate::specification::Law;
use crate::world::{Action, Host, Scenario, World};

use super::quorums::{in_force, voters};
use super::{Step, told};

impl<M: StateMachine> Raft<M> {
    pub(super) const ALL_VOTERS_ARE_ASKED: Law<Self> = Law {
        name: "Who wants to lead asks every voter, old and new →",
        source: "§5.2: RequestVote RPCs to each of the other servers; §6: of both configurations; \
                 thesis §9.6: and so before it stands",
        holds: all_voters_are_asked,
    };
}

/// A question to a node that is away is not seen. One that still waits for the disk since an earlier
/// time-out counts: asked again, it waits once.
fn all_voters_are_asked<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Some(step) = Step::taken(scenario, before, action, after) else {
        return true;
    };
    let term = step.new.durable().current_term;
    let begins = step.old.durable().current_term != term;
    let is_asked = match &step.new.volatile.role {
        Role::Candidate { .. } => begins,
        Role::PreCandidate { .. } => action.fired() == Some(&Timer::Election),
        Role::Follower { .. } | Role::Leader(_) => false,
    };
    if !is_asked {
        return true;
    }
    let asks = |message: &Message<M::Command>| match (&step.new.volatile.role, message) {
        (Role::Candidate { .. }, Message::RequestVote { term: asked, .. }) => *asked == term,
        (Role::PreCandidate { .. }, Message::PreVote { term: asked, .. }) => *asked == term.next(),
        _ => false,
    };
    let (electorate, _) = in_force(after, step.new);
    let is_away = |voter: NodeId| {
        !after.network.connects(step.id, voter) || after.host(voter).and_then(Host::node).is_none()
    };
    let mut others = voters(electorate).filter(|voter| *voter != step.id);
    others.all(|voter| {
        let mut questions = told(after);
        is_away(voter)
            || questions.any(|it| (it.from, it.to) == (step.id, voter) && asks(it.message))
    })
}
