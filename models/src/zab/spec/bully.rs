//! What keeps Bully's elections from going on for ever.

use crate::bully::Number;
use crate::bully::election::{State, Timer};
use crate::protocol::NodeId;
use crate::zab::bully::Bully;
use crate::zab::history::Recency;
use crate::zab::zxid::Epoch;

use super::Bounded;

impl Bounded for Bully {
    /// The last election that a node which waits in vain may go beyond.
    type Bounds = Number;

    fn permits(last: &Number, _: NodeId, _: Epoch, state: &State<Recency>, timer: &Timer) -> bool {
        match timer {
            Timer::Okay => true,
            Timer::Coordinator => state.election < *last,
        }
    }
}
