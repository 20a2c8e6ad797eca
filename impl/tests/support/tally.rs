//! A protocol small enough to see through: each node keeps a tally of its own, writes it
//! down, tells its peers, and remembers what they told.

use std::collections::BTreeMap;
use std::time::Duration;

use lockstep::runtime::timers::TimerSpan;
use models::{Durable, Input, Node, NodeId, Outbox, Protocol};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) id: NodeId,
    pub(crate) peers: Vec<NodeId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Tallies {
    pub(crate) own: u64,
    pub(crate) heard: BTreeMap<NodeId, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Record {
    Added(u64),
    Heard(NodeId, u64),
}

impl Durable for Tallies {
    type Record = Record;

    fn apply(&mut self, record: &Record) {
        match record {
            Record::Added(amount) => self.own += amount,
            Record::Heard(from, tally) => {
                self.heard.insert(*from, *tally);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Timer {
    /// Tells the peers again, for those who missed it.
    Gossip,
    Alarm,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Command {
    Add(u64),
    /// The same in two records.
    AddTwice(u64),
    /// Answers with the tally. Writes nothing.
    Read,
    SetAlarm,
    StopAlarm,
    /// Sends the node's tally to the node itself.
    TellYourself,
    /// Sends a peer this much.
    Shout(NodeId, Vec<u8>),
    /// Sends the peers a sign of life, which waits for no disk.
    ShowLife,
    Panic,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Message {
    Tally(u64),
    Shout(Vec<u8>),
    Alive,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Event {
    Booted(u64),
    Added(u64),
    Tally(u64),
    Heard(NodeId, u64),
    Shouted(NodeId, usize),
    SeenAlive(NodeId),
    Alarm,
}

impl Protocol for Tally {
    type Durable = Tallies;
    type Volatile = ();
    type Message = Message;
    type Timer = Timer;
    type Command = Command;
    type Event = Event;

    fn id(&self) -> NodeId {
        self.id
    }

    fn boot(&self, durable: &Tallies, out: &mut Outbox<Self>) {
        out.emit(Event::Booted(durable.own));
        out.arm(Timer::Gossip);
    }

    fn step(&self, node: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>) {
        match input {
            Input::Deliver {
                from,
                message: Message::Tally(tally),
            } => {
                if node
                    .durable()
                    .heard
                    .get(&from)
                    .is_none_or(|known| *known < tally)
                {
                    node.write(Record::Heard(from, tally));
                    out.emit(Event::Heard(from, tally));
                }
            }
            Input::Deliver {
                from,
                message: Message::Shout(bytes),
            } => {
                out.emit(Event::Shouted(from, bytes.len()));
            }
            Input::Deliver {
                from,
                message: Message::Alive,
            } => out.emit(Event::SeenAlive(from)),
            Input::Fire(Timer::Gossip) => {
                self.tell_peers(node, out);
                out.arm(Timer::Gossip);
            }
            Input::Fire(Timer::Alarm) => out.emit(Event::Alarm),
            Input::Ask(command) => self.obey(node, command, out),
        }
    }
}

impl Tally {
    /// Node `id` of `count`.
    pub(crate) fn of(id: u16, count: u16) -> Self {
        let peers = (1..=count).filter(|peer| *peer != id).map(NodeId).collect();
        Self {
            id: NodeId(id),
            peers,
        }
    }

    fn obey(&self, node: &mut Node<Self>, command: Command, out: &mut Outbox<Self>) {
        match command {
            Command::AddTwice(amount) => {
                node.write(Record::Added(amount));
                self.obey(node, Command::Add(amount), out);
            }
            Command::Add(amount) => {
                node.write(Record::Added(amount));
                self.tell_peers(node, out);
                out.emit(Event::Added(node.durable().own));
            }
            Command::Read => out.emit(Event::Tally(node.durable().own)),
            Command::SetAlarm => out.arm(Timer::Alarm),
            Command::StopAlarm => out.disarm(Timer::Alarm),
            Command::TellYourself => out.send(self.id, Message::Tally(node.durable().own)),
            Command::Shout(to, bytes) => out.send(to, Message::Shout(bytes)),
            Command::ShowLife => {
                for peer in &self.peers {
                    out.send_early(*peer, Message::Alive);
                }
            }
            Command::Panic => panic!("as commanded"),
        }
    }

    fn tell_peers(&self, node: &Node<Self>, out: &mut Outbox<Self>) {
        for peer in &self.peers {
            out.send(*peer, Message::Tally(node.durable().own));
        }
    }
}

/// Gossip every 20 ms or so, alarms after 10 seconds.
pub(crate) fn spans(timer: &Timer) -> TimerSpan {
    match timer {
        Timer::Gossip => TimerSpan::Between(Duration::from_millis(15)..=Duration::from_millis(25)),
        Timer::Alarm => TimerSpan::Exactly(Duration::from_secs(10)),
    }
}
