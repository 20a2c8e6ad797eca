//! What may go wrong. Each says whether anything was changed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use models::NodeId;

use crate::kv::client::ClientError;
use crate::kv::store::Unfit;
use crate::service::config::{ConfigError, Fault};
use crate::service::gossip_key::GossipKeyError;
use crate::service::http_client::SetUpError;
use crate::service::session_client::RequestError;

/// Why something was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HeartbeatError {
    /// The configuration is at fault.
    #[error("{0}; nothing was started")]
    Config(#[from] Fault),
    /// The configuration's file is at fault.
    #[error("{0}")]
    ConfigFile(Arc<ConfigError>),
    /// An address cannot be had.
    #[error(
        "cannot listen on {address} ({what}): {source}; nothing was started. Choose a free port of an \
         address of this machine"
    )]
    Listen {
        /// What for.
        what: &'static str,
        /// The address.
        address: String,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// Where others reach this member cannot be found out.
    #[error(
        "the address at which others reach this machine cannot be found out: {0}; nothing was started. \
         Say it, with --address"
    )]
    NoAddress(Arc<io::Error>),
    /// The key that signs packets is of no use.
    #[error("{0}")]
    GossipKey(Arc<GossipKeyError>),
    /// The credentials for the dictionary are of no use.
    #[error("{0}; nothing was started")]
    Credentials(String),
    /// The voter's node did not start, or has failed.
    #[error("the voter's part of member {} has failed: {reason}. The member takes no more part", .id.0)]
    Voter {
        /// The member.
        id: NodeId,
        /// What is wrong, in its own words.
        reason: String,
    },
    /// No leader has taken the member into its list in time.
    #[error(
        "no leader has taken this member into its list within {waited:?}, and it has left again; nothing \
         was changed. {heard}. A majority of the voters must run and reach each other, and members must \
         find them: same name, same discovery, same key"
    )]
    NotJoined {
        /// For how long it was tried.
        waited: Duration,
        /// Whom it has heard.
        heard: String,
    },
    /// Another process is a member under this one's id.
    #[error(
        "another process, at {other}, is member {} as well, and was started later: this one takes no more \
         part. Give each member an id of its own", .id.0
    )]
    IdTaken {
        /// The id.
        id: NodeId,
        /// Where the other is.
        other: SocketAddr,
    },
    /// There is no leader that a majority of the voters follows, or it cannot be reached from here.
    #[error(
        "no majority of the voters can be reached, so nothing can be changed, and read only as it may have \
         been (stale); nothing was changed. {0}"
    )]
    NoMajority(String),
    /// There was no answer to a write in time.
    #[error("{0}")]
    Uncertain(String),
    /// The request is at fault.
    #[error("{0}")]
    Refused(String),
    /// The key or the value is not fit.
    #[error("nothing was sent: {0}")]
    Unfit(#[from] Unfit),
    /// A load that is none.
    #[error(
        "{0} is no load: it is 0 for an idle machine and 1 for one that is fully used; nothing was changed"
    )]
    NoLoad(f64),
    /// The member has no copy of the dictionary yet.
    #[error(
        "this member has not yet been in touch with a leader for long enough to have a copy of the \
         dictionary, so it does not even know what it was; nothing was changed"
    )]
    NoCopy,
    /// Nobody may be given work.
    #[error(
        "no member says that its load is below {limit}, so nobody can be given work; {known} members are \
         known. Try again when their load is less, or report loads below it"
    )]
    NobodyAvailable {
        /// Below which loads members are given work.
        limit: f64,
        /// How many members there are.
        known: usize,
    },
    /// The member has heard of no leader for too long to know who lives.
    #[error(
        "this member has heard of no leader for {0:?}, so it does not know who lives: nobody is given work"
    )]
    OutOfTouch(Duration),
    /// The member has ended.
    #[error("the member has ended; nothing was changed by this request")]
    Ended,
}

impl From<ConfigError> for HeartbeatError {
    fn from(error: ConfigError) -> Self {
        Self::ConfigFile(Arc::new(error))
    }
}

impl From<GossipKeyError> for HeartbeatError {
    fn from(error: GossipKeyError) -> Self {
        Self::GossipKey(Arc::new(error))
    }
}

impl From<SetUpError> for HeartbeatError {
    fn from(error: SetUpError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<ClientError> for HeartbeatError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unfit(unfit) => Self::Unfit(unfit),
            ClientError::Request(request) => request.into(),
            ClientError::Gone(_) | ClientError::Snapshot(_) | ClientError::Malformed { .. } => {
                Self::Refused(error.to_string())
            }
        }
    }
}

impl From<RequestError> for HeartbeatError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Unreachable { .. }
            | RequestError::NoLeader { .. }
            | RequestError::TimedOut { .. } => Self::NoMajority(error.to_string()),
            RequestError::Uncertain { .. } => Self::Uncertain(error.to_string()),
            RequestError::SetUp(_) | RequestError::Refused { .. } => {
                Self::Refused(error.to_string())
            }
        }
    }
}
