//! What a node counts of its clients' requests.

use prometheus_client::metrics::counter::Counter;

/// Of requests to increment, since the node was started.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Counted.
    pub(crate) counted: Counter,
    /// Counted before, by an earlier try.
    pub(crate) repeated: Counter,
    /// Not counted.
    pub(crate) refused: Counter,
}
