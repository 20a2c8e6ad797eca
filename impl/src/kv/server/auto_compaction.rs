//! Compacts the store's history, so that it keeps no more than the file says. The leader asks for it, and
//! the log decides.

use std::sync::Arc;
use std::time::Duration;

use models::mvcc::history::History;
use models::raft::state::Role;
use tokio::time::sleep;

use crate::kv::config::KeptHistory;
use crate::kv::request::router::Service;
use crate::kv::store::{Command, Revision};
use crate::service::looking::{Unseen, look_unflushed};

/// The pause between two looks at the history.
const PAUSE: Duration = Duration::from_secs(1);

/// Compacts to what is kept whenever there is twice as much, until the node has stopped.
pub(crate) async fn run(service: Arc<Service>, kept: KeptHistory) {
    loop {
        sleep(PAUSE).await;
        let looked = look_unflushed(&service.inbox, |node| {
            let leads = matches!(node.volatile.role, Role::Leader(_));
            // Shared with the node, not copied.
            leads.then(|| node.volatile.applied.machine.history().clone())
        });
        let history = match looked.await {
            Ok(Some(history)) => history,
            Ok(None) | Err(Unseen::Silent) => continue,
            Err(Unseen::Ended) => return,
        };
        if let Some(revision) = due(&history, kept) {
            let compacted = service.write(Command::Compact { revision }, None).await;
            if let Err(refusal) = compacted {
                tracing::debug!(%revision, %refusal, "the history is not compacted yet");
            }
        }
    }
}

/// Where to compact to, if it is time.
fn due(history: &History, kept: KeptHistory) -> Option<Revision> {
    let by_revisions = kept.revisions.and_then(|kept| {
        let latest = history.revision().0;
        let remembered = latest - history.compacted().0;
        let is_due = kept.checked_mul(2).is_some_and(|twice| remembered >= twice);
        is_due.then(|| Revision(latest - kept))
    });
    let by_bytes = kept.bytes.and_then(|kept| {
        let twice = kept.saturating_mul(2);
        let is_due = history.oldest_within(twice) > history.compacted();
        is_due.then(|| history.oldest_within(kept))
    });
    by_revisions.max(by_bytes)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use models::machine::StateMachine;
    use models::mvcc::Store;
    use models::mvcc::command::Put;
    use models::mvcc::history::VERSION_OVERHEAD;

    use super::*;

    /// A store in which one key was written so often, each time `BYTES` with what it takes beside.
    fn written(times: u64) -> Store {
        let mut store = Store::default();
        for _ in 0..times {
            let value = Bytes::from(vec![0; BYTES - 1 - VERSION_OVERHEAD]);
            store.apply(&Command::Put(Put::new(Bytes::from("a"), value)));
        }
        store
    }

    const BYTES: usize = 1000;

    fn due(store: &Store, revisions: Option<u64>, bytes: Option<usize>) -> Option<u64> {
        let kept = KeptHistory { revisions, bytes };
        super::due(store.history(), kept).map(|revision| revision.0)
    }

    #[test]
    fn twice_what_is_kept_is_compacted_to_what_is_kept() {
        let mut store = written(18);
        assert_eq!(due(&store, Some(10), None), None);
        store = written(19);
        assert_eq!(store.revision(), Revision(20));
        assert_eq!(due(&store, Some(10), None), Some(10));
        assert_eq!(due(&store, None, None), None);
        assert_eq!(due(&store, Some(u64::MAX), Some(usize::MAX)), None);
        let revision = Revision(10);
        store.apply(&Command::Compact { revision });
        assert_eq!(due(&store, Some(10), None), None);
    }

    /// The first write replaces nothing, and takes its place all the same.
    #[test]
    fn few_large_values_are_compacted_as_many_small_ones_are() {
        let mut store = written(20);
        assert_eq!(due(&store, Some(1000), Some(10 * BYTES)), None);
        store = written(21);
        assert_eq!(due(&store, Some(1000), Some(10 * BYTES)), Some(12));
        let revision = Revision(12);
        store.apply(&Command::Compact { revision });
        assert_eq!(due(&store, Some(1000), Some(10 * BYTES)), None);
        assert_eq!(due(&store, Some(4), Some(10 * BYTES)), Some(18));
    }
}
