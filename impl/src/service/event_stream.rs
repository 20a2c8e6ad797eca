//! Server-sent events (WHATWG HTML, §9.2) as the body of an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;

/// So many events wait for a watcher's connection.
pub(crate) const QUEUE: usize = 64;

/// The events as the body of an answer.
struct Events(mpsc::Receiver<Bytes>);

/// An answer that goes on for as long as somebody sends events.
pub(crate) fn answer(events: mpsc::Receiver<Bytes>) -> Response {
    let fields = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (fields, Body::new(Events(events))).into_response()
}

/// The event after which a client goes on, if it says so.
///
/// # Errors
/// In words, when what it says is no number.
pub(crate) fn last_event_id(fields: &HeaderMap) -> Result<Option<u64>, String> {
    let Some(id) = fields.get("last-event-id") else {
        return Ok(None);
    };
    let id = id.to_str().ok().and_then(|id| id.parse().ok());
    id.map(Some)
        .ok_or_else(|| "the header Last-Event-ID is no number of an event".to_owned())
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.poll_recv(context);
        next.map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
