//! Clients that acquire a lock and release it, again and again: of our lock service, and of etcd's.
//!
//! Both do the same number of requests, one after the other, on one connection: with a lease that is
//! had once (a session, in our words) two for each acquisition, acquire and release; with a lease for
//! each three: a lease, the lock, and the end of the lease, which releases it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use lockstep::locks::server::{
    AcquireBody, GrantPage, OpenBody, ReleaseBody, ReleasePage, SessionPage, Was,
};
use lockstep::locks::sessions::session_id::SessionId;
use lockstep::service::http_client::Access;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::closed_loop::Client;
use crate::etcd_client::EtcdClient;

/// Longer than anything that is measured, so that nobody need renew it.
const TTL: Duration = Duration::from_secs(300);
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a client has a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lease {
    /// Once, for all acquisitions.
    Once,
    /// Anew for each acquisition.
    Each,
}

/// A lock: its name, and whether anybody has it.
#[derive(Clone, Debug)]
pub struct Lock {
    /// Its name.
    pub name: String,
    is_held: Arc<AtomicBool>,
}

impl Lock {
    /// A lock of this name. Whoever shares it has a clone.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            is_held: Arc::default(),
        }
    }

    /// Whoever has acquired it is alone with it, until a moment before it is released.
    async fn hold(&self) {
        let was_held = self.is_held.swap(true, Ordering::SeqCst);
        assert!(!was_held, "{} is held twice", self.name);
        // Others that hold it too would be seen here.
        tokio::task::yield_now().await;
        self.is_held.store(false, Ordering::SeqCst);
    }
}

/// A client of our lock service, at one node.
#[derive(Debug)]
pub struct LockstepLocker {
    http: reqwest::Client,
    node: String,
    lock: Lock,
    session: Option<SessionId>,
}

impl LockstepLocker {
    /// A client of the member with this address, with its session where that is to serve for all.
    pub async fn connect(node: &str, lock: Lock, lease: Lease) -> Self {
        let http = Access::plaintext().client(PATIENCE);
        let http = http.expect("a client").build().expect("a client");
        let mut locker = Self {
            http,
            node: node.to_owned(),
            lock,
            session: None,
        };
        if lease == Lease::Once {
            locker.session = Some(locker.open().await);
        }
        locker
    }

    /// Ends its session.
    pub async fn close(self) {
        if let Some(session) = self.session {
            self.end(session).await;
        }
    }

    async fn open(&self) -> SessionId {
        let body = OpenBody {
            ttl_ms: Some(millis(TTL)),
        };
        let page: SessionPage = self.ask(Method::POST, "/sessions", Some(&body)).await;
        page.session
    }

    async fn end(&self, session: SessionId) {
        let path = format!("/sessions/{session}");
        let _: serde_json::Value = self.ask(Method::DELETE, &path, None::<&()>).await;
    }

    async fn acquire(&self, session: SessionId) {
        let path = format!("/locks/{}/acquire", self.lock.name);
        let body = AcquireBody {
            session: Some(session),
            wait_ms: millis(PATIENCE),
            ..AcquireBody::default()
        };
        let grant: GrantPage = self.ask(Method::POST, &path, Some(&body)).await;
        assert_eq!(grant.session, session, "another session has the lock");
    }

    async fn release(&self, session: SessionId) {
        let path = format!("/locks/{}/release", self.lock.name);
        let body = ReleaseBody { session };
        let page: ReleasePage = self.ask(Method::POST, &path, Some(&body)).await;
        assert_eq!(page.was, Was::Held, "the lock was not held");
    }

    async fn ask<B: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> A {
        let mut request = self
            .http
            .request(method, format!("http://{}{path}", self.node));
        if let Some(body) = body {
            request = request.body(serde_json::to_vec(body).expect("it can be said in JSON"));
        }
        let answer = request.send().await.expect("the node answers");
        let status = answer.status();
        let text = answer.bytes().await.expect("the node answers in full");
        let said = String::from_utf8_lossy(&text);
        assert!(status.is_success(), "{path}: {status}: {said}");
        serde_json::from_slice(&text).expect("an answer of ours")
    }
}

impl Client for LockstepLocker {
    async fn act(&mut self) {
        match self.session {
            Some(session) => {
                self.acquire(session).await;
                self.lock.hold().await;
                self.release(session).await;
            }
            None => {
                let session = self.open().await;
                self.acquire(session).await;
                self.lock.hold().await;
                self.end(session).await;
            }
        }
    }
}

/// A client of etcd's lock service, at one member.
#[derive(Debug)]
pub struct EtcdLocker {
    client: EtcdClient,
    lock: Lock,
    lease: Option<i64>,
}

impl EtcdLocker {
    /// A client of the member with this address, with its lease where that is to serve for all.
    pub async fn connect(node: &str, lock: Lock, lease: Lease) -> Self {
        let mut client = EtcdClient::connect(node).await;
        let lease = match lease {
            Lease::Once => Some(client.grant(seconds(TTL)).await),
            Lease::Each => None,
        };
        Self {
            client,
            lock,
            lease,
        }
    }

    /// Ends its lease.
    pub async fn close(mut self) {
        if let Some(lease) = self.lease {
            self.client.revoke(lease).await;
        }
    }

    async fn acquire(&mut self, lease: i64) -> Bytes {
        let key = self.client.lock(&self.lock.name, lease).await;
        self.lock.hold().await;
        key
    }
}

impl Client for EtcdLocker {
    async fn act(&mut self) {
        match self.lease {
            Some(lease) => {
                let key = self.acquire(lease).await;
                self.client.unlock(key).await;
            }
            None => {
                let lease = self.client.grant(seconds(TTL)).await;
                self.acquire(lease).await;
                self.client.revoke(lease).await;
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
