//! Whom a member follows.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tokio::time::Instant;

use super::{Agent, WIDE_EVERY};
use crate::heartbeat::config::Discovery;
use crate::heartbeat::member_info::MemberInfo;
use crate::heartbeat::packet::{Beat, Leader, Packet};
use crate::heartbeat::registry::Registry;
use crate::heartbeat::view::Event;
use crate::heartbeat::voter::Leadership;

impl Agent {
    /// Takes over what this voter's Raft says, which knows better than any packet.
    pub(super) fn follow_log(&mut self, now: Instant) {
        let Leadership { term, leader } = *self.lines.leadership.borrow();
        if self.own.voter.is_none() || term == 0 || term < self.term {
            return;
        }
        self.term = term;
        let address = |id| {
            if id == self.own.id {
                return Some(self.own.address);
            }
            let voters = self.lines.voters.borrow();
            voters.get(&id).map(|voter: &MemberInfo| voter.address)
        };
        let leader = leader.and_then(|id| {
            let address = address(id)?;
            Some(Leader { term, id, address })
        });
        self.set_leader(leader);
        let leads = leader.is_some_and(|leader| leader.id == self.own.id);
        let is_new = { self.registry.as_ref() }.is_none_or(|registry| registry.term() != term);
        if leads && is_new {
            let dead_after = self.config.cluster.timing.dead_after();
            self.registry = Some(Registry::take_over(
                term,
                &self.list.members,
                dead_after,
                now,
            ));
        } else if !leads {
            self.registry = None;
        }
    }

    /// A voter's Raft says when it has no leader; any other member goes by what it hears.
    pub(super) fn give_up_silent_leader(&mut self, now: Instant) {
        let silence = self.config.cluster.timing.leader_silence();
        let last = self.contact.unwrap_or(self.started).max(self.follows_since);
        if self.own.voter.is_none() && now.duration_since(last) >= silence {
            self.given_up = self.leader.or(self.given_up);
            self.set_leader(None);
        }
    }

    pub(super) fn set_leader(&mut self, leader: Option<Leader>) {
        if self.leader != leader {
            self.leader = leader;
            self.follows_since = Instant::now();
            self.publish();
            self.tell(Event::Leader(leader));
        }
    }

    pub(super) fn send_beat(&self, to: SocketAddr, wide: bool) {
        let beat = Beat {
            from: self.own.clone(),
            number: self.beat,
            known: self.list.version,
            wide,
        };
        self.post.send(to, &Packet::Beat(beat));
    }

    pub(super) fn look_for_leader(&self) {
        let voters = self.lines.voters.borrow().clone();
        let listed: &[SocketAddr] = match &self.config.cluster.discovery {
            Discovery::Static { members } => members,
            Discovery::Broadcast { .. } | Discovery::Multicast { .. } => &[],
        };
        let known: BTreeSet<SocketAddr> = { voters.values() }
            .map(|voter| voter.address)
            .chain(listed.iter().copied())
            .filter(|address| *address != self.own.address)
            .collect();
        for address in &known {
            self.send_beat(*address, false);
        }
        let all_known = self.config.cluster.voters.len() <= voters.len();
        if let Some(everybody) = self.everybody
            && (!all_known || self.ticks.is_multiple_of(WIDE_EVERY))
        {
            self.send_beat(everybody, true);
        }
    }

    pub(super) fn is_news(&self, leader: Leader) -> bool {
        let is_next = self.leader.is_none() && leader.term == self.term;
        (leader.term > self.term || is_next) && self.given_up != Some(leader)
    }
}
