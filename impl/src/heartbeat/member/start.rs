//! How a member is put together, and how it ends.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::Member;
use crate::heartbeat::agent::{Agent, Lines, Load};
use crate::heartbeat::balance::Balancer;
use crate::heartbeat::config::Config;
use crate::heartbeat::copy::{self, DictionaryCopy};
use crate::heartbeat::dictionary::{Dictionary, Voters, dictionary_nodes};
use crate::heartbeat::error::HeartbeatError;
use crate::heartbeat::list::ById;
use crate::heartbeat::member_info::MemberInfo;
use crate::heartbeat::packet::Envelope;
use crate::heartbeat::pages::{self, Shown};
use crate::heartbeat::post::{Post, Reach, receive_large};
use crate::heartbeat::sockets::{Sockets, everybody};
use crate::heartbeat::view::View;
use crate::heartbeat::voter::{self, Leadership, Place, Told};
use crate::runtime::metrics::Metrics;
use crate::runtime::sync::Mutex;
use crate::runtime::tls::client_of;
use crate::service::gossip_key::GossipKeys;
use crate::service::http_client::Access;
use crate::service::serving::PageServer;

/// So many events wait for whoever follows them; of more, the oldest are lost, which is told.
const EVENTS: usize = 1024;
/// So many large packets wait.
const LARGE: usize = 64;

/// What runs for a member.
pub(super) struct Tasks {
    pub(super) stop_voter: watch::Sender<bool>,
    pub(super) stop_agent: watch::Sender<bool>,
    pub(super) voter: Option<JoinHandle<Result<(), HeartbeatError>>>,
    pub(super) agent: Option<JoinHandle<Result<(), HeartbeatError>>>,
    /// Why the member takes no more part, once it does not.
    pub(super) fate: watch::Receiver<Option<HeartbeatError>>,
    /// What shows how it fares, if it is told to.
    pub(super) pages: Option<PageServer>,
    /// Ends with this.
    pub(super) _others: JoinSet<()>,
}

impl Member {
    /// As [`start`](Self::start), in a network that can be split: what `reach` says no to is not sent there,
    /// and not heard from there. For tests; the voters' own connections do not ask it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    #[doc(hidden)]
    pub async fn start_within(config: Config, reach: Reach) -> Result<Self, HeartbeatError> {
        config.check()?;
        let keys = config.cluster.security.gossip_key.as_deref();
        let keys = keys.map(GossipKeys::load).transpose()?;
        let access = access(&config)?;
        let sockets = Sockets::bind(&config).await?;
        let pages = match config.metrics_address {
            Some(address) => Some(pages::bind(address).await?),
            None => None,
        };
        let place = match config.votes() {
            true => Some(Place::bind(&config, sockets.address.ip()).await?),
            false => None,
        };
        let own = MemberInfo {
            id: config.id,
            life: now_ms(),
            address: sockets.address,
            service_address: config.service_address,
            load: None,
            reports: 0,
            voter: place.as_ref().map(|place| place.addresses.clone()),
        };
        let envelope = Envelope::new(&config.cluster.name, keys);
        let post = Post::new(sockets.udp, envelope, reach, config.cluster.mtu);
        let counters = post.counters.clone();
        let copy = Arc::<DictionaryCopy>::default();

        let (large, received_large) = mpsc::channel(LARGE);
        let (load, told_load) = watch::channel(Load::default());
        let (told_leadership, leadership) = watch::channel(Leadership::default());
        let (told_view, view) = watch::channel(View::new(Instant::now()));
        let (told_voters, voters) = watch::channel(ById::new());
        let (told_nodes, nodes) = watch::channel(Voters::default());
        let (told_numbers, numbers) = watch::channel(None);
        let (told_fate, fate) = watch::channel(None);
        let (stop_agent, agent_stopped) = watch::channel(false);
        let (stop_voter, voter_stopped) = watch::channel(false);
        let events = broadcast::Sender::new(EVENTS);

        let lines = Lines {
            wide: sockets.wide,
            large: received_large,
            load: told_load,
            leadership,
            copy: copy.clone(),
            view: told_view,
            voters: told_voters,
            events: events.clone(),
            stop: agent_stopped,
        };
        let everybody = everybody(&config.cluster.discovery);
        let agent = Agent::new(config.clone(), own.clone(), post, lines, everybody);
        let timeout = config.cluster.timing.request_timeout();
        let dictionary = Arc::new(Dictionary::new(access, timeout, nodes));
        let config = Arc::new(config);
        let metrics = Arc::<Metrics>::default();
        let shown = Shown {
            config: config.clone(),
            view: view.clone(),
            voters: voters.clone(),
            load: load.subscribe(),
            fate: fate.clone(),
            leaving: stop_voter.subscribe(),
            counters: counters.clone(),
            metrics: metrics.clone(),
            numbers,
            started: Instant::now(),
        };
        let pages = pages.map(|listener| pages::serve(listener, shown));
        let pages = pages.transpose()?;

        let mut others = JoinSet::new();
        others.spawn(receive_large(sockets.tcp, large));
        others.spawn(follow_voters(own, voters.clone(), told_nodes));
        others.spawn(copy::follow(
            copy.clone(),
            dictionary.clone(),
            events.clone(),
        ));
        let agent = {
            let (fate, stop_voter) = (told_fate.clone(), stop_voter.clone());
            tokio::spawn(async move {
                let ended = agent.run().await;
                if let Err(error) = &ended {
                    tell_fate(&fate, error);
                    stop_voter.send_replace(true);
                }
                ended
            })
        };
        let voter = place.map(|place| {
            let (config, voters) = (config.as_ref().clone(), voters.clone());
            let told = Told {
                leadership: told_leadership,
                metrics,
                numbers: told_numbers,
            };
            let stop_agent = stop_agent.clone();
            tokio::spawn(async move {
                let running = voter::run(config, place, voters, told, voter_stopped);
                let ended = running.await;
                if let Err(error) = &ended {
                    tell_fate(&told_fate, error);
                    stop_agent.send_replace(true);
                }
                ended
            })
        });
        tracing::info!(
            member = %config.id, address = %sockets.address, votes = config.votes(),
            metrics = pages.as_ref().map(|pages| display(pages.address)), "started"
        );
        Ok(Self {
            address: sockets.address,
            config,
            view,
            voters,
            events,
            load,
            dictionary,
            copy,
            balancer: Mutex::<Balancer>::default(),
            counters,
            tasks: Tasks {
                stop_voter,
                stop_agent,
                voter,
                agent: Some(agent),
                fate,
                pages,
                _others: others,
            },
        })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // The voter's node ends in order, behind: its ports are to be free again.
        self.tasks.stop_voter.send_replace(true);
        if let Some(agent) = self.tasks.agent.take() {
            agent.abort();
        }
    }
}

pub(super) async fn end(
    task: Option<JoinHandle<Result<(), HeartbeatError>>>,
) -> Result<(), HeartbeatError> {
    match task {
        // One that has panicked has said so; nothing is left of it.
        Some(task) => task.await.unwrap_or(Err(HeartbeatError::Ended)),
        None => Ok(()),
    }
}

/// The first counts: what follows comes of it.
fn tell_fate(fate: &watch::Sender<Option<HeartbeatError>>, error: &HeartbeatError) {
    fate.send_if_modified(|known| {
        let is_first = known.is_none();
        known.get_or_insert_with(|| error.clone());
        is_first
    });
}

/// Tells the dictionary whom to ask.
async fn follow_voters(
    own: MemberInfo,
    mut voters: watch::Receiver<ById>,
    nodes: watch::Sender<Voters>,
) {
    loop {
        let now = dictionary_nodes(&own, &voters.borrow_and_update());
        nodes.send_if_modified(|known| {
            let is_news = **known != now;
            if is_news {
                *known = Arc::new(now);
            }
            is_news
        });
        if voters.changed().await.is_err() {
            return;
        }
    }
}

/// How the voters are asked.
fn access(config: &Config) -> Result<Access, HeartbeatError> {
    let mut access = Access::plaintext();
    if let Some(ca) = &config.cluster.security.ca {
        let tls = client_of(ca).map_err(|error| HeartbeatError::Credentials(error.to_string()))?;
        access = access.with_tls(tls);
    }
    let Some(file) = &config.token_file else {
        return Ok(access);
    };
    let token = std::fs::read_to_string(file)
        .map_err(|error| format!("token file {}: {error}", file.display()))
        .and_then(|token| access.with_token(token.trim()));
    token.map_err(HeartbeatError::Credentials)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.unwrap_or_default().as_millis();
    u64::try_from(since).unwrap_or(u64::MAX)
}
