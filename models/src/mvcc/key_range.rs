//! The keys that a request is about.

use core::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// The keys from `start` on, up to `end`, which is not among them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyRange {
    start: Bytes,
    /// `None`: up to the last key that there is.
    end: Option<Bytes>,
}

impl KeyRange {
    /// This key alone.
    pub fn key(key: Bytes) -> Self {
        let end = Some(following(&key));
        Self { start: key, end }
    }

    /// The keys from `start` on, and before `end`: none where `end` is not greater than `start`.
    pub fn span(start: Bytes, end: Bytes) -> Self {
        let end = Some(end);
        Self { start, end }
    }

    /// The keys from `start` on.
    pub fn from(start: Bytes) -> Self {
        Self { start, end: None }
    }

    /// All keys.
    pub fn all() -> Self {
        Self::from(Bytes::new())
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: Bytes) -> Self {
        // The first key that is greater than all of them: a last byte that can be greater, is.
        let kept = prefix.iter().rposition(|&byte| byte < u8::MAX);
        let end = kept.map(|last| {
            let mut end = BytesMut::from(&prefix[..=last]);
            end[last] += 1;
            end.freeze()
        });
        Self { start: prefix, end }
    }

    /// Those of its keys that come after `key`.
    #[must_use]
    pub fn after(mut self, key: &[u8]) -> Self {
        self.start = self.start.max(following(key));
        self
    }

    /// Whether the key is among them.
    pub fn contains(&self, key: &[u8]) -> bool {
        *self.start <= *key && self.end.as_ref().is_none_or(|end| *key < **end)
    }

    /// Whether it can hold no key at all.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// The first key that may be among them.
    pub fn start(&self) -> &Bytes {
        &self.start
    }

    /// The first key that is too great, if one is.
    pub fn end(&self) -> Option<&Bytes> {
        self.end.as_ref()
    }

    /// The only key that can be among them, if it is one.
    pub fn single(&self) -> Option<&Bytes> {
        let is_single = self
            .end
            .as_ref()
            .is_some_and(|end| *end == following(&self.start));
        is_single.then_some(&self.start)
    }

    /// The bounds, for a map of keys.
    pub(super) fn bounds(&self) -> (Bound<&Bytes>, Bound<&Bytes>) {
        let end = self.end.as_ref();
        (
            Bound::Included(&self.start),
            end.map_or(Bound::Unbounded, Bound::Excluded),
        )
    }

    /// Room that its keys take.
    pub(super) fn bytes(&self) -> usize {
        self.start.len() + self.end.as_ref().map_or(0, Bytes::len)
    }
}

/// The key that comes right after this one.
fn following(key: &[u8]) -> Bytes {
    let mut next = BytesMut::with_capacity(key.len() + 1);
    next.put_slice(key);
    next.put_u8(0);
    next.freeze()
}
