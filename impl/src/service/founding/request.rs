//! What `lockstep init` asks for, and is answered: a cluster of these nodes. It is founded once, by
//! whoever asks first; whoever asks for the same again is told the same.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use models::NodeId;
use serde::{Deserialize, Serialize};

use crate::runtime::identity::Identity;
use crate::service::config::ClusterConfig;

/// The cluster that is to be founded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Founding {
    /// Its name.
    pub cluster: String,
    /// Its nodes, each with the address at which the others reach it.
    pub nodes: BTreeMap<NodeId, String>,
}

/// The cluster that there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founded {
    /// Its id.
    pub cluster_id: String,
    /// Whether it was there before this was asked.
    pub already: bool,
}

impl Founding {
    /// What a file asks for.
    pub fn of(config: &ClusterConfig) -> Self {
        let members = config.nodes.iter().filter(|node| node.member);
        Self {
            cluster: config.cluster.clone(),
            nodes: members
                .map(|node| (node.id, node.peer_address.clone()))
                .collect(),
        }
    }

    /// What a cluster of this name was founded with: these nodes, at these addresses.
    pub(crate) fn done(
        cluster: &str,
        nodes: impl IntoIterator<Item = (NodeId, Option<String>)>,
    ) -> Self {
        let nodes = nodes.into_iter();
        Self {
            cluster: cluster.to_owned(),
            nodes: nodes
                .map(|(id, address)| (id, address.unwrap_or_default()))
                .collect(),
        }
    }

    /// What the body of a request asks for; nothing where it leaves that to the node's own file.
    ///
    /// # Errors
    /// In words, when it is not understood.
    pub(crate) fn parse(body: &[u8]) -> Result<Option<Self>, String> {
        if body.is_empty() {
            return Ok(None);
        }
        let parsed = serde_json::from_slice(body);
        parsed.map(Some).map_err(|error| {
            format!("the cluster to be founded is not understood: {error}; nothing was changed")
        })
    }

    /// The answer to `lockstep init` at a member: a cluster is founded once, and whoever asks for this
    /// very one again is told that it is there, for the answer to an earlier try may have been lost.
    /// `advice` says what becomes of who wants another.
    ///
    /// # Errors
    /// With the status and in words, when the body asks for another, or for nothing that is understood.
    pub(crate) fn confirm(
        &self,
        body: &[u8],
        identity: &Identity,
        advice: &str,
    ) -> Result<Founded, (StatusCode, String)> {
        let wanted = Self::parse(body).map_err(|text| (StatusCode::BAD_REQUEST, text))?;
        if let Some(difference) = wanted.and_then(|wanted| self.differs_from(&wanted)) {
            let text = format!(
                "node {} belongs to the cluster `{}`, {}, already, which was founded with \
                 {difference}, as this request wants it; nothing was changed{advice}",
                identity.node.0, identity.cluster, identity.cluster_id
            );
            return Err((StatusCode::CONFLICT, text));
        }
        Ok(Founded {
            cluster_id: identity.cluster_id.to_string(),
            already: true,
        })
    }

    /// In words, how this differs from `other`, as somebody else has it; nothing if it does not.
    pub(crate) fn differs_from(&self, other: &Self) -> Option<String> {
        if self.cluster != other.cluster {
            let (own, others) = (&self.cluster, &other.cluster);
            return Some(format!("the cluster `{own}`, and not `{others}`"));
        }
        if self.nodes.keys().ne(other.nodes.keys()) {
            let (own, others) = (self.ids(), other.ids());
            return Some(format!("the nodes {own}, and not {others}"));
        }
        let mut pairs = self.nodes.iter().zip(other.nodes.values());
        let ((id, own), others) = pairs.find(|((_, own), others)| own != others)?;
        let id = id.0;
        Some(format!("node {id} at {own}, and not node {id} at {others}"))
    }

    fn ids(&self) -> String {
        if self.nodes.is_empty() {
            return "none".to_owned();
        }
        let ids: Vec<String> = self.nodes.keys().map(|id| id.0.to_string()).collect();
        ids.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn founding(cluster: &str, nodes: &[(u16, &str)]) -> Founding {
        let nodes = nodes.iter().map(|&(id, at)| (NodeId(id), at.to_owned()));
        Founding {
            cluster: cluster.into(),
            nodes: nodes.collect(),
        }
    }

    #[test]
    fn what_differs_is_told() {
        let three = founding("blue", &[(1, "a:1"), (2, "b:1"), (3, "c:1")]);
        assert_eq!(three.differs_from(&three.clone()), None);
        let told = |other: Founding| three.differs_from(&other).expect("differs");
        let red = Founding {
            cluster: "red".into(),
            ..three.clone()
        };
        assert_eq!(told(red), "the cluster `blue`, and not `red`");
        let two = founding("blue", &[(1, "a:1"), (3, "c:1")]);
        assert_eq!(told(two), "the nodes 1, 2, 3, and not 1, 3");
        let moved = founding("blue", &[(1, "a:1"), (2, "x:1"), (3, "c:1")]);
        assert_eq!(told(moved), "node 2 at b:1, and not node 2 at x:1");
    }

    #[test]
    fn a_request_may_leave_it_to_the_nodes_own_file() {
        assert_eq!(Founding::parse(b""), Ok(None));
        let three = founding("blue", &[(1, "a:1")]);
        let body = serde_json::to_vec(&three).expect("encodes");
        assert_eq!(Founding::parse(&body), Ok(Some(three)));
        let error = Founding::parse(b"{}").expect_err("refused");
        assert!(error.contains("nothing was changed"), "{error}");
    }
}
