//! What a leader owes to those whom it has lost, and who are ahead of it: that it gives up, for
//! another to be found (Medeiros 2012, §3.5); and to those whose requests it has done.

use alloc::collections::BTreeSet;

use crate::machine::StateMachine;
use crate::session::RequestId;
use crate::specification::{Invariant, Law};
use crate::world::{Action, Host, Scenario, World};
use crate::zab::message::Message;
use crate::zab::state::{Leading, Role};
use crate::zab::{Timer, Zab};

use super::reach::is_in_reach;
use super::{Bounded, behind, is_quorum, primary};

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const OUTSTANDING_IS_UNDER_WAY: Invariant<Self> = Invariant {
        name: "What is outstanding is under way",
        source: "Medeiros 2012, §3.5: what is delivered may be asked for again, and is done anew or \
                 answered",
        holds: |_, world| {
            world.all_hosts().all(|(_, host)| {
                primary(host).is_none_or(|(_, leads)| leads.outstanding.is_subset(&proposed(host)))
            })
        },
    };

    pub(super) const WITHOUT_QUORUM_GIVES_UP: Law<Self> = Law {
        name: "A leader without a quorum gives up →",
        source: "Medeiros 2012, §3.5: the leader looks for another when it has not heard from a \
                 quorum since it last looked",
        holds: |scenario, before, action, after| {
            without_quorum_gives_up(scenario, before, action, after)
        },
    };

    pub(super) const OUTDONE_STANDS_DOWN: Law<Self> = Law {
        name: "A leader whom somebody is ahead of stands down →",
        source: "DSN 2011, §IV.B, step f.1.2: who has promised a later epoch can join no earlier",
        holds: |_, before, action, after| outdone_stands_down(before, action, after),
    };
}

/// The requests whose transactions the node has and has not delivered.
fn proposed<M: StateMachine, E: Bounded>(host: &Host<Zab<M, E>>) -> BTreeSet<RequestId> {
    let Some(node) = host.node() else {
        return BTreeSet::new();
    };
    let delivered = node.volatile.delivered.zxid;
    let due = behind(&node.durable().history, delivered);
    due.map(|transaction| transaction.content.request())
        .collect()
}

/// It leads on if it has heard of a quorum, itself included; and then it begins to count anew.
fn without_quorum_gives_up<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    before: &World<Zab<M, E>>,
    action: &Action<Zab<M, E>>,
    after: &World<Zab<M, E>>,
) -> bool {
    let Action::Fire {
        node,
        timer: Timer::Sync,
    } = action
    else {
        return true;
    };
    let led = before.host(*node).and_then(primary);
    let leads = after.host(*node).and_then(primary);
    let (Some((_, was)), Some((_, is))) = (led, leads) else {
        return true;
    };
    let is_enough = is_quorum(&scenario.nodes[usize::from(node.0)], was.heard.len() + 1);
    is_enough && is.heard.is_empty()
}

fn outdone_stands_down<M: StateMachine, E: Bounded>(
    before: &World<Zab<M, E>>,
    action: &Action<Zab<M, E>>,
    after: &World<Zab<M, E>>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let Message::FollowerInfo { accepted_epoch } = envelope.message else {
        return true;
    };
    // Who has not proposed an epoch yet proposes one that is later than any.
    let has_proposed = |host: &Host<Zab<M, E>>| {
        host.node().is_some_and(|node| {
            matches!(
                node.volatile.role,
                Role::Leading(Leading::Prospective { .. } | Leading::Primary(_))
            )
        })
    };
    let (Some(old), Some(new)) = (before.host(envelope.to), after.host(envelope.to)) else {
        return true;
    };
    let own = old.durable().accepted_epoch;
    !has_proposed(old)
        || accepted_epoch <= own
        || !is_in_reach(own, accepted_epoch)
        || !has_proposed(new)
}
