//! The log of connections that were turned away: a line a second for each kind, however many
//! strangers knock.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::handshake::HandshakeError;
use crate::runtime::throttle::Throttle;

/// How often the same kind is logged at most.
pub(super) const LOG_PERIOD: Duration = Duration::from_secs(1);

const KINDS: [&str; 6] = [
    "connection failed",
    "no handshake in time",
    "malformed handshake",
    "refused by the caller",
    "refused here",
    "evicted",
];

/// Why a connection was turned away, without its particulars.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Io,
    TimedOut,
    Malformed,
    RefusedByPeer,
    RefusedHere,
    Evicted,
}

/// What has been logged of each kind.
#[derive(Debug)]
pub(super) struct TurnedAway([Throttle; KINDS.len()]);

impl TurnedAway {
    pub(super) fn new() -> Self {
        Self(KINDS.map(|_| Throttle::new(LOG_PERIOD)))
    }

    /// A handshake has failed.
    pub(super) fn failed(&self, caller: Option<SocketAddr>, error: &HandshakeError) {
        let kind = match error {
            HandshakeError::Io(_) => Kind::Io,
            HandshakeError::TimedOut => Kind::TimedOut,
            HandshakeError::Malformed(_) => Kind::Malformed,
            HandshakeError::RefusedByPeer(_) => Kind::RefusedByPeer,
            // A caller is refused here; the other two only a callee is.
            HandshakeError::RefusedHere(_)
            | HandshakeError::Objection(_)
            | HandshakeError::Blank { .. } => Kind::RefusedHere,
        };
        if let Some(more) = self.0[kind as usize].pass(Instant::now()) {
            tracing::warn!(?caller, %error, more, "a connection was turned away");
        }
    }

    /// A caller had to make room for another.
    pub(super) fn evicted(&self, caller: Option<SocketAddr>) {
        if let Some(more) = self.0[Kind::Evicted as usize].pass(Instant::now()) {
            tracing::warn!(
                ?caller,
                more,
                "a connection was turned away: too many callers have not said who they are"
            );
        }
    }

    /// Tells of what was held back with no line after it.
    pub(super) fn remind(&self) {
        for (throttle, kind) in self.0.iter().zip(KINDS) {
            if let Some(more) = throttle.overdue(Instant::now()) {
                tracing::warn!(kind, more, "more connections were turned away");
            }
        }
    }
}
