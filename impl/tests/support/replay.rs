//! Recordings, stepped again.

use std::sync::mpsc::Sender;
use std::time::Duration;

use lockstep::runtime::recording::{Recorded, Recorder};
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

    fn flush(&mut self, _: Duration, _: &Node<Tally>) {}
}

/// Steps the inputs of a recording, and asserts that the same comes of them. Returns the node as it
/// is at the end.
pub(crate) fn replay<P: Protocol>(protocol: &P, recording: Vec<Recorded<P>>) -> Node<P> {
    let mut node = None;
    for entry in recording {
        let mut out = Outbox::new();
        match entry {
            Recorded::Booted {
                durable, effects, ..
            } => {
                node = Some(Node::boot(protocol, durable, &mut out));
                assert_eq!(out.effects(), effects);
            }
            Recorded::Continued {
                durable, volatile, ..
            } => {
                let mut continued = Node::boot(protocol, durable, &mut out);
                continued.volatile = volatile;
                node = Some(continued);
            }
            Recorded::Stepped {
                input,
                records,
                effects,
                ..
            } => {
                let node = node.as_mut().expect("it has begun");
                protocol.step(node, input, &mut out);
                assert_eq!(
                    (node.take_records(), out.effects()),
                    (records, effects.as_slice())
                );
            }
        }
    }
    node.expect("something was recorded")
}
