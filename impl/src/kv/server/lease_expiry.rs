//! Ends leases whose time is up. The log decides: a node asks for it by its own clock, and a lease that
//! was renewed meanwhile goes on.
//!
//! Every node counts from when it has seen the last sign of life, which is never before the leader
//! answered it; the leader alone asks for an end, and begins to count anew when it is elected, for clients
//! could not renew while there was none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use models::raft::state::Role;
use tokio::time::{Instant, sleep};

use crate::kv::request::router::Service;
use crate::kv::store::{Command, Lease, LeaseId, Renewal};
use crate::service::looking::{Unseen, look_unflushed};

/// The pause between two looks at the leases: one ends so much later at most.
const PAUSE: Duration = Duration::from_millis(250);
/// So many leases end between two looks.
const AT_ONCE: usize = 256;

/// When leases run out, by this node's clock.
#[derive(Debug, Default)]
pub(crate) struct LeaseClock {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    running: BTreeMap<LeaseId, Running>,
    led: bool,
}

/// A lease that goes on.
#[derive(Clone, Copy, Debug)]
struct Running {
    renewal: Renewal,
    until: Instant,
}

impl LeaseClock {
    /// How long a lease still goes on without a sign of life, as far as this node has seen.
    pub(crate) fn remaining(&self, id: LeaseId, lease: &Lease) -> Option<Duration> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let running = seen.running.get(&id);
        let running = running.filter(|running| running.renewal == lease.renewal)?;
        Some(running.until.saturating_duration_since(Instant::now()))
    }

    /// Takes a look: those whose time is up, if this node leads.
    fn look<'a>(
        &self,
        leases: impl Iterator<Item = (LeaseId, &'a Lease)>,
        leads: bool,
        now: Instant,
    ) -> Vec<(LeaseId, Renewal)> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_elected = leads && !seen.led;
        seen.led = leads;
        let before = std::mem::take(&mut seen.running);
        let mut due = Vec::new();
        for (id, lease) in leases {
            let known = before
                .get(&id)
                .filter(|known| known.renewal == lease.renewal);
            let running = match known {
                Some(known) if !is_elected => *known,
                _ => Running {
                    renewal: lease.renewal,
                    until: now + Duration::from_secs(lease.ttl.0),
                },
            };
            if leads && running.until <= now && due.len() < AT_ONCE {
                due.push((id, running.renewal));
            }
            seen.running.insert(id, running);
        }
        due
    }
}

/// Ends leases whose time is up, until the node has stopped.
pub(crate) async fn run(service: Arc<Service>) {
    loop {
        sleep(PAUSE).await;
        let looked = look_unflushed(&service.inbox, |node| {
            let leads = matches!(node.volatile.role, Role::Leader(_));
            (node.volatile.applied.machine.leases().clone(), leads)
        });
        let (leases, leads) = match looked.await {
            Ok(seen) => seen,
            Err(Unseen::Silent) => continue,
            Err(Unseen::Ended) => return,
        };
        let due = service.leases.look(leases.iter(), leads, Instant::now());
        for (lease, renewal) in due {
            let ended = service
                .write(Command::Expire { lease, renewal }, None)
                .await;
            if let Err(refusal) = ended {
                // The next look will find it again, here or at another leader.
                tracing::debug!(%lease, %refusal, "a lease that has run out is not ended yet");
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use models::machine::StateMachine;

    use super::*;
    use crate::kv::store::{Kv, Ttl};

    const LEASE: LeaseId = LeaseId(7);

    fn granted(seconds: u64) -> Kv {
        let mut kv = Kv::default();
        let ttl = Ttl(seconds);
        kv.apply(&Command::Grant { lease: LEASE, ttl });
        kv
    }

    #[test]
    fn a_lease_runs_out_after_its_time_and_not_before() {
        let (clock, kv, start) = (LeaseClock::default(), granted(10), Instant::now());
        let look = |after: u64| {
            let now = start + Duration::from_secs(after);
            clock.look(kv.leases().iter(), true, now)
        };
        assert_eq!(look(0), []);
        assert_eq!(look(9), []);
        assert_eq!(look(10), [(LEASE, Renewal(1))]);
    }

    #[test]
    fn a_sign_of_life_begins_another_term() {
        let (clock, mut kv, start) = (LeaseClock::default(), granted(10), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(clock.look(kv.leases().iter(), true, after(0)), []);
        kv.apply(&Command::KeepAlive { lease: LEASE });
        assert_eq!(clock.look(kv.leases().iter(), true, after(9)), []);
        assert_eq!(clock.look(kv.leases().iter(), true, after(18)), []);
        let due = clock.look(kv.leases().iter(), true, after(19));
        assert_eq!(due, [(LEASE, Renewal(2))]);
    }

    #[test]
    fn a_lease_that_is_granted_again_has_its_whole_time() {
        let (clock, mut kv, start) = (LeaseClock::default(), granted(10), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(clock.look(kv.leases().iter(), true, after(0)), []);
        kv.apply(&Command::Revoke { lease: LEASE });
        let ttl = Ttl(10);
        kv.apply(&Command::Grant { lease: LEASE, ttl });
        assert_eq!(clock.look(kv.leases().iter(), true, after(9)), []);
        assert_eq!(clock.look(kv.leases().iter(), true, after(18)), []);
        let due = clock.look(kv.leases().iter(), true, after(19));
        assert_eq!(due, [(LEASE, Renewal(2))]);
    }

    #[test]
    fn only_a_leader_ends_leases_and_counts_anew_when_elected() {
        let (clock, kv, start) = (LeaseClock::default(), granted(10), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        for seconds in [0, 30] {
            let due = clock.look(kv.leases().iter(), false, after(seconds));
            assert_eq!(due, [], "after {seconds} s");
        }
        assert_eq!(clock.look(kv.leases().iter(), true, after(31)), []);
        assert_eq!(clock.look(kv.leases().iter(), true, after(40)), []);
        let due = clock.look(kv.leases().iter(), true, after(41));
        assert_eq!(due, [(LEASE, Renewal(1))]);
    }
}
