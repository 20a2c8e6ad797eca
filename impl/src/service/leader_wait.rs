//! How long a request waits for a leader.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// A request that could not be done is tried again after this time, or when there is news.
const PAUSE: Duration = Duration::from_millis(50);

/// A request's time limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaderWait {
    /// When it must be answered.
    pub(crate) deadline: Instant,
    /// Until when it waits for a leader, as long as nobody may have taken it.
    patience: Instant,
}

impl LeaderWait {
    /// For a request that begins now.
    pub(crate) fn new(deadline: Instant, patience: Duration) -> Self {
        let patience = (Instant::now() + patience).min(deadline);
        Self { deadline, patience }
    }

    /// Waits until `view` shows that there may be another leader, or it is time to ask again. Says
    /// whether there is time left: for a request that `is_uncertain`, because it may have been done
    /// already, until its deadline.
    pub(crate) async fn until_news<V>(
        &self,
        view: &mut watch::Receiver<V>,
        is_uncertain: bool,
    ) -> bool {
        let limit = if is_uncertain {
            self.deadline
        } else {
            self.patience
        };
        if Instant::now() >= limit {
            return false;
        }
        // No news within the pause is a reason to ask again too.
        let _ = timeout(PAUSE, view.changed()).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_may_have_been_served_waits_until_the_deadline_and_others_less_long() {
        let (_sender, mut view) = watch::channel(0);
        let start = Instant::now();
        let wait = LeaderWait::new(start + Duration::from_secs(2), Duration::from_secs(1));
        while wait.until_news(&mut view, false).await {}
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        while wait.until_news(&mut view, true).await {}
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        let impatient = LeaderWait::new(Instant::now(), Duration::from_secs(1));
        assert!(!impatient.until_news(&mut view, false).await);
    }

    #[tokio::test(start_paused = true)]
    async fn news_ends_the_pause() {
        let (sender, mut view) = watch::channel(0);
        let start = Instant::now();
        let wait = LeaderWait::new(start + Duration::from_secs(2), Duration::from_secs(1));
        sender.send_replace(1);
        assert!(wait.until_news(&mut view, false).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(wait.until_news(&mut view, false).await);
        assert_eq!(start.elapsed(), PAUSE);
    }
}
