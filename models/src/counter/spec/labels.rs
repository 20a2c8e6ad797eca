//! How the counter's messages, nodes and commands read in a trace.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::counter::message::Message;
use crate::counter::{Command, Counter, Increment};
use crate::protocol::Node;

/// A message in one line.
pub(super) fn message(message: &Message) -> String {
    let name = match message {
        Message::Delta { .. } => "Delta",
        Message::DeltaAck { .. } => "DeltaAck",
        Message::PushPull { .. } => "PushPull",
        Message::PushPullReply { .. } => "PushPullReply",
        Message::Fold(message) => return message.to_string(),
    };
    format!("{name} {}", message.counts())
}

/// A node in one line: its value, its name, what it knows, whom it owes what.
pub(super) fn node(node: &Node<Counter>) -> String {
    let durable = node.durable();
    let name = durable
        .identity
        .map_or_else(|| "nobody".to_string(), |identity| identity.to_string());
    let members = node.volatile.members.iter();
    let owed = members.filter(|(_, peer)| !peer.pending.is_empty());
    let owed: Vec<String> = owed
        .map(|(member, peer)| format!("owes {member} {}", peer.pending))
        .collect();
    let leaving = if node.volatile.leaving {
        " leaving"
    } else {
        ""
    };
    let promised = durable.acceptor.promised;
    let promised = promised.map(|ballot| format!(" promised {ballot} {}", durable.acceptor.frozen));
    let accepted = durable.acceptor.accepted.as_ref();
    let accepted = accepted.map(|vote| format!(" accepted {} {}", vote.ballot, vote.fold));
    format!(
        "{} as {name}{leaving} {} {}{}{}",
        durable.counts.value(),
        durable.counts,
        owed.join(" "),
        promised.unwrap_or_default(),
        accepted.unwrap_or_default()
    )
}

/// A command in one line.
pub(super) fn command(command: &Command) -> String {
    match command {
        Command::Increment(Increment {
            request,
            amount,
            now,
        }) => format!("{request} increment by {amount} at {now}"),
        Command::Read { request } => format!("{request} read"),
        Command::ReadWindow {
            request,
            now,
            latest: u64::MAX,
        } => format!("{request} read the window at {now}"),
        Command::ReadWindow {
            request,
            now,
            latest,
        } => format!("{request} read {latest} of the window's buckets at {now}"),
        Command::Identify { incarnation } => format!("identify as incarnation {}", incarnation.0),
        Command::PeerJoined(peer) => format!("{peer} has joined"),
        Command::PeerGone(peer) => format!("{peer} is gone"),
        Command::PeerDeparted(peer) => format!("{peer} is gone for good"),
        Command::Leave => "leave".to_string(),
    }
}
