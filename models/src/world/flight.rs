//! What is under way, in which order it may arrive.

use alloc::vec::Vec;

use super::veil::Change;
use crate::protocol::NodeId;

/// From a sender to a receiver.
pub type Link = (NodeId, NodeId);

/// Something that travels on a link.
pub trait Travels: Clone + Ord {
    /// Its link.
    fn link(&self) -> Link;
}

/// In which order messages arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    /// In any order. Messages under way are a set: one that equals another under way is the
    /// same message.
    Bag,
    /// From one node to another in the order sent; in any order between channels.
    Fifo,
}

/// The messages under way: a bag in the order of its messages, or channels in the order of
/// their links, each in the order sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flight<E> {
    delivery: Delivery,
    under_way: Vec<E>,
}

impl<E: Travels> Flight<E> {
    /// Nothing under way.
    pub fn new(delivery: Delivery) -> Self {
        Self {
            delivery,
            under_way: Vec::new(),
        }
    }

    /// These, those of one channel in the order sent.
    pub fn of(delivery: Delivery, mut under_way: Vec<E>) -> Self {
        match delivery {
            Delivery::Bag => under_way.sort_unstable(),
            Delivery::Fifo => under_way.sort_by_key(Travels::link),
        }
        Self {
            delivery,
            under_way,
        }
    }

    /// These, in the order in which a flight has them. A bag that is only looked at may be in any
    /// order.
    pub fn in_order(delivery: Delivery, under_way: Vec<E>) -> Self {
        Self {
            delivery,
            under_way,
        }
    }

    /// In which order they arrive.
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// All that is under way, those of one channel in the order sent.
    pub fn iter(&self) -> core::slice::Iter<'_, E> {
        self.under_way.iter()
    }

    /// What may arrive next.
    pub fn heads(&self) -> impl Iterator<Item = &E> {
        let waits = |position: usize| {
            let before = position
                .checked_sub(1)
                .map(|before| &self.under_way[before]);
            self.delivery == Delivery::Fifo
                && before.is_some_and(|before| before.link() == self.under_way[position].link())
        };
        let all = self.under_way.iter().enumerate();
        all.filter_map(move |(position, item)| (!waits(position)).then_some(item))
    }

    /// What may arrive next on a link.
    pub fn heads_of(&self, link: Link) -> impl Iterator<Item = &E> {
        self.heads().filter(move |item| item.link() == link)
    }

    /// Whether this may arrive next.
    pub fn is_head(&self, item: &E) -> bool {
        match self.delivery {
            Delivery::Bag => self.under_way.binary_search(item).is_ok(),
            Delivery::Fifo => {
                let link = item.link();
                let first = self.under_way.partition_point(|other| other.link() < link);
                self.under_way.get(first) == Some(item)
            }
        }
    }

    /// Makes a change.
    pub fn change(&mut self, change: &Change<E>) {
        match change {
            Change::Put(item) => self.put(item.clone()),
            Change::Take(item) => self.take(item),
            Change::Disconnect(node) => self.retain(|item| {
                let (from, to) = item.link();
                from != *node && to != *node
            }),
        }
    }

    fn put(&mut self, item: E) {
        match self.delivery {
            Delivery::Bag => {
                if let Err(position) = self.under_way.binary_search(&item) {
                    self.under_way.insert(position, item);
                }
            }
            Delivery::Fifo => {
                let link = item.link();
                let end = self.under_way.partition_point(|other| other.link() <= link);
                self.under_way.insert(end, item);
            }
        }
    }

    /// Takes the first of its kind off.
    fn take(&mut self, item: &E) {
        let position = match self.delivery {
            Delivery::Bag => self.under_way.binary_search(item).ok(),
            Delivery::Fifo => self.under_way.iter().position(|other| other == item),
        };
        if let Some(position) = position {
            self.under_way.remove(position);
        }
    }

    /// Keeps only these.
    pub fn retain(&mut self, keeps: impl FnMut(&E) -> bool) {
        self.under_way.retain(keeps);
    }

    /// Takes over what `other` has under way, into memory that this already has.
    pub fn copy_from(&mut self, other: &Self) {
        self.delivery = other.delivery;
        self.under_way.clone_from(&other.under_way);
    }
}
