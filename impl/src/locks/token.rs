//! Fencing tokens, as clients see them.

use std::fmt::{self, Display};

use models::maekawa::message::{Epoch, Token};
use serde::{Deserialize, Serialize};

/// A fencing token. Of two grants of a lock the later one bears the greater token, across epochs and
/// crashes: by the epoch, and within an epoch by the counter.
///
/// In one piece it is `order`: 32 hexadecimal digits, which sort as text in the order of the
/// tokens, and as a number are epoch · 2^64 + counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Shown", into = "Shown")]
pub struct TokenReport {
    /// The epoch of the grant.
    pub epoch: u64,
    /// Counts within the epoch.
    pub counter: u64,
}

/// A token as JSON.
#[derive(Serialize, Deserialize)]
struct Shown {
    epoch: u64,
    counter: u64,
    /// What follows from the two.
    #[serde(default)]
    order: String,
}

impl TokenReport {
    /// In one number.
    pub fn number(self) -> u128 {
        u128::from(self.epoch) << 64 | u128::from(self.counter)
    }

    /// In one text.
    pub fn order(self) -> String {
        format!("{:032x}", self.number())
    }
}

impl Display for TokenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.counter)
    }
}

impl From<Token> for TokenReport {
    fn from(token: Token) -> Self {
        let Token {
            epoch: Epoch(epoch),
            counter,
        } = token;
        Self { epoch, counter }
    }
}

impl From<Shown> for TokenReport {
    fn from(shown: Shown) -> Self {
        let Shown { epoch, counter, .. } = shown;
        Self { epoch, counter }
    }
}

impl From<TokenReport> for Shown {
    fn from(token: TokenReport) -> Self {
        Self {
            epoch: token.epoch,
            counter: token.counter,
            order: token.order(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_one_order_as_pairs_as_numbers_and_as_text() {
        let mut tokens = Vec::new();
        for epoch in [1, 2, 9, 10, u64::MAX] {
            for counter in [1, 9, 10, u64::MAX] {
                tokens.push(TokenReport { epoch, counter });
            }
        }
        assert!(tokens.is_sorted());
        assert!(tokens.iter().map(|token| token.number()).is_sorted());
        assert!(tokens.iter().map(|token| token.order()).is_sorted());
    }

    #[test]
    fn a_token_is_an_object_that_is_read_back() {
        let token = TokenReport {
            epoch: 3,
            counter: 17,
        };
        let json = serde_json::to_string(&token).expect("encodes");
        let order = "00000000000000030000000000000011";
        assert_eq!(
            json,
            format!("{{\"epoch\":3,\"counter\":17,\"order\":\"{order}\"}}")
        );
        assert_eq!(
            serde_json::from_str::<TokenReport>(&json).expect("reads"),
            token
        );
        assert_eq!(token.to_string(), "3.17");
    }
}
