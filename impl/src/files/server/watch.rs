//! `GET /watch`: what changes, as it is delivered here, in server-sent events.
//!
//! Each event bears the position of the command that it tells of, and `from` (or `Last-Event-ID`, which a
//! browser sends by itself) goes on after one, at this node or any other. How far back is bounded:
//! 410 says that a position is too old. A watcher that does not keep up is told so, and dropped.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::api::Shared;
use super::http_error::{Failure, bad};
use crate::files::FilesZab;
use crate::files::request::router::Service;
use crate::files::store::changes::Change;
use crate::files::store::path::MAX_PATH_BYTES;
use crate::runtime::driver::Inbox;
use crate::service::event_stream::{self, QUEUE, last_event_id};
use crate::service::looking::look;

/// A watcher may be behind by so many commands.
const BEHIND: usize = 1024;
/// Where more changes than that come at once, watchers are waited for so long in all,
const BURST_PATIENCE: Duration = Duration::from_millis(500);
/// and so long at a time.
const BURST_PAUSE: Duration = Duration::from_millis(1);
/// A watcher that is told nothing is told this often that its node lives, and where to go on.
const ALIVE: Duration = Duration::from_secs(5);

/// Hands changes to those who watch.
#[derive(Debug)]
pub(crate) struct Watching {
    /// Something was delivered.
    news: Notify,
    feed: broadcast::Sender<Told>,
    /// Whether the node is to stop: nobody is told anything more.
    stop: watch::Receiver<bool>,
}

/// What those who watch are told.
#[derive(Clone, Debug)]
enum Told {
    Change(Arc<Change>),
    /// The changes up to this position have come as a snapshot, and are not known one by one.
    Gap(u64),
}

impl Watching {
    pub(crate) fn new(stop: watch::Receiver<bool>) -> Self {
        Self {
            news: Notify::new(),
            feed: broadcast::Sender::new(BEHIND),
            stop,
        }
    }

    /// Something was delivered.
    pub(crate) fn wake(&self) {
        self.news.notify_one();
    }

    /// Tells of changes, in order. A node that catches up delivers more at once than a watcher may
    /// be behind by: then those who read are given a moment to do so.
    async fn hand_on(&self, changes: Vec<Change>) {
        let is_burst = changes.len() > BEHIND / 2;
        let until = Instant::now() + BURST_PATIENCE;
        for change in changes {
            while is_burst && self.feed.len() >= BEHIND / 2 && Instant::now() < until {
                sleep(BURST_PAUSE).await;
            }
            // That nobody listens is no error.
            let _ = self.feed.send(Told::Change(change.into()));
        }
    }

    /// Hands on what is delivered, until the node has stopped.
    pub(crate) async fn run(&self, inbox: Inbox<FilesZab>) {
        let mut last = 0;
        loop {
            self.news.notified().await;
            let seen = inbox.inspect(move |node| {
                let files = &node.volatile.delivered.machine;
                let (changes, forgotten) = (files.changes(), files.changes().forgotten());
                let newer = changes.after(last.max(forgotten)).unwrap_or_default();
                (files.position(), forgotten, newer)
            });
            let Ok((position, forgotten, changes)) = seen.await else {
                return;
            };
            if forgotten > last {
                // Of no matter to those who have looked since. That nobody listens is no error.
                let _ = self.feed.send(Told::Gap(forgotten));
            }
            self.hand_on(changes).await;
            last = position;
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchQuery {
    from: Option<u64>,
    #[serde(default)]
    prefix: String,
}

/// Streams what changes.
pub(crate) async fn watch(
    State(service): Shared,
    query: Result<Query<WatchQuery>, QueryRejection>,
    fields: HeaderMap,
) -> Result<Response, Failure> {
    let Query(WatchQuery { from, prefix }) = query?;
    if prefix.len() > MAX_PATH_BYTES {
        return Err(bad(format!(
            "the prefix has more than {MAX_PATH_BYTES} bytes"
        )));
    }
    let from = last_event_id(&fields).map_err(bad)?.or(from);
    // Before looking: what comes after is told.
    let feed = service.watching.feed.subscribe();
    // What a node has told others must be on its disk; what it has delivered here is.
    let seen = look(&service.inbox, move |node| {
        let files = &node.volatile.delivered.machine;
        let from = from.unwrap_or(files.position());
        let changes = files.changes();
        (from, changes.forgotten(), changes.after(from))
    });
    let (from, forgotten, changes) = seen.await?;
    let Some(changes) = changes else {
        return Err(Failure::Bad(
            StatusCode::GONE,
            format!(
                "the changes after {from} are not remembered any more: the oldest position to go on \
                 from is {forgotten}. List the files anew, and watch from the position that \
                 the status shows; nothing was changed"
            ),
        ));
    };
    let (sender, receiver) = mpsc::channel(QUEUE);
    let watcher = Watcher {
        service: service.clone(),
        sender,
        prefix,
        last: from,
    };
    tokio::spawn(watcher.run(changes, feed));
    Ok(event_stream::answer(receiver))
}

/// One who watches.
struct Watcher {
    service: Arc<Service>,
    sender: mpsc::Sender<Bytes>,
    prefix: String,
    /// The position up to which it has been told.
    last: u64,
}

/// The connection is gone, or the watch is over.
struct Over;

impl Watcher {
    async fn run(mut self, changes: Vec<Change>, mut feed: broadcast::Receiver<Told>) {
        // Whatever ends it, the connection is closed then.
        let _ = self.tell_all(changes, &mut feed).await;
    }

    async fn tell_all(
        &mut self,
        changes: Vec<Change>,
        feed: &mut broadcast::Receiver<Told>,
    ) -> Result<(), Over> {
        self.say_where().await?;
        for change in changes {
            self.tell(&change).await?;
        }
        let mut stop = self.service.watching.stop.clone();
        let mut alive = Instant::now() + ALIVE;
        loop {
            let told = tokio::select! {
                biased;
                () = self.sender.closed() => return Err(Over),
                () = stopped(&mut stop) => {
                    return self.end("ended", "the node is stopping: go on at another").await;
                }
                told = feed.recv() => told,
                () = sleep_until(alive) => {
                    self.say_where().await?;
                    alive = Instant::now() + ALIVE;
                    continue;
                }
            };
            match told {
                Ok(Told::Change(change)) => self.tell(&change).await?,
                Ok(Told::Gap(up_to)) if up_to <= self.last => {}
                Ok(Told::Gap(_)) => {
                    let why = "the node was behind, and got a snapshot: what changed in between is \
                               not known one by one. Go on at another node, or list the files anew";
                    return self.end("gap", why).await;
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    let why = "you do not read fast enough: so many changes wait that the node \
                               drops this watch. Go on from the last position";
                    return self.end("dropped", why).await;
                }
                Err(broadcast::error::RecvError::Closed) => return Err(Over),
            }
        }
    }

    async fn tell(&mut self, change: &Change) -> Result<(), Over> {
        if change.position <= self.last {
            return Ok(());
        }
        self.last = change.position;
        let files = change.files.iter();
        let files: Vec<_> = files
            .filter(|file| file.path.starts_with(&self.prefix))
            .collect();
        if files.is_empty() {
            return Ok(());
        }
        let data = json!({
            "position": change.position,
            "time_ms": change.time_ms,
            "files": files,
        });
        self.send(format!(
            "id: {}\nevent: change\ndata: {data}\n\n",
            self.last
        ))
        .await
    }

    /// An event without data, which only says where to go on.
    async fn say_where(&self) -> Result<(), Over> {
        self.send(format!(": alive\nid: {}\n\n", self.last)).await
    }

    async fn end(&self, event: &str, why: &str) -> Result<(), Over> {
        let data = json!({ "reason": why, "position": self.last });
        self.send(format!("event: {event}\ndata: {data}\n\n"))
            .await?;
        Err(Over)
    }

    async fn send(&self, text: String) -> Result<(), Over> {
        let mut stop = self.service.watching.stop.clone();
        tokio::select! {
            biased;
            sent = self.sender.send(text.into()) => sent.map_err(|_| Over),
            // One that does not read does not keep the node from stopping.
            () = stopped(&mut stop) => Err(Over),
        }
    }
}

/// Returns once the node is to stop, or is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody is there to say so any more.
    let _ = stop.wait_for(|stop| *stop).await;
}
