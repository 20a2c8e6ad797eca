//! A state of 16 bytes with nothing to compute and nothing to check: what an engine itself takes.

use checks::engine::Limits;
use checks::engine::native::bfs;
use checks::engine::native::space::{Sink, Space};
use checks::engine::native::visited::Fingerprint;
use checks::progress::Progress;
use stateright::{Checker, Model, Property};

/// Two counters from 0 up to `side`: each step counts one of them up, or both.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// Below which the counters stay.
    pub side: u64,
}

/// The counters.
type Counters = (u64, u64);

/// Which counters are counted up.
const STEPS: [Counters; 3] = [(1, 0), (0, 1), (1, 1)];

impl Grid {
    /// How many states there are.
    pub fn states(self) -> u64 {
        self.side * self.side
    }

    /// Walks all states with our engine.
    ///
    /// # Panics
    /// If it does not see them all.
    pub fn walk(self, limits: &Limits) {
        let walked = bfs::walk(&self, limits, &Progress::default());
        assert_eq!(walked.unique, self.states());
    }

    /// Walks all states with Stateright's breadth-first search, or its depth-first one.
    ///
    /// # Panics
    /// If it does not see them all.
    pub fn walk_with_stateright(self, limits: &Limits, depth_first: bool) {
        let builder = self.checker().threads(limits.threads.get());
        let unique = if depth_first {
            builder.spawn_dfs().join().unique_state_count()
        } else {
            builder.spawn_bfs().join().unique_state_count()
        };
        assert_eq!(unique as u64, self.states());
    }

    fn after(self, (a, b): Counters) -> impl Iterator<Item = Counters> {
        let next = STEPS.into_iter().map(move |(x, y)| (a + x, b + y));
        next.filter(move |&(a, b)| a < self.side && b < self.side)
    }
}

fn fingerprint((a, b): Counters) -> Fingerprint {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0x2545_f491_4f6c_dd1d);
    let mixed = (product as u64 ^ (product >> 64) as u64).wrapping_mul(0xd6e8_feb8_6659_fd93);
    Fingerprint::new(mixed)
}

fn add((a, b): Counters, sink: &mut Sink<'_>) {
    let fingerprint = fingerprint((a, b));
    if sink.is_new(fingerprint) {
        sink.add(fingerprint, 0, |bytes| {
            bytes.extend(a.to_le_bytes());
            bytes.extend(b.to_le_bytes());
        });
    } else {
        sink.pass();
    }
}

impl Space for Grid {
    type Worker = ();

    fn worker(&self) {}

    fn begin(&self, (): &mut (), sink: &mut Sink<'_>) {
        add((0, 0), sink);
    }

    fn expand(&self, (): &mut (), states: &mut &[u8], sink: &mut Sink<'_>) {
        let mut number = || {
            let (first, rest) = states
                .split_first_chunk()
                .expect("two numbers were written");
            *states = rest;
            u64::from_le_bytes(*first)
        };
        let counters = (number(), number());
        sink.prepare(self.after(counters).map(fingerprint));
        for next in self.after(counters) {
            add(next, sink);
        }
    }
}

impl Model for Grid {
    type State = Counters;
    type Action = Counters;

    fn init_states(&self) -> Vec<Counters> {
        vec![(0, 0)]
    }

    fn actions(&self, state: &Counters, actions: &mut Vec<Counters>) {
        actions.extend(self.after(*state));
    }

    fn next_state(&self, _: &Counters, next: Counters) -> Option<Counters> {
        Some(next)
    }

    // Without a property Stateright looks at one state.
    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(
            "in the grid",
            |grid: &Self, state: &Counters| state.0 < grid.side && state.1 < grid.side,
        )]
    }
}
