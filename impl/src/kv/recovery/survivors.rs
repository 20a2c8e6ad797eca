//! Who of a cluster lives, as far as can be told from outside of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use models::raft::configuration::Configuration;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::kv::config::Config;
use crate::runtime::identity::Identity;
use crate::runtime::tls::Tls;
use crate::runtime::transport::tcp::is_member;
use crate::service::address::Addresses;
use crate::service::http_client::{Access, SetUpError};
use crate::service::security::peer_security;

/// A node has this long to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The members of `configuration` that live and belong to the cluster of `identity`, which is that
/// of a node of it that does not run; and where each was found. All addresses are asked that the
/// log or the file has for them. A node that hangs, or that cannot be reached from here, is not
/// found.
///
/// # Errors
/// When the HTTP client cannot be had.
pub(crate) async fn survivors(
    config: &Config,
    identity: &Identity,
    configuration: &Configuration,
    credentials: Option<&Arc<Tls>>,
) -> Result<BTreeMap<NodeId, String>, SetUpError> {
    let security = peer_security(credentials);
    let mut access = Access::plaintext();
    if let Some(tls) = credentials {
        access = access.with_tls(tls.for_calls());
    }
    let http = access.client(PATIENCE)?.timeout(PATIENCE).build()?;
    let mut asked = JoinSet::new();
    for id in configuration.members() {
        if id == identity.node {
            continue;
        }
        let contact = configuration.contacts.get(&id);
        let in_log = contact.and_then(Addresses::in_contact);
        let in_file = config.node(id).ok().map(Addresses::of);
        let known: Vec<Addresses> = in_log.into_iter().chain(in_file).collect();
        for client in known
            .iter()
            .map(|known| &known.client)
            .collect::<BTreeSet<_>>()
        {
            let (http, url) = (http.clone(), access.url(client, "/status"));
            let address = client.clone();
            let cluster_id = identity.cluster_id.to_string();
            asked.spawn(async move {
                let shown = status(&http, &url).await?;
                let is_one = shown["cluster_id"] == cluster_id && shown["id"] == id.0;
                is_one.then_some((id, address))
            });
        }
        for peer in known
            .iter()
            .map(|known| &known.peer)
            .collect::<BTreeSet<_>>()
        {
            let (identity, address) = (identity.clone(), peer.clone());
            let security = security.clone();
            asked.spawn(async move {
                let is_one = is_member(&address, &security, &identity, id, PATIENCE).await;
                is_one.then_some((id, address))
            });
        }
    }
    let mut found = BTreeMap::new();
    while let Some(answer) = asked.join_next().await {
        // A question that has failed has no answer.
        found.extend(answer.ok().flatten());
    }
    Ok(found)
}

async fn status(http: &reqwest::Client, url: &str) -> Option<Value> {
    let answer = http.get(url).send().await;
    let text = answer.ok()?.text().await.ok()?;
    serde_json::from_str(&text).ok()
}
