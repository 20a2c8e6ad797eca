//! What a node owes to those who ask it: its clients, and its operator.

use crate::maekawa::{Command, Maekawa};
use crate::protocol::{Node, NodeId};
use crate::world::{Action, Scenario, World};

use super::disks::is_blank;
use super::{claims_of, local_of, membership_of};

/// What the action asks of a node that runs, and the node afterwards.
fn asked<'a>(
    scenario: &'a Scenario<Maekawa>,
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &'a World<Maekawa>,
) -> Option<(&'a Command, NodeId, &'a Node<Maekawa>)> {
    let (Action::Ask { client, node } | Action::AskUnheard { client, node }) = *action else {
        return None;
    };
    let next = before.clients.get(client)?.next;
    let command = scenario.scripts.get(client)?.get(next)?;
    Some((command, node, after.host(node)?.node()?))
}

/// A request is answered at once, but for a claim that waits, and for what only the orchestrator can
/// grant. So a claim that has the lock, and is made again because the answer was lost, is told so.
pub(super) fn who_asks_is_answered_or_waits(
    scenario: &Scenario<Maekawa>,
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let Action::Ask { client, .. } = *action else {
        return true;
    };
    let Some((command, id, node)) = asked(scenario, before, action, after) else {
        return true;
    };
    let client = after.clients.get(client);
    let has_answer = client.is_none_or(|client| !client.waits_at.contains_key(&id));
    let is_member = membership_of(node).is_some();
    has_answer
        || is_blank(node.durable())
        || match command {
            Command::Acquire { claim } => local_of(node).is_some_and(|local| {
                let member = local.membership.as_ref();
                let held = member.is_some_and(|member| member.held(&claim.lock).is_some());
                let position = { local.claims_to(&claim.lock) }.position(|other| other == claim);
                position.is_some_and(|position| position > 0 || !held)
            }),
            Command::Release { .. } | Command::End { .. } => false,
            Command::Register => !is_member,
            Command::Deregister => is_member,
        }
}

/// A client that is gone claims nothing, and nothing is remembered of it.
pub(super) fn who_is_gone_is_forgotten(
    scenario: &Scenario<Maekawa>,
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let Some((Command::End { session }, id, node)) = asked(scenario, before, action, after) else {
        return true;
    };
    let is_forgotten = local_of(node).is_none_or(|local| {
        let mut claims = claims_of(local);
        claims.all(|claim| claim.session != *session) && !local.over.contains_key(session)
    });
    session.node != id || is_forgotten
}
