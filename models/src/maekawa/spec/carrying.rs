//! Models of locks that are held over an epoch change.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::maekawa::lock::LockName;
use crate::maekawa::message::{Epoch, Held, HeldLocks, Message, Timestamp, Token};
use crate::maekawa::quorum::Construction;
use crate::maekawa::{Command, Maekawa};
use crate::protocol::{Input, Node, NodeId, Outbox, Protocol};
use crate::specification::{Model, Size};
use crate::world::{Action, Duplicates, Envelope, Faults, Scenario, World};

use super::scenarios::{claim, claims, connected, founded, patient, the_lock};

type Checked = Scenario<Maekawa>;

/// The models.
pub(super) const MODELS: &[Model<Maekawa>] = &[
    Model {
        name: "maekawa/held-twice",
        size: Size::Gate,
        purpose: "a holder that has frozen releases the lock, and another that has not enters: both have \
                  said that they hold it",
        faults: "none",
        bounds: "channels in order, messages beat timers; 3 members of which 2 claim once, and 1 to be",
        states: Some(12_504),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "a node joins",
            "a lock is held over a change",
            "a node waits for a lock that is held over a change",
            "two members have said that they hold one lock",
        ],
        scenario: held_twice,
    },
    Model {
        name: "maekawa/held-earlier-request",
        size: Size::Gate,
        purpose: "both have said that they hold the lock, and who has it later had asked for it before",
        faults: "none",
        bounds: "channels in order, messages beat timers; 4 members and 1 to be; n4 is in from the start, n1 \
                 waits with the earlier request",
        states: Some(9_098),
        reaches: &[
            "the lock changes hands",
            "a node joins",
            "a lock is held over a change",
            "two members have said that they hold one lock",
            "who holds the lock later had asked for it before",
        ],
        scenario: held_by_an_earlier_request,
    },
    Model {
        name: "maekawa/held-lossy",
        size: Size::Gate,
        purpose: "a holder, and a word of the change that is lost: the Install is told again as it was",
        faults: "1 message lost",
        bounds: "channels in order, messages beat timers; 2 members and 1 to be, 1 claim, 2 misses, \
                 epochs ≤ 3",
        states: Some(7_290),
        reaches: &[
            "a node enters",
            "a node joins",
            "a lock is held over a change",
            "a lock is carried over that its holder has released or forgotten",
        ],
        scenario: held_lossy,
    },
    Model {
        name: "maekawa/held-late",
        size: Size::Gate,
        purpose: "what a member has said that it holds arrives once more when it has crashed since",
        faults: "any loss, duplication and reordering; 1 crash",
        bounds: "2 members and 1 to be, 1 claim; no health check",
        states: Some(5_611),
        reaches: &[
            "a node enters",
            "a node joins",
            "a lock is held over a change",
            "a lock is carried over that its holder has released or forgotten",
        ],
        scenario: held_late,
    },
    Model {
        name: "maekawa/held-and-left",
        size: Size::Gate,
        purpose: "a holder is told to leave when it has said what it holds",
        faults: "none",
        bounds: "channels in order, messages beat timers; 2 members and 1 to be, 1 claim",
        states: Some(2_546),
        reaches: &[
            "a node enters",
            "a node joins",
            "a node leaves",
            "a lock is held over a change",
        ],
        scenario: held_and_left,
    },
    Model {
        name: "maekawa/leave-late",
        size: Size::Gate,
        purpose: "a node that has missed an epoch's beginning is told to leave, and is heard when health checks \
                  have been missed",
        faults: "2 messages lost",
        bounds: "channels in order, messages beat timers; 2 members and 1 to be, 2 misses, epochs ≤ 3",
        states: Some(21_654),
        reaches: &["a node joins", "a node leaves"],
        scenario: leave_late,
    },
    Model {
        name: "maekawa/forged-held",
        size: Size::Gate,
        purpose: "locks that a member cannot hold, said by it to the orchestrator",
        faults: "1 member says what cannot be",
        bounds: "channels in order, messages beat timers; 2 members and 1 to be, 1 claim",
        states: Some(247),
        reaches: &["a node enters", "a node joins"],
        scenario: forged_held,
    },
];

/// Three members, of which two claim the lock by quorums that share the arbiter of the second, while a
/// fourth node joins.
pub fn held_twice() -> Checked {
    let mut scenario = founded(3, 1, Construction::Plane);
    scenario.scripts = vec![claims(1, 0, 1), claims(2, 0, 1)];
    scenario.bounds.retries = true;
    connected(scenario)
}

/// Four members, of which the first and the last claim the lock, and a fifth that joins them. The two have
/// their quorums' arbiters in common, and are none of these themselves: both have asked before they heard
/// of each other, so that the first's request is the earlier, and the last has entered, for it was heard
/// first.
pub fn held_by_an_earlier_request() -> Checked {
    let mut scenario = founded(4, 1, Construction::Grid);
    scenario.scripts = vec![claims(1, 0, 1), claims(4, 0, 1)];
    scenario.bounds.retries = true;
    let mut scenario = connected(scenario);
    scenario.prologue = last_is_in_and_first_waits(&scenario);
    scenario
}

/// The steps by which both ask, and the last has locked its arbiters when the first's requests arrive.
fn last_is_in_and_first_waits(scenario: &Checked) -> Vec<Action<Maekawa>> {
    let mut world = World::initial(scenario);
    let mut steps = scenario.prologue.clone();
    let mut play = |action: Action<Maekawa>| {
        let played = world.apply(scenario, &action).is_ok();
        if played {
            steps.push(action);
        }
        world.network.in_flight()
    };
    let (first, last, orchestrator) = (NodeId(1), NodeId(4), NodeId(0));
    play(Action::Ask {
        client: 0,
        node: first,
    });
    let mut in_flight = play(Action::Ask {
        client: 1,
        node: last,
    });
    for requester in [last, first] {
        let is_about = |envelope: &&Envelope<Message>| {
            let ends = [envelope.from, envelope.to];
            ends.contains(&requester) && !ends.contains(&orchestrator)
        };
        while let Some(envelope) = in_flight.iter().find(is_about).cloned() {
            in_flight = play(Action::Deliver(envelope));
        }
    }
    steps
}

/// Two members, of which one claims the lock, and a third node that joins them, and a message that is
/// lost.
pub fn held_lossy() -> Checked {
    let mut scenario = founded(2, 1, Construction::Plane);
    scenario.scripts = vec![claims(1, 0, 1)];
    scenario.bounds.retries = true;
    scenario.bounds.last_epoch = Epoch(3);
    scenario.bounds.accurate = false;
    scenario.faults.drops = 1;
    patient(connected(scenario))
}

/// Two members, of which the first claims the lock, and a third node that joins them; one may crash and be
/// a member again, and each message may be lost, or arrive any number of times.
pub fn held_late() -> Checked {
    let mut scenario = founded(2, 1, Construction::Plane);
    scenario.scripts = vec![claims(1, 0, 1)];
    scenario.faults = Faults {
        duplicates: Duplicates::Unlimited,
        crashes: 1,
        ..Faults::default()
    };
    scenario
}

/// Two members, of which the first claims the lock and is told to leave, and a third node that joins
/// them.
pub fn held_and_left() -> Checked {
    let mut scenario = founded(2, 1, Construction::Plane);
    scenario.scripts = vec![claims(1, 0, 1), vec![Command::Deregister]];
    scenario.bounds.retries = true;
    connected(scenario)
}

/// Two members, of which the first is told to leave, and a third node that joins them, and two messages
/// that are lost; nothing is said of who is thought to be alive.
pub fn leave_late() -> Checked {
    let mut scenario = founded(2, 1, Construction::Plane);
    scenario.scripts = vec![vec![Command::Deregister]];
    scenario.bounds.last_epoch = Epoch(3);
    scenario.bounds.accurate = false;
    scenario.faults.drops = 2;
    patient(connected(scenario))
}

/// Two members, of which the first keeps the lock for ever, and a third node that joins them.
pub fn held_for_ever() -> Checked {
    let mut scenario = founded(2, 1, Construction::Plane);
    let claim = claim(1, 0, 1);
    scenario.scripts = vec![vec![Command::Acquire { claim }]];
    scenario.bounds.retries = true;
    connected(scenario)
}

/// Two members, of which the first claims the lock, and the second, when it is to freeze, also says that
/// it holds what it cannot; a third node joins them.
pub fn forged_held() -> Checked {
    let mut scenario = founded(2, 1, Construction::Plane);
    scenario.scripts = vec![claims(1, 0, 1)];
    Scenario {
        step: forges_what_it_holds,
        ..connected(scenario)
    }
}

pub(super) fn forges_what_it_holds(
    maekawa: &Maekawa,
    node: &mut Node<Maekawa>,
    input: Input<Maekawa>,
    out: &mut Outbox<Maekawa>,
) {
    if let Input::Deliver {
        from,
        message: Message::Freeze { epoch },
    } = &input
        && maekawa.id() == NodeId(2)
    {
        for held in forgeries(*epoch) {
            let epoch = *epoch;
            out.send(*from, Message::Frozen { epoch, held });
        }
    }
    maekawa.step(node, input, out);
}

/// Another's request; a lock that cannot be; a token of an epoch to come.
fn forgeries(epoch: Epoch) -> [HeldLocks; 3] {
    let held = |lock: LockName, node, epoch| -> HeldLocks {
        let node = NodeId(node);
        let held = Held {
            request: Timestamp { clock: 1, node },
            token: Token { epoch, counter: 1 },
        };
        [(lock, held)].into()
    };
    [
        held(the_lock(), 1, epoch),
        held(String::new().into(), 2, epoch),
        held(the_lock(), 2, epoch.next()),
    ]
}
