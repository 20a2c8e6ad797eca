//! The body of `POST /batch`: operations as JSON, done all or none.
//!
//! ```json
//! {"operations": [
//!   {"op": "check", "path": "a", "version": 7},
//!   {"op": "create", "path": "b", "content": "text"},
//!   {"op": "append", "path": "c", "content_base64": "AAE=", "if_version": 3},
//!   {"op": "replace", "path": "d", "content": "text", "if_version": 5},
//!   {"op": "delete", "path": "e"}
//! ]}
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::files::store::Operation;

/// A batch, as JSON has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    operations: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Entry {
    Create {
        path: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content_base64: Option<String>,
    },
    Append {
        path: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content_base64: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        if_version: Option<u64>,
    },
    Replace {
        path: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content_base64: Option<String>,
        if_version: u64,
    },
    Delete {
        path: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        if_version: Option<u64>,
    },
    Check {
        path: String,
        /// None for a file that must not be there.
        version: Option<u64>,
    },
}

impl Batch {
    /// Reads a body.
    ///
    /// # Errors
    /// In words, when it is none.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body)
            .map_err(|error| format!("the batch is not understood: {error}"))
    }

    /// What is to be done.
    ///
    /// # Errors
    /// In words, when some content is none.
    pub(crate) fn operations(self) -> Result<Vec<Operation>, String> {
        let entries = self.operations.into_iter().enumerate();
        entries
            .map(|(index, entry)| {
                entry
                    .operation()
                    .map_err(|error| format!("operation {index}: {error}"))
            })
            .collect()
    }

    /// As JSON has these operations.
    pub(crate) fn of(operations: &[Operation]) -> Self {
        let operations = operations.iter().map(Entry::of).collect();
        Self { operations }
    }
}

impl Entry {
    fn operation(self) -> Result<Operation, String> {
        Ok(match self {
            Self::Create {
                path,
                content,
                content_base64,
            } => Operation::Create {
                path,
                content: bytes(content, content_base64)?,
            },
            Self::Append {
                path,
                content,
                content_base64,
                if_version,
            } => Operation::Append {
                path,
                content: bytes(content, content_base64)?,
                if_version,
            },
            Self::Replace {
                path,
                content,
                content_base64,
                if_version,
            } => Operation::Replace {
                path,
                content: bytes(content, content_base64)?,
                if_version,
            },
            Self::Delete { path, if_version } => Operation::Delete { path, if_version },
            Self::Check { path, version } => Operation::Check { path, version },
        })
    }

    fn of(operation: &Operation) -> Self {
        let path = operation.path().to_owned();
        let content = None;
        let content_base64 = Some(STANDARD.encode(operation.content()));
        match *operation {
            Operation::Create { .. } => Self::Create {
                path,
                content,
                content_base64,
            },
            Operation::Append { if_version, .. } => Self::Append {
                path,
                content,
                content_base64,
                if_version,
            },
            Operation::Replace { if_version, .. } => Self::Replace {
                path,
                content,
                content_base64,
                if_version,
            },
            Operation::Delete { if_version, .. } => Self::Delete { path, if_version },
            Operation::Check { version, .. } => Self::Check { path, version },
        }
    }
}

fn bytes(text: Option<String>, base64: Option<String>) -> Result<Bytes, String> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into()),
        (None, Some(base64)) => {
            let decoded = STANDARD.decode(&base64);
            decoded
                .map(Bytes::from)
                .map_err(|error| format!("content_base64: {error}"))
        }
        (None, None) => Ok(Bytes::new()),
        (Some(_), Some(_)) => Err("it has both content and content_base64: say one".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_the_same_in_both_forms() {
        let path = || "a".to_owned();
        let operations = vec![
            Operation::Create {
                path: path(),
                content: Bytes::from_static(b"\xff\0"),
            },
            Operation::Append {
                path: path(),
                content: Bytes::new(),
                if_version: Some(3),
            },
            Operation::Replace {
                path: path(),
                content: Bytes::from_static(b"x"),
                if_version: 4,
            },
            Operation::Delete {
                path: path(),
                if_version: None,
            },
            Operation::Check {
                path: path(),
                version: None,
            },
        ];
        let json = serde_json::to_vec(&Batch::of(&operations)).expect("JSON");
        let read = Batch::parse(&json).expect("read").operations();
        assert_eq!(read, Ok(operations));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let both = br#"{"operations":[{"op":"delete","path":"a"},{"op":"create","path":"b","content":"","content_base64":""}]}"#;
        let error = Batch::parse(both)
            .expect("JSON")
            .operations()
            .expect_err("both");
        assert!(error.starts_with("operation 1: it has both"), "{error}");
        for text in ["", "[]", r#"{"operations":[{"op":"move","path":"a"}]}"#] {
            assert!(Batch::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
