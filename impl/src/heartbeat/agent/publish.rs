//! What a member lets its program see.

use std::sync::Arc;

use super::Agent;
use crate::heartbeat::list::{List, difference};
use crate::heartbeat::member_info::MemberInfo;
use crate::heartbeat::view::{Event, View};

impl Agent {
    pub(super) fn know_voters(&self, voters: impl IntoIterator<Item = MemberInfo>) {
        self.lines.voters.send_if_modified(|known| {
            let mut is_news = false;
            for voter in voters {
                let before = known.get(&voter.id);
                // An older life may have been elsewhere; of loads nobody asks here.
                let is_later = before.is_none_or(|before| {
                    before.life < voter.life
                        || (before.life == voter.life
                            && (before.address, &before.voter) != (voter.address, &voter.voter))
                });
                if is_later {
                    known.insert(voter.id, voter);
                    is_news = true;
                }
            }
            is_news
        });
    }

    /// The list of a leader is its registry's.
    pub(super) fn publish_registry(&mut self) {
        if let Some(registry) = &self.registry {
            let (version, members) = registry.list();
            if self.list.version != Some(version) {
                self.list = List {
                    version: Some(version),
                    members,
                };
            }
        }
        self.publish();
    }

    /// Lets everybody see what is known now, and tells who has come and gone.
    pub(super) fn publish(&mut self) {
        let before = self.lines.view.borrow().clone();
        let is_other = before.version != self.list.version;
        let members = match is_other {
            true => Arc::new(self.list.members.clone()),
            false => before.members.clone(),
        };
        let own = self.list.members.get(&self.own.id);
        let view = View {
            version: self.list.version,
            leader: self.leader,
            term: self.term,
            contact: self.contact.unwrap_or(self.started),
            joined: own.is_some_and(|own| own.life == self.own.life),
            members: members.clone(),
        };
        self.lines.view.send_replace(view);
        if is_other {
            let difference = difference(&before.members, &members);
            let left = difference.left.into_iter().map(Event::Left);
            let joined = difference.joined.into_iter().map(Event::Joined);
            left.chain(joined).for_each(|event| self.tell(event));
        }
    }

    pub(super) fn tell(&self, event: Event) {
        // Nobody has to listen.
        let _ = self.lines.events.send(event);
    }
}
