//! Which requests were counted lately: a retry at the same node counts once.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::session::{ClientId, RequestId, Sequence};

/// The last request of each client that has counted here lately, and the order in which
/// they did. A function of the records alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Recent {
    #[serde(with = "crate::pairs")]
    last: BTreeMap<ClientId, (Sequence, Age)>,
    /// The clients, the one that has not counted for longest first.
    by_age: BTreeMap<Age, ClientId>,
}

/// A place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
struct Age(u64);

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it was not counted here, or so long ago that it is forgotten.
    New,
    /// It was counted.
    Counted,
    /// The client has had a later request counted, and does not wait for this one any more.
    Superseded,
}

impl Recent {
    /// Looks up `request`.
    pub fn find(&self, request: RequestId) -> Known {
        match self.last.get(&request.client) {
            Some((sequence, _)) if *sequence == request.sequence => Known::Counted,
            Some((sequence, _)) if *sequence > request.sequence => Known::Superseded,
            _ => Known::New,
        }
    }

    /// The clients that are remembered, the one that has not counted for longest first.
    pub fn clients(&self) -> impl Iterator<Item = ClientId> {
        self.by_age.values().copied()
    }

    /// How many clients are remembered.
    pub fn len(&self) -> usize {
        self.last.len()
    }

    /// Whether no client is remembered.
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// The client to forget when `client` is to be remembered and there is room for `most`:
    /// the one that has not counted for longest.
    pub(super) fn in_the_way_of(&self, client: ClientId, most: usize) -> Option<ClientId> {
        let fits = self.last.contains_key(&client) || self.len() < most;
        if fits {
            return None;
        }
        self.by_age.values().next().copied()
    }

    pub(super) fn remember(&mut self, request: RequestId) {
        self.forget(request.client);
        let last = self.by_age.last_key_value();
        let age = Age(last.map_or(0, |(age, _)| age.0.saturating_add(1)));
        self.last.insert(request.client, (request.sequence, age));
        self.by_age.insert(age, request.client);
    }

    pub(super) fn forget(&mut self, client: ClientId) {
        if let Some((_, age)) = self.last.remove(&client) {
            self.by_age.remove(&age);
        }
    }
}
