//! The history: the transactions that a node has accepted, in order (DSN 2011, §IV, `h_f`).

use alloc::vec::Vec;

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

use super::zxid::{Epoch, Zxid};
use crate::machine::StateMachine;
use crate::session::{Known, RequestId, Sessions};

/// What a primary broadcasts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Transaction<C> {
    /// Its id. Never changes, whoever passes it on.
    pub zxid: Zxid,
    /// What it does.
    pub content: Content<C>,
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Content<C> {
    /// A client's command: atomic, whatever it consists of.
    Command {
        /// Whose command, and which one of theirs.
        request: RequestId,
        /// The command.
        command: C,
    },
    /// Nothing. The node that asked for it has, once it delivers it, delivered all that was
    /// committed before.
    Sync {
        /// Whose read waits for it.
        request: RequestId,
    },
}

impl<C> Content<C> {
    /// The request that this is for.
    pub fn request(&self) -> RequestId {
        match self {
            Self::Command { request, .. } | Self::Sync { request } => *request,
        }
    }
}

/// How recent a history is: "f.a, then the zxid of the last transaction" (step l.1.2). Never
/// its length: the longer one may be of an epoch that came to nothing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Recency {
    /// The epoch of the last leader whose initial history it includes.
    pub current_epoch: Epoch,
    /// Its last transaction.
    pub last_zxid: Zxid,
}

/// The state machine with its sessions, after all transactions up to `zxid`.
#[derive_where(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Snapshot<M: StateMachine> {
    /// The last transaction that is in it.
    pub zxid: Zxid,
    /// The state machine.
    pub machine: M,
    /// Each client's last command and its response: part of the state, for a retry must be
    /// known for one wherever the state is.
    pub sessions: Sessions<M::Response>,
}

impl<M: StateMachine> Snapshot<M> {
    /// Applies the next transaction: the only way in which the state advances, so that it is a
    /// function of the history alone. A retried command changes nothing.
    pub fn apply(&mut self, transaction: &Transaction<M::Command>) {
        self.zxid = transaction.zxid;
        if let Content::Command { request, command } = &transaction.content
            && self.sessions.find(*request) == Known::New
        {
            let response = self.machine.apply(command);
            self.sessions.record(*request, response);
        }
    }
}

/// A node's history: a snapshot of its beginning, and the transactions behind it. Some of
/// those in the snapshot may be kept as well, for nodes that lack only these.
#[derive_where(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct History<M: StateMachine> {
    snapshot: Snapshot<M>,
    /// The id of the transaction right before the first that is kept. Never above the
    /// snapshot's.
    begins_after: Zxid,
    transactions: Vec<Transaction<M::Command>>,
}

impl<M: StateMachine> History<M> {
    /// The snapshot of its beginning.
    pub fn snapshot(&self) -> &Snapshot<M> {
        &self.snapshot
    }

    /// The id right before the first transaction that is kept.
    pub fn begins_after(&self) -> Zxid {
        self.begins_after
    }

    /// The transactions that are kept, in order.
    pub fn transactions(&self) -> &[Transaction<M::Command>] {
        &self.transactions
    }

    /// The id of the last transaction; the zero id where there is none.
    pub fn last_zxid(&self) -> Zxid {
        self.transactions
            .last()
            .map_or(self.begins_after, |last| last.zxid)
    }

    /// Whether what follows `zxid` can be told from here: it is the id of a transaction that
    /// is kept, or of the one right before them.
    pub fn contains(&self, zxid: Zxid) -> bool {
        self.count_up_to(zxid).is_some()
    }

    /// The transactions behind `zxid`; none if it is not [contained](Self::contains).
    pub fn after(&self, zxid: Zxid) -> &[Transaction<M::Command>] {
        let count = self.count_up_to(zxid);
        count.map_or(&[], |count| &self.transactions[count..])
    }

    /// How many transactions are behind `after`, up to and including `to`; none if either is not
    /// [contained](Self::contains).
    pub fn count_between(&self, after: Zxid, to: Zxid) -> usize {
        let counts = self.count_up_to(after).zip(self.count_up_to(to));
        counts.map_or(0, |(before, up_to)| up_to.saturating_sub(before))
    }

    /// The last id that is contained and not above `zxid`; the first contained if all are.
    pub fn last_at_most(&self, zxid: Zxid) -> Zxid {
        let below = self.transactions.iter().rev();
        let mut below = below.filter(|transaction| transaction.zxid <= zxid);
        below
            .next()
            .map_or(self.begins_after, |transaction| transaction.zxid)
    }

    /// How many of the kept transactions are up to and including `zxid`.
    fn count_up_to(&self, zxid: Zxid) -> Option<usize> {
        if zxid == self.begins_after {
            return Some(0);
        }
        let found = self
            .transactions
            .binary_search_by_key(&zxid, |transaction| transaction.zxid);
        found.ok().map(|position| position + 1)
    }

    pub(super) fn push(&mut self, transaction: Transaction<M::Command>) {
        self.transactions.push(transaction);
    }

    /// Deletes all transactions behind `zxid`.
    pub(super) fn truncate(&mut self, zxid: Zxid) {
        self.transactions
            .retain(|transaction| transaction.zxid <= zxid);
    }

    /// Starts anew from a snapshot.
    pub(super) fn restore(&mut self, snapshot: Snapshot<M>) {
        *self = Self {
            begins_after: snapshot.zxid,
            snapshot,
            transactions: Vec::new(),
        };
    }

    /// Folds the transactions up to `to` into the snapshot, and deletes those up to `forgotten`, all
    /// of which are in it then.
    pub(super) fn compact(&mut self, to: Zxid, forgotten: Zxid) {
        let Self {
            snapshot,
            transactions,
            ..
        } = self;
        let since = snapshot.zxid;
        let behind = transactions.iter().filter(|next| next.zxid > since);
        for transaction in behind.take_while(|next| next.zxid <= to) {
            snapshot.apply(transaction);
        }
        self.begins_after = forgotten;
        let gone = transactions.partition_point(|next| next.zxid <= forgotten);
        transactions.drain(..gone);
    }
}
