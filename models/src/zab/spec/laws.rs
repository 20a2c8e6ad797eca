//! What must hold of every transition.

use crate::machine::StateMachine;
use crate::protocol::NodeId;
use crate::specification::Law;
use crate::world::{Action, Done, Host, Occurrence, Scenario, World};
use crate::zab::message::Message;
use crate::zab::state::{Phase, Role};
use crate::zab::zxid::Zxid;
use crate::zab::{Command, Event, Timer, Zab};

use super::contradictions::is_blank;
use super::invariants::{accepted, agree};
use super::{Bounded, holds, pings, primary};

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const TRANSITION_PROPERTIES: &'static [Law<Self>] = &[
        Law {
            name: "A follower waits anew when it hears its leader, and only then →",
            source: "DSN 2011, §IV: heartbeats of the leader that is followed, in its epoch",
            holds: waits_anew_for_its_leader,
        },
        Law {
            name: "Accepted epoch increases",
            source: "DSN 2011, §IV.B, step f.1.2: the last promise never goes back, crash or not, while \
                     there is a disk",
            holds: |_, before, _, after| {
                each(before, after, |old, new| {
                    is_blank(new.on_disk()) || accepted(old) <= accepted(new)
                })
            },
        },
        Law {
            name: "Current epoch increases",
            source: "DSN 2011, §IV.B, step f.2.1",
            holds: |_, before, _, after| {
                each(before, after, |old, new| {
                    is_blank(new.on_disk())
                        || old.on_disk().current_epoch <= new.on_disk().current_epoch
                })
            },
        },
        Law {
            name: "One leader per epoch →",
            source: "DSN 2011, §IV.B: who gets a quorum's promises is the first to have the epoch",
            holds: |_, before, _, after| takes_office_alone(before, after),
        },
        Law {
            name: "Initial histories are complete →",
            source: "DSN 2011, §V: who gets a quorum's promises has all that earlier epochs delivered",
            holds: |_, before, _, after| takes_office_complete(before, after),
        },
        Law {
            name: "Histories agree →",
            source: "DSN 2011, §V: a history that changes still agrees with all others",
            holds: |_, before, _, after| changed_histories_agree(before, after),
        },
        Law {
            name: "Accepted transactions stay",
            source: "DSN 2011, §IV.B: within an epoch a history only grows",
            holds: |_, before, _, after| each(before, after, accepted_transactions_stay),
        },
        Law {
            name: "Delivered transactions stay",
            source: "DSN 2011, §III.B: what a node has delivered never changes or vanishes",
            holds: |_, before, _, after| each(before, after, delivered_transactions_stay),
        },
        Law {
            name: "Deliveries go forward",
            source: "DSN 2011, §IV.B, step f.3.3",
            holds: |_, before, _, after| each(before, after, deliveries_go_forward),
        },
        Law {
            name: "Acknowledgements go forward",
            source: "a leader never forgets what a follower has on disk",
            holds: |_, before, _, after| each(before, after, acknowledgements_go_forward),
        },
        Law {
            name: "A ping makes up for what was lost →",
            source: "messages that were lost are sent again, whoever sent them; Medeiros 2012, §3.5",
            holds: |_, before, action, after| pings::make_up(before, action, after),
        },
        Self::BLANK_NODES_ARE_SILENT,
        Self::HALTED_NODES_ARE_SILENT,
        Self::WITHOUT_QUORUM_GIVES_UP,
        Self::OUTDONE_STANDS_DOWN,
        Law {
            name: "A local read shows what is delivered",
            source: "Medeiros 2012, §2: a read is answered by the node that is asked, from its own \
                     state",
            holds: local_read_shows_what_is_delivered,
        },
        Law {
            name: "Nodes start looking",
            source: "Medeiros 2012, §3.2: phase 0 comes first",
            holds: |_, _, action, after| starts_looking(action, after),
        },
        Self::EPOCH_IS_NEW_TO_A_QUORUM,
        Self::NO_EPOCH_OUT_OF_REACH_IS_HEEDED,
        Self::EPOCH_IS_HEEDED_ONCE,
        Self::NAMED_AGAIN_GOES_ON,
        Self::COUNTS_PROMISES,
        Self::COUNTS_WHAT_IS_SAID,
        Self::SNAP_IS_TAKEN_WHOLE,
        Self::TRUNC_TAKES_THE_TAIL,
        Self::COMES_TO_THE_LEADERS_HISTORY,
        Self::PROPOSED_TO_ALL,
        Self::PASSED_ON_IS_PROPOSED,
        Self::COMMITTED_IS_DELIVERED,
        Self::DELIVERED_IS_COMMITTED,
        Self::WHAT_IS_SAID_IS_SO,
        Self::SNAPSHOTS_IN_TIME,
        Self::ONE_TIME_FOR_EACH_ATTEMPT,
        Self::ANSWERED_ONCE,
        Self::ANSWERED_RIGHTLY,
        Self::PARTS_ARE_TOLD,
    ];
}

/// It may be behind, and never ahead: what is proposed and not committed may yet be lost.
fn local_read_shows_what_is_delivered<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    before: &W<M, E>,
    action: &Action<Zab<M, E>>,
    after: &W<M, E>,
) -> bool {
    let Action::Ask { client, node } = action else {
        return true;
    };
    let next = before.clients[*client].next;
    let Some(Command::Read { query, .. }) = scenario.scripts[*client].get(next) else {
        return true;
    };
    let mut said = after.history.occurrences().iter().rev();
    let answer = said.find_map(|occurrence| match occurrence {
        Occurrence::Return {
            client: asker,
            event: Event::Reply { response, .. },
        } if asker == client => Some(response),
        Occurrence::Return { .. } | Occurrence::Invoke { .. } => None,
    });
    let node = after.host(*node).and_then(Host::node);
    let right = node.map(|node| node.volatile.delivered.machine.query(query));
    after.clients[*client].next == next || answer == right.as_ref()
}

type H<M, E> = Host<Zab<M, E>>;
type W<M, E> = World<Zab<M, E>>;

/// Whether `holds` is true of each host's change. Unchanged hosts are shared, and skipped.
fn each<M: StateMachine, E: Bounded>(
    before: &W<M, E>,
    after: &W<M, E>,
    holds: fn(&H<M, E>, &H<M, E>) -> bool,
) -> bool {
    changed(before, after).all(|(_, old, new)| holds(old, new))
}

/// The hosts that the transition has touched.
pub(super) fn changed<'a, M: StateMachine, E: Bounded>(
    before: &'a W<M, E>,
    after: &'a W<M, E>,
) -> impl Iterator<Item = (NodeId, &'a H<M, E>, &'a H<M, E>)> {
    let both = before.all_hosts().zip(after.all_hosts());
    both.filter(|((_, old), (_, new))| !core::ptr::eq(*old, *new))
        .map(|((id, old), (_, new))| (id, old, new))
}

/// The nodes that have just got the promises of a quorum.
fn new_primaries<'a, M: StateMachine, E: Bounded>(
    before: &'a W<M, E>,
    after: &'a W<M, E>,
) -> impl Iterator<Item = &'a H<M, E>> {
    changed(before, after).filter_map(|(_, old, new)| {
        let (epoch, _) = primary(new)?;
        let was = primary(old).is_some_and(|(old_epoch, _)| old_epoch == epoch);
        (!was).then_some(new)
    })
}

/// Nobody, not even the same node before a crash, has ever had the epoch.
fn takes_office_alone<M: StateMachine, E: Bounded>(before: &W<M, E>, after: &W<M, E>) -> bool {
    new_primaries(before, after).all(|host| {
        !before
            .ghost
            .reigns
            .contains_key(&host.durable().accepted_epoch)
    })
}

fn takes_office_complete<M: StateMachine, E: Bounded>(before: &W<M, E>, after: &W<M, E>) -> bool {
    new_primaries(before, after).all(|host| {
        let disk = host.durable();
        // A leader of a later epoch may have been quicker.
        let delivered = before.ghost.delivered.iter();
        let mut earlier = delivered.filter(|delivered| delivered.in_epoch < disk.accepted_epoch);
        earlier.all(|delivered| holds(&disk.history, &delivered.transaction))
    })
}

fn changed_histories_agree<M: StateMachine, E: Bounded>(before: &W<M, E>, after: &W<M, E>) -> bool {
    changed(before, after)
        .filter(|(_, old, new)| old.durable().history != new.durable().history)
        .all(|(_, _, new)| {
            let mut others = after.all_hosts();
            others.all(|(_, other)| agree(&new.durable().history, &other.durable().history))
        })
}

fn accepted_transactions_stay<M: StateMachine, E: Bounded>(old: &H<M, E>, new: &H<M, E>) -> bool {
    let (old, new) = (old.on_disk(), new.on_disk());
    let had_joined = old.current_epoch == old.accepted_epoch;
    let is_same =
        new.current_epoch == old.current_epoch && new.accepted_epoch == old.accepted_epoch;
    let mut accepted = old.history.transactions().iter();
    !(had_joined && is_same) || accepted.all(|transaction| holds(&new.history, transaction))
}

fn delivered_transactions_stay<M: StateMachine, E: Bounded>(old: &H<M, E>, new: &H<M, E>) -> bool {
    let Some(node) = old.node() else {
        return true;
    };
    let delivered: Zxid = node.volatile.delivered.zxid;
    let kept = old.durable().history.transactions().iter();
    let mut delivered = kept.take_while(|next| next.zxid <= delivered);
    delivered.all(|transaction| holds(&new.durable().history, transaction))
}

fn deliveries_go_forward<M: StateMachine, E: Bounded>(old: &H<M, E>, new: &H<M, E>) -> bool {
    match (old.node(), new.node()) {
        (Some(old), Some(new)) => old.volatile.delivered.zxid <= new.volatile.delivered.zxid,
        // A crash forgets what the snapshot does not hold.
        _ => true,
    }
}

fn acknowledgements_go_forward<M: StateMachine, E: Bounded>(old: &H<M, E>, new: &H<M, E>) -> bool {
    let (Some((was, old)), Some((is, new))) = (primary(old), primary(new)) else {
        return true;
    };
    was != is
        || old
            .learners
            .iter()
            .all(|(follower, last)| new.learners.get(follower) >= Some(last))
}

fn starts_looking<M: StateMachine, E: Bounded>(
    action: &Action<Zab<M, E>>,
    after: &W<M, E>,
) -> bool {
    let Action::Restart(id) = action else {
        return true;
    };
    after
        .host(*id)
        .and_then(Host::node)
        .is_some_and(|node| node.volatile.role == Role::Looking && node.volatile.waiting.is_empty())
}

/// Of a follower whose timer runs: a leader's is started anew by itself.
fn waits_anew_for_its_leader<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    before: &World<Zab<M, E>>,
    action: &Action<Zab<M, E>>,
    after: &World<Zab<M, E>>,
) -> bool {
    let Some((id, Done { renewed, .. })) = before.done(scenario, action, after) else {
        return true;
    };
    let Some(node) = after.host(id).and_then(Host::node) else {
        return true;
    };
    let hears = match (action, &node.volatile.role) {
        (Action::Deliver(envelope) | Action::Duplicate(envelope), Role::Following(following)) => {
            following.leader == envelope.from
                && matches!(&envelope.message, Message::Ping { epoch, .. }
                    if *epoch == node.durable().accepted_epoch)
                && following.phase != Phase::Discovery
        }
        _ => false,
    };
    let runs = before
        .host(id)
        .is_some_and(|host| host.armed().any(|timer| *timer == Timer::Sync));
    match hears && runs {
        true => renewed.contains(&Timer::Sync),
        false => !renewed.contains(&Timer::Sync),
    }
}
