//! Recordings, stepped again.

use std::sync::mpsc::Sender;
use std::time::Duration;

use lockstep::runtime::driver::{Recorded, Recorder};
use models::{Effect, Input, Node, Outbox, Protocol};

use super::tally::{Record, Tallies, Tally};

/// A recorder that shows what it sees.
pub(crate) struct Showing(pub(crate) Sender<Recorded<Tally>>);

impl Recorder<Tally> for Showing {
    fn booted(&mut self, at: Duration, durable: &Tallies, effects: &[Effect<Tally>]) {
        let (durable, effects) = (durable.clone(), effects.to_vec());
        // A test that is over does not care for what still happens.
        drop(self.0.send(Recorded::Booted {
            at,
            durable,
            effects,
        }));
    }

    fn stepped(
        &mut self,
        at: Duration,
        input: &Input<Tally>,
        records: &[Record],
        effects: &[Effect<Tally>],
    ) {
        let (input, records, effects) = (input.clone(), records.to_vec(), effects.to_vec());
        drop(self.0.send(Recorded::Stepped {
            at,
            input,
            records,
            effects,
        }));
    }

    fn flush(&mut self) {}
}

/// Steps the inputs of a recording of `tally`, and asserts that the same comes of them.
/// Returns what is remembered at the end.
pub(crate) fn replay(tally: Tally, recording: Vec<Recorded<Tally>>) -> Tallies {
    let mut out = Outbox::new();
    let mut node = Node::boot(&tally, Default::default(), &mut out);
    for entry in recording {
        match entry {
            Recorded::Booted {
                durable, effects, ..
            } => {
                out = Outbox::new();
                node = Node::boot(&tally, durable, &mut out);
                assert_eq!(out.effects(), effects);
            }
            Recorded::Stepped {
                input,
                records,
                effects,
                ..
            } => {
                let _: Vec<_> = out.drain().collect();
                tally.step(&mut node, input, &mut out);
                assert_eq!(
                    (node.take_records(), out.effects()),
                    (records, effects.as_slice())
                );
            }
        }
    }
    node.into_durable()
}
