//! What is wrong in synchronisation.

use alloc::vec::Vec;

use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::session::Sessions;
use crate::specification::Mutant;
use crate::world::Disk;
use crate::zab::Event;
use crate::zab::message::Message;
use crate::zab::state::{Phase, Record};

use super::{
    Z, apply_again, following, forget, last_zxid, message, office, step_and_rewrite, undelivered,
};

/// Those mutants.
pub(super) const MUTANTS: &[Mutant<Z>] = &[
    Mutant {
        id: "ZAB-COMPLETE-BY-COUNTER",
        defect: "a follower tells by the counters alone whether it has all that NEWLEADER says: it \
                 acknowledges what it lacks",
        source: "DSN 2011, §III.C: zxids are ordered by epoch, then by counter",
        model: "zab/pings-later-epoch",
        inject: |scenario| scenario.step = is_complete_by_counters,
    },
    Mutant {
        id: "ZAB-SNAP-BY-COUNTER",
        defect: "a follower tells by the counters alone whether it has what a SNAP has, and refuses one \
                 that it needs",
        source: "DSN 2011, §III.C: zxids are ordered by epoch, then by counter",
        model: "zab/snap-later-epoch",
        inject: |scenario| scenario.step = refuses_snaps_by_counters,
    },
    Mutant {
        id: "ZAB-6",
        defect: "the new epoch becomes current before the history it stands for is there",
        source: "a seed program; DSN 2011, step f.2.1",
        model: "zab/diff",
        inject: |scenario| scenario.step = takes_epoch_at_once,
    },
    Mutant {
        id: "ZAB-4643",
        defect: "the current epoch is written before the transactions of the synchronisation",
        source: "ZOOKEEPER-4643; DSN 2011, step f.2.1",
        model: "zab/diff",
        inject: |scenario| scenario.step = takes_epoch_before_history,
    },
    Mutant {
        id: "ZAB-4646",
        defect: "NEWLEADER is acknowledged before the transactions are on disk",
        source: "ZOOKEEPER-4646; DSN 2011, step f.2.1",
        model: "zab/start",
        inject: |scenario| scenario.disk = Disk::SendBeforeSync,
    },
    Mutant {
        id: "ZAB-3911",
        defect: "transactions are acknowledged and never get to disk",
        source: "ZOOKEEPER-3911; DSN 2011, steps f.2.1 and f.3.2",
        model: "zab/start",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Append(_))),
    },
    Mutant {
        id: "ZAB-2845",
        defect: "TRUNC is skipped: the tail stays in the history of the new epoch",
        source: "ZOOKEEPER-2845; Medeiros 2012, §4.2",
        model: "zab/trunc",
        inject: |scenario| scenario.step = skips_truncation,
    },
    Mutant {
        id: "ZAB-5094",
        defect: "a truncation is acknowledged and not on disk",
        source: "ZOOKEEPER-5094; Medeiros 2012, §4.2",
        model: "zab/overwrite",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Truncate { .. })),
    },
    Mutant {
        id: "ZAB-TRUNC-ALL",
        defect: "TRUNC takes more than the tail; the rest comes back by DIFF, if the leader lives",
        source: "Medeiros 2012, §4.2",
        model: "zab/tail",
        inject: |scenario| scenario.step = truncates_all,
    },
    Mutant {
        id: "ZAB-TRUNC-WITHIN-EPOCH",
        defect: "a leader looks for the last common transaction in the epoch of the follower's last alone: \
                 where it has none of that, TRUNC takes all, and a DIFF brings back what was common",
        source: "Medeiros 2012, §4.2: what is truncated is what the leader does not have",
        model: "zab/trunc-later-epoch",
        inject: |scenario| scenario.step = truncates_to_its_epoch,
    },
    Mutant {
        id: "ZAB-LATE-TRUNC",
        defect: "a TRUNC that comes late takes what has been acknowledged since",
        source: "DSN 2011, step f.2.1",
        model: "zab/overwrite",
        inject: |scenario| scenario.step = truncates_late,
    },
    Mutant {
        id: "ZAB-DROPS-TAIL",
        defect: "who promises an epoch drops what it does not know to be committed",
        source: "DSN 2011, step f.1.2",
        model: "zab/two-epochs",
        inject: |scenario| scenario.step = drops_its_tail,
    },
    Mutant {
        id: "ZAB-NEWEST-FIRST",
        defect: "an initial history is delivered epoch by epoch, the newest first",
        source: "DSN 2011, §III.B",
        model: "zab/two-epochs",
        inject: |scenario| scenario.step = delivers_newest_first,
    },
    Mutant {
        id: "ZAB-UPTODATE-EARLY",
        defect: "UPTODATE is sent before a quorum has acknowledged NEWLEADER",
        source: "DSN 2011, step l.2.2",
        model: "zab/discovery",
        inject: |scenario| scenario.step = broadcasts_early,
    },
    Mutant {
        id: "ZAB-SYNC-LOST",
        defect: "a proposal between NEWLEADER and UPTODATE is acknowledged and lost",
        source: "ZOOKEEPER-4394, ZOOKEEPER-3023",
        model: "zab/join",
        inject: |scenario| scenario.step = loses_early_proposals,
    },
    Mutant {
        id: "ZAB-SYNC-TWICE",
        defect: "what was committed while a follower synchronised is delivered twice",
        source: "ZOOKEEPER-4685",
        model: "zab/join",
        inject: |scenario| scenario.step = delivers_twice,
    },
    Mutant {
        id: "ZAB-SYNC-COMMIT",
        defect: "a COMMIT during synchronisation is applied to the history as it is by then",
        source: "ZOOKEEPER-4394",
        model: "zab/overwrite",
        inject: |scenario| scenario.step = commits_while_synchronizing,
    },
    Mutant {
        id: "ZAB-STALE-ACK",
        defect: "acknowledgements of an earlier epoch count",
        source: "DSN 2011, steps l.2.2 and l.3.2",
        model: "zab/discovery-crash",
        inject: |scenario| {
            scenario.step = counts_stale_acks;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "ZAB-STALE-PONG",
        defect: "pongs of an earlier epoch count: who has sent one is taken for synchronised",
        source: "DSN 2011, steps l.2.2 and l.3.2",
        model: "zab/late-pong",
        inject: |scenario| {
            scenario.step = counts_stale_pongs;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "ZAB-4925",
        defect: "a partial DIFF leaves a hole in the history",
        source: "ZOOKEEPER-4925",
        model: "zab/diff",
        inject: |scenario| scenario.step = applies_partial_diffs,
    },
    Mutant {
        id: "ZAB-3642",
        defect: "a SNAP is taken in memory alone, and the DIFF behind it goes to disk",
        source: "ZOOKEEPER-3642",
        model: "zab/snap",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Restore(_))),
    },
    Mutant {
        id: "ZAB-SNAP-SESSIONS",
        defect: "the session table is not in the snapshot",
        source: "a retry after a SNAP must be known for one",
        model: "zab/snap",
        inject: |scenario| scenario.step = snaps_without_sessions,
    },
    Mutant {
        id: "ZAB-SNAP-ALONE",
        defect: "behind a SNAP comes no DIFF: a follower that lacks more never joins",
        source: "Medeiros 2012, §4.2",
        model: "zab/snap",
        inject: |scenario| scenario.step = snaps_alone,
    },
    Mutant {
        id: "ZAB-SNAP-AGAIN",
        defect: "a SNAP of what a node has delivered by now is taken again: what it has behind it is \
                 gone",
        source: "Medeiros 2012, §4.2",
        model: "zab/snap",
        inject: |scenario| scenario.step = restores_again,
    },
    Mutant {
        id: "ZAB-SNAP-UNANSWERED",
        defect: "a client whose command comes to be done with a SNAP is not answered",
        source: "Medeiros 2012, §2: the node that is asked answers",
        model: "zab/snap-waiting",
        inject: |scenario| scenario.step = answers_nobody_from_a_snap,
    },
    Mutant {
        id: "ZAB-UPTODATE-ACKNOWLEDGED",
        defect: "who joins late is told that all it has acknowledged is committed: of three nodes it \
                 is a quorum with its leader, of five it is not",
        source: "DSN 2011, step l.3.4: a commit of what is committed",
        model: "zab/five-join",
        inject: |scenario| scenario.step = commits_what_one_has,
    },
    Mutant {
        id: "ZAB-LATE-ACK",
        defect: "an ACK that outlives the attempt that it is of counts in the next: who has sent it is \
                 taken for synchronised",
        source: "DSN 2011, step l.3.2: acknowledgements of this epoch",
        model: "zab/late-acks",
        inject: |scenario| scenario.step = counts_late_acks,
    },
];

fn answers_nobody_from_a_snap(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let is_snap = matches!(message(&input), Some((_, Message::Snap { .. })));
    let waiting = node.volatile.waiting.clone();
    step_and_rewrite(zab, node, input, out, |_, effect| {
        let answers = matches!(
            effect,
            Effect::Emit(Event::Reply { .. } | Event::Superseded { .. })
        );
        (!is_snap || !answers).then_some(effect)
    });
    if is_snap {
        node.volatile.waiting = waiting;
    }
}

fn commits_what_one_has(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let acknowledged = match message(&input) {
        Some((_, Message::AckNewLeader { last_zxid, .. })) => Some(*last_zxid),
        _ => None,
    };
    let led = office(node).is_some_and(|primary| primary.established);
    step_and_rewrite(zab, node, input, out, |_, mut effect| {
        if let (
            Effect::Send {
                message: Message::UpToDate { committed, .. },
                ..
            },
            Some(acknowledged),
            true,
        ) = (&mut effect, acknowledged, led)
        {
            *committed = acknowledged;
        }
        Some(effect)
    });
}

fn counts_late_acks(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let late = match message(&input) {
        Some((follower, Message::Ack { zxid })) if zxid.epoch < node.durable().accepted_epoch => {
            Some((follower, *zxid))
        }
        _ => None,
    };
    match late {
        Some((follower, zxid)) => {
            zab.note(node, follower, zxid);
        }
        None => zab.step(node, input, out),
    }
}

fn restores_again(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, Message::Snap { epoch, snapshot })) = message(&input)
        && zab.follows(node, leader, *epoch)
        && snapshot.zxid == node.volatile.delivered.zxid
    {
        node.write(Record::Restore(snapshot.clone()));
    }
    zab.step(node, input, out);
}

fn snaps_alone(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let mut is_behind = false;
    step_and_rewrite(zab, node, input, out, |_, effect| {
        let Effect::Send { message, .. } = &effect else {
            return Some(effect);
        };
        is_behind |= matches!(message, Message::Snap { .. });
        let is_diff = matches!(message, Message::Diff { .. });
        (!(is_behind && is_diff)).then_some(effect)
    });
}

fn takes_epoch_at_once(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let accepted = node.durable().accepted_epoch;
    zab.step(node, input, out);
    let epoch = node.durable().accepted_epoch;
    if epoch > accepted && following(node).is_some() {
        node.write(Record::CurrentEpoch(epoch));
    }
}

fn takes_epoch_before_history(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((
        leader,
        &(Message::Diff { epoch, .. } | Message::Trunc { epoch, .. } | Message::Snap { epoch, .. }),
    )) = message(&input)
        && zab.follows(node, leader, epoch)
        && !zab.has_joined(node, leader, epoch)
    {
        node.write(Record::CurrentEpoch(epoch));
    }
    zab.step(node, input, out);
}

fn skips_truncation(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    match message(&input) {
        Some((_, Message::Trunc { .. })) => {}
        Some((leader, &Message::NewLeader { epoch, last_zxid }))
            if zab.follows(node, leader, epoch) =>
        {
            node.write(Record::CurrentEpoch(epoch));
            out.send(leader, Message::AckNewLeader { epoch, last_zxid });
        }
        _ => zab.step(node, input, out),
    }
}

fn drops_its_tail(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let to = node.volatile.delivered.zxid;
    if let Some((leader, &Message::NewEpoch { epoch })) = message(&input)
        && following(node).is_some_and(|following| following.leader == leader)
        && epoch > node.durable().accepted_epoch
        && to < last_zxid(node)
    {
        node.write(Record::Truncate { to });
    }
    zab.step(node, input, out);
}

fn delivers_newest_first(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let due = undelivered(node);
    let delivered = node.volatile.delivered.clone();
    let mut right = Outbox::new();
    zab.step(node, input, &mut right);
    let last = node.volatile.delivered.zxid;
    let Some(newest) = due.last().filter(|newest| newest.zxid == last) else {
        return right.drain().for_each(|effect| out.push(effect));
    };
    node.volatile.delivered = delivered;
    let (new, old): (Vec<_>, Vec<_>) = due
        .iter()
        .cloned()
        .partition(|next| next.zxid.epoch == newest.zxid.epoch);
    for transaction in new.into_iter().chain(old) {
        zab.deliver(node, transaction, out);
    }
    node.volatile.delivered.zxid = last;
    for effect in right.drain() {
        if !matches!(effect, Effect::Emit(Event::Delivered { .. })) {
            out.push(effect);
        }
    }
}

fn truncates_all(zab: &Z, node: &mut Node<Z>, mut input: Input<Z>, out: &mut Outbox<Z>) {
    let delivered = node.volatile.delivered.zxid;
    if let Input::Deliver {
        message: Message::Trunc { to, .. },
        ..
    } = &mut input
    {
        *to = delivered;
    }
    zab.step(node, input, out);
}

fn truncates_late(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, &Message::Trunc { epoch, to, .. })) = message(&input)
        && zab.has_joined(node, leader, epoch)
        && to < last_zxid(node)
    {
        return node.write(Record::Truncate { to });
    }
    zab.step(node, input, out);
}

fn broadcasts_early(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    zab.step(node, input, out);
    if office(node).is_some_and(|primary| !primary.established) {
        zab.begin_broadcast(node, out);
    }
}

fn loses_early_proposals(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, Message::Propose(transaction))) = message(&input)
        && zab.has_joined(node, leader, transaction.zxid.epoch)
        && following(node).is_some_and(|f| f.phase == Phase::Synchronization)
    {
        let zxid = transaction.zxid;
        return out.send(leader, Message::Ack { zxid });
    }
    zab.step(node, input, out);
}

fn delivers_twice(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let delivered = node.volatile.delivered.zxid;
    let is_up_to_date = matches!(message(&input), Some((_, Message::UpToDate { .. })));
    zab.step(node, input, out);
    if is_up_to_date {
        let news = node.durable().history.after(delivered).to_vec();
        let up_to = node.volatile.delivered.zxid;
        for transaction in news.iter().take_while(|next| next.zxid <= up_to) {
            apply_again(node, transaction, out);
        }
    }
}

fn commits_while_synchronizing(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, &Message::Commit { zxid })) = message(&input)
        && zab.follows(node, leader, zxid.epoch)
    {
        return zab.deliver_up_to(node, zxid, out);
    }
    let learners: Vec<NodeId> = office(node)
        .into_iter()
        .flat_map(|primary| primary.learners.iter())
        .filter(|(_, joined)| joined.is_none())
        .map(|(&learner, _)| learner)
        .collect();
    let delivered = node.volatile.delivered.zxid;
    zab.step(node, input, out);
    let zxid = node.volatile.delivered.zxid;
    if zxid > delivered && zxid.epoch == node.durable().accepted_epoch {
        for learner in learners {
            out.send(learner, Message::Commit { zxid });
        }
    }
}

fn counts_stale_acks(zab: &Z, node: &mut Node<Z>, mut input: Input<Z>, out: &mut Outbox<Z>) {
    let current = node.durable().accepted_epoch;
    if let Input::Deliver {
        message: Message::AckNewLeader { epoch, .. },
        ..
    } = &mut input
    {
        *epoch = current;
    }
    zab.step(node, input, out);
}

fn counts_stale_pongs(zab: &Z, node: &mut Node<Z>, mut input: Input<Z>, out: &mut Outbox<Z>) {
    let current = node.durable().accepted_epoch;
    if let Input::Deliver {
        message: Message::Pong { epoch, .. },
        ..
    } = &mut input
    {
        *epoch = current;
    }
    zab.step(node, input, out);
}

fn applies_partial_diffs(zab: &Z, node: &mut Node<Z>, mut input: Input<Z>, out: &mut Outbox<Z>) {
    let last = last_zxid(node);
    if let Input::Deliver {
        message: Message::Diff { after, .. },
        ..
    } = &mut input
        && *after > last
    {
        *after = last;
    }
    zab.step(node, input, out);
}

fn snaps_without_sessions(zab: &Z, node: &mut Node<Z>, mut input: Input<Z>, out: &mut Outbox<Z>) {
    if let Input::Deliver {
        message: Message::Snap { snapshot, .. },
        ..
    } = &mut input
    {
        snapshot.sessions = Sessions::default();
    }
    zab.step(node, input, out);
}

fn is_complete_by_counters(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let own = last_zxid(node);
    match message(&input) {
        Some((leader, &Message::NewLeader { epoch, last_zxid }))
            if zab.has_joined(node, leader, epoch) && own.counter >= last_zxid.counter =>
        {
            out.send(leader, Message::AckNewLeader { epoch, last_zxid });
        }
        _ => zab.step(node, input, out),
    }
}

fn refuses_snaps_by_counters(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let own = last_zxid(node);
    match message(&input) {
        Some((leader, Message::Snap { epoch, snapshot }))
            if zab.has_joined(node, leader, *epoch) && own.counter >= snapshot.zxid.counter => {}
        _ => zab.step(node, input, out),
    }
}

fn truncates_to_its_epoch(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let mut right = Outbox::new();
    zab.step(node, input, &mut right);
    let history = &node.durable().history;
    for mut effect in right.drain() {
        let mut brought_back = None;
        if let Effect::Send {
            to: follower,
            message: Message::Trunc { epoch, from, to },
        } = &mut effect
            && to.epoch != from.epoch
        {
            let after = history.begins_after();
            let common = history.after(after).iter();
            let transactions = common.take_while(|next| next.zxid <= *to).cloned();
            let diff = Message::Diff {
                epoch: *epoch,
                after,
                transactions: transactions.collect(),
            };
            brought_back = Some((*follower, diff));
            *to = after;
        }
        out.push(effect);
        if let Some((follower, diff)) = brought_back {
            out.send(follower, diff);
        }
    }
}
