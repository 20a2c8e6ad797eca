//! The models, running: tokio, TCP, a write-ahead log, and the services on top.
//!
//! [`runtime`] runs one node of any [`Protocol`](models::Protocol): it hands inputs to the step
//! function, puts the records on disk, and only then lets the effects leave. **It knows no
//! protocol**: it holds for all of them or for none. [`service`] is what the process of every node
//! has beside that, and each service has a folder: [`kv`], [`files`], [`locks`], [`counter`]; [`heartbeat`] is a library over
//! the first of these.
//!
//! A node over TCP, with its journal in a directory:
//!
//! ```no_run
//! # async fn start<P: models::Protocol<Timer = ()>>(protocol: P) -> Result<(), Box<dyn std::error::Error>> {
//! use std::collections::BTreeMap;
//! use std::time::Duration;
//!
//! use lockstep::{ClusterId, Identity, random_disk};
//! use lockstep::runtime::driver::{NodeBuilder, mailbox};
//! use lockstep::runtime::journal::{FileJournal, FileJournalOptions};
//! use lockstep::runtime::timers::TimerSpan;
//! use lockstep::runtime::transport::tcp::{Tcp, TcpConfig};
//! use models::NodeId;
//!
//! let identity = Identity {
//!     cluster: "blue".into(),
//!     cluster_id: ClusterId::random()?,
//!     protocol: "raft-kv".into(),
//!     version: 1,
//!     node: protocol.id(),
//!     disk: random_disk()?,
//! };
//! let peers = BTreeMap::from([(NodeId(2), "10.0.0.2:7400".to_owned())]);
//!
//! let (inbox, mailbox) = mailbox(4096);
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:7400").await?;
//! let config = TcpConfig::new(identity.clone(), peers);
//! let (tcp, transport) = Tcp::start(listener, config, inbox.clone(), inbox.metrics().clone())?;
//! let journal = FileJournal::open("/var/lib/lockstep", identity, FileJournalOptions::default())?;
//!
//! let spans = |_: &_| TimerSpan::Between(Duration::from_millis(150)..=Duration::from_millis(300));
//! let node = NodeBuilder::new(protocol, spans, |event| println!("{event:?}"))
//!     .spawn((inbox.clone(), mailbox), journal, transport)?;
//!
//! // inbox.ask(command)?; inbox.inspect(|node| node.durable().clone()).await?;
//! let _status = node.ended().await;
//! tokio::task::spawn_blocking(|| node.shutdown()).await??;
//! tcp.shutdown().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
// A node ends on purpose or not at all: what is impossible is told apart in types, and the rest is an
// error with words.
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(not(lockstep_loom))]
pub mod counter;
#[cfg(not(lockstep_loom))]
pub mod files;
#[cfg(not(lockstep_loom))]
pub mod heartbeat;
#[cfg(not(lockstep_loom))]
pub mod kv;
#[cfg(not(lockstep_loom))]
pub mod locks;
pub mod runtime;
#[cfg(not(lockstep_loom))]
pub mod service;

#[cfg(not(lockstep_loom))]
pub use runtime::identity::{ClusterId, Identity, random_disk};
