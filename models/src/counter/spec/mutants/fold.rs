//! How dead names are folded.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Out, forget, map_effects, message};
use crate::counter::counts::Counts;
use crate::counter::fold::ballot::Ballot;
use crate::counter::fold::dead::DeadNames;
use crate::counter::fold::folded::Folded;
use crate::counter::fold::message::FoldMessage;
use crate::counter::fold::state::Proposal;
use crate::counter::g_counter::{GCounter, ReplicaId};
use crate::counter::message::Message;
use crate::counter::state::{Peer, Persistent, Record, Volatile};
use crate::counter::{Command, Counter, Event, Timer};
use crate::protocol::{Effect, Input, Node, NodeId, Protocol};
use crate::specification::Mutant;

const SYNOD: &str = "Lamport 2001, \"Paxos Made Simple\", §2.2";

pub(super) const MUTANTS: &[Mutant<Counter>] = &[
    Mutant {
        id: "CNT-FOLD-UNFROZEN",
        defect: "an acceptor learns more of a name after it has promised what it knows of it",
        source: "what comes after the promise is not in the sum, and its component is dropped",
        model: "counter/fold-lost-disk",
        inject: |scenario| {
            scenario.step = learns_what_is_frozen;
            // What is frozen is only inert if it stays so.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "CNT-FOLD-FROZEN-ACKED",
        defect: "a delta about a frozen name is acknowledged like any other",
        source: "Almeida et al. 2018, Algorithm 2: who is acknowledged forgets what it owed",
        model: "counter/fold-leaving",
        inject: |scenario| scenario.step = acknowledges_what_is_frozen,
    },
    Mutant {
        id: "CNT-FOLD-FROZEN-BUCKETS",
        defect: "of a frozen name the buckets are learned, and the total is not",
        source: "the total outlives its buckets",
        model: "counter/fold-window",
        inject: |scenario| scenario.step = learns_frozen_buckets,
    },
    Mutant {
        id: "CNT-FOLD-PROMISE-EMPTY",
        defect: "a promise does not say what the acceptor knows of the names",
        source: "what one alone knows is not in the sum",
        model: "counter/fold",
        inject: |scenario| scenario.step = promises_without_counts,
    },
    Mutant {
        id: "CNT-FOLD-VOTE-UNSAID",
        defect: "a promise does not say what the acceptor has accepted before",
        source: SYNOD,
        model: "counter/fold-proposers",
        inject: |scenario| scenario.step = promises_without_vote,
    },
    Mutant {
        id: "CNT-FOLD-VOTE-UNHEARD",
        defect: "a proposer proposes what it has found out itself, although another's proposal was reported",
        source: SYNOD,
        model: "counter/fold-proposers",
        inject: |scenario| scenario.step = hears_no_votes,
    },
    Mutant {
        id: "CNT-FOLD-PROMISE-FORGOTTEN",
        defect: "what an acceptor has promised is in memory alone",
        source: SYNOD,
        model: "counter/fold",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Promised { .. })),
    },
    Mutant {
        id: "CNT-FOLD-VOTE-FORGOTTEN",
        defect: "what an acceptor has accepted is in memory alone",
        source: SYNOD,
        model: "counter/fold-proposers",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Accepted(_))),
    },
    Mutant {
        id: "CNT-FOLD-LOWER-BALLOT",
        defect: "an acceptor promises a ballot that is lower than one that it has promised",
        source: SYNOD,
        model: "counter/fold-proposers",
        inject: |scenario| scenario.step = promises_any_ballot,
    },
    Mutant {
        id: "CNT-FOLD-UNPROMISED",
        defect: "an acceptor whose disk is new accepts what the old one has promised to heed",
        source: "the new disk has frozen nothing, and may have learned more",
        model: "counter/fold-lost-promise",
        inject: |scenario| scenario.step = accepts_what_it_has_not_promised,
    },
    Mutant {
        id: "CNT-FOLD-NAME-KEPT",
        defect: "a node promises that nobody counts under a name, and goes on counting under it",
        source: "what is counted under a name that is folded nobody else ever hears of",
        model: "counter/fold-set-back",
        inject: |scenario| scenario.step = keeps_its_name,
    },
    Mutant {
        id: "CNT-FOLD-NAME-KEPT-LATER",
        defect: "a node learns of a fold of the name that it counts under, and goes on",
        source: "what is counted under a name that is folded nobody else ever hears of",
        model: "counter/fold-restored",
        inject: |scenario| scenario.step = keeps_its_name,
    },
    Mutant {
        id: "CNT-FOLD-NAME-BEHIND",
        defect: "a node takes a name that is earlier than one under which it has counted",
        source: "a name is dead when its node counts under a later one",
        model: "counter/fold-set-back",
        inject: |scenario| scenario.step = takes_an_earlier_name,
    },
    Mutant {
        id: "CNT-FOLD-BEHIND-UNTOLD",
        defect: "who proposes a fold that was agreed on long ago is told nothing",
        source: "it asks until it hears",
        model: "counter/fold-behind",
        inject: |scenario| scenario.step = leaves_untold,
    },
    Mutant {
        id: "CNT-FOLD-MAJORITY",
        defect: "a majority agrees on a fold",
        source: "what the others alone know of the names is not in the sum",
        model: "counter/fold-proposers",
        inject: |scenario| scenario.step = asks_a_majority,
    },
    Mutant {
        id: "CNT-FOLD-ADDS",
        defect: "what acceptors know of a name is added up",
        source: "Shapiro et al. 2011, Specification 6: merge",
        model: "counter/fold",
        inject: |scenario| scenario.step = adds_up_promises,
    },
    Mutant {
        id: "CNT-FOLD-OWN-WORD",
        defect: "the sum is of what the proposer knows",
        source: "what others have heard of a dead name is lost",
        model: "counter/fold",
        inject: |scenario| scenario.step = hears_no_counts,
    },
    Mutant {
        id: "CNT-FOLD-STALE",
        defect: "what was said of an earlier fold is taken for an answer about this one",
        source: "The Part-Time Parliament, §3: an instance of the synod for each decree",
        model: "counter/fold-twice",
        inject: |scenario| {
            scenario.step = confuses_folds;
            // It would no longer be there.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "CNT-FOLD-UNACCEPTED",
        defect: "a fold is taken for chosen when all have promised",
        source: SYNOD,
        model: "counter/fold-proposers",
        inject: |scenario| scenario.step = awaits_no_acceptance,
    },
    Mutant {
        id: "CNT-FOLD-BALLOT-AGAIN",
        defect: "a proposer that has restarted uses a ballot again",
        source: SYNOD,
        model: "counter/fold",
        inject: |scenario| scenario.step = uses_its_ballot_again,
    },
    Mutant {
        id: "CNT-FOLD-ANYBODY",
        defect: "any node proposes, and two may outbid each other for ever",
        source: "Lamport 2001, \"Paxos Made Simple\", §2.4: a distinguished proposer",
        model: "counter/fold-proposers",
        inject: |scenario| scenario.step = begins_anywhere,
    },
    Mutant {
        id: "CNT-FOLD-UNREACHABLE",
        defect: "a fold is begun while a node cannot be reached: the others learn no more of dead names until it \
                 can",
        source: "a promise freezes what it says",
        model: "counter/fold-gone",
        inject: |scenario| scenario.step = begins_without_all,
    },
    Mutant {
        id: "CNT-FOLD-KEEPS-COMPONENTS",
        defect: "who learns of a fold takes its sum, and keeps the components",
        source: "they count twice",
        model: "counter/fold",
        inject: |scenario| scenario.step = learns_the_sum_alone,
    },
    Mutant {
        id: "CNT-FOLD-SUMS-ADDED",
        defect: "who learns of a later fold adds its sum to that of the one before",
        source: "a later fold contains the one before",
        model: "counter/fold-twice",
        inject: |scenario| scenario.step = adds_the_sums,
    },
    Mutant {
        id: "CNT-FOLD-LATE-COUNTED",
        defect: "what comes late of a name that is folded is counted",
        source: "it is in the sum already, as far as anybody knew of it",
        model: "counter/fold",
        inject: |scenario| {
            scenario.step = counts_what_is_late;
            // What is folded is only inert if it is dropped.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "CNT-FOLD-OWED",
        defect: "what is folded is still owed to who has not acknowledged it",
        source: "what is kept for a member that is cut off grows with the disks that there were",
        model: "counter/fold",
        inject: |scenario| scenario.step = owes_what_is_folded,
    },
    Mutant {
        id: "CNT-FOLD-PROMISE-OUTLIVES",
        defect: "what was promised for one fold binds for the next",
        source: "The Part-Time Parliament, §3: an instance of the synod for each decree",
        model: "counter/fold",
        inject: |scenario| scenario.step = keeps_promises_for_ever,
    },
    Mutant {
        id: "CNT-FOLD-HEARS-DEPARTED",
        defect: "who is gone for good is still heard",
        source: "what it says of its names comes after they are folded",
        model: "counter/fold-departed",
        inject: |scenario| scenario.step = hears_everybody,
    },
    Mutant {
        id: "CNT-FOLD-HEARS-STRANGERS",
        defect: "a node that is not on the list is heard, and has no voice in folds",
        source: "what it knows of a dead name is not in the sum",
        model: "counter/fold-strangers",
        inject: |scenario| scenario.step = hears_everybody,
    },
    Mutant {
        id: "CNT-FOLD-TELLS-DEPARTED",
        defect: "a node that others have heard to be gone for good is told increments",
        source: "nobody acknowledges them, and they are owed for ever",
        model: "counter/fold-departed",
        inject: |scenario| scenario.step = keeps_its_members,
    },
    Mutant {
        id: "CNT-FOLD-STARTS-WITH-DEPARTED",
        defect: "a node that restarts takes those that are gone for good for members",
        source: "nobody acknowledges what they are owed",
        model: "counter/fold-rejoined",
        inject: |scenario| scenario.boot = starts_with_all,
    },
    Mutant {
        id: "CNT-FOLD-REJOINED",
        defect: "a node that is gone for good is let in again",
        source: "its names are folded: what it counts nobody hears of",
        model: "counter/fold-rejoined",
        inject: |scenario| scenario.step = lets_in_again,
    },
    Mutant {
        id: "CNT-FOLD-REFUSAL-UNHEARD",
        defect: "a proposer that is refused asks the same again, for ever",
        source: "Lamport 2001, \"Paxos Made Simple\", §2.3: it should abandon the proposal",
        model: "counter/live-fold-lost-disk",
        inject: |scenario| scenario.step = hears_no_refusal,
    },
    Mutant {
        id: "CNT-FOLD-ASKED-ONCE",
        defect: "a proposer asks once, and waits for ever for who has not heard it",
        source: "Lamport 2001, \"Paxos Made Simple\", §2.3: messages can be lost",
        model: "counter/live-fold",
        inject: |scenario| scenario.step = asks_once,
    },
    Mutant {
        id: "CNT-FOLD-UNTOLD",
        defect: "who finds that a fold is chosen tells nobody",
        source: "The Part-Time Parliament, §2.3: success is told to all",
        model: "counter/live-fold",
        inject: |scenario| scenario.step = tells_no_fold,
    },
    Mutant {
        id: "CNT-FOLD-DEPARTED-UNTOLD",
        defect: "only who was told it knows that a node is gone for good",
        source: "the first of the nodes waits for it for ever",
        model: "counter/live-fold-departed",
        inject: |scenario| scenario.step = keeps_departures_to_itself,
    },
    Mutant {
        id: "CNT-FOLD-DEPARTED-AWAITED",
        defect: "nobody agrees on anything without a node that is gone for good",
        source: "its names are never folded",
        model: "counter/live-fold-departed",
        inject: |scenario| scenario.step = awaits_the_departed,
    },
    Mutant {
        id: "CNT-FOLD-ABANDONED",
        defect: "a node that knows of nothing dead does not go on with what a proposer that is gone has begun",
        source: "what others have frozen stays so for ever",
        model: "counter/live-fold-departed",
        inject: |scenario| scenario.step = begins_with_its_own,
    },
];

type N = Node<Counter>;
type In = Input<Counter>;

/// What a message says of a fold.
fn of_fold(input: &In) -> Option<&FoldMessage> {
    match message(input) {
        Some(Message::Fold(message)) => Some(message),
        _ => None,
    }
}

/// What is told of the counter, to be merged.
fn told(input: &In) -> Counts {
    match message(input) {
        Some(Message::DeltaAck { .. }) | None => Counts::default(),
        Some(message) => message.counts().clone(),
    }
}

/// Changes what is said of a fold before it is heard.
fn amend(input: In, change: impl FnOnce(&mut FoldMessage)) -> In {
    match input {
        Input::Deliver {
            from,
            message: Message::Fold(mut message),
        } => {
            change(&mut message);
            let message = Message::Fold(message);
            Input::Deliver { from, message }
        }
        input => input,
    }
}

/// Changes what is told of the counter before it is heard.
fn amend_counts(input: In, change: impl FnOnce(&mut Counts)) -> In {
    match input {
        Input::Deliver { from, mut message } => {
            match &mut message {
                Message::Delta { counts }
                | Message::PushPull { counts }
                | Message::PushPullReply { counts } => change(counts),
                Message::DeltaAck { .. } | Message::Fold(_) => {}
            }
            Input::Deliver { from, message }
        }
        input => input,
    }
}

/// Changes what is said of a fold as it leaves.
fn map_said(out: &mut Out, change: impl Fn(&mut FoldMessage)) {
    map_effects(out, |mut effect| {
        if let Effect::Send {
            message: Message::Fold(message),
            ..
        } = &mut effect
        {
            change(message);
        }
        Some(effect)
    });
}

/// What is new of a frozen name.
fn frozen_news(node: &N, input: &In) -> Counts {
    let durable = node.durable();
    let news = told(input).difference(&durable.counts);
    news.only(|name| durable.acceptor.frozen.covers(name))
}

fn learn(node: &mut N, counts: Counts) {
    if !counts.is_empty() {
        node.write(Record::Learned { counts });
    }
}

fn learns_what_is_frozen(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let from = match &input {
        Input::Deliver { from, .. } => Some(*from),
        _ => None,
    };
    let is_heard = from.is_some_and(|from| !counter.is_stranger(node.durable(), from));
    let news = frozen_news(node, &input);
    counter.step(node, input, out);
    if is_heard {
        learn(node, news);
    }
}

fn acknowledges_what_is_frozen(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let counts = told(&input);
    counter.step(node, input, out);
    map_effects(out, |effect| {
        Some(match effect {
            Effect::Send {
                to,
                message: Message::DeltaAck { .. },
            } => Effect::Send {
                to,
                message: Message::DeltaAck {
                    counts: counts.clone(),
                },
            },
            effect => effect,
        })
    });
}

fn learns_frozen_buckets(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let mut news = frozen_news(node, &input);
    news.total = GCounter::default();
    counter.step(node, input, out);
    learn(node, news);
}

fn promises_without_counts(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    counter.step(node, input, out);
    map_said(out, |message| {
        if let FoldMessage::Promise { counts, .. } = message {
            *counts = GCounter::default();
        }
    });
}

fn promises_without_vote(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    counter.step(node, input, out);
    map_said(out, |message| {
        if let FoldMessage::Promise { accepted, .. } = message {
            *accepted = None;
        }
    });
}

/// Neither of others nor its own.
fn hears_no_votes(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let input = amend(input, |message| {
        if let FoldMessage::Promise { accepted, .. } = message {
            *accepted = None;
        }
    });
    if let Some(Proposal::Preparing { accepted, .. }) = &mut node.volatile.proposal {
        *accepted = None;
    }
    counter.step(node, input, out);
}

fn promises_any_ballot(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    if let Some(FoldMessage::Prepare { ballot, dead, .. }) = of_fold(&input)
        && node.durable().acceptor.promised > Some(*ballot)
    {
        let (ballot, dead) = (*ballot, dead.clone());
        node.write(Record::Promised { ballot, dead });
    }
    counter.step(node, input, out);
}

fn accepts_what_it_has_not_promised(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    if let Some(FoldMessage::Accept { ballot, fold }) = of_fold(&input)
        && node.durable().acceptor.promised < Some(*ballot)
        && fold.number == node.durable().counts.folded.number + 1
    {
        let dead = DeadNames::none();
        let ballot = *ballot;
        node.write(Record::Promised { ballot, dead });
    }
    counter.step(node, input, out);
}

fn keeps_its_name(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let name = node.durable().identity;
    counter.step(node, input, out);
    if let (Some(name), None) = (name, node.durable().identity) {
        node.write(Record::Identified(name));
        map_effects(out, |effect| match effect {
            Effect::Emit(Event::IdentityNeeded { .. }) => None,
            effect => Some(effect),
        });
    }
}

fn takes_an_earlier_name(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let lenient = Counter {
        fold: None,
        ..counter.clone()
    };
    match input {
        input @ Input::Ask(Command::Identify { .. }) => lenient.step(node, input, out),
        input => counter.step(node, input, out),
    }
}

fn leaves_untold(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let asks = matches!(
        of_fold(&input),
        Some(FoldMessage::Prepare { .. } | FoldMessage::Accept { .. })
    );
    counter.step(node, input, out);
    map_effects(out, |effect| match effect {
        Effect::Send {
            message: Message::PushPullReply { .. },
            ..
        } if asks => None,
        effect => Some(effect),
    });
}

/// Who has not answered when more than half have is taken to have said that it knows nothing.
fn asks_a_majority(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    counter.step(node, input, out);
    let number = node.durable().counts.folded.number + 1;
    let all: BTreeSet<NodeId> = counter.fold.clone().unwrap_or_default();
    let (ballot, answered) = match &node.volatile.proposal {
        Some(Proposal::Preparing {
            ballot, promised, ..
        }) => (*ballot, promised.clone()),
        Some(Proposal::Accepting {
            ballot, accepted, ..
        }) => (*ballot, accepted.clone()),
        None => return,
    };
    if answered.len() * 2 <= all.len() {
        return;
    }
    let is_preparing = matches!(node.volatile.proposal, Some(Proposal::Preparing { .. }));
    for silent in all.difference(&answered) {
        let message = if is_preparing {
            FoldMessage::Promise {
                number,
                ballot,
                counts: GCounter::default(),
                accepted: None,
            }
        } else {
            FoldMessage::Accepted { number, ballot }
        };
        let message = Message::Fold(message);
        let from = *silent;
        counter.step(node, Input::Deliver { from, message }, out);
    }
}

fn adds_up_promises(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let so_far = match &node.volatile.proposal {
        Some(Proposal::Preparing { counts, .. }) => counts.clone(),
        _ => GCounter::default(),
    };
    let input = amend(input, |message| {
        if let FoldMessage::Promise { counts, .. } = message {
            let both = counts.components();
            *counts = both
                .map(|(name, count)| (name, count + so_far.count(name)))
                .collect();
        }
    });
    counter.step(node, input, out);
}

fn hears_no_counts(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let input = amend(input, |message| {
        if let FoldMessage::Promise { counts, .. } = message {
            *counts = GCounter::default();
        }
    });
    counter.step(node, input, out);
}

fn confuses_folds(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let next = node.durable().counts.folded.number + 1;
    let input = amend(input, |message| match message {
        FoldMessage::Promise { number, .. }
        | FoldMessage::Accepted { number, .. }
        | FoldMessage::Refused { number, .. } => *number = next,
        FoldMessage::Prepare { .. } | FoldMessage::Accept { .. } => {}
    });
    counter.step(node, input, out);
}

fn awaits_no_acceptance(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    counter.step(node, input, out);
    if let Some(Proposal::Accepting { fold, .. }) = node.volatile.proposal.clone() {
        let counts = Counts {
            folded: fold,
            ..Counts::default()
        };
        counter.learn(node, &counts, out);
        counter.owe_everybody(node, &counts, out);
    }
}

/// The proposal as it would be without a new promise.
fn propose_in(counter: &Counter, node: &mut N, ballot: Ballot, out: &mut Out) {
    let durable = node.durable();
    let dead = durable.dead_names();
    let counts = durable.counts.total.only(|name| dead.covers(name));
    let number = durable.counts.folded.number + 1;
    let prepare = FoldMessage::Prepare {
        number,
        ballot,
        dead: dead.clone(),
    };
    node.volatile.proposal = Some(Proposal::Preparing {
        ballot,
        dead,
        promised: [counter.id].into(),
        counts,
        accepted: None,
    });
    let members: Vec<NodeId> = node.volatile.members.keys().copied().collect();
    for member in members {
        out.send(member, Message::Fold(prepare.clone()));
    }
}

fn uses_its_ballot_again(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let promised = node.durable().acceptor.promised;
    let own = promised.filter(|ballot| Some(ballot.proposer) == node.durable().identity);
    match (&input, own, &node.volatile.proposal) {
        (Input::Fire(Timer::Fold), Some(ballot), None) => {
            out.arm(Timer::Fold);
            propose_in(counter, node, ballot, out);
        }
        _ => counter.step(node, input, out),
    }
}

fn begins_anywhere(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let is_due = input == Input::Fire(Timer::Fold) && node.volatile.proposal.is_none();
    counter.step(node, input, out);
    if let (true, None, Some(proposer)) = (is_due, &node.volatile.proposal, node.durable().identity)
    {
        let promised = node.durable().acceptor.promised;
        let round = promised.map_or(1, |ballot| ballot.round + 1);
        let ballot = Ballot { round, proposer };
        let dead = node.durable().dead_names();
        node.write(Record::Promised { ballot, dead });
        propose_in(counter, node, ballot, out);
    }
}

fn begins_without_all(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let members = node.volatile.members.clone();
    let is_due = input == Input::Fire(Timer::Fold);
    if is_due {
        for &peer in &counter.peers {
            node.volatile.members.entry(peer).or_default();
        }
    }
    counter.step(node, input, out);
    if is_due {
        node.volatile.members = members;
    }
}

fn learns_the_sum_alone(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let input = amend_counts(input, |counts| counts.folded.names = DeadNames::none());
    counter.step(node, input, out);
}

fn adds_the_sums(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let known = node.durable().counts.folded.clone();
    let input = amend_counts(input, |counts| {
        if counts.folded.number > known.number {
            counts.folded.sum += known.sum;
        }
    });
    counter.step(node, input, out);
}

fn counts_what_is_late(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let folded = node.durable().counts.folded.clone();
    let late = told(&input).total.only(|name| folded.covers(name));
    counter.step(node, input, out);
    if !late.is_empty() {
        let folded = Folded {
            sum: folded.sum + late.value(),
            ..folded
        };
        let counts = Counts {
            folded,
            ..Counts::default()
        };
        learn(node, counts);
    }
}

fn owes_what_is_folded(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let owed = node.volatile.members.clone();
    let folded = node.durable().counts.folded.number;
    counter.step(node, input, out);
    if node.durable().counts.folded.number > folded {
        for (member, peer) in &mut node.volatile.members {
            let before = owed.get(member).map(|peer| peer.pending.total.clone());
            peer.pending.total.merge(&before.unwrap_or_default());
        }
        out.arm(Timer::Broadcast);
    }
}

fn keeps_promises_for_ever(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let acceptor = node.durable().acceptor.clone();
    counter.step(node, input, out);
    if let (Some(ballot), None) = (acceptor.promised, node.durable().acceptor.promised) {
        let dead = acceptor.frozen;
        node.write(Record::Promised { ballot, dead });
    }
}

fn hears_everybody(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    match input {
        Input::Deliver {
            from,
            message: Message::Delta { counts },
        } => counter.on_delta(node, from, counts, out),
        input => counter.step(node, input, out),
    }
}

fn keeps_its_members(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let members = node.volatile.members.clone();
    let is_told = matches!(input, Input::Deliver { .. });
    counter.step(node, input, out);
    if is_told {
        for (member, peer) in members {
            node.volatile.members.entry(member).or_insert(peer);
        }
    }
}

fn starts_with_all(counter: &Counter, durable: &Persistent, out: &mut Out) -> Volatile {
    let mut volatile = counter.boot(durable, out);
    for &peer in &counter.peers {
        volatile.members.entry(peer).or_default();
    }
    volatile
}

fn lets_in_again(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    match &input {
        Input::Ask(Command::PeerJoined(peer)) if *peer != counter.id => {
            node.volatile.members.insert(*peer, Peer::default());
            out.emit(Event::PeerAdded(*peer));
        }
        _ => counter.step(node, input, out),
    }
}

fn hears_no_refusal(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    if !matches!(of_fold(&input), Some(FoldMessage::Refused { .. })) {
        counter.step(node, input, out);
    }
}

fn asks_once(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let is_again = input == Input::Fire(Timer::Fold) && node.volatile.proposal.is_some();
    counter.step(node, input, out);
    map_effects(out, |effect| match effect {
        Effect::Send { .. } if is_again => None,
        effect => Some(effect),
    });
}

fn tells_no_fold(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    counter.step(node, input, out);
    for peer in node.volatile.members.values_mut() {
        peer.pending.folded = Folded::none();
    }
    waits_for_nothing(node, out);
}

/// When nothing is owed, the timer does not run.
fn waits_for_nothing(node: &N, out: &mut Out) {
    if node.volatile.is_settled() {
        map_effects(out, |effect| match effect {
            Effect::Arm(Timer::Broadcast) => None,
            effect => Some(effect),
        });
        out.disarm(Timer::Broadcast);
    }
}

fn keeps_departures_to_itself(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    counter.step(node, input, out);
    for peer in node.volatile.members.values_mut() {
        peer.pending.departed.clear();
    }
    map_effects(out, |mut effect| {
        if let Effect::Send {
            message: Message::PushPull { counts } | Message::PushPullReply { counts },
            ..
        } = &mut effect
        {
            counts.departed.clear();
        }
        Some(effect)
    });
    waits_for_nothing(node, out);
}

fn awaits_the_departed(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let is_due = input == Input::Fire(Timer::Fold);
    if is_due && !node.durable().counts.departed.is_empty() {
        out.arm(Timer::Fold);
    } else {
        counter.step(node, input, out);
    }
}

fn begins_with_its_own(counter: &Counter, node: &mut N, input: In, out: &mut Out) {
    let durable = node.durable();
    let dead = durable.dead_names();
    let is_dead = |(name, _): (ReplicaId, u64)| dead.covers(name);
    let knows_of_any = durable.counts.total.components().any(is_dead);
    if input == Input::Fire(Timer::Fold) && !knows_of_any && node.volatile.proposal.is_none() {
        out.arm(Timer::Fold);
    } else {
        counter.step(node, input, out);
    }
}
