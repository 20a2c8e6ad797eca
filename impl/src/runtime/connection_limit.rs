//! A bound on open connections, under which those that do nothing make room for new ones.
//!
//! A connection that is idle may be closed at any moment without harm: it has no request that
//! runs. So silent callers cannot keep others out, however many they are. Of the idle ones
//! those go first that never were of any use, and of these the oldest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::runtime::sync::Mutex;

/// So many connections may be closing beside those that are allowed: each is counted until it
/// is closed, which takes an idle one no time worth speaking of.
pub(crate) const CLOSING: usize = 8;
/// A new connection waits this long for one that is closing.
const PATIENCE: Duration = Duration::from_millis(100);

/// How many connections there may be. Clones share the bound.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    table: Mutex<Table>,
    /// Somebody has closed.
    closed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: usize,
    /// Of the open ones, those that were told to close.
    closing: usize,
    idle: BTreeMap<Rank, Arc<Eviction>>,
}

/// In which order idle connections are closed: whether it was of use, and since when it is idle.
type Rank = (bool, u64);

#[derive(Debug, Default)]
struct Eviction {
    told: AtomicBool,
    wake: Notify,
}

/// What came of a connection that wants in.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It is in. Whether an idle one was closed for it.
    Admitted { slot: Slot, evicted: bool },
    /// All connections are busy.
    Refused,
}

/// One connection's place. Dropping it gives it back. It is idle at first.
#[derive(Debug)]
pub(crate) struct Slot(Handle);

/// Marks a connection as busy while something of it runs.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    shared: Arc<Shared>,
    activity: Arc<Mutex<Activity>>,
    eviction: Arc<Eviction>,
}

/// Marks a connection as busy. Dropping it makes it idle again.
#[derive(Debug)]
pub(crate) struct Busy(Handle);

#[derive(Debug)]
struct Activity {
    /// Where it stands among the idle, if it is.
    rank: Option<Rank>,
    running: usize,
    was_busy: bool,
    closed: bool,
}

/// There is a place as soon as one that was told to close has closed.
struct Full;

impl ConnectionLimit {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            limit,
            table: Mutex::default(),
            closed: Notify::new(),
        }))
    }

    /// Finds a place for a new connection, at the cost of an idle one if need be. Takes no
    /// longer than a moment.
    pub(crate) async fn admit(&self) -> Admission {
        loop {
            let closed = self.0.closed.notified();
            match self.try_admit() {
                Ok(admission) => return admission,
                // Those that were told to close are about to.
                Err(Full) => {
                    if timeout(PATIENCE, closed).await.is_err() {
                        return Admission::Refused;
                    }
                }
            }
        }
    }

    fn try_admit(&self) -> Result<Admission, Full> {
        let mut table = self.0.table.lock();
        let mut evicted = false;
        if table.open - table.closing >= self.0.limit {
            if table.idle.is_empty() {
                return Ok(Admission::Refused);
            }
            if table.closing >= CLOSING {
                return Err(Full);
            }
            evicted = table.evict();
        }
        let slot = Slot(self.open(&mut table));
        Ok(Admission::Admitted { slot, evicted })
    }

    fn open(&self, table: &mut Table) -> Handle {
        let rank = (false, table.draw());
        let eviction = Arc::new(Eviction::default());
        table.open += 1;
        table.idle.insert(rank, eviction.clone());
        Handle {
            shared: self.0.clone(),
            activity: Arc::new(Mutex::new(Activity {
                rank: Some(rank),
                running: 0,
                was_busy: false,
                closed: false,
            })),
            eviction,
        }
    }

    /// Closes the first of the idle connections, if there is one: somebody needs its file.
    pub(crate) fn evict(&self) -> bool {
        self.0.table.lock().evict()
    }
}

impl Table {
    fn draw(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn evict(&mut self) -> bool {
        let Some((_, eviction)) = self.idle.pop_first() else {
            return false;
        };
        self.closing += 1;
        eviction.told.store(true, Ordering::Release);
        eviction.wake.notify_one();
        true
    }
}

impl Slot {
    /// Waits until this connection is to close because another needs its place.
    pub(crate) async fn evicted(&self) {
        self.0.eviction.wake.notified().await;
    }

    /// Whether it was ever busy.
    pub(crate) fn was_busy(&self) -> bool {
        self.0.activity.lock().was_busy
    }

    /// What marks it as busy.
    pub(crate) fn handle(&self) -> Handle {
        self.0.clone()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Handle {
            shared,
            activity,
            eviction,
        } = &self.0;
        let mut activity = activity.lock();
        activity.closed = true;
        let mut table = shared.table.lock();
        if let Some(rank) = activity.rank.take() {
            table.idle.remove(&rank);
        }
        table.open -= 1;
        if eviction.told.load(Ordering::Acquire) {
            table.closing -= 1;
        }
        drop(table);
        shared.closed.notify_one();
    }
}

impl Handle {
    /// From now on, and until what is returned is dropped, the connection is not idle.
    pub(crate) fn busy(&self) -> Busy {
        let mut activity = self.activity.lock();
        activity.running += 1;
        activity.was_busy = true;
        if let Some(rank) = activity.rank.take() {
            self.shared.table.lock().idle.remove(&rank);
        }
        Busy(self.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let handle = &self.0;
        let mut activity = handle.activity.lock();
        activity.running -= 1;
        if activity.running > 0 || activity.closed {
            return;
        }
        let mut table = handle.shared.table.lock();
        // One that was told to close is not told again.
        if !handle.eviction.told.load(Ordering::Acquire) {
            let rank = (true, table.draw());
            activity.rank = Some(rank);
            table.idle.insert(rank, handle.eviction.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn admitted(limit: &ConnectionLimit) -> (Slot, bool) {
        match limit.admit().await {
            Admission::Admitted { slot, evicted } => (slot, evicted),
            Admission::Refused => panic!("refused"),
        }
    }

    async fn is_refused(limit: &ConnectionLimit) -> bool {
        matches!(limit.admit().await, Admission::Refused)
    }

    fn is_told(slot: &Slot) -> bool {
        slot.0.eviction.told.load(Ordering::Acquire)
    }

    #[tokio::test]
    async fn the_oldest_that_was_never_busy_makes_room() {
        let limit = ConnectionLimit::new(3);
        let (useful, _) = admitted(&limit).await;
        drop(useful.handle().busy());
        let (first, _) = admitted(&limit).await;
        let (second, evicted) = admitted(&limit).await;
        assert!(!evicted);
        let (_third, evicted) = admitted(&limit).await;
        assert!(evicted);
        assert!(is_told(&first) && !is_told(&useful) && !is_told(&second));
        first.evicted().await;
    }

    #[tokio::test]
    async fn the_longest_idle_goes_when_all_were_busy() {
        let limit = ConnectionLimit::new(2);
        let (one, _) = admitted(&limit).await;
        let (two, _) = admitted(&limit).await;
        let first = one.handle().busy();
        drop(two.handle().busy());
        drop(first);
        let (_three, evicted) = admitted(&limit).await;
        assert!(evicted && is_told(&two) && !is_told(&one));
    }

    #[tokio::test]
    async fn a_busy_one_is_never_told_to_go() {
        let limit = ConnectionLimit::new(1);
        let (one, _) = admitted(&limit).await;
        let (outer, inner) = (one.handle().busy(), one.handle().busy());
        assert!(is_refused(&limit).await);
        drop(inner);
        assert!(is_refused(&limit).await, "something runs yet");
        assert!(!limit.evict() && !is_told(&one));
        drop(outer);
        let (_two, evicted) = admitted(&limit).await;
        assert!(evicted && is_told(&one));
    }

    #[tokio::test]
    async fn so_many_may_be_closing_and_no_more() {
        let limit = ConnectionLimit::new(1);
        let mut slots = Vec::new();
        for _ in 0..=CLOSING {
            slots.push(admitted(&limit).await.0);
        }
        assert!(is_refused(&limit).await, "none of them closes");
        let closes = slots.remove(0);
        let closing = tokio::spawn(async move { drop(closes) });
        let (_another, evicted) = admitted(&limit).await;
        assert!(evicted);
        closing.await.expect("closes");
    }

    #[tokio::test]
    async fn a_place_given_back_is_free_whatever_became_of_it() {
        let limit = ConnectionLimit::new(1);
        for round in 0..100 {
            let (slot, evicted) = admitted(&limit).await;
            assert!(!evicted);
            let busy = slot.handle().busy();
            if round % 2 == 0 {
                drop(busy);
                drop(slot);
            } else {
                drop(slot);
                drop(busy);
            }
        }
        assert!(!limit.evict(), "nothing is left");
    }
}
