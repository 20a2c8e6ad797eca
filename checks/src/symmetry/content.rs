//! Values taken apart, some of their parts replaced, and put together again.
//!
//! What is sorted by what has been replaced is in order again when it is put together.

use models::Data;
use serde_content::{Data as Content, Deserializer, Serializer, Struct, Value};

/// What takes the place of a part; none if that stays, with what it is made of.
pub(super) type Replace<'a> = &'a mut dyn FnMut(&Struct<'_>) -> Option<Content<'static>>;

/// The value with some of its parts replaced.
pub(super) fn replaced<T: Data>(value: &T, replace: Replace<'_>) -> T {
    let content = Serializer::new().serialize(value);
    let content = in_value(content.expect("every value can be taken apart"), replace);
    let replaced = Deserializer::new(content).deserialize();
    replaced.expect("what was taken apart can be put together")
}

fn in_value(value: Value<'_>, replace: Replace<'_>) -> Value<'static> {
    match value {
        Value::Seq(values) => Value::Seq(in_all(values, replace)),
        Value::Tuple(values) => Value::Tuple(in_all(values, replace)),
        Value::Map(rows) => {
            let rows = rows.into_iter();
            let rows = rows.map(|(key, value)| (in_value(key, replace), in_value(value, replace)));
            Value::Map(rows.collect())
        }
        Value::Option(value) => {
            Value::Option(value.map(|value| Box::new(in_value(*value, replace))))
        }
        Value::Struct(part) => Value::Struct(Box::new(Struct {
            data: match replace(&part) {
                Some(data) => data,
                None => in_content(part.data, replace),
            },
            name: part.name,
        })),
        Value::Enum(mut content) => {
            let data = std::mem::replace(&mut content.data, Content::Unit);
            let data = in_content(data, replace);
            let mut content = content.into_owned();
            content.data = data;
            Value::Enum(Box::new(content))
        }
        plain => plain.into_owned(),
    }
}

fn in_all(values: Vec<Value<'_>>, replace: Replace<'_>) -> Vec<Value<'static>> {
    let values = values.into_iter();
    values.map(|value| in_value(value, replace)).collect()
}

fn in_content(content: Content<'_>, replace: Replace<'_>) -> Content<'static> {
    match content {
        Content::Unit => Content::Unit,
        Content::NewType { value } => Content::NewType {
            value: in_value(value, replace),
        },
        Content::Tuple { values } => Content::Tuple {
            values: in_all(values, replace),
        },
        Content::Struct { fields } => {
            let fields = fields.into_iter();
            let fields = fields.map(|(name, value)| (name, in_value(value, replace)));
            Content::Struct {
                fields: fields.collect(),
            }
        }
    }
}
