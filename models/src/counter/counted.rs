//! Counts as they are written: under a type of their own.
//!
//! Whoever takes a value apart tells them by it from other numbers. In the formats that are sent
//! and stored they are numbers like others.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How much was counted.
#[derive(Serialize, Deserialize)]
pub(super) struct Count<N>(pub(super) N);

/// Writes a count.
pub(super) fn serialize<N, S>(count: &N, serializer: S) -> Result<S::Ok, S::Error>
where
    N: Copy + Serialize,
    S: Serializer,
{
    Count(*count).serialize(serializer)
}

/// Reads a count.
pub(super) fn deserialize<'de, N, D>(deserializer: D) -> Result<N, D::Error>
where
    N: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Count::deserialize(deserializer).map(|Count(count)| count)
}
