//! What is wrong with a leader that has lost its followers, or done what they asked.

use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::specification::Mutant;
use crate::zab::Timer;
use crate::zab::message::Message;
use crate::zab::state::{Leading, Phase, Primary, Role};

use super::{Z, last_zxid, message, office, step_and_rewrite};
use crate::raft::spec::Adder;
use crate::zab::Zab;
use crate::zab::election::Election;

/// Those mutants.
pub(super) const MUTANTS: &[Mutant<Z>] = &[
    Mutant {
        id: "ZAB-OUTSTANDING-KEPT",
        defect: "a request remains outstanding when it is delivered: a sync that is asked for again \
                 is never done",
        source: "Medeiros 2012, §3.5",
        model: "zab/retries",
        inject: |scenario| scenario.step = keeps_what_is_done,
    },
    Mutant {
        id: "ZAB-HEARD-ONCE",
        defect: "whom a leader has heard of once counts for ever: it leads on when all have left \
                 it. As a safety property: it counts anew each time",
        source: "Medeiros 2012, §3.5",
        model: "zab/contact",
        inject: |scenario| scenario.step = never_counts_anew,
    },
    Mutant {
        id: "ZAB-AHEAD-SHUT-OUT",
        defect: "a leader tells its epoch to a node that has promised a later one, and leads on: \
                 the node stays out for ever",
        source: "DSN 2011, step f.1.2",
        model: "zab/recency",
        inject: |scenario| scenario.step = shuts_out_who_is_ahead,
    },
    Mutant {
        id: "ZAB-PROPOSAL-RENEWS",
        defect: "each proposal renews a follower's patience, whoever sends it: it stays with a \
                 leader that is silent",
        source: "DSN 2011, §IV: heartbeats of the leader that is followed",
        model: "zab/broadcast",
        inject: |scenario| scenario.step = waits_anew_for_proposals,
    },
    Mutant {
        id: "ZAB-PING-RENEWS-NOTHING",
        defect: "a follower does not wait anew when its leader shows that it lives",
        source: "DSN 2011, §IV: heartbeats of the leader that is followed",
        model: "zab/contact",
        inject: |scenario| scenario.step = waits_on_though_it_hears,
    },
    Mutant {
        id: "ZAB-OUTSTANDING-LOST",
        defect: "with one delivery all that is outstanding is forgotten: who asks again for what is \
                 under way gets a second transaction",
        source: "DSN 2011, §III.B",
        model: "zab/broadcast",
        inject: |scenario| scenario.step = forgets_what_is_under_way,
    },
    Mutant {
        id: "ZAB-HEARD-LAST",
        defect: "a leader that hears of one follower forgets the others: of five nodes it gives up \
                 though all live",
        source: "Medeiros 2012, §3.5",
        model: "zab/heard",
        inject: |scenario| scenario.step = has_heard_of_the_last,
    },
    Mutant {
        id: "ZAB-HEARD-ANY",
        defect: "a leader that has heard of one follower leads on: of five nodes it stays with one when \
                 the others are cut off",
        source: "Medeiros 2012, §3.5",
        model: "zab/heard-five",
        inject: |scenario| scenario.step = leads_on_with_any,
    },
    Mutant {
        id: "ZAB-INIT-RUNS-ON",
        defect: "who is synchronised does not stop the timer of the attempt: it ends the next",
        source: "Medeiros 2012, §3.5",
        model: "zab/start",
        inject: |scenario| scenario.step = stops_no_attempt,
    },
    Mutant {
        id: "ZAB-INIT-RENEWED",
        defect: "each NEWEPOCH gives a follower all its time again: who is told an epoch again and \
                 again stays with a leader that never gets further",
        source: "Medeiros 2012, §3.5",
        model: "zab/discovery",
        inject: |scenario| scenario.step = begins_its_time_again,
    },
    Mutant {
        id: "ZAB-LAG-BY-COUNTER",
        defect: "a follower tells by the counters alone whether it is behind: of an earlier epoch it may \
                 have the larger one, and asks for nothing",
        source: "DSN 2011, §III.C: zxids are ordered by epoch, then by counter",
        model: "zab/pings-later-epoch",
        inject: |scenario| scenario.step = tells_its_lag_by_counters,
    },
    Mutant {
        id: "ZAB-LATE-PING-RENEWS",
        defect: "a ping of an earlier reign of the same leader renews a follower's patience with it",
        source: "DSN 2011, §IV: heartbeats of the leader that is followed, in its epoch",
        model: "zab/late-pings",
        inject: |scenario| scenario.step = waits_anew_for_late_pings,
    },
    Mutant {
        id: "ZAB-LATE-PONG-HEARD",
        defect: "the answer to a ping of an earlier reign tells a leader that it has its quorum yet",
        source: "Medeiros 2012, §3.5: who has shown since the last look that it follows",
        model: "zab/late-pings",
        inject: |scenario| scenario.step = hears_late_pongs,
    },
];

fn forgets_what_is_under_way(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let delivered = node.volatile.delivered.zxid;
    zab.step(node, input, out);
    if node.volatile.delivered.zxid > delivered
        && let Some(primary) = office_mut(node)
    {
        primary.outstanding.clear();
    }
}

fn has_heard_of_the_last(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let pong = match message(&input) {
        Some((follower, Message::Pong { .. })) => Some(follower),
        _ => None,
    };
    zab.step(node, input, out);
    if let (Some(follower), Some(primary)) = (pong, office_mut(node)) {
        primary.heard.retain(|&heard| heard == follower);
    }
}

fn leads_on_with_any(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if input == Input::Fire(Timer::Sync)
        && let Some(primary) = office_mut(node)
        && !core::mem::take(&mut primary.heard).is_empty()
    {
        return out.arm(Timer::Sync);
    }
    zab.step(node, input, out);
}

fn stops_no_attempt(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    step_and_rewrite(zab, node, input, out, |_, effect| {
        (effect != Effect::Disarm(Timer::Init)).then_some(effect)
    });
}

fn begins_its_time_again(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let is_new_epoch = matches!(message(&input), Some((_, Message::NewEpoch { .. })));
    zab.step(node, input, out);
    if is_new_epoch && matches!(node.volatile.role, Role::Following(_)) {
        out.arm(Timer::Init);
    }
}

fn waits_anew_for_proposals(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let is_proposal = matches!(message(&input), Some((_, Message::Propose(_))));
    zab.step(node, input, out);
    if is_proposal && matches!(node.volatile.role, Role::Following(_)) {
        out.arm(Timer::Sync);
    }
}

fn waits_on_though_it_hears(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let hears = matches!(message(&input), Some((_, Message::Ping { .. })));
    let mut right = Outbox::new();
    zab.step(node, input, &mut right);
    for effect in right.drain() {
        if !hears || effect != Effect::Arm(Timer::Sync) {
            out.push(effect);
        }
    }
}

fn office_mut<E: Election>(node: &mut Node<Zab<Adder, E>>) -> Option<&mut Primary> {
    match &mut node.volatile.role {
        Role::Leading(Leading::Primary(primary)) => Some(primary),
        Role::Looking | Role::Following(_) | Role::Leading(_) => None,
    }
}

fn keeps_what_is_done(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let before = office(node).map(|primary| primary.outstanding.clone());
    zab.step(node, input, out);
    if let (Some(before), Some(primary)) = (before, office_mut(node)) {
        primary.outstanding.extend(before);
    }
}

fn never_counts_anew(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let looks = input == Input::Fire(Timer::Sync);
    let before = office(node).map(|primary| primary.heard.clone());
    zab.step(node, input, out);
    if let (true, Some(before), Some(primary)) = (looks, before, office_mut(node)) {
        primary.heard = before;
    }
}

fn shuts_out_who_is_ahead(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let epoch = node.durable().accepted_epoch;
    let has_proposed = matches!(
        node.volatile.role,
        Role::Leading(Leading::Prospective { .. } | Leading::Primary(_))
    );
    match message(&input) {
        Some((from, Message::FollowerInfo { accepted_epoch }))
            if has_proposed && *accepted_epoch > epoch =>
        {
            out.send(from, Message::NewEpoch { epoch });
        }
        _ => zab.step(node, input, out),
    }
}

/// As if the leader had no more than this node.
fn tells_its_lag_by_counters(
    zab: &Z,
    node: &mut Node<Z>,
    mut input: Input<Z>,
    out: &mut Outbox<Z>,
) {
    let own = last_zxid(node);
    if let Input::Deliver {
        message: Message::Ping { last_zxid, .. },
        ..
    } = &mut input
        && last_zxid.counter <= own.counter
    {
        *last_zxid = own;
    }
    zab.step(node, input, out);
}

fn waits_anew_for_late_pings(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let leader = match message(&input) {
        Some((leader, Message::Ping { .. })) => Some(leader),
        _ => None,
    };
    zab.step(node, input, out);
    if let Role::Following(following) = node.volatile.role
        && Some(following.leader) == leader
        && following.phase == Phase::Broadcast
    {
        out.arm(Timer::Sync);
    }
}

fn hears_late_pongs(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let follower = match message(&input) {
        Some((follower, Message::Pong { .. })) => Some(follower),
        _ => None,
    };
    zab.step(node, input, out);
    if let (Some(follower), Some(primary)) = (follower, office_mut(node))
        && primary.learners.contains_key(&follower)
    {
        primary.heard.insert(follower);
    }
}
