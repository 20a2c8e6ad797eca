//! What a leader knows of who lives: the members that it has heard lately, and how its list has changed.
//!
//! **This decides nothing**: a quorum is one of the voters that the cluster was founded with, whoever is
//! alive. A leader that is cut off drops members that live; that costs nobody a vote.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use models::NodeId;
use tokio::time::Instant;

use super::list::{ById, ListChange, Version};
use super::member_info::MemberInfo;

/// So many departures are remembered: who has a list from before them gets a whole one.
const REMEMBERED: usize = 1024;

/// A leader's list.
#[derive(Debug)]
pub(crate) struct Registry {
    version: Version,
    dead_after: Duration,
    members: BTreeMap<NodeId, Entry>,
    /// Who has left, and with which number of the list.
    left: VecDeque<(u64, NodeId)>,
    /// Departures up to this number are forgotten.
    forgotten: u64,
}

#[derive(Debug)]
struct Entry {
    info: MemberInfo,
    /// When it was last heard.
    heard: Instant,
    /// The number of its last beat.
    beat: u64,
    /// The number of the list in which it last changed.
    changed: u64,
}

/// What a beat has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The member lives.
    Alive,
    /// The beat is not newer than what was heard before.
    Old,
    /// Another member has the id, lives, and is the later one.
    Taken(SocketAddr),
}

impl Registry {
    /// That of a leader which begins with the list that it had as a member: all get the whole time to show
    /// that they live.
    pub(crate) fn take_over(term: u64, list: &ById, dead_after: Duration, now: Instant) -> Self {
        let entry = |info: &MemberInfo| Entry {
            info: info.clone(),
            heard: now,
            beat: 0,
            changed: 1,
        };
        Self {
            version: Version { term, number: 1 },
            dead_after,
            members: list.values().map(|info| (info.id, entry(info))).collect(),
            left: VecDeque::new(),
            // A member of an earlier leader has a list of another term, and gets a whole one.
            forgotten: 0,
        }
    }

    pub(crate) fn term(&self) -> u64 {
        self.version.term
    }

    /// Takes a beat.
    pub(crate) fn hear(&mut self, info: &MemberInfo, beat: u64, now: Instant) -> Heard {
        let next = self.version.number + 1;
        match self.members.get_mut(&info.id) {
            Some(known) if info.life < known.info.life => return Heard::Taken(known.info.address),
            Some(known) if info.life == known.info.life && beat <= known.beat => return Heard::Old,
            Some(known) => {
                known.heard = now;
                known.beat = beat;
                if known.info == *info {
                    return Heard::Alive;
                }
                known.info = info.clone();
                known.changed = next;
            }
            None => {
                let entry = Entry {
                    info: info.clone(),
                    heard: now,
                    beat,
                    changed: next,
                };
                self.members.insert(info.id, entry);
                self.left.retain(|(_, id)| *id != info.id);
            }
        }
        self.version.number = next;
        Heard::Alive
    }

    /// This leader was held up for so long: it cannot know who was silent meanwhile.
    pub(crate) fn forgive(&mut self, held_up: Duration, now: Instant) {
        for entry in self.members.values_mut() {
            entry.heard = (entry.heard + held_up).min(now);
        }
    }

    /// Drops those that were not heard for too long. Returns whether there were any.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let dead = |entry: &Entry| now.duration_since(entry.heard) >= self.dead_after;
        let dead = self.members.values().filter(|entry| dead(entry));
        let dead: Vec<NodeId> = dead.map(|entry| entry.info.id).collect();
        for id in &dead {
            self.remove(*id);
        }
        !dead.is_empty()
    }

    /// A member leaves in order. One that is there in a later life stays.
    pub(crate) fn leave(&mut self, id: NodeId, life: u64) {
        let known = self.members.get(&id);
        if known.is_some_and(|known| known.info.life <= life) {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: NodeId) {
        self.members.remove(&id);
        self.version.number += 1;
        self.left.push_back((self.version.number, id));
        while self.left.len() > REMEMBERED {
            self.forgotten = self
                .left
                .pop_front()
                .map_or(self.forgotten, |(number, _)| number);
        }
    }

    /// What makes this list of the one that a member has.
    pub(crate) fn change_from(&self, known: Option<Version>) -> ListChange {
        let base = known.filter(|known| {
            known.term == self.version.term
                && (self.forgotten..=self.version.number).contains(&known.number)
        });
        let since = base.map_or(0, |base| base.number);
        let updated = self.members.values().filter(|entry| entry.changed > since);
        let updated = updated.map(|entry| entry.info.clone()).collect();
        let left = self
            .left
            .iter()
            .filter(|(number, _)| base.is_some() && *number > since);
        ListChange {
            version: self.version,
            base,
            updated,
            left: left.map(|(_, id)| *id).collect(),
        }
    }

    /// The members, and which list that is.
    pub(crate) fn list(&self) -> (Version, ById) {
        let members = self
            .members
            .iter()
            .map(|(id, entry)| (*id, entry.info.clone()));
        (self.version, members.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::List;
    use super::super::member_info::tests::member;
    use super::*;

    const DEAD_AFTER: Duration = Duration::from_secs(2);

    fn registry(now: Instant) -> Registry {
        Registry::take_over(7, &ById::new(), DEAD_AFTER, now)
    }

    fn ids(registry: &Registry) -> Vec<u16> {
        registry.members.keys().map(|id| id.0).collect()
    }

    #[test]
    fn who_is_silent_for_too_long_is_dropped_and_comes_back_when_it_is_heard() {
        let start = Instant::now();
        let mut registry = registry(start);
        registry.hear(&member(1, 1), 1, start);
        registry.hear(&member(2, 1), 1, start);
        let later = start + DEAD_AFTER / 2;
        registry.hear(&member(2, 1), 2, later);
        assert!(!registry.expire(later));
        assert!(registry.expire(start + DEAD_AFTER));
        assert_eq!(ids(&registry), [2]);
        registry.hear(&member(1, 1), 3, start + DEAD_AFTER);
        assert_eq!(ids(&registry), [1, 2]);
    }

    #[test]
    fn a_leader_that_was_held_up_does_not_take_everybody_for_dead() {
        let start = Instant::now();
        let mut registry = registry(start);
        registry.hear(&member(1, 1), 1, start);
        let later = start + 2 * DEAD_AFTER;
        registry.forgive(2 * DEAD_AFTER, later);
        assert!(!registry.expire(later));
        assert!(registry.expire(later + DEAD_AFTER));
    }

    /// Else anybody could keep a dead member in the list.
    #[test]
    fn a_beat_that_is_sent_again_keeps_nobody_alive() {
        let start = Instant::now();
        let mut registry = registry(start);
        assert_eq!(registry.hear(&member(1, 1), 5, start), Heard::Alive);
        let later = start + DEAD_AFTER;
        assert_eq!(registry.hear(&member(1, 1), 5, later), Heard::Old);
        assert_eq!(registry.hear(&member(1, 1), 4, later), Heard::Old);
        assert!(registry.expire(later));
    }

    #[test]
    fn of_two_with_one_id_the_later_is_taken() {
        let now = Instant::now();
        let mut registry = registry(now);
        registry.hear(&member(1, 5), 9, now);
        assert_eq!(
            registry.hear(&member(1, 4), 99, now),
            Heard::Taken(member(1, 5).address)
        );
        assert_eq!(registry.hear(&member(1, 6), 1, now), Heard::Alive);
        registry.leave(NodeId(1), 5);
        assert_eq!(ids(&registry), [1], "it has left in an earlier life");
        registry.leave(NodeId(1), 6);
        assert_eq!(ids(&registry), [0; 0]);
    }

    #[test]
    fn whoever_follows_by_changes_has_the_list() {
        let now = Instant::now();
        let mut registry = registry(now);
        let mut list = List::default();
        for round in 1..=3000_u64 {
            let id = (round % 50) as u16;
            match round % 3 {
                0 => registry.leave(NodeId(id), round),
                _ => {
                    registry.hear(&member(id, round), 1, now);
                }
            }
            // Now and then, so that changes come together, and some are forgotten in between.
            if round % 7 == 0 && !(1000..2800).contains(&round) {
                list.apply(registry.change_from(list.version));
                let (version, members) = registry.list();
                assert_eq!(list.members, members, "after {round}");
                assert_eq!(list.version, Some(version));
            }
        }
        let change = registry.change_from(list.version);
        assert!(change.base.is_some(), "no need for the whole");
    }

    #[test]
    fn a_new_leader_gives_everybody_the_whole_time() {
        let now = Instant::now();
        let list = ById::from([(NodeId(3), member(3, 1))]);
        let mut registry = Registry::take_over(8, &list, DEAD_AFTER, now);
        assert!(!registry.expire(now + DEAD_AFTER / 2));
        let old = Version { term: 7, number: 1 };
        let change = registry.change_from(Some(old));
        assert_eq!((change.base, change.updated.len()), (None, 1));
    }
}
