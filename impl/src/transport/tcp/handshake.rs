//! The first words on a connection: who calls, whom, and in what language.

use std::io;
use std::time::Duration;

use models::NodeId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::codec;
use crate::identity::{Difference, Identity};
use crate::transport::wire::{self, FrameError};

const MAGIC: [u8; 8] = *b"LOCKSTEP";
/// The version of the frames and of this handshake, not of what they carry.
const WIRE_VERSION: u16 = 2;
const MAX_BYTES: usize = 4096;

/// What the caller says.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    magic: [u8; 8],
    wire_version: u16,
    from: Identity,
    to: NodeId,
}

/// What the called one answers.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Welcome,
    Refused(String),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it did not finish its handshake in time")]
    TimedOut,
    #[error("it does not speak this program's language: {0}")]
    Malformed(#[from] FrameError),
    #[error("it refused us and says: {0}. Check the peers and the identity in both configurations")]
    RefusedByPeer(String),
    #[error("we refused it: {0}. Check the peers and the identity in both configurations")]
    RefusedHere(String),
}

/// The caller's part.
pub(super) async fn call<S>(
    stream: &mut S,
    identity: &Identity,
    to: NodeId,
    limit: Duration,
) -> Result<(), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let hello = Hello {
        magic: MAGIC,
        wire_version: WIRE_VERSION,
        from: identity.clone(),
        to,
    };
    let exchange = async {
        write(stream, &hello).await?;
        read(stream).await
    };
    match timeout(limit, exchange).await {
        Err(_) => Err(HandshakeError::TimedOut),
        Ok(Err(error)) => Err(error),
        Ok(Ok(Answer::Welcome)) => Ok(()),
        Ok(Ok(Answer::Refused(reason))) => Err(HandshakeError::RefusedByPeer(reason)),
    }
}

/// The called one's part: who calls.
pub(super) async fn answer<S>(
    stream: &mut S,
    identity: &Identity,
    knows: impl Fn(NodeId) -> bool,
    limit: Duration,
) -> Result<NodeId, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        let hello: Hello = read(stream).await?;
        let objection = object(&hello, identity, knows);
        let answer = objection.clone().map_or(Answer::Welcome, Answer::Refused);
        write(stream, &answer).await?;
        match objection {
            None => Ok(hello.from.node),
            Some(reason) => Err(HandshakeError::RefusedHere(reason)),
        }
    };
    timeout(limit, exchange)
        .await
        .unwrap_or(Err(HandshakeError::TimedOut))
}

/// What speaks against the caller, if anything does.
fn object(hello: &Hello, ours: &Identity, knows: impl Fn(NodeId) -> bool) -> Option<String> {
    if hello.magic != MAGIC {
        return Some("the caller is no node of this program".into());
    }
    if hello.wire_version != WIRE_VERSION {
        let theirs = hello.wire_version;
        return Some(format!(
            "the caller's wire version is {theirs}, the called node's is {WIRE_VERSION}"
        ));
    }
    if let Some(Difference { what, ours, theirs }) = ours.differs_from(&hello.from) {
        return Some(format!(
            "{what} is `{theirs}` at the caller and `{ours}` at the called node"
        ));
    }
    let (caller, called) = (hello.from.node, ours.node);
    if hello.to != called {
        return Some(format!(
            "{caller} called {}, and reached {called}",
            hello.to
        ));
    }
    if caller == called {
        return Some(format!("the caller and the called node both are {called}"));
    }
    (!knows(caller)).then(|| format!("{caller} is not among the peers of {called}"))
}

async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    value: &impl Serialize,
) -> Result<(), HandshakeError> {
    let mut buffer = Vec::new();
    wire::encode_frame(value, MAX_BYTES, &mut buffer)?;
    Ok(stream.write_all(&buffer).await?)
}

/// Reads one frame and not a byte more: what follows belongs to somebody else.
async fn read<S, T>(stream: &mut S) -> Result<T, HandshakeError>
where
    S: AsyncRead + Unpin,
    T: DeserializeOwned,
{
    let mut header = [0; wire::HEADER];
    stream.read_exact(&mut header).await?;
    let (bytes, checksum) = wire::split_header(header);
    let limit = MAX_BYTES;
    if bytes > limit {
        return Err(FrameError::TooLarge { bytes, limit }.into());
    }
    let mut payload = vec![0; bytes];
    stream.read_exact(&mut payload).await?;
    wire::check(&payload, checksum)?;
    Ok(codec::decode(&payload).map_err(FrameError::from)?)
}
