//! What a member does with packets of other members.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::Agent;
use crate::heartbeat::error::HeartbeatError;
use crate::heartbeat::packet::{Answer, Beat, Leave, Packet, Pointer, Refused};
use crate::heartbeat::registry::Heard;

impl Agent {
    pub(super) fn receive(&mut self, bytes: &[u8], from: SocketAddr) -> Result<(), HeartbeatError> {
        if !(self.post.reach)(from) {
            return Ok(());
        }
        let Some(packet) = self.post.open(bytes) else {
            return Ok(());
        };
        match packet {
            Packet::Beat(beat) => self.hear(&beat),
            Packet::Answer(answer) => self.take_answer(answer),
            Packet::Pointer(pointer) => self.take_pointer(pointer, from),
            Packet::Leave(leave) => self.let_go(&leave),
            Packet::Refused(refused) => return self.take_refusal(&refused),
            Packet::WhoLives(question) => self.say_who_lives(question, from),
            Packet::StaleRead { question, key } => self.read_copy(question, &key, from),
            // Only who asks without being a member gets these.
            Packet::Living(_) | Packet::StaleValue(_) => {}
        }
        Ok(())
    }

    pub(super) fn hear(&mut self, beat: &Beat) {
        let Beat {
            from,
            number,
            known,
            wide,
        } = beat;
        // Its own words, to everybody.
        if from.id == self.own.id && from.life == self.own.life {
            return;
        }
        if from.voter.is_some() && self.config.cluster.votes(from.id) && from.id != self.own.id {
            self.know_voters([from.clone()]);
        }
        let Some(registry) = &mut self.registry else {
            if !wide || self.own.voter.is_some() {
                let pointer = Pointer {
                    leader: self.leader,
                    voters: self.lines.voters.borrow().values().cloned().collect(),
                };
                self.post.send(from.address, &Packet::Pointer(pointer));
            }
            return;
        };
        match registry.hear(from, *number, Instant::now()) {
            Heard::Old => {}
            Heard::Taken(other) => {
                let life = from.life;
                let packet = Packet::Refused(Refused { life, other });
                self.post.send(from.address, &packet);
            }
            Heard::Alive => {
                let change = registry.change_from(*known);
                if !self.list.members.contains_key(&from.id) {
                    self.publish_registry();
                }
                let Some(leader) = self.leader else { return };
                let answer = Answer {
                    leader,
                    to: *number,
                    change,
                };
                self.post.send(from.address, &Packet::Answer(answer));
            }
        }
    }

    pub(super) fn take_answer(&mut self, answer: Answer) {
        let Answer { leader, to, change } = answer;
        let is_to_this = (self.answered + 1..=self.beat).contains(&to);
        if leader.term < self.term || !is_to_this || self.registry.is_some() {
            return;
        }
        self.answered = to;
        self.term = leader.term;
        self.contact = Some(Instant::now());
        self.refused = None;
        self.given_up = None;
        self.list.apply(change);
        let voters = self.list.members.values();
        let voters = voters.filter(|member| member.voter.is_some() && member.id != self.own.id);
        self.know_voters(voters.cloned().collect::<Vec<_>>());
        self.set_leader(Some(leader));
        self.publish();
    }

    /// Whoever was asked does not lead.
    pub(super) fn take_pointer(&mut self, pointer: Pointer, from: SocketAddr) {
        let voters = pointer.voters.into_iter();
        let voters =
            voters.filter(|voter| self.config.cluster.votes(voter.id) && voter.id != self.own.id);
        self.know_voters(voters.collect::<Vec<_>>());
        // This voter's Raft says who leads, once it runs.
        let follows_log = self.own.voter.is_some() && self.lines.leadership.borrow().term > 0;
        if follows_log || self.registry.is_some() {
            return;
        }
        match pointer.leader {
            Some(leader) if self.is_news(leader) => {
                self.term = leader.term;
                self.set_leader(Some(leader));
                self.beat += 1;
                self.send_beat(leader.address, false);
            }
            None if self.leader.is_some_and(|leader| leader.address == from) => {
                self.set_leader(None)
            }
            Some(_) | None => {}
        }
    }

    pub(super) fn let_go(&mut self, leave: &Leave) {
        if let Some(registry) = &mut self.registry
            && leave.id != self.own.id
        {
            registry.leave(leave.id, leave.life);
            self.publish_registry();
        }
    }

    /// A member that was started anew before the clock of its earlier life, or in place of one that died
    /// just now, is taken once that one is dropped.
    pub(super) fn take_refusal(&mut self, refused: &Refused) -> Result<(), HeartbeatError> {
        if refused.life != self.own.life {
            return Ok(());
        }
        let now = Instant::now();
        let (since, _) = *self.refused.get_or_insert((now, refused.other));
        if now.duration_since(since) < 2 * self.config.cluster.timing.dead_after() {
            return Ok(());
        }
        Err(self.id_taken(refused.other))
    }

    pub(super) fn id_taken(&self, other: SocketAddr) -> HeartbeatError {
        HeartbeatError::IdTaken {
            id: self.own.id,
            other,
        }
    }
}
