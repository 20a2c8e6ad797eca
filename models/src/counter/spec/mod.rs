//! What must be true of the counter, and the worlds and mutants it is checked with.
//!
//! Verified here: what was acknowledged is counted, and nothing else is, in the total as in
//! each bucket of the window; that no component is written but by its owner or ever goes
//! back, crash or not; that merges are least upper bounds; that nothing is forgotten before
//! it is known elsewhere; that replicas which owe each other nothing agree; of a disk that was set back
//! what `set_back` says. (The algebra of
//! merging, for all counters and not only those that a world comes to, is in the property
//! tests.) Not verified here: that the incarnations which a host draws are unique; how long
//! replicas take to agree.

mod catalogue;
mod drawn;
mod duties;
mod features;
mod folding;
mod folds;
mod inert;
mod invariants;
mod labels;
mod laws;
mod live;
mod liveness;
mod mutants;
mod reachable;
mod sampled;
mod scenarios;
mod set_back;
mod turns;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use serde::{Deserialize, Serialize};

pub use self::catalogue::MODELS;
pub use self::live::MODELS as LIVE;
pub use self::mutants::MUTANTS;
pub use self::sampled::{DRAWN, FUZZED};
pub use self::scenarios::{
    Limits, at_large, cluster, connected, counting, crowded, hosts_at_large, identities,
    increments, leaving, leaving_alone, leaving_connected, membership, overflowing, overtaken,
    replica, request, retries, sessions, torn_frames, windowed,
};

use super::counts::Counts;
use super::fold::folded::Folded;
use super::g_counter::ReplicaId;
use super::message::Message;
use super::window::{Bucket, Window};
use super::{Command, Counter, Event, Increment, Refusal, Timer};
use crate::protocol::{Effect, Node, NodeId};
use crate::session::RequestId;
use crate::specification::{
    Answer, Apart, Feature, Invariant, Law, Liveness, Reachable, Specification,
};
use crate::world::{Envelope, Host, Scenario, World};

/// What the properties remember.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ghost {
    /// The requests that were acknowledged under each name; a retry that was known for one is
    /// not listed anew.
    pub counted: BTreeMap<ReplicaId, BTreeSet<RequestId>>,
    /// The nodes that have told a value which is not the sum of what they know.
    pub misreported: BTreeSet<NodeId>,
    /// What each node that said it was not needed any more knew when it last said so.
    pub drained: BTreeMap<NodeId, Counts>,
    /// The folds that replicas have learned.
    pub folds: BTreeSet<Folded>,
}

/// What makes the counter's state space finite, beside what its clients ask: whose timers
/// run out.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The nodes that send deltas.
    pub broadcasters: BTreeSet<NodeId>,
    /// The nodes that begin push-pull.
    pub push_pullers: BTreeSet<NodeId>,
    /// The nodes that propose folds.
    pub proposers: BTreeSet<NodeId>,
}

impl Specification for Counter {
    type Ghost = Ghost;
    type Bounds = Bounds;

    const INVARIANTS: &'static [Invariant<Self>] = invariants::INVARIANTS;
    const LAWS: &'static [Law<Self>] = laws::LAWS;
    const REACHABLE: &'static [Reachable<Self>] = reachable::REACHABLE;
    const LIVENESS: &'static [Liveness<Self>] = liveness::LIVENESS;
    const FEATURES: &'static [Feature<Self>] = features::FEATURES;
    const APART: &'static [Apart] = features::APART;

    fn observe(ghost: &mut Ghost, id: NodeId, node: &Node<Self>, effects: &[Effect<Self>]) {
        let folded = &node.durable().counts.folded;
        if !folded.is_empty() && !ghost.folds.contains(folded) {
            ghost.folds.insert(folded.clone());
        }
        for effect in effects {
            if let Effect::Emit(event) = effect {
                hear(ghost, id, node, event);
            }
        }
    }

    fn permits(bounds: &Bounds, id: NodeId, _: &Node<Self>, timer: &Timer) -> bool {
        match timer {
            Timer::Broadcast => bounds.broadcasters.contains(&id),
            Timer::PushPull => bounds.push_pullers.contains(&id),
            Timer::Fold => bounds.proposers.contains(&id),
        }
    }

    fn is_inert(envelope: &Envelope<Message>, sender: &Host<Self>, receiver: &Host<Self>) -> bool {
        inert::is_inert(envelope, sender, receiver)
    }

    fn answer(command: &Command, event: &Event) -> Option<Answer> {
        match (command, event) {
            (Command::Increment(asked), Event::Incremented { request, .. })
                if asked.request == *request =>
            {
                Some(Answer::Done)
            }
            (Command::Increment(asked), Event::Refused { request, why })
                if asked.request == *request =>
            {
                Some(meaning(*why))
            }
            (Command::Read { request: asked }, Event::Value { request, .. })
            | (Command::ReadWindow { request: asked, .. }, Event::WindowValue { request, .. })
                if asked == request =>
            {
                Some(Answer::Done)
            }
            (Command::Identify { .. }, Event::Identified { .. })
            | (Command::Leave, Event::Drained) => Some(Answer::Done),
            (Command::Identify { .. }, Event::IdentityNeeded { .. }) => Some(Answer::Refused),
            (Command::PeerJoined(asked), Event::PeerAdded(peer))
            | (
                Command::PeerJoined(asked)
                | Command::PeerGone(asked)
                | Command::PeerDeparted(asked),
                Event::PeerRemoved(peer),
            ) if asked == peer => Some(Answer::Done),
            _ => None,
        }
    }

    fn message_label(message: &Message) -> String {
        labels::message(message)
    }

    fn node_label(node: &Node<Self>) -> String {
        labels::node(node)
    }

    fn command_label(command: &Command) -> String {
        labels::command(command)
    }
}

/// What a refusal means to the client: whether it may try elsewhere.
fn meaning(why: Refusal) -> Answer {
    match why {
        Refusal::ZeroAmount | Refusal::Superseded => Answer::Done,
        Refusal::Overflow | Refusal::Unidentified | Refusal::Leaving => Answer::Refused,
    }
}

fn hear(ghost: &mut Ghost, id: NodeId, node: &Node<Counter>, event: &Event) {
    let durable = node.durable();
    let components = durable.counts.components();
    let exact: u128 = match event {
        Event::Incremented { .. } | Event::Value { .. } | Event::Changed { .. } => {
            components
                .filter(|(bucket, _, _)| bucket.is_none())
                .map(|(_, _, count)| u128::from(count))
                .sum::<u128>()
                + durable.counts.folded.sum
        }
        Event::WindowValue { since, until, .. } => components
            .filter(|(bucket, _, _)| {
                bucket.is_some_and(|bucket| *since <= bucket.start && bucket.start <= *until)
            })
            .map(|(_, _, count)| u128::from(count))
            .sum(),
        Event::Drained => {
            ghost.drained.insert(id, durable.counts.clone());
            return;
        }
        // Who has come since is still to be told.
        Event::PeerAdded(_) => {
            ghost.drained.remove(&id);
            return;
        }
        Event::Refused { .. }
        | Event::IdentityNeeded { .. }
        | Event::Identified { .. }
        | Event::Folded { .. }
        | Event::PeerRemoved(_) => return,
    };
    if told(event) != Some(exact) {
        ghost.misreported.insert(id);
    }
    if let Event::Incremented {
        request,
        repeated: false,
        ..
    } = event
        && let Some(identity) = durable.identity
    {
        ghost.counted.entry(identity).or_default().insert(*request);
    }
}

/// Whether the node owes somebody something: what a member has not acknowledged.
fn owes(node: &Node<Counter>) -> bool {
    let mut members = node.volatile.members.values();
    members.any(|peer| {
        let Counts {
            folded, departed, ..
        } = &peer.pending;
        peer.pending.components().next().is_some() || folded.number > 0 || !departed.is_empty()
    })
}

/// Whether the bucket is one of the window's: by its definition, for the protocol has its own.
fn has(window: Window, bucket: Bucket) -> bool {
    bucket.width == window.width() && bucket.start.is_multiple_of(window.width())
}

/// The bucket of the window that runs at this time, by its definition again.
fn running_at(window: Window, now: u64) -> Bucket {
    let width = window.width();
    Bucket {
        start: now / width * width,
        width,
    }
}

/// The value that an event tells, if it tells one.
fn told(event: &Event) -> Option<u128> {
    match event {
        Event::Incremented { value, .. }
        | Event::Value { value, .. }
        | Event::WindowValue { value, .. }
        | Event::Changed { value } => Some(*value),
        Event::Refused { .. }
        | Event::IdentityNeeded { .. }
        | Event::Identified { .. }
        | Event::Folded { .. }
        | Event::PeerAdded(_)
        | Event::PeerRemoved(_)
        | Event::Drained => None,
    }
}

/// The wish to count that bears this id, among what the clients ask.
fn asked(scenario: &Scenario<Counter>, request: RequestId) -> Option<&Increment> {
    let mut commands = scenario.scripts.iter().flatten();
    commands.find_map(|command| match command {
        Command::Increment(increment) if increment.request == request => Some(increment),
        _ => None,
    })
}

/// What a component must be: what was known of it when the world began, by its owner's disk unless that
/// had been set back, and what has been acknowledged under its name since. Of a bucket: what of that fell
/// into it.
fn exact(
    scenario: &Scenario<Counter>,
    world: &World<Counter>,
    bucket: Option<Bucket>,
    replica: ReplicaId,
) -> u128 {
    let known = scenario.disks.iter();
    let known = known.map(|disk| disk.counts.count(bucket, replica));
    let initial = known.max().unwrap_or(0);
    let requests = world.ghost.counted.get(&replica).into_iter().flatten();
    let increments = requests.filter_map(|&request| asked(scenario, request));
    let counted = increments.filter(|increment| falls_into(increment, bucket));
    u128::from(initial) + counted.map(|one| u128::from(one.amount)).sum::<u128>()
}

fn falls_into(increment: &Increment, bucket: Option<Bucket>) -> bool {
    bucket.is_none_or(|Bucket { start, width }| {
        start <= increment.now && increment.now - start < width
    })
}

/// Whether the disk on which this name's counts were kept has been lost or set back, by a fault of the
/// world and not of the protocol.
fn is_lost(scenario: &Scenario<Counter>, world: &World<Counter>, replica: ReplicaId) -> bool {
    let owner = world.host(replica.node);
    let is_lost = world.faults.lost_disks > 0
        && owner.is_none_or(|owner| owner.on_disk().identity != Some(replica));
    is_lost || set_back::is_set_back(scenario, replica)
}
