//! Leases, as a client has them.

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, ClientError};

/// A lease that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Lease {
    /// Its number.
    pub id: u64,
    /// For how many seconds it goes on without a sign of life.
    pub ttl_s: u64,
}

/// What a node knows of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LeaseStatus {
    /// Its number.
    pub id: u64,
    /// For how many seconds it goes on without a sign of life.
    pub ttl_s: u64,
    /// How many of them are left, by the clock of the node that answers, if it has seen the last sign.
    pub remaining_s: Option<u64>,
    /// The keys that it holds, as the API shows them.
    pub keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Ended {
    deleted: u64,
}

#[derive(Deserialize)]
struct All {
    leases: Vec<u64>,
}

impl Client {
    /// Begins a lease of so many seconds, of this number or of one that is drawn.
    ///
    /// # Errors
    /// When it was refused, or there was no answer in time.
    pub async fn grant(&mut self, ttl_s: u64, id: Option<u64>) -> Result<Lease, ClientError> {
        let body = json!({ "ttl_s": ttl_s, "id": id }).to_string();
        let answer = self.request(Method::POST, "/leases", body.into()).await?;
        self.parse(&answer)
    }

    /// Says that whoever has the lease lives.
    ///
    /// # Errors
    /// When there is no such lease any more, or there was no answer in time.
    pub async fn keep_alive(&mut self, id: u64) -> Result<Lease, ClientError> {
        let path = format!("/leases/{id}/keepalive");
        let answer = self.request(Method::POST, &path, Bytes::new()).await?;
        self.parse(&answer)
    }

    /// Ends a lease: its keys go. Returns how many.
    ///
    /// # Errors
    /// When there is no such lease, or there was no answer in time.
    pub async fn revoke(&mut self, id: u64) -> Result<u64, ClientError> {
        let path = format!("/leases/{id}");
        let answer = self.request(Method::DELETE, &path, Bytes::new()).await?;
        let ended: Ended = self.parse(&answer)?;
        Ok(ended.deleted)
    }

    /// How a lease fares.
    ///
    /// # Errors
    /// When there is no such lease, or there was no answer in time.
    pub async fn lease(&mut self, id: u64) -> Result<LeaseStatus, ClientError> {
        let path = format!("/leases/{id}");
        let answer = self.request(Method::GET, &path, Bytes::new()).await?;
        self.parse(&answer)
    }

    /// The numbers of all leases, in order.
    ///
    /// # Errors
    /// When there was no answer in time.
    pub async fn leases(&mut self) -> Result<Vec<u64>, ClientError> {
        let answer = self.request(Method::GET, "/leases", Bytes::new()).await?;
        let all: All = self.parse(&answer)?;
        Ok(all.leases)
    }
}
