//! `cluster.toml` of a counter: which nodes there are to begin with, and how they exchange what they
//! count.

use std::path::Path;
use std::time::Duration;

use models::NodeId;
use models::counter::Counter;
use models::counter::g_counter::DataCentre;
use models::counter::window::Window;
use serde::{Deserialize, Serialize};

use crate::counter::swim::MAX_SWIM_ADDRESS_BYTES;
use crate::service::address::Address;
use crate::service::config::{
    self, ClusterConfig, ConfigError, Fault, NodeConfig, ServiceConfig, ServiceKind, fault,
};
use crate::service::security::SecurityConfig;

/// A cluster's configuration. The nodes may have different files: what counts is that each reaches one
/// of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The service: this one.
    pub service: ServiceKind,
    /// The name of the cluster. Nodes of another name are refused.
    pub cluster: String,
    /// How the nodes know each other, and their clients.
    #[serde(default)]
    pub security: SecurityConfig,
    /// How the nodes find each other and exchange what they count.
    #[serde(default)]
    pub counter: CounterConfig,
    /// How patient the nodes are, and how often they exchange.
    #[serde(default)]
    pub timing: Timing,
    /// The sliding window: the same at all nodes, or they agree on the total alone.
    #[serde(default)]
    pub window: WindowConfig,
    /// How much the nodes bear.
    #[serde(default)]
    pub limits: Limits,
    /// The nodes.
    #[serde(default)]
    pub nodes: Vec<NodeConfig>,
}

/// How the nodes find each other and exchange what they count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CounterConfig {
    /// How increments get from node to node.
    pub exchange: Exchange,
    /// `host:port` at which other nodes reach members that the file does not list: this node asks
    /// them, too, who is there.
    pub members: Vec<String>,
    /// Whether what was counted on disks that are no more is folded into one number, by agreement of all
    /// nodes of the file. The list of nodes is the same at all of them then, before one that is new to it
    /// is started, and nobody else is heard.
    pub fold: bool,
    /// The nodes that are gone for good, and not among the nodes any more: what they have counted is
    /// folded. Their numbers are never used again.
    pub departed: Vec<NodeId>,
}

/// How increments get from node to node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exchange {
    /// Each node counts alone, and knows of no other.
    Alone,
    /// The nodes know of each other, and exchange nothing.
    Members,
    /// Now and then, a node exchanges all that it knows with one other.
    PushPull,
    /// Each increment is sent to all members within moments; and push-pull for those that it misses.
    #[default]
    Deltas,
}

/// How patient the nodes are, and how often they exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// Increments that come within so many milliseconds travel together.
    pub broadcast_ms: u64,
    /// A node exchanges all that it knows with one other this often, in milliseconds: a quarter more or
    /// less, lest all do it at once.
    pub push_pull_ms: u64,
    /// SWIM: a node asks one member whether it lives this often, in milliseconds.
    pub probe_ms: u64,
    /// SWIM: a member that is suspected of being dead has so long to deny it, in milliseconds.
    pub suspect_ms: u64,
    /// A client's request is answered after this time at the latest, in milliseconds.
    pub request_timeout_ms: u64,
}

/// The sliding window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WindowConfig {
    /// How long a bucket is, in milliseconds: the window moves on by so much at a time.
    pub bucket_ms: u64,
    /// Of how many buckets it is, the running one included; 0 for no window.
    pub buckets: u64,
}

/// How much the nodes bear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// So many clients may be connected to a node: of more, one that has no request running
    /// makes room, or the last is answered 503. As many as the process's limit on open files
    /// allows where nothing is said, and at most 8192.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_client_connections: Option<usize>,
    /// Of so many clients a node remembers the last request, so that a retry counts once. When there
    /// are more, the one that has not counted for longest is forgotten.
    pub max_sessions: usize,
}

/// Fewer would not do for the sessions that the node lends to requests without one.
pub const LEAST_SESSIONS: usize = 2 * crate::counter::server::service::SESSIONS;
/// With more, the state would be all window.
const MOST_BUCKETS: u64 = 100_000;

impl Default for Timing {
    /// Patient enough for a busy machine of two cores.
    fn default() -> Self {
        Self {
            broadcast_ms: 20,
            push_pull_ms: 5000,
            probe_ms: 1000,
            suspect_ms: 4000,
            request_timeout_ms: 5000,
        }
    }
}

impl Default for WindowConfig {
    /// The latest five minutes, by the second.
    fn default() -> Self {
        Self {
            bucket_ms: 1000,
            buckets: 300,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_client_connections: None,
            max_sessions: 16_384,
        }
    }
}

impl Timing {
    /// How long a client's request may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long increments wait for others that travel with them.
    pub fn broadcast(&self) -> Duration {
        Duration::from_millis(self.broadcast_ms)
    }

    /// How often a node exchanges all that it knows.
    pub fn push_pull(&self) -> Duration {
        Duration::from_millis(self.push_pull_ms)
    }

    /// How often a node asks a member whether it lives.
    pub fn probe(&self) -> Duration {
        Duration::from_millis(self.probe_ms)
    }

    /// How long a suspected member has to deny it.
    pub fn suspect(&self) -> Duration {
        Duration::from_millis(self.suspect_ms)
    }

    /// An fsync that takes so long is slow: clients wait for it.
    pub fn slow_flush(&self) -> Duration {
        self.request_timeout() / 10
    }

    fn check(&self) -> Result<(), Fault> {
        let at_least = |field: &str, value: u64, least: u64, why: &str| {
            if value >= least {
                return Ok(());
            }
            let problem = format!("{value} is too little: {why}");
            let remedy = format!("choose at least {least}");
            Err(fault(format!("timing.{field}"), problem, remedy))
        };
        at_least(
            "broadcast_ms",
            self.broadcast_ms,
            1,
            "a node would do nothing but send",
        )?;
        at_least(
            "push_pull_ms",
            self.push_pull_ms,
            10,
            "a node would do nothing but exchange what it knows",
        )?;
        at_least(
            "probe_ms",
            self.probe_ms,
            20,
            "no answer comes back within half of it",
        )?;
        at_least(
            "suspect_ms",
            self.suspect_ms,
            self.probe_ms,
            "it must be no less than probe_ms, or nobody hears in time of being suspected",
        )?;
        at_least(
            "request_timeout_ms",
            self.request_timeout_ms,
            100,
            "an fsync may take as long",
        )
    }
}

impl WindowConfig {
    /// The window, if there is one.
    pub fn window(&self) -> Option<Window> {
        (self.buckets > 0).then(|| Window::new(self.bucket_ms.max(1), self.buckets))
    }

    fn check(&self) -> Result<(), Fault> {
        if self.bucket_ms == 0 {
            let problem = "it is 0: time would stand still";
            return Err(fault("window.bucket_ms", problem, "choose such as 1000"));
        }
        if self.buckets > MOST_BUCKETS {
            let problem = format!("{} buckets are too many to be exchanged", self.buckets);
            let remedy = format!("choose at most {MOST_BUCKETS}, and longer buckets");
            return Err(fault("window.buckets", problem, remedy));
        }
        Ok(())
    }
}

impl Config {
    /// A cluster of these nodes, in the clear, and everything else as usual.
    pub fn of(cluster: impl Into<String>, nodes: Vec<NodeConfig>) -> Self {
        Self {
            service: ServiceKind::Counter,
            cluster: cluster.into(),
            security: SecurityConfig::plaintext(),
            counter: CounterConfig::default(),
            timing: Timing::default(),
            window: WindowConfig::default(),
            limits: Limits::default(),
            nodes,
        }
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read or is not right in every respect.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        ServiceConfig::load(file)
    }

    /// The node `id`.
    ///
    /// # Errors
    /// When it is not in the file.
    pub fn node(&self, id: NodeId) -> Result<&NodeConfig, Fault> {
        config::node(&self.nodes, id)
    }

    /// Where node `id` stands.
    pub fn data_centre(&self, id: NodeId) -> DataCentre {
        let node = self.node(id).ok();
        DataCentre(node.and_then(|node| node.data_centre).unwrap_or_default())
    }

    /// The protocol of node `id`, which knows of no other yet: SWIM tells.
    pub fn replica(&self, id: NodeId) -> Counter {
        let mut counter = Counter::new(id, self.data_centre(id), []);
        counter.window = self.window.window();
        counter.max_sessions = self.limits.max_sessions;
        let listed = self.nodes.iter().map(|node| node.id);
        counter.fold = self.counter.fold.then(|| listed.collect());
        counter
    }

    /// The addresses at which node `id` asks who is there.
    pub(crate) fn seeds(&self, id: NodeId) -> Vec<String> {
        if self.counter.exchange == Exchange::Alone {
            return Vec::new();
        }
        let listed = self.nodes.iter().filter(|node| node.id != id);
        let listed = listed.map(|node| node.peer_address.clone());
        let own = self.node(id).map(|node| node.peer_address.as_str());
        let named = self.counter.members.iter().cloned();
        let mut seeds: Vec<String> = listed.chain(named).collect();
        seeds.retain(|seed| Ok(seed.as_str()) != own);
        seeds.sort();
        seeds.dedup();
        seeds
    }

    fn check_members(&self) -> Result<(), Fault> {
        for (position, member) in self.counter.members.iter().enumerate() {
            member.parse::<Address>().map_err(|error| {
                let field = format!("counter.members[{position}]");
                fault(field, error.problem, error.remedy)
            })?;
        }
        if self.counter.exchange == Exchange::Alone && !self.counter.members.is_empty() {
            let problem = "there are some, and the exchange is \"alone\"";
            let remedy = "leave them out, or choose another exchange";
            return Err(fault("counter.members", problem, remedy));
        }
        Ok(())
    }

    /// Who agrees on what is folded is who is on the list, and no other.
    fn check_fold(&self) -> Result<(), Fault> {
        let CounterConfig {
            exchange,
            members,
            fold,
            departed,
        } = &self.counter;
        if *fold && !matches!(exchange, Exchange::PushPull | Exchange::Deltas) {
            let problem = "it is true, and the nodes exchange nothing on which they could agree";
            let remedy = "choose the exchange \"deltas\" or \"push_pull\", or leave it out";
            return Err(fault("counter.fold", problem, remedy));
        }
        if *fold && !members.is_empty() {
            let problem = "there are some, and fold is true: who is not listed is not heard";
            let remedy = "list them as nodes, at every node alike";
            return Err(fault("counter.members", problem, remedy));
        }
        if !*fold && !departed.is_empty() {
            let problem = "there are some, and fold is false: nothing would become of it";
            return Err(fault("counter.departed", problem, "set fold = true"));
        }
        for (position, id) in departed.iter().enumerate() {
            if self.nodes.iter().any(|node| node.id == *id) {
                let field = format!("counter.departed[{position}]");
                let problem = format!("node {id} is gone for good, and among the nodes");
                let remedy = "take it out of the nodes; another machine gets a number of its own";
                return Err(fault(field, problem, remedy));
            }
        }
        Ok(())
    }

    /// Every packet of SWIM's names up to three members with their addresses, and has to fit.
    fn check_lengths(&self) -> Result<(), Fault> {
        for (position, node) in self.nodes.iter().enumerate() {
            let addresses = [
                ("peer_address", &node.peer_address),
                ("client_address", &node.client_address),
            ];
            for (field, address) in addresses {
                if address.len() > MAX_SWIM_ADDRESS_BYTES {
                    let problem =
                        format!("it has {} bytes, and goes with every packet", address.len());
                    let remedy =
                        format!("use a name or address of at most {MAX_SWIM_ADDRESS_BYTES}");
                    return Err(fault(format!("nodes[{position}].{field}"), problem, remedy));
                }
            }
        }
        Ok(())
    }

    fn check_gossip_key(&self) -> Result<(), Fault> {
        let security = &self.security;
        match (security.plaintext, &security.gossip_key) {
            (false, None) => Err(fault(
                "security.gossip_key",
                "it is missing, and without it strangers could say who is there",
                "`lockstep certs init` makes one beside the authority: name it, such as \
                 \"certs/gossip.key\", and give it to every node",
            )),
            (true, Some(_)) => Err(fault(
                "security.plaintext",
                "it is true, and a gossip_key is named as well",
                "say one of the two",
            )),
            _ => Ok(()),
        }
    }
}

impl ServiceConfig for Config {
    const SERVICE: ServiceKind = ServiceKind::Counter;

    fn cluster_config(&self) -> ClusterConfig {
        ClusterConfig {
            cluster: self.cluster.clone(),
            init_on_first_start: true,
            appointed: None,
            security: self.security.clone(),
            nodes: self.nodes.clone(),
        }
    }

    fn max_client_connections(&self) -> Option<usize> {
        self.limits.max_client_connections
    }

    fn security_mut(&mut self) -> &mut SecurityConfig {
        &mut self.security
    }

    fn nodes_mut(&mut self) -> &mut Vec<NodeConfig> {
        &mut self.nodes
    }

    fn check_service(&self) -> Result<(), Fault> {
        if let Some(position) = self.nodes.iter().position(|node| !node.member) {
            return Err(fault(
                format!("nodes[{position}].member"),
                "it is false, and whoever runs is a member of this service",
                "leave the node out of the file",
            ));
        }
        if self.limits.max_sessions < LEAST_SESSIONS {
            let problem = format!("{} is too little", self.limits.max_sessions);
            let remedy = format!("choose at least {LEAST_SESSIONS}, such as 16384");
            return Err(fault("limits.max_sessions", problem, remedy));
        }
        self.timing.check()?;
        self.window.check()?;
        self.check_members()?;
        self.check_fold()?;
        self.check_gossip_key()?;
        self.check_lengths()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let node = |id: u16| {
            NodeConfig::new(
                NodeId(id),
                format!("a:{id}1"),
                format!("a:{id}5"),
                format!("{id}"),
            )
        };
        Config::of("blue", (1..=3).map(node).collect())
    }

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut config = config();
        change(&mut config);
        config.check().expect_err("refused").to_string()
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        config().check().expect("good");
        let told = refused(|config| config.counter.members = vec!["nowhere".into()]);
        assert!(told.starts_with("counter.members[0]: "), "{told}");
        let told = refused(|config| {
            config.counter.exchange = Exchange::Alone;
            config.counter.members = vec!["a:91".into()];
        });
        assert!(told.contains("the exchange is \"alone\""), "{told}");
        let told = refused(|config| {
            config.counter.fold = true;
            config.counter.exchange = Exchange::Members;
        });
        assert!(told.starts_with("counter.fold"), "{told}");
        let told = refused(|config| {
            config.counter.fold = true;
            config.counter.members = vec!["a:91".into()];
        });
        assert!(told.starts_with("counter.members"), "{told}");
        let told = refused(|config| config.counter.departed = vec![NodeId(9)]);
        assert!(told.contains("set fold = true"), "{told}");
        let told = refused(|config| {
            config.counter.fold = true;
            config.counter.departed = vec![NodeId(9), NodeId(2)];
        });
        assert!(told.starts_with("counter.departed[1]"), "{told}");
        let told = refused(|config| config.timing.suspect_ms = 10);
        assert!(told.starts_with("timing.suspect_ms: 10"), "{told}");
        let told = refused(|config| config.window.bucket_ms = 0);
        assert!(told.starts_with("window.bucket_ms"), "{told}");
        let told = refused(|config| config.limits.max_sessions = 1);
        assert!(told.starts_with("limits.max_sessions"), "{told}");
        let told = refused(|config| config.nodes[1].member = false);
        assert!(told.starts_with("nodes[1].member"), "{told}");
        let told =
            refused(|config| config.nodes[0].client_address = format!("{}:1", "x".repeat(99)));
        assert!(told.starts_with("nodes[0].client_address"), "{told}");
    }

    #[test]
    fn certificates_go_with_a_key_for_gossip() {
        let told = refused(|config| {
            config.security =
                toml::from_str("ca = \"ca\"\ncertificate = \"certificate\"\nkey = \"key\"")
                    .expect("a table");
        });
        assert!(told.starts_with("security.gossip_key"), "{told}");
        let told = refused(|config| config.security.gossip_key = Some("key".into()));
        assert!(told.contains("say one of the two"), "{told}");
    }

    #[test]
    fn a_node_asks_all_others_who_is_there_and_each_once() {
        let mut config = config();
        config.counter.members = vec!["a:31".into(), "b:9".into(), "a:11".into()];
        assert_eq!(config.seeds(NodeId(1)), ["a:21", "a:31", "b:9"]);
        config.counter.exchange = Exchange::Alone;
        assert_eq!(config.seeds(NodeId(1)), [] as [&str; 0]);
    }
}
