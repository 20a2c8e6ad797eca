//! SWIM's timers: each once, in the order in which they are due.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::member::Member;

/// What is to happen, and when.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    due: BTreeMap<Instant, Vec<foca::Timer<Member>>>,
}

impl Schedule {
    pub(crate) fn add(&mut self, at: Instant, timer: foca::Timer<Member>) {
        self.due.entry(at).or_default().push(timer);
    }

    /// When the next is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.keys().next().copied()
    }

    /// Those that are due by now. In the order in which they became due, and of those that became due
    /// at the same time in that which `foca` wants; for this process may have been held up.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<foca::Timer<Member>> {
        let mut taken = Vec::new();
        while let Some(entry) = self.due.first_entry().filter(|entry| *entry.key() <= now) {
            let mut timers = entry.remove();
            timers.sort();
            taken.extend(timers);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use foca::Timer;

    use super::*;

    #[test]
    fn timers_come_when_they_are_due_and_in_order() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut schedule = Schedule::default();
        schedule.add(at(20), Timer::PeriodicGossip(2));
        schedule.add(at(10), Timer::PeriodicGossip(1));
        schedule.add(at(10), Timer::ProbeRandomMember(1));
        schedule.add(at(30), Timer::PeriodicGossip(3));
        assert_eq!(schedule.next(), Some(at(10)));
        assert_eq!(schedule.take(at(9)), []);
        let due = schedule.take(at(25));
        assert_eq!(
            due,
            [
                Timer::ProbeRandomMember(1),
                Timer::PeriodicGossip(1),
                Timer::PeriodicGossip(2)
            ]
        );
        assert_eq!(schedule.next(), Some(at(30)));
    }
}
