//! What nodes send and store is read as it was written: the messages, records, states, questions and answers
//! of each protocol, as they come up in worlds that are drawn and walked at random. quickcheck makes a walk
//! shorter that fails.

use std::collections::BTreeSet;
use std::sync::Mutex;

use bytes::BytesMut;
use lockstep::runtime::transport::{decode_frame, encode_frame};
use models::specification::{Drawn, Specification};
use models::world::{Action, Scenario, World};
use models::{Data, Effect, Input, NodeId, Outbox};
use quickcheck::{Arbitrary, Gen, QuickCheck};

const LIMIT: usize = 1 << 20;
const SEED: u64 = 1;

/// A way through a world that is drawn by its number.
#[derive(Clone, Debug)]
struct Walk {
    world: u8,
    choices: Vec<u16>,
}

impl Arbitrary for Walk {
    fn arbitrary(g: &mut Gen) -> Self {
        Self {
            world: u8::arbitrary(g),
            choices: Vec::arbitrary(g),
        }
    }

    /// The same world: another one has nothing to do with it.
    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let world = self.world;
        let shorter = self.choices.shrink();
        Box::new(shorter.map(move |choices| Self { world, choices }))
    }
}

/// A protocol with its drawn worlds.
trait Subject: Specification {
    const DRAWN: &'static [Drawn<Self>];
    /// So many kinds of messages are sent in the walks, at least.
    const KINDS: usize;
    /// Those that were sent.
    fn kinds() -> &'static Mutex<BTreeSet<String>>;
}

macro_rules! subjects {
    ($($name:ident: $protocol:ty, $drawn:expr, $kinds:literal;)+) => {$(
        impl Subject for $protocol {
            const DRAWN: &'static [Drawn<Self>] = $drawn;
            const KINDS: usize = $kinds;
            fn kinds() -> &'static Mutex<BTreeSet<String>> {
                static KINDS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
                &KINDS
            }
        }

        #[test]
        fn $name() {
            every_value_survives_encoding::<$protocol>();
        }
    )+};
}

subjects! {
    bully: models::bully::Bully<u8>, models::bully::spec::DRAWN, 4;
    counter: models::counter::Counter, models::counter::spec::DRAWN, 4;
    maekawa: models::maekawa::Maekawa, models::maekawa::spec::DRAWN, 8;
    mvcc: models::mvcc::standalone::Standalone, models::mvcc::spec::DRAWN, 1;
    raft: models::raft::Raft<models::raft::spec::Adder>, models::raft::spec::DRAWN, 8;
    zab: models::zab::Zab<models::raft::spec::Adder, models::zab::spec::Oracle>, models::zab::spec::DRAWN, 8;
}

fn every_value_survives_encoding<P: Subject>() {
    let checked: fn(Walk) -> bool = survives::<P>;
    // The generator's size bounds the length of a walk.
    let walks = Gen::from_size_and_seed(400, SEED);
    QuickCheck::new().rng(walks).tests(60).quickcheck(checked);
    let kinds = P::kinds().lock().expect("no walk has panicked");
    assert!(kinds.len() >= P::KINDS, "only these were sent: {kinds:?}");
}

/// Whether all that comes up on the walk is read as it was written.
fn survives<P: Subject>(walk: Walk) -> bool {
    let drawn = P::DRAWN[usize::from(walk.world) % P::DRAWN.len()];
    let scenario = (drawn.scenario)(walk.world.into());
    let mut world = World::initial(&scenario);
    for choice in walk.choices {
        let mut actions = world.actions(&scenario);
        if actions.is_empty() {
            break;
        }
        let action = actions.swap_remove(usize::from(choice) % actions.len());
        let asked = world.asked(&scenario, &action).is_none_or(is_traced);
        if !asked || !step_survives(&world, &scenario, &action) {
            return false;
        }
        world.enact(&scenario, &action);
    }
    let mut hosts = world.all_hosts();
    hosts.all(|(_, host)| is_stored(host.durable()))
}

/// Whether what a node writes and says in the step that this action makes it take is read so.
fn step_survives<P: Subject>(world: &World<P>, scenario: &Scenario<P>, action: &Action<P>) -> bool {
    let Some((id, input)) = input(world, scenario, action) else {
        return true;
    };
    let Some(mut node) = world.host(id).and_then(|host| host.node()).cloned() else {
        return true;
    };
    let mut out = Outbox::new();
    scenario.nodes[usize::from(id.0)].step(&mut node, input, &mut out);
    let mut effects = out.drain();
    let said = effects.all(|effect| match effect {
        Effect::Send { message, .. } | Effect::SendEarly { message, .. } => is_sent::<P>(&message),
        Effect::Emit(event) => is_stored(&event),
        Effect::Arm(timer) | Effect::Disarm(timer) => is_traced(&timer),
    });
    said && node.take_records().iter().all(is_stored)
}

fn input<P: Subject>(
    world: &World<P>,
    scenario: &Scenario<P>,
    action: &Action<P>,
) -> Option<(NodeId, Input<P>)> {
    let input = match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) => Input::Deliver {
            from: envelope.from,
            message: envelope.message.clone(),
        },
        Action::Fire { timer, .. } => Input::Fire(timer.clone()),
        _ => Input::Ask(world.asked(scenario, action)?.clone()),
    };
    Some((action.node()?, input))
}

/// Whether a frame with the message brings it, and leaves nothing.
fn is_sent<P: Subject>(message: &P::Message) -> bool {
    let words = format!("{message:?}");
    let kind = words.split(|letter: char| !letter.is_alphanumeric()).next();
    let kind = kind.unwrap_or_default().to_owned();
    P::kinds()
        .lock()
        .expect("no walk has panicked")
        .insert(kind);
    let mut frame = Vec::new();
    if encode_frame(message, LIMIT, &mut frame).is_err() {
        return false;
    }
    let mut buffer = BytesMut::from(frame.as_slice());
    let Ok(Some(payload)) = decode_frame(&mut buffer, LIMIT) else {
        return false;
    };
    buffer.is_empty() && is_read(&payload, message) && is_traced(message)
}

/// Whether the value is read as it was written, as journals and recordings have it.
fn is_stored<T: Data>(value: &T) -> bool {
    postcard::to_allocvec(value).is_ok_and(|bytes| is_read(&bytes, value))
}

/// Whether it is so in a trace as well.
fn is_traced<T: Data>(value: &T) -> bool {
    let text = serde_json::to_string(value);
    let read = text.and_then(|text| serde_json::from_str::<T>(&text));
    read.is_ok_and(|read| read == *value) && is_stored(value)
}

fn is_read<T: Data>(bytes: &[u8], value: &T) -> bool {
    let whole = postcard::take_from_bytes::<T>(bytes);
    let part = |end| postcard::take_from_bytes::<T>(&bytes[..end]).is_ok();
    // What is cut short is no value, wherever it is cut.
    let cut = bytes.len().checked_sub(1).is_some_and(part);
    whole.is_ok_and(|(read, rest)| read == *value && rest.is_empty()) && !cut
}
