//! A part of a file as the body of an answer: its segments, one after the other, uncopied.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Segments that are to be sent.
pub(crate) struct FileBody {
    segments: VecDeque<Bytes>,
    left: u64,
}

impl FileBody {
    pub(crate) fn new(segments: Vec<Bytes>) -> Self {
        let left = segments.iter().map(|segment| segment.len() as u64).sum();
        Self {
            segments: segments.into(),
            left,
        }
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> u64 {
        self.left
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.segments.pop_front();
        self.left -= next.as_ref().map_or(0, |segment| segment.len() as u64);
        Poll::Ready(next.map(|segment| Ok(Frame::data(segment))))
    }

    fn is_end_stream(&self) -> bool {
        self.segments.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
