//! The names of locks.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

/// How many bytes the name of a lock may have.
pub const LONGEST_NAME: usize = 512;

/// The name of a lock: any text of 1 to [`LONGEST_NAME`] bytes. A lock is there as soon as somebody
/// names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct LockName(Arc<str>);

impl LockName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a lock may have this name. Nodes claim no other, and hear of no other.
    pub fn is_valid(&self) -> bool {
        (1..=LONGEST_NAME).contains(&self.0.len())
    }
}

impl From<&str> for LockName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for LockName {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<LockName> for String {
    fn from(name: LockName) -> Self {
        name.0.as_ref().into()
    }
}

impl Display for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
