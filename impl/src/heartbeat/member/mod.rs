//! A member of a cluster, as a program has it.

mod start;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use models::NodeId;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, timeout};

use self::start::{Tasks, end};
use super::agent::Load;
use super::balance::{Available, Balancer};
use super::config::Config;
use super::copy::DictionaryCopy;
use super::dictionary::Dictionary;
use super::error::HeartbeatError;
use super::list::ById;
use super::member_info::MemberInfo;
use super::packet::Leader;
use super::traffic::{Counters, Traffic};
use super::view::{Event, MemberList, Subscription, View};
use crate::runtime::sync::Mutex;

/// A value as it was, out of a member's own copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale<T> {
    /// What it was.
    pub value: T,
    /// At which revision of the dictionary.
    pub revision: u64,
    /// How long ago this member was last in touch with a leader. The copy may be older by what was under way
    /// then.
    pub age: Duration,
}

/// A member of a cluster. When it is dropped without [`shutdown`](Self::shutdown) it falls silent, as if its
/// machine had died: the others drop it within `dead_after_ms`. See the [module](super) for an example.
pub struct Member {
    config: Arc<Config>,
    address: SocketAddr,
    view: watch::Receiver<View>,
    voters: watch::Receiver<ById>,
    events: broadcast::Sender<Event>,
    load: watch::Sender<Load>,
    dictionary: Arc<Dictionary>,
    copy: Arc<DictionaryCopy>,
    balancer: Mutex<Balancer>,
    counters: Arc<Counters>,
    tasks: Tasks,
}

impl Member {
    /// Joins: starts the member, and waits until a leader has taken it into its list. Must be called within
    /// a tokio runtime. Cancel-safe: a member that has not joined yet is gone again.
    ///
    /// # Errors
    /// When the configuration is at fault or an address cannot be had; when no leader is heard within
    /// `join_timeout_ms`, or the voter's node fails. Nothing is left running then.
    pub async fn join(config: Config) -> Result<Self, HeartbeatError> {
        let member = Self::start(config).await?;
        match member.joined().await {
            Ok(()) => Ok(member),
            Err(error) => {
                // What it says of its end is said already.
                let _ = member.shutdown().await;
                Err(error)
            }
        }
    }

    /// Starts the member, and does not wait until it has joined. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the configuration is at fault or an address cannot be had. Nothing was sent then.
    pub async fn start(config: Config) -> Result<Self, HeartbeatError> {
        Self::start_within(config, Arc::new(|_| true)).await
    }

    /// Waits until a leader has taken the member into its list. Cancel-safe.
    ///
    /// # Errors
    /// When that does not happen within `join_timeout_ms`, or the member has failed. It goes on trying in the
    /// first case.
    pub async fn joined(&self) -> Result<(), HeartbeatError> {
        let mut view = self.view.clone();
        let joined = async {
            if view.wait_for(|view| view.joined).await.is_err() {
                // It has ended, which `ended` says.
                std::future::pending::<()>().await;
            }
        };
        let limit = self.config.cluster.timing.join_timeout();
        let joined = async {
            match limit {
                Some(limit) => timeout(limit, joined).await.map_err(|_| limit),
                None => {
                    joined.await;
                    Ok(())
                }
            }
        };
        tokio::select! {
            biased;
            error = self.ended() => Err(error),
            joined = joined => joined.map_err(|waited| HeartbeatError::NotJoined {
                waited,
                heard: self.heard(),
            }),
        }
    }

    /// In words, which voters were heard.
    fn heard(&self) -> String {
        let others: Vec<String> = self
            .voters
            .borrow()
            .keys()
            .filter(|id| **id != self.config.id)
            .map(|id| id.0.to_string())
            .collect();
        match others.as_slice() {
            [] => "It has heard no voter".to_owned(),
            others => format!("It has heard these voters: {}", others.join(", ")),
        }
    }

    /// Waits until the member takes no more part, and says why. Cancel-safe. Never returns while it runs.
    pub async fn ended(&self) -> HeartbeatError {
        let mut fate = self.tasks.fate.clone();
        match { fate.wait_for(Option::is_some).await }.map(|fate| fate.clone()) {
            Ok(Some(error)) => error,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// The number of this member.
    pub fn id(&self) -> NodeId {
        self.config.id
    }

    /// Where other members reach this one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it shows how it fares, if it was told to.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.tasks.pages.as_ref().map(|pages| pages.address)
    }

    /// Who lives, as far as this member knows: what the leader last said, and how long ago that was.
    pub fn members(&self) -> MemberList {
        let dead_after = self.config.cluster.timing.dead_after();
        self.view.borrow().list(Instant::now(), dead_after)
    }

    /// Waits until the list is so, looking at it whenever it changes and twice in a heartbeat, and returns it.
    /// Cancel-safe.
    pub async fn wait_for(&self, mut is_so: impl FnMut(&MemberList) -> bool) -> MemberList {
        let mut view = self.view.clone();
        let pause = self.config.cluster.timing.heartbeat() / 2;
        loop {
            let list = self.members();
            if is_so(&list) {
                return list;
            }
            // It also gets older while nothing changes. One that has ended changes no more.
            if let Ok(Err(_)) = timeout(pause, view.changed()).await {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Who leads, as far as this member knows.
    pub fn leader(&self) -> Option<Leader> {
        self.view.borrow().leader
    }

    /// Whether this member leads, as far as it knows: for work that one member should do rather than all.
    ///
    /// A leader that is cut off knows that only after an election time-out, and there may be another by then.
    /// What must not be done twice belongs into the dictionary, whose changes only one leader can have
    /// committed.
    pub fn is_leader(&self) -> bool {
        self.leader()
            .is_some_and(|leader| leader.id == self.config.id)
    }

    /// Sets a key. Returns once that is committed: a majority of the voters has it on disk, and whoever reads
    /// from then on reads it. Returns the revision of the dictionary.
    ///
    /// Keys have 1 to 4096 bytes, values at most 1 MiB; they may hold any bytes.
    ///
    /// Cancel-safe: a call that is dropped has been done once or not at all, or is done before this member's
    /// next write, never after it. A member's writes are done one after the other.
    ///
    /// # Errors
    /// [`NoMajority`](HeartbeatError::NoMajority) and nothing was changed; or
    /// [`Uncertain`](HeartbeatError::Uncertain) when it may have been done; within `request_timeout_ms`.
    pub async fn set(
        &self,
        key: impl AsRef<[u8]>,
        value: impl Into<Bytes>,
    ) -> Result<u64, HeartbeatError> {
        self.dictionary.set(key.as_ref(), value.into()).await
    }

    /// Removes a key. Returns once that is committed, and whether the key was there. Cancel-safe as
    /// [`set`](Self::set).
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool, HeartbeatError> {
        self.dictionary.delete(key.as_ref()).await
    }

    /// The value of a key, or nothing if it has none: what was committed last, by whichever member
    /// (linearizable). Cancel-safe.
    ///
    /// # Errors
    /// When no majority of the voters confirms it within `request_timeout_ms`: then there is only
    /// [`get_stale`](Self::get_stale).
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>, HeartbeatError> {
        self.dictionary.get(key.as_ref()).await
    }

    /// All keys with their values, of one moment. Cancel-safe.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_all(&self) -> Result<BTreeMap<Bytes, Bytes>, HeartbeatError> {
        let (_, entries) = self.dictionary.all().await?;
        let entries = entries.into_iter().map(|entry| (entry.key, entry.value));
        Ok(entries.collect())
    }

    /// The value of a key in this member's own copy, which asks nobody: it may be out of date, and says how
    /// old it is. The only answer that there is on the side of a minority.
    ///
    /// # Errors
    /// When there is no copy yet.
    pub fn get_stale(&self, key: impl AsRef<[u8]>) -> Result<Stale<Option<Bytes>>, HeartbeatError> {
        let all = self.get_all_stale()?;
        Ok(Stale {
            value: all.value.get(key.as_ref()).cloned(),
            revision: all.revision,
            age: all.age,
        })
    }

    /// All of this member's own copy.
    ///
    /// # Errors
    /// When there is none yet.
    pub fn get_all_stale(&self) -> Result<Stale<Arc<BTreeMap<Bytes, Bytes>>>, HeartbeatError> {
        let (value, revision) = self.copy.read().ok_or(HeartbeatError::NoCopy)?;
        Ok(Stale {
            value,
            revision,
            age: self.members().age,
        })
    }

    /// Says how loaded this member is: 0 is idle, 1 is fully used, more is too much. All members know within
    /// two heartbeats.
    ///
    /// # Errors
    /// When it is negative or no number.
    pub fn report_load(&self, load: f64) -> Result<(), HeartbeatError> {
        if !load.is_finite() || load < 0.0 {
            return Err(HeartbeatError::NoLoad(load));
        }
        self.load.send_modify(|known| {
            known.value = Some(load);
            known.reports += 1;
        });
        Ok(())
    }

    /// The members that may be given work, the least loaded first: those that say that their load is below
    /// `load_limit`, without the leader unless `include_leader` says otherwise.
    ///
    /// # Errors
    /// When this member is not in touch with a leader, so that it does not know who lives.
    pub fn available(&self) -> Result<Vec<Available>, HeartbeatError> {
        let list = self.members();
        if !list.is_current {
            return Err(HeartbeatError::OutOfTouch(list.age));
        }
        let leader = list.leader.map(|leader| leader.id);
        let members = self.view.borrow().members.clone();
        let balance = &self.config.cluster.balance;
        Ok(self.balancer.lock().available(&members, leader, balance))
    }

    /// The member to give the next job to: the least loaded that may be given work. Until it says anew how
    /// loaded it is, it is taken to have `job_load` more: so that jobs that are given out between two
    /// heartbeats do not all go to one member.
    ///
    /// # Errors
    /// When nobody's load is below `load_limit`, this member is not in touch with a leader, or `job_load` is
    /// negative or no number.
    pub fn pick_least_loaded(&self, job_load: f64) -> Result<MemberInfo, HeartbeatError> {
        if !job_load.is_finite() || job_load < 0.0 {
            return Err(HeartbeatError::NoLoad(job_load));
        }
        let list = self.members();
        if !list.is_current {
            return Err(HeartbeatError::OutOfTouch(list.age));
        }
        let leader = list.leader.map(|leader| leader.id);
        let members = self.view.borrow().members.clone();
        let balance = &self.config.cluster.balance;
        // Under one lock: of two that pick at a time the second sees what the first was given.
        let mut balancer = self.balancer.lock();
        let mut available = balancer.available(&members, leader, balance).into_iter();
        let Some(Available { member, .. }) = available.next() else {
            return Err(HeartbeatError::NobodyAvailable {
                limit: balance.load_limit,
                known: members.len(),
            });
        };
        balancer.give(&member, job_load);
        Ok(member)
    }

    /// Tells from now on who joins, leaves and leads, and what of the dictionary changes. Each event comes
    /// once and in order; who does not take them in time is told how many are lost. When an event comes,
    /// [`members`](Self::members) shows what it says already.
    pub fn subscribe(&self) -> Subscription {
        Subscription::new(self.events.subscribe())
    }

    /// What this member has sent.
    pub fn traffic(&self) -> Traffic {
        self.counters.read()
    }

    /// Leaves: a voter hands its leadership over, ends what runs and puts everything on disk; then the leader
    /// is told, which drops the member at once. Takes a second or two at most.
    ///
    /// # Errors
    /// When the member had failed before, or fails on the way. It has ended all the same.
    pub async fn shutdown(mut self) -> Result<(), HeartbeatError> {
        let Tasks {
            stop_voter,
            stop_agent,
            voter,
            agent,
            pages,
            ..
        } = &mut self.tasks;
        stop_voter.send_replace(true);
        let voter = end(voter.take()).await;
        stop_agent.send_replace(true);
        let agent = end(agent.take()).await;
        if let Some(pages) = pages.take() {
            pages.shutdown().await;
        }
        voter.and(agent)
    }
}
