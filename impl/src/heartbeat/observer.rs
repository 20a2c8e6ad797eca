//! Asks members without being one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout_at};

use super::config::{ClusterConfig, Config, Discovery};
use super::dictionary::{Dictionary, Voters};
use super::error::HeartbeatError;
use super::member::Stale;
use super::packet::{Copied, Envelope, Living, Packet, Question};
use super::post::{Post, receive_large};
use super::sockets::{Sockets, everybody};
use super::view::MemberList;
use crate::service::gossip_key::GossipKeys;
use crate::service::http_client::Access;

/// It is asked so often.
const AGAIN: Duration = Duration::from_millis(150);
/// No datagram is larger.
const MAX_DATAGRAM: usize = 1 << 16;
/// The number of a member that is none: it is not told to anybody.
const NOBODY: u16 = u16::MAX;

/// Asks members without being one: it is in no list, and costs nobody a vote.
pub struct Observer {
    cluster: ClusterConfig,
    post: Post,
    address: SocketAddr,
    large: tokio::sync::Mutex<mpsc::Receiver<super::post::Large>>,
    /// Members to ask, beside those that discovery finds.
    known: Vec<SocketAddr>,
    timeout: Duration,
    _receiving: JoinSet<()>,
}

impl Observer {
    /// Listens on `listen` for answers of members of `cluster`, and asks `known` beside those that discovery
    /// finds; each question may take `timeout`.
    ///
    /// # Errors
    /// When the configuration is at fault or an address cannot be had.
    pub async fn start(
        cluster: ClusterConfig,
        listen: SocketAddr,
        known: Vec<SocketAddr>,
        timeout: Duration,
    ) -> Result<Self, HeartbeatError> {
        cluster.check()?;
        let keys = cluster.security.gossip_key.as_deref();
        let keys = keys.map(GossipKeys::load).transpose()?;
        let sockets = Sockets::bind(&own_config(&cluster, listen, &known)).await?;
        let envelope = Envelope::new(&cluster.name, keys);
        let post = Post::new(sockets.udp, envelope, Arc::new(|_| true), cluster.mtu);
        let (large, received) = mpsc::channel(16);
        let mut receiving = JoinSet::new();
        receiving.spawn(receive_large(sockets.tcp, large));
        Ok(Self {
            cluster,
            post,
            address: sockets.address,
            large: tokio::sync::Mutex::new(received),
            known,
            timeout,
            _receiving: receiving,
        })
    }

    /// Who lives, by the word of a member that is in touch with a leader; or, where none is within the
    /// time-out, by that of the member that was so last: the list says that it is not current then.
    ///
    /// # Errors
    /// When no member answers.
    pub async fn members(&self) -> Result<MemberList, HeartbeatError> {
        let dead_after = self.cluster.timing.dead_after();
        let mut best: Option<Living> = None;
        let take = |packet: Packet, number: u64| match packet {
            Packet::Living(living) if living.to == number => {
                let is_current = is_current(&living, dead_after);
                if best
                    .as_ref()
                    .is_none_or(|best| living.age_ms <= best.age_ms)
                {
                    best = Some(living);
                }
                is_current
            }
            _ => false,
        };
        self.ask(&[], self.timeout, Packet::WhoLives, take).await;
        let living = best.ok_or_else(|| self.nobody())?;
        let living = self.of_leader(living).await;
        Ok(MemberList {
            is_current: is_current(&living, dead_after),
            members: living.members,
            leader: living.leader,
            age: Duration::from_millis(living.age_ms),
        })
    }

    /// The list of the leader itself, if it answers at once; else this one.
    async fn of_leader(&self, living: Living) -> Living {
        let Some(leader) = living.leader.filter(|leader| leader.id != living.by) else {
            return living;
        };
        let mut own = None;
        let take = |packet: Packet, number: u64| match packet {
            Packet::Living(living) if living.to == number && living.by == leader.id => {
                own = Some(living);
                true
            }
            _ => false,
        };
        self.ask(&[leader.address], 2 * AGAIN, Packet::WhoLives, take)
            .await;
        own.unwrap_or(living)
    }

    /// The value of a key in the copy of a member: of the first that answers and has one. Other members may know
    /// of later changes.
    ///
    /// # Errors
    /// When no member answers, or none has a copy.
    pub async fn get_stale(&self, key: &[u8]) -> Result<Stale<Option<Bytes>>, HeartbeatError> {
        let mut best: Option<Copied> = None;
        let mut answered = false;
        let take = |packet: Packet, number: u64| match packet {
            Packet::StaleValue(value) if value.to == number => {
                answered = true;
                match value.found {
                    Some(found) => {
                        best = Some(found);
                        true
                    }
                    None => false,
                }
            }
            _ => false,
        };
        let key = key.to_vec();
        let question = |question| Packet::StaleRead {
            question,
            key: key.clone(),
        };
        self.ask(&[], self.timeout, question, take).await;
        let Some(found) = best else {
            return Err(match answered {
                true => HeartbeatError::NoCopy,
                false => self.nobody(),
            });
        };
        Ok(Stale {
            value: found.value.map(Bytes::from),
            revision: found.revision,
            age: Duration::from_millis(found.age_ms),
        })
    }

    /// The dictionary, by the voters that `members` tells of.
    ///
    /// # Errors
    /// When no member answers, or none knows of a voter.
    pub async fn dictionary(&self, access: Access) -> Result<ObserverDictionary, HeartbeatError> {
        let members = self.members().await?.members;
        let voters = members.into_iter().filter_map(|member| member.voter);
        let voters: Vec<String> = voters.map(|voter| voter.client).collect();
        if voters.is_empty() {
            return Err(HeartbeatError::NoMajority("no voter is known".to_owned()));
        }
        let (told, voters) = tokio::sync::watch::channel(Voters::new(voters));
        let dictionary = Dictionary::new(access, self.timeout, voters);
        Ok(ObserverDictionary {
            dictionary,
            _told: told,
        })
    }

    fn nobody(&self) -> HeartbeatError {
        HeartbeatError::NoMajority(format!(
            "no member of `{}` has answered within {:?}: are any running, under this name, and found by {}?",
            self.cluster.name,
            self.timeout,
            match &self.cluster.discovery {
                Discovery::Broadcast { port, .. } => format!("broadcast to port {port}"),
                Discovery::Multicast { group, port, .. } => format!("multicast to {group}:{port}"),
                Discovery::Static { members } => format!("this list: {members:?}"),
            }
        ))
    }

    /// Asks these members, or all that can be found if none is named, again and again, until `take` is content
    /// with an answer, or the time is up.
    async fn ask(
        &self,
        named: &[SocketAddr],
        limit: Duration,
        packet: impl Fn(Question) -> Packet,
        mut take: impl FnMut(Packet, u64) -> bool,
    ) {
        let number = fastrand::u64(..);
        let deadline = Instant::now() + limit;
        let mut again = interval(AGAIN);
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut large = self.large.lock().await;
        let asking = async {
            loop {
                let bytes = tokio::select! {
                    _ = again.tick() => {
                        self.send(named, number, &packet);
                        continue;
                    }
                    received = self.post.udp.recv_from(&mut buffer) => match received {
                        Ok((length, _)) => buffer[..length].to_vec(),
                        Err(_) => continue,
                    },
                    Some(large) = large.recv() => large.bytes,
                };
                let answer = self.post.open(&bytes);
                if answer.is_some_and(|answer| take(answer, number)) {
                    return;
                }
            }
        };
        // What has come by then is what there is.
        let _ = timeout_at(deadline, asking).await;
    }

    fn send(&self, named: &[SocketAddr], number: u64, packet: &impl Fn(Question) -> Packet) {
        let question = |wide| Question {
            number,
            address: self.address,
            wide,
        };
        for member in named {
            self.post.send(*member, &packet(question(false)));
        }
        if !named.is_empty() {
            return;
        }
        let listed = match &self.cluster.discovery {
            Discovery::Static { members } => members.clone(),
            Discovery::Broadcast { .. } | Discovery::Multicast { .. } => Vec::new(),
        };
        for member in self.known.iter().chain(&listed) {
            self.post.send(*member, &packet(question(false)));
        }
        if let Some(everybody) = everybody(&self.cluster.discovery) {
            self.post.send(everybody, &packet(question(true)));
        }
    }
}

/// The dictionary, for whoever is no member.
pub struct ObserverDictionary {
    dictionary: Dictionary,
    /// As long as this is there, the voters are known.
    _told: tokio::sync::watch::Sender<Voters>,
}

impl ObserverDictionary {
    /// As [`Member::set`](super::Member::set).
    ///
    /// # Errors
    /// As there.
    pub async fn set(&self, key: &[u8], value: Bytes) -> Result<u64, HeartbeatError> {
        self.dictionary.set(key, value).await
    }

    /// As [`Member::get`](super::Member::get).
    ///
    /// # Errors
    /// As there.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, HeartbeatError> {
        self.dictionary.get(key).await
    }

    /// As [`Member::delete`](super::Member::delete).
    ///
    /// # Errors
    /// As there.
    pub async fn delete(&self, key: &[u8]) -> Result<bool, HeartbeatError> {
        self.dictionary.delete(key).await
    }
}

fn is_current(living: &Living, dead_after: Duration) -> bool {
    living.leader.is_some() && Duration::from_millis(living.age_ms) < dead_after
}

/// Whoever votes would listen for what goes to everybody. This one does not.
fn own_config(cluster: &ClusterConfig, listen: SocketAddr, known: &[SocketAddr]) -> Config {
    let mut cluster = cluster.clone();
    cluster.voters.retain(|voter| *voter != NOBODY);
    if let Discovery::Static { members } = &mut cluster.discovery {
        members.extend_from_slice(known);
    }
    Config::new(cluster, NOBODY).on(listen)
}
