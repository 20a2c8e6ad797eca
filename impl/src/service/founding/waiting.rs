//! A node that belongs to no cluster yet, as a process: it serves nothing, says why on its client
//! port, and takes the word to found the cluster there.
//!
//! | request | answer |
//! |---|---|
//! | `POST /init`, the cluster that is wanted as JSON, or nothing | 200 and the cluster id once the cluster is founded; 409 at another node than the first, or one whose file lists other nodes; 503 and what hinders it |
//! | anything else | 503, and what the node waits for, as JSON |
//!
//! On its port for metrics the answer is 503 too.

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use models::NodeId;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use super::InitialMembers;
use super::bootstrap::{BlankNode, Progress, blank_identity};
use super::request::{Founded, Founding};
use crate::runtime::identity::Identity;
use crate::runtime::journal::DirectoryLock;
use crate::runtime::metrics::Metrics;
use crate::service::config::ClusterConfig;
use crate::service::data_directory::{self, Held};
use crate::service::security::peer_security;
use crate::service::serving::{Served, Servers};
use crate::service::start::{Listeners, StartError};
use crate::service::tokens::{Role, Tokens, protect};
use crate::service::{headers, open_files};

/// `POST /init` is answered after this time at the latest: before who asks gives up, who would not
/// hear what hinders it then.
const INIT_LIMIT: Duration = Duration::from_secs(1);

/// Waits until node `id` of `config` belongs to a cluster, if it does not yet, and gives the
/// listeners back. Must be called within a tokio runtime.
///
/// # Errors
/// When the data directory is of no use, or belongs to another node.
pub async fn until_member<M: InitialMembers>(
    config: &ClusterConfig,
    id: NodeId,
    max_client_connections: Option<usize>,
    listeners: Listeners,
) -> Result<Listeners, StartError> {
    let lock = DirectoryLock::acquire(&config.node(id)?.data_directory)?;
    let Held::Nothing(disk) = data_directory::examine(&lock)? else {
        return Ok(listeners);
    };
    let others = config.nodes.len() - 1;
    let clients = open_files::client_connections(others, max_client_connections)?;
    let credentials = config.security.credentials(id)?;
    let tokens = Tokens::load(config.security.tokens.as_deref())?;
    let identity = blank_identity::<M>(config, id, disk);
    tracing::warn!(
        node = %id, %disk, clients = config.node(id)?.client_address,
        "the data directory is empty: this node belongs to no cluster yet, and waits; {}",
        what_to_do::<M>(config, id)
    );
    let progress = watch::Sender::new(Progress::default());
    let page = Page {
        identity: identity.clone(),
        founder: config.founder(),
        founding: Founding::of(config),
        advice: what_to_do::<M>(config, id),
        progress: progress.clone(),
    };
    let Listeners {
        peer,
        client,
        metrics,
    } = listeners;
    let (client, listener) = share(client)?;
    let router = api(Arc::new(page), &tokens);
    let for_clients = Served { listener, router };
    let (metrics, page) = match metrics.map(share).transpose()? {
        Some((metrics, listener)) => {
            let router = Router::new().fallback(no_metrics);
            (Some(metrics), Some(Served { listener, router }))
        }
        None => (None, None),
    };
    let servers = Servers::start(
        for_clients,
        page,
        credentials.clone(),
        clients,
        &Arc::new(Metrics::default()),
        watch::Sender::new(false),
    )?;
    let blank = BlankNode::<M> {
        config,
        security: peer_security(credentials.as_ref()),
        identity,
        lock,
        progress,
        members: PhantomData,
    };
    let waited = blank.wait(&peer).await;
    servers.shutdown().await;
    waited?;
    Ok(Listeners {
        peer,
        client,
        metrics,
    })
}

/// What an operator has to do.
fn what_to_do<M: InitialMembers>(config: &ClusterConfig, id: NodeId) -> String {
    let founder = config.founder();
    let is_listed = config.nodes.iter().any(|node| node.id == id && node.member);
    match founder {
        Some(founder) if is_listed && config.init_on_first_start => format!(
            "a new cluster begins when all nodes of the file run and {founder} finds them all; {}",
            M::HOW_TO_JOIN
        ),
        Some(_) if is_listed => format!(
            "a new cluster begins with `lockstep init`, once; {}",
            M::HOW_TO_JOIN
        ),
        _ => M::HOW_TO_JOIN.to_owned(),
    }
}

/// Two ends of one listener: what waits to be accepted is accepted by either.
fn share(listener: TcpListener) -> io::Result<(TcpListener, TcpListener)> {
    let listener = listener.into_std()?;
    let other = listener.try_clone()?;
    Ok((
        TcpListener::from_std(listener)?,
        TcpListener::from_std(other)?,
    ))
}

struct Page {
    identity: Identity,
    founder: Option<NodeId>,
    /// The cluster that it would found.
    founding: Founding,
    advice: String,
    progress: watch::Sender<Progress>,
}

fn api(page: Arc<Page>, tokens: &Tokens) -> Router {
    let router = Router::new()
        .route("/init", post(init))
        .route("/healthz", get("ok\n"))
        .fallback(not_yet);
    protect(router, tokens, needed_role)
        .layer(middleware::from_fn_with_state(page.clone(), sign))
        .with_state(page)
}

/// Names the node in every answer.
async fn sign(State(page): State<Arc<Page>>, request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let fields = answer.headers_mut();
    fields.insert(headers::NODE, page.identity.node.0.into());
    fields.insert(headers::LEADER, HeaderValue::from_static("unknown"));
    answer
}

/// To found a cluster takes an operator.
fn needed_role(method: &Method, uri: &Uri) -> Option<Role> {
    let path = uri.path();
    match *method {
        _ if ["/healthz", "/readyz"].contains(&path) => None,
        Method::GET => Some(Role::Read),
        _ => Some(Role::Admin),
    }
}

async fn init(State(page): State<Arc<Page>>, body: Bytes) -> Response {
    let wanted = match Founding::parse(&body) {
        Ok(wanted) => wanted,
        Err(words) => return (StatusCode::BAD_REQUEST, words + "\n").into_response(),
    };
    if let Some(difference) = wanted.and_then(|wanted| page.founding.differs_from(&wanted)) {
        let text = format!(
            "the file of node {} lists {difference}, as this request wants it; nothing was \
             changed: start all nodes with the same file\n",
            page.identity.node.0
        );
        return (StatusCode::CONFLICT, text).into_response();
    }
    if page.founder != Some(page.identity.node) {
        let founder = page.founder.map_or(0, |founder| founder.0);
        let text = format!(
            "node {founder} founds the cluster by this file: ask that one; nothing was \
             changed\n"
        );
        return (StatusCode::CONFLICT, text).into_response();
    }
    page.progress.send_modify(|progress| progress.asked = true);
    let mut progress = page.progress.subscribe();
    let founded = progress.wait_for(|progress| progress.cluster_id.is_some());
    let founded = timeout(INIT_LIMIT, founded).await;
    let cluster_id = match founded {
        Ok(Ok(progress)) => progress.cluster_id,
        _ => None,
    };
    match cluster_id {
        Some(cluster_id) => Json(Founded {
            cluster_id: cluster_id.to_string(),
            already: false,
        })
        .into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, Json(page.describe())).into_response(),
    }
}

async fn not_yet(State(page): State<Arc<Page>>) -> Response {
    let retry = [(header::RETRY_AFTER, "1")];
    let page = Json(page.describe());
    (StatusCode::SERVICE_UNAVAILABLE, retry, page).into_response()
}

/// Whoever collects metrics should not wait for them.
async fn no_metrics() -> (StatusCode, &'static str) {
    let words = "this node belongs to no cluster yet, and has no metrics: what it waits for is shown on \
                 its client port\n";
    (StatusCode::SERVICE_UNAVAILABLE, words)
}

impl Page {
    fn describe(&self) -> Value {
        let progress = self.progress.borrow().clone();
        let hindrances = progress.hindrances.iter();
        let denied = progress.denied.map(|(cluster_id, reason)| {
            json!({ "cluster_id": cluster_id.to_string(), "reason": reason })
        });
        json!({
            "id": self.identity.node,
            "role": "blank",
            "cluster": self.identity.cluster,
            "disk_id": self.identity.disk.to_string(),
            "message": format!(
                "this node's data directory is empty, so it belongs to no cluster, and nothing was \
                 changed; {}", self.advice
            ),
            "denied_by": denied,
            "waits_for": hindrances
                .map(|(node, reason)| json!({ "node": node, "reason": reason }))
                .collect::<Vec<_>>(),
        })
    }
}
