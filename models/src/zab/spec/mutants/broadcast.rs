//! What is wrong in broadcast.

use alloc::vec::Vec;

use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::spec::Adder;
use crate::specification::Mutant;
use crate::zab::election::Election;
use crate::zab::history::{Content, Transaction};
use crate::zab::message::Message;
use crate::zab::state::{Leading, Record, Role};
use crate::zab::zxid::Zxid;
use crate::zab::{Command, Event, Zab};

use super::{Z, following, last_zxid, message, office, step_and_rewrite, undelivered};

/// Those mutants.
pub(super) const MUTANTS: &[Mutant<Z>] = &[
    Mutant {
        id: "ZAB-DELIVERS-BY-COUNTER",
        defect: "a follower tells by the counters alone how far its history is committed: it delivers \
                 what is only proposed",
        source: "DSN 2011, §III.C: zxids are ordered by epoch, then by counter",
        model: "zab/pings-later-epoch",
        inject: |scenario| scenario.step = delivers_by_counters,
    },
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
        id: "ZAB-COMMIT-ORDER",
        defect: "a committed transaction is delivered before an earlier one",
        source: "DSN 2011, step f.3.3",
        model: "zab/broadcast",
        inject: |scenario| scenario.step = delivers_out_of_order,
    },
    Mutant {
        id: "ZAB-DIRTY",
        defect: "a follower delivers what its client asks before any leader has broadcast it",
        source: "a seed program: updates were applied before they were committed; DSN 2011, §III.B",
        model: "zab/broadcast",
        inject: |scenario| scenario.step = delivers_at_once,
    },
    Mutant {
        id: "ZAB-REVERSED",
        defect: "of several transactions that one COMMIT commits the last is delivered first",
        source: "DSN 2011, step f.3.3",
        model: "zab/broadcast",
        inject: |scenario| scenario.step = delivers_backwards,
    },
    Mutant {
        id: "ZAB-OPTIMISTIC",
        defect: "a follower delivers what is proposed to it and does not wait for COMMIT",
        source: "DSN 2011, steps f.3.2 and f.3.3",
        model: "zab/join",
        inject: |scenario| scenario.step = delivers_proposals,
    },
    Mutant {
        id: "ZAB-ACK-ORDER",
        defect: "the leader commits in the order of the acknowledgements",
        source: "DSN 2011, step l.3.2: ZooKeeper's leader looks whether a proposal is in front",
        model: "zab/broadcast",
        inject: |scenario| scenario.step = commits_in_order_of_acks,
    },
    Mutant {
        id: "ZAB-BROADCAST-EARLY",
        defect: "a leader broadcasts before a quorum has taken over its history",
        source: "DSN 2011, step l.3.1",
        model: "zab/succession",
        inject: |scenario| scenario.step = broadcasts_unestablished,
    },
    Mutant {
        id: "ZAB-FIRST-AGAIN",
        defect: "a follower takes the first proposal of the epoch for the next one whenever it comes: one \
                 that comes twice is in its history twice",
        source: "DSN 2011, §IV.B, step f.3.2; there channels deliver each message once",
        model: "zab/duplicates",
        inject: |scenario| {
            scenario.step = takes_the_first_again;
            // What comes twice is inert.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "ZAB-GAP",
        defect: "a proposal is accepted while the one before it is missing",
        source: "DSN 2011, step f.3.2",
        model: "zab/broadcast",
        inject: |scenario| scenario.step = accepts_gaps,
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
        id: "ZAB-PROPOSED-TO-JOINED",
        defect: "a leader proposes nothing to followers that have not acknowledged its history yet: \
                 they lack it until a ping says so",
        source: "DSN 2011, step l.3.1",
        model: "zab/join",
        inject: |scenario| scenario.step = proposes_to_the_joined,
    },
    Mutant {
        id: "ZAB-REQUEST-IGNORED",
        defect: "a leader does not propose what followers pass on to it",
        source: "Medeiros 2012, §2",
        model: "zab/broadcast",
        inject: |scenario| {
            scenario.step = |zab, node, input, out| {
                if !matches!(message(&input), Some((_, Message::Request { .. }))) {
                    zab.step(node, input, out);
                }
            };
        },
    },
    Mutant {
        id: "ZAB-COMMIT-IGNORED",
        defect: "a follower delivers nothing upon COMMIT: it waits for the next ping",
        source: "DSN 2011, step f.3.3",
        model: "zab/broadcast",
        inject: |scenario| {
            scenario.step = |zab, node, input, out| {
                if !matches!(message(&input), Some((_, Message::Commit { .. }))) {
                    zab.step(node, input, out);
                }
            };
        },
    },
    Mutant {
        id: "ZAB-RETAINS-NOTHING",
        defect: "with a snapshot all that is in it is deleted: who is only a little behind needs it \
                 whole",
        source: "Medeiros 2012, §4.2",
        model: "zab/snapshots",
        inject: |scenario| {
            scenario.step = |zab, node, input, out| {
                let zab = Zab {
                    retained: 0,
                    ..zab.clone()
                };
                zab.step(node, input, out);
            };
        },
    },
];

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

/// Under any election.
pub(in crate::zab::spec) fn does_not_count_itself<E: Election>(
    zab: &Zab<Adder, E>,
    node: &mut Node<Zab<Adder, E>>,
    input: Input<Zab<Adder, E>>,
    out: &mut Outbox<Zab<Adder, E>>,
) {
    let Input::Deliver {
        from: follower,
        message: Message::Ack { zxid },
    } = input
    else {
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

fn delivers_out_of_order(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, &Message::Commit { zxid })) = message(&input)
        && zab.has_joined(node, leader, zxid.epoch)
    {
        let mut due = undelivered(node).into_iter();
        if let Some(transaction) = due.find(|next| next.zxid == zxid) {
            zab.deliver(node, transaction, out);
        }
        return;
    }
    zab.step(node, input, out);
}

fn delivers_at_once(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Input::Ask(Command::Write { request, command }) = input.clone()
        && following(node).is_some()
    {
        let zxid = last_zxid(node).successor_in(node.durable().accepted_epoch);
        let content = Content::Command { request, command };
        let transaction = Transaction { zxid, content };
        node.write(Record::Append(transaction.clone()));
        zab.deliver(node, transaction, out);
    }
    zab.step(node, input, out);
}

fn delivers_backwards(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, &Message::Commit { zxid })) = message(&input)
        && zab.has_joined(node, leader, zxid.epoch)
        && last_zxid(node) == zxid
    {
        for transaction in undelivered(node).into_iter().rev() {
            zab.deliver(node, transaction, out);
        }
        node.volatile.delivered.zxid = zxid;
        return;
    }
    zab.step(node, input, out);
}

fn delivers_proposals(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let last = last_zxid(node);
    let proposed = match message(&input) {
        Some((_, Message::Propose(transaction))) => Some(transaction.clone()),
        _ => None,
    };
    zab.step(node, input, out);
    if let Some(transaction) = proposed
        && last_zxid(node) > last
    {
        zab.deliver(node, transaction, out);
    }
}

fn commits_in_order_of_acks(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((_, &Message::Ack { zxid })) = message(&input)
        && zab.leads_established(node)
    {
        let mut due = undelivered(node).into_iter();
        if let Some(transaction) = due.find(|next| next.zxid == zxid) {
            zab.deliver(node, transaction, out);
        }
    }
    zab.step(node, input, out);
}

fn broadcasts_unestablished(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Input::Ask(Command::Write { request, command }) = input.clone()
        && let Role::Leading(Leading::Primary(primary)) = &mut node.volatile.role
        && !primary.established
    {
        primary.established = true;
        zab.propose(node, Content::Command { request, command }, out);
        if let Role::Leading(Leading::Primary(primary)) = &mut node.volatile.role {
            primary.established = false;
        }
        return out.emit(Event::Refused { request });
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

fn proposes_to_the_joined(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    step_and_rewrite(zab, node, input, out, |node, effect| {
        let joined =
            |id: &NodeId| office(node).is_some_and(|office| office.joined().any(|j| j == *id));
        match &effect {
            Effect::Send {
                to,
                message: Message::Propose(_),
            } if !joined(to) => None,
            _ => Some(effect),
        }
    });
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

/// As if the last transaction were committed whose counter is no larger.
fn delivers_by_counters(zab: &Z, node: &mut Node<Z>, mut input: Input<Z>, out: &mut Outbox<Z>) {
    let transactions = node.durable().history.transactions().iter();
    let ids: Vec<Zxid> = transactions.map(|next| next.zxid).collect();
    if let Input::Deliver {
        message: Message::Ping { committed, .. },
        ..
    } = &mut input
    {
        let mut covered = ids.iter().filter(|zxid| zxid.counter <= committed.counter);
        *committed = covered
            .next_back()
            .map_or(*committed, |last| *last.max(committed));
    }
    zab.step(node, input, out);
}

fn takes_the_first_again(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, Message::Propose(transaction))) = message(&input)
        && transaction.zxid.counter == 1
        && transaction.zxid == last_zxid(node)
        && zab.has_joined(node, leader, transaction.zxid.epoch)
    {
        let zxid = transaction.zxid;
        node.write(Record::Append(transaction.clone()));
        return out.send(leader, Message::Ack { zxid });
    }
    zab.step(node, input, out);
}
