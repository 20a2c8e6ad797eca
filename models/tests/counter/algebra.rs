//! Shapiro et al. 2011, §2.2.1 and Specification 6: states form a join-semilattice, updates
//! are inflationary. Of any states, not only those that a world comes to. Failing cases print
//! their seed.

use models::NodeId;
use models::counter::counts::Counts;
use models::counter::g_counter::{DataCentre, GCounter, Incarnation, Overflow, ReplicaId};
use models::counter::window::{Bucket, Buckets, Window};
use proptest::prelude::*;

fn replica() -> impl Strategy<Value = ReplicaId> {
    (0..2u16, 0..3u16, 0..2u64).prop_map(|(data_centre, node, incarnation)| ReplicaId {
        data_centre: DataCentre(data_centre),
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
    })
}

fn counter() -> impl Strategy<Value = GCounter> {
    let count = prop_oneof![0..4u64, Just(u64::MAX), any::<u64>()];
    proptest::collection::vec((replica(), count), 0..6).prop_map(GCounter::from_iter)
}

fn counts() -> impl Strategy<Value = Counts> {
    let bucket = (0..3u64, 1..3u64).prop_map(|(place, width)| Bucket {
        start: place * width,
        width,
    });
    let buckets = proptest::collection::vec((bucket, counter()), 0..4);
    (counter(), buckets.prop_map(Buckets::from_iter)).prop_map(|(total, buckets)| Counts {
        total,
        buckets,
        ..Counts::default()
    })
}

fn merged(a: &Counts, b: &Counts) -> Counts {
    let mut both = a.clone();
    both.merge(b);
    both
}

proptest! {
    #[test]
    fn merge_is_associative(a in counts(), b in counts(), c in counts()) {
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
    }

    #[test]
    fn merge_is_commutative(a in counts(), b in counts()) {
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
    }

    #[test]
    fn merge_is_idempotent(a in counts()) {
        prop_assert_eq!(merged(&a, &a), a);
    }

    /// It is an upper bound of both, and below every other.
    #[test]
    fn merge_is_the_least_upper_bound(a in counts(), b in counts(), c in counts()) {
        let both = merged(&a, &b);
        prop_assert!(both.includes(&a) && both.includes(&b));
        let bound = merged(&both, &c);
        prop_assert!(bound.includes(&both));
        prop_assert_eq!(both == a, a.includes(&b));
    }

    /// Merging is monotone: who knows more knows no less when both have learned the same.
    #[test]
    fn merge_is_monotone(a in counts(), b in counts(), c in counts()) {
        let more = merged(&a, &b);
        prop_assert!(merged(&more, &c).includes(&merged(&a, &c)));
        prop_assert!(more.total.value() >= a.total.value());
    }

    /// To let buckets expire and then to merge is to merge and then to let them expire: replicas
    /// whose clocks agree agree on the window, whoever lets go first.
    #[test]
    fn expiry_and_merge_commute(a in counts(), b in counts(), horizon in 0..5u64) {
        let live = |counts: &Counts| Counts {
            total: counts.total.clone(),
            buckets: counts.buckets.only(|bucket| bucket.start >= horizon),
            ..Counts::default()
        };
        prop_assert_eq!(live(&merged(&a, &b)), merged(&live(&a), &live(&b)));
    }

    /// A window's value is the sum of its buckets and of no other, and grows with what is known.
    #[test]
    fn a_window_is_the_sum_of_its_buckets(a in counts(), b in counts(), now in 0..7u64) {
        let window = Window::new(1, 3);
        let since = window.start_at(now);
        let value = |counts: &Counts| counts.buckets.value(window, since, now);
        let sum: u128 = a
            .components()
            .filter_map(|(bucket, _, count)| Some((bucket?, count)))
            .filter(|(bucket, _)| bucket.width == 1)
            .filter(|(bucket, _)| (now.saturating_sub(2)..=now).contains(&bucket.start))
            .map(|(_, count)| u128::from(count))
            .sum();
        prop_assert_eq!(value(&a), sum);
        prop_assert!(value(&merged(&a, &b)) >= value(&a));
    }

    #[test]
    fn merge_never_lowers_the_value(a in counts(), b in counts()) {
        let value = merged(&a, &b).total.value();
        prop_assert!(value >= a.total.value() && value >= b.total.value());
    }

    /// "update increment" is an inflation, by exactly the amount; or nothing happens.
    #[test]
    fn an_increment_adds_its_amount(a in counter(), who in replica(), amount in any::<u64>()) {
        let mut after = a.clone();
        match after.increment(who, amount) {
            Ok(_) => {
                prop_assert!(after.includes(&a));
                prop_assert_eq!(after.value(), a.value() + u128::from(amount));
            }
            Err(Overflow) => {
                prop_assert!(a.count(who).checked_add(amount).is_none());
                prop_assert_eq!(after, a);
            }
        }
    }

    /// Almeida et al. 2018: m(X) = X ⊔ mᵟ(X).
    #[test]
    fn a_delta_does_what_the_increment_did(a in counter(), who in replica(), amount in 0..9u64) {
        let mut after = a.clone();
        if let Ok(delta) = after.increment(who, amount) {
            let mut joined = a;
            joined.merge(&delta);
            prop_assert_eq!(joined, after);
        }
    }

    /// Shapiro et al. 2011, §2.2.1: replicas that have been told the same are the same, however
    /// they were told: all deltas in any order and any number of times, or whole states.
    #[test]
    fn deltas_in_any_order_do_what_whole_states_do(
        increments in proptest::collection::vec((0..3u16, 0..9u64), 0..8),
        order in proptest::collection::vec(any::<proptest::sample::Index>(), 0..16),
    ) {
        let name = |node| ReplicaId { node: NodeId(node), ..ReplicaId::default() };
        let mut replicas = <[GCounter; 3]>::default();
        let mut deltas = Vec::new();
        for &(node, amount) in &increments {
            let replica = &mut replicas[usize::from(node)];
            deltas.push(replica.increment(name(node), amount).expect("small amounts"));
        }
        let mut whole = GCounter::default();
        replicas.iter().for_each(|replica| whole.merge(replica));
        let mut told = GCounter::default();
        let again = order.iter().filter(|_| !deltas.is_empty()).map(|index| index.get(&deltas));
        again.chain(deltas.iter().rev()).for_each(|delta| told.merge(delta));
        prop_assert_eq!(&told, &whole);
        let sum: u64 = increments.iter().map(|(_, amount)| amount).sum();
        prop_assert_eq!(whole.value(), u128::from(sum));
    }

    /// What one is ahead of the other by is all that the other needs, and nothing else.
    #[test]
    fn a_difference_does_what_the_state_would(a in counts(), b in counts()) {
        let difference = a.difference(&b);
        prop_assert_eq!(merged(&b, &difference), merged(&b, &a));
        prop_assert_eq!(difference.difference(&b), difference.clone());
        prop_assert_eq!(difference.is_empty(), b.includes(&a));
    }

    /// What comes over the wire, in whatever order and however often, is in normal form.
    #[test]
    fn what_is_read_is_in_normal_form(
        components in proptest::collection::vec((replica(), 0..4u64), 0..8),
    ) {
        let text = serde_json::to_string(&components).expect("JSON");
        let read: GCounter = serde_json::from_str(&text).expect("a counter");
        prop_assert!(read.components().all(|(_, count)| count > 0));
        let back = serde_json::to_string(&read).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<GCounter>(&back).expect("a counter"), read);
    }
}

/// Components of 64 bits each have a sum that does not fit them.
#[test]
fn a_value_may_exceed_64_bits() {
    let name = |node| ReplicaId {
        node: NodeId(node),
        ..ReplicaId::default()
    };
    let full = GCounter::from_iter([(name(0), u64::MAX), (name(1), u64::MAX)]);
    assert_eq!(full.value(), 2 * u128::from(u64::MAX));
}
