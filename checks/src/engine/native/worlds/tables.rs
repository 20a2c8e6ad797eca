//! The parts of worlds, each kept once and known by a number.
//!
//! A few hundred hosts, a few dozen ghosts and a few hundred messages make millions of worlds
//! (Holzmann 1997, "State compression in SPIN", calls it collapse compression). A world in the
//! frontier is the numbers of its parts.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::io;
use std::sync::Arc;

use derive_where::derive_where;
use models::world::Rename as _;
use models::world::{
    Action, Client, Delivery, Envelope, Faulted, History, Host, Link, Network, Pace, Travels,
    World, renamed_clients,
};
use models::{NodeId, Specification};
use serde::{Deserialize, Serialize};

pub(super) use super::table::Hashed;
use super::table::{Part, Table, hash};
use crate::engine::native::checkpoint::{Reader, Writer};
use crate::symmetry::Renaming;

/// What a world is but for its hosts, its ghost and what is under way.
#[derive_where(Clone, PartialEq, Eq, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Rest<P: Specification> {
    faults: Faulted,
    clients: Vec<Client>,
    pace: Pace<P>,
    history: History<P::Event>,
    /// The links that are cut.
    cut: BTreeSet<Link>,
}

impl<P: Specification> Rest<P> {
    fn renamed(&self, names: &Renaming) -> Self {
        Self {
            faults: self.faults,
            clients: renamed_clients(&self.clients, names),
            pace: self.pace.renamed(names),
            history: self.history.renamed(names),
            cut: self
                .cut
                .iter()
                .map(|&(from, to)| (names.node(from), names.node(to)))
                .collect(),
        }
    }
}

/// A world's hosts, its ghost, and the rest of it.
fn apart<P: Specification>(world: World<P>) -> (Vec<Arc<Host<P>>>, P::Ghost, Rest<P>) {
    let rest = Rest {
        faults: world.faults,
        clients: world.clients,
        pace: world.pace,
        history: world.history,
        cut: world.network.cut_links().clone(),
    };
    (world.hosts, world.ghost, rest)
}

/// The core with these parts.
pub(super) fn core_of(parts: &[(u32, Hashed)]) -> Core {
    let hashes: Vec<Hashed> = parts.iter().map(|(_, hash)| *hash).collect();
    Core {
        numbers: parts.iter().map(|(number, _)| *number).collect(),
        hash: hash(&hashes),
    }
}

/// A message under way, by its number. In the order of content, as far as hashes tell: no
/// search depends on which of two threads was the first to number a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Handle {
    link: Link,
    /// The message's hash.
    pub(super) hash: Hashed,
    /// Its number.
    pub(super) number: u32,
}

impl Travels for Handle {
    fn link(&self) -> Link {
        self.link
    }
}

/// The parts of all worlds of a search.
pub(super) struct Tables<P: Specification> {
    /// In which order messages arrive.
    pub(super) delivery: Delivery,
    pub(super) hosts: Table<Host<P>>,
    pub(super) ghosts: Table<P::Ghost>,
    pub(super) rests: Table<Rest<P>>,
    pub(super) envelopes: Table<Envelope<P::Message>>,
    /// What happens.
    actions: Table<Action<P>>,
    /// The names of the arms of the step function that have been taken.
    pub(super) arms: Table<String>,
}

/// A world but for what is under way: the numbers of its parts, and their hash.
#[derive(Clone, Debug)]
pub(super) struct Core {
    /// The hosts', the ghost's, the rest's: they tell cores apart.
    pub(super) numbers: Arc<[u32]>,
    /// The hash of the parts' hashes.
    pub(super) hash: Hashed,
}

impl Core {
    /// The number of a node's host.
    pub(super) fn host(&self, node: NodeId) -> Option<u32> {
        let hosts = &self.numbers[..self.numbers.len() - 2];
        hosts.get(usize::from(node.0)).copied()
    }
}

impl<P: Specification> Tables<P> {
    pub(super) fn new(delivery: Delivery) -> Self {
        Self {
            delivery,
            hosts: Table::new(),
            ghosts: Table::new(),
            rests: Table::new(),
            envelopes: Table::new(),
            actions: Table::new(),
            arms: Table::new(),
        }
    }

    /// Takes apart a world whose network is veiled.
    pub(super) fn core(&self, world: World<P>) -> Core {
        let (hosts, ghost, rest) = apart(world);
        let hosts = hosts.into_iter().map(|host| self.hosts.number(host));
        let mut parts: Vec<(u32, Hashed)> = hosts.collect();
        parts.push(self.ghosts.number(Arc::new(ghost)));
        parts.push(self.rests.number(Arc::new(rest)));
        core_of(&parts)
    }

    /// Takes apart what `before`, whose core is `core`, has become.
    pub(super) fn core_after(&self, before: &World<P>, core: &Core, after: World<P>) -> Core {
        let (old, old_ghost, old_rest) = (&before.hosts, &before.ghost, core.numbers.len() - 1);
        let (hosts, ghost, rest) = apart(after);
        let mut parts = Vec::with_capacity(core.numbers.len());
        for ((host, old), &number) in hosts.into_iter().zip(old).zip(&*core.numbers) {
            let same = Arc::ptr_eq(&host, old);
            let kept = || (number, self.hosts.part(number).hash);
            parts.push(if same {
                kept()
            } else {
                self.hosts.number(host)
            });
        }
        let number = core.numbers[old_rest - 1];
        parts.push(if ghost == *old_ghost {
            (number, self.ghosts.part(number).hash)
        } else {
            self.ghosts.number(Arc::new(ghost))
        });
        let number = core.numbers[old_rest];
        let kept = self.rests.part(number);
        parts.push(if rest == *kept.content {
            (number, kept.hash)
        } else {
            self.rests.number(Arc::new(rest))
        });
        core_of(&parts)
    }

    /// The core whose parts have these numbers.
    pub(super) fn core_at(&self, numbers: &[u32]) -> Core {
        let (hosts, others) = numbers.split_at(numbers.len() - 2);
        let hosts = hosts.iter().map(|&host| (host, self.hosts.part(host).hash));
        let mut parts: Vec<(u32, Hashed)> = hosts.collect();
        parts.push((others[0], self.ghosts.part(others[0]).hash));
        parts.push((others[1], self.rests.part(others[1]).hash));
        core_of(&parts)
    }

    /// The number and the hash of a host with every node in it under its new name.
    pub(super) fn renamed_host(&self, number: u32, names: &Renaming) -> (u32, Hashed) {
        let host = self.hosts.part(number).content.renamed(names);
        self.hosts.number(Arc::new(host))
    }

    /// The number and the hash of a ghost with every node in it under its new name.
    pub(super) fn renamed_ghost(&self, number: u32, names: &Renaming) -> (u32, Hashed) {
        let ghost = names.value(&*self.ghosts.part(number).content);
        self.ghosts.number(Arc::new(ghost))
    }

    /// The number and the hash of the rest of a world with every node in it under its new name.
    pub(super) fn renamed_rest(&self, number: u32, names: &Renaming) -> (u32, Hashed) {
        let rest = self.rests.part(number).content.renamed(names);
        self.rests.number(Arc::new(rest))
    }

    /// Puts a world together again. Its network is veiled, and nobody has looked yet.
    pub(super) fn world(&self, core: &Core) -> World<P> {
        self.world_with(core, |host| Arc::clone(&self.hosts.part(host).content))
    }

    /// As [`world`](Self::world), with the hosts that `host` hands out.
    pub(super) fn world_with(
        &self,
        core: &Core,
        host: impl FnMut(u32) -> Arc<Host<P>>,
    ) -> World<P> {
        let (hosts, others) = core.numbers.split_at(core.numbers.len() - 2);
        let rest = &self.rests.part(others[1]).content;
        World {
            hosts: hosts.iter().copied().map(host).collect(),
            network: Network::veiled(self.delivery, rest.cut.clone()),
            faults: rest.faults,
            clients: rest.clients.clone(),
            pace: rest.pace.clone(),
            history: rest.history.clone(),
            ghost: P::Ghost::clone(&self.ghosts.part(others[0]).content),
            last_step: None,
        }
    }

    /// Writes all parts.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) fn save(&self, into: &mut Writer<'_>) -> io::Result<()> {
        self.hosts.save(into)?;
        self.ghosts.save(into)?;
        self.rests.save(into)?;
        self.envelopes.save(into)?;
        self.arms.save(into)
    }

    /// Reads what was written. To be called before anything but the initial world has numbers.
    ///
    /// # Errors
    /// If what is read are not parts of worlds.
    pub(super) fn load(&self, from: &mut Reader) -> io::Result<()> {
        self.hosts.load(from)?;
        self.ghosts.load(from)?;
        self.rests.load(from)?;
        self.envelopes.load(from)?;
        self.arms.load(from)
    }

    /// The memory taken, or so: what parts own is not counted.
    pub(super) fn bytes(&self) -> u64 {
        fn of<T: Hash + Eq>(table: &Table<T>) -> usize {
            table.len() * (size_of::<T>() + 4 * size_of::<Part<T>>())
        }
        let parts = of(&self.hosts) + of(&self.ghosts) + of(&self.rests) + of(&self.envelopes);
        parts as u64
    }

    /// The action, or the same one that is known already.
    pub(super) fn action(&self, action: Action<P>) -> Arc<Action<P>> {
        let (number, _) = self.actions.number(Arc::new(action));
        Arc::clone(&self.actions.part(number).content)
    }

    /// The message's handle.
    pub(super) fn handle(&self, envelope: Arc<Envelope<P::Message>>) -> Handle {
        let link = envelope.link();
        let (number, hash) = self.envelopes.number(envelope);
        Handle { link, hash, number }
    }

    /// The message with this number.
    pub(super) fn message(&self, number: u32) -> (Handle, &Arc<Envelope<P::Message>>) {
        let &Part { ref content, hash } = self.envelopes.part(number);
        let link = content.link();
        (Handle { link, hash, number }, content)
    }
}
