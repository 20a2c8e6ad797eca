//! Scenarios of the counter.
//!
//! - `cluster 3 [window=10x2]`: a sliding window of two buckets of ten. Disks have names:
//!   `dc0/n0#1`, `dc1/n1#1`, `dc0/n2#1`
//! - `disk n0 empty`: without a name
//! - `client c0 add=5@12 read window@25`: at these times, if they matter
//! - `cluster 3 [fold]`: components of dead names are folded
//! - `client c0 identify=2 gone=n1 departed=n1 leave`: what hosts say
//! - `fire n0 broadcast`, `fire n0 push-pull`, `fire n0 fold`

use models::NodeId;
use models::counter::g_counter::Incarnation;
use models::counter::spec::{Limits, cluster, request};
use models::counter::state::{Persistent, Record};
use models::counter::window::Window;
use models::counter::{Command, Counter, Event, Increment, Refusal, Timer};
use models::world::{Host, Scenario};
use models::{Protocol, Specification};

use super::interpreter::{id, number};
use super::told::{Told, View};

scenarios! { models::counter::Counter, "counter":
    a_partition
    a_restart_before_the_broadcast
    a_window_that_rolls_over
    a_push_pull
    a_retry_at_another_node
    a_name_for_a_new_disk
    a_node_that_leaves
    a_fold
    a_fold_without_a_node
}

impl Told for Counter {
    fn cluster(size: u16, options: &[&str]) -> Scenario<Self> {
        let mut scenario = cluster(size, Limits::ALL);
        for option in options {
            if *option == "fold" {
                let nodes = scenario.nodes.iter_mut();
                nodes.for_each(|node| node.fold = Some((0..size).map(NodeId).collect()));
                scenario.bounds.proposers = scenario.bounds.push_pullers.clone();
                continue;
            }
            let window = match option.split_once('=') {
                Some(("window", of)) => of.split_once('x').expect("a width and a number"),
                _ => panic!("no such option: {option}"),
            };
            let window = Window::new(number(window.0), number(window.1));
            let nodes = scenario.nodes.iter_mut();
            nodes.for_each(|node| node.window = Some(window));
        }
        scenario
    }

    fn disk(fields: &[&str]) -> Persistent {
        match fields {
            ["empty"] => Persistent::default(),
            _ => panic!("no such fields: {fields:?}"),
        }
    }

    fn request(client: usize, sequence: usize, words: &str) -> Command {
        let request = request(client, sequence);
        let (words, now) = words.split_once('@').unwrap_or((words, "0"));
        let now = number(now);
        match words.split_once('=') {
            Some(("add", amount)) => Command::Increment(Increment {
                request,
                amount: number(amount),
                now,
            }),
            Some(("identify", incarnation)) => Command::Identify {
                incarnation: Incarnation(number(incarnation)),
            },
            Some(("departed", peer)) => Command::PeerDeparted(id(peer)),
            Some(("gone", peer)) => Command::PeerGone(id(peer)),
            None if words == "read" => Command::Read { request },
            None if words == "window" => Command::ReadWindow {
                request,
                now,
                latest: u64::MAX,
            },
            None if words == "leave" => Command::Leave,
            _ => panic!("no such request: {words}"),
        }
    }

    fn timer(name: &str) -> Timer {
        match name {
            "broadcast" => Timer::Broadcast,
            "push-pull" => Timer::PushPull,
            "fold" => Timer::Fold,
            _ => panic!("no such timer: {name}"),
        }
    }

    fn timer_name(timer: &Timer) -> String {
        let name = match timer {
            Timer::Broadcast => "broadcast",
            Timer::PushPull => "push-pull",
            Timer::Fold => "fold",
        };
        name.to_owned()
    }

    fn record(record: &Record) -> String {
        match record {
            Record::Identified(identity) => format!("counts as {identity}"),
            Record::Retired => "counts no more".to_owned(),
            Record::Counted { request, counts } => format!("{request} counted: {counts}"),
            Record::Learned { counts } => format!("learned: {counts}"),
            Record::Expired { before } => format!("expired before {before}"),
            Record::Forgotten(client) => format!("{client} forgotten"),
            Record::Promised { ballot, dead } => format!("promised {ballot} of {dead}"),
            Record::Accepted(vote) => format!("accepted {} {}", vote.ballot, vote.fold),
        }
    }

    fn event(event: &Event) -> String {
        match event {
            Event::Incremented {
                request,
                value,
                repeated: false,
            } => format!("{request} counted, the value is {value}"),
            Event::Incremented { request, value, .. } => {
                format!("{request} was counted before, the value is {value}")
            }
            Event::Value { request, value } => format!("{request} answers {value}"),
            Event::WindowValue {
                request,
                value,
                since,
                until,
            } => format!("{request} answers {value} from {since} to {until}"),
            Event::Refused { request, why } => {
                format!("{request} refused, {}", refusal(*why))
            }
            Event::Changed { value } => format!("the value is {value}"),
            Event::IdentityNeeded { contested: None } => "a name is needed".to_owned(),
            Event::IdentityNeeded {
                contested: Some(name),
            } => format!("a name is needed, {name} is another's"),
            Event::Identified { identity } => format!("counts as {identity}"),
            Event::PeerAdded(peer) => format!("{peer} is a member"),
            Event::PeerRemoved(peer) => format!("{peer} is no member"),
            Event::Folded { number } => format!("fold {number} is agreed on"),
            Event::Drained => "not needed any more".to_owned(),
        }
    }

    fn message(message: &<Self as Protocol>::Message) -> String {
        Self::message_label(message)
    }

    fn command(command: &Command) -> String {
        match command {
            Command::Increment(Increment {
                request, amount, ..
            }) => {
                format!("{request} add {amount}")
            }
            other => Self::command_label(other),
        }
    }

    fn host(id: NodeId, host: &Host<Self>) -> Vec<String> {
        let durable = host.durable();
        let name = durable.identity.map(|name| name.to_string());
        let disk = format!(
            "{} as {}, {}",
            durable.counts.value(),
            name.as_deref().unwrap_or("nobody"),
            durable.counts
        );
        let Some(node) = host.node() else {
            return vec![format!("{id} down: {disk}")];
        };
        let owed = node.volatile.members.iter();
        let owed = owed.filter(|(_, peer)| !peer.pending.is_empty());
        let owed = owed.map(|(member, peer)| format!("  owes {member} {}", peer.pending));
        let standing = if node.volatile.leaving {
            "leaving"
        } else {
            "up"
        };
        std::iter::once(format!("{id} {standing}: {disk}"))
            .chain(owed)
            .collect()
    }

    fn show(_: &str) -> Option<View<Self>> {
        None
    }
}

fn refusal(why: Refusal) -> &'static str {
    match why {
        Refusal::ZeroAmount => "it adds nothing",
        Refusal::Overflow => "the component is full",
        Refusal::Unidentified => "there is no name to count under",
        Refusal::Leaving => "the node is to leave",
        Refusal::Superseded => "the client has asked for more since",
    }
}
