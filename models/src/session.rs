//! Client sessions: a command is applied at most once, however often it is retried (Raft §8;
//! Ongaro's thesis §6.3).

use alloc::collections::BTreeMap;
use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

/// Identifies a client's session. Unique among the clients of a cluster.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ClientId(pub u64);

/// The number of a request within its session. A client numbers its requests upwards, and
/// asks the next only when it has the reply to the last or has given it up.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Sequence(pub u64);

/// Which request of which client. A retry bears the id of the first try.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct RequestId {
    /// The client.
    pub client: ClientId,
    /// The number of the request in the client's session.
    pub sequence: Sequence,
}

impl Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}#{}", self.client.0, self.sequence.0)
    }
}

/// The session table: for each client the last command applied and its response. It is a
/// function of the log alone, so every replica has the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sessions<R> {
    last: BTreeMap<ClientId, (Sequence, R)>,
}

impl<R> Default for Sessions<R> {
    fn default() -> Self {
        Self {
            last: BTreeMap::new(),
        }
    }
}

/// What the session table knows of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<'a, R> {
    /// Not applied yet.
    New,
    /// Applied, with this response: a retry gets it again.
    Applied(&'a R),
    /// Older than the client's last applied command: its response is gone, and the client
    /// no longer waits for it.
    Superseded,
}

impl<R> Sessions<R> {
    /// Looks up `request`.
    pub fn find(&self, request: RequestId) -> Known<'_, R> {
        match self.last.get(&request.client) {
            Some((sequence, response)) if *sequence == request.sequence => Known::Applied(response),
            Some((sequence, _)) if *sequence > request.sequence => Known::Superseded,
            _ => Known::New,
        }
    }

    /// Remembers the response to `request`, and forgets that to the client's request before.
    pub(crate) fn record(&mut self, request: RequestId, response: R) {
        self.last
            .insert(request.client, (request.sequence, response));
    }
}
