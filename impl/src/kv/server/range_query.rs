//! The query of `GET /kv`: which keys, and how many of them.
//!
//! `prefix` and `after` are byte strings, percent-encoded as the key in a path is; the same in
//! base64 are `prefix_base64` and `after_base64`, for a page's last key may come as `key_base64`.

use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use percent_encoding::percent_decode;

use crate::kv::encoding::decode_base64;
use crate::kv::server::http_error::{Failure, bad};
use crate::kv::store as machine;
use crate::kv::store::MAX_RANGE_ENTRIES;

const PARAMETERS: &str = "there are prefix, prefix_base64, after, after_base64, limit, here";

/// What is asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeQuery {
    prefix: Option<Bytes>,
    after: Option<Bytes>,
    limit: Option<usize>,
    here: Option<bool>,
}

impl RangeQuery {
    /// Reads the query of a URL as it came.
    pub(crate) fn parse(raw: &str) -> Result<Self, Failure> {
        let mut query = Self::default();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            query.set(name, &decode(value)).map_err(bad)?;
        }
        if query.limit == Some(0) {
            // No entry and "more": who pages by it would never come to an end.
            return Err(bad("limit must be at least 1"));
        }
        Ok(query)
    }

    /// Whether this very node is to answer.
    pub(crate) fn here(&self) -> bool {
        self.here.unwrap_or_default()
    }

    /// What the store is asked.
    pub(crate) fn into_query(self) -> machine::Query {
        machine::Query::Range {
            prefix: self.prefix.unwrap_or_default(),
            after: self.after,
            limit: self.limit.unwrap_or(MAX_RANGE_ENTRIES),
        }
    }

    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), String> {
        match name {
            "prefix" => once(&mut self.prefix, name, Bytes::copy_from_slice(value)),
            "prefix_base64" => once(&mut self.prefix, name, base64(name, value)?),
            "after" => once(&mut self.after, name, Bytes::copy_from_slice(value)),
            "after_base64" => once(&mut self.after, name, base64(name, value)?),
            "limit" => once(&mut self.limit, name, parse(name, value)?),
            "here" => once(&mut self.here, name, parse(name, value)?),
            _ => Err(format!("there is no parameter `{name}`; {PARAMETERS}")),
        }
    }
}

/// As HTML forms encode: a plus sign is a space, and other bytes are percent-encoded.
fn decode(value: &str) -> Vec<u8> {
    let spaced = value.replace('+', " ");
    percent_decode(spaced.as_bytes()).collect()
}

fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("`{name}` says what was said already: say it once")),
    }
}

fn base64(name: &str, value: &[u8]) -> Result<Bytes, String> {
    // A plus sign of base64 that was not percent-encoded has become a space on its way.
    let text = String::from_utf8_lossy(value).replace(' ', "+");
    let decoded = decode_base64(&text).map_err(|error| format!("{name}: {error}"))?;
    Ok(decoded.into())
}

fn parse<T: FromStr<Err: Display>>(name: &str, value: &[u8]) -> Result<T, String> {
    let text = String::from_utf8_lossy(value);
    text.parse()
        .map_err(|error| format!("{name}: `{text}`: {error}"))
}
