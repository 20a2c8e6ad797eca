//! A library for programs that run on several machines and want to know of each other: who lives, who
//! leads, a dictionary that all share, and whom to give the next job.
//!
//! ```
//! use lockstep::heartbeat::{ClusterConfig, Config, Discovery, Member};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! // A member that votes. Three or five of them bear the loss of one or two.
//! let mut cluster = ClusterConfig::new("workshop", [1]);
//! // On a local network there is nothing to say here: members find each other by broadcast.
//! cluster.discovery = Discovery::Static { members: Vec::new() };
//! let one = Config::new(cluster.clone(), 1).on_loopback().with_data(folder.path());
//! let one = Member::join(one).await?;
//! assert!(one.is_leader());
//!
//! // A member that does not vote, of which there may be hundreds.
//! cluster.discovery = Discovery::Static { members: vec![one.address()] };
//! let two = Member::join(Config::new(cluster, 2).on_loopback()).await?;
//! assert_eq!(two.members().ids(), [one.id(), two.id()]);
//!
//! // What is set is committed: all read it.
//! two.set("colour", "blue - or green").await?;
//! assert_eq!(one.get("colour").await?, Some("blue - or green".into()));
//! assert!(one.delete("colour").await?);
//! assert!(two.get_all().await?.is_empty());
//!
//! two.shutdown().await?;
//! one.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Whom to give the next job
//!
//! ```
//! # use lockstep::heartbeat::{ClusterConfig, Config, Discovery, Member};
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let mut cluster = ClusterConfig::new("workshop", [1]);
//! # cluster.discovery = Discovery::Static { members: Vec::new() };
//! # let one = Config::new(cluster.clone(), 1).on_loopback().with_data(folder.path());
//! # let one = Member::join(one).await?;
//! # cluster.discovery = Discovery::Static { members: vec![one.address()] };
//! let worker = Config::new(cluster, 2).on_loopback().with_service("127.0.0.1:8080".parse()?);
//! let worker = Member::join(worker).await?;
//! worker.report_load(0.25)?;
//! one.wait_for(|list| list.get(worker.id()).is_some_and(|worker| worker.load.is_some())).await;
//!
//! // A job makes a tenth of a machine's load.
//! let chosen = one.pick_least_loaded(0.1)?;
//! assert_eq!(chosen.service_address, Some("127.0.0.1:8080".parse()?));
//! # worker.shutdown().await?;
//! # one.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What changes
//!
//! ```
//! # use lockstep::heartbeat::{ClusterConfig, Config, Discovery, Event, Member};
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let mut cluster = ClusterConfig::new("workshop", [1]);
//! # cluster.discovery = Discovery::Static { members: Vec::new() };
//! # let one = Config::new(cluster.clone(), 1).on_loopback().with_data(folder.path());
//! # let one = Member::join(one).await?;
//! # cluster.discovery = Discovery::Static { members: vec![one.address()] };
//! let mut events = one.subscribe();
//! let two = Member::join(Config::new(cluster, 2).on_loopback()).await?;
//! two.shutdown().await?;
//! let mut seen = Vec::new();
//! while seen.len() < 2 {
//!     match events.next().await {
//!         Some(Event::Joined(member)) if member.id != one.id() => {
//!             seen.push(format!("{} joined", member.id.0));
//!         }
//!         Some(Event::Left(member)) => seen.push(format!("{} left", member.id.0)),
//!         Some(_) => {}
//!         None => break,
//!     }
//! }
//! assert_eq!(seen, ["2 joined", "2 left"]);
//! # one.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What decides, and what only informs
//!
//! **The list of live members decides nothing.** A quorum is a majority of the voters, whose ids stand in the
//! configuration and, once the cluster is founded, in its replicated log. How many of them anybody sees alive
//! does not change how many are needed: so two sides of a split network never both have a leader that commits,
//! and the side with the minority says that it cannot. There one can still read what was
//! ([`get_stale`](Member::get_stale)), with how old it is.
//!
//! The leader is elected by Raft, in the step function that `models` checks, and the dictionary is what the
//! [key-value service](crate::kv) replicates: a write is on the disks of a majority before
//! [`set`](Member::set) returns. A voter therefore has a folder, and one whose folder was emptied is refused:
//! it would deny what it has promised.
//!
//! Who lives is what the leader has heard lately: each member sends it one packet every `heartbeat_ms` and
//! gets one back, with what has changed in the list: 2n packets for n members. The leader drops whom it has
//! not heard for `dead_after_ms`, and takes whom it hears again. A packet larger than `mtu` goes over TCP,
//! so the list may be of any length.
//!
//! # How a member fares
//!
//! With [`Config::with_metrics`] a member serves pages over HTTP: one for people, `/members`, `/healthz`, `/readyz`,
//! `/metrics` and `/debug/vars`. They can be asked before it announces itself, and until it has left.

mod agent;
mod balance;
mod config;
mod copy;
mod dictionary;
mod error;
mod list;
pub mod local;
mod member;
mod member_info;
mod members_page;
mod observer;
mod packet;
mod pages;
mod post;
mod registry;
mod sockets;
mod traffic;
mod view;
mod voter;

pub use balance::Available;
pub use config::{Balance, ClusterConfig, Config, Discovery, MAX_VOTERS, Timing, VoterConfig};
pub use error::HeartbeatError;
pub use member::{Member, Stale};
pub use member_info::{MemberInfo, VoterAddresses};
pub use members_page::{LeaderPage, MemberPage, MembersPage};
pub use models::NodeId;
pub use observer::{Observer, ObserverDictionary};
pub use packet::Leader;
pub use traffic::Traffic;
pub use view::{Event, MemberList, Subscription};
