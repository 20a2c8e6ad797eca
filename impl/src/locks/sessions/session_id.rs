//! The names of sessions: whose node, which number, and a key that nobody guesses.

use std::fmt::{self, Display};
use std::str::FromStr;

use models::NodeId;
use serde::{Deserialize, Serialize};

/// The name of a session: `node-number-key`, the key in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId {
    /// The node at which it was opened, and which alone knows it.
    pub node: NodeId,
    /// Its number there.
    pub number: u64,
    /// Drawn at random, so that nobody ends another's session by a slip.
    pub key: u64,
}

/// A text that names no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no session: one is `node-number-key`, as a node has named it")]
pub struct BadSessionId(String);

impl Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:016x}", self.node.0, self.number, self.key)
    }
}

impl FromStr for SessionId {
    type Err = BadSessionId;

    fn from_str(text: &str) -> Result<Self, BadSessionId> {
        let parse = || {
            let mut parts = text.split('-');
            let (node, number, key) = (parts.next()?, parts.next()?, parts.next()?);
            let id = Self {
                node: NodeId(node.parse().ok()?),
                number: number.parse().ok()?,
                key: u64::from_str_radix(key, 16).ok()?,
            };
            // Nothing behind it, no signs, no leading zeros.
            (id.to_string() == text).then_some(id)
        };
        parse().ok_or_else(|| BadSessionId(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for SessionId {
    type Error = BadSessionId;

    fn try_from(text: String) -> Result<Self, BadSessionId> {
        text.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_nothing_else_is_one() {
        let id = SessionId {
            node: NodeId(3),
            number: 1 << 40,
            key: 0xab,
        };
        assert_eq!(id.to_string(), "3-1099511627776-00000000000000ab");
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [
            "",
            "3",
            "3-1",
            "3-1-",
            "3-1-ab",
            "03-1-00000000000000ab",
            "3-1-00000000000000AB",
            "3-1-00000000000000ab-",
            "70000-1-00000000000000ab",
        ] {
            let error = text.parse::<SessionId>().expect_err(text);
            assert!(error.to_string().contains("names no session"), "{error}");
        }
    }
}
