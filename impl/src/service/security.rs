//! `[security]` in the cluster file: how the nodes know each other, and what clients must show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use models::NodeId;
use serde::{Deserialize, Serialize};

use crate::runtime::tls::{Tls, TlsError, TlsFiles};
use crate::runtime::transport::tcp::Security;
use crate::service::config::{Fault, fault};

/// In a path, what stands for the number of the node.
const ID: &str = "{id}";

/// How the nodes of a cluster know each other, and their clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecurityConfig {
    /// Whether nodes and clients speak in the clear, and nodes are believed who they are: for a
    /// network that belongs to the cluster alone.
    #[serde(skip_serializing_if = "is_no")]
    pub plaintext: bool,
    /// The certificate of the cluster's authority, as PEM. Relative to the cluster file, as all
    /// paths here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// A node's certificate, which names the node; `{id}` stands for its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The key that goes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The file with the key that signs the datagrams of a counter's nodes, or of heartbeat's members: the same
    /// for all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gossip_key: Option<PathBuf>,
    /// The file with the tokens of which clients must show one. Where there is none, whoever reaches
    /// the client port may do everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<PathBuf>,
}

fn is_no(value: &bool) -> bool {
    !*value
}

impl SecurityConfig {
    /// In the clear.
    pub fn plaintext() -> Self {
        Self {
            plaintext: true,
            ..Self::default()
        }
    }

    /// Checks that it is said, and not twice.
    ///
    /// # Errors
    /// With the first value that makes no sense.
    pub fn check(&self) -> Result<(), Fault> {
        let files = [
            ("security.ca", &self.ca),
            ("security.certificate", &self.certificate),
            ("security.key", &self.key),
        ];
        let named = files.iter().filter(|(_, file)| file.is_some()).count();
        match (self.plaintext, named) {
            (true, 0) | (false, 3) => Ok(()),
            (true, _) => Err(fault(
                "security.plaintext",
                "it is true, and certificates are named as well",
                "say one of the two",
            )),
            (false, 0) => Err(fault(
                "security",
                "it does not say how the nodes know each other",
                "make certificates with `lockstep certs init` and `lockstep certs node`, and name \
                 them as ca, certificate and key; or, on a network that belongs to the cluster \
                 alone, say plaintext = true",
            )),
            (false, _) => {
                let missing = files.iter().find(|(_, file)| file.is_none());
                let field = missing.map_or("security", |(field, _)| *field);
                Err(fault(
                    field,
                    "it is missing",
                    "ca, certificate and key belong together, such as \"certs/ca.pem\", \
                     \"certs/node-{id}.pem\" and \"certs/node-{id}.key\"",
                ))
            }
        }
    }

    /// Takes the paths as relative to `folder`.
    pub(crate) fn relative_to(&mut self, folder: &Path) {
        let paths = [
            &mut self.ca,
            &mut self.certificate,
            &mut self.key,
            &mut self.gossip_key,
            &mut self.tokens,
        ];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }

    /// The credentials of node `id`; none where all speak in the clear.
    ///
    /// # Errors
    /// When its files are of no use.
    pub fn credentials(&self, id: NodeId) -> Result<Option<Arc<Tls>>, TlsError> {
        let (Some(ca), Some(certificate), Some(key)) = (&self.ca, &self.certificate, &self.key)
        else {
            return Ok(None);
        };
        let files = TlsFiles {
            ca: ca.clone(),
            certificate: of_node(certificate, id),
            key: of_node(key, id),
        };
        Tls::load(files).map(|tls| Some(Arc::new(tls)))
    }
}

/// How peers are known by a node with these credentials.
pub(crate) fn peer_security(credentials: Option<&Arc<Tls>>) -> Security {
    credentials.map_or(Security::Plaintext, |tls| Security::Tls(tls.clone()))
}

fn of_node(path: &Path, id: NodeId) -> PathBuf {
    PathBuf::from(path.to_string_lossy().replace(ID, &id.0.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        let config: SecurityConfig = toml::from_str(text).expect("a table");
        config.check().expect_err("refused").to_string()
    }

    #[test]
    fn it_is_said_on_purpose_how_nodes_know_each_other() {
        assert!(problem("").starts_with("security: it does not say how"));
        assert!(problem("plaintext = false").starts_with("security: it does not say how"));
        assert!(problem("plaintext = true\nca = \"a\"").contains("one of the two"));
        assert!(
            problem("ca = \"a\"\nkey = \"k\"").starts_with("security.certificate: it is missing")
        );
        SecurityConfig::plaintext().check().expect("said");
    }

    #[test]
    fn a_path_names_the_node() {
        let path = of_node(Path::new("certs/node-{id}.pem"), NodeId(12));
        assert_eq!(path, Path::new("certs/node-12.pem"));
    }
}
