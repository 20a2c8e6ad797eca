//! What each message promises is so when it is sent: that what it says is done has been written, and
//! that what it says is committed has been delivered by who says so. (That what is written is on disk
//! by then is asked where it counts: "Acknowledgements are durable".)

use crate::machine::StateMachine;
use crate::specification::Law;
use crate::world::{Action, Envelope, Scenario, World};
use crate::zab::history::{Content, Recency};
use crate::zab::message::Message;
use crate::zab::state::{Persistent, Phase, Role, Volatile, Waiting};
use crate::zab::zxid::Zxid;
use crate::zab::{Command, Zab};

use super::Bounded;
use super::messages::epoch_of;

type W<M, E> = World<Zab<M, E>>;

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const WHAT_IS_SAID_IS_SO: Law<Self> = Law {
        name: "What a node says of itself is so →",
        source: "DSN 2011, §IV.B, steps f.1.1, f.1.2, f.2.1 and f.3.2: what a follower says, it has \
                 written, and a promise it makes once; steps l.2.2 and l.3.2: what a leader says is \
                 committed, it has delivered; Medeiros 2012, §2: who passes on passes on what was \
                 asked; §3.2: who stands for leader does so with the history that it has",
        holds: |scenario, before, action, after| {
            after
                .network
                .sent()
                .all(|said| is_so(scenario, before, action, after, said))
        },
    };
}

fn is_so<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    before: &W<M, E>,
    action: &Action<Zab<M, E>>,
    after: &W<M, E>,
    said: &Envelope<Message<M, E>>,
) -> bool {
    let (Some(host), Some(old)) = (after.host(said.from), before.host(said.from)) else {
        return true;
    };
    let Some(node) = host.node() else {
        return true;
    };
    let disk = node.durable();
    let is_of_epoch = epoch_of(&said.message) == Some(disk.accepted_epoch);
    let has_joined = is_of_epoch && disk.current_epoch == disk.accepted_epoch;
    let delivered = node.volatile.delivered.zxid;
    let last = disk.history.last_zxid();
    match &said.message {
        Message::FollowerInfo { accepted_epoch } => {
            *accepted_epoch == disk.accepted_epoch
                && matches!(node.volatile.role, Role::Following(following)
                    if following.leader == said.to && following.phase == Phase::Discovery)
        }
        Message::NewEpoch { .. } => is_of_epoch,
        Message::AckEpoch { epoch, ack } => {
            is_of_epoch
                && ack.recency.current_epoch == disk.current_epoch
                && ack.recency.last_zxid == last
                && (!ack.promises || old.durable().accepted_epoch < *epoch)
                && follows(&node.volatile, said)
        }
        Message::AckNewLeader { last_zxid, .. } => {
            has_joined && has(disk, *last_zxid) && follows(&node.volatile, said)
        }
        Message::Ack { zxid } => has_joined && has(disk, *zxid) && follows(&node.volatile, said),
        Message::Pong { last_zxid, .. } => {
            has_joined && *last_zxid == last && follows(&node.volatile, said)
        }
        Message::UpToDate { committed, .. } => *committed <= delivered,
        // Once, when that happens.
        Message::Commit { zxid } => {
            let before = old.node().map(|node| node.volatile.delivered.zxid);
            *zxid <= delivered && before < Some(*zxid)
        }
        Message::Ping {
            last_zxid,
            committed,
            ..
        } => has_joined && *last_zxid == last && *committed <= delivered,
        Message::Request { content, .. } => {
            let asked = before.asked(scenario, action);
            is_of_epoch
                && follows(&node.volatile, said)
                && (is_waited_for(&node.volatile, content)
                    && asked.is_none_or(|asked| is_asked(asked, content)))
        }
        // What a leader sends of its history is held against that elsewhere.
        Message::Diff { .. }
        | Message::Trunc { .. }
        | Message::Snap { .. }
        | Message::NewLeader { .. }
        | Message::Propose(_) => true,
        // It may take over a history in the step in which it says so.
        Message::Election(message) => {
            E::rank(message).is_none_or(|rank| [old.durable(), disk].map(recency).contains(&rank))
        }
    }
}

/// "f.a, then the zxid of the last transaction" (step l.1.2).
fn recency<M: StateMachine>(disk: &Persistent<M>) -> Recency {
    Recency {
        current_epoch: disk.current_epoch,
        last_zxid: disk.history.last_zxid(),
    }
}

/// Whether all up to `zxid` has been written.
fn has<M: StateMachine>(disk: &Persistent<M>, zxid: Zxid) -> bool {
    let mut kept = disk.history.transactions().iter();
    zxid <= disk.history.begins_after() || kept.any(|transaction| transaction.zxid == zxid)
}

/// Whether it is said to the leader that is followed.
fn follows<M: StateMachine, E: Bounded>(
    volatile: &Volatile<M, E>,
    said: &Envelope<Message<M, E>>,
) -> bool {
    matches!(volatile.role, Role::Following(following) if following.leader == said.to)
}

/// Whether a client waits for this here.
fn is_waited_for<M: StateMachine, E: Bounded>(
    volatile: &Volatile<M, E>,
    content: &Content<M::Command>,
) -> bool {
    match (volatile.waiting.get(&content.request()), content) {
        (Some(Waiting::Command(waiting)), Content::Command { command, .. }) => waiting == command,
        (Some(Waiting::Read(_)), Content::Sync { .. }) => true,
        (Some(Waiting::Command(_) | Waiting::Read(_)) | None, _) => false,
    }
}

/// Whether this is for what a client asks.
fn is_asked<M: StateMachine>(asked: &Command<M>, content: &Content<M::Command>) -> bool {
    match (asked, content) {
        (
            Command::Write { request, command },
            Content::Command {
                request: passed_on,
                command: passed,
            },
        ) => request == passed_on && command == passed,
        (Command::SyncedRead { request, .. }, Content::Sync { request: passed_on }) => {
            request == passed_on
        }
        (Command::Write { .. } | Command::Read { .. } | Command::SyncedRead { .. }, _) => false,
    }
}
