//! Client sessions: a command is applied at most once, however often it is retried (Raft §8;
//! Ongaro's thesis §6.3).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

/// A position in the order of all commands applied: after so many of them. A function of the
/// log, so the same on every replica.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

/// Identifies a client's session. Unique among the sessions of a cluster.
///
/// A session begins with its first command; nobody is asked for it beforehand. Replicas forget
/// sessions in the end, and must not take the retry of a session that they have forgotten for
/// the first command of a new one. So a session says since when it has been: *its client knew
/// of this position before it asked for anything*. A client that knows of none says 0, which
/// serves until the cluster first forgets a session; then it is told a position to begin at.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ClientId {
    /// The client's number.
    pub number: u64,
    /// Every command of this session is applied after this position.
    pub since: Position,
}

impl ClientId {
    /// A session of the client of this number, which may have been at any time.
    pub fn new(number: u64) -> Self {
        Self {
            number,
            since: Position(0),
        }
    }

    /// Another session of the same client, which begins after `since`. Unlike the one before
    /// if `since` is what the client was told when that had expired.
    pub fn anew(self, since: Position) -> Self {
        Self { since, ..self }
    }
}

impl Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.since {
            Position(0) => write!(f, "c{}", self.number),
            Position(since) => write!(f, "c{}@{since}", self.number),
        }
    }
}

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
        write!(f, "{}#{}", self.client, self.sequence.0)
    }
}

/// The session table: for each session the last command applied and its response. It is a
/// function of the log alone, so every replica has the same.
///
/// A table that may not grow without end must forget sessions, and every replica the same at
/// the same place of the log: one that had forgotten a session by itself would apply a retry
/// that the others don't (thesis §6.3). So forgetting is a command of the log too, and
/// what it forgets is told by the order of the log: the sessions whose last command lies furthest
/// back. Of them all one number remains, the *horizon*: a session that is not in the table and
/// begins before it may be one of them; one that begins after it is new.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sessions<R> {
    applied: Position,
    horizon: Position,
    #[serde(
        with = "crate::pairs",
        bound(serialize = "R: Serialize", deserialize = "R: Deserialize<'de>")
    )]
    last: BTreeMap<ClientId, Last<R>>,
}

/// The last command of a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Last<R> {
    sequence: Sequence,
    response: R,
    /// Where it was applied.
    at: Position,
}

impl<R> Default for Sessions<R> {
    fn default() -> Self {
        Self {
            applied: Position(0),
            horizon: Position(0),
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
    /// Its session is not known any more, if it ever was: whether it was applied is forgotten,
    /// and it never will be again.
    Expired,
}

impl<R> Sessions<R> {
    /// Looks up `request`.
    pub fn find(&self, request: RequestId) -> Known<'_, R> {
        match self.last.get(&request.client) {
            Some(last) if last.sequence == request.sequence => Known::Applied(&last.response),
            Some(last) if last.sequence > request.sequence => Known::Superseded,
            Some(_) => Known::New,
            None if request.client.since < self.horizon => Known::Expired,
            // Had it been applied, then after `since`; and had it been forgotten since, the
            // horizon would not be before that.
            None => Known::New,
        }
    }

    /// Remembers the response to `request`, and forgets that to the client's request before.
    pub(crate) fn record(&mut self, request: RequestId, response: R) {
        self.applied.0 += 1;
        let last = Last {
            sequence: request.sequence,
            response,
            at: self.applied,
        };
        self.last.insert(request.client, last);
    }

    /// Forgets the sessions whose last command was applied at `through` or before.
    pub(crate) fn expire(&mut self, through: Position) {
        self.last.retain(|_, last| last.at > through);
        self.horizon = self.horizon.max(through);
    }

    /// Where to expire sessions so that no more than `kept` are left, those with the latest
    /// commands; none if there are no more than that.
    pub(crate) fn excess(&self, kept: usize) -> Option<Position> {
        let excess = self.last.len().checked_sub(kept)?.checked_sub(1)?;
        let mut ends: Vec<Position> = self.last.values().map(|last| last.at).collect();
        ends.sort_unstable();
        ends.get(excess).copied()
    }

    /// The sessions that are remembered, each with the number of its last command, the place where
    /// that was applied, and its response.
    pub fn iter(&self) -> impl Iterator<Item = (ClientId, Sequence, Position, &R)> {
        { self.last.iter() }.map(|(&client, last)| (client, last.sequence, last.at, &last.response))
    }

    /// How many sessions are remembered.
    pub fn len(&self) -> usize {
        self.last.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// How many commands have been applied: a session that begins here is new.
    pub fn position(&self) -> Position {
        self.applied
    }

    /// A session that is not remembered and begins before this position has expired, or may
    /// have.
    pub fn horizon(&self) -> Position {
        self.horizon
    }
}
