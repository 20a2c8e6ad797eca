//! What the host does with what its Raft node says, beside handing answers to whoever waits.

use models::NodeId;
use models::raft::Event;
use models::raft::contradiction::Contradiction;
use models::raft::log::Index;
use tokio::sync::watch;

use crate::kv::Kv;
use crate::kv::membership::configured::Membership;

/// What the host does when the node says something of itself or of another.
pub(crate) fn obey(event: &Event<Kv>, members: &Membership, halt: &watch::Sender<Option<String>>) {
    match event {
        Event::MembershipChanged { configuration } => members.change(configuration.clone()),
        Event::MembershipCommitted { configuration } => members.commit(configuration.clone()),
        Event::Denied {
            follower,
            acknowledged,
            prev_log_index,
        } => members.refuse(
            *follower,
            denied_words(*follower, *acknowledged, *prev_log_index),
        ),
        Event::Halted { contradiction } => {
            halt.send_replace(Some(halted_words(contradiction)));
        }
        _ => {}
    }
}

fn denied_words(follower: NodeId, acknowledged: Index, lacks: Index) -> String {
    let id = follower.0;
    format!(
        "{follower} has acknowledged the log up to {acknowledged}, and now says that entry {lacks} \
         is missing there or another: its disk has lost what it promised to keep. Remove it \
         (lockstep members remove {id}), and add it under an id that no node has had"
    )
}

pub(crate) fn halted_words(contradiction: &Contradiction) -> String {
    let what = match contradiction {
        Contradiction::Log { index, own, leader } => format!(
            "the entry at {index}, of {own}, is committed here, and a leader has another there, \
             of {leader}"
        ),
        Contradiction::State { index, .. } => format!(
            "after the same entries, up to {index}, this node's state differs from the leader's"
        ),
    };
    format!(
        "{what}. One of them has lost or altered what was committed. Nothing was deleted here, and \
         this node takes part no more, for it cannot tell which: keep the data directories of all nodes, \
         find out whose is wrong, remove that node from the cluster and add another in its place"
    )
}

/// Writes down what matters to an operator.
pub(crate) fn log_event(node: NodeId, event: &Event<Kv>) {
    match event {
        Event::Leading { term } => tracing::info!(%node, %term, "leads"),
        Event::Following { term, leader } => {
            let leader = leader.map(|leader| leader.to_string());
            tracing::info!(%node, %term, leader = leader.as_deref().unwrap_or("unknown"), "follows");
        }
        Event::MembershipChanged { configuration } => {
            tracing::info!(%node, %configuration, "acts on another configuration");
        }
        Event::MembershipCommitted { configuration } => {
            tracing::info!(%node, %configuration, "knows its configuration to be committed");
        }
        Event::Halted { contradiction } => {
            tracing::error!(%node, ?contradiction, "takes part no more");
        }
        Event::Denied {
            follower,
            acknowledged,
            prev_log_index,
        } => tracing::error!(
            %node, %follower, %acknowledged, %prev_log_index,
            "a follower denies what it has acknowledged"
        ),
        Event::Retired => tracing::warn!(%node, "is no member of the cluster any more"),
        Event::Installed {
            last_included_index,
        } => tracing::info!(%node, %last_included_index, "installed a snapshot"),
        Event::Reply { .. }
        | Event::Redirect { .. }
        | Event::Superseded { .. }
        | Event::SessionExpired { .. }
        | Event::Overloaded { .. }
        | Event::Changed { .. }
        | Event::Refused { .. } => {}
        Event::Transfer { outcome, .. } => {
            tracing::info!(%node, ?outcome, "a leadership transfer has ended");
        }
    }
}
