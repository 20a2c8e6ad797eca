//! How many files this process may open, and what for.
//!
//! A process that has used up its files can take no peer and open no segment of its journal,
//! and a node that cannot go on writing its journal ends. So clients get what is left when the
//! rest has been kept back.

use std::io;

use crate::runtime::connection_limit::CLOSING;
use crate::runtime::transport::tcp::UNAUTHENTICATED;

/// Connections to the metrics port.
pub(crate) const METRICS_CONNECTIONS: usize = 8;
/// More clients than this are served only where the configuration says so.
const MOST_CLIENTS: usize = 8192;
/// A node that could serve fewer does not start.
const FEWEST_CLIENTS: usize = 8;

/// The journal's lock, its segment and the next one, a snapshot or a checkpoint being written,
/// a directory being read or synchronised.
const JOURNAL: usize = 16;
/// Standard streams, three listeners, the runtime's pollers and pipes, what a library opens for
/// a moment.
const RUNTIME: usize = 32;
/// For each peer: a connection each way, one each way that is about to replace it, a name that
/// is being looked up.
const PER_PEER: usize = 6;
/// A client's connection, and the one on which its request is forwarded to the leader.
const PER_CLIENT: usize = 2;

/// Why the files do not suffice. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum OpenFilesError {
    /// The operating system does not say.
    #[error("the limit on open files cannot be read: {0}; nothing was started")]
    Unknown(#[from] io::Error),
    /// Too few for any client.
    #[error(
        "this process may open {limit} files, and needs {needed}: {kept} for peers, the journal \
         and the like, {PER_CLIENT} for each client connection; nothing was started. Raise the \
         limit (`ulimit -n`), or lower limits.max_client_connections to at most {most} \
         if that is above 0"
    )]
    TooFew {
        /// How many files may be open.
        limit: u64,
        /// How many should.
        needed: usize,
        /// How many of these are kept back.
        kept: usize,
        /// For how many client connections the limit suffices.
        most: usize,
    },
}

/// Raises the soft limit on open files to the hard one, and returns it.
///
/// # Errors
/// When the operating system refuses. The limit is what it was then.
pub fn raise_limit() -> io::Result<u64> {
    rlimit::increase_nofile_limit(u64::MAX)
}

/// How many client connections there may be at a node with so many peers: so many as are
/// `configured`, or as many as this process's files allow.
///
/// # Errors
/// When the files do not suffice for that.
pub(crate) fn client_connections(
    peers: usize,
    configured: Option<usize>,
) -> Result<usize, OpenFilesError> {
    let (limit, _) = rlimit::Resource::NOFILE.get()?;
    share(limit, peers, configured)
}

fn share(limit: u64, peers: usize, configured: Option<usize>) -> Result<usize, OpenFilesError> {
    let kept = kept_back(peers);
    let files = usize::try_from(limit).unwrap_or(usize::MAX);
    let most = files.saturating_sub(kept) / PER_CLIENT;
    let wanted = configured.unwrap_or(FEWEST_CLIENTS);
    if most < wanted {
        return Err(OpenFilesError::TooFew {
            limit,
            needed: kept.saturating_add(wanted.saturating_mul(PER_CLIENT)),
            kept,
            most,
        });
    }
    Ok(configured.unwrap_or(most.min(MOST_CLIENTS)))
}

/// How many files are not for clients.
fn kept_back(peers: usize) -> usize {
    let closing = 3 * CLOSING;
    let others = UNAUTHENTICATED + METRICS_CONNECTIONS + closing;
    JOURNAL + RUNTIME + others + peers.saturating_mul(PER_PEER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_what_is_left() {
        let kept = kept_back(2);
        assert_eq!(kept, 156);
        assert_eq!(share(256, 2, None).expect("enough"), 50);
        assert_eq!(share(u64::MAX, 2, None).expect("enough"), MOST_CLIENTS);
        assert_eq!(share(256, 2, Some(50)).expect("enough"), 50);
        assert_eq!(share(1 << 20, 2, Some(20_000)).expect("enough"), 20_000);
    }

    #[test]
    fn too_few_files_are_refused_in_words_that_tell_how_many_are_needed() {
        let none = share(100, 2, None).expect_err("too few").to_string();
        for part in [
            "may open 100 files",
            "needs 172: 156 for peers",
            "at most 0",
        ] {
            assert!(none.contains(part), "{none}");
        }
        let some = share(256, 2, Some(51)).expect_err("too few").to_string();
        for part in ["needs 258", "to at most 50", "ulimit -n"] {
            assert!(some.contains(part), "{some}");
        }
    }
}
