//! The cluster's key, with which SWIM's packets are signed: a file that all nodes have.
//!
//! A datagram has no connection whose certificate could say who has sent it, so there is one key that
//! only nodes of the cluster have. With it a packet is signed, not hidden: what it says is who is there.
//! An old packet that somebody sends again is heeded as it would be if the network had kept it: it tells
//! of lives that are over.
//!
//! The file may hold several keys, one a line. The first signs, all are believed: so a key is replaced by
//! a new one behind it, then in front of it, then alone, each time with a restart of all nodes in turn.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ring::hmac;

/// Bytes.
const LENGTH: usize = 32;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum GossipKeyError {
    /// The file cannot be read or written.
    #[error("{path}: {source}; nothing was started or changed")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It does not hold keys.
    #[error(
        "{path}: line {line} is no key of {LENGTH} bytes in hexadecimal digits; nothing was started. \
         `lockstep certs init` makes one beside the authority"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which line; 0 if there is none.
        line: usize,
    },
}

/// Keys: the first signs, all are believed.
#[derive(Clone, Debug)]
pub(crate) struct GossipKeys {
    keys: Vec<hmac::Key>,
}

impl GossipKeys {
    /// Reads a file.
    ///
    /// # Errors
    /// When it does not hold any.
    pub(crate) fn load(path: &Path) -> Result<Self, GossipKeyError> {
        let text = fs::read_to_string(path).map_err(|source| GossipKeyError::Io {
            path: path.to_owned(),
            source,
        })?;
        let malformed = |line| GossipKeyError::Malformed {
            path: path.to_owned(),
            line,
        };
        let mut keys = Vec::new();
        for (position, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bytes = parse(line).ok_or_else(|| malformed(position + 1))?;
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        }
        if keys.is_empty() {
            return Err(malformed(0));
        }
        Ok(Self { keys })
    }

    /// Signs `bytes`.
    pub(crate) fn sign(&self, bytes: &[u8]) -> Option<hmac::Tag> {
        self.keys.first().map(|key| hmac::sign(key, bytes))
    }

    /// Whether a key of these has signed `bytes` with `tag`.
    pub(crate) fn verify(&self, bytes: &[u8], tag: &[u8]) -> bool {
        let mut keys = self.keys.iter();
        keys.any(|key| hmac::verify(key, bytes, tag).is_ok())
    }
}

fn parse(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len() == 2 * LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = (0..LENGTH).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok());
    is_hex.then(|| bytes.collect())?
}

/// Makes a key, in a file that is not there yet.
///
/// # Errors
/// When it is there, cannot be written, or the operating system gives no random bytes.
pub fn make_gossip_key(path: &Path) -> Result<(), GossipKeyError> {
    let failed = |source| GossipKeyError::Io {
        path: path.to_owned(),
        source,
    };
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|error| failed(error.into()))?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(path);
    opened
        .and_then(|mut file| {
            writeln!(file, "{digits}")?;
            file.sync_all()
        })
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_signs_and_all_are_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["old", "new"] {
            make_gossip_key(&path(name)).expect("made");
        }
        make_gossip_key(&path("old")).expect_err("it is there");
        let text = |name: &str| fs::read_to_string(path(name)).expect("read");
        fs::write(
            path("both"),
            format!("# rotating\n{}\n{}", text("new"), text("old")),
        )
        .expect("written");
        let load = |name: &str| GossipKeys::load(&path(name)).expect("keys");
        let signed = |name: &str| load(name).sign(b"packet").expect("a key");
        assert!(load("both").verify(b"packet", signed("old").as_ref()));
        assert!(load("new").verify(b"packet", signed("both").as_ref()));
        assert!(!load("old").verify(b"packet", signed("both").as_ref()));
        assert!(!load("new").verify(b"another", signed("new").as_ref()));
    }

    #[test]
    fn what_is_no_key_is_refused_by_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        for (text, line) in [
            ("", 0),
            ("\nab\n", 2),
            (&"g".repeat(64), 1),
            (&"é".repeat(32), 1),
        ] {
            fs::write(&path, text).expect("written");
            let error = GossipKeys::load(&path).expect_err("refused").to_string();
            assert!(error.contains(&format!("line {line} ")), "{error}");
        }
    }
}
