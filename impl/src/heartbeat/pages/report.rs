//! How a member fares, at one moment, and what stands in the way of its work.

use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::heartbeat::agent::Load;
use crate::heartbeat::config::Config;
use crate::heartbeat::error::HeartbeatError;
use crate::heartbeat::list::{ById, Version};
use crate::heartbeat::traffic::Counters;
use crate::heartbeat::view::{MemberList, View};
use crate::kv::server::numbers::Numbers;
use crate::runtime::metrics::Metrics;

/// What the pages are made of.
pub(crate) struct Shown {
    pub(crate) config: Arc<Config>,
    pub(crate) view: watch::Receiver<View>,
    pub(crate) voters: watch::Receiver<ById>,
    pub(crate) load: watch::Receiver<Load>,
    pub(crate) fate: watch::Receiver<Option<HeartbeatError>>,
    /// Whether the member was told to stop.
    pub(crate) leaving: watch::Receiver<bool>,
    pub(crate) counters: Arc<Counters>,
    /// What the HTTP server counts, and the node of the key-value store where the member votes.
    pub(crate) metrics: Arc<Metrics>,
    /// What else that node shows, once it runs.
    pub(crate) numbers: watch::Receiver<Option<Numbers>>,
    pub(crate) started: Instant,
}

/// How a member fares.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) id: NodeId,
    pub(super) cluster: String,
    pub(super) votes: bool,
    pub(super) list: MemberList,
    /// Which list; none before the first.
    pub(super) version: Option<Version>,
    /// The greatest of which a leader was heard; 0 before.
    pub(super) term: u64,
    /// Whether this member, in this life, is on the list.
    pub(super) on_list: bool,
    pub(super) load: Load,
    /// The voters that it knows of, itself included if it votes.
    pub(super) voters: usize,
    pub(super) uptime: Duration,
    /// Why no work should be sent here, if none should.
    pub(super) hindrance: Option<String>,
}

impl Shown {
    pub(super) fn report(&self) -> Report {
        let config = &self.config;
        let dead_after = config.cluster.timing.dead_after();
        let now = Instant::now();
        let view = self.view.borrow().clone();
        let list = view.list(now, dead_after);
        let on_list = view.joined;
        let hindrance = { self.end() }
            .or_else(|| self.farewell())
            .or_else(|| hindrance(&list, on_list));
        Report {
            id: config.id,
            cluster: config.cluster.name.clone(),
            votes: config.votes(),
            version: view.version,
            term: view.term,
            on_list,
            load: *self.load.borrow(),
            voters: self.voters.borrow().len(),
            uptime: now.duration_since(self.started),
            hindrance,
            list,
        }
    }

    /// Why the member takes no more part, if it does not.
    pub(super) fn end(&self) -> Option<String> {
        if let Some(error) = &*self.fate.borrow() {
            return Some(error.to_string());
        }
        // Whoever lets it be seen what is known is gone, and was not told to.
        let has_ended = self.view.has_changed().is_err() && !*self.leaving.borrow();
        has_ended.then(|| "this member has ended: look at its log, and start it again".to_owned())
    }

    fn farewell(&self) -> Option<String> {
        let is_leaving = *self.leaving.borrow();
        is_leaving.then(|| "this member was told to stop, and is leaving".to_owned())
    }
}

/// What stands between a member that runs and a leader.
fn hindrance(list: &MemberList, on_list: bool) -> Option<String> {
    let Some(leader) = list.leader else {
        return Some(
            "no leader is known here: a majority of the voters does not run, does not reach each other, or \
             is not reached from here; until it is, nothing can be changed, and the list is what it was"
                .to_owned(),
        );
    };
    if !on_list {
        return Some(format!(
            "member {} leads, and this member is not on its list: it has not taken it yet, or has not heard \
             it for too long",
            leader.id.0
        ));
    }
    (!list.is_current).then(|| {
        format!(
            "member {} leads, and has not answered this member for {:.1} s: who lives is not known here",
            leader.id.0,
            list.age.as_secs_f64()
        )
    })
}
