//! The worlds in which Maekawa's algorithm is checked. Node 0 is the orchestrator; the others
//! lock and are locked.

use alloc::vec;
use alloc::vec::Vec;

use crate::maekawa::lock::LockName;
use crate::maekawa::message::{Epoch, HeldLocks, Message, Timestamp};
use crate::maekawa::quorum::Construction;
use crate::maekawa::state::{Claim, Persistent, Record, Session};
use crate::maekawa::{Command, Maekawa, Timer};
use crate::protocol::{Durable, Input, Node, NodeId, Outbox, Protocol};
use crate::world::{
    Action, Delivery, Duplicates, Envelope, Faults, Parties, Scenario, Timing, World,
};

use super::Bounds;

type Checked = Scenario<Maekawa>;

/// The lock of worlds that have one.
pub fn the_lock() -> LockName {
    "A".into()
}

/// The `sequence`th claim, from 1, of the session `number` with a node.
pub fn claim(node: u16, number: u64, sequence: u64) -> Claim {
    claim_to(the_lock(), node, number, sequence)
}

/// As [`claim`], to this lock.
pub fn claim_to(lock: LockName, node: u16, number: u64, sequence: u64) -> Claim {
    let node = NodeId(node);
    Claim {
        lock,
        session: Session { node, number },
        sequence,
    }
}

/// What a client asks that claims the lock at a node so many times.
pub fn claims(node: u16, number: u64, count: u64) -> Vec<Command> {
    let both = |sequence| {
        let claim = claim(node, number, sequence);
        acquire_and_release(claim)
    };
    (1..=count).flat_map(both).collect()
}

/// What a client asks that makes a claim and gives it up again.
pub(super) fn acquire_and_release(claim: Claim) -> [Command; 2] {
    let acquire = Command::Acquire {
        claim: claim.clone(),
    };
    [acquire, Command::Release { claim }]
}

/// `founders` members of epoch 1, as an orchestrator has installed it, and `others` that are to
/// be members and are none yet. Nothing goes wrong, and nobody asks twice.
pub fn founded(founders: u16, others: u16, construction: Construction) -> Checked {
    let orchestrator = NodeId(0);
    let nodes = (0..=founders + others).map(|id| Maekawa {
        construction,
        misses: 1,
        ..Maekawa::new(NodeId(id), orchestrator)
    });
    let mut roster = Persistent::default();
    for founder in 1..=founders {
        roster.apply(&Record::Enrol(NodeId(founder)));
    }
    let mut registered = Persistent::default();
    registered.apply(&Record::Registered(true));
    let mut disks = vec![roster];
    disks.resize(usize::from(founders + others) + 1, registered);
    let bounds = Bounds {
        retries: false,
        leases: false,
        last_epoch: Epoch(1),
        accurate: true,
    };
    let scenario = Scenario {
        disks,
        asks_at: asks_at_home,
        keeps_history: false,
        ..Scenario::new(nodes.collect(), bounds)
    };
    let prologue = found(&scenario, founders);
    Scenario {
        prologue,
        ..scenario
    }
}

/// A client's session is with one node.
fn asks_at_home(command: &Command, node: NodeId) -> bool {
    match command {
        Command::Acquire { claim } | Command::Release { claim } => claim.session.node == node,
        Command::End { session } => session.node == node,
        // In these worlds it is the first member that leaves.
        Command::Register | Command::Deregister => node == NodeId(1),
    }
}

/// The steps by which epoch 1 is installed: the first founder registers, and all hear of it.
fn found(scenario: &Checked, founders: u16) -> Vec<Action<Maekawa>> {
    let mut world = World::initial(scenario);
    let register = Action::Deliver(Envelope {
        from: NodeId(1),
        to: NodeId(0),
        message: Message::Register { after: Epoch(0) },
    });
    let mut steps = vec![register];
    if world.apply(scenario, &steps[0]).is_err() {
        return steps;
    }
    let in_flight = world.network.in_flight().into_iter();
    let installs = in_flight.filter(|envelope| matches!(envelope.message, Message::Install { .. }));
    steps.extend(installs.map(Action::Deliver));
    debug_assert_eq!(steps.len(), usize::from(founders) + 1);
    steps
}

/// Members that claim the lock so many times each, those of `counts` in turn; no change of
/// epochs, and messages in any order.
pub fn contention(members: u16, construction: Construction, counts: &[(u16, u64)]) -> Checked {
    let scripts = counts.iter().map(|&(node, count)| claims(node, 0, count));
    Scenario {
        scripts: scripts.collect(),
        ..founded(members, 0, construction)
    }
}

/// Seven members, of which the third is configured with another construction than the
/// orchestrator: its row and column of the grid, and the fourth's line of the plane, have no arbiter
/// in common.
pub fn misconfigured() -> Checked {
    let mut scenario = contention(7, Construction::Plane, &[(3, 1), (4, 1)]);
    scenario.nodes[3].construction = Construction::Grid;
    scenario
}

/// As [`contention`], and each message may be lost, or arrive any number of times.
pub fn duplicated(members: u16, construction: Construction, counts: &[(u16, u64)]) -> Checked {
    let mut scenario = contention(members, construction, counts);
    scenario.faults.duplicates = Duplicates::Unlimited;
    scenario
}

/// Two members with a client each, which asks twice, and whose answers may be lost.
pub fn asked_again() -> Checked {
    let mut scenario = contention(2, Construction::Plane, &[(1, 1), (2, 1)]);
    scenario.faults.lost_replies = 1;
    scenario.tries = 2;
    scenario
}

/// Two clients of one member, and one of the other: who asks again may wait behind one that has the
/// lock.
pub fn asked_behind() -> Checked {
    let mut scenario = asked_again();
    scenario.scripts.push(claims(1, 1, 1));
    scenario
}

/// Messages in order of which `drops` are lost, and timers that are slower than messages.
pub fn lossy(members: u16, counts: &[(u16, u64)], drops: u8) -> Checked {
    let mut scenario = connected(contention(members, Construction::Plane, counts));
    scenario.bounds.retries = true;
    scenario.faults.drops = drops;
    scenario
}

/// Channels in order, and messages that beat timers, so that no living node is taken for dead.
pub fn connected(scenario: Checked) -> Checked {
    Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        ..scenario
    }
}

/// Two members: two clients queue at one, each of which may give up, and a third at the other.
pub fn clients() -> Checked {
    let mut scenario = contention(2, Construction::Plane, &[(1, 1), (2, 1)]);
    scenario.scripts.push(claims(1, 1, 1));
    for number in [0, 1] {
        let claim = claim(1, number, 1);
        scenario.scripts.push(vec![Command::Release { claim }]);
    }
    let (node, number) = (NodeId(2), 0);
    let session = Session { node, number };
    scenario.scripts.push(vec![Command::End { session }]);
    scenario
}

/// Two members. At the first a client claims the lock twice, and all that it says of its first claim
/// arrives once more, whenever that is; a later session ends there meanwhile. Another client claims
/// the lock at the second.
pub fn sessions() -> Checked {
    let mut scenario = contention(2, Construction::Plane, &[(1, 2), (2, 1)]);
    let late = claim(1, 0, 1);
    let (node, number) = (NodeId(1), 1);
    let session = Session { node, number };
    scenario.scripts.extend([
        vec![Command::Acquire {
            claim: late.clone(),
        }],
        vec![Command::Release { claim: late }],
        vec![Command::End { session }],
    ]);
    scenario
}

/// Two members. Two clients of the first are gone, and the session of a third, numbered between
/// theirs, claims the lock.
pub(super) fn three_sessions() -> Checked {
    let end = |number| Command::End {
        session: claim(1, number, 1).session,
    };
    Scenario {
        scripts: vec![vec![end(0)], vec![end(2)], claims(1, 1, 1)],
        ..contention(2, Construction::Plane, &[])
    }
}

/// Clients that are alike but for their sessions.
pub fn parties(clients: &'static [&'static [usize]]) -> Parties {
    Parties {
        clients,
        names: &["Session"],
        payloads: &[],
    }
}

/// Two members that claim the lock, and a third node that joins them and claims it too.
pub fn join() -> Checked {
    let mut scenario = founded(2, 1, Construction::Plane);
    scenario.scripts = vec![claims(1, 0, 2), claims(2, 0, 1), claims(3, 0, 1)];
    scenario.bounds.retries = true;
    connected(scenario)
}

/// As [`join`], with messages in any order, each lost or arriving any number of times. There is
/// no health check: it could err.
pub fn join_datagrams() -> Checked {
    let mut scenario = founded(2, 1, Construction::Plane);
    scenario.scripts = vec![claims(1, 0, 1), claims(3, 0, 1)];
    scenario.bounds.retries = true;
    scenario.faults.duplicates = Duplicates::Unlimited;
    scenario
}

/// Four members of which the third claims the lock, and a fifth node that joins them and claims
/// it too, by a quorum that has no arbiter in common with the third's old one.
pub fn four_become_five() -> Checked {
    let mut scenario = founded(4, 1, Construction::Plane);
    scenario.scripts = vec![claims(3, 0, 1), claims(5, 0, 1)];
    scenario.bounds.retries = true;
    connected(scenario)
}

/// Three members of which the first leaves, while it and the second claim the lock.
pub fn leave() -> Checked {
    let mut scenario = founded(3, 0, Construction::Plane);
    scenario.scripts = vec![claims(1, 0, 1), claims(2, 0, 1), vec![Command::Deregister]];
    scenario.bounds.retries = true;
    connected(scenario)
}

/// Two members of which the first leaves, while one of its clients has the lock or not, and another
/// waits behind it.
pub fn leave_queue() -> Checked {
    let mut scenario = founded(2, 0, Construction::Plane);
    scenario.scripts = vec![claims(1, 0, 1), claims(1, 1, 1), vec![Command::Deregister]];
    scenario.bounds.retries = true;
    connected(scenario)
}

/// Two members, of which the first leaves and is to be a member again, while the second claims
/// the lock.
pub fn come_back() -> Checked {
    let mut scenario = founded(2, 0, Construction::Plane);
    scenario.scripts = vec![
        claims(2, 0, 1),
        vec![Command::Deregister, Command::Register],
    ];
    scenario.bounds.last_epoch = Epoch(3);
    connected(scenario)
}

/// Two members that claim the lock, of which one may crash and be a member again; messages in
/// any order, each lost or arriving any number of times.
pub fn restart() -> Checked {
    let mut scenario = contention(2, Construction::Plane, &[(1, 1), (2, 1)]);
    scenario.faults = Faults {
        duplicates: Duplicates::Unlimited,
        crashes: 1,
        ..Faults::default()
    };
    scenario
}

/// Two members, and a third node that is to be one, and claims the lock. A node may crash and lose
/// its disk, the orchestrator too; it starts again on an empty one.
pub(super) fn lost_disk() -> Checked {
    let mut scenario = founded(2, 1, Construction::Plane);
    scenario.scripts = vec![claims(3, 0, 1)];
    scenario.bounds.last_epoch = Epoch(2);
    scenario.faults = Faults {
        crashes: 1,
        lost_disks: 1,
        ..Faults::default()
    };
    // What is inert by what a sender's disk remembers is so no more when that is lost.
    scenario.drop_inert = false;
    connected(scenario)
}

/// `members` of which two claim the lock, health checks up to `last_epoch`, and `crashes` crashes,
/// of the orchestrator too.
pub fn death(members: u16, last_epoch: u64, crashes: u8) -> Checked {
    let mut scenario = founded(members, 0, Construction::Plane);
    scenario.scripts = vec![claims(1, 0, 1), claims(2, 0, 1)];
    scenario.bounds.retries = true;
    scenario.bounds.last_epoch = Epoch(last_epoch);
    scenario.faults = Faults {
        crashes,
        // Before somebody has died nobody writes anything that a crash could interrupt.
        crash_within_step: crashes > 1,
        ..Faults::default()
    };
    connected(scenario)
}

/// A third node joins two members, while the orchestrator or another may crash.
pub fn orchestrator_crash() -> Checked {
    let mut scenario = founded(2, 1, Construction::Plane);
    scenario.scripts = vec![claims(1, 0, 1)];
    scenario.bounds.retries = true;
    scenario.bounds.last_epoch = Epoch(3);
    scenario.faults = Faults {
        crashes: 1,
        crash_within_step: true,
        ..Faults::default()
    };
    connected(scenario)
}

/// Two members that claim the lock, of which the second, whenever a client claims there, also sends
/// the first all that it has no right to say.
pub fn forged() -> Checked {
    Scenario {
        step: forges,
        delivery: Delivery::Fifo,
        ..contention(2, Construction::Plane, &[(1, 1), (2, 1)])
    }
}

pub(super) fn forges(
    maekawa: &Maekawa,
    node: &mut Node<Maekawa>,
    input: Input<Maekawa>,
    out: &mut Outbox<Maekawa>,
) {
    let begins = matches!(input, Input::Ask(Command::Acquire { .. }));
    maekawa.step(node, input, out);
    if begins && maekawa.id() == NodeId(2) {
        for message in forgeries() {
            out.send(NodeId(1), message);
        }
    }
}

/// Numbers that are out of reach; another's request, and its end; the orchestrator's words.
fn forgeries() -> Vec<Message> {
    let epoch = Epoch(1);
    let lock = the_lock();
    let of = |node, clock| Timestamp {
        clock,
        node: NodeId(node),
    };
    let locked = |number, clock| Message::Locked {
        epoch,
        lock: the_lock(),
        request: of(1, 1),
        number,
        clock,
    };
    let release = |request, counter| Message::Release {
        epoch,
        lock: the_lock(),
        request,
        counter,
    };
    let ahead = Epoch(2);
    vec![
        Message::Request {
            epoch,
            lock: lock.clone(),
            request: of(2, u64::MAX),
        },
        Message::Request {
            epoch,
            lock: lock.clone(),
            request: of(3, 1),
        },
        locked(u64::MAX, 1),
        locked(1, u64::MAX),
        Message::Inquire {
            epoch,
            lock: lock.clone(),
            request: of(1, 1),
            number: u64::MAX,
        },
        Message::Relinquish {
            epoch,
            lock,
            request: of(1, 1),
            number: 1,
        },
        release(of(2, u64::MAX), 0),
        release(of(1, 1), 0),
        Message::Freeze { epoch },
        Message::Freeze { epoch: ahead },
        Message::Install {
            epoch: ahead,
            members: [NodeId(1)].into(),
            construction: Construction::Plane,
            held: HeldLocks::new(),
        },
    ]
}

/// Two members that claim the lock, of which the second, whenever a client claims there, says that it
/// was in an epoch as far away as one can be named; and an orchestrator that, when it hears of that,
/// tells the first member that this epoch ends, and that it begins.
pub fn forged_epochs() -> Checked {
    Scenario {
        step: forges_epochs,
        ..forged()
    }
}

pub(super) fn forges_epochs(
    maekawa: &Maekawa,
    node: &mut Node<Maekawa>,
    input: Input<Maekawa>,
    out: &mut Outbox<Maekawa>,
) {
    const FAR: Epoch = Epoch(u64::MAX);
    let begins = maekawa.id() == NodeId(2) && matches!(input, Input::Ask(Command::Acquire { .. }));
    let hears = maekawa.id() == NodeId(0)
        && matches!(&input, Input::Deliver { message: Message::Register { after }, .. } if *after == FAR);
    maekawa.step(node, input, out);
    if begins {
        out.send(NodeId(0), Message::Register { after: FAR });
    }
    if hears {
        out.send(NodeId(1), Message::Freeze { epoch: FAR });
        let install = Message::Install {
            epoch: FAR,
            members: [NodeId(1)].into(),
            construction: Construction::Plane,
            held: HeldLocks::new(),
        };
        out.send(NodeId(1), install);
    }
}

/// Nine members in a grid, of which one claims the lock.
pub fn nine_in_a_grid() -> Checked {
    contention(9, Construction::Grid, &[(1, 1)])
}

/// Two members, of which the first is told to leave and may crash before that is heard, and one
/// message of whoever may be lost; a health check that bears with one.
pub fn leave_and_crash() -> Checked {
    let mut scenario = founded(2, 0, Construction::Plane);
    scenario.scripts = vec![vec![Command::Deregister]];
    scenario.bounds.last_epoch = Epoch(2);
    scenario.faults = Faults {
        crashes: 1,
        drops: 1,
        ..Faults::default()
    };
    patient(connected(scenario))
}

/// Two members and a third node that joins them, of which health checks and answers may be lost;
/// nothing is said of who is thought to be alive.
pub fn health() -> Checked {
    let mut scenario = founded(2, 1, Construction::Plane);
    scenario.bounds.last_epoch = Epoch(3);
    scenario.bounds.accurate = false;
    scenario.faults.drops = 3;
    patient(connected(scenario))
}

/// A health check that bears with one that is missed.
pub(super) fn patient(mut scenario: Checked) -> Checked {
    for node in &mut scenario.nodes {
        node.misses = 2;
    }
    scenario
}

/// `members` that live, and a health check that errs. The first member is in the critical section
/// from the start, and has missed the first health check.
pub fn suspicion(members: u16, last_epoch: u64, leases: bool) -> Checked {
    let mut scenario = founded(members, 0, Construction::Plane);
    scenario.scripts = vec![claims(1, 0, 1), claims(2, 0, 1)];
    scenario.bounds = Bounds {
        retries: false,
        leases,
        last_epoch: Epoch(last_epoch),
        accurate: false,
    };
    scenario.prologue = one_is_in_and_silent(&scenario, members);
    scenario
}

/// The steps by which the first member enters, and all others answer a health check.
fn one_is_in_and_silent(scenario: &Checked, members: u16) -> Vec<Action<Maekawa>> {
    let first = NodeId(1);
    let mut world = World::initial(scenario);
    let mut steps = scenario.prologue.clone();
    let mut play = |action: Action<Maekawa>| {
        let played = world.apply(scenario, &action).is_ok();
        if played {
            steps.push(action);
        }
        played.then(|| world.network.in_flight())
    };
    let mut in_flight = play(Action::Ask {
        client: 0,
        node: first,
    });
    // The quorum answers, and nothing else is under way.
    while let Some(envelope) = in_flight.into_iter().flatten().next() {
        in_flight = play(Action::Deliver(envelope));
    }
    in_flight = play(Action::Fire {
        node: NodeId(0),
        timer: Timer::HealthCheck,
    });
    let about = |envelope: &Envelope<Message>| envelope.to != first && envelope.from != first;
    while let Some(envelope) = in_flight.into_iter().flatten().find(about) {
        in_flight = play(Action::Deliver(envelope));
    }
    debug_assert!(usize::from(members) < steps.len());
    steps
}

/// A world too large to walk: five members and two nodes that join them, claims at most of them,
/// and every fault. Nothing says that the health check is right.
pub fn at_large(delivery: Delivery, timing: Timing) -> Checked {
    let mut scenario = patient(founded(5, 2, Construction::Plane));
    scenario.scripts = [1, 2, 4, 6, 7].map(|node| claims(node, 0, 3)).to_vec();
    scenario.scripts.push(vec![
        Command::Deregister,
        Command::Register,
        Command::Deregister,
    ]);
    scenario.bounds = Bounds {
        retries: true,
        leases: true,
        last_epoch: Epoch(40),
        accurate: false,
    };
    Scenario {
        delivery,
        timing,
        tries: 3,
        faults: Faults {
            drops: 30,
            duplicates: Duplicates::UpTo(30),
            crashes: 10,
            crash_within_step: true,
            cuts: 5,
            lost_replies: 10,
            ..Faults::default()
        },
        ..scenario
    }
}

/// As [`at_large`], where all that goes wrong is that nodes crash: the health check is right.
pub fn at_large_accurate() -> Checked {
    let mut scenario = at_large(Delivery::Fifo, Timing::Quiescent);
    scenario.bounds.accurate = true;
    scenario.faults = Faults {
        crashes: 10,
        crash_within_step: true,
        ..Faults::default()
    };
    scenario
}
