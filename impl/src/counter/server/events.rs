//! What the host does with what its replica says.

use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use models::counter::{Command, Counter, Event};
use tokio::sync::watch;
use tokio::time::sleep;

use super::replica::another_incarnation;
use super::service::Verdict;
use super::tally::Tally;
use crate::runtime::driver::{AskError, Inbox};
use crate::service::pending::Pending;

/// The pause before the replica is asked again to take a name.
const PAUSE: Duration = Duration::from_millis(100);

/// Those that are told.
pub(crate) struct Listeners {
    pub(crate) id: NodeId,
    pub(crate) pending: Arc<Pending<Verdict>>,
    pub(crate) tally: Arc<Tally>,
    /// Whether the node's disk is not needed any more.
    pub(crate) drained: watch::Sender<bool>,
    /// Whether the replica needs a name.
    pub(crate) nameless: watch::Sender<bool>,
}

impl Listeners {
    /// Takes an event. Never blocks for long. Each try of a request is answered, in the order in which
    /// they were asked.
    pub(crate) fn take(&self, event: Event) {
        let node = self.id;
        match event {
            Event::Incremented {
                request,
                value,
                repeated,
            } => {
                let tallied = match repeated {
                    true => &self.tally.repeated,
                    false => &self.tally.counted,
                };
                tallied.inc();
                let verdict = Verdict::Counted { value, repeated };
                self.pending.tell_first_of(request, &verdict);
            }
            Event::Value { request, value } => {
                self.pending.tell_first_of(request, &Verdict::Value(value));
            }
            Event::WindowValue {
                request,
                value,
                since,
                until,
            } => {
                let verdict = Verdict::Window {
                    value,
                    since,
                    until,
                };
                self.pending.tell_first_of(request, &verdict);
            }
            Event::Refused { request, why } => {
                self.tally.refused.inc();
                self.pending.tell_first_of(request, &Verdict::Refused(why));
            }
            Event::Changed { value } => tracing::trace!(%node, value, "others have counted"),
            Event::Folded { number } => {
                tracing::info!(%node, number, "components of names that are dead were folded");
            }
            Event::IdentityNeeded { contested } => {
                if let Some(name) = contested {
                    tracing::error!(
                        %node, replica = %name,
                        "others know more of what this disk has counted than it does itself: it was \
                         put back to an earlier state, or copied. Nothing is lost: from now on it \
                         counts under another name"
                    );
                }
                self.nameless.send_replace(true);
            }
            Event::Identified { identity } => {
                tracing::info!(%node, replica = %identity, "counts under a new name");
                self.nameless.send_replace(false);
            }
            Event::PeerAdded(peer) => {
                tracing::info!(%node, %peer, "exchanges with a member");
                self.drained.send_replace(false);
            }
            Event::PeerRemoved(peer) => tracing::info!(%node, %peer, "a member is gone"),
            Event::Drained => {
                self.drained.send_replace(true);
            }
        }
    }
}

/// Waits until the node's disk is not needed any more, and says so for good: who joins from then on is
/// told by the others.
pub(crate) async fn wait_until_drained(
    mut drained: watch::Receiver<bool>,
    left: watch::Sender<bool>,
) {
    if drained.wait_for(|drained| *drained).await.is_ok() {
        left.send_replace(true);
    }
}

/// Draws a name for the replica whenever it needs one, until it has it: one that is not later than all that
/// it has had is not taken.
pub(crate) async fn name_it(inbox: Inbox<Counter>, mut nameless: watch::Receiver<bool>) {
    let mut draws = 0;
    while nameless.wait_for(|nameless| *nameless).await.is_ok() {
        let incarnation = another_incarnation(draws);
        let asked = inbox.ask(Command::Identify { incarnation });
        if asked == Err(AskError::Stopped) {
            return;
        }
        sleep(PAUSE).await;
        draws = match *nameless.borrow() {
            true => draws.saturating_add(1),
            false => 0,
        };
    }
}
