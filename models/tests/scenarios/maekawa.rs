//! Scenarios of Maekawa's algorithm.
//!
//! - `cluster 3 [to-be=1] [grid] [suspicious]`: the orchestrator n0 and three members of epoch 1,
//!   and nodes that are to be members; quorums from a grid; a health check that may err, so that
//!   exclusion is claimed for each epoch alone
//! - `disk n1 epoch=3`: what a node remembers that was in epoch 3
//! - `client c0 acquire=n1 release=n1 acquire=n1/B release=n1/B deregister`: the clients of different
//!   names have different sessions; the lock is A, or the one that is named behind the node
//! - `fire n1 retry`, `fire n1 register`, `fire n1 lease`, `fire n0 health-check`

use models::maekawa::message::{Epoch, Message};
use models::maekawa::quorum::Construction;
use models::maekawa::spec::{claim_to, founded};
use models::maekawa::state::{Persistent, Record};
use models::maekawa::{Command, Event, Maekawa, Timer};
use models::world::{Host, Scenario};
use models::{Durable, NodeId, Specification};

use super::interpreter::{id, number};
use super::told::{Told, View};

scenarios! { models::maekawa::Maekawa, "maekawa":
    a_deadlock_is_resolved
    sanders_case
    five_become_seven
    a_holder_dies
    a_lost_deregister
    a_stale_holder_is_fenced_off
    two_locks
}

impl Told for Maekawa {
    fn cluster(size: u16, options: &[&str]) -> Scenario<Self> {
        let (mut others, mut construction, mut accurate) = (0, Construction::Plane, true);
        for option in options {
            match option.split_once('=') {
                Some(("to-be", count)) => others = number(count),
                None if *option == "grid" => construction = Construction::Grid,
                None if *option == "suspicious" => accurate = false,
                _ => panic!("no such option: {option}"),
            }
        }
        let mut scenario = founded(size, others, construction);
        scenario.bounds.retries = true;
        scenario.bounds.leases = true;
        scenario.bounds.last_epoch = Epoch(u64::MAX);
        scenario.bounds.accurate = accurate;
        scenario
    }

    fn disk(fields: &[&str]) -> Persistent {
        let mut disk = Persistent::default();
        for field in fields {
            match field.split_once('=') {
                Some(("epoch", value)) => disk.apply(&Record::Epoch(Epoch(number(value)))),
                _ => panic!("no such field: {field}"),
            }
        }
        disk
    }

    fn request(client: usize, sequence: usize, words: &str) -> Command {
        let of = |words: &str| {
            let (node, lock) = words.split_once('/').unwrap_or((words, "A"));
            let sequence = sequence as u64 / 2 + 1;
            claim_to(lock.into(), id(node).0, client as u64, sequence)
        };
        match words.split_once('=') {
            Some(("acquire", node)) => Command::Acquire { claim: of(node) },
            Some(("release", node)) => Command::Release { claim: of(node) },
            None if words == "register" => Command::Register,
            None if words == "deregister" => Command::Deregister,
            _ => panic!("no such request: {words}"),
        }
    }

    fn timer(name: &str) -> Timer {
        match name {
            "retry" => Timer::Retry,
            "register" => Timer::Register,
            "lease" => Timer::Lease,
            "health-check" => Timer::HealthCheck,
            _ => panic!("no such timer: {name}"),
        }
    }

    fn timer_name(timer: &Timer) -> String {
        let name = match timer {
            Timer::Retry => "retry",
            Timer::Register => "register",
            Timer::Lease => "lease",
            Timer::HealthCheck => "health-check",
        };
        name.to_owned()
    }

    fn record(record: &Record) -> String {
        match record {
            Record::Initialize => "set up".to_owned(),
            Record::Epoch(epoch) => format!("{epoch}"),
            Record::Registered(true) => "registered".to_owned(),
            Record::Registered(false) => "not registered".to_owned(),
            Record::Enrol(node) => format!("enrol {node}"),
            Record::Strike(node) => format!("strike {node}"),
            Record::Change => "the epoch ends".to_owned(),
            Record::Install { .. } => "the next epoch".to_owned(),
        }
    }

    fn event(event: &Event) -> String {
        let list = |members: &std::collections::BTreeSet<NodeId>| {
            let members: Vec<String> = members.iter().map(NodeId::to_string).collect();
            members.join(" ")
        };
        match event {
            Event::Granted { claim, token } => format!("{claim} granted, token {token}"),
            Event::Released { claim } => format!("{claim} released"),
            Event::Refused { command, why } => {
                format!("{} refused: {why:?}", <Self as Told>::command(command))
            }
            Event::Revoked { claim, token } => format!("{claim} revoked, token {token}"),
            Event::Ended { session } => format!("{session} ended"),
            Event::Joined { epoch, members } => format!("joined {epoch}: {}", list(members)),
            Event::Left { epoch } => format!("no member since {epoch}"),
            Event::Installed { epoch, members } => format!("{epoch} begins: {}", list(members)),
            Event::Suspected { node } => format!("{node} is taken for dead"),
        }
    }

    fn message(message: &Message) -> String {
        Self::message_label(message)
    }

    fn command(command: &Command) -> String {
        Self::command_label(command)
    }

    fn host(id: NodeId, host: &Host<Self>) -> Vec<String> {
        let line = match host.node() {
            Some(node) => Self::node_label(node),
            None => format!("down, after {}", host.durable().epoch),
        };
        vec![format!("{id} {line}")]
    }

    fn show(_: &str) -> Option<View<Self>> {
        None
    }
}
