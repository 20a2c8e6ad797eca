//! Real time: with durations that [`Times::check`] approves of, a node gives up before it is given
//! up, whatever is lost or late. One orchestrator, one member, and a clock by hand, in
//! nanoseconds.

use std::collections::BTreeMap;
use std::time::Duration;

use models::maekawa::message::Message;
use models::maekawa::{BadTimes, Event, Maekawa, Timer, Times};
use models::{Effect, NodeId};
use proptest::prelude::*;

use super::bench::*;

const DELAY: u64 = 90_000_000;

/// A second between health checks, clocks that drift by a thousandth, messages that take 90 ms.
fn times(lease: Duration) -> Times {
    Times {
        health_check: Duration::from_secs(1),
        lease,
        delay: Duration::from_nanos(DELAY),
        drift: 1_000,
    }
}

fn node() -> Maekawa {
    Maekawa::new(NodeId(1), NodeId(0))
}

/// The longest lease that is approved of.
fn longest() -> Duration {
    match times(Duration::MAX).check(&node()) {
        Err(BadTimes::LeaseTooLong { longest }) => longest,
        other => panic!("{other:?}"),
    }
}

/// What becomes of a message: `None` if it is lost, else how long it takes.
type Fate = Option<u64>;

/// Who found out first that the two do not hear each other.
#[derive(Debug, PartialEq)]
enum First {
    /// The member has given up.
    Member,
    /// The orchestrator has given up a member that still has its lease.
    Orchestrator,
}

struct Race {
    orchestrator: Bench,
    member: Bench,
    now: u64,
    lease: u64,
    lease_ends: u64,
    under_way: BTreeMap<(u64, usize), (u16, Message)>,
    sent: usize,
    fates: std::vec::IntoIter<Fate>,
    always_renews: bool,
}

impl Race {
    /// The member has been installed at 0, and heard of it as late as can be. Its clock is as
    /// slow as can be.
    fn new(lease: Duration, fates: Vec<Fate>, always_renews: bool) -> Self {
        let lease = u64::try_from(lease.as_nanos()).expect("not so long");
        let lease = lease * 1_000_000 / 999_000;
        Self {
            orchestrator: Bench::orchestrator(1),
            member: Bench::member(1, 1),
            now: 0,
            lease,
            lease_ends: DELAY + lease,
            under_way: BTreeMap::new(),
            sent: 0,
            fates: fates.into_iter(),
            always_renews,
        }
    }

    /// Runs to the end, with a first health check at `first`, on a clock as fast as can be. What
    /// has no fate is lost.
    fn run(mut self, first: u64) -> First {
        let pause = (1_000_000_000_u64 * 1_000).div_ceil(1_001);
        let mut check = first;
        loop {
            let arrives = self.under_way.first_key_value().map(|(&key, _)| key);
            match arrives.filter(|(at, _)| *at < check.min(self.lease_ends)) {
                Some(key) => self.arrive(key),
                None if check <= self.lease_ends => {
                    self.now = check;
                    check += pause;
                    let effects = self.orchestrator.fire(Timer::HealthCheck);
                    let given_up = Effect::Emit(Event::Suspected { node: NodeId(1) });
                    if effects.contains(&given_up) {
                        return First::Orchestrator;
                    }
                    self.send(1, effects);
                }
                None => {
                    self.member.fire(Timer::Lease);
                    assert!(!self.member.is_member());
                    return First::Member;
                }
            }
        }
    }

    fn arrive(&mut self, key: (u64, usize)) {
        let (to, mut message) = self.under_way.remove(&key).expect("under way");
        self.now = key.0;
        if let (Message::Ping { renews, .. }, true) = (&mut message, self.always_renews) {
            *renews = true;
        }
        if to == 0 {
            self.orchestrator.deliver(1, message);
            return;
        }
        let effects = self.member.deliver(0, message);
        if effects.contains(&Effect::Arm(Timer::Lease)) {
            self.lease_ends = self.now + self.lease;
        }
        self.send(0, effects);
    }

    fn send(&mut self, to: u16, effects: Effects) {
        for effect in effects {
            if let Effect::Send { message, .. } = effect
                && let Some(delay) = self.fates.next().flatten()
            {
                self.sent += 1;
                let key = (self.now + delay, self.sent);
                self.under_way.insert(key, (to, message));
            }
        }
    }
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let delay = prop_oneof![Just(0), Just(DELAY), 0..=DELAY];
    proptest::collection::vec(proptest::option::of(delay), 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is lost or late, and in whatever phase the health checks are.
    #[test]
    fn a_member_gives_up_first(fates in fates(), phase in 1..1_000_000_000_u64) {
        let first = Race::new(longest(), fates, false).run(phase);
        prop_assert_eq!(first, First::Member);
    }
}

/// A member that hears, and is not heard: of all there is between them only the answers are lost.
fn one_way() -> Vec<Fate> {
    [Some(DELAY), None].repeat(12)
}

/// It gives up all the same. If each health check renewed its lease it would not.
#[test]
fn who_is_not_heard_gives_up_although_it_hears() {
    let race = |always_renews| Race::new(longest(), one_way(), always_renews).run(1);
    assert_eq!(race(false), First::Member);
    assert_eq!(race(true), First::Orchestrator);
}

/// The longest lease is the longest: what is a little longer is too long.
#[test]
fn a_longer_lease_is_too_long() {
    let last_heard = vec![Some(DELAY)];
    let race = |lease| Race::new(lease, last_heard.clone(), false).run(1);
    assert_eq!(race(longest()), First::Member);
    let longer = longest() + Duration::from_millis(2);
    assert_eq!(race(longer), First::Orchestrator);
}

/// Who hears and is heard never gives up, be its lease the shortest that is approved of.
#[test]
fn a_lease_does_not_run_out_between_health_checks() {
    let Err(BadTimes::LeaseTooShort { shortest }) = times(Duration::ZERO).check(&node()) else {
        panic!("too short");
    };
    assert_eq!(times(shortest).check(&node()), Ok(()));
    let on_a_fast_clock = shortest.as_secs_f64() / 1.001;
    let pause = 1.0 / 0.999 + 0.090;
    assert!((pause..pause + 0.001).contains(&on_a_fast_clock));
}

/// What is wrong is said, with what would be right.
#[test]
fn bad_durations_are_refused() {
    let lease = Duration::from_millis(2_500);
    assert_eq!(times(lease).check(&node()), Ok(()));
    let mut hasty = node();
    hasty.misses = 1;
    assert_eq!(times(lease).check(&hasty), Err(BadTimes::TooFewMisses));
    let slow = Times {
        delay: Duration::from_millis(600),
        ..times(lease)
    };
    let Err(BadTimes::HealthCheckTooShort { shortest }) = slow.check(&node()) else {
        panic!("too short");
    };
    assert!(shortest > Duration::from_millis(1_200));
    let words = times(Duration::from_secs(3))
        .check(&node())
        .map_err(|bad| bad.to_string());
    assert_eq!(
        words,
        Err(
            "the lease is so long that a holder may be given up while it has it, and another \
             enter; it may be 2.904095903s at most"
                .to_owned()
        )
    );
}

/// Nothing overflows, however absurd the durations.
#[test]
fn absurd_durations_are_judged_too() {
    for (health_check, delay, drift) in [
        (Duration::MAX, Duration::MAX, u32::MAX),
        (Duration::ZERO, Duration::MAX, 0),
        (Duration::MAX, Duration::ZERO, u32::MAX),
        (Duration::ZERO, Duration::ZERO, 0),
    ] {
        let times = Times {
            health_check,
            lease: Duration::from_secs(1),
            delay,
            drift,
        };
        assert!(times.check(&node()).is_err(), "{times:?}");
    }
}
