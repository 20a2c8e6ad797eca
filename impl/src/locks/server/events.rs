//! What the host does with what its node says.

use std::sync::Arc;

use models::NodeId;
use models::maekawa::Event;

use super::draining::Draining;
use super::service::EpochCounts;
use crate::locks::sessions::Sessions;

/// Those that are told.
pub(crate) struct Listeners {
    pub(crate) id: NodeId,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) draining: Arc<Draining>,
    pub(crate) epochs: Arc<EpochCounts>,
}

impl Listeners {
    /// Takes an event. Never blocks for long.
    pub(crate) fn take(&self, event: &Event) {
        self.sessions.take(event);
        let node = self.id;
        match event {
            Event::Joined { epoch, members } => {
                self.draining.joined(*epoch);
                self.epochs.joined.inc();
                let members = words(members);
                tracing::info!(%node, %epoch, members, "is a member");
            }
            Event::Left { epoch } => tracing::info!(%node, %epoch, "is no member"),
            Event::Installed { epoch, members } => {
                self.epochs.installed.inc();
                let members = words(members);
                tracing::info!(%node, %epoch, members, "begins an epoch");
            }
            Event::Suspected { node: suspect } => {
                self.epochs.suspected.inc();
                tracing::warn!(%node, %suspect, "a node gives no sign of life: it is taken for dead");
            }
            Event::Revoked { claim, token } => {
                let lock = claim.lock.as_str();
                tracing::warn!(%node, lock, %token, "a lock is revoked");
            }
            Event::Granted { claim, token } => {
                tracing::debug!(%node, lock = claim.lock.as_str(), %token, "a lock is granted");
            }
            Event::Released { claim } => {
                tracing::debug!(%node, lock = claim.lock.as_str(), "a claim is over");
            }
            Event::Refused { command, why } => {
                tracing::debug!(%node, ?command, ?why, "refused");
            }
            Event::Ended { .. } => {}
        }
    }
}

fn words(nodes: &std::collections::BTreeSet<NodeId>) -> String {
    let ids: Vec<String> = nodes.iter().map(|id| id.0.to_string()).collect();
    ids.join(", ")
}
