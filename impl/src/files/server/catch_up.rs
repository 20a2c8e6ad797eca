//! How this node was brought up to date by its leaders: seen from the messages that are delivered
//! to it, for ZAB does not say so. What its node then ignored, because it came late or of another
//! leader, is counted all the same.

use std::fmt::{self, Display};
use std::sync::Arc;

use models::NodeId;
use serde::{Deserialize, Serialize};

use crate::files::{FilesZab, Message};
use crate::runtime::driver::Inbox;
use crate::runtime::sync::Mutex;
use crate::runtime::transport::Deliver;

/// How a leader brings a follower up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// By what it lacks, which may be nothing.
    Diff,
    /// By taking away what was never committed, and then by what it lacks.
    Trunc,
    /// By a snapshot of everything, and then by what came after it.
    Snap,
}

impl Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Diff => "DIFF",
            Self::Trunc => "TRUNC",
            Self::Snap => "SNAP",
        })
    }
}

/// How often this node was brought up to date, and how the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchUpReport {
    /// How the last time.
    pub last: Option<Method>,
    /// By which leader.
    pub by: Option<NodeId>,
    /// How often by DIFF.
    pub diff: u64,
    /// How often by TRUNC.
    pub trunc: u64,
    /// How often by SNAP.
    pub snap: u64,
}

/// Counts them.
#[derive(Debug, Default)]
pub struct CatchUps {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    report: CatchUpReport,
    /// What a leader has sent that has not said yet that this was all.
    under_way: Option<(NodeId, Method)>,
}

impl CatchUps {
    /// What has been seen.
    pub fn report(&self) -> CatchUpReport {
        self.seen.lock().report
    }

    fn see(&self, from: NodeId, message: &Message) {
        let method = match message {
            Message::Diff { .. } => Method::Diff,
            Message::Trunc { .. } => Method::Trunc,
            Message::Snap { .. } => Method::Snap,
            Message::NewLeader { .. } => return self.end(from),
            _ => return,
        };
        let mut seen = self.seen.lock();
        // A DIFF behind a TRUNC or a SNAP is a part of that.
        let before = seen.under_way.filter(|(leader, _)| *leader == from);
        let method = before.map_or(method, |(_, before)| before.max(method));
        seen.under_way = Some((from, method));
    }

    fn end(&self, from: NodeId) {
        let mut seen = self.seen.lock();
        let under_way = seen.under_way.take().filter(|(leader, _)| *leader == from);
        let method = under_way.map_or(Method::Diff, |(_, method)| method);
        let report = &mut seen.report;
        (report.last, report.by) = (Some(method), Some(from));
        *match method {
            Method::Diff => &mut report.diff,
            Method::Trunc => &mut report.trunc,
            Method::Snap => &mut report.snap,
        } += 1;
        tracing::info!(leader = %from, %method, "is brought up to date");
    }
}

/// Hands messages to the node, and looks at them as they pass.
#[derive(Clone)]
pub(crate) struct Observed {
    pub(crate) inbox: Inbox<FilesZab>,
    pub(crate) catch_ups: Arc<CatchUps>,
}

impl Deliver<Message> for Observed {
    fn deliver(&self, from: NodeId, message: Message) {
        self.catch_ups.see(from, &message);
        self.inbox.deliver(from, message);
    }
}

#[cfg(test)]
mod tests {
    use models::zab::zxid::{Epoch, Zxid};

    use super::*;

    #[test]
    fn what_comes_first_names_the_way_and_the_end_counts_it() {
        let (leader, epoch, zxid) = (NodeId(1), Epoch(1), Zxid::default());
        let catch_ups = CatchUps::default();
        let diff = Message::Diff {
            epoch,
            after: zxid,
            transactions: Vec::new(),
        };
        let end = Message::NewLeader {
            epoch,
            last_zxid: zxid,
        };
        let trunc = Message::Trunc {
            epoch,
            from: zxid,
            to: zxid,
        };
        let snap = Message::Snap {
            epoch,
            snapshot: Default::default(),
        };
        let see = |messages: &[&Message]| {
            messages
                .iter()
                .for_each(|message| catch_ups.see(leader, message));
            catch_ups.report().last
        };
        assert_eq!(see(&[&diff]), None);
        assert_eq!(see(&[&diff, &end]), Some(Method::Diff));
        assert_eq!(see(&[&trunc, &diff, &end]), Some(Method::Trunc));
        assert_eq!(see(&[&snap, &diff, &end]), Some(Method::Snap));
        assert_eq!(see(&[&end]), Some(Method::Diff));
        // What another leader has begun is not what this one ends.
        catch_ups.see(NodeId(2), &snap);
        assert_eq!(see(&[&end]), Some(Method::Diff));
        let report = catch_ups.report();
        assert_eq!((report.diff, report.trunc, report.snap), (3, 1, 1));
        assert_eq!(report.by, Some(leader));
    }
}
