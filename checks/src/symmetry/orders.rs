//! The orders in which things may come.

/// All orders of so many things; the first is that of their numbers.
pub(super) fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = vec![(0..count).collect()];
    // Each in turn changes places with itself or one of those before it.
    for position in 1..count {
        let swapped = all.iter().flat_map(|order| {
            (0..position).map(|other| {
                let mut order = order.clone();
                order.swap(position, other);
                order
            })
        });
        let swapped: Vec<Vec<usize>> = swapped.collect();
        all.extend(swapped);
    }
    all
}

/// How many orders there are of so many things; as many as can be counted, if there are more.
pub(super) fn count(things: usize) -> usize {
    (1..=things).fold(1, usize::saturating_mul)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_orders_are_different_and_the_plain_one_comes_first() {
        for things in 0..=5 {
            let orders = orders(things);
            assert_eq!(orders.len(), count(things));
            assert!(orders[0].is_sorted());
            let different: BTreeSet<&Vec<usize>> = orders.iter().collect();
            assert_eq!(different.len(), orders.len());
        }
        assert_eq!(count(1000), usize::MAX);
    }
}
