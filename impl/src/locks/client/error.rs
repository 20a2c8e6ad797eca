//! Why a request brought no result.

use std::time::Duration;

use reqwest::StatusCode;

use crate::service::http_client::SetUpError;

/// Why a request brought no result. Every message says what is known of its outcome.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody can be asked.
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    /// A node refused the request for good.
    #[error("{node} answers {status}: {text}")]
    Refused {
        /// The node.
        node: String,
        /// Its status code.
        status: StatusCode,
        /// What it says.
        text: String,
    },
    /// The session is over.
    #[error("{0}")]
    Gone(String),
    /// No node has taken the request.
    #[error(
        "no node took the request within {timeout:?}, the last try ended so: {last}; nothing is held. \
         Are the nodes running and members, and are these their client addresses: {}?",
        .nodes.join(", ")
    )]
    NotTaken {
        /// The deadline.
        timeout: Duration,
        /// The nodes that were tried.
        nodes: Vec<String>,
        /// How the last try ended.
        last: String,
    },
    /// The session's node has not answered.
    #[error(
        "the session's node did not answer within {timeout:?}, the last try ended so: {last}; whether \
         this was done is not known. What the session holds it loses when it runs out"
    )]
    Unknown {
        /// The deadline.
        timeout: Duration,
        /// How the last try ended.
        last: String,
    },
    /// There was no answer to a change of the cluster.
    #[error(
        "no answer within {timeout:?}, the last try ended so: {last}; whether this was done is not \
         known. Ask again: what is done already is done once"
    )]
    Unanswered {
        /// The deadline.
        timeout: Duration,
        /// How the last try ended.
        last: String,
    },
    /// A node's answer is not understood.
    #[error("{node} answers what is not understood: {problem}; look how the session stands")]
    Malformed {
        /// The node.
        node: String,
        /// What is wrong with the answer.
        problem: String,
    },
}
