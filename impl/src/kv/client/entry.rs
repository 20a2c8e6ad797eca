//! Keys and their values, as a client asks for them and gets them.

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::kv::encoding::decode_base64;
use crate::kv::json_bytes::add_bytes;

/// Which keys are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Those that begin so.
    Prefix(Vec<u8>),
    /// Those from one on, and before another, if one is named.
    Span(Vec<u8>, Option<Vec<u8>>),
    /// This one.
    Key(Vec<u8>),
}

/// What is asked of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The keys.
    pub keys: Keys,
    /// Those behind this one: the last of the page before.
    pub after: Option<Vec<u8>>,
    /// At most so many.
    pub limit: Option<usize>,
    /// As they were at this revision.
    pub revision: Option<u64>,
    /// Without their values.
    pub keys_only: bool,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// Its value; empty where it was not asked for.
    pub value: Bytes,
    /// The revision of its latest change.
    pub revision: u64,
    /// The revision that created it.
    pub create_revision: u64,
    /// How often it was written since.
    pub version: u64,
    /// The lease that holds it.
    pub lease: Option<u64>,
}

/// Some keys, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The revision of the store then.
    pub revision: u64,
    /// The keys and their values.
    pub entries: Vec<Entry>,
    /// Whether there are more after the last one.
    pub more: bool,
}

impl Keys {
    /// As parameters of a URL.
    pub(super) fn query(&self) -> String {
        match self {
            Self::Prefix(prefix) => format!("prefix={}", encode(prefix)),
            Self::Key(key) => format!("key={}", encode(key)),
            Self::Span(start, None) => format!("start={}", encode(start)),
            Self::Span(start, Some(end)) => {
                format!("start={}&end={}", encode(start), encode(end))
            }
        }
    }
}

impl Listing {
    /// The keys as they are.
    pub fn of(keys: Keys) -> Self {
        Self {
            keys,
            after: None,
            limit: None,
            revision: None,
            keys_only: false,
        }
    }

    /// As parameters of a URL.
    pub(super) fn query(&self) -> String {
        let mut query = self.keys.query();
        if let Some(after) = &self.after {
            query += &format!("&after={}", encode(after));
        }
        if let Some(limit) = self.limit {
            query += &format!("&limit={limit}");
        }
        if let Some(revision) = self.revision {
            query += &format!("&revision={revision}");
        }
        if self.keys_only {
            query += "&keys_only=true";
        }
        query
    }
}

fn encode(bytes: &[u8]) -> String {
    percent_encode(bytes, NON_ALPHANUMERIC).to_string()
}

impl Page {
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let page: WirePage = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let entries = page.entries.into_iter().map(WireEntry::into_entry);
        Ok(Self {
            revision: page.revision,
            entries: entries.collect::<Result<_, _>>()?,
            more: page.more,
        })
    }
}

impl Entry {
    /// One line of JSON. What is no UTF-8 is in base64: `key_base64`, `value_base64`.
    pub fn to_json(&self, keys_only: bool) -> String {
        let mut object = Map::new();
        add_bytes(&mut object, "key", &self.key);
        if !keys_only {
            add_bytes(&mut object, "value", &self.value);
        }
        object.insert("revision".into(), self.revision.into());
        object.insert("create_revision".into(), self.create_revision.into());
        object.insert("version".into(), self.version.into());
        if let Some(lease) = self.lease {
            object.insert("lease".into(), lease.into());
        }
        Value::Object(object).to_string()
    }
}

/// A page as the API shows it.
#[derive(Deserialize)]
struct WirePage {
    revision: u64,
    entries: Vec<WireEntry>,
    more: bool,
}

/// A key with its value as the API shows it, or a part of it.
#[derive(Debug, Deserialize)]
pub(super) struct WireEntry {
    key: Option<String>,
    key_base64: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    pub(super) revision: u64,
    #[serde(default)]
    create_revision: u64,
    #[serde(default)]
    version: u64,
    lease: Option<u64>,
}

impl WireEntry {
    /// What it says.
    ///
    /// # Errors
    /// In words, when it has no key.
    pub(super) fn into_entry(self) -> Result<Entry, String> {
        let key = either("key", self.key, self.key_base64)?;
        Ok(Entry {
            key: key.ok_or("an entry must have either key or key_base64")?,
            value: either("value", self.value, self.value_base64)?.unwrap_or_default(),
            revision: self.revision,
            create_revision: self.create_revision,
            version: self.version,
            lease: self.lease,
        })
    }
}

fn either(
    name: &str,
    text: Option<String>,
    base64: Option<String>,
) -> Result<Option<Bytes>, String> {
    match (text, base64) {
        (Some(text), None) => Ok(Some(text.into())),
        (None, Some(text)) => Ok(Some(decode_base64(&text)?.into())),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(format!("an entry has both {name} and {name}_base64")),
    }
}
