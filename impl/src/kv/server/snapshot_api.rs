//! `GET /snapshot`: the whole store as a [file](crate::kv::snapshot::file), written while the node goes on.
//!
//! What was acknowledged before the request is in it, whichever node is asked.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use models::Node;
use models::raft::log::Term;
use models::raft::snapshot::Applied;
use tokio::sync::mpsc;

use super::api::Shared;
use super::http_error::Failure;
use crate::kv::headers;
use crate::kv::snapshot::file::Snapshot;
use crate::kv::store::{KeyRange, Query, Range};
use crate::kv::{Kv, KvRaft};
use crate::service::looking::look;

pub(crate) const PATH: &str = "/snapshot";
/// The file is sent in pieces of so many bytes, of which a few wait for the client.
const PIECE: usize = 64 << 10;
const PIECES: usize = 4;

pub(crate) async fn snapshot(State(service): Shared) -> Result<Response, Failure> {
    // It is answered once this node has applied all that was acknowledged before.
    let any = Range::new(KeyRange::key(Bytes::from_static(b"any")));
    service.read(Query::Range(any), true).await?;
    let (term, state) = look(&service.inbox, applied).await?;
    let snapshot = Snapshot::of(&service.identity, term, state);
    let fields = [
        (
            header::CONTENT_TYPE.as_str(),
            "application/octet-stream".to_owned(),
        ),
        (headers::REVISION, snapshot.header.revision.to_string()),
    ];
    let (sender, pieces) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || send(&snapshot, sender));
    Ok((fields, Body::new(Pieces(pieces))).into_response())
}

/// What a node has applied, and the term of the last entry of that.
fn applied(node: &Node<KvRaft>) -> (Term, Applied<Kv>) {
    let durable = node.durable();
    let applied = &node.volatile.applied;
    let (included, term) = durable.snapshot.last_included();
    let in_log = durable.log.term_at(applied.last_applied);
    let of_snapshot = (included == applied.last_applied).then_some(term);
    let term = in_log.or(of_snapshot).unwrap_or(durable.current_term);
    (term, applied.clone())
}

fn send(snapshot: &Snapshot, sender: mpsc::Sender<io::Result<Bytes>>) {
    let mut out = ToClient {
        piece: Vec::with_capacity(PIECE),
        sender,
    };
    let written = snapshot.write(&mut out).and_then(|()| out.flush());
    if let Err(error) = written {
        // The file has no end then, which its reader sees; and one who has gone sees nothing.
        tracing::warn!(%error, "a snapshot was not sent to its end");
        let _ = out.sender.blocking_send(Err(error));
    }
}

/// Hands pieces to the connection, and waits while enough of them wait there.
struct ToClient {
    piece: Vec<u8>,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Write for ToClient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let sent = self.sender.blocking_send(Ok(piece.into()));
        sent.map_err(|_| io::Error::other("the client has gone"))
    }
}

/// The pieces as the body of an answer.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = self.0.poll_recv(context);
        next.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
