//! Models of several locks on one membership, and of arbiters that forget locks.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::maekawa::lock::{LONGEST_NAME, LockName};
use crate::maekawa::message::{Epoch, Message, Timestamp};
use crate::maekawa::quorum::Construction;
use crate::maekawa::{Command, Maekawa};
use crate::protocol::{Input, Node, NodeId, Outbox, Protocol};
use crate::specification::{Model, Size};
use crate::world::{Delivery, Duplicates, Faults, Scenario};

use super::scenarios::{acquire_and_release, claim_to, connected, founded};

type Checked = Scenario<Maekawa>;

/// The models.
pub(super) const MODELS: &[Model<Maekawa>] = &[
    Model {
        name: "maekawa/locks",
        size: Size::Gate,
        purpose: "two locks that two nodes want: who holds one keeps nobody of the other waiting",
        faults: "none; messages in any order",
        bounds: "2 members, claims to both locks at each",
        states: Some(90_561),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
            "a request gives way",
            "a node holds two locks",
            "two nodes hold a lock each",
            "a node holds one lock and waits for another",
        ],
        scenario: locks,
    },
    Model {
        name: "maekawa/locks-three",
        size: Size::Gate,
        purpose: "two locks and quorums of two, each two of which share one arbiter",
        faults: "none",
        bounds: "channels in order; 3 members; claims to both locks at one, to one each at the others",
        states: Some(14_605),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "a node holds two locks",
            "two nodes hold a lock each",
            "a node holds one lock and waits for another",
        ],
        scenario: locks_of_three,
    },
    Model {
        name: "maekawa/locks-four",
        size: Size::Gate,
        purpose: "a node that waits for two locks is asked to give way for one of them",
        faults: "none; messages in any order",
        bounds: "4 members of which 2 claim: one lock each, and one of them another",
        states: Some(57_458),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
            "a request gives way",
            "a node holds two locks",
            "two nodes hold a lock each",
        ],
        scenario: locks_of_four,
    },
    Model {
        name: "maekawa/locks-duplicates",
        size: Size::Gate,
        purpose: "late copies of all that was ever said, about either lock",
        faults: "any loss, duplication and reordering",
        bounds: "2 members; claims to both locks at one, to one lock at the other",
        states: Some(7_128),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "a node holds two locks",
            "two nodes hold a lock each",
        ],
        scenario: locks_duplicated,
    },
    Model {
        name: "maekawa/locks-lossy",
        size: Size::Gate,
        purpose: "one timer for the requests of two locks: lost messages are made up for",
        faults: "1 message lost",
        bounds: "channels in order, messages beat timers; 2 members; claims to both locks at one, to \
                 one lock at the other",
        states: Some(8_032),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "a node holds two locks",
            "two nodes hold a lock each",
            "a node holds one lock and waits for another",
        ],
        scenario: locks_lossy,
    },
    Model {
        name: "maekawa/locks-join",
        size: Size::Gate,
        purpose: "a node joins while another holds two locks, or one of them and waits for the other",
        faults: "none",
        bounds: "channels in order, messages beat timers; 2 members and 1 to be; claims to both locks \
                 at one, to one lock at another",
        states: Some(58_963),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an epoch ends while the lock is held",
            "an epoch ends while a node holds two locks",
            "a node enters in a later epoch",
            "a node joins",
            "two locks are held over a change",
        ],
        scenario: locks_join,
    },
    Model {
        name: "maekawa/locks-join-datagrams",
        size: Size::Gate,
        purpose: "late copies of what was said in an earlier epoch, about either lock",
        faults: "any loss, duplication and reordering",
        bounds: "2 members and 1 to be; claims to both locks at one; no health check",
        states: Some(6_707),
        reaches: &[
            "a node enters",
            "an epoch ends while the lock is held",
            "an epoch ends while a node holds two locks",
            "a node enters in a later epoch",
            "a node joins",
        ],
        scenario: locks_join_datagrams,
    },
    Model {
        name: "maekawa/locks-leave",
        size: Size::Gate,
        purpose: "a node leaves at which locks are held and waited for",
        faults: "none",
        bounds: "channels in order, messages beat timers; 2 members; claims to both locks at the one \
                 that leaves, to one lock at the other",
        states: Some(34_647),
        reaches: &[
            "a node enters",
            "a node leaves",
            "an epoch waits for a node that is to be none and holds two locks",
        ],
        scenario: locks_leave,
    },
    Model {
        name: "maekawa/locks-restart",
        size: Size::Gate,
        purpose: "a node that crashes comes back as another, and has forgotten every lock",
        faults: "1 crash; messages in any order",
        bounds: "2 members; claims to both locks at one, to one lock at the other; no health check",
        states: Some(92_681),
        reaches: &[
            "a node enters",
            "a node enters in a later epoch",
            "a crashed node is a member again",
        ],
        scenario: locks_restart,
    },
    Model {
        name: "maekawa/locks-lease",
        size: Size::Gate,
        purpose: "a node whose lease runs out has lost all locks that it holds, and another has them",
        faults: "leases run out",
        bounds: "channels in order, messages beat timers; 2 members; claims to both locks at one, to \
                 one lock at the other; epochs ≤ 2",
        states: Some(31_918),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "a node holds two locks",
            "a node enters in a later epoch",
        ],
        scenario: locks_leased,
    },
    Model {
        name: "maekawa/forgetting",
        size: Size::Gate,
        purpose: "arbiters that remember nothing of a lock that nobody wants, and late requests",
        faults: "2 messages come twice; messages in any order",
        bounds: "2 members, 1 claim each; no idle lock is remembered",
        states: Some(2_556),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter that has forgotten a lock is locked for a request that is over",
        ],
        scenario: forgetting,
    },
    Model {
        name: "maekawa/forgetting-asked-again",
        size: Size::Gate,
        purpose: "a request that is asked again and comes when it is over, and its lock forgotten",
        faults: "1 message lost, 1 comes twice",
        bounds: "channels in order, messages beat timers; 2 members, 1 claim each; no idle lock is \
                 remembered",
        states: Some(1_958),
        reaches: &["a node enters", "the lock changes hands"],
        scenario: forgetting_lossy,
    },
    Model {
        name: "maekawa/forgetting-in-turn",
        size: Size::Gate,
        purpose: "of three locks that are idle one after the other, one is remembered",
        faults: "none; messages in any order",
        bounds: "2 members; 1 client that claims three locks in turn; 1 idle lock is remembered",
        states: Some(45),
        reaches: &["a node enters"],
        scenario: forgetting_in_turn,
    },
    Model {
        name: "maekawa/forged-names",
        size: Size::Gate,
        purpose: "names that no lock may have, claimed by a client and said by a member",
        faults: "1 member says what cannot be; channels in order",
        bounds: "2 members, 1 claim each, and 2 that cannot be",
        states: Some(368),
        reaches: &["a node enters", "the lock changes hands"],
        scenario: forged_names,
    },
];

/// What a client of the node asks that claims these locks in turn.
fn claims_to(locks: &[&str], node: u16, number: u64) -> Vec<Command> {
    let claims = locks.iter().zip(1..);
    let claims = claims.map(|(&lock, sequence)| claim_to(lock.into(), node, number, sequence));
    claims.flat_map(acquire_and_release).collect()
}

/// Two clients of the first member, one for each of two locks, and one of the second.
fn both_and_one() -> Vec<Vec<Command>> {
    vec![
        claims_to(&["A"], 1, 0),
        claims_to(&["B"], 1, 1),
        claims_to(&["A"], 2, 0),
    ]
}

/// Two members, of which the first wants two locks and the second one of them.
fn of_two() -> Checked {
    Scenario {
        scripts: both_and_one(),
        ..founded(2, 0, Construction::Plane)
    }
}

/// Two members, each of which wants two locks.
pub fn locks() -> Checked {
    let mut scenario = of_two();
    scenario.scripts.push(claims_to(&["B"], 2, 1));
    scenario
}

/// Three members: the second wants two locks, the others one of them each.
pub fn locks_of_three() -> Checked {
    Scenario {
        scripts: vec![
            claims_to(&["A"], 1, 0),
            claims_to(&["A"], 2, 0),
            claims_to(&["B"], 2, 1),
            claims_to(&["B"], 3, 0),
        ],
        delivery: Delivery::Fifo,
        ..founded(3, 0, Construction::Plane)
    }
}

/// Four members, of which the first and the third want one lock, by quorums that share two arbiters, and
/// the third another.
pub fn locks_of_four() -> Checked {
    Scenario {
        scripts: vec![
            claims_to(&["A"], 1, 0),
            claims_to(&["A"], 3, 0),
            claims_to(&["B"], 3, 1),
        ],
        ..founded(4, 0, Construction::Plane)
    }
}

/// Two members that want two locks and one of them, and each message may be lost, or arrive any number of times.
pub fn locks_duplicated() -> Checked {
    let mut scenario = of_two();
    scenario.faults.duplicates = Duplicates::Unlimited;
    scenario
}

/// As [`locks_duplicated`], with messages in order of which one is lost, and timers that are slower than messages.
pub fn locks_lossy() -> Checked {
    let mut scenario = connected(of_two());
    scenario.bounds.retries = true;
    scenario.faults.drops = 1;
    scenario
}

/// Two members that want two locks and one of them, while a third node joins.
pub fn locks_join() -> Checked {
    let mut scenario = founded(2, 1, Construction::Plane);
    scenario.scripts = both_and_one();
    scenario.bounds.retries = true;
    connected(scenario)
}

/// A third node joins two members, of which the first wants two locks, and each message may be lost, or
/// arrive any number of times.
pub fn locks_join_datagrams() -> Checked {
    let mut scenario = founded(2, 1, Construction::Plane);
    scenario.scripts = vec![claims_to(&["A"], 1, 0), claims_to(&["B"], 1, 1)];
    scenario.bounds.retries = true;
    scenario.faults.duplicates = Duplicates::Unlimited;
    scenario
}

/// Two members that want two locks and one of them, while the first leaves.
pub fn locks_leave() -> Checked {
    let mut scenario = of_two();
    scenario.scripts.push(vec![Command::Deregister]);
    scenario.bounds.retries = true;
    connected(scenario)
}

/// Two members that want two locks and one of them, and one may crash and be a member again.
pub fn locks_restart() -> Checked {
    let mut scenario = of_two();
    scenario.faults.crashes = 1;
    scenario
}

/// Two members that want two locks and one of them, and a lease of either that may run out.
pub fn locks_leased() -> Checked {
    let mut scenario = of_two();
    scenario.bounds.retries = true;
    scenario.bounds.leases = true;
    scenario.bounds.last_epoch = Epoch(2);
    connected(scenario)
}

/// The same world with arbiters that remember so many idle locks. What is inert as long as it is
/// remembered that it is over is so no more.
fn remembering(max_idle_locks: usize, mut scenario: Checked) -> Checked {
    for node in &mut scenario.nodes {
        node.max_idle_locks = max_idle_locks;
    }
    scenario.drop_inert = false;
    scenario
}

fn one_lock() -> Checked {
    Scenario {
        scripts: vec![claims_to(&["A"], 1, 0), claims_to(&["A"], 2, 0)],
        ..founded(2, 0, Construction::Plane)
    }
}

/// Two members that want a lock, of which nothing is remembered while nobody wants it, and two
/// messages that come twice.
pub fn forgetting() -> Checked {
    let mut scenario = remembering(0, one_lock());
    scenario.faults.duplicates = Duplicates::UpTo(2);
    scenario
}

/// As [`forgetting`], with a message that is lost and one that comes twice, and requests that are asked again.
pub fn forgetting_lossy() -> Checked {
    let mut scenario = remembering(0, connected(one_lock()));
    scenario.bounds.retries = true;
    scenario.faults = Faults {
        drops: 1,
        duplicates: Duplicates::UpTo(1),
        ..Faults::default()
    };
    scenario
}

/// Two members of which the first wants three locks in turn; one is remembered when nobody wants it.
pub fn forgetting_in_turn() -> Checked {
    let scenario = Scenario {
        scripts: vec![claims_to(&["A", "B", "C"], 1, 0)],
        ..founded(2, 0, Construction::Plane)
    };
    remembering(1, scenario)
}

/// Two members that want a lock. A client of the first also claims what cannot be the name of one, and
/// the second says such names to the first.
pub fn forged_names() -> Checked {
    let unnamed = claims_to(&[""], 1, 1);
    let too_long = claim_to(too_long(), 1, 2, 1);
    let mut scenario = one_lock();
    scenario.scripts.push(unnamed);
    scenario
        .scripts
        .push(acquire_and_release(too_long).to_vec());
    Scenario {
        step: forges_names,
        delivery: Delivery::Fifo,
        ..scenario
    }
}

fn too_long() -> LockName {
    "n".repeat(LONGEST_NAME + 1).into()
}

pub(super) fn forges_names(
    maekawa: &Maekawa,
    node: &mut Node<Maekawa>,
    input: Input<Maekawa>,
    out: &mut Outbox<Maekawa>,
) {
    let begins = matches!(input, Input::Ask(Command::Acquire { .. }));
    maekawa.step(node, input, out);
    if begins && maekawa.id() == NodeId(2) {
        for lock in [String::new().into(), too_long()] {
            let request = Message::Request {
                epoch: Epoch(1),
                lock,
                request: Timestamp {
                    clock: 1,
                    node: NodeId(2),
                },
            };
            out.send(NodeId(1), request);
        }
    }
}
