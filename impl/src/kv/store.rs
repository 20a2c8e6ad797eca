//! What is replicated, and what of it a node refuses before it goes into everybody's log.

use models::machine::StateMachine;
pub use models::mvcc::Store as Kv;
pub use models::mvcc::command::{
    Command, Compare, DeleteRange, Operation, Put, Relation, Target, Txn,
};
pub use models::mvcc::history::Revision;
pub use models::mvcc::key_range::KeyRange;
pub use models::mvcc::lease::{Lease, LeaseId, Renewal, Ttl};
pub use models::mvcc::query::{MAX_RANGE_BYTES, MAX_RANGE_ENTRIES, Order, Query, Range, SortBy};
pub use models::mvcc::response::{Entries, Fault, KeyValue, Outcome, Response};
pub use models::mvcc::watch::{Changes, Event, Page};

/// No key is longer.
pub const MAX_KEY_BYTES: usize = 4 << 10;
/// No value is larger.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Each list of a transaction has at most so many comparisons or operations, those of transactions
/// within it included.
pub const MAX_TXN_OPERATIONS: usize = 128;
/// A transaction takes at most this much room: keys, values, and what is beside them.
pub const MAX_TXN_BYTES: usize = 2 << 20;
/// So many transactions may be one within the other.
pub const MAX_TXN_DEPTH: usize = 8;
/// No lease is longer, in seconds: some 285 years.
pub const MAX_TTL: u64 = 9_000_000_000;
/// A log entry's room in a message beside its command: term, session, lengths, tags.
/// Each number takes at most ten bytes.
pub const ENTRY_OVERHEAD: usize = models::mvcc::COMMAND_OVERHEAD;
/// An append takes entries until their weight reaches this. The last one may exceed it, so
/// that a message has at most `MAX_APPEND_WEIGHT + MAX_TXN_BYTES` bytes of commands: about 3 MiB, far
/// below the transport's 64 MiB.
pub const MAX_APPEND_WEIGHT: usize = 1 << 20;

/// What is wrong with a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The key is empty.
    #[error("the key is empty; nothing was changed. Name a key: /kv/KEY")]
    EmptyKey,
    /// The key is too long.
    #[error("the key has {0} bytes, and at most {MAX_KEY_BYTES} are allowed; nothing was changed")]
    KeyTooLong(usize),
    /// The value is too large.
    #[error(
        "the value has more than the {MAX_VALUE_BYTES} bytes that are allowed; nothing was changed"
    )]
    ValueTooLarge,
    /// The transaction has too many comparisons or operations.
    #[error(
        "the transaction has more than the {MAX_TXN_OPERATIONS} {0} that are allowed, those of \
         transactions within it included; nothing was changed"
    )]
    TooManyOperations(&'static str),
    /// The transaction has too many others one within the other.
    #[error("more than {MAX_TXN_DEPTH} transactions are one within the other; nothing was changed")]
    TooDeep,
    /// The transaction is too large.
    #[error(
        "the transaction takes {0} bytes, and at most {MAX_TXN_BYTES} are allowed; nothing was changed"
    )]
    TxnTooLarge(usize),
    /// The lease has a time to live that none can have.
    #[error("a lease lives for 1 to {MAX_TTL} seconds, and not for {0}; nothing was changed")]
    BadTtl(u64),
}

/// Checks a key.
///
/// # Errors
/// When it is empty or too long.
pub fn check_key(key: &[u8]) -> Result<(), Unfit> {
    match key.len() {
        0 => Err(Unfit::EmptyKey),
        1..=MAX_KEY_BYTES => Ok(()),
        bytes => Err(Unfit::KeyTooLong(bytes)),
    }
}

/// Checks a command: what is not refused here goes into every node's log.
///
/// # Errors
/// When something of it is not fit.
pub fn check_command(command: &Command) -> Result<(), Unfit> {
    match command {
        Command::Put(put) => check_put(put),
        Command::DeleteRange(delete) => check_range(&delete.range),
        Command::Txn(txn) => {
            check_txn(txn, MAX_TXN_DEPTH)?;
            match Kv::weight(command) {
                0..=MAX_TXN_BYTES => Ok(()),
                bytes => Err(Unfit::TxnTooLarge(bytes)),
            }
        }
        Command::Grant { ttl, .. } => match ttl.0 {
            1..=MAX_TTL => Ok(()),
            seconds => Err(Unfit::BadTtl(seconds)),
        },
        Command::KeepAlive { .. }
        | Command::Revoke { .. }
        | Command::Expire { .. }
        | Command::Compact { .. } => Ok(()),
    }
}

/// Checks a range of keys. It may begin with the empty key, before all others.
///
/// # Errors
/// When one of its ends is too long, or it is of the empty key alone.
pub fn check_range(range: &KeyRange) -> Result<(), Unfit> {
    // The end of a single key is one byte longer than the key.
    let fits = |key: &[u8]| match key.len() {
        0..=MAX_KEY_BYTES => Ok(()),
        bytes => Err(Unfit::KeyTooLong(bytes)),
    };
    match (range.single(), range.end()) {
        (Some(key), _) => check_key(key),
        (None, Some(end)) => fits(range.start()).and_then(|()| fits(end)),
        (None, None) => fits(range.start()),
    }
}

fn check_put(put: &Put) -> Result<(), Unfit> {
    match &put.value {
        Some(value) if value.len() > MAX_VALUE_BYTES => Err(Unfit::ValueTooLarge),
        _ => check_key(&put.key),
    }
}

fn check_txn(txn: &Txn, depth: usize) -> Result<(), Unfit> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Unfit::TooDeep);
    };
    for (name, many) in [
        ("comparisons", comparisons(txn)),
        ("operations in `success`", operations(&txn.success)),
        ("operations in `failure`", operations(&txn.failure)),
    ] {
        if many > MAX_TXN_OPERATIONS {
            return Err(Unfit::TooManyOperations(name));
        }
    }
    for compare in &txn.compare {
        check_range(&compare.range)?;
    }
    let mut operations = txn.success.iter().chain(&txn.failure);
    operations.try_for_each(|operation| match operation {
        Operation::Put(put) => check_put(put),
        Operation::DeleteRange(delete) => check_range(&delete.range),
        Operation::Range(range) => check_range(&range.keys),
        Operation::Txn(txn) => check_txn(txn, depth),
    })
}

fn comparisons(txn: &Txn) -> usize {
    let within = txn
        .success
        .iter()
        .chain(&txn.failure)
        .map(|operation| match operation {
            Operation::Txn(txn) => comparisons(txn),
            Operation::Put(_) | Operation::DeleteRange(_) | Operation::Range(_) => 0,
        });
    txn.compare.len() + within.sum::<usize>()
}

fn operations(list: &[Operation]) -> usize {
    let within = list.iter().map(|operation| match operation {
        Operation::Txn(txn) => 1 + operations(&txn.success) + operations(&txn.failure),
        Operation::Put(_) | Operation::DeleteRange(_) | Operation::Range(_) => 1,
    });
    within.sum()
}
