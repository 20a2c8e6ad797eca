//! What must hold in every state.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::machine::StateMachine;
use crate::protocol::NodeId;
use crate::specification::Invariant;
use crate::world::{Host, Scenario, World};
use crate::zab::election::Election;
use crate::zab::history::{Content, History, Snapshot, Transaction};
use crate::zab::state::{Leading, Persistent, Phase, Role, Waiting};
use crate::zab::zxid::{Epoch, Zxid};
use crate::zab::{Timer, Zab};

use super::contradictions::{ensembles_meet, is_blank};
use super::{
    Bounded, goes_through, holds, is_linearizable, is_quorum, messages, primary, takes_part,
};

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const STATE_PROPERTIES: &'static [Invariant<Self>] = &[
        Invariant {
            name: "Integrity",
            source: "DSN 2011, §III.B: what is delivered has been broadcast by some primary",
            holds: |_, world| integrity(world),
        },
        Invariant {
            name: "Total Order",
            source: "DSN 2011, §III.B: if some node delivers one transaction before another, who \
                     delivers the other has delivered the one before it",
            holds: |_, world| total_order(world),
        },
        Invariant {
            name: "Agreement",
            source: "DSN 2011, §III.B: of two nodes one has delivered all that the other has",
            holds: |_, world| agreement(world),
        },
        Invariant {
            name: "Local Primary Order",
            source: "DSN 2011, §III.B: with a transaction, all that its primary broadcast before",
            holds: |_, world| local_primary_order(world),
        },
        Invariant {
            name: "Global Primary Order",
            source: "DSN 2011, §III.B: an earlier primary's transactions come before a later's",
            holds: |_, world| global_primary_order(world),
        },
        Invariant {
            name: "Primary Integrity",
            source: "DSN 2011, §III.B: a primary that broadcasts had delivered all that anybody \
                     ever delivers of earlier ones",
            holds: |_, world| primary_integrity(world),
        },
        Invariant {
            name: "One leader per epoch",
            source: "DSN 2011, §IV.B: a quorum promises an epoch to one leader",
            holds: |_, world| one_leader_per_epoch(world),
        },
        Invariant {
            name: "Accepted epoch is not below current epoch",
            source: "DSN 2011, §IV.B, step f.2.1; ZOOKEEPER-2307",
            holds: |_, world| disks(world).all(|disk| disk.current_epoch <= disk.accepted_epoch),
        },
        Invariant {
            name: "Zxids increase",
            source: "DSN 2011, §III.C",
            holds: |_, world| disks(world).all(zxids_increase),
        },
        Invariant {
            name: "Histories agree",
            source: "DSN 2011, §V: histories with a transaction in common are equal up to it",
            holds: |_, world| histories_agree(world),
        },
        Invariant {
            name: "Current epoch stands for its initial history",
            source: "DSN 2011, §IV.B, step f.2.1: f.a = e only with what was committed before e",
            holds: |_, world| current_epoch_is_earned(world),
        },
        Invariant {
            name: "Promises are durable",
            source: "DSN 2011, §IV.B, step f.1.2: no promise is counted that a crash could undo",
            holds: |_, world| promises_are_durable(world),
        },
        Invariant {
            name: "Acknowledgements are durable",
            source: "DSN 2011, §IV.B, steps f.2.1 and f.3.2; ZOOKEEPER-4646",
            holds: |_, world| acknowledgements_are_durable(world),
        },
        Invariant {
            name: "What a leader sends is its history",
            source: "DSN 2011, §IV.B, steps l.2.1 and l.3.1; Medeiros 2012, §4.2",
            holds: |_, world| messages::are_of_their_senders_history(world),
        },
        Invariant {
            name: "Established leaders have a quorum",
            source: "DSN 2011, §IV.B, step l.2.2",
            holds: established_leaders_have_a_quorum,
        },
        Invariant {
            name: "Delivered transactions are durable",
            source: "DSN 2011, §IV.B, step l.3.2: they are on the disks of a quorum, or were before \
                     these were lost: nobody else is enough to elect or to commit without them",
            holds: delivered_transactions_are_durable,
        },
        Invariant {
            name: "Delivered transactions are in later initial histories",
            source: "DSN 2011, §V: what is committed is in the history of every later leader",
            holds: |_, world| leaders_are_complete(world),
        },
        Invariant {
            name: "Delivered once",
            source: "no command is delivered twice, and a state is what was delivered up to it",
            holds: |scenario, world| delivered_once(world) || ensembles_meet(scenario),
        },
        Invariant {
            name: "Delivered transactions are in the history",
            source: "DSN 2011, §IV.B, step f.3.3",
            holds: |_, world| deliveries_are_in_order(world),
        },
        Invariant {
            name: "What a quorum has is committed",
            source: "DSN 2011, §IV.B, step l.3.2, the leader counting itself",
            holds: what_a_quorum_has_is_committed,
        },
        Self::OUTSTANDING_IS_UNDER_WAY,
        Self::UNDER_WAY_IS_OUTSTANDING,
        Self::NOBODY_IS_CONTRADICTED,
        Self::HALTS_ARE_DURABLE,
        Self::BLANK_DISKS_STAY_BLANK,
        Invariant {
            name: "Nobody waits in vain",
            source: "clients wait only where there is a leader, nodes only while a timer runs",
            holds: |_, world| nobody_waits_in_vain(world),
        },
        Self::NO_TIMER_RUNS_ON,
        Invariant {
            name: "What is done is answered",
            source: "nobody waits for a command that is delivered where it waits, or given up",
            holds: |_, world| what_is_done_is_answered(world),
        },
        Invariant {
            name: "Linearizability",
            source: "of writes and synced reads; Herlihy and Wing 1990",
            holds: is_linearizable,
        },
    ];
}

type W<M, E> = World<Zab<M, E>>;

/// What each node knows to be durable, and what each disk would remember after a crash.
fn disks<M: StateMachine, E: Bounded>(world: &W<M, E>) -> impl Iterator<Item = &Persistent<M>> {
    world.all_hosts().flat_map(|(_, host)| {
        let believed = host.durable();
        let on_disk = host.on_disk();
        let differs = !core::ptr::eq(believed, on_disk);
        core::iter::once(believed).chain(differs.then_some(on_disk))
    })
}

fn integrity<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    let ghost = &world.ghost;
    ghost.delivered.iter().all(|delivered| {
        let transaction = &delivered.transaction;
        ghost.broadcast.get(&transaction.zxid) == Some(&transaction.content)
    })
}

/// What each node has delivered, in order.
fn sequences<M: StateMachine, E: Bounded>(world: &W<M, E>) -> impl Iterator<Item = &[Zxid]> {
    world.ghost.sequences.values().map(Vec::as_slice)
}

/// Where the transaction is in the sequence.
fn position(sequence: &[Zxid], zxid: Zxid) -> Option<usize> {
    sequence.iter().position(|&delivered| delivered == zxid)
}

fn total_order<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    sequences(world).all(|one| {
        sequences(world).all(|other| {
            one.iter().enumerate().all(|(later_at, &later)| {
                let Some(before) = position(other, later).map(|at| &other[..at]) else {
                    return true;
                };
                one[..later_at]
                    .iter()
                    .all(|earlier| before.contains(earlier))
            })
        })
    })
}

fn agreement<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    let has_all = |one: &[Zxid], other: &[Zxid]| other.iter().all(|zxid| one.contains(zxid));
    sequences(world)
        .all(|one| sequences(world).all(|other| has_all(one, other) || has_all(other, one)))
}

/// For *every* two transactions of a primary: who has delivered the later has delivered the
/// earlier before it.
fn local_primary_order<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    sequences(world).all(|sequence| {
        sequence.iter().enumerate().all(|(at, later)| {
            let broadcast = world.ghost.broadcast.keys();
            let mut earlier = broadcast.filter(|zxid| zxid.epoch == later.epoch && *zxid < later);
            earlier.all(|zxid| sequence[..at].contains(zxid))
        })
    })
}

fn global_primary_order<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    sequences(world).all(|sequence| sequence.iter().map(|zxid| zxid.epoch).is_sorted())
}

fn primary_integrity<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    world.ghost.reigns.iter().all(|(&epoch, reign)| {
        let delivered = world.ghost.delivered.iter();
        let delivered = delivered.map(|delivered| delivered.transaction.zxid);
        let mut earlier = delivered.filter(|zxid| zxid.epoch < epoch);
        let had = reign.had_delivered.as_ref();
        had.is_none_or(|had| earlier.all(|zxid| had.contains(&zxid)))
    })
}

fn one_leader_per_epoch<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    world.all_hosts().all(|(id, host)| match primary(host) {
        Some((epoch, _)) => {
            let reign = world.ghost.reigns.get(&epoch);
            reign.is_some_and(|reign| reign.leader == id)
        }
        None => true,
    })
}

fn zxids_increase<M: StateMachine>(disk: &Persistent<M>) -> bool {
    let history = &disk.history;
    let kept = history.transactions().iter().map(|next| next.zxid);
    let all: Vec<Zxid> = core::iter::once(history.begins_after())
        .chain(kept)
        .collect();
    all.windows(2).all(|pair| pair[0] < pair[1])
        && history.begins_after() <= history.snapshot().zxid
        && history.snapshot().zxid <= history.last_zxid()
        && history.last_zxid().epoch <= disk.accepted_epoch
}

fn histories_agree<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    disks(world).all(|disk| disks(world).all(|other| agree(&disk.history, &other.history)))
}

/// Whether two histories are equal up to the last transaction that they have in common.
pub(super) fn agree<M: StateMachine>(a: &History<M>, b: &History<M>) -> bool {
    let from = a.begins_after().max(b.begins_after());
    let ids = a.transactions().iter().rev().map(|next| next.zxid);
    let mut common = ids.filter(|&zxid| zxid > from && goes_through(b, zxid));
    let Some(last) = common.next() else {
        return true;
    };
    let up_to_last = |next: &&Transaction<M::Command>| next.zxid > from && next.zxid <= last;
    let a = a.transactions().iter().filter(up_to_last);
    a.eq(b.transactions().iter().filter(up_to_last))
}

/// In the paper a follower takes over history and epoch in one atomic step (f.2.1), so that
/// `f.a = e` implies `I_e`, always. Here a later leader's history comes piece by piece, and its
/// epoch after it. Meanwhile the node has the current epoch of old, and its history is the
/// beginning of that leader's, perhaps without `I_e`: nothing else is let pass.
///
/// Nothing is lost by it. What the proof needs of `f.a = e` is that the history has all that was
/// committed before `e`, lest a quorum choose a leader without it. That was in `I_e`, which the
/// node had, and is in the later leader's initial history, which was chosen by a quorum. The node
/// keeps what the two have in common, and gets more of the latter. The second half asks for
/// just that.
///
/// Nor does a last zxid that counts for more than it did win anything with it. If the piece has a
/// transaction of epoch `e'`, the leader of `e'` was established, a quorum has `f.a >= e'`, and
/// this node, with its `f.a` of old, is not the most recent of any.
fn current_epoch_is_earned<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    disks(world).all(|disk| {
        let (history, epoch) = (&disk.history, disk.current_epoch);
        let has_initial = match world.ghost.reigns.get(&epoch) {
            Some(reign) => {
                goes_through(history, reign.initial) || reign.initial < history.begins_after()
            }
            // Its leader crashed within the step in which it got its promises: nobody has heard.
            None => true,
        };
        let delivered = world.ghost.delivered.iter();
        let mut earlier = delivered.filter(|delivered| delivered.in_epoch < epoch);
        (has_initial || is_beginning_of_later(world, disk))
            && earlier.all(|delivered| holds(history, &delivered.transaction))
    })
}

/// Whether the history is the beginning of one that a leader has had of a later epoch, which the
/// node has accepted.
fn is_beginning_of_later<M: StateMachine, E: Bounded>(
    world: &W<M, E>,
    disk: &Persistent<M>,
) -> bool {
    let ghost = &world.ghost;
    let reigns = ghost.reigns.iter();
    let mut later =
        reigns.filter(|(epoch, _)| **epoch > disk.current_epoch && **epoch <= disk.accepted_epoch);
    later.any(|(&epoch, reign)| {
        ghost.leads_to(disk.history.last_zxid(), ghost.last_of(epoch, reign))
    })
}

fn promises_are_durable<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    world.running().all(|(_, node)| {
        let Role::Leading(Leading::Prospective { acks }) = &node.volatile.role else {
            return true;
        };
        let epoch = node.durable().accepted_epoch;
        let promising = acks.iter().filter(|(_, ack)| ack.promises);
        let mut promised = promising.filter_map(|(&follower, _)| world.host(follower));
        // Who has lost its disk promises nothing to anybody else.
        promised.all(|host| is_blank(host.on_disk()) || host.on_disk().accepted_epoch >= epoch)
    })
}

fn acknowledgements_are_durable<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    world.all_hosts().all(|(_, host)| {
        let Some((epoch, primary)) = primary(host) else {
            return true;
        };
        let own = &host.durable().history;
        let acknowledged = primary.learners.iter();
        let mut acknowledged = acknowledged.filter_map(|(&id, last)| Some((id, (*last)?)));
        acknowledged.all(|(id, last)| {
            let Some(disk) = world.host(id).map(Host::on_disk) else {
                return false;
            };
            // A later leader may have taken from it what this one knows of.
            let has_all = || {
                let mut claimed = own
                    .transactions()
                    .iter()
                    .take_while(|next| next.zxid <= last);
                claimed.all(|transaction| holds(&disk.history, transaction))
            };
            is_blank(disk)
                || disk.accepted_epoch > epoch
                || disk.current_epoch == epoch && has_all()
        })
    })
}

fn established_leaders_have_a_quorum<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    world: &W<M, E>,
) -> bool {
    let established = world
        .ghost
        .reigns
        .iter()
        .filter(|(_, reign)| reign.established);
    established.into_iter().all(|(&epoch, _)| {
        let took_over = |(_, host): &(NodeId, &Host<Zab<M, E>>)| {
            is_blank(host.on_disk()) || host.on_disk().current_epoch >= epoch
        };
        is_quorum(
            &scenario.nodes[0],
            world.all_hosts().filter(took_over).count(),
        )
    })
}

fn delivered_transactions_are_durable<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    world: &W<M, E>,
) -> bool {
    world.ghost.delivered.iter().all(|delivered| {
        let has = |(_, host): &(NodeId, &Host<Zab<M, E>>)| {
            // Who has lost its disk is as good as a holder: nobody is elected by it.
            is_blank(host.on_disk()) || holds(&host.on_disk().history, &delivered.transaction)
        };
        is_quorum(&scenario.nodes[0], world.all_hosts().filter(has).count())
    })
}

fn leaders_are_complete<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    world.all_hosts().all(|(_, host)| {
        let Some((epoch, _)) = primary(host) else {
            return true;
        };
        let delivered = world.ghost.delivered.iter();
        let mut earlier = delivered.filter(|delivered| delivered.in_epoch < epoch);
        earlier.all(|delivered| holds(&host.durable().history, &delivered.transaction))
    })
}

fn delivered_once<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    let mut requests = BTreeSet::new();
    let mut delivered = world.ghost.delivered.iter();
    let is_once = delivered.all(|delivered| match &delivered.transaction.content {
        Content::Command { request, .. } => requests.insert(*request),
        Content::Sync { .. } => true,
    });
    let is_state = |state: &Snapshot<M>| world.ghost.replay(state.zxid).is(state);
    let mut running = world.running();
    is_once
        && running.all(|(_, node)| is_state(&node.volatile.delivered))
        && disks(world).all(|disk| is_state(disk.history.snapshot()))
}

fn deliveries_are_in_order<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    world.running().all(|(_, node)| {
        let (history, delivered) = (&node.durable().history, node.volatile.delivered.zxid);
        goes_through(history, delivered) && history.snapshot().zxid <= delivered
    })
}

fn what_a_quorum_has_is_committed<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    world: &W<M, E>,
) -> bool {
    world.running().all(|(_, node)| {
        let Role::Leading(Leading::Primary(primary)) = &node.volatile.role else {
            return true;
        };
        let own = node.durable().history.last_zxid();
        let mut on_disk: Vec<Zxid> = primary.learners.values().flatten().copied().collect();
        on_disk.push(own);
        let holders = |zxid: Zxid| on_disk.iter().filter(|has| **has >= zxid).count();
        let mut committed =
            { on_disk.iter() }.filter(|&&zxid| is_quorum(&scenario.nodes[0], holders(zxid)));
        !primary.established || committed.all(|zxid| *zxid <= node.volatile.delivered.zxid)
    })
}

fn nobody_waits_in_vain<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    world.all_hosts().all(|(_, host)| match host {
        Host::Up { node, armed, .. } => {
            let role = &node.volatile.role;
            let runs = |timer| armed.contains(&Timer::Election(timer));
            let looks_in_vain = takes_part(node.durable())
                && *role == Role::Looking
                && !E::goes_on(&node.volatile.election, runs);
            !looks_in_vain
                && (serves(role) || node.volatile.waiting.is_empty())
                && due(role).iter().all(|timer| armed.contains(timer))
        }
        Host::Down { .. } => true,
    })
}

fn what_is_done_is_answered<M: StateMachine, E: Bounded>(world: &W<M, E>) -> bool {
    world.running().all(|(_, node)| {
        let delivered = node.volatile.delivered.zxid;
        let mut waiting = node.volatile.waiting.iter();
        waiting.all(|(&request, waiting)| match waiting {
            Waiting::Command(_) => !world.ghost.has_passed(request, delivered),
            Waiting::Read(_) => true,
        })
    })
}

/// Whether a node in this role serves clients.
pub(super) fn serves(role: &Role) -> bool {
    match role {
        Role::Looking => false,
        Role::Following(following) => following.phase == Phase::Broadcast,
        Role::Leading(Leading::Primary(primary)) => primary.established,
        Role::Leading(Leading::Elected { .. } | Leading::Prospective { .. }) => false,
    }
}

/// The timers of a node in this role, but for its election's.
pub(super) fn due<E: Election>(role: &Role) -> BTreeSet<Timer<E>> {
    match role {
        Role::Looking => [].into(),
        role if !serves(role) => [Timer::Init].into(),
        Role::Following(_) => [Timer::Sync].into(),
        Role::Leading(_) => [Timer::Sync, Timer::Ping].into(),
    }
}

/// The epoch that a disk has accepted.
pub(super) fn accepted<M: StateMachine, E: Bounded>(host: &Host<Zab<M, E>>) -> Epoch {
    host.on_disk().accepted_epoch
}
