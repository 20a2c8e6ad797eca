//! Requests in JSON: objects whose fields are taken one by one, so that what is left over is a mistake,
//! and an error names the place.
//!
//! Keys and values are byte strings: text as it is (`"key"`), anything else in base64 under another name
//! (`"key_base64"`), as in answers.

use std::fmt::Display;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::kv::encoding::decode_base64;
use crate::kv::store::{
    Compare, DeleteRange, KeyRange, LeaseId, MAX_RANGE_ENTRIES, Operation, Order, Put, Range,
    Relation, Revision, SortBy, Target, Txn,
};
use crate::service::nearest::nearest;

/// An object of a request, and where in it that stands.
pub(crate) struct Object {
    fields: Map<String, Value>,
    place: String,
    /// The names that were asked for.
    known: Vec<String>,
}

impl Object {
    /// The object that a body holds.
    ///
    /// # Errors
    /// When it is no JSON, or no object.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let value = serde_json::from_slice(body).map_err(|error| format!("the body: {error}"))?;
        Self::of(value, "the body")
    }

    fn of(value: Value, place: impl Into<String>) -> Result<Self, String> {
        let place = place.into();
        match value {
            Value::Object(fields) => Ok(Self {
                fields,
                place,
                known: Vec::new(),
            }),
            _ => Err(format!("{place} is no JSON object")),
        }
    }

    fn take_value(&mut self, name: &str) -> Option<Value> {
        self.known.push(name.to_owned());
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// The field of that name, if it is there.
    ///
    /// # Errors
    /// When it is not what it should be.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, String> {
        let value = self.take_value(name);
        let parsed = value.map(serde_json::from_value).transpose();
        parsed.map_err(|error| self.fault(name, error))
    }

    /// A byte string of that name, or in base64 of the name that says so, if it is there.
    ///
    /// # Errors
    /// When it is not what it should be, or is there twice.
    pub(crate) fn take_bytes(&mut self, name: &str) -> Result<Option<Bytes>, String> {
        let coded = format!("{name}_base64");
        let text: Option<String> = self.take(name)?;
        let base64: Option<String> = self.take(&coded)?;
        match (text, base64) {
            (Some(_), Some(_)) => Err(self.fault(name, format!("it is there again as {coded}"))),
            (Some(text), None) => Ok(Some(text.into())),
            (None, Some(base64)) => {
                let bytes = decode_base64(&base64).map_err(|error| self.fault(&coded, error))?;
                Ok(Some(bytes.into()))
            }
            (None, None) => Ok(None),
        }
    }

    /// A list of objects, empty if it is not there.
    fn take_list(&mut self, name: &str) -> Result<Vec<Self>, String> {
        let list: Vec<Value> = self.take(name)?.unwrap_or_default();
        let inner = |(at, value)| Self::of(value, format!("{}[{at}]", self.at(name)));
        list.into_iter().enumerate().map(inner).collect()
    }

    fn take_object(&mut self, name: &str) -> Result<Option<Self>, String> {
        let value = self.take_value(name);
        value
            .map(|value| Self::of(value, self.at(name)))
            .transpose()
    }

    /// Sees that nothing is left over.
    ///
    /// # Errors
    /// When there is a field that was not asked for: which is meant, perhaps.
    pub(crate) fn finish(self) -> Result<(), String> {
        let Some(name) = self.fields.keys().next() else {
            return Ok(());
        };
        let known = self.known.iter().map(String::as_str);
        let meant = nearest(name, known).map(|meant| format!(": did you mean `{meant}`?"));
        Err(format!(
            "{} has no field `{name}`{}",
            self.place,
            meant.unwrap_or_else(|| format!("; it may have {}", self.known.join(", ")))
        ))
    }

    fn at(&self, name: &str) -> String {
        match self.place.as_str() {
            "the body" => name.to_owned(),
            place => format!("{place}.{name}"),
        }
    }

    fn fault(&self, name: &str, why: impl Display) -> String {
        format!("{}: {why}", self.at(name))
    }

    /// The keys that are meant: `key`, `prefix`, or `start` and `end`.
    fn take_range(&mut self) -> Result<KeyRange, String> {
        let key = self.take_bytes("key")?;
        let prefix = self.take_bytes("prefix")?;
        let start = self.take_bytes("start")?;
        let end = self.take_bytes("end")?;
        key_range(key, prefix, start, end).map_err(|why| format!("{}: {why}", self.place))
    }
}

/// The keys that a request names by one of three ways.
///
/// # Errors
/// When it names them by none, or by several.
pub(crate) fn key_range(
    key: Option<Bytes>,
    prefix: Option<Bytes>,
    start: Option<Bytes>,
    end: Option<Bytes>,
) -> Result<KeyRange, String> {
    match (key, prefix, start, end) {
        (Some(key), None, None, None) if key.is_empty() => Err("the key is empty".to_owned()),
        (Some(key), None, None, None) => Ok(KeyRange::key(key)),
        (None, Some(prefix), None, None) => Ok(KeyRange::prefix(prefix)),
        (None, None, Some(start), Some(end)) => Ok(KeyRange::span(start, end)),
        (None, None, Some(start), None) => Ok(KeyRange::from(start)),
        (None, None, None, Some(end)) => Ok(KeyRange::span(Bytes::new(), end)),
        (None, None, None, None) => {
            Err("name the keys: by key, by prefix, or by start and end".to_owned())
        }
        _ => Err("the keys are named twice: by key, by prefix, or by start and end".to_owned()),
    }
}

/// A transaction.
///
/// # Errors
/// When it is none: where, and why.
pub(crate) fn transaction(mut object: Object) -> Result<Txn, String> {
    let compare = object.take_list("compare")?;
    let success = object.take_list("success")?;
    let failure = object.take_list("failure")?;
    object.finish()?;
    let all = |list: Vec<Object>| list.into_iter().map(operation).collect::<Result<_, _>>();
    Ok(Txn {
        compare: compare
            .into_iter()
            .map(comparison)
            .collect::<Result<_, _>>()?,
        success: all(success)?,
        failure: all(failure)?,
    })
}

fn comparison(mut object: Object) -> Result<Compare, String> {
    let range = object.take_range()?;
    let relation = match object.take::<String>("is")?.as_deref() {
        None | Some("=" | "==") => Relation::Equal,
        Some("!=") => Relation::NotEqual,
        Some("<") => Relation::Less,
        Some(">") => Relation::Greater,
        Some(other) => {
            return Err(object.fault("is", format!("`{other}` is none of =, !=, <, >")));
        }
    };
    let value = object.take_bytes("value")?.map(Target::Value);
    let version = object.take("version")?.map(Target::Version);
    let create = object
        .take("create_revision")?
        .map(|it| Target::Create(Revision(it)));
    let modified = object.take("revision")?.map(|it| Target::Mod(Revision(it)));
    let lease = object
        .take("lease")?
        .map(|it| Target::Lease(Some(LeaseId(it))));
    let mut targets = [value, version, create, modified, lease]
        .into_iter()
        .flatten();
    let target = match (targets.next(), targets.next()) {
        (Some(target), None) => target,
        _ => {
            let why = "compare one of value, version, create_revision, revision, lease";
            return Err(format!("{}: {why}", object.place));
        }
    };
    object.finish()?;
    Ok(Compare {
        range,
        target,
        relation,
    })
}

fn operation(mut object: Object) -> Result<Operation, String> {
    let put = object.take_object("put")?;
    let delete = object.take_object("delete")?;
    let range = object.take_object("range")?;
    let txn = object.take_object("txn")?;
    let place = object.place.clone();
    object.finish()?;
    match (put, delete, range, txn) {
        (Some(put), None, None, None) => self::put(put).map(Operation::Put),
        (None, Some(delete), None, None) => self::delete(delete).map(Operation::DeleteRange),
        (None, None, Some(range), None) => self::range(range).map(Operation::Range),
        (None, None, None, Some(txn)) => transaction(txn).map(Operation::Txn),
        _ => Err(format!(
            "{place}: an operation is one of put, delete, range, txn"
        )),
    }
}

fn put(mut object: Object) -> Result<Put, String> {
    let key = object.take_bytes("key")?;
    let put = Put {
        key: key.ok_or_else(|| object.fault("key", "there is none"))?,
        value: object.take_bytes("value")?,
        lease: object.take("lease")?.map(LeaseId),
        keep_lease: object.take("keep_lease")?.unwrap_or_default(),
        wants_previous: object.take("previous")?.unwrap_or_default(),
    };
    let keeps_value: bool = object.take("keep_value")?.unwrap_or_default();
    if keeps_value == put.value.is_some() {
        let why = "give a value, or keep_value: true";
        return Err(object.fault("value", why));
    }
    if put.keep_lease && put.lease.is_some() {
        return Err(object.fault("lease", "give a lease, or keep_lease: true"));
    }
    object.finish()?;
    Ok(put)
}

fn delete(mut object: Object) -> Result<DeleteRange, String> {
    let delete = DeleteRange {
        range: object.take_range()?,
        wants_previous: object.take("previous")?.unwrap_or_default(),
    };
    object.finish()?;
    Ok(delete)
}

fn range(mut object: Object) -> Result<Range, String> {
    let keys = object.take_range()?;
    let range = Range {
        keys,
        revision: object.take("revision")?.map(Revision),
        limit: object.take("limit")?.unwrap_or(MAX_RANGE_ENTRIES),
        order: Order {
            by: sort_by(object.take::<String>("sort")?.as_deref())?,
            descending: object.take("descending")?.unwrap_or_default(),
        },
        counts: object.take("count")?.unwrap_or_default(),
    };
    object.finish()?;
    Ok(range)
}

/// By what keys are sorted.
///
/// # Errors
/// When they cannot be.
pub(crate) fn sort_by(name: Option<&str>) -> Result<SortBy, String> {
    match name {
        None | Some("key") => Ok(SortBy::Key),
        Some("version") => Ok(SortBy::Version),
        Some("create_revision") => Ok(SortBy::Create),
        Some("revision") => Ok(SortBy::Mod),
        Some("value") => Ok(SortBy::Value),
        Some(other) => Err(format!(
            "sort: `{other}` is none of key, version, create_revision, revision, value"
        )),
    }
}
