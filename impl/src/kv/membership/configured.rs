//! Keeps what a node's process knows of the members in step with what its log says.
//!
//! **Nobody is invited by what may be undone**: a node is told of the members as soon as it is
//! one of them, and invited only once that is committed. A node that has joined a cluster by an
//! addition that was truncated away would belong to a cluster that does not know it.
//!
//! The log carries the members' addresses, and where this node's file has others for one of
//! them, these are used: once a majority has moved nothing can be committed any more, so the log
//! could never say where they are. An address carries no promise, the disk id does. Which
//! addresses are used, and where the log has others, is logged and shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use models::raft::configuration::{Configuration, Contact};
use models::raft::message::Message;
use models::raft::state::Persistent;
use tokio::runtime::Handle;

use crate::kv::Kv;
use crate::kv::config::Config;
use crate::kv::membership::invitation::invitation;
use crate::kv::membership::members::{Member, members};
use crate::kv::request::forward::Forwarder;
use crate::kv::store::Command;
use crate::runtime::sync::Mutex;
use crate::runtime::transport::tcp::{Known, Peers};
use crate::service::address::Addresses;
use crate::service::founding::InitialMembers;

/// A node that has left is told so by its last messages: it stays a peer for so long.
const FAREWELL: Duration = Duration::from_secs(10);
/// What every refusal comes to in the end: where it does not say so itself, it is added.
const REMEDY: &str = "lockstep members remove";

/// What is to be told when the members change.
#[derive(Clone)]
pub(crate) struct Membership {
    id: NodeId,
    peers: Peers<Message<Command>>,
    forwarder: Arc<Forwarder>,
    /// The file's addresses, which count here where it has any; those that were found out since count more.
    addresses: Arc<Mutex<BTreeMap<NodeId, Addresses>>>,
    view: Arc<Mutex<View>>,
    runtime: Handle,
}

/// What this node knows of the members.
#[derive(Clone, Debug, Default)]
struct View {
    /// What the cluster, or this node in it, began with.
    initial: Configuration,
    /// What is known to be committed.
    committed: Configuration,
    /// What is in force, committed or not.
    current: Configuration,
    /// Those that others have been told of.
    connected: BTreeSet<NodeId>,
}

impl Membership {
    /// For the node `id` of `config`. Must be called within a tokio runtime.
    pub(crate) fn new(
        config: &Config,
        id: NodeId,
        peers: Peers<Message<Command>>,
        forwarder: Arc<Forwarder>,
    ) -> Self {
        let addresses = { config.nodes.iter() }.map(|node| (node.id, Addresses::of(node)));
        Self {
            id,
            peers,
            forwarder,
            addresses: Arc::new(Mutex::new(addresses.collect())),
            view: Arc::default(),
            runtime: Handle::current(),
        }
    }

    /// Takes what the disk remembers, before anything is sent.
    pub(crate) fn recover(&self, durable: &Persistent<Kv>) {
        let initial = durable.initial.clone().unwrap_or_default();
        let at = |index| {
            let in_force = durable.configuration_at(index);
            in_force.map_or_else(|| initial.clone(), |in_force| in_force.configuration)
        };
        let current = at(durable.log.last_index());
        *self.view.lock() = View {
            committed: at(durable.snapshot.last_included_index()),
            initial,
            ..View::default()
        };
        self.change(current);
    }

    /// Another configuration is in force.
    pub(crate) fn change(&self, configuration: Configuration) {
        let mut view = self.view.lock();
        let before = self.overridden(&view.current);
        for node in self.overridden(&configuration).difference(&before) {
            self.warn(*node, configuration.contacts.get(node));
        }
        view.current = configuration;
        self.connect(&mut view);
    }

    /// The configuration in force is committed.
    pub(crate) fn commit(&self, configuration: Configuration) {
        let mut view = self.view.lock();
        view.committed = configuration;
        self.connect(&mut view);
    }

    /// Tells the connections who the members are, and where.
    fn connect(&self, view: &mut View) {
        let members = view.current.members();
        for (&node, contact) in &view.current.contacts {
            // A node that has just joined knows nobody's part yet, and hears from a leader.
            let takes_part = members.is_empty() || members.contains(&node);
            let (Some(addresses), true) = (self.used(node, Some(contact)), takes_part) else {
                continue;
            };
            view.connected.insert(node);
            self.forwarder.set(node, addresses.client);
            if node != self.id {
                let invited = invitation(&view.initial, &view.committed, node);
                let invitation = invited.filter(|_| {
                    let committed = view.committed.contacts.get(&node);
                    committed.is_some_and(|known| known.disk == contact.disk)
                });
                let disk = Some(contact.disk);
                self.peers.set_known(node, Known { disk, invitation });
                self.peers.set(node, addresses.peer);
            }
        }
        if view.former().next().is_some() {
            self.runtime.spawn(self.clone().forget_former());
        }
    }

    /// Forgets the nodes that have left, once they have been told, and those that were added and
    /// then were not.
    async fn forget_former(self) {
        tokio::time::sleep(FAREWELL).await;
        let mut view = self.view.lock();
        let former: Vec<NodeId> = view.former().filter(|node| *node != self.id).collect();
        for node in former {
            view.connected.remove(&node);
            self.peers.remove(node);
            self.forwarder.forget(node);
            // One that has left is known by its disk for good; one that never came, not at all.
            if !view.current.contacts.contains_key(&node) {
                self.peers.set_known(node, Known::default());
            }
        }
    }

    /// A member is reached at other addresses from now on.
    pub(crate) fn moved(&self, node: NodeId, addresses: Addresses) {
        let before = self.addresses.lock().insert(node, addresses.clone());
        let is_connected = self.view.lock().connected.contains(&node);
        if before.as_ref() == Some(&addresses) || !is_connected {
            return;
        }
        tracing::info!(%node, ?addresses, "a member has moved");
        self.forwarder.set(node, addresses.client);
        if node != self.id {
            self.peers.set(node, addresses.peer);
        }
    }

    /// Refuses a follower that denies what it has acknowledged.
    pub(crate) fn refuse(&self, node: NodeId, reason: String) {
        self.peers.refuse(node, reason);
    }

    /// What the cluster, or this node in it, began with.
    pub(crate) fn initial(&self) -> Configuration {
        self.view.lock().initial.clone()
    }

    /// The configuration in force, as far as this node knows.
    pub(crate) fn configuration(&self) -> Configuration {
        self.view.lock().current.clone()
    }

    /// The nodes whose connections are read now.
    pub(crate) fn heard(&self) -> Vec<NodeId> {
        self.peers.heard()
    }

    /// The members that are refused, and why.
    pub(crate) fn refused(&self) -> BTreeMap<NodeId, String> {
        let mut refused = self.peers.refused();
        let view = self.view.lock();
        refused.retain(|node, _| view.current.is_member(*node) || view.committed.is_member(*node));
        for reason in refused
            .values_mut()
            .filter(|reason| !reason.contains(REMEDY))
        {
            *reason = format!("{reason}. {}", Configuration::AFTER_LOSS);
        }
        refused
    }

    /// The members of `configuration`, each with the addresses that are used here.
    pub(crate) fn members(&self, configuration: &Configuration) -> Vec<Member> {
        members(configuration, &self.addresses.lock())
    }

    /// The members for which the file has other addresses than `configuration`.
    pub(crate) fn overridden(&self, configuration: &Configuration) -> BTreeSet<NodeId> {
        let members = self.members(configuration).into_iter();
        let overridden = members.filter(|member| member.in_log.is_some());
        overridden.map(|member| member.id).collect()
    }

    fn used(&self, node: NodeId, contact: Option<&Contact>) -> Option<Addresses> {
        let in_file = self.addresses.lock().get(&node).cloned();
        in_file.or_else(|| contact.and_then(Addresses::in_contact))
    }

    fn warn(&self, node: NodeId, contact: Option<&Contact>) {
        let (used, in_log) = (
            self.used(node, contact),
            contact.and_then(Addresses::in_contact),
        );
        tracing::warn!(
            %node, ?used, ?in_log,
            "the file's addresses are used for a member that the log knows at others"
        );
    }
}

impl View {
    /// Those that others have been told of, and that are members no more, which is committed.
    fn former(&self) -> impl Iterator<Item = NodeId> {
        let is_member = |node: &NodeId| {
            self.current.is_member(*node)
                || self.committed.is_member(*node)
                // Who has just joined knows nobody's part yet.
                || self.current.members().is_empty()
        };
        self.connected
            .iter()
            .copied()
            .filter(move |node| !is_member(node))
    }
}

/// What in the file contradicts what the disk says of the members, if anything does.
///
/// A node that knows no configuration yet, because it has just been invited, cannot tell.
pub(crate) fn contradiction(config: &Config, durable: &Persistent<Kv>) -> Option<String> {
    let latest = durable.configuration_at(durable.log.last_index());
    let latest = latest.map(|in_force| in_force.configuration);
    let members = latest.or_else(|| durable.initial.clone())?.members();
    if members.is_empty() {
        return None;
    }
    let listed = |id: NodeId| config.nodes.iter().any(|node| node.id == id);
    let has = ids(members.iter().copied());
    if let Some(missing) = members.iter().find(|&&id| !listed(id)) {
        let id = missing.0;
        return Some(format!(
            "the file does not list node {id}, which is a member: the members are {has}, by what \
             this node's disk remembers, and the file changes nothing of that any more. List every \
             member; to remove node {id}, use `lockstep members remove {id}`; if that has been done \
             while this node was away, list it with `member = false`"
        ));
    }
    let mut wanted = config.nodes.iter().filter(|node| node.member);
    let stranger = wanted.find(|node| !members.contains(&node.id))?.id.0;
    Some(format!(
        "the file lists node {stranger} as a member, and it is none: the members are {has}, by what \
         this node's disk remembers, and the file changes nothing of that any more. Write `member = \
         false` for node {stranger}, also if it has been added while this node was away; to add it, \
         use `lockstep members add {stranger}` then"
    ))
}

fn ids(nodes: impl Iterator<Item = NodeId>) -> String {
    let ids: Vec<String> = nodes.map(|node| node.0.to_string()).collect();
    ids.join(", ")
}

#[cfg(test)]
mod tests {
    use models::DiskId;
    use tokio::net::TcpListener;

    use super::*;
    use crate::runtime::metrics::Metrics;
    use crate::runtime::transport::Deliver;
    use crate::runtime::transport::tcp::{Tcp, TcpConfig};
    use crate::service::config::ServiceConfig;
    use crate::service::founding::bootstrap::blank_identity;

    #[derive(Clone)]
    struct Nowhere;

    impl Deliver<Message<Command>> for Nowhere {
        fn deliver(&self, _from: NodeId, _message: Message<Command>) {}
    }

    /// Voters 1 and 2, and these learners.
    fn configuration(learners: &[u16]) -> Configuration {
        let learners: BTreeSet<NodeId> = learners.iter().copied().map(NodeId).collect();
        let voters = [NodeId(1), NodeId(2)];
        let contact = |id: NodeId| {
            let addresses = Addresses {
                peer: "127.0.0.1:1".into(),
                client: "127.0.0.1:2".into(),
            };
            let contact = addresses.contact(DiskId([id.0 as u8; 16]));
            (id, contact.expect("encodes"))
        };
        Configuration {
            contacts: voters
                .iter()
                .chain(&learners)
                .map(|id| contact(*id))
                .collect(),
            learners,
            ..Configuration::new(voters)
        }
    }

    async fn started() -> (Tcp<Message<Command>>, Membership) {
        let text = "cluster = \"blue\"\nnodes = []";
        let config: Config = toml::from_str(text).expect("a file");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let identity =
            blank_identity::<Configuration>(&config.cluster_config(), NodeId(1), DiskId([1; 16]));
        let tcp_config = TcpConfig::new(identity, BTreeMap::new());
        let metrics = Arc::new(Metrics::default());
        let (tcp, _) = Tcp::start(listener, tcp_config, Nowhere, metrics).expect("starts");
        let forwarder = Arc::new(Forwarder::new(None, None).expect("a client"));
        let membership = Membership::new(&config, NodeId(1), tcp.peers().clone(), forwarder);
        let founded = configuration(&[]);
        *membership.view.lock() = View {
            initial: founded.clone(),
            committed: founded.clone(),
            ..View::default()
        };
        membership.change(founded);
        (tcp, membership)
    }

    fn connected(membership: &Membership) -> Vec<u16> {
        let view = membership.view.lock();
        view.connected.iter().map(|node| node.0).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_addition_that_comes_to_nothing_is_forgotten() {
        let (_tcp, membership) = started().await;
        membership.change(configuration(&[4]));
        assert_eq!(connected(&membership), [1, 2, 4]);
        membership.change(configuration(&[]));
        tokio::time::sleep(FAREWELL + Duration::from_secs(1)).await;
        assert_eq!(connected(&membership), [1, 2]);
    }

    /// As long as its removal is not committed it may be needed yet.
    #[tokio::test(start_paused = true)]
    async fn a_member_is_forgotten_a_while_after_its_removal_is_committed() {
        let (_tcp, membership) = started().await;
        membership.change(configuration(&[4]));
        membership.commit(configuration(&[4]));
        let mut without = configuration(&[4]);
        without.learners.clear();
        membership.change(without.clone());
        tokio::time::sleep(2 * FAREWELL).await;
        assert_eq!(connected(&membership), [1, 2, 4]);
        membership.commit(without);
        tokio::time::sleep(FAREWELL / 2).await;
        assert_eq!(connected(&membership), [1, 2, 4], "it is told first");
        tokio::time::sleep(FAREWELL).await;
        assert_eq!(connected(&membership), [1, 2]);
    }

    #[test]
    fn nobody_is_invited_by_what_may_be_undone() {
        let (before, after) = (configuration(&[]), configuration(&[4]));
        let invited = |committed: &Configuration, node| {
            invitation(&before, committed, NodeId(node)).is_some()
        };
        assert!(invited(&before, 2), "a founder");
        assert!(!invited(&before, 4));
        assert!(invited(&after, 4));
        let nobody = Configuration::default();
        assert!(!invited(&nobody, 2), "by one that has just joined itself");
    }
}
