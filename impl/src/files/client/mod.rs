//! A client of the files, which tries all nodes and retries until a deadline.

mod watch;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::files::headers;
use crate::files::server::batch::Batch;
use crate::files::status::Report;
use crate::files::store::command::{Unfit, check_command};
use crate::files::store::path::{BadPath, check_path};
use crate::files::store::{Command, Operation};
use crate::service::http_client::{Access, SetUpError};
use crate::service::session_client::{Answer, Question, RequestError, SessionClient};

pub use watch::{Watch, Watched};

/// A file is read in pieces of so many bytes.
const PIECE: u64 = 4 << 20;
/// A file that is changed while it is read is read anew so often.
const READS: usize = 5;
/// Slashes divide a path here as they do in a URL.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_');

/// A client with a session of its own: one request at a time, each done once at most.
#[derive(Debug)]
pub struct Client {
    session: SessionClient,
}

/// Why a request brought no result. Every message says whether anything was changed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It was refused, or there was no answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// No node would take it.
    #[error("nothing was sent: {0}")]
    Unfit(#[from] Unfit),
    /// The path is none.
    #[error("nothing was sent: {0}")]
    Path(#[from] BadPath),
    /// The file is not as the request wants it.
    #[error("{text}")]
    Fault {
        /// The status: 404, 409, 412 or 413.
        status: StatusCode,
        /// What the node says.
        text: String,
    },
    /// A batch was not done.
    #[error("{error}")]
    NotDone {
        /// Which operation failed.
        failed: usize,
        /// Why.
        error: String,
    },
    /// The file was changed again and again while it was read.
    #[error(
        "the file was changed each time while it was read; nothing was changed by this: try again"
    )]
    Changing,
    /// The position is not remembered any more.
    #[error("{0}")]
    Gone(String),
    /// A node's answer is not understood.
    #[error(
        "{node} answers what is not understood: {problem}; whether anything was changed is not known: look"
    )]
    Malformed {
        /// The node.
        node: String,
        /// What is wrong with the answer.
        problem: String,
    },
}

impl From<SetUpError> for ClientError {
    fn from(error: SetUpError) -> Self {
        Self::Request(error.into())
    }
}

impl ClientError {
    /// There is no such file.
    pub fn missing() -> Self {
        Self::Fault {
            status: StatusCode::NOT_FOUND,
            text: "there is no such file".to_owned(),
        }
    }

    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// The status by which a node has refused it.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Fault { status, .. } => Some(*status),
            Self::Request(RequestError::Refused { status, .. }) => Some(*status),
            _ => None,
        }
    }
}

/// What is said of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// The position of its last change.
    pub version: u64,
    /// The position of its creation.
    pub created: u64,
    /// How many bytes it has.
    pub size: u64,
    /// When it was created, in milliseconds since 1970, by the clock of the node that took the
    /// request.
    pub created_ms: u64,
    /// When it was changed last, in the same way.
    pub modified_ms: u64,
}

/// Some paths of a listing, in order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Page {
    /// The files.
    pub entries: Vec<Entry>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Changed {
    /// The version that every changed file has now.
    pub version: u64,
}

/// A batch that was not done.
#[derive(Deserialize)]
struct NotDone {
    failed: usize,
    error: String,
}

impl Client {
    /// Talks to the nodes with these client addresses; each request may take `timeout`.
    ///
    /// # Errors
    /// When there are none, one has no such address, or the HTTP client cannot be had.
    pub fn new(nodes: Vec<String>, timeout: Duration) -> Result<Self, ClientError> {
        Self::with_access(Access::plaintext(), nodes, timeout)
    }

    /// The same, in TLS or with a token.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_access(
        access: Access,
        nodes: Vec<String>,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let session = SessionClient::new(access, nodes, timeout)?;
        Ok(Self { session })
    }

    /// Makes a file that is not there. Returns its version.
    ///
    /// # Errors
    /// When it is there, or nobody knows.
    pub async fn create(&mut self, path: &str, content: Bytes) -> Result<u64, ClientError> {
        let operation = Operation::Create {
            path: path.to_owned(),
            content: content.clone(),
        };
        self.change(operation, Method::PUT, None).await
    }

    /// Adds to the end of a file, if it has the version that is named, if one is. Returns its
    /// version.
    ///
    /// # Errors
    /// When it was not done, or nobody knows.
    pub async fn append(
        &mut self,
        path: &str,
        content: Bytes,
        if_version: Option<u64>,
    ) -> Result<u64, ClientError> {
        let operation = Operation::Append {
            path: path.to_owned(),
            content,
            if_version,
        };
        self.change(operation, Method::POST, if_version).await
    }

    /// Gives a file of this version other content. Returns its version.
    ///
    /// # Errors
    /// When it was not done, or nobody knows.
    pub async fn replace(
        &mut self,
        path: &str,
        content: Bytes,
        if_version: u64,
    ) -> Result<u64, ClientError> {
        let operation = Operation::Replace {
            path: path.to_owned(),
            content,
            if_version,
        };
        self.change(operation, Method::PUT, Some(if_version)).await
    }

    /// Removes a file, if it has the version that is named, if one is. Returns the position of
    /// the change.
    ///
    /// # Errors
    /// When it was not done, or nobody knows.
    pub async fn delete(
        &mut self,
        path: &str,
        if_version: Option<u64>,
    ) -> Result<u64, ClientError> {
        let operation = Operation::Delete {
            path: path.to_owned(),
            if_version,
        };
        self.change(operation, Method::DELETE, if_version).await
    }

    /// Does all operations, or none. Returns the position: the version of what they have changed.
    ///
    /// # Errors
    /// When none was done, or nobody knows.
    pub async fn batch(&mut self, operations: Vec<Operation>) -> Result<u64, ClientError> {
        let command = Command {
            operations,
            time_ms: 0,
        };
        check_command(&command)?;
        let body = serde_json::to_vec(&Batch::of(&command.operations));
        let mut question = Question::new(Method::POST, "/batch");
        question.body = body.map_err(|error| self.malformed(&error))?.into();
        let answer = self.session.request(&question).await?;
        if answer.status.is_success() {
            return Ok(self.json::<Changed>(&answer)?.version);
        }
        match serde_json::from_slice(&answer.body) {
            Ok(NotDone { failed, error }) => Err(ClientError::NotDone { failed, error }),
            Err(_) => Err(self.session.refused(&answer).into()),
        }
    }

    /// What is said of a file, if it is there. With `sync`, as new as every write acknowledged before.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn stat(&mut self, path: &str, sync: bool) -> Result<Option<Entry>, ClientError> {
        check_path(path)?;
        let path = format!(
            "/stat/{}{}",
            encode(path),
            if sync { "?sync=true" } else { "" }
        );
        match self.get(path).await {
            Ok(answer) => Ok(Some(self.json(&answer)?)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a file holds, if it is there: all of it, as it was at one moment.
    ///
    /// # Errors
    /// When there was no answer, or the file is changed faster than it can be read.
    pub async fn read(&mut self, path: &str, sync: bool) -> Result<Option<Bytes>, ClientError> {
        check_path(path)?;
        for _ in 0..READS {
            match self.read_once(path, sync).await {
                Ok(Some(whole)) => return Ok(Some(whole)),
                Ok(None) => {}
                Err(error) if error.is_missing() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Err(ClientError::Changing)
    }

    /// Reads piece by piece; nothing if the file has changed meanwhile.
    async fn read_once(&mut self, path: &str, sync: bool) -> Result<Option<Bytes>, ClientError> {
        let first = self.piece(path, 0, PIECE, sync).await?;
        let (version, size) = (first.number(headers::VERSION), size_of(&first));
        if first.body.len() as u64 >= size {
            return Ok(Some(first.body));
        }
        let mut whole = BytesMut::from(&first.body[..]);
        while (whole.len() as u64) < size {
            let piece = match self.piece(path, whole.len() as u64, PIECE, sync).await {
                Ok(piece) => piece,
                Err(error) if error.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            if piece.number(headers::VERSION) != version || piece.body.is_empty() {
                return Ok(None);
            }
            whole.extend_from_slice(&piece.body);
        }
        Ok(Some(whole.freeze()))
    }

    /// At most `length` bytes of a file from `offset` on, if it is there.
    ///
    /// # Errors
    /// When there was no answer, or the file is not so long.
    pub async fn read_range(
        &mut self,
        path: &str,
        offset: u64,
        length: u64,
        sync: bool,
    ) -> Result<Option<Bytes>, ClientError> {
        check_path(path)?;
        match self.piece(path, offset, length, sync).await {
            Ok(piece) => Ok(Some(piece.body)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn piece(
        &mut self,
        path: &str,
        offset: u64,
        length: u64,
        sync: bool,
    ) -> Result<Answer, ClientError> {
        let path = encode(path);
        let path = format!("/files/{path}?offset={offset}&length={length}&sync={sync}");
        self.get(path).await
    }

    /// The paths that begin with `prefix`, in order: at most `limit` of them, and at most as many as
    /// a page has, from behind `after` on.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn list(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: Option<usize>,
        sync: bool,
    ) -> Result<Page, ClientError> {
        let mut path = format!("/files?sync={sync}&prefix={}", encode(prefix));
        if let Some(after) = after {
            path += &format!("&after={}", encode(after));
        }
        if let Some(limit) = limit {
            path += &format!("&limit={limit}");
        }
        let answer = self.get(path).await?;
        self.json(&answer)
    }

    /// A client of the same nodes, with a session of its own.
    ///
    /// # Errors
    /// When the HTTP client cannot be had.
    pub fn another(&self) -> Result<Self, ClientError> {
        let session = self.session.another()?;
        Ok(Self { session })
    }

    /// Watches what changes after `from`, or from now on.
    pub fn watch(self, prefix: &str, from: Option<u64>) -> Watch {
        Watch::new(self.session, prefix, from)
    }

    /// How the node at `address` fares. Asks that node only, and once.
    ///
    /// # Errors
    /// In words, when it does not say.
    pub async fn status(&self, address: &str) -> Result<Report, String> {
        let text = self.session.page(address, "/status").await?;
        serde_json::from_str(&text).map_err(|error| format!("{address}: {error}"))
    }

    async fn change(
        &mut self,
        operation: Operation,
        method: Method,
        if_version: Option<u64>,
    ) -> Result<u64, ClientError> {
        let content = match &operation {
            Operation::Create { content, .. }
            | Operation::Append { content, .. }
            | Operation::Replace { content, .. } => content.clone(),
            Operation::Delete { .. } | Operation::Check { .. } => Bytes::new(),
        };
        let mut path = format!("/files/{}", encode(operation.path()));
        if let Some(version) = if_version {
            path += &format!("?if_version={version}");
        }
        check_command(&Command {
            operations: vec![operation],
            time_ms: 0,
        })?;
        let question = Question {
            method,
            path,
            body: content,
        };
        let answer = self.session.request(&question).await?;
        let answer = self.settle(answer)?;
        Ok(self.json::<Changed>(&answer)?.version)
    }

    async fn get(&mut self, path: String) -> Result<Answer, ClientError> {
        let answer = self
            .session
            .request(&Question::new(Method::GET, path))
            .await?;
        self.settle(answer)
    }

    fn settle(&self, answer: Answer) -> Result<Answer, ClientError> {
        match answer.status {
            status if status.is_success() => Ok(answer),
            status @ (StatusCode::NOT_FOUND
            | StatusCode::CONFLICT
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::PAYLOAD_TOO_LARGE) => Err(ClientError::Fault {
                status,
                text: answer.text(),
            }),
            _ => Err(self.session.refused(&answer).into()),
        }
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, answer: &Answer) -> Result<T, ClientError> {
        serde_json::from_slice(&answer.body).map_err(|error| self.malformed(&error))
    }

    fn malformed(&self, error: &serde_json::Error) -> ClientError {
        ClientError::Malformed {
            node: self.session.nodes().next().to_owned(),
            problem: error.to_string(),
        }
    }
}

/// The operations of a batch that is written in JSON, as `POST /batch` takes it.
///
/// # Errors
/// In words, when it is none.
pub fn parse_batch(json: &[u8]) -> Result<Vec<Operation>, String> {
    Batch::parse(json).and_then(Batch::operations)
}

/// How large the file is of which a part has come.
fn size_of(answer: &Answer) -> u64 {
    let range = answer.fields.get("content-range");
    let range = range.and_then(|range| range.to_str().ok());
    let size = range.and_then(|range| range.rsplit('/').next()?.parse().ok());
    size.unwrap_or(answer.body.len() as u64)
}

fn encode(text: &str) -> String {
    percent_encode(text.as_bytes(), PATH).to_string()
}
