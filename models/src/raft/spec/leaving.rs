//! What a leader owes to those whom a change of membership concerns (§6): the client that has
//! asked for it, and who leaves by it.

use crate::machine::StateMachine;
use crate::raft::Raft;
use crate::raft::message::Message;
use crate::specification::Law;
use crate::world::{Action, Host, Scenario, World};

use super::quorums::{in_force, latest_at, members, peers};
use super::{leadership, said, told};

impl<M: StateMachine> Raft<M> {
    pub(super) const LEAVING_IS_TOLD: Law<Self> = Law {
        name: "Who leaves is told →",
        source: "thesis §4.2.2, §4.2.3: who does not hear that it has left stands again and again",
        holds: |_, before, _, after| who_leaves_is_told(before, after),
    };

    pub(super) const LEFT_ARE_LEFT_ALONE: Law<Self> = Law {
        name: "Who has left is sent nothing more →",
        source: "thesis §4.2.2: it is no part of the cluster, once it was told so",
        holds: |_, before, action, after| left_are_left_alone(before, action, after),
    };

    pub(super) const CHANGE_IS_WAITED_FOR: Law<Self> = Law {
        name: "Who asks again for the change under way waits for it →",
        source: "§6, §8: it is under way, and neither refused nor begun again",
        holds: |scenario, before, action, after| {
            change_is_waited_for(scenario, before, action, after)
        },
    };
}

/// When a leader learns that a configuration is committed, it says so to those whom that leaves
/// out. It will say nothing more to them. Where nobody else votes it may have begun the change in the
/// same step, or have been elected in it.
fn who_leaves_is_told<M: StateMachine>(before: &World<Raft<M>>, after: &World<Raft<M>>) -> bool {
    let pairs = before.all_hosts().zip(after.all_hosts());
    { pairs }.all(|((id, old), (_, new))| {
        if core::ptr::eq(old, new) || leadership(old).or(leadership(new)).is_none() {
            return true;
        }
        let (Some(was), Some(is)) = (old.node(), new.node()) else {
            return true;
        };
        // Whoever is deposed in the same step leaves it to its successor.
        let goes_on = was.durable().current_term == is.durable().current_term;
        let takes_office = leadership(old).is_none();
        let latest = latest_at(after, is.durable(), is.volatile.commit_index);
        let settles = (goes_on || takes_office)
            && !in_force(after, is).1
            && latest.is_some_and(|(index, _)| index > was.volatile.commit_index);
        let members = members(in_force(after, is).0);
        let former = peers(before, id, was).into_iter();
        !settles
            || former.filter(|peer| !members.contains(peer)).all(|peer| {
                let listens = after.host(peer).is_some_and(|host| host.node().is_some());
                let is_told = told(after).any(|sent| {
                    (sent.from, sent.to) == (id, peer)
                        && match sent.message {
                            Message::AppendEntries { leader_commit, .. } => {
                                *leader_commit == is.volatile.commit_index
                            }
                            message => matches!(message, Message::InstallSnapshot { .. }),
                        }
                });
                is_told || !listens || !after.network.connects(id, peer)
            })
    })
}

/// Unless it has just answered what it was sent.
fn left_are_left_alone<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    said(before, action, after).all(|sent| {
        if !matches!(
            sent.message,
            Message::AppendEntries { .. } | Message::InstallSnapshot { .. }
        ) {
            return true;
        }
        let is_peer = |world: &World<Raft<M>>| {
            let node = world.host(sent.from).and_then(Host::node);
            node.is_none_or(|node| peers(world, sent.from, node).contains(&sent.to))
        };
        let answers = match action {
            Action::Deliver(envelope) | Action::Duplicate(envelope) => envelope.from == sent.to,
            _ => false,
        };
        is_peer(before) || is_peer(after) || answers
    })
}

fn change_is_waited_for<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Action::Ask { client, node } = action else {
        return true;
    };
    let pending = before.host(*node).and_then(leadership);
    let pending = pending.and_then(|(_, leads)| leads.change);
    let asked = scenario.scripts[*client].get(before.clients[*client].next);
    let retries = asked.is_some_and(|asked| pending == Some(asked.request()));
    let runs = after.host(*node).and_then(Host::node).is_some();
    !retries || !runs || after.clients[*client].waits_at.contains_key(node)
}
