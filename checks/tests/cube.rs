//! The native engine's breadth-first search, on a cube of which all is known.

use std::num::NonZero;

use checks::engine::native::bfs::{Walked, walk};
use checks::engine::native::space::{Breach, Marks, Sink, Space};
use checks::engine::native::visited::Fingerprint;
use checks::engine::{Limits, Stop};
use checks::progress::Progress;

/// The corners of a cube of so many dimensions: from each, one step along each. A corner's bytes
/// tell along which it was found, and so does the tally: whoever finds it first must always be the
/// same.
struct Cube {
    dimensions: u32,
    /// How many bytes a corner takes.
    width: usize,
    /// From here no step may be taken.
    forbidden: Option<u32>,
}

impl Cube {
    fn add(&self, corner: u32, along: u32, sink: &mut Sink<'_>) {
        let spread = u64::from(corner + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let fingerprint = Fingerprint::new(spread);
        if self.forbidden == Some(corner) {
            let (property, panic) = ("no such corner", None);
            sink.broken(Breach { property, panic });
        } else if sink.is_new(fingerprint) {
            let marks = Marks::from(corner == 5);
            sink.add(fingerprint, marks, |bytes| {
                bytes.extend(corner.to_le_bytes());
                bytes.extend(along.to_le_bytes());
                bytes.resize(bytes.len() + self.width - 8, 0);
            });
        } else {
            sink.pass();
        }
    }
}

impl Space for Cube {
    type Worker = ();

    fn worker(&self) {}

    fn begin(&self, (): &mut (), sink: &mut Sink<'_>) {
        self.add(0, 0, sink);
    }

    fn expand(&self, (): &mut (), states: &mut &[u8], sink: &mut Sink<'_>) {
        let (corner, rest) = states.split_at(self.width);
        *states = rest;
        let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| corner[at + byte]));
        let (corner, along) = (number(0), number(4));
        for dimension in 0..self.dimensions {
            sink.count((along * self.dimensions + dimension) as usize);
            self.add(corner ^ (1 << dimension), dimension, sink);
            if sink.is_broken() {
                return;
            }
        }
    }
}

const SMALL: Cube = Cube {
    dimensions: 15,
    width: 8,
    forbidden: None,
};

fn on(threads: usize) -> Limits {
    Limits {
        threads: NonZero::new(threads).expect("a thread"),
        ..Limits::none()
    }
}

fn walked(cube: &Cube, limits: &Limits) -> Walked {
    walk(cube, limits, &Progress::default())
}

#[test]
fn every_corner_is_visited_once() {
    for threads in 1..=3 {
        let walked = walked(&SMALL, &on(threads));
        assert_eq!(walked.unique, 1 << 15);
        assert_eq!(walked.generated, 1 + (15 << 15));
        assert_eq!((walked.depth, walked.marks), (15, 1));
        // The first corner, and those found along a dimension from those without any beyond it.
        let found = |along: u32| (1 << along) + u64::from(along == 0);
        let expected: Vec<u64> = (0..15 * 15).map(|kind| found(kind / 15)).collect();
        assert_eq!(walked.tally, expected);
        assert!(walked.breach.is_none() && walked.stopped.is_none());
    }
}

/// The way to what is broken is a shortest one, and always the same; so is what was seen
/// until then.
#[test]
fn the_way_to_a_breach_does_not_depend_on_the_threads() {
    let cube = Cube {
        forbidden: Some(0b101_1011_0111_0011),
        ..SMALL
    };
    let expected = walked(&cube, &on(1));
    let (breach, path) = expected.breach.as_ref().expect("a breach");
    assert_eq!(breach.property, "no such corner");
    assert_eq!(path.len(), 10);
    let end = path.iter().fold(0, |corner, step| corner ^ (1 << step));
    assert_eq!(Some(end), cube.forbidden);
    for threads in [2, 3] {
        let walked = walked(&cube, &on(threads));
        assert_eq!(walked.breach, expected.breach);
        assert_eq!(walked.unique, expected.unique);
        assert_eq!(walked.generated, expected.generated);
        assert_eq!(walked.tally, expected.tally);
    }
}

/// Where memory is short the states wait in a file, and nothing else is different.
#[test]
fn what_does_not_fit_in_memory_waits_in_a_file() {
    let wide = Cube {
        width: 512,
        ..SMALL
    };
    let memory = 2 << 20;
    let limits = Limits {
        memory: Some(memory),
        ..on(2)
    };
    let (short, ample) = (walked(&wide, &limits), walked(&wide, &on(2)));
    assert!(ample.most_waiting > memory, "it would not have fitted");
    assert!(short.most_waiting <= 2 * memory, "{}", short.most_waiting);
    assert_eq!(short.stopped, None);
    assert_eq!((short.unique, short.depth), (ample.unique, ample.depth));
    assert_eq!(short.generated, ample.generated);
}

/// A run that cannot even remember what it has visited says so.
#[test]
fn a_run_whose_visited_states_do_not_fit_stops() {
    let limits = Limits {
        memory: Some(200_000),
        ..on(1)
    };
    let walked = walked(&SMALL, &limits);
    assert_eq!(walked.stopped, Some(Stop::Memory));
    assert!(walked.unique > 1000 && walked.unique < 1 << 15);
}
