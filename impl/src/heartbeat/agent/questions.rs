//! What a member answers to whoever is none.

use std::net::SocketAddr;

use super::Agent;
use crate::heartbeat::packet::{Copied, Living, Packet, Question, StaleValue};

impl Agent {
    /// Whether an answer may go where a question wants it: only to whence it has come, so that nobody can
    /// have it sent to others.
    pub(super) fn may_answer(&self, question: &Question, from: SocketAddr) -> bool {
        let is_asked = !question.wide || self.own.voter.is_some();
        is_asked && question.address.ip() == from.ip()
    }

    pub(super) fn age_ms(&self) -> u64 {
        let age = self.contact.unwrap_or(self.started).elapsed();
        u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn say_who_lives(&mut self, question: Question, from: SocketAddr) {
        if !self.may_answer(&question, from) {
            return;
        }
        let living = Living {
            to: question.number,
            by: self.own.id,
            leader: self.leader,
            age_ms: self.age_ms(),
            members: self.list.members.values().cloned().collect(),
        };
        self.post.send(question.address, &Packet::Living(living));
    }

    pub(super) fn read_copy(&mut self, question: Question, key: &[u8], from: SocketAddr) {
        if !self.may_answer(&question, from) {
            return;
        }
        let found = self.lines.copy.read().map(|(map, revision)| Copied {
            value: map.get(key).map(|value| value.to_vec()),
            revision,
            age_ms: self.age_ms(),
        });
        let to = question.number;
        let value = Packet::StaleValue(StaleValue { to, found });
        self.post.send(question.address, &value);
    }
}
