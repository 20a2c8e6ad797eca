//! Scenarios of ZAB. The script is the election: it names whom it likes.
//!
//! - `cluster 3 [snapshot=2]`: takes a snapshot after so many deliveries, and keeps none of the
//!   transactions in it
//! - `disk n0 accepted=2 current=1 history=1.1,1.2`: transaction `e.c` adds `c`
//! - `client c0 add=5 read sync`: `sync` is a read that wants the latest
//! - `fire n0 elect-n1` (the election names n1 to n0), `fire n0 init`, `fire n0 sync`,
//!   `fire n0 ping`
//! - `log`: shows every history, with `|` behind what the node has delivered

use models::raft::spec::{Add, Adder, Total};
use models::session::{ClientId, RequestId, Sequence};
use models::world::{Host, Scenario, World};
use models::zab::history::{Content, Transaction};
use models::zab::message::Message;
use models::zab::spec::{Names, Oracle, cluster, request};
use models::zab::state::{Leading, Persistent, Phase, Record, Role};
use models::zab::zxid::{Epoch, Zxid};
use models::zab::{Command, Event, Timer, Zab};
use models::{Durable, NodeId};

use super::interpreter::{id, number};
use super::told::{Told, View};

scenarios! { models::zab::Zab<models::raft::spec::Adder, models::zab::spec::Oracle>, "zab":
    a_cold_start
    a_follower_that_was_away
    a_tail_that_was_never_committed
}

impl Told for Zab<Adder, Oracle> {
    fn cluster(size: u16, options: &[&str]) -> Scenario<Self> {
        let leaders: Vec<(u16, u64)> = (0..size).map(|id| (id, u64::MAX)).collect();
        let mut scenario = cluster(&vec![u8::MAX; usize::from(size)], &leaders);
        scenario.bounds.pings = true;
        scenario.bounds.impatient = true;
        for option in options {
            match option.split_once('=') {
                Some(("snapshot", every)) => {
                    for node in &mut scenario.nodes {
                        node.snapshot_every = number(every);
                    }
                }
                _ => panic!("no such option: {option}"),
            }
        }
        scenario
    }

    fn disk(fields: &[&str]) -> Persistent<Adder> {
        let mut disk = Persistent::default();
        for field in fields {
            match field.split_once('=') {
                Some(("accepted", epoch)) => {
                    disk.apply(&Record::AcceptedEpoch(Epoch(number(epoch))));
                }
                Some(("current", epoch)) => {
                    disk.apply(&Record::CurrentEpoch(Epoch(number(epoch))));
                }
                Some(("history", zxids)) => {
                    for zxid in zxids.split(',') {
                        disk.apply(&Record::Append(earlier(zxid)));
                    }
                }
                _ => panic!("no such field: {field}"),
            }
        }
        disk
    }

    fn request(client: usize, sequence: usize, words: &str) -> Command<Adder> {
        let request = request(client, sequence);
        let query = Total;
        match words.split_once('=') {
            Some(("add", amount)) => Command::Write {
                request,
                command: Add(number(amount)),
            },
            None if words == "read" => Command::Read { request, query },
            None if words == "sync" => Command::SyncedRead { request, query },
            _ => panic!("no such request: {words}"),
        }
    }

    fn timer(name: &str) -> Timer<Oracle> {
        match name {
            "init" => Timer::Init,
            "sync" => Timer::Sync,
            "ping" => Timer::Ping,
            _ => {
                let leader = name.strip_prefix("elect-");
                let leader = leader.unwrap_or_else(|| panic!("no such timer: {name}"));
                Timer::Election(Names(id(leader)))
            }
        }
    }

    fn timer_name(timer: &Timer<Oracle>) -> String {
        match timer {
            Timer::Init => "init".to_owned(),
            Timer::Sync => "sync".to_owned(),
            Timer::Ping => "ping".to_owned(),
            Timer::Election(Names(leader)) => format!("elect-{leader}"),
        }
    }

    fn record(record: &Record<Adder>) -> String {
        match record {
            Record::Initialize => "belongs to an ensemble".to_owned(),
            Record::Halt(contradiction) => format!("halt: {contradiction:?}"),
            Record::AcceptedEpoch(epoch) => format!("accepted {epoch}"),
            Record::CurrentEpoch(epoch) => format!("current {epoch}"),
            Record::Append(transaction) => format!("append {}", words(transaction)),
            Record::Truncate { to } => format!("truncate to {to}"),
            Record::Restore(snapshot) => {
                format!("restore snapshot {}: {}", snapshot.zxid, snapshot.machine.0)
            }
            Record::Compact {
                snapshot,
                forgotten,
            } => format!("snapshot up to {snapshot}, forget up to {forgotten}"),
        }
    }

    fn event(event: &Event<Adder>) -> String {
        match event {
            Event::Reply { request, response } => format!("{request} answers {response}"),
            Event::Refused { request } => format!("{request} refused"),
            Event::Abandoned { request } => format!("{request} abandoned"),
            Event::Superseded { request } => format!("{request} superseded"),
            Event::Leading { epoch } => format!("leading {epoch}"),
            Event::Following { epoch, leader } => format!("following {leader} in {epoch}"),
            Event::Looking => "looking".to_owned(),
            Event::Halted { contradiction } => format!("halted: {contradiction:?}"),
            Event::Delivered { transaction } => format!("delivered {}", transaction.zxid),
            Event::Restored { zxid } => format!("restored {zxid}"),
        }
    }

    fn message(message: &Message<Adder, Oracle>) -> String {
        match message {
            Message::Propose(transaction) => format!("PROPOSE {}", words(transaction)),
            Message::Diff {
                epoch,
                after,
                transactions,
            } => {
                let transactions: Vec<String> = transactions.iter().map(words).collect();
                format!("DIFF {epoch} after={after} [{}]", transactions.join(", "))
            }
            Message::Snap { epoch, snapshot } => {
                format!("SNAP {epoch} at={}: {}", snapshot.zxid, snapshot.machine.0)
            }
            Message::Request { epoch, content } => {
                format!("REQUEST {epoch} {}", content_words(content))
            }
            Message::FollowerInfo { .. }
            | Message::NewEpoch { .. }
            | Message::AckEpoch { .. }
            | Message::Trunc { .. }
            | Message::NewLeader { .. }
            | Message::AckNewLeader { .. }
            | Message::UpToDate { .. }
            | Message::Ack { .. }
            | Message::Commit { .. }
            | Message::Ping { .. }
            | Message::Pong { .. }
            | Message::Election(_) => message.to_string(),
        }
    }

    fn command(command: &Command<Adder>) -> String {
        match command {
            Command::Write { command, .. } => format!("add {}", command.0),
            Command::Read { .. } => "read".to_owned(),
            Command::SyncedRead { .. } => "synced read".to_owned(),
        }
    }

    fn host(id: NodeId, host: &Host<Self>) -> Vec<String> {
        let disk = host.durable();
        let epochs = format!(
            "accepted {}, current {}",
            disk.accepted_epoch, disk.current_epoch
        );
        let Some(node) = host.node() else {
            return vec![format!("{id} down: {epochs}")];
        };
        let delivered = &node.volatile.delivered;
        vec![format!(
            "{id} {}: {epochs}, delivered {}, total {}",
            role(&node.volatile.role),
            delivered.zxid,
            delivered.machine.0
        )]
    }

    fn show(what: &str) -> Option<View<Self>> {
        let view: View<Self> = |world: &World<Self>| {
            let hosts = world.all_hosts();
            hosts.map(|(id, host)| history(id, host)).collect()
        };
        (what == "log").then_some(view)
    }
}

/// A transaction from before the script: its counter says what it adds, and is the sequence of
/// its request; each epoch's is a client of its own.
fn earlier(zxid: &str) -> Transaction<Add> {
    let (epoch, counter) = zxid.split_once('.').expect("a zxid");
    let zxid = Zxid {
        epoch: Epoch(number(epoch)),
        counter: number(counter),
    };
    let request = RequestId {
        client: ClientId::new(100 + zxid.epoch.0),
        sequence: Sequence(zxid.counter),
    };
    let command = Add(number(counter));
    let content = Content::Command { request, command };
    Transaction { zxid, content }
}

fn words(transaction: &Transaction<Add>) -> String {
    format!(
        "{} {}",
        transaction.zxid,
        content_words(&transaction.content)
    )
}

fn content_words(content: &Content<Add>) -> String {
    match content {
        Content::Command { command, .. } => format!("add {}", command.0),
        Content::Sync { .. } => "sync".to_owned(),
    }
}

fn role(role: &Role) -> String {
    match role {
        Role::Looking => "looking".to_owned(),
        Role::Following(following) => {
            let phase = match following.phase {
                Phase::Discovery => "discovery",
                Phase::Synchronization => "synchronization",
                Phase::Broadcast => "broadcast",
            };
            format!("follows {}, {phase}", following.leader)
        }
        Role::Leading(Leading::Elected { .. }) => "leads, discovery".to_owned(),
        Role::Leading(Leading::Prospective { .. }) => "leads, discovery, epoch proposed".to_owned(),
        Role::Leading(Leading::Primary(primary)) if primary.established => {
            "leads, broadcast".to_owned()
        }
        Role::Leading(Leading::Primary(_)) => "leads, synchronization".to_owned(),
    }
}

fn history(id: NodeId, host: &Host<Zab<Adder, Oracle>>) -> String {
    let history = &host.durable().history;
    let delivered = host.node().map(|node| node.volatile.delivered.zxid);
    let mut line = format!("{id} ");
    let snapshot = history.snapshot().zxid;
    if snapshot != Zxid::default() {
        line += &format!(" ({snapshot})");
    }
    let transactions = history.transactions();
    if history.last_zxid() == Zxid::default() {
        line += " (empty)";
    }
    for transaction in transactions {
        line += &format!(" {}", transaction.zxid);
        if delivered == Some(transaction.zxid) {
            line += " |";
        }
    }
    line
}
