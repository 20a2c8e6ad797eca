//! A member that votes: a node of the key-value store, whose Raft elects the leader and whose log holds the
//! dictionary. **Who votes stands in the configuration, and from the founding on in the log**; discovery
//! says where the voters are, and nothing else.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use models::raft::state::Role;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::config::{Config, Timing};
use super::error::HeartbeatError;
use super::list::ById;
use super::member_info::VoterAddresses;
use super::sockets::listen_error;
use crate::kv::server::numbers::Numbers;
use crate::kv::{self, KvNode, KvRaft};
use crate::runtime::driver::{Inbox, Status};
use crate::runtime::metrics::Metrics;
use crate::service::address::Addresses;
use crate::service::config::NodeConfig;
use crate::service::http_client::shortest_try;
use crate::service::running::ServiceNode;
use crate::service::sealed_file::{SealedError, SealedFile};
use crate::service::start::Listeners;

/// Where the voters were when this one last knew all of them.
const VOTERS: SealedFile = SealedFile {
    name: "voters.json",
    remedy: "It holds where the voters are, and nothing that was promised: remove it, and all of them are \
             looked for again",
};
/// The folder of the log.
const LOG: &str = "log";
/// Who leads is looked at so often where nothing has been said.
const LOOK: Duration = Duration::from_millis(200);

/// What a voter's Raft says of who leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(crate) term: u64,
    /// Nobody, as far as it knows, if nothing is said.
    pub(crate) leader: Option<NodeId>,
}

/// What the file holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    peer_port: u16,
    client_port: u16,
    voters: BTreeMap<u16, VoterAddresses>,
}

/// Where a voter listens, before it runs.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) addresses: VoterAddresses,
    directory: PathBuf,
    listeners: Listeners,
    kept: Kept,
}

impl Place {
    /// Listens where `config` says, or where this voter listened before. Others reach it at `host`.
    ///
    /// # Errors
    /// When an address cannot be had, or the folder is of no use.
    pub(crate) async fn bind(config: &Config, host: IpAddr) -> Result<Self, HeartbeatError> {
        let failed = |reason: String| HeartbeatError::Voter {
            id: config.id,
            reason,
        };
        let directory = config.voter.data_directory.clone().unwrap_or_default();
        std::fs::create_dir_all(&directory)
            .map_err(|error| failed(format!("{}: {error}", directory.display())))?;
        let mut kept = read(&directory).map_err(|error| failed(error.to_string()))?;
        let ip = config.listen.ip();
        let port = |said: u16, kept: u16| if said == 0 { kept } else { said };
        let own = &config.voter;
        let peer = listen("peer_port", ip, port(own.peer_port, kept.peer_port)).await?;
        let client = listen("client_port", ip, port(own.client_port, kept.client_port)).await?;
        let port_of = |listener: &TcpListener| {
            let address = listener.local_addr();
            let address = address.map_err(|error| failed(error.to_string()));
            address.map(|address| address.port())
        };
        kept.peer_port = port_of(&peer)?;
        kept.client_port = port_of(&client)?;
        let at = |port| SocketAddr::new(host, port).to_string();
        let addresses = VoterAddresses {
            peer: own
                .peer_address
                .clone()
                .unwrap_or_else(|| at(kept.peer_port)),
            client: at(kept.client_port),
        };
        kept.voters.insert(config.id.0, addresses.clone());
        VOTERS
            .write(&directory, &kept)
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            addresses,
            directory,
            listeners: Listeners {
                peer,
                client,
                // The member shows the node's with its own.
                metrics: None,
            },
            kept,
        })
    }
}

fn read(directory: &Path) -> Result<Kept, SealedError> {
    match VOTERS.read(directory, |_: &Kept| Ok(())) {
        Err(SealedError::Missing { .. }) => Ok(Kept::default()),
        read => read,
    }
}

async fn listen(what: &'static str, ip: IpAddr, port: u16) -> Result<TcpListener, HeartbeatError> {
    let address = SocketAddr::new(ip, port);
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| listen_error(what, address, error))
}

/// To whom a voter's node says what it knows, and what it counts.
pub(crate) struct Told {
    pub(crate) leadership: watch::Sender<Leadership>,
    pub(crate) metrics: Arc<Metrics>,
    /// What else it shows of itself, once it runs.
    pub(crate) numbers: watch::Sender<Option<Numbers>>,
}

/// Runs the voter's node until it is told to stop, or fails. Says who leads.
pub(crate) async fn run(
    config: Config,
    place: Place,
    voters: watch::Receiver<ById>,
    told: Told,
    mut stop: watch::Receiver<bool>,
) -> Result<(), HeartbeatError> {
    let failed = |reason: String| HeartbeatError::Voter {
        id: config.id,
        reason,
    };
    let Told {
        leadership,
        metrics,
        numbers,
    } = told;
    let mut heard = voters.clone();
    let started = tokio::select! {
        biased;
        () = told_to_stop(&mut stop) => return Ok(()),
        started = start(&config, place, voters, metrics) => started,
    };
    let (node, mut whereabouts) = started.map_err(failed)?;
    numbers.send_replace(Some(node.numbers()));
    let inbox = node.raft().inbox().clone();
    let mut view = node.view();
    let ended = loop {
        tell(config.id, &inbox, &leadership).await;
        let voters = heard.borrow_and_update().clone();
        whereabouts
            .follow(config.id, &voters, &node)
            .map_err(failed)?;
        tokio::select! {
            biased;
            () = told_to_stop(&mut stop) => break Status::Stopped,
            status = node.ended() => break status,
            // An error means that it ends, which is seen above.
            _ = timeout(LOOK, view.changed()) => {}
            Ok(()) = heard.changed() => {}
        }
    };
    numbers.send_replace(None);
    let stopped = match ended {
        Status::Failed(failure) => Err(failure),
        Status::Running | Status::Stopped => node.shutdown().await,
    };
    leadership.send_modify(|known| known.leader = None);
    stopped.map_err(|failure| failed(failure.to_string()))
}

async fn start(
    config: &Config,
    place: Place,
    voters: watch::Receiver<ById>,
    metrics: Arc<Metrics>,
) -> Result<(KvNode, Whereabouts), String> {
    let Place {
        directory,
        listeners,
        mut kept,
        ..
    } = place;
    find_all(config, &mut kept, voters).await;
    let written = VOTERS.write(&directory, &kept);
    written.map_err(|error| error.to_string())?;
    let log = log_config(config, &kept, &directory);
    let member = KvNode::until_member(&log, config.id, listeners).await;
    let listeners = member.map_err(|error| error.to_string())?;
    let node = KvNode::start_counting(&log, config.id, listeners, metrics);
    let node = node.map_err(|error| error.to_string())?;
    Ok((node, Whereabouts { directory, kept }))
}

/// Where the voters are, while this one runs.
struct Whereabouts {
    directory: PathBuf,
    kept: Kept,
}

impl Whereabouts {
    /// Takes over where other voters say that they are, and remembers it.
    fn follow(&mut self, own: NodeId, voters: &ById, node: &KvNode) -> Result<(), String> {
        let mut is_news = false;
        for member in voters.values().filter(|member| member.id != own) {
            let Some(addresses) = member.voter.clone() else {
                continue;
            };
            if self.kept.voters.get(&member.id.0) == Some(&addresses) {
                continue;
            }
            self.kept.voters.insert(member.id.0, addresses.clone());
            is_news = true;
            let VoterAddresses { peer, client } = addresses;
            node.moved(member.id, Addresses { peer, client });
        }
        if !is_news {
            return Ok(());
        }
        let written = VOTERS.write(&self.directory, &self.kept);
        written.map_err(|error| error.to_string())
    }
}

/// Waits until it is known where each voter is: from it, or, where this voter has run before and that one
/// is silent, from the folder.
async fn find_all(config: &Config, kept: &mut Kept, mut voters: watch::Receiver<ById>) {
    let patience = Instant::now() + config.cluster.timing.leader_silence();
    loop {
        let heard: Vec<(u16, VoterAddresses)> = voters
            .borrow_and_update()
            .values()
            .filter_map(|member| Some((member.id.0, member.voter.clone()?)))
            .filter(|(id, _)| *id != config.id.0)
            .collect();
        let others = config.cluster.voters.len() - 1;
        let all_heard = heard.len() >= others;
        kept.voters.extend(heard);
        let all_known = { config.cluster.voters.iter() }.all(|id| kept.voters.contains_key(id));
        if all_heard || (all_known && Instant::now() >= patience) {
            return;
        }
        tokio::select! {
            // An error means that the member ends, and this with it.
            changed = voters.changed() => if changed.is_err() { std::future::pending::<()>().await },
            () = sleep(LOOK) => {}
        }
    }
}

/// The log's configuration.
fn log_config(config: &Config, kept: &Kept, directory: &Path) -> kv::Config {
    let cluster = &config.cluster;
    let nodes = cluster.voters.iter().filter_map(|id| {
        let VoterAddresses { peer, client } = kept.voters.get(id)?.clone();
        // Only this voter's own folder is used.
        Some(NodeConfig::new(
            NodeId(*id),
            peer,
            client,
            directory.join(LOG),
        ))
    });
    let mut log = kv::Config::of(cluster.name.clone(), nodes.collect());
    log.security = cluster.security.clone();
    log.timing = kv::config::Timing {
        request_timeout_ms: try_ms(&cluster.timing, cluster.voters.len()),
        ..cluster.timing.of_log()
    };
    log
}

/// How long a node takes to answer a request, whatever it answers: less than the shortest try of a client,
/// for whoever was not answered in a try may have done a write, for all the client knows.
fn try_ms(timing: &Timing, voters: usize) -> u64 {
    let timeout = Duration::from_millis(timing.request_timeout_ms);
    let most = shortest_try(timeout, voters).mul_f64(0.8).as_millis();
    u64::try_from(most).unwrap_or(u64::MAX).max(1)
}

/// Says who leads, and in which term, as the node knows now.
async fn tell(id: NodeId, inbox: &Inbox<KvRaft>, leadership: &watch::Sender<Leadership>) {
    let look = inbox.inspect_unflushed(move |node| Leadership {
        term: node.durable().current_term.0,
        leader: match &node.volatile.role {
            Role::Leader(_) => Some(id),
            Role::Follower { leader } => *leader,
            Role::Candidate { .. } | Role::PreCandidate { .. } => None,
        },
    });
    // One that has ended says nothing more.
    let Ok(now) = look.await else { return };
    leadership.send_if_modified(|known| std::mem::replace(known, now) != now);
}

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody can tell any more.
    let _ = stop.wait_for(|stop| *stop).await;
}
