//! What the host does with what its ZAB node says.

use std::sync::Arc;

use models::NodeId;
use models::zab::Event;
use models::zab::contradiction::Contradiction;
use tokio::sync::watch;

use super::watch::Watching;
use crate::files::Files;
use crate::files::request::router::{Verdict, View};
use crate::service::pending::Pending;

/// Those that are told.
pub(crate) struct Listeners {
    pub(crate) id: NodeId,
    pub(crate) pending: Arc<Pending<Verdict>>,
    pub(crate) view: watch::Sender<View>,
    pub(crate) watching: Arc<Watching>,
    pub(crate) halt: watch::Sender<Option<String>>,
}

impl Listeners {
    /// Takes an event. Never blocks for long.
    pub(crate) fn take(&self, event: Event<Files>) {
        let node = self.id;
        match event {
            Event::Reply { request, response } => {
                self.pending.tell_all_of(request, &Verdict::Reply(response));
            }
            Event::Superseded { request } => {
                self.pending.tell_all_of(request, &Verdict::Superseded);
            }
            // About the try that was not taken, which is the one that was asked first.
            Event::Refused { request } => {
                self.pending.tell_first_of(request, &Verdict::Refused);
            }
            Event::Abandoned { request } => {
                self.pending.tell_all_of(request, &Verdict::Abandoned);
            }
            Event::Leading { epoch } => {
                tracing::info!(%node, %epoch, "leads");
                self.learn(|view| (view.leader, view.epoch) = (Some(node), epoch));
            }
            Event::Following { epoch, leader } => {
                tracing::info!(%node, %epoch, %leader, "follows");
                self.learn(|view| (view.leader, view.epoch) = (Some(leader), epoch));
            }
            Event::Looking => {
                tracing::info!(%node, "looks for a leader");
                self.learn(|view| view.leader = None);
            }
            Event::Delivered { .. } => self.watching.wake(),
            Event::Restored { zxid } => {
                tracing::info!(%node, %zxid, "starts from a snapshot");
                self.watching.wake();
            }
            Event::Halted { contradiction } => {
                tracing::error!(%node, ?contradiction, "takes part no more");
                self.halt.send_replace(Some(halted_words(&contradiction)));
            }
        }
    }

    fn learn(&self, change: impl FnOnce(&mut View)) {
        self.view.send_modify(|view| {
            change(view);
            view.news += 1;
        });
    }
}

pub(crate) fn halted_words(contradiction: &Contradiction) -> String {
    let Contradiction { delivered, to } = contradiction;
    format!(
        "this node has delivered all up to {delivered}, and a leader would have it keep only what is up \
         to {to}. One of them has lost or altered what was committed. Nothing was deleted here, and \
         this node takes part no more, for it cannot tell which: keep the data directories of all \
         nodes, find out whose is wrong, and found a new cluster of a right one's files"
    )
}
