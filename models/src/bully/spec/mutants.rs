//! Bully with one defect each. A mutant runs in the protocol's place: a step function, or a
//! boot, that does something else than the right one, which knows nothing of mutants.

use crate::bully::election::{self, Candidate, Standing, State};
use crate::bully::{Bully, Event, Message, Number, Timer};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::specification::Mutant;

use super::scenarios::forges_elections;

type B = Bully<u8>;

/// All mutants of Bully.
pub const MUTANTS: &[&[Mutant<B>]] = &[
    &[
        Mutant {
            id: "BUL-1",
            defect: "a Coordinator message is believed, whoever sent it and whenever",
            source: "a seed program",
            model: "bully/asynchronous",
            inject: |scenario| scenario.step = believes_every_coordinator,
        },
        Mutant {
            id: "BUL-NUMBER-BELIEVED",
            defect: "a higher node's Coordinator message is believed, however far away its election is",
            source: "one message, and no election comes after it",
            model: "bully/forged",
            inject: |scenario| scenario.step = believes_any_number,
        },
        Mutant {
            id: "BUL-CURRENT-BELIEVED",
            defect: "who is told that its election is over stands beyond whatever number it is told",
            source: "one message, and no election comes after it",
            model: "bully/forged",
            inject: |scenario| scenario.step = stands_beyond_any_number,
        },
        Mutant {
            id: "BUL-LOWER-COORDINATOR",
            defect: "a lower node's Coordinator message is believed",
            source: "a node never lets a lower one lead it",
            model: "bully/lossy",
            inject: |scenario| scenario.step = believes_lower_coordinators,
        },
        Mutant {
            id: "BUL-OLD-COORDINATOR",
            defect: "a Coordinator message of an old election is believed",
            source: "elections are numbered",
            model: "bully/partition",
            inject: |scenario| scenario.step = believes_old_coordinators,
        },
        Mutant {
            id: "BUL-ANYBODY-RENEWS",
            defect: "any message renews the wait for the leader, not its own word alone",
            source: "a leader that is silent is one that has failed",
            model: "bully/asynchronous",
            inject: |scenario| scenario.step = waits_anew_for_anybody,
        },
        Mutant {
            id: "BUL-LEADER-RENEWS-NOTHING",
            defect: "the leader's word does not renew the wait for it",
            source: "a leader that is heard is up",
            model: "bully/lossy",
            inject: |scenario| scenario.step = waits_on_though_it_hears,
        },
        Mutant {
            id: "BUL-LOST-OK",
            defect: "nobody answers Okay, or each Okay is lost",
            source: "who is not answered leads",
            model: "bully/crashes",
            inject: |scenario| scenario.step = never_says_okay,
        },
        Mutant {
            id: "BUL-LOST-COORDINATOR",
            defect: "a leader says once that it leads, and never again",
            source: "a lost Coordinator message must be made good",
            model: "bully/lossy",
            inject: |scenario| scenario.step = says_once_that_it_leads,
        },
        Mutant {
            id: "BUL-BOTH-SURRENDER",
            defect: "a candidate gives way to whoever asks",
            source: "a node gives way to a higher one only",
            model: "bully/cold-start",
            inject: |scenario| scenario.step = gives_way_to_all,
        },
        Mutant {
            id: "BUL-OKAY-FOR-EVER",
            defect: "who has been answered waits without a timeout, and the higher node fails",
            source: "the node that answered may fail before it wins",
            model: "bully/crashes",
            inject: |scenario| scenario.step = waits_for_ever,
        },
        Mutant {
            id: "BUL-OLD-LEADER",
            defect: "a node that recovers goes on with the leader that it had at the start",
            source: "a node that recovers begins an election",
            model: "bully/crashes",
            inject: |scenario| scenario.boot = keeps_its_leader,
        },
        Mutant {
            id: "BUL-LIVELOCK",
            defect: "a candidate that is asked begins the election anew",
            source: "elections go on for ever",
            model: "bully/cold-start",
            inject: |scenario| scenario.step = begins_anew_when_asked,
        },
        Mutant {
            id: "BUL-EQUAL-RANKS",
            defect: "nodes of equal rank are not ordered by their ids",
            source: "the order of the nodes is total",
            model: "bully/ranks",
            inject: |scenario| scenario.step = leaves_ties,
        },
        Mutant {
            id: "BUL-NO-HALT",
            defect: "a lower node keeps its leader until it hears of the new one",
            source: "Assertion 1: a candidate halts the lower nodes before it wins",
            model: "bully/crashes",
            inject: |scenario| scenario.step = is_not_halted,
        },
        Mutant {
            id: "BUL-OKAY-ITSELF-ALONE",
            defect: "who waits does not answer for the one it waits for",
            source: "one election, one winner",
            model: "bully/crashes",
            inject: |scenario| scenario.step = answers_for_itself_alone,
        },
        Mutant {
            id: "BUL-BELOW-THE-HIGHEST",
            defect: "a winner is believed although a higher candidate is known",
            source: "one election, one winner",
            model: "bully/crashes",
            inject: |scenario| scenario.step = believes_below_the_highest,
        },
        Mutant {
            id: "BUL-LOWER-WINNER",
            defect: "where delays are not bounded, a winner is believed although a higher candidate \
                     of that election is known",
            source: "if two win the same, the higher one counts",
            model: "bully/asynchronous",
            inject: |scenario| scenario.step = believes_below_the_highest,
        },
        Mutant {
            id: "BUL-LEADER-SAYS-OKAY",
            defect: "a leader that is asked answers as one that takes part, and not as the winner",
            source: "a lower node that comes up disturbs nobody, and learns who leads",
            model: "bully/crashes",
            inject: |scenario| scenario.step = says_okay_as_leader,
        },
        Mutant {
            id: "BUL-FOLLOWED-TOLD",
            defect: "who follows a winner tells it that its election is over: it stands again",
            source: "elections go on for ever",
            model: "bully/lossy",
            inject: |scenario| scenario.step = calls_winners_back,
        },
        Mutant {
            id: "BUL-FOLLOWED-CALLED-BACK",
            defect: "a leader that has come up again unheard is called into another election by who \
                     follows it",
            source: "who is told to stand again is higher than all that is known",
            model: "bully/unheard",
            inject: |scenario| scenario.step = calls_leaders_back,
        },
        Mutant {
            id: "BUL-SAME-ELECTION",
            defect: "who has waited in vain stands again in the same election, in which it has been \
                     answered: a late Okay is taken for an answer to this candidacy",
            source: "elections are numbered",
            model: "bully/crashes",
            inject: |scenario| scenario.step = stands_in_the_same,
        },
        Mutant {
            id: "BUL-TOLD-EARLY",
            defect: "a client that asks who leads is told the candidate that its node waits for",
            source: "who stands may fail before it wins, or be outdone",
            model: "bully/questions",
            inject: |scenario| scenario.step = names_the_candidate,
        },
        Mutant {
            id: "BUL-ELECTION-UNTOLD",
            defect: "who is halted by another's election does not tell its host, which goes on with the \
                     last leader",
            source: "a candidate halts the lower nodes before it wins",
            model: "bully/cold-start",
            inject: |scenario| scenario.step = is_halted_quietly,
        },
        Mutant {
            id: "BUL-WAITS-ON",
            defect: "who gives way to another candidate does not wait anew: what is left of the time \
                     that the last one had is too short for it, and elections are begun in vain",
            source: "a time-out is of one candidate",
            model: "bully/cold-start",
            inject: |scenario| scenario.step = waits_on_for_another,
        },
        Mutant {
            id: "BUL-REUSED-NUMBER",
            defect: "a node that recovers uses a number again, for it listens to nobody who knows",
            source: "one election, one winner",
            model: "bully/crashes",
            inject: |scenario| scenario.step = reuses_numbers,
        },
        Mutant {
            id: "BUL-STALE-WAITER",
            defect: "who waits for a higher node stands when it hears that it has missed an election",
            source: "a higher one that takes part sees to it",
            model: "bully/ranks",
            inject: |scenario| scenario.step = waits_no_more,
        },
    ],
    super::live::MUTANTS,
];

const OKAY: Timer = Timer::Election(election::Timer::Okay);
const COORDINATOR: Timer = Timer::Election(election::Timer::Coordinator);

/// The candidate that asks, and in which election.
fn asked(input: &Input<B>) -> Option<(Candidate<u8>, Number)> {
    match input {
        Input::Deliver {
            from: id,
            message: Message::Election { election, rank },
        } => Some((sender(*id, *rank), *election)),
        _ => None,
    }
}

/// The winner that makes itself known, and of which election.
fn told(input: &Input<B>) -> Option<(Candidate<u8>, Number)> {
    match input {
        Input::Deliver {
            from: id,
            message: Message::Coordinator { election, rank },
        } => Some((sender(*id, *rank), *election)),
        _ => None,
    }
}

fn sender(id: NodeId, rank: u8) -> Candidate<u8> {
    Candidate { rank, id }
}

/// Lets the protocol take its step, then leaves out those of its effects that are not to be.
fn step_without(
    bully: &B,
    node: &mut Node<B>,
    input: Input<B>,
    out: &mut Outbox<B>,
    is_left_out: impl Fn(&Effect<B>) -> bool,
) {
    let mut right = Outbox::new();
    bully.step(node, input, &mut right);
    for effect in right.drain().filter(|effect| !is_left_out(effect)) {
        out.push(effect);
    }
}

/// Follows `winner`, come what may.
fn obey(node: &mut Node<B>, winner: Candidate<u8>, election: Number, out: &mut Outbox<B>) {
    let leader = winner.id;
    node.volatile = State {
        election,
        standing: Standing::Elected { leader },
        highest: winner,
    };
    for timer in [OKAY, COORDINATOR, Timer::Heartbeat] {
        out.disarm(timer);
    }
    out.arm(Timer::Leader);
    out.emit(Event::Election(election::Event::Elected {
        leader,
        election,
    }));
}

/// As the protocol, but a Coordinator message of which `is_believed` is true is obeyed.
fn step_obeying(
    bully: &B,
    node: &mut Node<B>,
    input: Input<B>,
    out: &mut Outbox<B>,
    is_believed: impl Fn(&State<u8>, &Candidate<u8>, Number) -> bool,
) {
    match told(&input) {
        Some((winner, election)) if is_believed(&node.volatile, &winner, election) => {
            obey(node, winner, election, out);
        }
        _ => bully.step(node, input, out),
    }
}

fn believes_every_coordinator(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    step_obeying(bully, node, input, out, |_, _, _| true);
}

fn believes_any_number(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    match told(&input) {
        Some((winner, election))
            if winner > *bully.candidate() && election > node.volatile.election =>
        {
            obey(node, winner, election, out);
        }
        _ => forges_elections(bully, node, input, out),
    }
}

fn stands_beyond_any_number(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let state = &mut node.volatile;
    match &input {
        Input::Deliver {
            message: Message::Stale { election, current },
            ..
        } if *election == state.election
            && state.standing == Standing::Candidate
            && !election.may_reach(*current) =>
        {
            state.election = current.next();
            out.arm(OKAY);
        }
        _ => forges_elections(bully, node, input, out),
    }
}

fn believes_lower_coordinators(
    bully: &B,
    node: &mut Node<B>,
    input: Input<B>,
    out: &mut Outbox<B>,
) {
    step_obeying(bully, node, input, out, |state, winner, election| {
        winner < bully.candidate() && election >= state.election
    });
}

fn believes_old_coordinators(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    step_obeying(bully, node, input, out, |state, winner, election| {
        winner > bully.candidate() && election < state.election
    });
}

fn believes_below_the_highest(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    step_obeying(bully, node, input, out, |state, winner, election| {
        winner > bully.candidate() && election == state.election && state.leader().is_none()
    });
}

fn waits_anew_for_anybody(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let hears = matches!(input, Input::Deliver { .. });
    bully.step(node, input, out);
    let follows = |leader| leader != bully.candidate().id;
    if hears && node.volatile.leader().is_some_and(follows) {
        out.arm(Timer::Leader);
    }
}

fn waits_on_though_it_hears(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let elected = node.volatile.leader();
    let mut right = Outbox::new();
    bully.step(node, input, &mut right);
    for effect in right.drain() {
        let is_same = elected.is_some() && elected == node.volatile.leader();
        if !is_same || effect != Effect::Arm(Timer::Leader) {
            out.push(effect);
        }
    }
}

fn is_okay(effect: &Effect<B>) -> bool {
    matches!(
        effect,
        Effect::Send {
            message: Message::Okay { .. },
            ..
        }
    )
}

fn never_says_okay(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    step_without(bully, node, input, out, is_okay);
}

fn says_okay_as_leader(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let (asker, mut right) = (asked(&input), Outbox::new());
    bully.step(node, input, &mut right);
    for mut effect in right.drain() {
        if let Effect::Send { to, message } = &mut effect
            && let Message::Coordinator { .. } = message
            && let Some((candidate, election)) = &asker
            && candidate.id == *to
        {
            *message = Message::Okay {
                election: *election,
            };
        }
        out.push(effect);
    }
}

fn calls_winners_back(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    call_back(bully, node, input, out, |election, current| {
        election == current
    });
}

fn calls_leaders_back(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    call_back(bully, node, input, out, |election, current| {
        election < current
    });
}

/// As the protocol, and then tells the winner of an election that `is_over`, by its number and the
/// node's own, to stand again, although the node follows it.
fn call_back(
    bully: &B,
    node: &mut Node<B>,
    input: Input<B>,
    out: &mut Outbox<B>,
    is_over: impl Fn(Number, Number) -> bool,
) {
    let won = told(&input);
    bully.step(node, input, out);
    let current = node.volatile.election;
    if let Some((Candidate { id, .. }, election)) = won
        && node.volatile.leader() == Some(id)
        && is_over(election, current)
    {
        out.send(id, Message::Stale { election, current });
    }
}

fn answers_for_itself_alone(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let is_higher = asked(&input).is_some_and(|(them, _)| them > *bully.candidate());
    step_without(bully, node, input, out, |effect| {
        is_higher && is_okay(effect)
    });
}

fn says_once_that_it_leads(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    step_without(bully, node, input, out, |effect| {
        *effect == Effect::Arm(Timer::Heartbeat)
    });
}

fn waits_for_ever(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    step_without(bully, node, input, out, |effect| {
        *effect == Effect::Arm(COORDINATOR)
    });
}

fn gives_way_to_all(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let asker = asked(&input);
    bully.step(node, input, out);
    if let Some((Candidate { id: from, .. }, _)) = asker {
        let election = node.volatile.election;
        let message = Message::Okay { election };
        bully.step(node, Input::Deliver { from, message }, out);
    }
}

fn keeps_its_leader(bully: &B, (): &(), out: &mut Outbox<B>) -> State<u8> {
    let ids = bully.peers().iter().copied().chain([bully.id()]);
    let leader = ids.max().unwrap_or(bully.id());
    out.arm(if leader == bully.id() {
        Timer::Heartbeat
    } else {
        Timer::Leader
    });
    State {
        election: Number(1),
        standing: Standing::Elected { leader },
        highest: sender(leader, bully.candidate().rank),
    }
}

fn begins_anew_when_asked(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let is_candidate = node.volatile.standing == Standing::Candidate;
    let is_lower = asked(&input).is_some_and(|(them, _)| them < *bully.candidate());
    bully.step(node, input, out);
    if is_candidate && is_lower && node.volatile.standing == Standing::Candidate {
        out.arm(OKAY);
        let election = node.volatile.election;
        let rank = bully.candidate().rank;
        for &peer in bully.peers() {
            out.send(peer, Message::Election { election, rank });
        }
    }
}

fn leaves_ties(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let is_equal = |(them, _): (Candidate<u8>, Number)| them.rank == bully.candidate().rank;
    if !asked(&input).is_some_and(is_equal) {
        bully.step(node, input, out);
    }
}

fn is_not_halted(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let is_higher = asked(&input).is_some_and(|(them, election)| {
        them > *bully.candidate() && election > node.volatile.election
    });
    if !is_higher || node.volatile.leader().is_none() {
        bully.step(node, input, out);
    }
}

fn reuses_numbers(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let is_stale = matches!(
        input,
        Input::Deliver {
            message: Message::Stale { .. },
            ..
        }
    );
    if !is_stale {
        bully.step(node, input, out);
    }
}

fn waits_no_more(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let current = node.volatile.election;
    let is_stale = matches!(
        &input,
        Input::Deliver {
            message: Message::Stale { election, .. },
            ..
        } if *election == current
    );
    if is_stale && node.volatile.standing == Standing::Waiting {
        node.volatile.standing = Standing::Candidate;
    }
    bully.step(node, input, out);
}

fn stands_in_the_same(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let waited = node.volatile.standing == Standing::Waiting;
    let again = waited && input == Input::Fire(COORDINATOR);
    let before = node.volatile.election;
    let mut right = Outbox::new();
    bully.step(node, input, &mut right);
    if again {
        node.volatile.election = before;
    }
    for mut effect in right.drain() {
        if let Effect::Send {
            message: Message::Election { election, .. } | Message::Coordinator { election, .. },
            ..
        } = &mut effect
            && again
        {
            *election = before;
        }
        out.push(effect);
    }
}

fn waits_on_for_another(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let waited = node.volatile.standing == Standing::Waiting;
    step_without(bully, node, input, out, |effect| {
        waited && *effect == Effect::Arm(COORDINATOR)
    });
}

fn names_the_candidate(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let highest = node.volatile.highest.id;
    let mut right = Outbox::new();
    bully.step(node, input, &mut right);
    for mut effect in right.drain() {
        if let Effect::Emit(Event::Leads { leader, .. }) = &mut effect
            && highest != bully.id()
        {
            *leader = Some(highest);
        }
        out.push(effect);
    }
}

fn is_halted_quietly(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let is_asked = asked(&input).is_some();
    step_without(bully, node, input, out, |effect| {
        let halts = matches!(
            effect,
            Effect::Emit(Event::Election(election::Event::Electing { .. }))
        );
        is_asked && halts
    });
}
