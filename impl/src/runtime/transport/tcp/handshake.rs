//! The first words on a connection: who calls, whom, and in what language.

use std::io;
use std::time::Duration;

use models::{DiskId, NodeId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::admission::{Known, other_disk};
use crate::runtime::codec;
use crate::runtime::identity::{ClusterId, Difference, Identity};
use crate::runtime::transport::wire::{self, FrameError};

const MAGIC: [u8; 8] = *b"LOCKSTEP";
/// The version of the frames and of this handshake, not of what they carry.
const WIRE_VERSION: u16 = 2;
/// A hello or an answer takes no more.
const MAX_BYTES: usize = 64 << 10;
/// An invitation takes no more: there is room for it in a hello, beside two identities and an
/// address. Enough for a hundred nodes whose names are as long as they may be, and for a thousand
/// with short ones.
pub const MAX_INVITATION_BYTES: usize = MAX_BYTES - 4096;

/// The first words of a caller, in every version.
#[derive(Debug, Serialize, Deserialize)]
struct Language {
    magic: [u8; 8],
    wire_version: u16,
}

/// What the caller says.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    language: Language,
    from: Identity,
    /// Where the caller is reached.
    address: Option<String>,
    to: NodeId,
    /// The disk by which the caller knows the called node.
    to_disk: Option<DiskId>,
    /// What the called node needs to join the caller's cluster, if it belongs to none.
    invitation: Option<Vec<u8>>,
}

/// What the called one answers.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Welcome {
        disk: DiskId,
    },
    Refused(String),
    /// The called node belongs to no cluster: its disk is empty.
    Blank {
        disk: DiskId,
        /// Whether it joins the caller's.
        joins: bool,
    },
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error(transparent)]
    Io(io::Error),
    #[error("it did not finish its handshake in time")]
    TimedOut,
    #[error("it does not speak this program's language: {0}")]
    Malformed(#[from] FrameError),
    #[error("it refused us and says: {0}. Check the peers and the identity in both configurations")]
    RefusedByPeer(String),
    #[error("we refused it: {0}. Check the peers and the identity in both configurations")]
    RefusedHere(String),
    #[error("we refuse it: {0}")]
    Objection(String),
    #[error("it belongs to no cluster yet{}", if *joins { ", and joins this one" } else { "" })]
    Blank { disk: DiskId, joins: bool },
}

/// Who calls.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) node: NodeId,
    pub(super) disk: DiskId,
    /// Where it is reached, if it says so.
    pub(super) address: Option<String>,
    /// Whether it knows the called node by its disk.
    pub(super) knows_our_disk: bool,
}

/// The caller's part. `from` is who it is, and where it is reached. Returns the disk of the
/// called node.
pub(super) async fn call<S>(
    stream: &mut S,
    (identity, address): (&Identity, Option<&str>),
    to: NodeId,
    known: Known,
    limit: Duration,
) -> Result<DiskId, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let hello = Hello {
        language: Language {
            magic: MAGIC,
            wire_version: WIRE_VERSION,
        },
        from: identity.clone(),
        address: address.map(str::to_owned),
        to,
        to_disk: known.disk,
        invitation: known.invitation,
    };
    let exchange = async {
        write(stream, &hello).await?;
        read(stream).await
    };
    match timeout(limit, exchange).await {
        Err(_) => Err(HandshakeError::TimedOut),
        Ok(Err(error)) => Err(error),
        Ok(Ok(Answer::Welcome { disk })) => Ok(disk),
        Ok(Ok(Answer::Blank { disk, joins })) => Err(HandshakeError::Blank { disk, joins }),
        Ok(Ok(Answer::Refused(reason))) => Err(HandshakeError::RefusedByPeer(reason)),
    }
}

/// The called one's part: who calls. `speaks_against` tells what, beside its identity, speaks
/// against a caller.
pub(super) async fn answer<S>(
    stream: &mut S,
    identity: &Identity,
    speaks_against: impl Fn(&Caller) -> Option<String>,
    limit: Duration,
) -> Result<Caller, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        let heard = understand(&read_payload(stream).await?)?;
        let accepted = heard.and_then(|hello| admit(hello, identity, speaks_against));
        let disk = identity.disk;
        let answer = match &accepted {
            Ok(_) => Answer::Welcome { disk },
            Err(reason) => Answer::Refused(reason.clone()),
        };
        write(stream, &answer).await?;
        accepted.map_err(HandshakeError::RefusedHere)
    };
    timeout(limit, exchange)
        .await
        .unwrap_or(Err(HandshakeError::TimedOut))
}

/// The first words on a connection in the clear, as somebody hears them who stands between its ends: who
/// calls, and the words themselves, to be passed on. None where they are not understood.
pub(crate) async fn overhear<S: AsyncRead + Unpin>(stream: &mut S) -> Option<(NodeId, Vec<u8>)> {
    let payload = read_payload(stream).await.ok()?;
    let hello = understand(&payload).ok()?.ok()?;
    let mut frame = Vec::new();
    wire::encode_frame(&hello, MAX_BYTES, &mut frame).ok()?;
    Some((hello.from.node, frame))
}

/// The first half of a blank node's part, which belongs to no cluster: what a caller says, or what
/// speaks against the caller.
pub(super) async fn hear_blank<S>(
    stream: &mut S,
    identity: &Identity,
    limit: Duration,
) -> Result<Result<Call, String>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let payload = timeout(limit, read_payload(stream)).await;
    let heard = understand(&payload.map_err(|_| HandshakeError::TimedOut)??)?;
    Ok(heard.and_then(|hello| call_of(hello, identity)))
}

/// The second half: answers what was heard. It joins the caller's cluster if there still is an
/// invitation in it.
pub(super) async fn answer_blank<S>(
    stream: &mut S,
    disk: DiskId,
    heard: &Result<Call, String>,
    limit: Duration,
) -> Result<(), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = match heard {
        Ok(call) => Answer::Blank {
            disk,
            joins: call.invitation.is_some(),
        },
        Err(reason) => Answer::Refused(reason.clone()),
    };
    let written = timeout(limit, write(stream, &answer)).await;
    written.unwrap_or(Err(HandshakeError::TimedOut))
}

/// What a blank node hears.
#[derive(Debug)]
pub(super) struct Call {
    /// Who calls.
    pub(super) from: Identity,
    /// The disk by which the caller knows this node, if it knows it.
    pub(super) to_disk: Option<DiskId>,
    /// What to join the caller's cluster with, if it knows this node by its disk.
    pub(super) invitation: Option<Vec<u8>>,
}

fn call_of(hello: Hello, ours: &Identity) -> Result<Call, String> {
    let theirs = Identity {
        cluster_id: ours.cluster_id,
        ..hello.from.clone()
    };
    if let Some(Difference { what, ours, theirs }) = ours.differs_from(&theirs) {
        return Err(format!(
            "{what} is `{theirs}` at the caller and `{ours}` at the called node"
        ));
    }
    if hello.to != ours.node {
        let (caller, called) = (hello.from.node, ours.node);
        return Err(format!(
            "{caller} called {}, and reached {called}",
            hello.to
        ));
    }
    let is_meant = hello.to_disk == Some(ours.disk) && hello.from.cluster_id != ours.cluster_id;
    Ok(Call {
        from: hello.from,
        to_disk: hello.to_disk,
        invitation: hello.invitation.filter(|_| is_meant),
    })
}

/// The caller, unless something speaks against it.
fn admit(
    hello: Hello,
    ours: &Identity,
    speaks_against: impl Fn(&Caller) -> Option<String>,
) -> Result<Caller, String> {
    if let Some(reason) = object(&hello, ours) {
        return Err(reason);
    }
    let caller = Caller {
        node: hello.from.node,
        disk: hello.from.disk,
        address: hello.address,
        knows_our_disk: hello.to_disk.is_some(),
    };
    match speaks_against(&caller) {
        None => Ok(caller),
        Some(reason) => Err(reason),
    }
}

/// What in the caller's words speaks against it, if anything does.
fn object(hello: &Hello, ours: &Identity) -> Option<String> {
    if hello.from.cluster_id == ClusterId::default() {
        return Some(format!(
            "the caller belongs to no cluster, and {} belongs to `{}`, {}",
            ours.node, ours.cluster, ours.cluster_id
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
    let expected = hello.to_disk.filter(|expected| *expected != ours.disk)?;
    Some(other_disk(called, expected, ours.disk))
}

/// What a caller says, or why it is not understood: what follows the version depends on it.
fn understand(payload: &[u8]) -> Result<Result<Hello, String>, FrameError> {
    let (language, _): (Language, _) = postcard::take_from_bytes(payload)?;
    if language.magic != MAGIC {
        return Ok(Err("the caller is no node of this program".into()));
    }
    if language.wire_version != WIRE_VERSION {
        let theirs = language.wire_version;
        return Ok(Err(format!(
            "the caller's wire version is {theirs}, the called node's is {WIRE_VERSION}"
        )));
    }
    Ok(Ok(codec::decode(payload)?))
}

/// Whether these are the first bytes of a record of TLS: a handshake or an alert, of version 3.x. Read as
/// a frame's, they would announce more than a handshake has.
fn is_tls(header: [u8; wire::HEADER]) -> bool {
    matches!(header, [0x15 | 0x16, 0x03, ..])
}

async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    value: &impl Serialize,
) -> Result<(), HandshakeError> {
    let mut buffer = Vec::new();
    wire::encode_frame(value, MAX_BYTES, &mut buffer)?;
    Ok(stream.write_all(&buffer).await?)
}

async fn read<S, T>(stream: &mut S) -> Result<T, HandshakeError>
where
    S: AsyncRead + Unpin,
    T: DeserializeOwned,
{
    let payload = read_payload(stream).await?;
    Ok(codec::decode(&payload).map_err(FrameError::from)?)
}

/// Reads one frame and not a byte more: what follows belongs to somebody else.
async fn read_payload<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, HandshakeError> {
    let mut header = [0; wire::HEADER];
    stream.read_exact(&mut header).await?;
    if is_tls(header) {
        return Err(HandshakeError::RefusedHere(
            "it speaks TLS, and this node's file says that peers speak in the clear".into(),
        ));
    }
    let (bytes, checksum) = wire::split_header(header);
    let limit = MAX_BYTES;
    if bytes > limit {
        return Err(FrameError::TooLarge { bytes, limit }.into());
    }
    let mut payload = vec![0; bytes];
    stream.read_exact(&mut payload).await?;
    wire::check(&payload, checksum)?;
    Ok(payload)
}
