//! One store, its clients, and the watchers of its changes: the smallest protocol around the
//! [`Store`], in which all that it does can be checked without a log that is replicated.
//!
//! The store answers each request in the step in which it gets it. A watcher asks for changes again and
//! again, from where its [`Cursor`] stands, and writes down what it has seen; what it asks and is answered
//! may be lost, late, or come twice.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Store;
use super::command::Command;
use super::history::Revision;
use super::key_range::KeyRange;
use super::query::Query;
use super::response::{Fault, Outcome, Response};
use super::watch::{Changes, Cursor, Event, Page};
use crate::machine::StateMachine;
use crate::protocol::{Durable, Input, Node, NodeId, Outbox, Protocol};

/// One node: the store, or a watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standalone {
    /// Its id.
    pub id: NodeId,
    /// What it watches; nothing if it is the store.
    pub watches: Option<Watch>,
}

/// What a watcher watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Where the store is.
    pub store: NodeId,
    /// These keys,
    pub keys: KeyRange,
    /// from this revision on,
    pub from: Revision,
    /// so many changes at once.
    pub limit: usize,
    /// Whether it wants to know what was there before.
    pub wants_previous: bool,
}

/// What is on a node's disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Disk {
    /// The store.
    pub store: Store,
    /// The commands that it has applied, in order.
    pub log: Vec<Command>,
    /// How far a watcher is, once it has seen something.
    pub seen_up_to: Option<Revision>,
    /// What a watcher has seen, in order.
    pub seen: Vec<Seen>,
}

/// What a watcher sees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Seen {
    /// A change.
    Event(Event),
    /// That it has missed what came before this revision.
    Gap {
        /// The revision to go on with.
        to: Revision,
    },
}

/// What goes to a disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Record {
    /// The store has applied a command.
    Applied {
        /// The command.
        command: Command,
        /// The store after it. Its parts are shared with the one before.
        store: Store,
    },
    /// A watcher has seen this, and goes on with that revision.
    Seen(Vec<Seen>, Revision),
}

impl Durable for Disk {
    type Record = Record;

    fn apply(&mut self, record: &Record) {
        match record {
            Record::Applied { command, store } => {
                self.store = store.clone();
                self.log.push(command.clone());
            }
            Record::Seen(seen, next) => {
                self.seen.extend(seen.iter().cloned());
                self.seen_up_to = Some(*next);
            }
        }
    }
}

/// What the store and a watcher say to each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Message {
    /// A watcher asks what has been changed.
    Changes(Changes),
    /// That.
    Page(Page),
    /// What has been changed from there on is compacted.
    Compacted {
        /// From where on the watcher had asked.
        from: Revision,
        /// The oldest revision that can be read.
        compacted: Revision,
    },
}

/// The timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Always runs at a watcher: time to ask again.
    Poll,
}

/// A client's request. No two have the same number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Request {
    /// Finds the way back.
    pub number: u8,
    /// What is asked.
    pub asked: Asked,
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Asked {
    /// To change something.
    Do(Command),
    /// To be told something.
    Tell(Query),
}

/// What the store tells a client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Answered {
    /// What was asked.
    pub request: Request,
    /// The answer.
    pub response: Response,
}

impl Standalone {
    /// The store.
    pub fn store(id: NodeId) -> Self {
        Self { id, watches: None }
    }

    /// A watcher.
    pub fn watcher(id: NodeId, watch: Watch) -> Self {
        let watches = Some(watch);
        Self { id, watches }
    }

    fn on_request(&self, node: &mut Node<Self>, request: Request, out: &mut Outbox<Self>) {
        let response = match &request.asked {
            Asked::Do(command) => {
                let mut store = node.durable().store.clone();
                let response = store.apply(command);
                let command = command.clone();
                node.write(Record::Applied { command, store });
                response
            }
            Asked::Tell(query) => node.durable().store.query(query),
        };
        out.emit(Answered { request, response });
    }

    fn on_changes(
        &self,
        node: &Node<Self>,
        watcher: NodeId,
        changes: Changes,
        out: &mut Outbox<Self>,
    ) {
        let from = changes.from;
        let response = node.durable().store.query(&Query::Changes(changes));
        match response.outcome {
            Ok(Outcome::Changes(page)) => out.send(watcher, Message::Page(page)),
            Err(Fault::Compacted { compacted }) => {
                out.send(watcher, Message::Compacted { from, compacted });
            }
            // No other answer is given to this question.
            Ok(_) | Err(_) => {}
        }
    }

    fn on_page(&self, node: &mut Node<Self>, page: Page) {
        let Some(mut cursor) = self.cursor(node) else {
            return;
        };
        let stood_at = cursor.next;
        let events = cursor.take(page);
        if cursor.next > stood_at {
            let seen = events.into_iter().map(Seen::Event).collect();
            node.write(Record::Seen(seen, cursor.next));
        }
    }

    fn on_compacted(&self, node: &mut Node<Self>, from: Revision, compacted: Revision) {
        if self.cursor(node).is_some_and(|cursor| cursor.next == from) {
            let gap = Seen::Gap { to: compacted };
            node.write(Record::Seen([gap].into(), compacted));
        }
    }

    fn on_poll(&self, node: &Node<Self>, out: &mut Outbox<Self>) {
        if let (Some(watch), Some(cursor)) = (&self.watches, self.cursor(node)) {
            let question = cursor.question(watch.limit);
            out.send(watch.store, Message::Changes(question));
            out.arm(Timer::Poll);
        }
    }

    /// How far a watcher is.
    fn cursor(&self, node: &Node<Self>) -> Option<Cursor> {
        let watch = self.watches.as_ref()?;
        Some(Cursor {
            keys: watch.keys.clone(),
            next: node.durable().seen_up_to.unwrap_or(watch.from),
            wants_previous: watch.wants_previous,
        })
    }
}

impl Protocol for Standalone {
    type Durable = Disk;
    type Volatile = ();
    type Message = Message;
    type Timer = Timer;
    type Command = Request;
    type Event = Answered;

    fn id(&self) -> NodeId {
        self.id
    }

    fn boot(&self, _: &Disk, out: &mut Outbox<Self>) {
        if self.watches.is_some() {
            out.arm(Timer::Poll);
        }
    }

    fn step(&self, node: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>) {
        match input {
            Input::Deliver { from, message } => match message {
                Message::Changes(changes) => self.on_changes(node, from, changes, out),
                Message::Page(page) => self.on_page(node, page),
                Message::Compacted { from, compacted } => self.on_compacted(node, from, compacted),
            },
            Input::Fire(Timer::Poll) => self.on_poll(node, out),
            Input::Ask(request) => self.on_request(node, request, out),
        }
    }
}
