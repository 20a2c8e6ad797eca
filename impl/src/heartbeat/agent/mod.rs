//! What a member does all the time: it shows that it lives, follows who leads and who else lives; and where
//! it leads, it keeps the list.
//!
//! Each heartbeat every member sends one packet to the leader and gets one back: 2n packets for n members.
//! While it knows no leader it asks the voters that it knows, the addresses that it was given, and now and
//! then everybody; only voters answer that, for they know who leads.

mod leader;
mod packets;
mod publish;
mod questions;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::config::Config;
use super::copy::DictionaryCopy;
use super::error::HeartbeatError;
use super::list::{ById, List};
use super::member_info::MemberInfo;
use super::packet::{Leader, Leave, Packet};
use super::post::{Large, Post};
use super::registry::{Heard, Registry};
use super::view::{Event, View};
use super::voter::Leadership;

/// No datagram is larger.
const MAX_DATAGRAM: usize = 1 << 16;
/// While nobody is known who might know, everybody is asked at each heartbeat; else at each of so many.
const WIDE_EVERY: u64 = 5;

/// How loaded this member says it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Load {
    pub(crate) value: Option<f64>,
    /// How often it has said so.
    pub(crate) reports: u64,
}

/// What an agent is connected with.
pub(crate) struct Lines {
    /// For packets to everybody.
    pub(crate) wide: Option<UdpSocket>,
    pub(crate) large: mpsc::Receiver<Large>,
    pub(crate) load: watch::Receiver<Load>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) copy: Arc<DictionaryCopy>,
    pub(crate) view: watch::Sender<View>,
    /// The voters that are known, this one included if it votes.
    pub(crate) voters: watch::Sender<ById>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// A member at work.
pub(crate) struct Agent {
    config: Config,
    own: MemberInfo,
    post: Post,
    lines: Lines,
    /// Where packets to everybody go.
    everybody: Option<SocketAddr>,
    list: List,
    leader: Option<Leader>,
    /// Since when it is that one.
    follows_since: Instant,
    /// The one that was given up last. Others may take a while to notice as well, and are not believed that it
    /// leads; it is, as soon as it answers.
    given_up: Option<Leader>,
    /// The greatest of which a leader was heard.
    term: u64,
    /// When a leader last took it for alive.
    contact: Option<Instant>,
    started: Instant,
    /// Counts the beats.
    beat: u64,
    /// The last that was answered.
    answered: u64,
    /// While this member leads.
    registry: Option<Registry>,
    /// Since when another member has had its id.
    refused: Option<(Instant, SocketAddr)>,
    ticks: u64,
    last_tick: Instant,
}

impl Agent {
    pub(crate) fn new(
        config: Config,
        own: MemberInfo,
        post: Post,
        lines: Lines,
        everybody: Option<SocketAddr>,
    ) -> Self {
        let now = Instant::now();
        let agent = Self {
            config,
            own,
            post,
            lines,
            everybody,
            list: List::default(),
            leader: None,
            follows_since: now,
            given_up: None,
            term: 0,
            contact: None,
            started: now,
            beat: 0,
            answered: 0,
            registry: None,
            refused: None,
            ticks: 0,
            last_tick: now,
        };
        if agent.own.voter.is_some() {
            agent.know_voters([agent.own.clone()]);
        }
        agent
    }

    /// Runs until it is told to stop, and then says that this member leaves.
    ///
    /// # Errors
    /// When another member has its id.
    pub(crate) async fn run(mut self) -> Result<(), HeartbeatError> {
        let udp = self.post.udp.clone();
        let mut stop = self.lines.stop.clone();
        let mut leadership = self.lines.leadership.clone();
        let mut follows_log = self.own.voter.is_some();
        let (mut near, mut far) = (vec![0; MAX_DATAGRAM], vec![0; MAX_DATAGRAM]);
        let wide = self.lines.wide.take();
        let mut ticks = interval(self.config.cluster.timing.heartbeat());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = told_to_leave(&mut stop) => break,
                _ = ticks.tick() => self.tick()?,
                changed = leadership.changed(), if follows_log => match changed {
                    Ok(()) => self.follow_log(Instant::now()),
                    // The voter's node has ended, and this is told to stop.
                    Err(_) => follows_log = false,
                },
                received = udp.recv_from(&mut near) => if let Ok((length, from)) = received {
                    self.receive(&near[..length], from)?;
                },
                Some((length, from)) = receive_wide(wide.as_ref(), &mut far) => {
                    self.receive(&far[..length], from)?;
                }
                Some(large) = self.lines.large.recv() => self.receive(&large.bytes, large.from)?,
            }
        }
        self.leave();
        Ok(())
    }

    /// The leader drops it at once then. Whoever leads after a voter that leaves is one of the voters.
    fn leave(&self) {
        let (id, life) = (self.own.id, self.own.life);
        let packet = Packet::Leave(Leave { id, life });
        let leader = self.leader.map(|leader| leader.address);
        let voters = self.lines.voters.borrow().clone();
        let told: BTreeSet<SocketAddr> = { voters.values() }
            .map(|voter| voter.address)
            .chain(leader)
            .filter(|address| *address != self.own.address)
            .collect();
        for address in told {
            self.post.send(address, &packet);
        }
    }

    fn tick(&mut self) -> Result<(), HeartbeatError> {
        let now = Instant::now();
        self.ticks += 1;
        let heartbeat = self.config.cluster.timing.heartbeat();
        let since = now.duration_since(std::mem::replace(&mut self.last_tick, now));
        // What has come meanwhile waits to be read.
        let held_up = since.saturating_sub(2 * heartbeat);
        let load = *self.lines.load.borrow();
        (self.own.load, self.own.reports) = (load.value, load.reports);
        self.follow_log(now);
        self.beat += 1;
        if let Some(registry) = &mut self.registry {
            if let Heard::Taken(other) = registry.hear(&self.own, self.beat, now) {
                return Err(self.id_taken(other));
            }
            registry.forgive(held_up, now);
            registry.expire(now);
            self.contact = Some(now);
            self.publish_registry();
            return Ok(());
        }
        self.give_up_silent_leader(now);
        match self.leader {
            Some(leader) => self.send_beat(leader.address, false),
            None => self.look_for_leader(),
        }
        self.publish();
        Ok(())
    }
}

/// A member that is dropped is told nothing: it falls silent.
async fn told_to_leave(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What comes for everybody, where this member listens for it.
async fn receive_wide(
    socket: Option<&UdpSocket>,
    buffer: &mut [u8],
) -> Option<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await.ok(),
        None => std::future::pending().await,
    }
}
