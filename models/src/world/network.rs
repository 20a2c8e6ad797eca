//! The network between the nodes.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::flight::{Delivery, Flight, Link, Travels};
use super::renamed::Rename;
use super::veil::{Change, Veil};
use crate::protocol::{Data, NodeId};

/// A message under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// What was sent.
    pub message: T,
}

/// Shared, for worlds are cloned at every step and most messages outlive many.
impl<T: Data> Travels for Arc<Envelope<T>> {
    fn link(&self) -> Link {
        (self.from, self.to)
    }
}

/// The messages under way, and the links that are cut.
#[derive(Clone, Debug)]
pub struct Network<T> {
    flight: Flight<Arc<Envelope<T>>>,
    cut: BTreeSet<Link>,
    /// No part of the state: networks that differ in nothing else are equal.
    sent: Vec<Arc<Envelope<T>>>,
    veil: Option<Veil<T>>,
}

/// To compare is to look at what is under way.
impl<T: Data> PartialEq for Network<T> {
    fn eq(&self, other: &Self) -> bool {
        self.state() == other.state()
    }
}

impl<T: Data> Eq for Network<T> {}

impl<T: Data> PartialOrd for Network<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Data> Ord for Network<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.state().cmp(&other.state())
    }
}

impl<T: Data> Hash for Network<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.state().hash(state);
    }
}

impl<T: Data> Network<T> {
    pub(super) fn new(delivery: Delivery) -> Self {
        Self {
            flight: Flight::new(delivery),
            cut: BTreeSet::new(),
            sent: Vec::new(),
            veil: None,
        }
    }

    /// A network in which these links are cut, behind a veil.
    pub fn veiled(delivery: Delivery, cut: BTreeSet<Link>) -> Self {
        Self {
            cut,
            veil: Some(Veil::default()),
            ..Self::new(delivery)
        }
    }

    /// The links that are cut.
    pub fn cut_links(&self) -> &BTreeSet<Link> {
        &self.cut
    }

    /// Every message under way.
    pub fn in_flight(&self) -> Vec<Envelope<T>> {
        self.under_way().cloned().collect()
    }

    /// Every message under way, to look at.
    pub fn under_way(&self) -> impl Iterator<Item = &Envelope<T>> {
        self.flight().iter().map(Arc::as_ref)
    }

    /// What the last step has put on its way, in order; whether it became inert at once or
    /// equals what was under way already makes no difference.
    pub fn sent(&self) -> impl Iterator<Item = &Envelope<T>> {
        self.sent.iter().map(Arc::as_ref)
    }

    /// The messages that may arrive next, were their links whole.
    pub(super) fn heads(&self) -> impl Iterator<Item = &Arc<Envelope<T>>> {
        self.flight().heads()
    }

    /// Whether `envelope` may be the next to arrive, were its link whole.
    pub(super) fn is_head(&self, envelope: &Envelope<T>) -> bool {
        let link = (envelope.from, envelope.to);
        let mut heads = self.flight().heads_of(link);
        heads.any(|head| **head == *envelope)
    }

    /// Whether messages from `from` reach `to`.
    pub fn connects(&self, from: NodeId, to: NodeId) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// Whether any link is cut.
    pub fn is_partitioned(&self) -> bool {
        !self.cut.is_empty()
    }

    /// Takes a message over: onto its way, or, where the link is cut, nowhere. A channel in
    /// order is a connection, and there is none to a node that is down.
    pub(super) fn send(&mut self, envelope: Envelope<T>, receiver_is_up: bool) {
        let refused = self.flight.delivery() == Delivery::Fifo && !receiver_is_up;
        if !refused && self.connects(envelope.from, envelope.to) {
            let envelope = Arc::new(envelope);
            self.sent.push(Arc::clone(&envelope));
            self.change(Change::Put(envelope));
        }
    }

    /// A step begins: it has sent nothing yet.
    pub(super) fn begin_step(&mut self) {
        self.sent.clear();
    }

    /// Takes a head off the network.
    pub(super) fn remove(&mut self, envelope: &Envelope<T>) {
        self.change(Change::Take(Arc::new(envelope.clone())));
    }

    /// Breaks a crashed node's connections: a channel in order is a connection, and what is
    /// under way to or from the node is lost with it. Datagrams outlive their sender.
    pub(super) fn disconnect(&mut self, node: NodeId) {
        if self.flight.delivery() == Delivery::Fifo {
            self.change(Change::Disconnect(node));
        }
    }

    /// Drops the messages that `doomed` names, wherever they are, and returns them.
    pub(super) fn discard(&mut self, doomed: impl Fn(&Envelope<T>) -> bool) -> Vec<Envelope<T>> {
        let mut dropped = Vec::new();
        self.flight.retain(|envelope| {
            let keeps = !doomed(envelope);
            if !keeps {
                dropped.push(Envelope::clone(envelope));
            }
            keeps
        });
        dropped
    }

    pub(super) fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cut.insert((from, to));
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
    }

    /// The same, between nodes under their new names.
    pub fn renamed(&self, names: &impl Rename) -> Self {
        let renamed = |old: &Arc<Envelope<T>>| Arc::new(old.renamed(names));
        let under_way = self.flight.iter().map(renamed).collect();
        Self {
            flight: Flight::of(self.flight.delivery(), under_way),
            cut: self
                .cut
                .iter()
                .map(|&(from, to)| (names.node(from), names.node(to)))
                .collect(),
            sent: self.sent.iter().map(renamed).collect(),
            veil: self.veil.as_ref().map(|_| Veil::default()),
        }
    }

    fn state(&self) -> (&Flight<Arc<Envelope<T>>>, &BTreeSet<Link>) {
        (self.flight(), &self.cut)
    }

    fn flight(&self) -> &Flight<Arc<Envelope<T>>> {
        if let Some(veil) = &self.veil {
            veil.note_look();
        }
        &self.flight
    }

    fn change(&mut self, change: Change<Arc<Envelope<T>>>) {
        match &mut self.veil {
            Some(veil) => veil.note_change(change),
            None => self.flight.change(&change),
        }
    }

    /// Takes all messages off, and veils what is under way from now on: what a step would do
    /// to it is noted and not done, and so is whether anybody has looked there.
    pub fn veil(&mut self) -> Flight<Arc<Envelope<T>>> {
        let empty = Flight::new(self.flight.delivery());
        self.veil = Some(Veil::default());
        core::mem::replace(&mut self.flight, empty)
    }

    /// Lifts the veil: these are under way, and the last step has sent what it had.
    pub fn lift(&mut self, flight: Flight<Arc<Envelope<T>>>) {
        self.veil = None;
        self.flight = flight;
    }

    /// Lifts the veil: these are under way, and these were sent by the last step.
    pub fn unveil(&mut self, flight: Flight<Arc<Envelope<T>>>, sent: Vec<Arc<Envelope<T>>>) {
        self.lift(flight);
        self.sent = sent;
    }

    /// Whether anybody has looked behind the veil, here or in a copy.
    pub fn has_been_looked_at(&self) -> bool {
        self.veil.as_ref().is_some_and(Veil::looked)
    }

    /// Whether anybody has looked behind the veil, here or in a copy, since this was last
    /// asked.
    pub fn take_looked(&self) -> bool {
        self.veil.as_ref().is_some_and(Veil::take_looked)
    }

    /// What was to be done behind the veil since this was last asked, in order.
    pub fn take_changes(&mut self) -> Vec<Change<Arc<Envelope<T>>>> {
        let veil = self.veil.as_mut();
        veil.map(Veil::take_changes).unwrap_or_default()
    }
}
