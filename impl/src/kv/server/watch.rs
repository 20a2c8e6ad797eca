//! `GET /watch`: what changes, in server-sent events, a revision each.
//!
//! Each event bears its revision, and `from` (or `Last-Event-ID`, which a browser sends by itself) goes on
//! at any node. What is told is committed: a node tells what it has applied. A watcher that is slow is
//! waited for, and told the rest from the history; where that is compacted, it is told so and dropped.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use models::machine::StateMachine;
use models::mvcc::watch::Cursor;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::api::Shared;
use super::http_error::{Failure, bad, fault};
use super::json_answer;
use super::range_query::WatchQuery;
use crate::kv::request::router::Service;
use crate::kv::store::{Event, Fault, Outcome, Page, Query, Revision};
use crate::service::event_stream::{self, QUEUE, last_event_id};
use crate::service::looking::look_unflushed;

/// So many changes are looked at in one go.
const PAGE: usize = 256;
/// A watcher that is told nothing is told this often that its node lives, and where to go on.
const ALIVE: Duration = Duration::from_secs(5);

/// What a node tells those who watch.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    /// The revision of its store.
    pub(crate) revision: watch::Receiver<Revision>,
    /// Whether it is to stop.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Streams what changes.
pub(crate) async fn watch(
    State(service): Shared,
    RawQuery(raw): RawQuery,
    fields: HeaderMap,
) -> Result<Response, Failure> {
    let WatchQuery {
        keys,
        from,
        wants_previous,
    } = WatchQuery::parse(raw.as_deref().unwrap_or_default()).map_err(bad)?;
    let last = last_event_id(&fields).map_err(bad)?;
    let from = last
        .map(|last| last.saturating_add(1))
        .or(from)
        .map(Revision);
    let next = match from {
        Some(from) => from,
        None => service.watched.revision.borrow().next(),
    };
    let mut watcher = Watcher {
        cursor: Cursor {
            keys,
            next,
            wants_previous,
        },
        watched: service.watched.clone(),
        service,
        told: Revision(next.0.saturating_sub(1)),
    };
    // The first page, so that who asks for what is compacted is told so at once.
    let events = match watcher.look().await? {
        Ok(page) => watcher.cursor.take(page),
        Err(why) => return Err(fault(why)),
    };
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(watcher.run(events, sender));
    Ok(event_stream::answer(receiver))
}

/// One who watches.
struct Watcher {
    service: Arc<Service>,
    watched: Watched,
    cursor: Cursor,
    /// The revision up to which it has been told.
    told: Revision,
}

/// The connection is gone, or the watch is over.
struct Over;

/// What a watcher waits for.
enum News {
    Changed,
    Stopping,
    /// Nothing for a while.
    None,
}

impl Watcher {
    async fn run(mut self, events: Vec<Event>, sender: mpsc::Sender<Bytes>) {
        // Whatever ends it, the connection is closed then.
        let _ = self.tell_all(events, &sender).await;
    }

    async fn tell_all(
        &mut self,
        mut events: Vec<Event>,
        sender: &mpsc::Sender<Bytes>,
    ) -> Result<(), Over> {
        self.say_where(sender).await?;
        loop {
            self.tell(&events, sender).await?;
            self.wait(sender).await?;
            events = match self.look().await {
                Ok(Ok(page)) => self.cursor.take(page),
                Ok(Err(why)) => {
                    let why = format!("{why}: list the keys anew");
                    return self.end("compacted", &why, sender).await;
                }
                Err(_) => {
                    let why = "the node is stopping, or does not answer: go on at another";
                    return self.end("ended", why, sender).await;
                }
            };
        }
    }

    async fn look(&self) -> Result<Result<Page, Fault>, Failure> {
        let question = Query::Changes(self.cursor.question(PAGE));
        let looked = look_unflushed(&self.service.inbox, move |node| {
            node.volatile.applied.machine.query(&question).outcome
        });
        match looked.await? {
            Ok(Outcome::Changes(page)) => Ok(Ok(page)),
            Ok(_) => Err(bad("the store answers another question")),
            Err(fault) => Ok(Err(fault)),
        }
    }

    /// Waits until there is more to look at.
    async fn wait(&mut self, sender: &mpsc::Sender<Bytes>) -> Result<(), Over> {
        loop {
            match self.news(sender).await? {
                News::Changed => return Ok(()),
                News::None => self.say_where(sender).await?,
                News::Stopping => {
                    let why = "the node is stopping: go on at another";
                    return self.end("ended", why, sender).await;
                }
            }
        }
    }

    async fn news(&mut self, sender: &mpsc::Sender<Bytes>) -> Result<News, Over> {
        let next = self.cursor.next;
        let Watched { revision, stop } = &mut self.watched;
        tokio::select! {
            biased;
            () = sender.closed() => Err(Over),
            // An error means that nobody is there to say so any more.
            _ = stop.wait_for(|stop| *stop) => Ok(News::Stopping),
            there = revision.wait_for(|revision| *revision >= next) => {
                there.map(|_| News::Changed).map_err(|_| Over)
            }
            () = sleep(ALIVE) => Ok(News::None),
        }
    }

    /// Tells changes, those of a revision together.
    async fn tell(&mut self, events: &[Event], sender: &mpsc::Sender<Bytes>) -> Result<(), Over> {
        for together in events.chunk_by(|one, other| one.revision == other.revision) {
            let Some(first) = together.first() else {
                continue;
            };
            self.told = first.revision;
            let changes: Vec<Value> = together.iter().map(json_answer::event).collect();
            let data = json!({ "revision": first.revision, "events": changes });
            let text = format!("id: {}\nevent: change\ndata: {data}\n\n", self.told);
            self.send(text, sender).await?;
        }
        self.told = Revision(self.cursor.next.0.saturating_sub(1));
        Ok(())
    }

    /// An event without data, which only says where to go on.
    async fn say_where(&mut self, sender: &mpsc::Sender<Bytes>) -> Result<(), Over> {
        let text = format!(": alive\nid: {}\n\n", self.told);
        self.send(text, sender).await
    }

    async fn end(
        &mut self,
        event: &str,
        why: &str,
        sender: &mpsc::Sender<Bytes>,
    ) -> Result<(), Over> {
        let data = json!({ "reason": why, "revision": self.told });
        let text = format!("event: {event}\ndata: {data}\n\n");
        self.send(text, sender).await?;
        Err(Over)
    }

    async fn send(&mut self, text: String, sender: &mpsc::Sender<Bytes>) -> Result<(), Over> {
        tokio::select! {
            biased;
            sent = sender.send(text.into()) => sent.map_err(|_| Over),
            // One that does not read does not keep the node from stopping.
            _ = self.watched.stop.wait_for(|stop| *stop) => Err(Over),
        }
    }
}
