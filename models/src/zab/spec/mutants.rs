//! ZAB with one defect each. A mutant runs in the protocol's place: mostly a step function
//! that does something before, after or instead of the right one, so that the right one knows
//! nothing of mutants.

use alloc::vec::Vec;

use crate::machine::StateMachine as _;
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::spec::{Add, Adder, Total};
use crate::session::{RequestId, Sessions};
use crate::specification::Mutant;
use crate::world::{Disk, Scenario};
use crate::zab::history::{Content, Transaction};
use crate::zab::message::{AckEpoch, Message};
use crate::zab::state::{
    Following, Leading, Persistent, Phase, Primary, Record, Role, Volatile, Waiting,
};
use crate::zab::zxid::{Epoch, Zxid};
use crate::zab::{Command, Event, Timer, Zab};

use super::Oracle;

type Z = Zab<Adder, Oracle>;
type M = <Z as Protocol>::Message;

/// All mutants of ZAB.
pub const MUTANTS: &[Mutant<Z>] = &[
    Mutant {
        id: "ZAB-1",
        defect: "COMMIT is sent again on each ACK past a majority, and delivery goes by count",
        source: "a seed program; DSN 2011, step f.3.3",
        model: "zab/five",
        inject: |scenario| scenario.step = delivers_by_count,
    },
    Mutant {
        id: "ZAB-2",
        defect: "the zxid goes up with each COMMIT, not with each PROPOSE",
        source: "a seed program; DSN 2011, step l.3.1",
        model: "zab/broadcast",
        inject: |scenario| scenario.step = counts_commits,
    },
    Mutant {
        id: "ZAB-3",
        defect: "the leader does not count itself",
        source: "a seed program; DSN 2011, step l.3.2",
        model: "zab/broadcast",
        inject: |scenario| scenario.step = does_not_count_itself,
    },
    Mutant {
        id: "ZAB-4",
        defect: "epochs are not persisted",
        source: "a seed program; DSN 2011, step f.1.2",
        model: "zab/discovery-crash",
        inject: |scenario| {
            forget(scenario, |record| {
                matches!(record, Record::AcceptedEpoch(_) | Record::CurrentEpoch(_))
            });
        },
    },
    Mutant {
        id: "ZAB-5",
        defect: "a proposal is accepted from any sender",
        source: "a seed program; DSN 2011, step f.3.2",
        model: "zab/handover",
        inject: |scenario| {
            scenario.step = accepts_from_anybody;
            // The world would drop what comes late: to the right protocol it is inert.
            scenario.drop_inert = false;
        },
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
        id: "ZAB-LATE-TRUNC",
        defect: "a TRUNC that comes late takes what has been acknowledged since",
        source: "DSN 2011, step f.2.1",
        model: "zab/overwrite",
        inject: |scenario| scenario.step = truncates_late,
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
        id: "ZAB-COMMIT-ORDER",
        defect: "a committed transaction is delivered before an earlier one",
        source: "DSN 2011, step f.3.3",
        model: "zab/broadcast",
        inject: |scenario| scenario.step = delivers_out_of_order,
    },
    Mutant {
        id: "ZAB-GAP",
        defect: "a proposal is accepted while the one before it is missing",
        source: "DSN 2011, step f.3.2",
        model: "zab/broadcast",
        inject: |scenario| scenario.step = accepts_gaps,
    },
    Mutant {
        id: "ZAB-MINORITY",
        defect: "an epoch that a minority has promised is used",
        source: "DSN 2011, step l.1.2",
        model: "zab/discovery",
        inject: |scenario| scenario.step = reigns_without_promises,
    },
    Mutant {
        id: "ZAB-EPOCH-TWICE",
        defect: "a follower promises one epoch to two leaders",
        source: "DSN 2011, step f.1.2",
        model: "zab/discovery",
        inject: |scenario| scenario.step = promises_twice,
    },
    Mutant {
        id: "ZAB-LOWER-EPOCH",
        defect: "a follower joins a leader whose epoch is below the one it has accepted",
        source: "DSN 2011, step f.1.2",
        model: "zab/discovery",
        inject: |scenario| {
            scenario.step = joins_lower_epochs;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "ZAB-BY-LENGTH",
        defect: "the more recent history is told by its length",
        source: "DSN 2011, step l.1.2",
        model: "zab/recency",
        inject: |scenario| scenario.step = compares_lengths,
    },
    Mutant {
        id: "ZAB-BLIND",
        defect: "a leader does not ask whether a follower's history is more recent",
        source: "DSN 2011, step l.1.2",
        model: "zab/recency",
        inject: |scenario| scenario.step = ignores_recency,
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
        id: "ZAB-2307",
        defect: "the current epoch is written before the accepted epoch",
        source: "ZOOKEEPER-2307, ZOOKEEPER-2354",
        model: "zab/discovery-crash",
        inject: |scenario| scenario.step = writes_epochs_in_wrong_order,
    },
    Mutant {
        id: "ZAB-4712",
        defect: "a proposal of the old leader is logged after the promise to a new one",
        source: "ZOOKEEPER-4712",
        model: "zab/handover",
        inject: |scenario| {
            scenario.step = logs_for_the_old_leader;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "ZAB-RETRY",
        defect: "a retried command is done again",
        source: "a seed program: writes had no ids",
        model: "zab/retries",
        inject: |scenario| scenario.step = forgets_sessions,
    },
    Mutant {
        id: "ZAB-SYNC-LOCAL",
        defect: "a synced read is answered from what is here",
        source: "Medeiros 2012, §2",
        model: "zab/reads",
        inject: |scenario| scenario.step = reads_locally,
    },
    Mutant {
        id: "ZAB-SYNC-DEPOSED",
        defect: "the leader answers a synced read from what it knows itself",
        source: "ZooKeeper's sync is no quorum operation",
        model: "zab/deposed",
        inject: |scenario| scenario.step = leader_reads_locally,
    },
    Mutant {
        id: "ZAB-ABANDON",
        defect: "clients are not told that their node has lost its leader",
        source: "a seed program: clients never heard",
        model: "zab/handover",
        inject: |scenario| scenario.step = leaves_clients_waiting,
    },
    Mutant {
        id: "ZAB-NO-INIT",
        defect: "a follower waits for ever for a leader that has started anew",
        source: "Medeiros 2012, §3.5",
        model: "zab/discovery-crash",
        inject: |scenario| scenario.step = is_patient,
    },
    Mutant {
        id: "ZAB-LEADS-AFTER-BOOT",
        defect: "a leader that restarts goes on in its epoch",
        source: "DSN 2011, step l.1.1",
        model: "zab/discovery-crash",
        inject: |scenario| scenario.boot = resumes_office,
    },
];

fn forget(scenario: &mut Scenario<Z>, forgets: fn(&Record<Adder>) -> bool) {
    scenario.disk = Disk::Amnesia { forgets };
}

/// The message that the input delivers, and its sender.
fn message(input: &Input<Z>) -> Option<(NodeId, &M)> {
    match input {
        Input::Deliver { from, message } => Some((*from, message)),
        Input::Fire(_) | Input::Ask(_) => None,
    }
}

fn office(node: &Node<Z>) -> Option<&Primary> {
    match &node.volatile.role {
        Role::Leading(Leading::Primary(primary)) => Some(primary),
        Role::Looking | Role::Following(_) | Role::Leading(_) => None,
    }
}

fn following(node: &Node<Z>) -> Option<Following> {
    match node.volatile.role {
        Role::Following(following) => Some(following),
        Role::Looking | Role::Leading(_) => None,
    }
}

fn last_zxid(node: &Node<Z>) -> Zxid {
    node.durable().history.last_zxid()
}

/// Lets the protocol take its step, then rewrites what it does.
fn step_and_rewrite(
    zab: &Z,
    node: &mut Node<Z>,
    input: Input<Z>,
    out: &mut Outbox<Z>,
    mut rewrite: impl FnMut(&Node<Z>, Effect<Z>) -> Option<Effect<Z>>,
) {
    let mut right = Outbox::new();
    zab.step(node, input, &mut right);
    for effect in right.drain() {
        if let Some(effect) = rewrite(node, effect) {
            out.push(effect);
        }
    }
}

fn delivers_by_count(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let delivered = node.volatile.delivered.zxid;
    let committed = match message(&input) {
        Some((leader, Message::Commit { zxid })) => {
            zab.has_joined(node, leader, zxid.epoch).then_some(*zxid)
        }
        _ => None,
    };
    let acknowledged = match message(&input) {
        Some((_, Message::Ack { zxid })) => Some(*zxid),
        _ => None,
    };
    zab.step(node, input, out);
    if committed.is_some_and(|zxid| zxid <= delivered) {
        deliver_blindly(node);
    }
    if let Some((zxid, primary)) = acknowledged.zip(office(node)) {
        let acks = primary.learners.values().flatten();
        let acks = acks.filter(|&&accepted| accepted >= zxid).count();
        if acks > zab.quorum() {
            let followers: Vec<NodeId> = primary.joined().collect();
            for follower in followers {
                out.send(follower, Message::Commit { zxid });
            }
            deliver_blindly(node);
        }
    }
}

/// Takes the next transaction for delivered, whether it is there or not.
fn deliver_blindly(node: &mut Node<Z>) {
    let delivered = node.volatile.delivered.zxid;
    node.volatile.delivered.zxid = delivered.successor_in(delivered.epoch);
}

fn counts_commits(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let length = node.durable().history.transactions().len();
    let delivered = node.volatile.delivered.zxid;
    let mut right = node.clone();
    zab.step(&mut right, input.clone(), &mut Outbox::new());
    let proposed = right.durable().history.transactions().get(length).cloned();
    let leads = office(node).is_some();
    let outstanding = office(node).is_some_and(|primary| !primary.outstanding.is_empty());
    let Some(transaction) = proposed.filter(|_| leads && outstanding) else {
        return zab.step(node, input, out);
    };
    let transaction = Transaction {
        zxid: delivered.successor_in(transaction.zxid.epoch),
        ..transaction
    };
    node.volatile = right.volatile;
    node.write(Record::Append(transaction.clone()));
    for &follower in office(node)
        .iter()
        .flat_map(|primary| primary.learners.keys())
    {
        out.send(follower, Message::Propose(transaction.clone()));
    }
}

fn does_not_count_itself(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let Some((follower, &Message::Ack { zxid })) = message(&input) else {
        return zab.step(node, input, out);
    };
    if !zab.leads_established(node) || !zab.note(node, follower, zxid) {
        return;
    }
    let acks = office(node)
        .into_iter()
        .flat_map(|primary| primary.learners.values());
    if acks.flatten().filter(|&&accepted| accepted >= zxid).count() >= zab.quorum() {
        zab.advance_commit(node, out);
    }
}

fn accepts_from_anybody(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((sender, Message::Propose(transaction))) = message(&input)
        && following(node).is_some()
        && !zab.has_joined(node, sender, transaction.zxid.epoch)
        && transaction.zxid > last_zxid(node)
    {
        let zxid = transaction.zxid;
        node.write(Record::Append(transaction.clone()));
        return out.send(sender, Message::Ack { zxid });
    }
    zab.step(node, input, out);
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

fn truncates_late(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, &Message::Trunc { epoch, to })) = message(&input)
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
            apply_again(node, transaction);
        }
    }
}

fn apply_again(node: &mut Node<Z>, transaction: &Transaction<Add>) {
    if let Content::Command { command, .. } = &transaction.content {
        node.volatile.delivered.machine.apply(command);
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

fn delivers_out_of_order(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, &Message::Commit { zxid })) = message(&input)
        && zab.has_joined(node, leader, zxid.epoch)
    {
        let delivered = node.volatile.delivered.zxid;
        let due = node.durable().history.after(delivered).to_vec();
        if let Some(transaction) = due.iter().find(|next| next.zxid == zxid) {
            apply_again(node, transaction);
            node.volatile.delivered.zxid = zxid;
        }
        return;
    }
    zab.step(node, input, out);
}

fn accepts_gaps(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, Message::Propose(transaction))) = message(&input)
        && zab.has_joined(node, leader, transaction.zxid.epoch)
        && transaction.zxid > last_zxid(node)
    {
        let zxid = transaction.zxid;
        node.write(Record::Append(transaction.clone()));
        return out.send(leader, Message::Ack { zxid });
    }
    zab.step(node, input, out);
}

fn reigns_without_promises(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    zab.step(node, input, out);
    zab.begin_reign(node, out);
}

fn promises_twice(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    step_and_rewrite(zab, node, input, out, |_, effect| match effect {
        Effect::Send {
            to,
            message: Message::AckEpoch { epoch, ack },
        } => {
            let ack = AckEpoch {
                promises: true,
                ..ack
            };
            let message = Message::AckEpoch { epoch, ack };
            Some(Effect::Send { to, message })
        }
        effect => Some(effect),
    });
}

fn joins_lower_epochs(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, &Message::NewEpoch { epoch })) = message(&input)
        && following(node).is_some_and(|f| f.leader == leader && f.phase == Phase::Discovery)
        && epoch < node.durable().accepted_epoch
    {
        node.write(Record::AcceptedEpoch(epoch));
        node.volatile.role = Role::Following(Following {
            leader,
            phase: Phase::Synchronization,
        });
        return zab.acknowledge_epoch(node, leader, true, out);
    }
    zab.step(node, input, out);
}

/// Rewrites what a follower that promises says of its history.
fn rewrite_recency(
    node: &Node<Z>,
    input: &mut Input<Z>,
    is_hidden: impl FnOnce(Zxid, Zxid) -> bool,
) {
    let own = node.durable().recency();
    if let Input::Deliver {
        message: Message::AckEpoch { ack, .. },
        ..
    } = input
        && ack.promises
        && is_hidden(ack.recency.last_zxid, own.last_zxid)
    {
        ack.recency = own;
    }
}

fn compares_lengths(zab: &Z, node: &mut Node<Z>, mut input: Input<Z>, out: &mut Outbox<Z>) {
    rewrite_recency(node, &mut input, |theirs, own| {
        theirs.counter <= own.counter
    });
    zab.step(node, input, out);
}

fn ignores_recency(zab: &Z, node: &mut Node<Z>, mut input: Input<Z>, out: &mut Outbox<Z>) {
    rewrite_recency(node, &mut input, |_, _| true);
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

fn writes_epochs_in_wrong_order(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let mut right = node.clone();
    zab.step(&mut right, input.clone(), &mut Outbox::new());
    let epoch: Epoch = right.durable().accepted_epoch;
    if epoch > node.durable().accepted_epoch {
        node.write(Record::CurrentEpoch(epoch));
    }
    zab.step(node, input, out);
}

fn logs_for_the_old_leader(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let current = node.durable().current_epoch;
    if let Some((leader, Message::Propose(transaction))) = message(&input)
        && transaction.zxid.epoch == current
        && current < node.durable().accepted_epoch
        && transaction.zxid == last_zxid(node).successor_in(current)
    {
        let zxid = transaction.zxid;
        node.write(Record::Append(transaction.clone()));
        return out.send(leader, Message::Ack { zxid });
    }
    zab.step(node, input, out);
}

fn forgets_sessions(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    node.volatile.delivered.sessions = Sessions::default();
    zab.step(node, input, out);
}

fn answer_now(node: &Node<Z>, request: RequestId, query: &Total, out: &mut Outbox<Z>) {
    let response = node.volatile.delivered.machine.query(query);
    out.emit(Event::Reply { request, response });
}

fn reads_locally(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    match input {
        Input::Ask(Command::SyncedRead { request, query }) => {
            answer_now(node, request, &query, out);
        }
        input => zab.step(node, input, out),
    }
}

fn leader_reads_locally(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    match input {
        Input::Ask(Command::SyncedRead { request, query }) if zab.leads_established(node) => {
            answer_now(node, request, &query, out);
        }
        input => zab.step(node, input, out),
    }
}

fn leaves_clients_waiting(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let waiting = node.volatile.waiting.clone();
    let mut left = Vec::new();
    step_and_rewrite(zab, node, input, out, |_, effect| match effect {
        Effect::Emit(Event::Abandoned { request }) => {
            left.push(request);
            None
        }
        effect => Some(effect),
    });
    let left = left.into_iter().filter_map(|request| {
        let waiting: Option<&Waiting<Adder>> = waiting.get(&request);
        Some((request, waiting?.clone()))
    });
    node.volatile.waiting.extend(left);
}

fn is_patient(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let is_new_epoch = matches!(message(&input), Some((_, Message::NewEpoch { .. })));
    step_and_rewrite(zab, node, input, out, |_, effect| {
        let arms = matches!(effect, Effect::Arm(Timer::Init));
        (!(is_new_epoch && arms)).then_some(effect)
    });
}

fn resumes_office(
    zab: &Z,
    durable: &Persistent<Adder>,
    out: &mut Outbox<Z>,
) -> Volatile<Adder, Oracle> {
    let mut volatile = zab.boot(durable, out);
    let led = durable.history.last_zxid().epoch;
    if zab.id() == NodeId(0) && durable.current_epoch > Epoch(0) && led <= durable.current_epoch {
        volatile.role = Role::Leading(Leading::Primary(Primary::default()));
        out.arm(Timer::Init);
    }
    volatile
}
