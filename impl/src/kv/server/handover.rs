//! A leader that is told to stop hands its leadership over first (thesis §3.10): to stop without a
//! word costs the cluster an election time-out, as a crash does.
//!
//! It is a courtesy, and bounded in time: if it does not succeed the node stops all the same, and
//! the others elect a leader by themselves.

use std::fmt::{self, Display};
use std::time::Duration;

use models::raft::progress::{Mode, Progress};
use models::raft::session::RequestId;
use models::raft::state::{Leadership, Role};
use models::raft::{Command, Event, TransferOutcome};
use models::{Node, NodeId};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::kv::request::router::Service;
use crate::kv::{Kv, KvRaft};
use crate::service::metrics_page::CounterByLabel;

/// What became of an attempt to hand leadership over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// There was nothing to hand over: the node did not lead.
    NotLeading,
    /// There is no other voter.
    Alone,
    /// Another node leads.
    Done {
        /// The node that leads now.
        leader: NodeId,
    },
    /// Raft refused, or gave up. The node leads on.
    Failed(TransferOutcome),
    /// It was not over within an election time-out: no voter answered in time, or the disk hangs.
    TimedOut,
    /// The node is busy, or has stopped.
    Unasked,
}

impl Display for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeading => f.write_str("it does not lead"),
            Self::Alone => f.write_str("there is no other voter"),
            Self::Done { leader } => write!(f, "{leader} leads now"),
            Self::Failed(outcome) => write!(f, "the transfer ended as {outcome:?}"),
            Self::TimedOut => f.write_str("it took longer than an election time-out"),
            Self::Unasked => f.write_str("the node is busy, or has stopped"),
        }
    }
}

/// Transfers of leadership that have ended at this node.
#[derive(Debug)]
pub(crate) struct Transfers {
    last: watch::Sender<Option<(RequestId, TransferOutcome)>>,
    counts: CounterByLabel,
}

/// The names of the ways in which a transfer ends.
const COMPLETED: &str = "completed";
const TIMED_OUT: &str = "timed_out";
const REFUSED: &str = "refused";
const OUTCOMES: [&str; 3] = [COMPLETED, TIMED_OUT, REFUSED];

impl Default for Transfers {
    fn default() -> Self {
        let counts = CounterByLabel::default();
        for outcome in OUTCOMES {
            // There from the start, as 0: else the first of a kind would be no increase.
            drop(counts.get_or_create(&[("outcome", outcome)]));
        }
        Self {
            last: watch::Sender::default(),
            counts,
        }
    }
}

impl Transfers {
    /// Takes an event of the local node.
    pub(crate) fn take(&self, event: &Event<Kv>) {
        let Event::Transfer { request, outcome } = event else {
            return;
        };
        let name = match outcome {
            TransferOutcome::SteppedDown => COMPLETED,
            TransferOutcome::TimedOut => TIMED_OUT,
            TransferOutcome::AlreadyLeads
            | TransferOutcome::NotAVoter
            | TransferOutcome::Busy { .. } => REFUSED,
        };
        self.counts.get_or_create(&[("outcome", name)]).inc();
        self.last.send_replace(Some((*request, *outcome)));
    }

    /// How many have ended in each way.
    pub(crate) fn counts(&self) -> &CounterByLabel {
        &self.counts
    }

    /// The same, by the name of the way.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = (String, Value)> {
        OUTCOMES.into_iter().map(|outcome| {
            let count = self.counts.get_or_create(&[("outcome", outcome)]).get();
            (outcome.to_owned(), count.into())
        })
    }
}

/// Hands leadership to the voter that is best prepared for it, and waits until it leads: no longer
/// than an election time-out. Requests are served, or forwarded, all the while.
pub(crate) async fn hand_over(service: &Service) -> HandOver {
    let limit = Duration::from_millis(service.timing.election_max_ms);
    let attempt = timeout(limit, try_to_hand_over(service));
    attempt.await.unwrap_or(HandOver::TimedOut)
}

async fn try_to_hand_over(service: &Service) -> HandOver {
    let to = match choose(service).await {
        Ok(to) => to,
        Err(nobody) => return nobody,
    };
    let mut ended = service.transfers.last.subscribe();
    let mut view = service.waiters.view();
    let request = service.sessions.read();
    let command = Command::TransferLeadership { request, to };
    if service.inbox.ask(command).is_err() {
        return HandOver::Unasked;
    }
    let mine = |last: &Option<(RequestId, TransferOutcome)>| {
        last.is_some_and(|(ended, _)| ended == request)
    };
    match ended.wait_for(mine).await.map(|last| *last) {
        Ok(Some((_, TransferOutcome::SteppedDown))) => {}
        Ok(Some((_, outcome))) => return HandOver::Failed(outcome),
        Ok(None) | Err(_) => return HandOver::Unasked,
    }
    // Requests that wait here go where the new leader is: so it must be known.
    let id = service.id;
    let led_by_another = |leader: Option<NodeId>| leader.filter(|leader| *leader != id);
    let known = view.wait_for(|view| led_by_another(view.leader).is_some());
    match known.await.map(|view| led_by_another(view.leader)) {
        Ok(Some(leader)) => HandOver::Done { leader },
        Ok(None) | Err(_) => HandOver::Unasked,
    }
}

/// The voter to hand over to. Who has been heard is counted anew every now and then: if it was
/// nobody, a heartbeat later it is everybody who lives.
async fn choose(service: &Service) -> Result<NodeId, HandOver> {
    let mut is_last_look = false;
    loop {
        let looked = service.inbox.inspect(best_prepared);
        let (fitness, id) = looked.await.map_err(|_| HandOver::Unasked)??;
        if fitness.is_heard || is_last_look {
            return Ok(id);
        }
        is_last_look = true;
        sleep(Duration::from_millis(service.timing.heartbeat_ms)).await;
    }
}

/// How well prepared a voter is to lead. The greatest is the best: first of all it must live, and
/// lack little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fitness {
    is_heard: bool,
    is_replicating: bool,
    match_index: models::raft::log::Index,
}

fn best_prepared(node: &Node<KvRaft>) -> Result<(Fitness, NodeId), HandOver> {
    let Role::Leader(leadership) = &node.volatile.role else {
        return Err(HandOver::NotLeading);
    };
    let configuration = node.volatile.configuration.as_ref();
    let is_voter = |peer: &NodeId| {
        // While the log has no configuration, all that the cluster began with are voters.
        configuration.is_none_or(|in_force| in_force.configuration.voters.contains(peer))
    };
    let peers = leadership.progress.iter();
    let voters = peers.filter(|(peer, _)| is_voter(peer));
    voters
        .map(|(&peer, progress)| (fitness(leadership, peer, progress), peer))
        .max()
        .ok_or(HandOver::Alone)
}

fn fitness(leadership: &Leadership<Kv>, peer: NodeId, progress: &Progress) -> Fitness {
    Fitness {
        is_heard: leadership.heard.contains(&peer),
        is_replicating: matches!(progress.mode, Mode::Replicate { .. }),
        match_index: progress.match_index,
    }
}
