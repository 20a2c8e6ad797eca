//! The queries of URLs that name keys: which, and how many of them.
//!
//! Keys are byte strings, percent-encoded as the key in a path is; the same in base64 have `_base64` behind
//! their names, for a page's last key may come as `key_base64`.

use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use percent_encoding::percent_decode;

use super::json_request::{key_range, sort_by};
use crate::kv::encoding::decode_base64;
use crate::kv::store::{
    DeleteRange, KeyRange, MAX_RANGE_ENTRIES, Order, Query, Range, Revision, check_key, check_range,
};
use crate::service::nearest::nearest;

/// What a URL says behind its question mark, each parameter once.
struct Parameters(Vec<(String, Vec<u8>)>);

/// The query of `GET /kv`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RangeQuery {
    range: Range,
    /// Whether this very node is to answer.
    pub(crate) here: bool,
    /// Whether values are left out.
    pub(crate) keys_only: bool,
}

/// The query of `GET /watch`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WatchQuery {
    pub(crate) keys: KeyRange,
    pub(crate) from: Option<u64>,
    pub(crate) wants_previous: bool,
}

const KEYS: [&str; 8] = [
    "key",
    "key_base64",
    "prefix",
    "prefix_base64",
    "start",
    "start_base64",
    "end",
    "end_base64",
];

impl RangeQuery {
    /// Reads the query of a URL as it came. All keys where it names none.
    ///
    /// # Errors
    /// In words, when it is none.
    pub(crate) fn parse(raw: &str) -> Result<Self, String> {
        let mut parameters = Parameters::parse(raw)?;
        let keys = parameters.range_or_all()?;
        let after = parameters.bytes("after")?;
        let limit: Option<usize> = parameters.parsed("limit")?;
        let count_only: bool = parameters.parsed("count_only")?.unwrap_or_default();
        if limit == Some(0) {
            // No entry and "more": who pages by it would never come to an end.
            return Err("limit must be at least 1".to_owned());
        }
        let keys = match &after {
            Some(after) => keys.after(after),
            None => keys,
        };
        let limit = limit.unwrap_or(MAX_RANGE_ENTRIES);
        let range = Range {
            keys,
            revision: parameters.parsed("revision")?.map(Revision),
            limit: if count_only { 0 } else { limit },
            order: Order {
                by: sort_by(parameters.text("sort").as_deref())?,
                descending: parameters.parsed("descending")?.unwrap_or_default(),
            },
            counts: count_only || parameters.parsed("count")?.unwrap_or_default(),
        };
        let here = parameters.parsed("here")?.unwrap_or_default();
        let keys_only = parameters.parsed("keys_only")?.unwrap_or_default();
        let others = [
            "after",
            "after_base64",
            "limit",
            "revision",
            "sort",
            "descending",
            "count",
            "count_only",
            "keys_only",
            "here",
        ];
        parameters.finish(&others)?;
        check_range(&range.keys).map_err(|unfit| unfit.to_string())?;
        Ok(Self {
            range,
            here,
            keys_only,
        })
    }

    /// What the store is asked.
    pub(crate) fn into_query(self) -> Query {
        Query::Range(self.range)
    }
}

impl WatchQuery {
    /// Reads the query of a URL as it came. All keys where it names none.
    ///
    /// # Errors
    /// In words, when it is none.
    pub(crate) fn parse(raw: &str) -> Result<Self, String> {
        let mut parameters = Parameters::parse(raw)?;
        let watch = Self {
            keys: parameters.range_or_all()?,
            from: parameters.parsed("from")?,
            wants_previous: parameters.parsed("previous")?.unwrap_or_default(),
        };
        parameters.finish(&["from", "previous"])?;
        Ok(watch)
    }
}

/// The query of `GET /` that names a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyQuery {
    pub(crate) key: Bytes,
    /// Whether this very node is to answer.
    pub(crate) here: bool,
}

/// Reads the query of `GET /?key=`.
///
/// # Errors
/// In words, when it is none.
pub(crate) fn key_query(raw: &str) -> Result<KeyQuery, String> {
    let mut parameters = Parameters::parse(raw)?;
    let key = parameters.bytes("key")?;
    let here = parameters.parsed("here")?.unwrap_or_default();
    parameters.finish_of(&["key", "key_base64", "here"])?;
    let key = key.ok_or("say which `key`")?;
    check_key(&key).map_err(|unfit| unfit.to_string())?;
    Ok(KeyQuery { key, here })
}

/// Reads the query of `DELETE /kv`, which must name the keys.
///
/// # Errors
/// In words, when it is none.
pub(crate) fn delete_query(raw: &str) -> Result<DeleteRange, String> {
    let mut parameters = Parameters::parse(raw)?;
    let delete = DeleteRange {
        range: parameters.range()?,
        wants_previous: parameters.parsed("previous")?.unwrap_or_default(),
    };
    parameters.finish(&["previous"])?;
    Ok(delete)
}

impl Parameters {
    fn parse(raw: &str) -> Result<Self, String> {
        let mut parameters: Vec<(String, Vec<u8>)> = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if parameters.iter().any(|(other, _)| other == name) {
                return Err(said_twice(name));
            }
            parameters.push((name.to_owned(), decode(value)));
        }
        Ok(Self(parameters))
    }

    fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.remove(at).1)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let value = self.take(name)?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, String> {
        let text = self.text(name);
        text.map(|text| {
            text.parse()
                .map_err(|error| format!("{name}: `{text}`: {error}"))
        })
        .transpose()
    }

    fn bytes(&mut self, name: &str) -> Result<Option<Bytes>, String> {
        let coded = format!("{name}_base64");
        match (self.take(name), self.take(&coded)) {
            (Some(_), Some(_)) => Err(said_twice(&coded)),
            (Some(bytes), None) => Ok(Some(bytes.into())),
            (None, Some(text)) => base64(&coded, &text).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn range(&mut self) -> Result<KeyRange, String> {
        let key = self.bytes("key")?;
        let prefix = self.bytes("prefix")?;
        let start = self.bytes("start")?;
        let end = self.bytes("end")?;
        key_range(key, prefix, start, end)
    }

    fn range_or_all(&mut self) -> Result<KeyRange, String> {
        let names_keys = self.0.iter().any(|(name, _)| KEYS.contains(&name.as_str()));
        if names_keys {
            return self.range();
        }
        Ok(KeyRange::all())
    }

    /// Sees that nothing is left over, where keys and `others` may be named.
    fn finish(&self, others: &[&str]) -> Result<(), String> {
        self.finish_of(&[&KEYS, others].concat())
    }

    /// Sees that nothing is left over.
    fn finish_of(&self, known: &[&str]) -> Result<(), String> {
        let Some((name, _)) = self.0.first() else {
            return Ok(());
        };
        let meant = nearest(name, known.iter().copied());
        let meant = meant.map(|meant| format!("did you mean `{meant}`?"));
        Err(format!(
            "there is no parameter `{name}`; {}",
            meant.unwrap_or_else(|| format!("there are {}", known.join(", ")))
        ))
    }
}

fn said_twice(name: &str) -> String {
    format!("`{name}` says what was said already: say it once")
}

/// As HTML forms encode: a plus sign is a space, and other bytes are percent-encoded.
fn decode(value: &str) -> Vec<u8> {
    let spaced = value.replace('+', " ");
    percent_decode(spaced.as_bytes()).collect()
}

fn base64(name: &str, value: &[u8]) -> Result<Bytes, String> {
    // A plus sign of base64 that was not percent-encoded has become a space on its way.
    let text = String::from_utf8_lossy(value).replace(' ', "+");
    let decoded = decode_base64(&text).map_err(|error| format!("{name}: {error}"))?;
    Ok(decoded.into())
}
