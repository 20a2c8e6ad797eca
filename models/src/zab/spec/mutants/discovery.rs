//! What is wrong in discovery, and between boot and election.

use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::spec::Adder;
use crate::specification::Mutant;
use crate::zab::election::Election;
use crate::zab::message::{AckEpoch, Message};
use crate::zab::spec::{Names, Oracle};
use crate::zab::state::{Following, Leading, Persistent, Phase, Primary, Record, Role, Volatile};
use crate::zab::zxid::{Epoch, Zxid};
use crate::zab::{Event, Timer, Zab};

use super::{Z, following, forget, message, step_and_rewrite};

/// Those mutants.
pub(super) const MUTANTS: &[Mutant<Z>] = &[
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
        id: "ZAB-RECENCY-BY-COUNTER",
        defect: "of two histories of one current epoch that is taken for the more recent whose last \
                 transaction bears the larger counter, of whichever epoch",
        source: "DSN 2011, §III.C and step l.1.2: zxids are ordered by epoch, then by counter",
        model: "zab/recency-later-epoch",
        inject: |scenario| scenario.step = compares_counters,
    },
    Mutant {
        id: "ZAB-EPOCH-BELIEVED",
        defect: "a follower accepts whatever epoch its leader says, however far away",
        source: "one message, and no epoch comes after it",
        model: "zab/forged-epochs",
        inject: |scenario| scenario.step = follows_any_epoch,
    },
    Mutant {
        id: "ZAB-PROMISE-BELIEVED",
        defect: "a leader goes beyond whatever epoch a follower says that it has accepted, however far \
                 away, or stands down for it",
        source: "one message, and no epoch comes after it",
        model: "zab/forged-epochs",
        inject: |scenario| scenario.step = goes_beyond_any_epoch,
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
        id: "ZAB-2307",
        defect: "the current epoch is written before the accepted epoch",
        source: "ZOOKEEPER-2307, ZOOKEEPER-2354",
        model: "zab/discovery-crash",
        inject: |scenario| scenario.step = writes_epochs_in_wrong_order,
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
    Mutant {
        id: "ZAB-INFO-FORGETS",
        defect: "a follower says that it has accepted no epoch yet: it is proposed one that it has \
                 long promised, or one that is over",
        source: "DSN 2011, step f.1.1",
        model: "zab/discovery",
        inject: |scenario| scenario.step = says_that_it_has_promised_nothing,
    },
    Mutant {
        id: "ZAB-EPOCH-EARLY",
        defect: "a leader proposes an epoch before a quorum has said what it has accepted",
        source: "DSN 2011, step l.1.1",
        model: "zab/recency",
        inject: |scenario| scenario.step = proposes_an_epoch_at_once,
    },
    Mutant {
        id: "ZAB-EPOCH-AGAIN",
        defect: "a NEWEPOCH that comes twice makes a follower begin anew with a leader that it has \
                 joined",
        source: "DSN 2011, step f.1.2",
        model: "zab/recency",
        inject: |scenario| scenario.step = begins_the_epoch_again,
    },
    Mutant {
        id: "ZAB-NAMED-AGAIN",
        defect: "a leader that is named again begins anew, and its clients are told that nobody leads",
        source: "Medeiros 2012, §3.2",
        model: "zab/late-pong",
        inject: |scenario| scenario.step = leads_anew,
    },
    Mutant {
        id: "ZAB-PROMISE-UNSAID",
        defect: "a follower that starts anew, and says that it has promised before, is taken for one \
                 that has not: the leader waits for a quorum that it has",
        source: "DSN 2011, step l.1.2",
        model: "zab/promise-stands",
        inject: |scenario| scenario.step = takes_promises_back,
    },
    Mutant {
        id: "ZAB-QUIET-RESTART",
        defect: "a follower whose leader begins anew does so, too, and does not tell its host: that \
                 goes on to let clients come",
        source: "Medeiros 2012, §3.5: who has lost its leader serves nobody",
        model: "zab/restarted",
        inject: |scenario| scenario.step = begins_anew_quietly,
    },
];

fn begins_the_epoch_again(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, &Message::NewEpoch { epoch })) = message(&input)
        && zab.follows(node, leader, epoch)
    {
        node.volatile.role = Role::Following(Following {
            leader,
            phase: Phase::Discovery,
        });
    }
    zab.step(node, input, out);
}

fn leads_anew(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if input == Input::Fire(Timer::Election(Names(zab.id())))
        && matches!(node.volatile.role, Role::Leading(Leading::Primary(_)))
    {
        zab.leave(node, out);
    }
    zab.step(node, input, out);
}

fn takes_promises_back(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let said = match message(&input) {
        Some((follower, Message::AckEpoch { ack, .. })) => Some((follower, *ack)),
        _ => None,
    };
    zab.step(node, input, out);
    if let (Some((follower, ack)), Role::Leading(Leading::Prospective { acks })) =
        (said, &mut node.volatile.role)
        && let Some(noted) = acks.get_mut(&follower)
    {
        noted.promises = ack.promises;
    }
}

fn proposes_an_epoch_at_once(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    zab.step(node, input, out);
    if let Role::Leading(Leading::Elected { accepted }) = &node.volatile.role
        && accepted.is_empty()
    {
        let epoch = node.durable().accepted_epoch.next();
        node.write(Record::AcceptedEpoch(epoch));
        node.volatile.role = Role::Leading(Leading::Prospective { acks: [].into() });
    }
}

fn says_that_it_has_promised_nothing(
    zab: &Z,
    node: &mut Node<Z>,
    input: Input<Z>,
    out: &mut Outbox<Z>,
) {
    step_and_rewrite(zab, node, input, out, |_, mut effect| {
        if let Effect::Send {
            message: Message::FollowerInfo { accepted_epoch },
            ..
        } = &mut effect
        {
            *accepted_epoch = Epoch(0);
        }
        Some(effect)
    });
}

/// Whatever the election.
pub(in crate::zab::spec) fn reigns_without_promises<E: Election>(
    zab: &Zab<Adder, E>,
    node: &mut Node<Zab<Adder, E>>,
    input: Input<Zab<Adder, E>>,
    out: &mut Outbox<Zab<Adder, E>>,
) {
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

fn compares_lengths(zab: &Z, node: &mut Node<Z>, mut input: Input<Z>, out: &mut Outbox<Z>) {
    rewrite_recency(node, &mut input, |theirs, own| {
        theirs.counter <= own.counter
    });
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

fn ignores_recency(zab: &Z, node: &mut Node<Z>, mut input: Input<Z>, out: &mut Outbox<Z>) {
    rewrite_recency(node, &mut input, |_, _| true);
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

fn begins_anew_quietly(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let is_new_epoch = matches!(message(&input), Some((_, Message::NewEpoch { .. })));
    step_and_rewrite(zab, node, input, out, |_, effect| {
        (!is_new_epoch || effect != Effect::Emit(Event::Looking)).then_some(effect)
    });
}

fn follows_any_epoch(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let accepted_epoch = node.durable().accepted_epoch;
    match (message(&input), following(node)) {
        (Some((leader, &Message::NewEpoch { epoch })), Some(following))
            if following.leader == leader && epoch > accepted_epoch =>
        {
            node.write(Record::AcceptedEpoch(epoch));
            node.volatile.role = Role::Following(Following {
                leader,
                phase: Phase::Synchronization,
            });
            zab.acknowledge_epoch(node, leader, true, out);
        }
        _ => zab.step(node, input, out),
    }
}

fn goes_beyond_any_epoch(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let epoch = node.durable().accepted_epoch;
    match (message(&input), &mut node.volatile.role) {
        (
            Some((follower, &Message::FollowerInfo { accepted_epoch })),
            Role::Leading(Leading::Elected { accepted }),
        ) => {
            accepted.insert(follower, accepted_epoch);
            zab.propose_epoch(node, out);
        }
        (Some((_, &Message::FollowerInfo { accepted_epoch })), Role::Leading(_))
            if accepted_epoch > epoch =>
        {
            zab.look_for_leader(node, out);
        }
        _ => zab.step(node, input, out),
    }
}

/// As if the follower had what the leader has, where its counter is no larger.
fn compares_counters(zab: &Z, node: &mut Node<Z>, mut input: Input<Z>, out: &mut Outbox<Z>) {
    let own = node.durable().recency();
    if let Input::Deliver {
        message: Message::AckEpoch { ack, .. },
        ..
    } = &mut input
        && ack.recency.current_epoch == own.current_epoch
        && ack.recency.last_zxid.counter <= own.last_zxid.counter
    {
        ack.recency = own;
    }
    zab.step(node, input, out);
}
